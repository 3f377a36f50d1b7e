"""An example on a host: the exporter and HAProxy, started and ended as containers are."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.examples.hosts import Host, running_host
from tests.examples.reading import Example
from tests.support import Samples, command, need, total, wait_until

WEB = "http://127.0.0.1:8080"
EXPORTER = "http://127.0.0.1:9129"
REQUESTS = "haproxy_log_requests_total"
LINES = "haproxy_log_exporter_lines_total"
ANSWERED = {"frontend_name": "web", "backend_name": "app", "server_name": "app1", "status_class": "2xx"}

# What the official image runs, and its STOPSIGNAL.
_HAPROXY = ("/usr/sbin/haproxy", "-W", "-db", "-f")
_GENTLY = signal.SIGUSR1

# So many have come when HAProxy is told to end, and so many more never will.
_SOME = 2_000
_MANY = 1_000_000


class Site:
    """An example on a host."""

    def __init__(self, host: Host, folder: Path, example: Example) -> None:
        """Put its files there."""
        self.host = host
        self.config = folder / "haproxy.cfg"
        self.config.write_text(example.config)
        self._messages = folder / "messages"
        places = {"/var/lib/haproxy-log-exporter": str(folder), "/etc/haproxy/haproxy.cfg": str(self.config)}
        self._arguments = command(*(_replace(argument, places) for argument in example.arguments))
        self._environment = {name: _replace(text, places) for name, text in example.environment.items()}

    def run_instead(self, *arguments: str | Path) -> None:
        """Let the exporter be started by another command."""
        self._arguments = [*map(str, arguments)]

    @contextmanager
    def exporter(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the exporter; it is ready, and ends well."""
        with self.running(*self._arguments, environment={**os.environ, **self._environment}) as process:
            wait_until(lambda: self.host.get(f"{EXPORTER}/-/ready"), what=f"the exporter, as {self._messages} says")
            yield process
            os.kill(_descendant(process.pid), signal.SIGTERM)
            assert process.wait(timeout=30) == 0, self._messages.read_text()

    @contextmanager
    def haproxy(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run HAProxy; it answers one request, and ends gently."""
        with self.running(*_HAPROXY, self.config) as process:
            wait_until(lambda: self.host.get(f"{WEB}/first"), what=f"HAProxy, as {self._messages} says")
            yield process
            process.send_signal(_GENTLY)
            process.wait(timeout=60)

    @contextmanager
    def running(
        self, *arguments: str | Path, environment: Mapping[str, str] | None = None
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a program."""
        process = self.host.start(*arguments, environment=environment, output=self._messages)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)

    def wait_for_lines(self, count: int) -> Samples:
        """Wait until so many have come; give all metrics of then."""
        wait_until(lambda: total(self.host.scrape(), LINES) >= count, what=f"{count} lines")
        return self.host.scrape()

    def end_while_busy(self) -> int:
        """Run both; under load, end HAProxy, and then the exporter. Give how many requests clients saw answered."""
        load = self.host.command("h2load", "--h1", f"--requests={_MANY}", "--clients=8", f"{WEB}/")
        with self.exporter():
            with self.haproxy():
                clients = subprocess.Popen(load, stdout=subprocess.PIPE, text=True)
                self.wait_for_lines(_SOME)
            said = clients.communicate(timeout=120)[0]
        found = re.search(r"(\d+) succeeded", said)
        assert found
        answered = int(found[1]) + 1
        assert _SOME <= answered < _MANY
        return answered


def _replace(text: str, places: Mapping[str, str]) -> str:
    for place, here in places.items():
        text = text.replace(place, here)
    return text


def _descendant(pid: int) -> int:
    """Find the process for the sake of which the others run: the last one's last child."""
    while children := _children(pid):
        pid = children[-1]
    return pid


def _children(pid: int) -> Sequence[int]:
    return [
        int(child)
        for file in Path(f"/proc/{pid}/task").glob("*/children")
        for child in file.read_text().split()
    ]  # fmt: skip


@contextmanager
def running_site(folder: Path, example: Example) -> Iterator[Site]:
    """Make a host for an example."""
    need("haproxy", "h2load")
    with running_host(folder, "exporter") as host:
        yield Site(host, folder, example)
