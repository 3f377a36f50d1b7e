import pytest

from haproxy_log_exporter.engine import Choice, compile_all
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
    "a hostname that is an address": b"<134>Nov 20 04:30:53 fe80::1 haproxy[25192]: ",
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
    b"Nov 20 04:30:53 haproxy[25192] ",
    b"Nov 20 haproxy[25192]: ",
    b"nov 20 04:30:53 haproxy[25192]: ",
    b"<134>Nov 20 04:30:53 a b haproxy[25192]: ",
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
