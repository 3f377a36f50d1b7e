"""HAProxy's log arrives whole by each way that it can be sent, in each of its formats, and counts as HAProxy does."""

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
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
from tests.support import Exporter, Samples, need, serving, total, wait_until

_PATHS = ("/200", "/404", "/503")
_FIRST = "/first"
_LAST = "/last"  # who has read its line has read all before it
_REFUSED = "haproxy_log_exporter_refused_total"
_REQUESTS = "haproxy_log_requests_total"


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
            haproxy = stack.enter_context(running_site(tmp_path, doors, site(doors, logs), writing))
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


@pytest.mark.parametrize("transport", [NEWLINE, OCTETS, TLS], ids=lambda transport: transport.name)
def test_restarts(transport: Transport, tmp_path: Path) -> None:
    """HAProxy's ring keeps what comes while the exporter is restarted, twice; each request counts, and once."""
    _need(transport)
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "tcp"))
        route = Route(transport, tmp_path)
        place = _free_place()
        url = f"{transport.url.partition(':')[0]}://{place}"
        options = ["--syslog", url, *map(route.fill, transport.options), "--state", str(tmp_path / "state.db")]
        options += ["--labels", "http_request_path", "--metrics", "requests_total"]
        config = ring("kept", "local", f"{place} {route.fill(transport.server)}")
        config += site(doors, "    log ring@kept len 2048 local0\n")
        stack.enter_context(running_site(tmp_path, doors, config))
        sender = stack.enter_context(ThreadPoolExecutor(1))
        over = threading.Event()
        stack.callback(over.set)
        sent = sender.submit(_send, doors["web"], over)
        counted = 0.0
        for _ in range(2):
            with serving(*options) as exporter:
                counted = _count_more(exporter, counted)
                assert exporter.stop() == 0, exporter.messages
        with serving(*options) as exporter:
            _count_more(exporter, counted)
            over.set()
            wanted = sent.result()
            get(doors["web"], _LAST)
            samples = wait_for(exporter, lambda samples: total(samples, _REQUESTS, http_request_path=_LAST), "the rest")
            assert exporter.stop() == 0
    assert {path: total(samples, _REQUESTS, http_request_path=path) for path in wanted} == wanted
    assert total(samples, _REQUESTS) == sum(wanted.values()) + 1
    assert total(samples, "haproxy_log_exporter_lines_total", result="rejected") == 0


@pytest.mark.parametrize("transport", [NEWLINE, OCTETS], ids=lambda transport: transport.name)
def test_full_ring(transport: Transport, tmp_path: Path) -> None:
    """What HAProxy's ring has no room for, it says later; so no request is unaccounted for.

    A ring that has never been read overwrites its oldest messages in place of that, and says nothing.
    """
    _need(transport)
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "tcp"))
        place = _free_place()
        config = ring("small", "timed", f"{place} {transport.server}", size=1 << 16)
        config += site(doors, "    log ring@small len 2048 local0\n")
        options = ["--syslog", f"tcp://{place}", "--state", str(tmp_path / "state.db"), "--labels", "http_request_path"]
        with serving(*options) as exporter:
            haproxy = stack.enter_context(running_site(tmp_path, doors, config))
            assert get(doors["web"], _FIRST)
            wait_for(exporter, lambda samples: total(samples, _REQUESTS, http_request_path=_FIRST), "the first line")
            assert exporter.stop() == 0
        h2load(1000, 4, ["--h1", f"http://{doors['web'].place}/200"])
        wait_until(haproxy.is_idle, what="HAProxy's last session")
        exporter = stack.enter_context(serving(*options))
        kept = total(wait_for(exporter, lambda samples: total(samples, _REQUESTS) > 1, "what was kept"), _REQUESTS)
        assert get(doors["web"], _LAST)
        samples = wait_for(exporter, lambda samples: total(samples, _REQUESTS, http_request_path=_LAST), "the rest")
    assert 100 < kept < 900
    assert total(samples, _REQUESTS) == kept + 1
    assert total(samples, _REQUESTS) + total(samples, "haproxy_log_exporter_events_dropped_total") == 1002
    assert "rejected" not in count_lines(samples, f"tcp://{place}")


@pytest.mark.parametrize("transport", [UNIX, JAIL], ids=lambda transport: transport.name)
def test_new_sockets(transport: Transport, tmp_path: Path) -> None:
    """HAProxy goes on with the sockets that the next exporter makes, and does not have to be started again."""
    _need(transport)
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "tcp"))
        route = Route(transport, tmp_path)
        options = [*route.options, *COUNTING, "--state", str(tmp_path / "state.db")]
        exporter = stack.enter_context(serving(*options))
        haproxy = stack.enter_context(running_site(tmp_path, doors, route.configure(exporter, doors)))
        for count in (1, 2, 3):
            assert exporter.port
            assert get(doors["web"])
            samples = _read(exporter, dict.fromkeys(route.sources.values(), count))
            assert exporter.stop() == 0
            exporter = stack.enter_context(serving(*options))
        wait_until(haproxy.is_idle, what="HAProxy's last session")
        assert differences(haproxy.rows(), samples, len(FORMATS)) == {}


def _free_place() -> str:
    """Find a port for several exporters in turn, of an address that no other process of these tests uses."""
    process = os.getpid()
    host = f"127.{64 + (process >> 16) % 64}.{(process >> 8) % 256}.{process % 256}"
    with closing(Door(host, listening=False).socket) as probe:
        return f"{host}:{probe.getsockname()[1]}"


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


def _count_more(exporter: Exporter, than: float) -> float:
    """Wait until more requests are counted than were when the exporter was stopped; give their number."""
    samples = wait_for(exporter, lambda samples: total(samples, _REQUESTS) > than, "more requests")
    return total(samples, _REQUESTS)


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
