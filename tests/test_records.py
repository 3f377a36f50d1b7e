import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Fields, Parser, Record, as_json, line_time
from tests.logformat import ENVELOPES, LINES, Line

HTTPS = (
    "::1:53510 [20/Nov/2026:04:30:27.870] tls~ bk/s1 0/1/2/3/+1001 200 +228 SESS=a S=b cD-- 5/4/3/2/+1 7/8 {a|b c} {} "
    '"GET https://h/p?q HTTP/2.0" 0/0000000000000000/0/0/0 sni.example/TLSv1.3/TLS_AES_256_GCM_SHA384'
)
# In the contract's order, section "parse"; what httpslog has beyond it comes last.
EXPECTED: dict[str, Any] = {
    "kind": "http",
    "format": "httpslog",
    "client_ip": "::1",
    "client_port": 53510,
    "accept_date": "20/Nov/2026:04:30:27.870",
    "frontend_name": "tls",
    "ssl": True,
    "backend_name": "bk",
    "server_name": "s1",
    "time_request": 0,
    "time_queue": 1,
    "time_connect": 2,
    "time_response": 3,
    "time_total": 1001,
    "status_code": 200,
    "bytes_read": 228,
    "request_cookie": "SESS=a",
    "response_cookie": "S=b",
    "termination_state": "cD--",
    "connections": [5, 4, 3, 2],
    "retries": 1,
    "redispatched": True,
    "server_queue": 7,
    "backend_queue": 8,
    "request_headers": ["a", "b c"],
    "response_headers": [""],
    "http_request_method": "GET",
    "http_request_uri": "https://h/p?q",
    "http_request_path": "/p",
    "http_version": "HTTP/2.0",
    "ssl_sni": "sni.example",
    "ssl_version": "TLSv1.3",
    "ssl_cipher": "TLS_AES_256_GCM_SHA384",
    "fc_err": "0",
    "ssl_fc_err": "0000000000000000",
    "ssl_c_err": "0",
    "ssl_c_ca_err": "0",
    "ssl_fc_is_resumed": "0",
}
TCP = "127.0.0.1:36748 [20/Nov/2026:04:30:33.379] tcp tcp/s1 1/0/0 229 -- 1/1/0/0/0 0/0"


def parse(line: bytes | str, *formats: str) -> dict[str, Any]:
    """Read a line as `parse` prints it."""
    octets = line.encode() if isinstance(line, str) else line
    return as_json(Parser(compile_all(Choice((), (), (), formats))).parse(octets), octets)


def test_an_object_has_the_contracts_order_and_types() -> None:
    """Numbers are JSON numbers, flags booleans, lists arrays; what the line does not have is left out."""
    assert json.dumps(parse(HTTPS)) == json.dumps(EXPECTED)


def test_what_is_missing_is_left_out() -> None:
    """A dash is no value, and -1 is one."""
    found = parse('-:- [20/Nov/2026:04:30:28.929] web web/<NOSRV> -1/-1/-1/-1/0 -1 0 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>"')
    assert [name for name in EXPECTED if name not in found] == [
        "client_ip",
        "client_port",
        "request_cookie",
        "response_cookie",
        "request_headers",
        "response_headers",
        "http_request_method",
        "http_request_uri",
        "http_request_path",
        "http_version",
        "ssl_sni",
        "ssl_version",
        "ssl_cipher",
        "fc_err",
        "ssl_fc_err",
        "ssl_c_err",
        "ssl_c_ca_err",
        "ssl_fc_is_resumed",
    ]
    assert (found["ssl"], found["redispatched"], found["time_request"], found["status_code"]) == (False, False, -1, -1)


@pytest.mark.parametrize(
    ("line", "kind", "more"),
    [
        (TCP, "tcp", {"format": "tcplog", "bytes_read": 229}),
        (
            "Connect from 127.0.0.1:37132 to 127.0.0.1:28084 (deflog/HTTP)",
            "connect",
            {"format": "connect", "client_ip": "127.0.0.1", "client_port": 37132, "frontend_name": "deflog"},
        ),
        (
            "127.0.0.1:4 [20/Nov/2026:04:30:32.456] tls/1: SSL handshake failure (error)",
            "error",
            {"format": "error", "frontend_name": "tls", "message": "SSL handshake failure (error)"},
        ),
        ("Proxy x started.", "notice", {"message": "Proxy x started."}),
        ("<5>Nov 20 06:02:57 haproxy[1]: Paused frontend fmt.", "notice", {"message": "Paused frontend fmt."}),
        ("nothing known", "rejected", {"line": "nothing known"}),
        ("", "rejected", {"line": ""}),
    ],
)
def test_each_kind_of_line(line: str, kind: str, more: dict[str, Any]) -> None:
    """Traffic names its format; notices have their message and rejected lines themselves."""
    found = parse(line)
    assert found["kind"] == kind
    assert {name: found[name] for name in more} == more
    if kind in ("notice", "rejected"):
        assert found == {"kind": kind} | more


def test_a_cut_line_says_so() -> None:
    """`truncated` stands before the fields, and is missing from whole lines."""
    found = parse(HTTPS[: HTTPS.index(" HTTP/2.0")])
    assert [*found][:4] == ["kind", "format", "truncated", "client_ip"]
    assert found["truncated"] is True
    assert (found["http_request_path"], "http_version" in found) == ("/p", False)


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    """The object is valid JSON whatever the line."""
    assert parse(b"\xff {\xc3\xa9")["line"] == "� {é"
    assert parse(b"a\xff 200", "%b %ST")["backend_name"] == "a�"


def test_a_format_of_ones_own_is_named_by_its_position() -> None:
    """So it is in the own metrics as well."""
    assert parse("bk 200", "%ci %b %ST", "%b %ST") == {
        "kind": "http",
        "format": "2",
        "backend_name": "bk",
        "status_code": 200,
    }


def test_lists_of_clf_are_arrays() -> None:
    """Quoted headers are read like those in braces; without quotes a blank ends them."""
    assert parse('200 "a" "b c" ', "%{+Q}o %ST %hrl %hsl")["request_headers"] == ["a", "b c"]
    assert parse("200 a - c", "%ST %hrl")["request_headers"] == ["a", "", "c"]


def test_connections_that_a_format_does_not_have_are_null() -> None:
    """The array keeps its places, and is missing where none is known."""
    assert parse("200 1/2", "%ST %ac/%bc")["connections"] == [1, None, 2, None]
    assert "connections" not in parse("200", "%ST")


@settings(deadline=None, max_examples=200)
@given(LINES, st.sampled_from(sorted(ENVELOPES)))
def test_an_object_can_always_be_written(line: Line, envelope: str) -> None:
    """Any line of HAProxy's becomes an object of known names, in one order."""
    found = parse(ENVELOPES[envelope] + line.text)
    assert json.loads(json.dumps(found)) == found
    assert [name for name in EXPECTED if name in found] == [name for name in found if name != "message"]


@pytest.mark.parametrize(
    "line",
    [
        TCP.replace("36748", "9" * 5000),
        TCP.replace("36748", ""),
        TCP.replace("36748", "-1"),
        TCP.replace("229", "9" * 19),
        TCP.replace("1/0/0 229", f"{'9' * 19}/-1/+{'9' * 19} 229"),
        TCP.replace("20/Nov/2026", "00/Xyz/0000"),
        HTTPS.replace("a|b c", "|" * 3000),
    ],
    ids=["long port", "no port", "negative port", "large size", "large timers", "no date", "many headers"],
)
def test_strange_numbers_do_not_raise(line: str) -> None:
    """Who writes into a log must not be able to end whoever reads it."""
    parser = Parser(compile_all(Choice((), (), (), ())))
    record = parser.parse(line.encode())
    json.dumps(as_json(record, line.encode()))
    line_time(record)


# --- When a line was written ------------------------------------------------------------------------------------------


def record(date: bytes | None, took: bytes | None = None) -> Record:
    """Make a record of a date and what it took from there."""
    fields: Fields = {"accept_date": date, "time_total": took}
    return Record("http", "x", truncated=False, fields=fields)


def in_utc_plus_2(moment: datetime) -> datetime:
    """Take HAProxy's local time for that of UTC+2; what has a zone keeps it."""
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("date", "took", "expected"),
    [
        (b"20/Nov/2026:04:30:27.864", None, datetime(2026, 11, 20, 2, 30, 27, 864000, UTC)),
        (b"20/Nov/2026:04:30:27.864", b"1001", datetime(2026, 11, 20, 2, 30, 28, 865000, UTC)),
        (b"20/Nov/2026:04:30:27.864", b"+136", datetime(2026, 11, 20, 2, 30, 28, 0, UTC)),
        (b"20/Nov/2026:04:30:27.864", b"-1", datetime(2026, 11, 20, 2, 30, 27, 864000, UTC)),
        (b"20/Nov/2026:04:30:58 +0000", b"0", datetime(2026, 11, 20, 4, 30, 58, 0, UTC)),
        (b"20/Nov/2026:04:30:58 -0330", b"0", datetime(2026, 11, 20, 8, 0, 58, 0, UTC)),
        (b"29/Feb/2028:00:00:00.000", b"0", datetime(2028, 2, 28, 22, 0, 0, 0, UTC)),
    ],
)
def test_a_line_was_written_when_its_request_was_over(date: bytes, took: bytes | None, expected: datetime) -> None:
    """The accept date and what it took from there; local time where the date has no zone."""
    found = line_time(record(date, took), in_utc_plus_2)
    assert found == pytest.approx(expected.timestamp(), abs=1e-6)


@pytest.mark.parametrize(
    "date",
    [
        None,
        b"",
        b"31/Feb/2026:04:30:27.864",
        b"20/Xyz/2026:04:30:27.864",
        b"20/Nov/2026:24:30:27.864",
        b"20/\xc0ov/2026:04:30:27.864",
        b"20/Nov/2026:04:30:27.86x",
    ],
)
def test_a_date_that_cannot_be_read_is_no_time(date: bytes | None) -> None:
    """Such a line tells nothing about how old it is."""
    assert line_time(record(date, b"5"), in_utc_plus_2) is None


@pytest.mark.parametrize("year", [b"0001", b"0000", b"1900", b"1969", b"9999"])
def test_a_year_that_the_calendar_does_not_have_does_not_raise(year: bytes) -> None:
    """A datagram from anywhere may hold any date."""
    for date in (b"01/Jan/%s:00:00:00.000", b"31/Dec/%s:23:59:59.999", b"01/Jan/%s:00:00:00 +1400"):
        found = line_time(record(date % year, b"0"))
        assert found is None or isinstance(found, float)


def test_local_time_is_that_of_the_machine() -> None:
    """HAProxy's `%t` has no zone: it writes on the machine that it runs on."""
    moment = datetime(2026, 11, 20, 4, 30, 27)  # noqa: DTZ001 -- local time is what is meant
    assert line_time(record(b"20/Nov/2026:04:30:27.000")) == moment.timestamp()
