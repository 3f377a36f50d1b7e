"""What HAProxy sends by two loggers, by samples and to a standard output, and what others send, counts as it should."""

import re
import time
from contextlib import ExitStack
from html import unescape
from pathlib import Path

from tests.integration.configured_site import Watch, count_lines, get, open_doors, running, send
from tests.integration.haproxy import number, running_haproxy
from tests.logformat.wrapping import docker
from tests.support import Exporter, Samples, need, serving, total, wait_until

_SITE = """\
defaults
{logs}    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 100ms
    retries 0
    option httplog
    option log-separate-errors
frontend web
    bind fd@{web.fd}
    default_backend gone
    http-request return status 200 content-type text/plain string hello if {{ path_beg /ok }}
    http-request return status 404 content-type text/plain string "not here" if {{ path_beg /404 }}
backend gone
    server gone {closed.place}
"""
_REQUESTS = "haproxy_log_requests_total"
_METRICS = "requests_total,response_duration_seconds,total_duration_seconds,bytes_read_total,aborts_total,notices_total"
_COUNTING = ("--labels", "status_code,server_name,http_request_path", "--metrics", _METRICS)

# The last that is sent: who has read it has read all that was sent before.
_LAST = b'<134>Nov 20 04:30:53 haproxy[1]: ::1:1 [20/Nov/2026:04:30:53.000] last last/<NOSRV> 0/0/0/0/0 299 0 - - LR-- 1/1/0/0/0 0/0 "GET /last HTTP/1.1"\n'  # noqa: E501 -- a line of the log


def _read_to_the_end(exporter: Exporter) -> Samples:
    """Wait until an exporter has read the last line; give its metrics."""
    send(exporter.syslog_port, _LAST)
    wait_until(lambda: b'status_code="299"' in exporter.get("/metrics")[0], 60, "the last line")
    return exporter.scrape()


def test_of_two_loggers_one_can_be_read(tmp_path: Path) -> None:
    """An error comes by both, so it counts twice; by the facility of one alone, all is as `show stat` has it."""
    need("haproxy")
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web"))
        options = ("--syslog", "udp://127.0.0.1:0", *_COUNTING)
        both = stack.enter_context(serving(*options))
        one = stack.enter_context(serving(*options, "--facility", "local0"))
        ports = [both.syslog_port, one.syslog_port]
        logs = [f"    log 127.0.0.1:{port} {name}\n" for port in ports for name in ("local0", "local1 notice")]
        haproxy = stack.enter_context(running_haproxy(tmp_path, "haproxy", _SITE.format(logs="".join(logs), **doors)))
        for path, times in (("/ok", 12), ("/404", 4), ("/error", 5)):
            for _ in range(times):
                get(doors["web"], path)
        wait_until(haproxy.is_idle, what="HAProxy's last session")
        [row] = [row for row in haproxy.rows() if (row["pxname"], row["svname"]) == ("web", "FRONTEND")]
        haproxy.stop()
        of_both, of_one = (_read_to_the_end(exporter) for exporter in (both, one))
    assert {path: total(of_both, _REQUESTS, http_request_path=path) for path in ("/ok", "other", "/error")} == {
        "/ok": 12, "other": 4, "/error": 10,
    }  # fmt: skip
    assert total(of_one, _REQUESTS) - 1 == number(row, "req_tot") == 21
    for class_ in "245":
        counted = sum(total(of_one, _REQUESTS, status_code=code) for code in (f"{class_}0{n}" for n in range(5)))
        assert counted == number(row, f"hrsp_{class_}xx")
    counts = [{result: count_lines(samples, result) for result in _RESULTS} for samples in (of_both, of_one)]
    assert counts[0] == {"counted": 27, "notice": 2 * counts[1]["notice"], "filtered": 0, "rejected": 0}
    assert counts[1] == {
        "counted": 22,
        "notice": counts[1]["notice"],
        "filtered": 5 + counts[1]["notice"],
        "rejected": 0,
    }
    assert counts[1]["notice"] > 0  # it said that it stops
    assert count_lines(of_both) == count_lines(of_one)


_RESULTS = ("counted", "notice", "filtered", "rejected")


def test_a_sampled_line_counts_as_many_times(tmp_path: Path) -> None:
    """HAProxy sends one line of four; each counts four, in every metric of the log, and once as a line."""
    need("haproxy")
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web"))
        options = ("--syslog", "udp://127.0.0.1:0", *_COUNTING)
        four = stack.enter_context(serving(*options, "--sample-weight", "4"))
        one = stack.enter_context(serving(*options))
        logs = "".join(f"    log 127.0.0.1:{port} sample 1:4 local0\n" for port in (four.syslog_port, one.syslog_port))
        haproxy = stack.enter_context(running_haproxy(tmp_path, "haproxy", _SITE.format(logs=logs, **doors)))
        for _ in range(40):
            assert get(doors["web"], "/ok").endswith(b"hello")
        haproxy.stop()
        of_four, of_one = (_read_to_the_end(exporter) for exporter in (four, one))
    lines = count_lines(of_one, "counted") - 1
    assert lines == 10
    assert total(of_one, _REQUESTS, status_code="200") == lines
    assert total(of_four, _REQUESTS, status_code="200") == 4 * lines
    assert _log_metrics(of_four) == {key: 4 * value for key, value in _log_metrics(of_one).items()}
    for result in _RESULTS:
        assert count_lines(of_four, result) == count_lines(of_one, result)


def _log_metrics(samples: Samples) -> Samples:
    """Take the metrics of the log alone, without the last line."""
    return {
        key: value
        for key, value in samples.items()
        if key[0].startswith("haproxy_log_")
        and not key[0].startswith("haproxy_log_exporter_")
        and ("status_code", "299") not in key[1]
    }


_CONTAINER = """\
global
    stats socket {folder}/commands level admin
    tune.bufsize 65536
    tune.http.logurilen 40000
"""


def test_dockers_file_counts_as_the_datagrams_do(tmp_path: Path) -> None:
    """The same lines, as Docker writes HAProxy's standard output to a file: with escapes, and long ones in parts."""
    need("haproxy")
    file, log = tmp_path / "haproxy.cfg", tmp_path / "container-json.log"
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web"))
        logs = '    log stdout len 65535 format raw local0\n    log "127.0.0.1:${LOG_PORT}" len 65535 local0\n'
        file.write_text(_CONTAINER.format(folder=tmp_path) + _SITE.format(logs=logs, **doors))
        log.touch()
        exporter = stack.enter_context(serving("--syslog", "udp://127.0.0.1:0", *_COUNTING))
        follower = stack.enter_context(serving("--file", log, *_COUNTING))
        haproxy = stack.enter_context(running(file, doors, exporter.syslog_port))
        assert follower.port
        for path in ("/ok", '/ok?"<&>\\', "/404/\xe9\x01\x7f", "/error", f"/ok/{'a' * 20_000}", "/ok/end"):
            assert get(doors["web"], path, Host="é")
        haproxy.stop()
        written = file.with_suffix(".out").read_text()
        parts = [part for line in written.splitlines(keepends=True) for part in re.findall(r"(?s).{1,16384}", line)]
        entries = [docker(part) for part in parts]
        assert len(entries) > written.count("\n") >= 6
        for half in (entries[:3], entries[3:]):
            with log.open("ab") as file_of_docker:
                file_of_docker.writelines(half)
        datagrams = _read_to_the_end(exporter)
        lines = Watch(follower).wait_for(counted=6, notice=written.count("\n") - 6, rejected=0)
    assert _log_metrics(lines) == _log_metrics(datagrams)
    assert total(lines, _REQUESTS) == 6
    for name in ("lines_total", "lines_truncated_total"):
        mine, theirs = (total(samples, f"haproxy_log_exporter_{name}") for samples in (lines, datagrams))
        assert mine == theirs - (name == "lines_total")


def _shown_rejects(page: str) -> list[str]:
    """Read the rejected lines off the page."""
    assert "<script" not in page
    *_, rejects = page.partition("<h2>Lines that were rejected last</h2>")
    return [unescape(text) for text in re.findall(r"<li><code>(.*?)</code></li>", rejects, re.DOTALL)]


def test_garbage_is_told_seldom_and_shown_in_part() -> None:
    """One message a minute at most, whatever comes; the last lines on the page, none longer than 256 bytes."""
    hostile = ["<script>alert(1)</script>", "&amp;\"'<b>", "{}%s%d{0}", "é" * 300, "a" * 5_000, "b" * 60_000, "c", "d"]
    began = time.monotonic()
    with serving("--syslog", "udp://127.0.0.1:0") as exporter:
        watch = Watch(exporter)
        for turn in (1, 2):
            send(exporter.syslog_port, *[b"garbage"] * 400, *(text.encode() for text in hostile))
            watch.wait_for(rejected=turn * 408)
        assert _shown_rejects(exporter.get("/")[0].decode()) == [text.encode()[:256].decode() for text in hostile]
        told = [message for message in exporter.messages if "lines rejected" in message]
        assert 1 <= len(told) <= 1 + (time.monotonic() - began) // 60
        assert re.match(r"udp://127\.0\.0\.1:0: \d+ lines rejected; the last: ", told[0])
        assert all(len(message) < 400 for message in told)
        assert exporter.stop() == 0


def test_garbage_does_nothing_to_a_terminal() -> None:
    """Neither on the page, which may be fetched by hand, nor in the messages."""
    hostile = (b"\x1b[2J\x1b]0;title\x07", b"\0\x7f\x08", b"\xff\xfe\xc3", b"\xc2\x9b31m", "\u202e\u2028".encode())
    with serving("--syslog", "udp://127.0.0.1:0", "--log.format", "logfmt") as exporter:
        send(exporter.syslog_port, *hostile)
        Watch(exporter).wait_for(rejected=len(hostile))
        page = exporter.get("/")[0].decode()
        assert exporter.stop() == 0
    assert [char for char in page if not char.isprintable() and char != "\n"] == []
    assert [char for message in exporter.messages for char in message if not char.isprintable()] == []
    assert len(_shown_rejects(page)) == len(hostile)
