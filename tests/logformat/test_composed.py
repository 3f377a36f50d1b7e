"""What must hold for every log-format: what HAProxy writes by it is read back, and what cannot be is never made up."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.reader import Reader
from haproxy_log_exporter.logformat.tokens import tokenize
from haproxy_log_exporter.records import Parser, as_json
from tests.logformat import ENVELOPES
from tests.logformat.composing import WORDY, formats
from tests.logformat.rendering import Fields, Format, can_mean, differences, expected, render, settle
from tests.logformat.writing import Value

_CONNECTIONS = ("actconn", "feconn", "beconn", "srv_conn")


@st.composite
def composed(draw: st.DrawFn, *, loose: bool = False) -> tuple[Format, Sequence[Value]]:
    """Draw a format and values for a line: of a `loose` format any, otherwise such that the line can be told apart."""
    form = draw(formats(loose=loose))
    values = [draw(item.values) for item in form.items]
    return form, values if loose else settle(form, values)


def parse(reader: Reader, header: bytes, line: bytes) -> Fields:
    """Read a line as `parse` does, the connections apart."""
    chunk = header + line
    found: dict[str, Any] = as_json(Parser([reader]).parse(chunk), chunk)
    return found | dict(zip(_CONNECTIONS, found.pop("connections", ()), strict=False))


@settings(deadline=None, max_examples=60)
@given(composed())
def test_what_is_composed_means_what_it_should_and_nothing_else(case: tuple[Format, Sequence[Value]]) -> None:
    """The judge itself: a line can mean what its values tell, but not that a value is another one."""
    form, values = case
    line, _ = render(form, values)
    told = expected(form, values)
    assert can_mean(form, line, told)
    if all(item.converter is None for item in form.items):
        for name in told.keys() - {"redispatched"}:
            assert not can_mean(form, line, told | {name: "not in the line\n"})


@settings(deadline=None, max_examples=250)
@given(composed(), st.sampled_from(sorted(ENVELOPES)))
def test_what_can_be_told_apart_is_read_back(case: tuple[Format, Sequence[Value]], envelope: str) -> None:
    """Behind every envelope each value is read as it was before HAProxy wrote it, and no field is made up."""
    form, values = case
    line, _ = render(form, values)
    if line[:1] in (b"<", b" "):
        envelope = "priority"  # it looks like one, or like the blank that some put behind RFC 5424's
    note(f"{line!r}")
    found = parse(compile_format("1", "http", form.source), ENVELOPES[envelope], line)
    assert (found.pop("kind"), found.pop("format", ""), found.pop("truncated", False)) == ("http", "1", False), found
    assert not differences(form, values, found), differences(form, values, found)


# The smallest lines that were once read wrong, of what the test above has found: (log-format, line, fields).
FOUND: list[tuple[str, bytes, Fields]] = [
    ("(%ci)", b"(::1)", {"client_ip": "::1"}),
    ("%ci:%cp: %ST", b"::1:80: 200", {"client_ip": "::1", "client_port": 80, "status_code": 200}),
    ("%ci:%cp: %ST", b"unix:3: 200", {"client_ip": "unix", "client_port": 3, "status_code": 200}),
    ("%si:%sp: %ST", b"-:-: 503", {"status_code": 503}),
    ("%si-%sp", b"---", {}),
    ("%[x] %b- %ST", b"a 0-- 200", {"x": "a", "backend_name": "0-", "status_code": 200}),
    ("%[x] %OG_ %ST", b"a b txn_close_ 200", {"x": "a b", "log_origin": "txn_close", "status_code": 200}),
    ("%[x],%[y]", b",a,b", {"x": ",a", "y": "b"}),
    ("%[x]--%ST", b"---1", {"status_code": 1}),
    ("%[x]\u00e9%ST", "a\u00e95".encode(), {"x": "a", "status_code": 5}),
    ("%HU\u00e9%ST", "/a\u00e95".encode(), {"http_request_uri": "/a", "http_request_path": "/a", "status_code": 5}),
    ("%CC ; %CS", b'- ; " ', {"response_cookie": '" '}),
    ("%HQ %ST", b"?- 200", {"http_request_query": "-", "status_code": 200}),
    ("%Ta %Ta", b"5 6", {"time_total": 5}),
    ("|%hrl|", b"||", {}),
    ('%[var("a b")]', b"x", {"var_a_b": "x"}),
    ("%[x,json]", rb"\u00c3\u00a9", {"x": "\u00e9"}),
    ("%[x,json(utf8s)]", rb"\u00e9", {"x": "\u00e9"}),
    ("%{+json}ms", b"7", {"accept_milliseconds": 7}),
    ('"%{+json}Th"', b'"-1"', {"time_handshake": -1}),
    ("%{+X,+json}ci", b'"7F000001"', {"client_ip": "127.0.0.1"}),
    ("%{+X,+json}cp", b'"0039"', {"client_port": 57}),
    ("%{+X,+json}sp %ST", b'"" 503', {"status_code": 503}),
    ("%{+json}hrl", b'["a", "-"]', {"request_headers": ["a", ""]}),
    ("%[be_name]0%ci", b"00-", {"backend_name": "0"}),
    ("%b_%[x]", b"__a", {"backend_name": "_", "x": "a"}),
    ("%b.%ci", b"..::1", {"backend_name": ".", "client_ip": "::1"}),
    ("%[x]-%b-%s-%ST", b"a--b--s-200", {"x": "a", "backend_name": "-b", "server_name": "-s", "status_code": 200}),
    ("%HM|%HV", b"||HTTP/1.1", {"http_request_method": "|", "http_version": "HTTP/1.1"}),
    ("%HM*%[x]", b"*****", {"http_request_method": "*", "x": "***"}),
    (
        "%r*%ci",
        b"GET **-",
        {"http_request_method": "GET", "http_request_uri": "*", "http_request_path": "*"},
    ),
    ("%[x] %{+json}[y]", b'a b "y"', {"x": "a b", "y": "y"}),
    ("%[x] %{+json}[y];%[z]", b'a b; "y;";z', {"x": "a b;", "y": "y;", "z": "z"}),
]


@pytest.mark.parametrize(("source", "line", "fields"), FOUND, ids=[source for source, _, _ in FOUND])
def test_what_was_once_read_wrong_is_read_right(source: str, line: bytes, fields: Fields) -> None:
    """Each as HAProxy writes it: 2.6 does so, and by its source 3.x what is of JSON."""
    found = parse(compile_format("1", "http", source), b"<134>", line)
    assert {field: value for field, value in found.items() if value is not None} == fields | {
        "kind": "http",
        "format": "1",
    }


@settings(deadline=None, max_examples=200)
@given(composed(loose=True))
def test_whatever_is_read_may_have_been_written(case: tuple[Format, Sequence[Value]]) -> None:
    """With any format and any values, a line is read right, or rejected, or known to be cut, or it is ambiguous.

    It is ambiguous where there is a split of it that fits the format and gives just what was read.
    """
    form, values = case
    line, _ = render(form, values)
    note(f"{line!r}")
    try:
        reader = compile_format("1", "http", form.source)
    except UsageError:
        return
    found = parse(reader, b"<134>", line)
    if found.pop("kind") == "rejected" or found.pop("truncated", False):
        return
    assert found.pop("format") == "1"
    assert not differences(form, values, found) or can_mean(form, line, found), differences(form, values, found)


# Strings that are nearly formats: of the language's own signs, or composed ones with pieces cut out or put in.
_SIGNS = st.text("%%%{}[]()+-,:QEXMo\"'\\ \t\n\r|csiTr01é→\0\x85\u2028\udcff", max_size=16)


@st.composite
def strings(draw: st.DrawFn) -> str:
    """Draw any string, and more often such as a mistyped format is."""
    source = draw(formats(loose=True).map(lambda form: form.source) | _SIGNS | st.text(max_size=12))
    start = draw(st.integers(0, len(source)))
    end = draw(st.integers(start, min(len(source), start + 4)))
    return source[:start] + draw(_SIGNS | st.just("")) + source[end:]


@settings(deadline=None, max_examples=300)
@given(strings())
def test_every_string_compiles_or_is_refused_with_a_caret_in_it(source: str) -> None:
    """A mistake is shown in the line of the string that it stands in, with a caret below it or right behind."""
    try:
        tokenize(source)
        compile_format("1", "http", source).read(b"\n")
    except UsageError as error:
        for message in error.messages:
            *_, shown, caret = message.split("\n")
            assert shown[:4] == caret[:4] == "    "
            assert shown[4:] in source.split("\n")
            assert caret.endswith("^")
            assert not caret[:-1].strip()
            assert len(caret) <= len(shown) + 1


# So long that what is done once for each byte takes a small part of a second, and what is done for each pair of bytes
# takes minutes: then the test is ended from outside, and what it printed last is why.
_HOSTILE_LENGTH = 1 << 19


@st.composite
def hostile_lines(draw: st.DrawFn) -> tuple[str, list[tuple[bytes, bytes, bytes]]]:
    """Draw a format and lines that it might write with a piece to repeat: what is before it, the piece, and the rest.

    The piece is the sign behind each value, and once whatever stands between the ends of two values.
    """
    form = draw(formats(WORDY))
    line, places = render(form, [draw(item.values) for item in form.items])
    ends = sorted({0, *(end for _, end in places)} - {len(line)}) or [0]
    lines = [(line[:end], line[end : end + 1], b"") for end in ends]
    start, stop = sorted((draw(st.sampled_from(ends)), draw(st.sampled_from([*ends, len(line)]))))
    lines.append((line[:start], line[start:stop] or b" ", draw(st.sampled_from([b"", line[start:], line[stop:]]))))
    return form.source, lines


def read_hostile(source: str, *lines: tuple[bytes, bytes, bytes]) -> None:
    """Read very long lines."""
    reader = compile_format("1", "http", source)
    for head, run, tail in lines:
        if not run:
            continue  # a value that prints as nothing repeats nothing
        print(f"{source!r} {head!r} + {run!r} * n + {tail!r}")
        assert parse(reader, b"<134>", head + run * (_HOSTILE_LENGTH // len(run)) + tail)


@pytest.mark.timeout(100)
def test_no_line_takes_longer_than_its_length_allows() -> None:
    """Whatever repeats in a line, the time to read it grows with its length; with its square this would not end."""
    cases = []

    # Only drawn within hypothesis: it would go on with what takes too long, to make it smaller.
    @settings(database=None, max_examples=40)
    @given(hostile_lines())
    def draw(case: tuple[str, list[tuple[bytes, bytes, bytes]]]) -> None:
        cases.append(case)

    draw()
    for source, lines in cases:
        read_hostile(source, *lines)


# Free text before a byte that it may hold itself, and behind that what may hold it as well: of each place where the
# text could end, all of the line behind it would fit.
HOSTILE = {
    "%[x]|%b %s": b"|",
    "%[x],%ci:%cp z": b",",
    "%[x]-%ST-%B-%b z": b"-1",
    "%[x]|%HM z": b"|",
    "%[x]|%HU z": b"|",
    "%[x]|%hr z": b"|{",
    "%{+E}[x]|%ft z": b"|\\]",
    "%[x]|%[y]|%[z] %s|": b"|",
    '"%[x,json(utf8s)]" %r z': b'\\""" ',
    "%CC %CS %[x] %b %ID z": b" ",
    "%{+Q}[x] %{+Q}[y] %{+Q}r z": b'" ',
    '{"a":"%[x]","b":"%r","c":%ST}': b'","b":"',
    "%r %r %hr %hs %{+Q}r|": b" {",
    "%{+json}o %(a)[x] %(b)hrl": b'"\\", ',
    "%HPO %HQ %HP z": b" ?",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("source", HOSTILE)
def test_a_line_of_what_ends_a_value_takes_no_longer(source: str) -> None:
    """A line of nothing but what could end a value is read, or rejected, in a time that grows with its length."""
    read_hostile(source, (b"", HOSTILE[source], b""), (b"a ", HOSTILE[source], b"z"))
