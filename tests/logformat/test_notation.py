import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.logformat.notation import PLAIN, Notation

QUOTED = Notation(quoted=True)
ESCAPED = Notation(escaped=True)
JSON = Notation(quoted=True, json=True)
CONVERTED = Notation(converted="utf-8")
OF_BYTES = Notation(converted="bytes")
HEXADECIMAL = Notation(hexadecimal=True)
ADDRESS = Notation(hexadecimal=True, address=True)

# Without a newline, which no line holds.
BYTES = st.binary(min_size=1, max_size=30).map(lambda octets: octets.replace(b"\n", b""))


@pytest.mark.parametrize(
    ("notation", "raw", "value"),
    [
        (PLAIN, b"abc", b"abc"),
        (PLAIN, rb"a\"b", rb"a\"b"),
        (PLAIN, b"#22", b"#22"),
        (PLAIN, b"null", b"null"),
        (PLAIN, b"--", b"--"),
        (QUOTED, b"a b", b"a b"),
        (QUOTED, b"-", b"-"),
        (ESCAPED, rb"a\"b\]c\\d", rb'a"b]c\d'),
        (ESCAPED, rb"\\\\", rb"\\"),
        (ESCAPED, rb"\\\"", rb"\""),
        (ESCAPED, b"a\\\x80b", b"a\x80b"),
        (ESCAPED, b"a\\", b"a\\"),
        (JSON, b'"a"', b"a"),
        (JSON, b'"-"', b"-"),
        (JSON, b'"null"', b"null"),
        (JSON, b"42", b"42"),
        (JSON, b"true", b"true"),
        (JSON, rb'"a\"b\\c\u0041"', rb'a"b\cA'),
        (JSON, b'"\x01\xff\xc3\xa9"', b"\x01\xff\xc3\xa9"),
        (JSON, b"bare", b"bare"),
        (CONVERTED, rb"a\"b\\c", rb'a"b\c'),
        (CONVERTED, rb"\u00e9\t", b"\xc3\xa9\t"),
        (CONVERTED, b"\xff", b"\xff"),
        (CONVERTED, b"#22", b"#22"),
        (OF_BYTES, rb"a\"b\\c", rb'a"b\c'),
        (OF_BYTES, rb"\u00c3\u00a9\u00ff", b"\xc3\xa9\xff"),
        (OF_BYTES, b"#22", b"#22"),
        (HEXADECIMAL, b"0", b"0"),
        (HEXADECIMAL, b"1F90", b"8080"),
        (HEXADECIMAL, b"FFFFFFFFFFFFFFFF", b"18446744073709551615"),
        (ADDRESS, b"7F000001", b"127.0.0.1"),
        (ADDRESS, b"00000000", b"0.0.0.0"),
        (ADDRESS, b"00000000000000000000000000000001", b"::1"),
        (ADDRESS, b"20010DB8000000000000000000000001", b"2001:db8::1"),
    ],
)
def test_a_value_is_given_back(notation: Notation, raw: bytes, value: bytes) -> None:
    """What flags and converters made of it is undone; HAProxy's own #XX stays."""
    assert notation.value(raw) == value


@pytest.mark.parametrize(
    ("notation", "empty"),
    [
        (PLAIN, [None, b"", b"-"]),
        (QUOTED, [None, b""]),
        (ESCAPED, [None, b"", b"-"]),
        (Notation(quoted=True, escaped=True), [None, b""]),
        (JSON, [None, b"", b"null", b'""']),
        (CONVERTED, [None, b"", b"-"]),
        (OF_BYTES, [None, b"", b"-"]),
        (HEXADECIMAL, [None, b"", b"-"]),
        (Notation(quoted=True, hexadecimal=True), [None, b"", b"-"]),
        (ADDRESS, [None, b"", b"-"]),
    ],
    ids=str,
)
def test_an_empty_value_is_none(notation: Notation, empty: list[bytes | None]) -> None:
    """A dash where there are no quotes, null in JSON, and nothing at all everywhere."""
    assert [raw for raw in empty if notation.value(raw) is not None] == []


@pytest.mark.parametrize(
    ("notation", "raw", "headers"),
    [
        (PLAIN, b"", [b""]),
        (PLAIN, b"|", [b"", b""]),
        (PLAIN, b"a|b", [b"a", b"b"]),
        (PLAIN, b"a b|-|", [b"a b", b"-", b""]),
        (QUOTED, b"a|b", [b"a", b"b"]),
        (ESCAPED, rb"a\"|b\]", [b'a"', b"b]"]),
        (JSON, b"a|b", [b"a", b"b"]),
        (JSON, rb"a\"b|\\", [b'a"b', b"\\"]),
        (Notation(quoted=True, listed=True), b'""', [b""]),
        (Notation(quoted=True, listed=True), b'"a"', [b"a"]),
        (Notation(quoted=True, listed=True), b'"a b" "" "c|d"', [b"a b", b"", b"c|d"]),
        (Notation(quoted=True, listed=True, escaped=True), rb'"a\"b" "c\]"', [b'a"b', b"c]"]),
        (Notation(listed=True), b"a", [b"a"]),
        (Notation(listed=True), b"a - c", [b"a", b"", b"c"]),
        (Notation(listed=True, escaped=True), rb"a\"b c\]", [b'a"b', b"c]"]),
        (Notation(quoted=True, json=True, listed=True), b"[]", []),
        (Notation(quoted=True, json=True, listed=True), b'["a"]', [b"a"]),
        (
            Notation(quoted=True, json=True, listed=True),
            rb'["a, b", "", "c\"d", "[\\"]',
            [b"a, b", b"", b'c"d', b"[\\"],
        ),
    ],
)
def test_headers_are_divided(notation: Notation, raw: bytes, headers: list[bytes]) -> None:
    """{a|b} without its braces, a list with or without its quotes, an array; none that is there is left out."""
    assert notation.headers(raw) == headers


@given(BYTES)
def test_what_was_escaped_is_read_back(value: bytes) -> None:
    r"""+E writes a backslash before each quote, bracket and backslash."""
    written = b"".join(b"\\%c" % octet if octet in b'"\\]' else b"%c" % octet for octet in value)
    assert (Notation(quoted=True, escaped=True).value(written) or b"") == value


@given(BYTES)
def test_what_json_was_made_of_is_read_back(value: bytes) -> None:
    r"""+json writes a backslash before quotes and backslashes alone: control bytes and bad UTF-8 stay as they are."""
    written = b"".join(b"\\%c" % octet if octet in b'"\\' else b"%c" % octet for octet in value)
    assert (JSON.value(b'"%s"' % written) or b"") == value
    assert (CONVERTED.value(written) or b"") == (b"" if written == b"-" else value)


@given(st.text(min_size=1).filter(lambda text: text != "-"))
def test_any_json_of_a_text_is_read_back(text: str) -> None:
    """Whatever the converter chooses to escape."""
    for ascii_only in (True, False):
        written = json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()
        assert CONVERTED.value(written) == text.encode()


@given(BYTES)
def test_json_of_bytes_is_read_back(value: bytes) -> None:
    """Without an encoding, the converter writes each byte that is no ASCII as a character of its own."""
    written = json.dumps(value.decode("latin-1"))[1:-1].encode()
    assert (OF_BYTES.value(written) or b"") == (b"" if written == b"-" else value)


@given(st.lists(BYTES.map(lambda octets: octets.replace(b'"', b"#22")), min_size=1, max_size=4))
def test_a_list_of_json_is_read_back(headers: list[bytes]) -> None:
    """Each header is what it was, whatever is in it: brackets, commas, backslashes; a dash is one that is missing."""
    written = b", ".join(b'"%s"' % header.replace(b"\\", rb"\\") for header in headers)
    assert Notation(quoted=True, json=True, listed=True).headers(b"[%s]" % written) == [
        b"" if header == b"-" else header for header in headers
    ]
