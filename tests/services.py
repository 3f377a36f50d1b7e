"""Services for tests, within the test's own process and as processes, and what they show."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from haproxy_log_exporter.given import Source
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.service import Service
from tests.support import Exporter, Samples, read_samples, wait_until

REQUESTS = "haproxy_log_requests_total"
LINES = "haproxy_log_exporter_lines_total"


def line(status: int = 200, path: str = "/") -> bytes:
    """Write a line as HAProxy does."""
    request = f'"GET {path} HTTP/1.1"'
    return (
        f"1.2.3.4:5 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/3/4 {status} 228 - - ---- 1/1/0/0/0 0/0 {request}\n"
    ).encode()


def append(path: Path, *lines: bytes) -> None:
    """Write lines to the end of a log."""
    with path.open("ab") as file:
        file.writelines(lines)


def make_service(**texts: list[str]) -> Service:
    """Make a service from the texts of options, listening on a port of its own choice; SIGHUP reads them again."""
    source = Source({"listen_address": ["127.0.0.1:0"], **texts}, {})
    return Service(source.read(), source.read)


@contextmanager
def running(service: Service) -> Iterator[None]:
    """Run a service in a thread until the block is left; what it raises is raised here."""
    ready = threading.Event()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            service.run(ready.set)
        except BaseException as error:  # noqa: BLE001 -- handed over
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        wait_until(lambda: ready.is_set() or raised, what="the service")
        yield
    finally:
        service.stop()
        thread.join(30)
        assert not thread.is_alive(), "the service does not stop"
    if raised:
        raise raised[0]


def shown(service: Service) -> Samples:
    """Read the log metrics that a scrape would show."""
    return read_samples(b"".join(render(service.pipeline.shown().tables, open_metrics=False)).decode())


def wait_for(exporter: Exporter, holds: Callable[[Samples], object], what: str) -> Samples:
    """Scrape until a condition holds; give the last scrape."""
    seen: list[Samples] = []

    def look() -> object:
        seen[:] = [exporter.scrape()]
        return holds(seen[0])

    wait_until(look, 60, what)
    return seen[0]


def times_said(exporter: Exporter, text: str) -> int:
    """Count the messages that hold a text."""
    return sum(text in message for message in exporter.messages)
