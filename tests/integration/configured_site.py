"""A HAProxy whose haproxy.cfg the exporter reads too, requests to it, and an exporter whose counters are watched."""

import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.integration.haproxy import Door, Doors, HAProxy, _find, read_all, talk
from tests.support import Exporter, Samples, total, wait_until

# The exporter is up before HAProxy, so the file names the port of the exporter by a variable.
BEGIN = """\
global
    stats socket {folder}/commands level admin
defaults
    log "127.0.0.1:${{LOG_PORT}}" len 8192 local0
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 2s
"""

_COUNTERS = re.compile(r".*_(?:total|count|sum|bucket)")


@contextmanager
def open_doors(*names: str) -> Iterator[Doors]:
    """Open doors for frontends, one for the application that answers in TCP, and one that nobody answers."""
    with ExitStack() as stack:
        doors = {name: Door() for name in (*names, "application")} | {"closed": Door(listening=False)}
        for door in doors.values():
            stack.enter_context(door.socket)
        yield doors


@contextmanager
def running(file: Path, doors: Doors, port: int = 0, *options: str) -> Iterator[HAProxy]:
    """Run HAProxy with a configuration that logs to $LOG_PORT; its standard output is beside it, as FILE.out."""
    with file.with_suffix(".out").open("ab") as output, file.with_suffix(".err").open("ab") as errors:
        process = subprocess.Popen(
            [_find("haproxy"), "-db", "-f", file, *options],
            pass_fds=[door.fd for door in doors.values()],
            env={**os.environ, "LOG_PORT": str(port)},
            stdout=output,
            stderr=errors,
        )
    haproxy = HAProxy(process, file.with_name("commands"), file.with_suffix(".err"))
    try:
        wait_until(lambda: haproxy.answers() and haproxy.info()["Pid"] == str(process.pid), what=f"HAProxy of {file}")
        yield haproxy
    finally:
        process.terminate()
        process.wait(timeout=30)


def get(door: Door, path: str = "/", **headers: str) -> bytes:
    """Make a request with these headers over a connection of its own; give the answer."""
    return talk(door.connect(), request(path, Connection="close", **headers))


def request(path: str = "/", **headers: str) -> bytes:
    """Write a request; an underscore in a header's name is a dash."""
    fields = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in headers.items())
    return f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")


@contextmanager
def waiting(door: Door, application: Door, path: str, **headers: str) -> Iterator[Callable[[], bytes]]:
    """Make a request to which the application gives no answer, until it is told to: give what does so."""
    with ExitStack() as stack:
        client = stack.enter_context(door.connect())
        client.sendall(request(path, Connection="close", **headers))
        server = stack.enter_context(application.socket.accept()[0])
        server.settimeout(30)
        assert server.recv(1 << 16).startswith(b"GET ")

        def finish() -> bytes:
            server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            return read_all(client)

        yield finish


def send(port: int, *lines: bytes) -> None:
    """Send lines to a port, a datagram each."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for line in lines:
            sender.sendto(line, ("127.0.0.1", port))


class Watch:
    """Scrapes an exporter, and fails where a counter goes back or is not there any more."""

    def __init__(self, exporter: Exporter) -> None:
        """Scrape nothing yet."""
        self._exporter = exporter
        self._last: Samples = {}

    def scrape(self) -> Samples:
        """Read all metrics, which are no less than the last time."""
        samples = self._exporter.scrape()
        back = [
            key
            for key, value in self._last.items()
            if _COUNTERS.fullmatch(key[0]) and not samples.get(key, -1) >= value
        ]
        assert not back
        self._last = samples
        return samples

    def wait_for(self, **results: int) -> Samples:
        """Wait until so many lines have these results; give all metrics of then, when there must not be more."""

        def there() -> bool:
            text = self._exporter.get("/metrics")[0].decode()
            return all(_read_lines(text, result) >= count for result, count in results.items())

        wait_until(there, 60, f"lines with the results {results}")
        samples = self.scrape()
        assert {result: count_lines(samples, result) for result in results} == results
        return samples


def _read_lines(text: str, result: str) -> float:
    """Read the number of lines with a result, without reading all the rest."""
    found = re.findall(rf'(?m)^haproxy_log_exporter_lines_total{{[^}}]*result="{result}"[^}}]*}} (\S+)$', text)
    return sum(map(float, found))


def count_lines(samples: Samples, result: str = "") -> float:
    """Give the number of lines read, or those with one result."""
    name = "haproxy_log_exporter_lines_total"
    return total(samples, name, result=result) if result else total(samples, name)


def wait_for_message(exporter: Exporter, text: str, times: int = 1) -> str:
    """Wait until an exporter has said something so often; give its last message of this sort."""

    def said() -> Sequence[str]:
        return [message for message in exporter.messages if text in message]

    wait_until(lambda: len(said()) >= times, what=f"the message {text}")
    assert len(said()) == times
    return said()[-1]
