"""What the exporter counts is what HAProxy counts: its own `show stat` against the log, by UDP and through rsyslogd."""

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.integration.haproxy import (
    Doors,
    HAProxy,
    Row,
    h2load,
    hang_up,
    number,
    open_doors,
    read_all,
    running_rsyslog,
    running_site,
    talk,
)
from tests.support import Exporter, Samples, need, read_samples, run, serving, total, wait_until

_METRICS = (
    "requests_total", "sessions_total", "response_duration_seconds", "total_duration_seconds",
    "request_duration_seconds", "queue_duration_seconds", "connect_duration_seconds", "bytes_read_total",
    "retries_total", "redispatches_total", "server_queue_length", "backend_queue_length", "aborts_total",
    "connection_errors_total", "notices_total",
)  # fmt: skip
_LABELS = ("status_class", "status_code", "frontend_name", "backend_name", "server_name")
_COUNTING = ("--labels", ",".join(_LABELS), "--metrics", ",".join(_METRICS))

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")

# A request whose line in the log is longer than HAProxy writes it (`log … len 1024`).
_LONG_PATH = "/" + "long" * 300
_LONG = 60
_RARE = 40

# Of a format that nothing else in a run has: whoever has read it has read all that was sent before it.
_LAST_WORDS = b"<134>Nov 20 04:30:53 haproxy[1]: Connect from 127.0.0.1:1 to 127.0.0.1:2 (last/HTTP)\n"


@dataclass(frozen=True)
class _Outcome:
    """What a run left behind: HAProxy's numbers, what both exporters and two counts of the files show."""

    rows: list[Row]
    info: Row
    rsyslog_dropped: int
    udp: Samples
    file: Samples
    iso_log: bytes
    counted: list[Samples]


def test_counts_are_haproxys_own(tmp_path: Path) -> None:
    """Whatever HAProxy counts of its traffic, its log gives the same number, by either way, to the last request.

    Lines go to one exporter over UDP and, through rsyslogd and a file, to another. These are equal, of HAProxy 2.6, by
    its src/stream.c and src/http_ana.c and by experiment, rows of `show stat` and lines with their names:

    FRONTEND  hrsp_Nxx      lines with that status class, whoever answered: a server, HAProxy in a backend's name
                            (the server is <NOSRV> or the one that was tried), or the frontend, which then stands in
                            the backend's place too. <BADREQ>, with 400 or 408, is among them.
              hrsp_other    lines with status -1: the client left before there was an answer.
              req_tot       all of these. Lines with status 0 are in no counter but stot: HTTP/2 connections that
                            ended before a request, which HAProxy logs as <BADREQ> all the same.
              ereq          lines with TR -1 and a status other than 0: no complete request came.
              conn_tot-stot error lines: connections that never became a session, for lack of a TLS handshake.
              stot          in TCP mode, lines; in HTTP mode connections, of which the log tells nothing.
    BACKEND   hrsp_*        as for the frontend.
              req_tot, stot lines; in TCP mode stot alone.
              econ          lines with Tc -1, where that means that connecting failed or that there was no server; it
                            is -1 too where nobody tried.
              eresp         lines with Tr -1 and class 5xx, where the server never answers.
    server    hrsp_*        lines whose Tr is not -1: answers that came from the server. What HAProxy says in its
                            place, 503 or 504, is in its backend's alone.
              req_tot       all of these, which is how many response_duration_seconds has seen.
              stot          attempts to connect: for all servers of a backend together, their lines and retries, if
                            no client left between two attempts.
    each      bout          %B, added up. Both leave out what HAProxy answers to a <BADREQ>.
              wretr+wredis  %rc, added up: what is tried elsewhere is redispatched in place of retried. Where there
                            is redispatching not for a server, since the line names the last one.
              wredis        lines with a + before %rc; with two servers nobody moves twice.
              dreq          lines with status 403, where no server gives it.

    cli_abrt and srv_abrt have no such lines: they count also who left after an answer with any status.
    """
    need("haproxy", "rsyslogd", "h2load", "openssl")
    outcome = _play(tmp_path)
    assert [outcome.info["DroppedLogs"], outcome.rsyslog_dropped] == ["0", 0]
    assert total(outcome.udp, "haproxy_log_exporter_datagrams_dropped_total") == 0

    for samples in (outcome.udp, outcome.file):
        compared = [*_compare(outcome.rows, samples)]
        different = [row for row in compared if row.theirs != row.ours]
        assert not different, "\n".join(map(str, different))
        assert {row.counter for row in compared if row.theirs} == {row.counter for row in compared} - {"hrsp_1xx"}
        _check_accounting(outcome, samples)
    log_metrics = _log_metrics(outcome.udp)
    assert _log_metrics(outcome.file) == log_metrics
    assert outcome.counted == [log_metrics, log_metrics]


def _play(folder: Path) -> _Outcome:
    """Run all programs, send all traffic, and wait until everything that was logged has been read."""
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors())
        by_udp = stack.enter_context(serving("--syslog", "udp://127.0.0.1:0", *_COUNTING))
        by_file = stack.enter_context(serving("--file", folder / "iso*.log", *_COUNTING))
        assert by_file.port  # it is up: a file that it found at its start it would read from the end
        rsyslog = stack.enter_context(running_rsyslog(folder))
        ports = (by_udp.syslog_port, rsyslog.port)
        haproxy = stack.enter_context(running_site(folder, doors, ports))
        _send_traffic(doors, folder / "web.sock")
        rows, info = _finish(haproxy)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for port in ports:
                sender.sendto(_LAST_WORDS, ("127.0.0.1", port))
        udp, file = (_read_to_the_end(exporter) for exporter in (by_udp, by_file))
        dropped = rsyslog.dropped
        rsyslog.stop()
        counts = [run("count", *_COUNTING, log).stdout.decode() for log in (rsyslog.iso, rsyslog.traditional)]
        return _Outcome(rows, info, dropped, udp, file, rsyslog.iso.read_bytes(), [*map(read_samples, counts)])


class _Load(NamedTuple):
    """One run of h2load."""

    requests: int
    clients: int
    arguments: Sequence[str]


def _send_traffic(doors: Doors, unix_door: Path) -> None:
    """Send well-behaved requests in bulk, and all that clients do wrong meanwhile."""
    web, web6, tls = f"http://{doors['web4'].place}", f"http://{doors['web6'].place}", f"https://{doors['tls'].place}"
    answers = ("/", "/404", "/500", "/", "/302")
    rare = ("/denied-in-front", "/denied-behind", "/stats", "/down", "/flaky")
    loads = [
        _Load(24_000, 8, ["--h1", *(web + path for path in answers)]),
        _Load(24_000, 4, ["--max-concurrent-streams=8", *(tls + path for path in answers)]),
        _Load(1_000, 4, ["--h1", *(web6 + path for path in answers)]),
        _Load(1_000, 4, ["--h1", f"--base-uri=unix:{unix_door}", *(web + path for path in answers)]),
        _Load(5 * _RARE, 4, ["--h1", *(web + path for path in rare)]),
        _Load(200, 20, ["--h1", f"{web}/narrow"]),
        _Load(_LONG, 2, ["--h1", web + _LONG_PATH]),
        _Load(_RARE, _RARE, ["--h1", f"{web}/refused"]),
    ]
    with ThreadPoolExecutor(len(loads)) as pool:
        finished = [pool.submit(h2load, *load) for load in loads]
        _misbehave(doors)
        for load in finished:
            load.result()
    h2load(_RARE, _RARE, ["--h1", f"{web}/mute"])


def _misbehave(doors: Doors) -> None:
    """Send garbage, break off at every stage, hold connections open for nothing, and speak to the wrong door."""
    web, tls, tcp, tcp_refused = (doors[name] for name in ("web4", "tls", "tcp", "tcp_refused"))
    request = b"GET /%s HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    idle = [web.connect() for _ in range(5)]
    for turn in range(_RARE):
        reset = turn % 2 == 0
        assert talk(web.connect(), b"garbage\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert b" 400 " in talk(tls.connect("http/1.1"), b"\x16\x03garbage\r\n\r\n")
        talk(tls.connect("h2"), b"garbage\r\n" * 5)
        talk(tls.connect(), request % b"")
        assert b"hello" in talk(tcp.connect(), request % b"")
        assert talk(tcp_refused.connect(), request % b"") == b""
        for door in (web, tls, tcp):
            hang_up(door.connect(), reset=reset)
        begun = web.connect()
        begun.sendall(request[:7])
        hang_up(begun, reset=reset)
        for client in (web.connect(), tls.connect("http/1.1")):
            client.sendall(request % b"mute")
            server, _ = doors["silent"].socket.accept()
            with server:
                server.settimeout(30)
                assert server.recv(1 << 16).startswith(b"GET /mute ")
                hang_up(client, reset=reset)
                assert read_all(server) == b""
    for client in idle:
        assert talk(client, b"").startswith(b"HTTP/1.1 408 ")


def _finish(haproxy: HAProxy) -> tuple[list[Row], Row]:
    """Wait for the last session, take HAProxy's numbers, and let it end."""
    wait_until(haproxy.is_idle, what="HAProxy's last session")
    rows, info = haproxy.rows(), haproxy.info()
    haproxy.stop()
    return rows, info


def _read_to_the_end(exporter: Exporter) -> Samples:
    """Wait until an exporter has read the last words; give its metrics."""
    seen: list[Samples] = []

    def done() -> bool:
        seen[:] = [exporter.scrape()]
        return total(seen[0], "haproxy_log_exporter_parsed_total", format="connect") == 1

    wait_until(done, 60, "the last line")
    return seen[0]


class _Comparison(NamedTuple):
    """HAProxy's number and ours, of one counter of one row."""

    proxy: str
    server: str
    counter: str
    theirs: float
    ours: float


def _compare(rows: list[Row], samples: Samples) -> Iterator[_Comparison]:
    """Compare each row, and each backend's servers together."""
    logged = _Logged(samples)
    for row in rows:
        compare = {"FRONTEND": _compare_frontend, "BACKEND": _compare_backend}.get(row["svname"], _compare_server)
        for pair in compare(row, logged):
            yield _Comparison(row["pxname"], row["svname"], *pair)
    for backend in {row["pxname"] for row in rows if row["svname"] == "BACKEND"}:
        servers = [row for row in rows if row["pxname"] == backend and row["svname"] != "BACKEND"]
        attempts = sum(logged.lines(backend_name=backend, server_name=row["svname"]) for row in servers)
        attempts += logged.sum_of("retries_total", backend_name=backend)
        yield _Comparison(backend, "", "stot", sum(number(row, "stot") for row in servers), attempts)


@dataclass(frozen=True)
class _Logged:
    """What an exporter shows, with the differences between a line and a request taken out."""

    samples: Samples

    def sum_of(self, metric: str, **labels: str) -> float:
        """Add up a log metric."""
        return total(self.samples, f"haproxy_log_{metric}", **labels)

    def lines(self, **labels: str) -> float:
        """Count lines of both kinds but for those with status 0, which are no requests."""
        return self.requests(**labels) + self.sum_of("sessions_total", **labels)

    def requests(self, **labels: str) -> float:
        """Count HTTP lines but for those with status 0."""
        return self.sum_of("requests_total", **labels) - self.sum_of("requests_total", status_code="0", **labels)

    def aborts(self, phase: str, **labels: str) -> float:
        """Count lines that did not reach a phase, but for those with status 0."""
        found = self.sum_of("aborts_total", phase=phase, **labels)
        return found - self.sum_of("aborts_total", phase=phase, status_code="0", **labels)


_Pairs = Iterator[tuple[str, float, float]]  # a counter's name, HAProxy's number, ours


def _compare_frontend(row: Row, logged: _Logged) -> _Pairs:
    mine = {"frontend_name": row["pxname"]}
    errors = logged.sum_of("connection_errors_total", **mine)
    yield "conn_tot-stot", number(row, "conn_tot") - number(row, "stot"), errors
    yield "bout", number(row, "bout"), logged.sum_of("bytes_read_total", **mine)
    if row["mode"] == "http":
        yield from _compare_classes(row, logged, mine)
        yield "dreq", number(row, "dreq"), logged.sum_of("requests_total", status_code="403", **mine)
        yield "ereq", number(row, "ereq"), logged.aborts("request", **mine)
    else:
        yield "stot", number(row, "stot"), logged.sum_of("sessions_total", **mine)


def _compare_backend(row: Row, logged: _Logged) -> _Pairs:
    mine = {"backend_name": row["pxname"]}
    yield "stot", number(row, "stot"), logged.lines(**mine)
    yield "bout", number(row, "bout"), logged.sum_of("bytes_read_total", **mine)
    yield "wretr+wredis", number(row, "wretr") + number(row, "wredis"), logged.sum_of("retries_total", **mine)
    yield "wredis", number(row, "wredis"), logged.sum_of("redispatches_total", **mine)
    if row["mode"] == "http":
        yield from _compare_classes(row, logged, mine)
        yield "dreq", number(row, "dreq"), logged.sum_of("requests_total", status_code="403", **mine)
    if row["pxname"] in ("refused", "down", "tcp-refused"):
        yield "econ", number(row, "econ"), logged.aborts("connect", **mine)
    if row["pxname"] == "mute":
        yield "eresp", number(row, "eresp"), logged.aborts("response", status_class="5xx", **mine)


def _compare_server(row: Row, logged: _Logged) -> _Pairs:
    mine = {"backend_name": row["pxname"], "server_name": row["svname"]}
    yield "bout", number(row, "bout"), logged.sum_of("bytes_read_total", **mine)
    if row["pxname"] != "flaky":
        yield "wretr", number(row, "wretr"), logged.sum_of("retries_total", **mine)
    if row["mode"] == "http":
        for class_ in _CLASSES:
            answers = logged.requests(status_class=class_, **mine)
            answers -= logged.aborts("response", status_class=class_, **mine)
            yield f"hrsp_{class_}", number(row, f"hrsp_{class_}"), answers
        yield "req_tot", number(row, "req_tot"), logged.sum_of("response_duration_seconds_count", **mine)


def _compare_classes(row: Row, logged: _Logged, mine: dict[str, str]) -> _Pairs:
    for class_ in _CLASSES:
        yield f"hrsp_{class_}", number(row, f"hrsp_{class_}"), logged.requests(status_class=class_, **mine)
    yield "hrsp_other", number(row, "hrsp_other"), logged.requests(status_class="", **mine)
    yield "req_tot", number(row, "req_tot"), logged.requests(**mine)


def _check_accounting(outcome: _Outcome, samples: Samples) -> None:
    """Each line of the log was read, once, and is either counted or a notice."""
    lines = outcome.iso_log.count(b"\n")
    own = {name: _by(samples, f"haproxy_log_exporter_{name}") for name in ("lines_total", "parsed_total")}
    notices = total(samples, "haproxy_log_notices_total")
    assert own["lines_total"] == {"counted": lines - notices, "notice": notices, "filtered": 0, "rejected": 0}
    logged = _Logged(samples)
    # A line that was cut may be read as either format of HTTP: they begin alike.
    own["parsed_total"]["http"] = sum(own["parsed_total"].pop(name) for name in ("httplog", "httpslog"))
    assert own["parsed_total"] == {
        "http": logged.sum_of("requests_total"),
        "tcplog": logged.sum_of("sessions_total"),
        "error": logged.sum_of("connection_errors_total", frontend_name="tls"),
        "connect": 1,
    }
    assert total(samples, "haproxy_log_exporter_lines_truncated_total") == _LONG
    downs = sum(number(row, "chkdown") for row in outcome.rows if row["svname"] == "BACKEND")
    assert [logged.sum_of("notices_total", kind=kind) for kind in ("server_down", "no_server_available")] == [downs, 1]
    assert logged.sum_of("notices_total", kind="proxy_stopped") >= len({row["pxname"] for row in outcome.rows})
    if position := _by(samples, "haproxy_log_exporter_source_position_bytes"):
        size = len(outcome.iso_log)
        assert [*position.values(), total(samples, "haproxy_log_exporter_bytes_read_total")] == [size, size]


def _log_metrics(samples: Samples) -> Samples:
    """Take the metrics of the log alone."""
    return {
        key: value
        for key, value in samples.items()
        if key[0].startswith("haproxy_log_") and not key[0].startswith("haproxy_log_exporter_")
    }


def _by(samples: Samples, name: str) -> dict[str, float]:
    """Give a metric's values by its one label besides the source."""
    return {
        "".join(text for label, text in labels if label != "source"): value
        for (sample, labels), value in samples.items()
        if sample == name
    }
