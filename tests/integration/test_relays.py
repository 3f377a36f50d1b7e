"""HAProxy's log, forwarded by a real rsyslogd and a real syslog-ng, counts as HAProxy itself counts."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.haproxy import Doors, HAProxy, Row, number, open_doors, running_site, talk
from tests.integration.relays import RSYSLOG_TEMPLATES, Relay, running_rsyslog, running_syslog_ng
from tests.services import LINES, REQUESTS, line
from tests.support import Exporter, Samples, free_port, need, serving, total, wait_until

_LABELS = ("--labels", "status_code,status_class,frontend_name,backend_name,server_name")
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")

# Each way that a relay forwards: the relay, the mode, and of rsyslog the template.
_WAYS = (
    ("rsyslogd", "udp", RSYSLOG_TEMPLATES[0]),
    ("rsyslogd", "udp", RSYSLOG_TEMPLATES[2]),
    ("rsyslogd", "newline", RSYSLOG_TEMPLATES[0]),
    ("rsyslogd", "octet-counted", RSYSLOG_TEMPLATES[0]),
    ("rsyslogd", "octet-counted", RSYSLOG_TEMPLATES[1]),
    ("rsyslogd", "octet-counted", RSYSLOG_TEMPLATES[2]),
    ("syslog-ng", "udp", ""),
    ("syslog-ng", "udp-5424", ""),
    ("syslog-ng", "newline", ""),
    ("syslog-ng", "octet-counted", ""),
)
_STREAMS = tuple(
    way for way in _WAYS if way[1] in {"newline", "octet-counted"} and way[2] in {"", RSYSLOG_TEMPLATES[0]}
)

# HAProxy's headers that relays read, with what stands before the line; syslog-ng's source takes RFC 5424 elsewhere.
_HEADERS = {
    "local": b"<134>Nov 20 04:30:27 haproxy[1234]: ",
    "rfc3164": b"<134>Nov 20 04:30:27 web1 haproxy[1234]: ",
    "rfc5424": b"<134>1 2026-11-20T04:30:27.864650+00:00 web1 haproxy 1234 - - ",
}


# The last that is sent: who has counted it has counted all that was sent before.
_LAST = _HEADERS["local"] + line(299).replace(b" web bk/s1 ", b" last last/<NOSRV> ")


def _url(mode: str, port: int = 0) -> str:
    return f"{'udp' if mode.startswith('udp') else 'tcp'}://127.0.0.1:{port}"


def _running(way: tuple[str, str, str], folder: Path, port: int) -> AbstractContextManager[Relay]:
    relay, mode, template = way
    folder.mkdir()
    if relay == "rsyslogd":
        return running_rsyslog(folder, port, mode, template)
    return running_syslog_ng(folder, port, mode)


def _syslog_port(exporter: Exporter) -> int:
    return exporter._port(r"listening on (?:udp|tcp)://\S+, port (\d+)")


def _send(port: int, *messages: bytes) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        for message in messages:
            client.sendto(message, ("127.0.0.1", port))


def _get(doors: Doors, door: str, path: str) -> None:
    talk(doors[door].connect(), f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())


def _read_to_the_end(exporter: Exporter, relay: Relay) -> Samples:
    """Send a last line through the relay; what its exporter shows then is all."""
    _send(relay.port, _LAST)
    seen: list[Samples] = []

    def is_there() -> bool:
        seen[:] = [exporter.scrape()]
        return total(seen[0], REQUESTS, status_code="299") > 0

    wait_until(is_there, 60, "the last line")
    return seen[0]


def _compare(rows: list[Row], samples: Samples) -> None:
    """All that HAProxy counted by class, of frontends and of servers that answered, the exporter counted."""
    compared = 0
    for row in rows:
        proxy, part = row["pxname"], row["svname"]
        if part == "BACKEND" or (part == "FRONTEND" and row["mode"] != "http"):
            continue
        labels = {"frontend_name": proxy} if part == "FRONTEND" else {"backend_name": proxy, "server_name": part}
        for name in _CLASSES if row["mode"] == "http" else ():
            theirs = number(row, f"hrsp_{name}")
            assert total(samples, REQUESTS, status_class=name, **labels) == theirs, (proxy, part, name)
            compared += theirs
    assert compared > 200


def _make_traffic(doors: Doors) -> None:
    """Make requests, answered by two servers with all classes, and by HAProxy itself."""
    for _ in range(20):
        for door, path in (("web4", "/"), ("web4", "/404"), ("web6", "/500"), ("web4", "/302")):
            _get(doors, door, path)
        _get(doors, "web4", "/denied-in-front")
        _get(doors, "web4", "/" + "long" * 300)


@pytest.mark.parametrize("way", _WAYS, ids="-".join)
def test_counts_are_haproxys_own_behind_a_relay(tmp_path: Path, way: tuple[str, str, str]) -> None:
    """Whatever a relay puts before a line, and however it frames it, each request counts once, by class and server."""
    need("haproxy", "openssl", way[0])
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors())
        exporter = stack.enter_context(serving("--syslog", _url(way[1]), *_LABELS))
        relay = stack.enter_context(_running(way, tmp_path / "relay", _syslog_port(exporter)))
        haproxy = stack.enter_context(running_site(tmp_path, doors, [relay.port]))
        _make_traffic(doors)
        rows = _stopped(haproxy)
        samples = _read_to_the_end(exporter, relay)
        assert relay.dropped == 0
    _compare(rows, samples)
    requests = sum(number(row, "req_tot") for row in rows if row["svname"] == "FRONTEND")
    assert total(samples, LINES, result="counted") - 1 == total(samples, REQUESTS) - 1 == requests == 120
    assert total(samples, LINES, result="rejected") == 0
    assert total(samples, "haproxy_log_exporter_refused_total") == 0


def _stopped(haproxy: HAProxy) -> list[Row]:
    """Let HAProxy finish; give its last counts."""
    wait_until(haproxy.is_idle, what="HAProxy's last session")
    rows = haproxy.rows()
    haproxy.stop()
    return rows


@contextmanager
def _busy(doors: Doors) -> Iterator[Callable[[], int]]:
    """Make requests all the time; give what tells how many there were."""
    done = 0
    stop = threading.Event()

    def work() -> None:
        nonlocal done
        while not stop.is_set():
            _get(doors, "web4", "/404" if done % 3 else "/")
            done += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield lambda: done
    finally:
        stop.set()
        thread.join(30)


@pytest.mark.parametrize("way", _STREAMS, ids="-".join)
def test_a_restart_loses_nothing_of_a_relays_stream(tmp_path: Path, way: tuple[str, str, str]) -> None:
    """The exporter ends and comes back while a relay sends: all arrives, once."""
    need("haproxy", "openssl", way[0])
    port = free_port()
    options = ("--syslog", _url(way[1], port), "--state", tmp_path / "state", *_LABELS)
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors())
        relay = stack.enter_context(_running(way, tmp_path / "relay", port))
        haproxy = stack.enter_context(running_site(tmp_path, doors, [relay.port]))
        with _busy(doors) as done:
            for _ in range(2):
                _live_for_a_while(done, *options)
                _wait_for_more(done, 50)
        exporter = stack.enter_context(serving(*options))
        rows = _stopped(haproxy)
        samples = _read_to_the_end(exporter, relay)
    _compare(rows, samples)
    assert total(samples, REQUESTS) - 1 == done()
    assert total(samples, LINES, result="rejected") == 0


def _live_for_a_while(done: Callable[[], int], *options: str | Path) -> None:
    """Run the exporter until it has counted some lines, and end it while more come."""
    with serving(*options) as exporter:
        wait_until(_grown(exporter, total(exporter.scrape(), REQUESTS)), what="lines of the relay")
        _wait_for_more(done, 100)
        assert exporter.stop() == 0


def _wait_for_more(done: Callable[[], int], count: int) -> None:
    goal = done() + count
    wait_until(lambda: done() > goal, what="requests")


def _grown(exporter: Exporter, counted: float) -> Callable[[], bool]:
    return lambda: total(exporter.scrape(), REQUESTS) > counted + 50


@pytest.mark.parametrize("way", _WAYS, ids="-".join)
def test_each_header_that_a_relay_understands_arrives(tmp_path: Path, way: tuple[str, str, str]) -> None:
    """HAProxy's `format local`, `rfc3164` and, by rsyslogd, `rfc5424` are read behind what the relay makes of them."""
    need(way[0])
    headers = [header for name, header in _HEADERS.items() if way[0] == "rsyslogd" or name != "rfc5424"]
    hostile = [line(200, "/%09"), line(200, "/caf\xe9"), line(200, "/" + "a" * 3_000)]
    with ExitStack() as stack:
        exporter = stack.enter_context(serving("--syslog", _url(way[1]), *_LABELS))
        relay = stack.enter_context(_running(way, tmp_path / "relay", _syslog_port(exporter)))
        _send(relay.port, *(header + text for header in headers for text in (line(), *hostile)))
        samples = _read_to_the_end(exporter, relay)
    assert total(samples, REQUESTS, status_code="200") == len(headers) * 4
    assert total(samples, LINES, result="rejected") == 0
