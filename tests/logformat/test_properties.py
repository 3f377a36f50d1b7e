"""What must hold for all lines: rendered values are read back, cuts are noticed, and no line is slow."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from math import inf

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.engine import build_pipeline
from haproxy_log_exporter.labels.catalogue import _FRAGMENT
from haproxy_log_exporter.logformat.reader import Reader
from haproxy_log_exporter.metrics.catalogue import DEFAULT_METRICS
from haproxy_log_exporter.pipeline import Pipeline
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Parser, Record
from tests.logformat import ENVELOPES, LINES, Line

# What a cut line still tells of when it was cut in the middle of it. A number of which digits may be missing is none.
CUT_TEXTS = {"http_request_method", "http_request_uri", "http_request_path", "http_version"}

KINDS = {"httplog": "http", "httpslog": "http", "tcplog": "tcp"}


@cache
def readers() -> Sequence[Reader]:
    """Compile the presets once."""
    return compile_all(Choice((), (), (), ()))


def read(text: bytes) -> Record:
    """Read a line with a parser that has seen no other; the fragment is cut off the path, as the label does it."""
    record = Parser(readers()).parse(text)
    path = record.fields.get("http_request_path")
    if path is not None:
        record.fields["http_request_path"] = _FRAGMENT.sub(b"", path)
    return record


@settings(deadline=None, max_examples=500)
@given(LINES, st.sampled_from(sorted(ENVELOPES)))
def test_what_was_rendered_is_read_back(line: Line, envelope: str) -> None:
    """Behind every envelope each field is exactly its bytes, and no field is made up."""
    record = read(ENVELOPES[envelope] + line.text)
    assert (record.kind, record.format, record.truncated) == (KINDS[line.format], line.format, False)
    assert record.fields == {name: line.value(name) for name in record.fields}
    assert line.places.keys() <= record.fields.keys()


# A failing example is not made smaller: with so many cuts in each that takes minutes.
@settings(deadline=None, max_examples=60, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(LINES, st.sampled_from(sorted(ENVELOPES)))
def test_a_cut_line_is_rejected_or_known_to_be_cut(line: Line, envelope: str) -> None:
    """Wherever a line is cut: it is never taken for whole, and what stands before the cut is read as in the whole."""
    header = ENVELOPES[envelope]
    for length in range(len(header)):
        assert read(header[:length]).kind == "rejected", header[:length]
    for length in range(len(line.text)):
        check_cut(line, length, read(header + line.text[:length]))


def check_cut(line: Line, length: int, record: Record) -> None:
    """Check what was read of a line's first bytes."""
    text = line.text[:length]
    if length <= line.places["bytes_read"][1]:
        # The byte count might itself be cut as long as the blank behind it is missing.
        assert record.kind == "rejected", text
        return
    assert (record.kind, record.truncated) == (KINDS[line.format], not looks_whole(line, length)), text
    for name, value in record.fields.items():
        whole = line.value(name)
        start, end = line.places.get(name, (0, 0))
        if whole is None and name == "http_request_method":
            assert b"<BADREQ".startswith(value or b""), text  # what is left of it is a method like any other
        elif name == "http_request_path" and length <= end:
            # A scheme that is cut looks like a path, an escape like a fragment.
            assert value is None or value in text, text
        elif whole is None or start > length:
            assert value is None, (text, name)
        elif name == "redispatched" and length <= line.places["retries"][1]:
            assert value in (None, whole), (text, name)  # the number of retries that it stands before may be cut
        elif surely_ended(name, end, length):
            assert value == whole, (text, name)
        elif name in CUT_TEXTS or not record.truncated:
            assert value is None or value == line.text[start:length][: len(whole)], (text, name)
        else:
            assert value is None, (text, name)


def looks_whole(line: Line, length: int) -> bool:
    """Whether a cut line is a whole line as well: nothing tells that its last word was longer.

    So it is within httpslog's cipher and tcplog's last number, and where all of httplog's part of httpslog is left.
    """
    match line.format:
        case "httpslog":
            httplog = line.places["fc_err"][0] - 1
            return length == httplog or length > line.places["ssl_cipher"][0]
        case "tcplog":
            return length > line.places["backend_queue"][0]
        case _:
            return False


def surely_ended(name: str, end: int, length: int) -> bool:
    """Whether a value has ended before the cut: something follows it, behind a block its brace and a blank."""
    return length >= end + 2 if name.endswith("_headers") else length > end


# Lines that make a backtracking expression try again and again: (what is before the run, the run, what is behind it).
_START = "127.0.0.1:1 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/0/0 200 228 - - ---- 1/1/0/0/0 0/0 "
_CLF = '127.0.0.1 - - [20/Nov/2026:04:30:33 +0000] "'
_HEADER_5424 = "<134>1 2026-11-20T04:30:53.046768+00:00 - haproxy 25192 - "
HOSTILE: dict[str, tuple[str, str, str]] = {
    "braces opened": (_START, "{", ""),
    "braces opened and closed": (_START, "{} ", ""),
    "a block that never ends": (_START + "{", "a|", ""),
    "a block that ends at last": (_START + "{", "a|", '} {} "GET / HTTP/1.1"'),
    "a second block that never ends": (_START + "{a} {", "a|b ", ""),
    "quotes": (_START, '"', ""),
    "quotes as syslog-ng writes them": (_START, '\\"', ""),
    "quotes in the request": (_START + '"GET /', '" ', ""),
    "slashes in the path": (_START + '"GET ', "/", ""),
    "schemes": (_START + '"GET ', "a://", ""),
    "a scheme that never ends": (_START + '"GET ', "a", ' HTTP/1.1"x'),
    "escapes in the path": (_START + '"GET /', "#2", " HTTP/1.1"),
    "escaped quotes in the path": (_START + '"GET /', "#22", ' HTTP/1.1"x'),
    "number signs in the path": (_START + '"GET /', "#", ""),
    "question marks": (_START + '"GET /', "?", ' HTTP/1.1" '),
    "blanks in the request": (_START + '"GET /', " ", ""),
    "blanks in the version": (_START + '"GET / ', " a", '"x'),
    "a good line that fails at its last byte": (_START + '"GET /', "a", ' HTTP/1.1"x'),
    "httpslog that fails at its last byte": (_START + '"GET /', "a", ' HTTP/1.1" 0/0/0/0/0 -/TLSv1.3/T '),
    "a cipher that never ends": (_START + '"GET / HTTP/1.1" 0/0/0/0/0 -/TLSv1.3/', "T/", " "),
    "a server's name with slashes": ("127.0.0.1:1 [20/Nov/2026:04:30:27.864] web bk/", "/", " 0/0/0/0/0 200 228 - - "),
    "a message that fails at once": ("127.0.0.1:1 [20/Nov/2026:04:30:27.864] web/", "a", ""),
    "a message": ("127.0.0.1:1 [20/Nov/2026:04:30:27.864] web/1: ", ": ", ""),
    "clf's lists": (_CLF + '<BADREQ>" 400 0 "" "" 1 068 "f" "b" "s" 0 0 0 0 0 ---- 1 1 0 0 0 0 0 "" "" ', '"a" ', "x"),
    "clf's quotes": (_CLF, '" "', ""),
    "colons": ("", ":", ""),
    "colons and a port": ("", ":", ":1 [20/Nov/2026:04:30:27.864] web"),
    "an address that never ends": ("", "1:", " [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/0/0 200"),
    "an address behind a connect": ("Connect from ", "a:", " to "),
    "dashes": ("", "-", ""),
    "dashes for fields": ("127.0.0.1:1 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/0/0 200 228 ", "- ", ""),
    "digits": ("127.0.0.1:1 [20/Nov/2026:04:30:27.864] web bk/s1 ", "0", ""),
    "timers": ("127.0.0.1:1 [20/Nov/2026:04:30:27.864] web bk/s1 ", "0/", ""),
    "blanks": ("", " ", ""),
    "words": ("", "1 ", ""),
    "brackets": ("", "[", ""),
    "less-than signs": ("", "<", ""),
    "priorities": ("", "<1>", ""),
    "a host that never ends": ("Nov 20 04:30:53 ", "h", ""),
    "a host of colons": ("Nov 20 04:30:53 ", ":h", " x"),
    "fractions of a second": ("2026-11-20T04:30:53.", "0", ""),
    "structured data that never ends": (_HEADER_5424, "[", ""),
    "structured data that never begins a message": (_HEADER_5424 + "[", "a", ""),
    "elements of structured data": (_HEADER_5424, '[a b="c"]', ""),
    "elements that are followed by nothing": (_HEADER_5424, "[a]", " x"),
    "values of structured data": (_HEADER_5424 + "[a", ' b="c"', ""),
    "a value of structured data that never ends": (_HEADER_5424 + '[a b="', "c", ""),
    "backslashes in structured data": (_HEADER_5424 + '[a b="', "\\\\", ""),
    "quotes in structured data": (_HEADER_5424 + "[a", '"', ""),
    "servers": ("", "Server b/s ", ""),
    "health checks": ("Health check for ", "backup ", ""),
}  # fmt: skip


@cache
def counting() -> Pipeline:
    """Build a pipeline that looks at paths, headers and numbers."""
    choice = Choice(
        ("http_request_path", "request_header_2"), (*DEFAULT_METRICS, "bytes_read_total", "aborts_total"), ("1",)
    )
    pipeline = build_pipeline(choice)
    pipeline.take(b"garbage\n", pipeline.intake("first"))  # expressions are compiled when they are first used
    return pipeline


def cost(chunk: bytes) -> float:
    """Tell the processor's seconds for each byte of a chunk, to the end of the flush."""
    pipeline = counting()
    intake = pipeline.intake("hostile")
    began = time.process_time()
    pipeline.take(chunk, intake)
    pipeline.flush()
    return (time.process_time() - began) / len(chunk)


def grow(shape: tuple[str, str, str], size: int) -> bytes:
    """Make a line of about a size by repeating its run."""
    head, run, tail = shape
    times = (size - len(head) - len(tail)) // len(run)
    return (head + run * times + tail + "\n").encode("latin-1")


@pytest.mark.parametrize("shape", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_line_costs_no_more_for_each_byte_than_a_short_one(shape: tuple[str, str, str]) -> None:
    """The cost grows with a line's length, not with its square: of a line 32 times as long, a byte costs the same."""
    short, long = grow(shape, 2000) * 32, grow(shape, 64000)
    assert is_level(lambda: cost(long), lambda: cost(short), factor=6)


def is_level(dear: Callable[[], float], cheap: Callable[[], float], factor: float) -> bool:
    """Whether the best of several costs is within a factor of the best of others; measured again while it is not."""
    best_dear = best_cheap = inf
    for _ in range(8):
        best_dear, best_cheap = min(best_dear, dear()), min(best_cheap, cheap())
        if best_dear <= factor * best_cheap:
            return True
        if best_dear > 4 * factor * best_cheap:
            return False  # no noise: it need not be waited for again
    return False
