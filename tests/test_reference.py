"""The compiled engine and haproxy_log_analysis, held against each other field by field."""

import json
from collections.abc import Callable, Iterator

import pytest

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Parser, as_json
from haproxy_log_exporter.reference import read_line
from tests.support import FIXTURES

# Where the two are known to differ, by what the request line holds. The library calls a request that it cannot read
# `invalid`, keeps the query string in the path, and knows no method but a word of letters and digits.
KNOWN: dict[str, Callable[[str], bool]] = {
    "absolute URI": lambda request: "://" in request,
    "OPTIONS *": lambda request: request.startswith("OPTIONS *"),
    "host:port": lambda request: request.startswith("CONNECT "),
    "no request": lambda request: request == "<BADREQ>",
    "no version": lambda request: "HTTP/" not in request,
    "fragment": lambda request: "#23" in request,
    "query string": lambda request: "?" in request,
    "method with a dash": lambda request: request.startswith("M-SEARCH"),
}
REQUEST_FIELDS = {"http_request_method", "http_request_path", "http_version"}

# The library's first version cuts the milliseconds off, and knows no client but one with an IPv4 address.
PLAIN = {
    "client_ip", "client_port", "frontend_name", "ssl", "backend_name", "server_name", "time_request", "time_queue",
    "time_connect", "time_response", "time_total", "status_code", "bytes_read", "connections", "retries",
    "redispatched", "server_queue", "backend_queue", "request_headers", "response_headers",
}  # fmt: skip


def _lines() -> Iterator[bytes]:
    """Give every captured datagram, and the lines of the golden logs and of the demo."""
    for capture in sorted(FIXTURES.glob("haproxy-?.?.*[0-9].jsonl")):
        for row in capture.read_text().splitlines():
            captured = json.loads(row)
            if captured["transport"] == "udp":
                yield captured["bytes_latin1"].encode("latin-1").rstrip(b"\n")
    logs = [*sorted(FIXTURES.glob("*.log")), FIXTURES.parent / "haproxy_log_exporter" / "demo.log"]
    for log in logs:
        yield from log.read_bytes().splitlines()


def test_both_engines_agree() -> None:
    """Over every line that the library accepts, each field is the same, but for what is known."""
    ours, theirs = (
        Parser(compile_all(Choice((), (), (), ()))),
        Parser(compile_all(Choice((), (), (), (), "haproxy-log-analysis"))),
    )
    compared, differing = 0, dict.fromkeys(KNOWN, 0)
    for line in _lines():
        if read_line(line) is None:
            continue
        compared += 1
        mine, reference = as_json(ours.parse(line), line), as_json(theirs.parse(line), line)
        assert mine["kind"] == "http", line
        assert {name: mine.get(name) for name in PLAIN} == {name: reference.get(name) for name in PLAIN}, line
        assert mine["accept_date"].startswith(reference["accept_date"]), line
        request = line.decode("latin-1").split('"')[1]
        known = [name for name, holds in KNOWN.items() if holds(request)]
        for name in known:
            differing[name] += 1
        if not known:
            differences = {name for name in REQUEST_FIELDS if mine.get(name) != reference.get(name)}
            assert not differences, (line, mine, reference)
    assert compared > 300
    assert all(differing.values()), f"nothing of this kind was compared: {differing}"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b'127.0.0.1:1 [99/Nov/2026:04:30:27.864] web bk/s1 0/0/0/1/1 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"',
    ],
)
def test_what_the_library_refuses_is_left(line: bytes) -> None:
    """Neither garbage nor a date that is none raises."""
    assert read_line(line) is None
