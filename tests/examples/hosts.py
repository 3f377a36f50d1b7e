"""A host of its own for a test: loopback that nobody else is on, so any port is free, and the names that it knows."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support import Samples, give_up, need, read_samples

# A test that is killed ends nothing that it has started: that ends with it.
_WITH_THE_TEST = ("setpriv", "--pdeathsig", "KILL")
# It lives as long as somebody waits in it.
_START = 'ip link set lo up && mount --bind "$1" /etc/hosts && echo && exec sleep infinity'


class Host:
    """Namespaces of network and mounts, that programs can be started in."""

    def __init__(self, pid: int) -> None:
        """`pid` is a process that is in them."""
        self._pid = pid

    def command(self, *arguments: str | Path) -> list[str]:
        """Make a command line into one that runs there, as the process that is started."""
        return [*_WITH_THE_TEST, "nsenter", f"--target={self._pid}", "--net", "--mount", "--", *map(str, arguments)]

    def start(
        self, *arguments: str | Path, environment: Mapping[str, str] | None = None, output: Path
    ) -> "subprocess.Popen[bytes]":
        """Start a program; what it says goes to a file."""
        with output.open("ab") as file:
            return subprocess.Popen(self.command(*arguments), env=environment, stdout=file, stderr=file)

    def run(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, check=False)

    def get(self, url: str) -> str:
        """Fetch what is there; nothing, where there is nobody or an error."""
        return self.run("curl", "--silent", "--fail", "--globoff", "--max-time", "10", url).stdout

    def scrape(self) -> Samples:
        """Read the exporter's metrics."""
        return read_samples(self.get("http://127.0.0.1:9129/metrics"))


@contextmanager
def running_host(folder: Path, *names: str) -> Iterator[Host]:
    """Make a host that knows these names as its own; skip the test where that is not permitted."""
    need("unshare", "nsenter", "setpriv", "mount", "ip", "curl")
    known = folder / "hosts"
    known.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *names)))
    command = [*_WITH_THE_TEST, "unshare", "--net", "--mount", "sh", "-c", _START, "sh", str(known)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout
        if not process.stdout.readline():
            give_up("no network of its own can be made")
        yield Host(process.pid)
    finally:
        process.kill()
        process.wait(timeout=30)
        assert process.stdout
        process.stdout.close()
