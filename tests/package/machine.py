"""A machine for a test: Debian 12 as debootstrap makes it, booted by systemd-nspawn, with no network but its loopback.

Nothing that happens on it stays: it writes to an overlay of the directory that all of them share.
"""

import itertools
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from tests.support import Samples, read_samples, total, wait_until

PACKAGE = "prometheus-haproxy-log-exporter"
LOG = "/var/log/haproxy.log"
DEFAULTS = f"/etc/default/{PACKAGE}"
STATE = f"/var/lib/{PACKAGE}/state"

# Requests come to `web`, and servers of `app` answer them, in the same HAProxy.
SITE = """
frontend web
	bind 127.0.0.1:8080
	default_backend app

backend app
	balance roundrobin
	server app1 127.0.0.1:8081
	server app2 127.0.0.1:8081

frontend answers
	bind 127.0.0.1:8081
	no log
	http-request return status 404 if { path_beg /missing }
	http-request return status 200
"""

# Debian's own programs, and none that somebody has put before them.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {
    "PATH": PATH,
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
# Where systemd keeps its services apart: each machine has to have groups of its own.
_CGROUPS = ("/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/systemd/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs")
_numbers = itertools.count()


class Machine:
    """A booted machine; commands run on it as root."""

    def __init__(self, leader: int) -> None:
        """Take the id of its first process, as this machine sees it."""
        self._enter = ["nsenter", "--target", str(leader), "--all"]

    def run(self, command: str, *, status: int | None = 0, text: str = "") -> str:
        """Run a command of the shell, with `text` as its input, and give all that it says.

        Its exit status has to be `status`; None takes any.
        """
        variables = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        done = subprocess.run(
            [*self._enter, "env", "-i", *variables, "sh", "-c", command],
            input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
        )  # fmt: skip
        if status is not None and done.returncode != status:
            pytest.fail(f"{command}: exit status {done.returncode}\n{done.stdout}")
        return done.stdout

    def start(self, command: str) -> "subprocess.Popen[bytes]":
        """Run a command in the background; who starts it waits for it."""
        return subprocess.Popen([*self._enter, "sh", "-c", command], env=_ENVIRONMENT, stdout=subprocess.DEVNULL)

    def holds(self, command: str) -> bool:
        """Whether a command ends well."""
        return subprocess.run(
            [*self._enter, "sh", "-c", command], env=_ENVIRONMENT, capture_output=True, timeout=60, check=False
        ).returncode == 0  # fmt: skip

    def read(self, path: str) -> str:
        """Read a file."""
        return self.run(f"cat {shlex.quote(path)}")

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        self.run(f"cat >{shlex.quote(path)}", text=text)

    def install(self, *packages: str, options: str = "") -> str:
        """Install packages by apt, files among them."""
        return self.run(f"apt-get -qq -o Dpkg::Use-Pty=0 install -y {options} {shlex.join(packages)}")

    def configure(self, arguments: str, *, more: str = "") -> None:
        """Set ARGS, and whatever else there is to be in the defaults, and start the service again."""
        self.write(DEFAULTS, f'ARGS="{arguments}"\n{more}')
        self.restart()

    def restart(self) -> None:
        """Start the service again; where that fails, what it says is told."""
        said = f"{{ journalctl -n 30 -u {PACKAGE}; exit 1; }}"
        self.run(f"systemctl reset-failed {PACKAGE} 2>/dev/null; systemctl restart {PACKAGE} || {said}")

    def request(self, path: str, port: int = 8080) -> None:
        """Send requests by a path that may hold a range as curl has it."""
        self.run(f"curl -sS -o /dev/null 'http://127.0.0.1:{port}{path}'")

    def scrape(self, port: int = 9129) -> Samples:
        """Read what the service serves, as soon as it does."""
        page = f"http://127.0.0.1:{port}/metrics"
        return read_samples(self.run(f"timeout 30 sh -c 'until curl -fs {page}; do sleep 0.1; done'"))

    def logged(self) -> int:
        """Count the lines of requests in all generations of the log."""
        return int(self.run(f"for log in {LOG}*; do zcat -f $log; done 2>/dev/null | grep -c ' web app/' || true"))

    def counted(self) -> float:
        """Count the requests that the service has counted."""
        return total(self.scrape(), "haproxy_log_requests_total")

    def agree(self, lines: int) -> None:
        """Wait until so many requests are logged, and all of them are counted."""
        wait_until(lambda: self.logged() == self.counted() == lines, what=f"{lines} lines logged and counted")

    def main_pid(self) -> int:
        """Give the service's process as the machine sees it; 0 when there is none."""
        return int(self.property("MainPID"))

    def property(self, name: str, unit: str = PACKAGE) -> str:
        """Give a property of a unit."""
        return self.run(f"systemctl show --value -p {name} {unit}").strip()


@contextmanager
def booted(root: Path, binds: Mapping[Path, str]) -> Iterator[Machine]:
    """Boot a machine; directories of this one are there to be read."""
    name = f"package-{os.getpid()}-{next(_numbers)}"
    nspawn = [
        "systemd-nspawn", "--quiet", "--boot", f"--directory={root}", "--volatile=overlay", "--private-network",
        f"--machine={name}", "--register=no", "--keep-unit", "--console=pipe",
        *(f"--bind-ro={directory}:{path}" for directory, path in binds.items()),
    ]  # fmt: skip
    groups = [Path(file).parent / name for file in _CGROUPS if Path(file).exists()]
    enter = "".join(f"mkdir {group} && echo $$ >{group}/cgroup.procs && " for group in groups)
    command = ["setpriv", "--pdeathsig", "TERM", "sh", "-c", f"{enter}exec {shlex.join(nspawn)}"]
    with (
        tempfile.TemporaryFile() as console,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console) as process,
    ):
        try:
            wait_until(lambda: _is_up(process, console), 60, "the machine to be up")
            yield Machine(_first_process(process))
        finally:
            process.terminate()  # an orderly end …
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.terminate()  # … or one at once
                process.wait(30)
            for group in groups:
                _wait_for_end(group)


def _is_up(process: "subprocess.Popen[bytes]", console: IO[bytes]) -> bool:
    if process.poll() is not None:
        console.seek(0)
        pytest.fail(f"systemd-nspawn ended: {console.read().decode(errors='replace')}")
    first = _first_process(process)
    return first > 0 and Machine(first).holds("systemctl is-system-running --wait")


def _wait_for_end(group: Path) -> None:
    wait_until(lambda: _is_removed(group), what=f"the end of {group}")


def _is_removed(group: Path) -> bool:
    """Remove a cgroup with all below it, once they are empty."""
    for directory, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            os.rmdir(directory)
    return not group.exists()


def _first_process(process: "subprocess.Popen[bytes]") -> int:
    """Find the machine's first process, which is a child of systemd-nspawn; 0 where there is none yet."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[-1]) if children else 0
