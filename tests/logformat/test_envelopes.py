import pytest

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.logformat.envelopes import FACILITIES, compile_facilities
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Parser, as_json
from tests.logformat import ENVELOPES

# A line of each kind.
LINES = {
    "httplog": (
        b'127.0.0.1:1 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/5/6 200 228 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"'
    ),
    "tcplog": b"::1:1 [20/Nov/2026:04:30:33.379] tcp tcp/s1 1/0/0 229 -- 1/1/0/0/0 0/0",
    "httplog-clf": (
        b'127.0.0.1 - - [20/Nov/2026:04:30:33 +0000] "GET / HTTP/1.1" 200 228 "" "" 36172 068 "clf" "bk" "s1" '
        b'0 0 0 0 0 ---- 1 1 0 0 0 0 0 "" "" '
    ),
    "error": b"unix:1 [20/Nov/2026:04:30:32.456] tls/1: SSL handshake failure",
    "connect": b"Connect from 127.0.0.1:37132 to 127.0.0.1:28084 (deflog/HTTP)",
    "notice": b'Server bk/s1 is DOWN, reason: Layer4 connection problem, info: "[x]: y", check duration: 0ms.',
}

# What the eight kinds and the two files may look like as well.
MORE: dict[str, bytes] = {
    "a short priority": b"<0>",
    "a blank before the day": b"<134>Nov  5 04:30:53 haproxy[1]: ",
    "a tag without a process": b"<134>Nov 20 04:30:53 haproxy: ",
    "a tag of one's own": b"<134>Nov 20 04:30:53 my-proxy/edge_1[25192]: ",
    "a tag of several words": b"<134>Nov 20 04:30:53 my own edge haproxy[25192]: ",
    "a host and a tag of several words": b"2026-11-20T04:30:53.046904+00:00 lb1 my haproxy[25192]: ",
    "a hostname that is an address": b"<134>Nov 20 04:30:53 fe80::1 haproxy[25192]: ",
    "a tag without a colon": b"Nov 20 04:30:53 lb1 haproxy[25192] ",
    "no priority": b"Nov 20 04:30:53 haproxy[25192]: ",
    "a time in UTC": b"<6>2026-11-20T04:30:53Z ",
    "a fraction behind a comma": b"2026-11-20T04:30:53,046904+00:00 ",
    "a zone behind Greenwich": b"2026-11-20T04:30:53.046904-03:30 host haproxy[1]: ",
    "no time": b"<134>1 - - haproxy 25192 - - ",
    "a byte order mark": b"<134>1 2026-11-20T04:30:53Z h haproxy 25192 - - \xef\xbb\xbf",
    "structured data without parameters": b"<134>1 2026-11-20T04:30:53Z h haproxy - ID47 [exampleSDID@32473] ",
    "structured data with brackets in quotes": b'<134>1 2026-11-20T04:30:53Z h haproxy 1 - [a b="[\\]"][c d="" e="f"] ',
}

# What looks like an envelope and is none.
NEAR_MISSES = (
    b"<134> ",
    b" ",
    b"Nov 20 04:30:53 ",
    b"Nov 20 04:30:53 haproxy ",
    b"Nov 20 04:30:53 haproxy[x] ",
    b"Nov 20 haproxy[25192]: ",
    b"nov 20 04:30:53 haproxy[25192]: ",
    b"<134>Nov 20 04:30:53 a b c d e haproxy[25192]: ",
    b"2026-11-20T04:30:53.046904+00:00 a b c d e haproxy[25192]: ",
    b"2026-11-20 04:30:53.046904+00:00 ",
    b"2026-11-20T04:30:53.046904 ",
    b"2026-11-20T04:30:53.046904+00:00 host ",
    b"<134>2 2026-11-20T04:30:53Z h haproxy 25192 - - ",
    b"<134>1 2026-11-20T04:30:53Z h haproxy 25192 - ",
    b"<134>1 2026-11-20T04:30:53Z h haproxy 25192 - [a ",
    b'<134>1 2026-11-20T04:30:53Z h haproxy 25192 - [a b="c] ',
    b'<134>1 2026-11-20T04:30:53Z h haproxy 25192 - [a b="c"]- ',
    b"<134>1 2026-11-20T04:30:53Z h haproxy 25192 - - - ",
    b"221 ",
)


def read(line: bytes) -> dict[str, object]:
    """Read a line as `parse` does."""
    return as_json(Parser(compile_all(Choice((), (), (), ()))).parse(line), line)


@pytest.mark.parametrize("envelope", [*ENVELOPES.values(), *MORE.values()], ids=[*ENVELOPES, *MORE])
@pytest.mark.parametrize("kind", LINES)
def test_an_envelope_changes_nothing(envelope: bytes, kind: str) -> None:
    """Every kind of line is read the same behind every envelope, and nothing of the envelope is in it."""
    bare = read(LINES[kind])
    assert bare["kind"] != "rejected"
    assert read(envelope + LINES[kind]) == bare


@pytest.mark.parametrize("envelope", NEAR_MISSES)
def test_what_is_no_envelope_is_not_skipped(envelope: bytes) -> None:
    """A line behind something else is another line."""
    assert read(envelope + LINES["httplog"])["kind"] == "rejected"


@pytest.mark.parametrize("envelope", [*ENVELOPES.values(), *MORE.values()], ids=[*ENVELOPES, *MORE])
def test_an_envelope_alone_is_no_line(envelope: bytes) -> None:
    """Where nothing is behind it, nothing is read."""
    assert read(envelope)["kind"] == "rejected"


# --- Facilities ---------------------------------------------------------------------------------------------------

LINE = LINES["httplog"]


def kept(names: list[str], *lines: bytes) -> list[bytes]:
    """Give the lines that are of some facilities."""
    found = compile_facilities(names).findall(b"".join(line + b"\n" for line in lines))
    assert len(found) == len(lines)
    return [line.removesuffix(b"\n") for line in found if line]


def test_facilities_are_those_of_syslog() -> None:
    """RFC 5424, section 6.2.1: 24 of them, the local ones the last eight."""
    assert len(FACILITIES) == 24
    assert {name: FACILITIES.index(name) for name in ("kern", "daemon", "syslog", "local0", "local7")} == {
        "kern": 0,
        "daemon": 3,
        "syslog": 5,
        "local0": 16,
        "local7": 23,
    }


@pytest.mark.parametrize("name", FACILITIES)
def test_a_facility_is_kept_at_every_severity(name: str) -> None:
    """And no other one, but kern: below 8 there is a severity alone, as `log … format short` writes it."""
    lines = [b"<%d>%s" % (priority, LINE) for priority in range(192)]
    first = FACILITIES.index(name) * 8
    assert kept([name], *lines) == [*lines[:8], *(lines[first : first + 8] if first else ())]


def test_lines_of_several_facilities_are_kept_in_their_order() -> None:
    """Each line is looked at for itself, whatever is in it."""
    lines = [b"<134>a", b"<141>b", b"<149>c", b"<134>d <141>", b"<141><134>e", b"<134>"]
    assert kept(["local0", "local2"], *lines) == [b"<134>a", b"<149>c", b"<134>d <141>", b"<134>"]


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"x", LINE, b"<", b"<>x", b"<x>", b"<1345>x", b"<-1>x", b" <141>x", b"Nov 20 04:30:53 haproxy: <141>x"),
        *(b"<6>x", b"<0>x", b"<7>x"),
        *(envelope + LINE for envelope in ENVELOPES.values() if not envelope.startswith(b"<13")),
    ],
)
def test_a_line_without_a_facility_is_kept(line: bytes) -> None:
    """Files, `raw`, `iso`, and `short` with its severity name none: nobody can say that they are others."""
    assert kept(["local0"], line) == [line]


@pytest.mark.parametrize("line", [b"<8>x", b"<99>x", b"<141>", b"<999>x", b"<007>x"])
def test_a_line_of_another_facility_is_not_kept(line: bytes) -> None:
    """Whatever its number."""
    assert kept(["local0"], line) == []
