"""HAProxy's log arrives whole by each way that it can be sent, in each of its formats, and counts as HAProxy does."""

import fcntl
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.configured_site import get, open_doors, request
from tests.integration.haproxy import Door, Doors, HAProxy, Row, h2load, number
from tests.integration.transports import (
    COUNTING,
    FORMATS,
    JAIL,
    NEWLINE,
    OCTETS,
    TLS,
    TRANSPORTS,
    UNIX,
    Rings,
    Route,
    Transport,
    count_lines,
    differences,
    listening_port,
    logged,
    make_certificates,
    queued,
    ring,
    running_site,
    site,
)
from tests.services import wait_for
from tests.support import EACH_PATH, Exporter, Samples, need, serving, total, wait_until

_PATHS = ("/200", "/404", "/503")
_LAST = "/last"  # who has read its line has read all before it
_REFUSED = "haproxy_log_exporter_refused_total"
_DROPPED = "haproxy_log_exporter_events_dropped_total"
_REQUESTS = "haproxy_log_requests_total"

_BY_PATH = ("--labels", "http_request_path", "--metrics", "requests_total", *EACH_PATH)


def _need(transport: Transport) -> None:
    """Skip where there is not what a transport needs; only root may confine HAProxy to a directory."""
    need("haproxy", "h2load", "openssl", "ss")
    if transport is JAIL and os.geteuid():
        pytest.skip("chroot needs root")


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.name)
def test_formats(transport: Transport, tmp_path: Path) -> None:
    """Each format, sent to a source of its own, has all lines; what they add up to is what HAProxy counts itself."""
    _need(transport)
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "tcp"))
        route = Route(transport, tmp_path)
        exporter = stack.enter_context(serving(*route.options, *COUNTING))
        assert exporter.port
        haproxy = stack.enter_context(running_site(tmp_path, doors, route.configure(exporter, doors)))
        if transport.is_gentle:
            _ask_gently(doors, tmp_path)
        else:
            _ask(doors)
        rows = _finish(haproxy)
        lines = logged(rows)
        samples = _read(exporter, dict.fromkeys(route.sources.values(), lines))
        assert {source: count_lines(samples, source) for source in route.sources.values()} == {
            source: {"counted": lines} for source in route.sources.values()
        }
        assert differences(rows, samples, len(FORMATS)) == {}
        assert haproxy.info()["DroppedLogs"] == "0"
        assert total(samples, _REFUSED) == 0
        assert exporter.stop() == 0


def _ask(doors: Doors) -> None:
    """Send requests to all proxies."""
    h2load(300, 4, ["--h1", *(f"http://{doors['web'].place}{path}" for path in _PATHS)])
    for _ in range(20):
        assert get(doors["tcp"]).endswith(b"hello")


def _ask_gently(doors: Doors, folder: Path) -> None:
    """Send requests to all proxies, each when what was logged before has been read."""
    for turn in range(30):
        assert get(doors["web"], _PATHS[turn % len(_PATHS)])
        assert get(doors["tcp"]).endswith(b"hello")
        wait_until(lambda: not queued(folder), what="the exporter to read its sockets")


def _finish(haproxy: HAProxy) -> list[Row]:
    """Wait for the last session; give HAProxy's counts."""
    wait_until(haproxy.is_idle, what="HAProxy's last session")
    rows = haproxy.rows()
    [web] = [row for row in rows if (row["pxname"], row["svname"]) == ("web", "FRONTEND")]
    assert all(number(web, f"hrsp_{digit}xx") for digit in "245"), web
    return rows


def _read(exporter: Exporter, lines: dict[str, int]) -> Samples:
    """Wait until sources have read so many lines."""

    def are_read(samples: Samples) -> bool:
        return all(sum(count_lines(samples, source).values()) >= count for source, count in lines.items())

    return wait_for(exporter, are_read, f"{lines}")


def test_stdin(tmp_path: Path) -> None:
    """HAProxy's standard output is a pipe to the exporter; all formats on it count, and its end is the exporter's."""
    need("haproxy", "h2load")
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)  # what finds it full HAProxy drops
    with ExitStack() as stack:
        with open(reading, "rb"), open(writing, "wb"):
            doors = stack.enter_context(open_doors("web", "tcp"))
            logs = "".join(f"    log stdout format {format_} local0\n" for format_ in FORMATS)
            exporter = stack.enter_context(serving("--stdin", *COUNTING, stdin=reading))
            assert exporter.port
            # Of two threads that write to a descriptor at the same time, one soon gives up.
            config = "global\n    nbthread 1\n" + site(doors, logs)
            haproxy = stack.enter_context(running_site(tmp_path, doors, config, writing))
        _ask(doors)
        rows = _finish(haproxy)
        times = len(FORMATS)
        samples = _read(exporter, {"stdin": times * logged(rows)})
        assert count_lines(samples, "stdin") == {"counted": times * logged(rows)}
        assert differences(rows, samples, times) == {}
        assert haproxy.info()["DroppedLogs"] == "0"
        haproxy.stop()
        wait_until(lambda: exporter.process.poll() is not None, what="the exporter's end")
        assert exporter.stop() == 0


def test_restarts(tmp_path: Path) -> None:
    """HAProxy's rings keep what comes while the exporter is restarted, twice; each request counts, once by each."""
    need("haproxy", "openssl")
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "tcp"))
        rings = Rings(tmp_path, [NEWLINE, OCTETS, TLS], _free_places(3))
        options = [*rings.options, "--state", str(tmp_path / "state.db"), *_BY_PATH]
        stack.enter_context(running_site(tmp_path, doors, rings.configure(doors, "local")))
        sender = stack.enter_context(ThreadPoolExecutor(1))
        over = threading.Event()
        stack.callback(over.set)
        sent = sender.submit(_send, doors["web"], over)
        counted = dict.fromkeys(rings.urls, 0.0)
        for _ in range(2):
            with serving(*options) as exporter:
                counted = _count_more(exporter, counted)
                assert exporter.stop() == 0, exporter.messages
        with serving(*options) as exporter:
            _count_more(exporter, counted)
            over.set()
            wanted = {**sent.result(), _LAST: 1}
            samples = _read_last(exporter, doors["web"], len(rings.urls))
            assert exporter.stop() == 0
    lines = sum(wanted.values())
    assert {url: count_lines(samples, url) for url in rings.urls} == {url: {"counted": lines} for url in rings.urls}
    counts = {path: total(samples, _REQUESTS, http_request_path=path) for path in wanted}
    assert counts == {path: len(rings.urls) * count for path, count in wanted.items()}


def _free_places(count: int) -> list[str]:
    """Find ports for several exporters in turn, of an address that no other process of these tests uses."""
    process = os.getpid()
    host = f"127.{64 + (process >> 16) % 64}.{(process >> 8) % 256}.{process % 256}"
    with ExitStack() as stack:
        probes = [stack.enter_context(Door(host, listening=False).socket) for _ in range(count)]
        return [f"{host}:{probe.getsockname()[1]}" for probe in probes]


def _send(door: Door, over: threading.Event) -> dict[str, int]:
    """Send requests, some thousand a second, until it is over; count them by path."""
    paths = [f"/{place}" for place in range(20)]
    block = b"".join(request(path, Host="localhost") for path in paths)
    turns = 0
    with door.connect() as client:
        while not over.wait(0.005):
            client.sendall(block)
            answers = b""
            while answers.count(b"hello") < len(paths):
                answer = client.recv(1 << 16)
                assert answer
                answers += answer
            turns += 1
    return dict.fromkeys(paths, turns)


def _count_more(exporter: Exporter, than: dict[str, float]) -> dict[str, float]:
    """Wait until each source has counted more than when the exporter was stopped; give their counts."""

    def counts(samples: Samples) -> dict[str, float]:
        return {url: count_lines(samples, url).get("counted", 0) for url in than}

    return counts(wait_for(exporter, lambda samples: all(counts(samples)[url] > than[url] for url in than), "more"))


def _read_last(exporter: Exporter, door: Door, times: int) -> Samples:
    """Make a last request, and wait until its line has come as many times; so have all before it."""
    assert get(door, _LAST)
    return wait_for(
        exporter, lambda samples: total(samples, _REQUESTS, http_request_path=_LAST) == times, "the last request"
    )


def test_full_ring(tmp_path: Path) -> None:
    """What HAProxy's ring has no room for, it says later; so no request is unaccounted for.

    A ring that has never been read overwrites its oldest messages in place of that, and says nothing.
    """
    need("haproxy", "h2load")
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "tcp"))
        rings = Rings(tmp_path, [NEWLINE, OCTETS], _free_places(2), size=1 << 16)
        options = [*rings.options, "--state", str(tmp_path / "state.db"), *_BY_PATH]
        with serving(*options) as exporter:
            assert exporter.port
            haproxy = stack.enter_context(running_site(tmp_path, doors, rings.configure(doors, "timed")))
            assert get(doors["web"])
            _count_more(exporter, dict.fromkeys(rings.urls, 0.0))
            assert exporter.stop() == 0
        h2load(1000, 4, ["--h1", f"http://{doors['web'].place}/200"])
        wait_until(haproxy.is_idle, what="HAProxy's last session")
        with serving(*options) as exporter:
            _count_more(exporter, dict.fromkeys(rings.urls, 1.0))
            samples = _read_last(exporter, doors["web"], len(rings.urls))
    for url in rings.urls:
        lines, dropped = count_lines(samples, url), total(samples, _DROPPED, source=url)
        assert 100 < lines["counted"] < 900
        assert lines["counted"] + dropped == 1002
        assert lines.keys() == {"counted", "notice"}


@pytest.mark.parametrize("transport", [UNIX, JAIL], ids=lambda transport: transport.name)
def test_new_sockets(transport: Transport, tmp_path: Path) -> None:
    """HAProxy goes on with the sockets of the next exporter, which replaces what one that was killed has left."""
    _need(transport)
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "tcp"))
        route = Route(transport, tmp_path)
        options = [*route.options, *COUNTING, "--state", str(tmp_path / "state.db")]
        with serving(*options) as exporter:
            haproxy = stack.enter_context(running_site(tmp_path, doors, route.configure(exporter, doors)))
            _ask_and_read(exporter, route, doors["web"], 1)
            assert exporter.stop(signal.SIGKILL) == -signal.SIGKILL
        paths = [Path(url.removeprefix("unix://")) for url in route.sources.values()]
        assert all(path.is_socket() for path in paths)
        with serving(*options) as exporter:
            samples = _ask_and_read(exporter, route, doors["web"], 2)
            assert exporter.stop() == 0
        assert not any(path.exists() for path in paths)
        wait_until(haproxy.is_idle, what="HAProxy's last session")
        assert differences(haproxy.rows(), samples, len(FORMATS)) == {}


def _ask_and_read(exporter: Exporter, route: Route, door: Door, lines: int) -> Samples:
    """Make a request of an exporter that is up; wait until each source has so many lines."""
    assert exporter.port
    assert get(door)
    return _read(exporter, dict.fromkeys(route.sources.values(), lines))


def test_refused_by_tls(tmp_path: Path) -> None:
    """Who has no certificate, or a stranger's, or speaks no TLS is refused and counted; who has one is read."""
    need("haproxy", "openssl")
    make_certificates(tmp_path)
    trust = f"ssl verify required ca-file {tmp_path}/authority.pem verifyhost localhost"
    servers = {
        "good": f"{trust} crt {tmp_path}/client.both",
        "anonymous": trust,
        "foreign": f"{trust} crt {tmp_path}/foreign.both",
        "plain": "",
    }
    urls = {name: f"tls://127.0.0.{place}:0" for place, name in enumerate(servers, 1)}
    options = [text for url in urls.values() for text in ("--syslog", url)]
    options += ["--syslog-tls-certificate", f"{tmp_path}/server.pem", "--syslog-tls-key", f"{tmp_path}/server.key"]
    options += ["--syslog-tls-client-ca", f"{tmp_path}/authority.pem"]
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "tcp"))
        exporter = stack.enter_context(serving(*options, *COUNTING))
        rings = [
            ring(name, "rfc5424", f"127.0.0.{place}:{listening_port(exporter, urls[name])} {server}")
            for place, (name, server) in enumerate(servers.items(), 1)
        ]
        logs = "".join(f"    log ring@{name} len 2048 local0\n" for name in servers)
        config = "".join(rings) + site(doors, logs)
        haproxy = stack.enter_context(running_site(tmp_path, doors, config))
        for path in _PATHS:
            assert get(doors["web"], path)
        rows = _finish(haproxy)

        def are_refused(samples: Samples) -> bool:
            refused = (total(samples, _REFUSED, source=urls[name], reason="handshake") for name in servers)
            return [count > 0 for count in refused] == [name != "good" for name in servers]

        _read(exporter, {urls["good"]: logged(rows)})
        samples = wait_for(exporter, are_refused, "refused handshakes")
        assert {name: count_lines(samples, url) for name, url in urls.items()} == {
            **{name: {} for name in servers},
            "good": {"counted": len(_PATHS)},
        }
        assert differences(rows, samples, 1) == {}
        refused = {dict(labels)["reason"] for (name, labels), value in samples.items() if name == _REFUSED and value}
        assert refused == {"handshake"}
