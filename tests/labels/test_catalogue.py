import pytest

from haproxy_log_exporter.engine import Choice, compile_all
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.labels.catalogue import (
    REASONS,
    Label,
    Reading,
    available_labels,
    error_labels,
    find_labels,
    read_label,
    split_headers,
)
from haproxy_log_exporter.logformat.fields import KINDS

ALL = frozenset(KINDS)

# The contract's labels, section "Labels".
CONTRACT = (
    "status_code",
    "status_class",
    "frontend_name",
    "backend_name",
    "server_name",
    "http_request_path",
    "http_request_method",
    "http_version",
    "client_ip",
    "client_port",
    "termination_state",
    "ssl",
    "ssl_version",
    "ssl_cipher",
    "ssl_sni",
    "request_header_1",
    "response_header_12",
)


def read(name: str, value: bytes | None) -> str:
    """Read a label's value by the label's name."""
    (label,) = find_labels([name], ALL)
    return read_label(label, value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("status_code", b"200", "200"),
        ("status_code", b"-1", "-1"),
        ("status_code", b"000", "000"),
        ("backend_name", b"bk", "bk"),
        ("server_name", b"<NOSRV>", "<NOSRV>"),
        ("client_ip", b"::1", "::1"),
        ("client_port", b"53510", "53510"),
        ("termination_state", b"----", "----"),
        ("time_total", b"+5", "+5"),
        ("accept_date", b"20/Nov/2026:04:30:27.864", "20/Nov/2026:04:30:27.864"),
    ],
)
def test_texts_and_words_are_taken_as_they_are(name: str, value: bytes, expected: str) -> None:
    """Numbers, dates and states keep every sign that they have."""
    assert read(name, value) == expected


@pytest.mark.parametrize(
    "name", ["client_ip", "client_port", "backend_name", "ssl_sni", "ssl_version", "request_cookie"]
)
def test_a_dash_is_no_word(name: str) -> None:
    """Without +Q, HAProxy prints an empty value as "-"."""
    assert read(name, b"-") == ""


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("ssl", b"~", "true"), ("ssl", b"", "false"), ("redispatched", b"+", "true"), ("redispatched", b"", "false")],
)
def test_a_sign_is_a_flag(name: str, value: bytes, expected: str) -> None:
    """It is there or not."""
    assert read(name, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(b"/a/b", "/a/b"), (b"", "/"), (b"*", "*"), (b"h:443", "h:443"), (b"/x#22", "/x#22")]
)
def test_an_empty_path_is_a_slash(value: bytes, expected: str) -> None:
    """RFC 9110, section 4.2.3; all else is a path as it was written."""
    assert read("http_request_path", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(b"HTTP/1.1", "HTTP/1.1"), (b"b c HTTP/1.0", "HTTP/1.0"), (b"", ""), (b"HTT", "HTT")]
)
def test_a_version_is_the_last_word(value: bytes, expected: str) -> None:
    """What a URI with blanks leaves in front of it is not the version's."""
    assert read("http_version", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"200", "2xx"),
        (b"100", "1xx"),
        (b"599", "5xx"),
        (b"600", ""),
        (b"099", ""),
        (b"000", ""),
        (b"0", ""),
        (b"-1", ""),
        (b"20", ""),
        (b"2000", ""),
        (b"\xff00", ""),
    ],
)
def test_the_class_of_a_status(value: bytes, expected: str) -> None:
    """Of the five classes, or of none."""
    assert read("status_class", value) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("request_header_1", b"a|b c|", "a"),
        ("request_header_2", b"a|b c|", "b c"),
        ("request_header_3", b"a|b c|", ""),
        ("request_header_4", b"a|b c|", ""),
        ("response_header_1", b"", ""),
        ("request_header_2", b'"a" "b c"', "b c"),
        ("request_header_1", b'""', ""),
        ("request_header_99", b"a", ""),
    ],
)
def test_a_header_is_read_by_its_place(name: str, value: bytes, expected: str) -> None:
    """Counted from 1, in a block or in a list; empty where there are fewer."""
    assert read(name, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", [b""]),
        (b"|", [b"", b""]),
        (b"a|b", [b"a", b"b"]),
        (b'""', [b""]),
        (b'"a"', [b"a"]),
        (b'"a b" "" "c|d"', [b"a b", b"", b"c|d"]),
    ],
)
def test_headers_are_split(value: bytes, expected: list[bytes]) -> None:
    """{a|b} without its braces, or "a" "b" with its quotes."""
    assert split_headers(value) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"SSL handshake failure", "SSL handshake failure"),
        (b"SSL handshake failure (error:0A00010B:SSL routines::wrong version number)", "SSL handshake failure"),
        (b"Connection closed during SSL handshake", "Connection closed during SSL handshake"),
        (b"Something new", "other"),
        (b"", "other"),
        (b"\xff", "other"),
    ],
)
def test_reasons_are_bounded(message: bytes, expected: str) -> None:
    """The error in brackets is cut off, and what HAProxy's list does not have is `other`."""
    frontend, reason = error_labels()
    assert read_label(reason, message) == expected
    assert expected in REASONS | {"other"}
    assert (frontend.name, reason.name) == ("frontend_name", "reason")


@pytest.mark.parametrize("reading", Reading)
def test_no_field_is_the_empty_string(reading: Reading) -> None:
    """A line without the field has the label all the same."""
    assert read_label(Label("x", "x", reading, 1), None) == ""


@pytest.mark.parametrize("reading", [*Reading])
@pytest.mark.parametrize("value", [b"", b"-", b"|", b'"', b" ", b"\xff\xfe", b"\xc3\xa9", b"\x00", b"9" * 5000])
def test_values_are_valid_text_whatever_the_bytes(reading: Reading, value: bytes) -> None:
    """What is not UTF-8 is replaced, byte for byte where it must be, and nothing raises."""
    read_label(Label("x", "x", reading, 1), value).encode()


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    """Others stay as they are."""
    assert read("http_request_path", b"/caf\xc3\xa9/\xe9/\xf0\x9f\x90\x8d") == "/café/�/🐍"
    assert read("request_header_2", b"a|\xff\xc3") == "��"


def test_the_contracts_labels_are_there() -> None:
    """Each is found by its name, and every field but lists and messages is a label as well."""
    assert [label.name for label in find_labels(CONTRACT, ALL)] == [*CONTRACT]
    fields = [name for name in KINDS if name not in ("request_headers", "response_headers", "message")]
    assert [label.field for label in find_labels(fields, ALL)] == fields


@pytest.mark.parametrize(
    "name",
    [
        "nonsense",
        "reason",
        "request_headers",
        "request_header_0",
        "request_header_01",
        "request_header_100",
        "header_1",
        "STATUS_CODE",
        "",
    ],
)
def test_a_label_that_nothing_fills_is_an_error_that_lists_those_there_are(name: str) -> None:
    """The message names the option, the label and every label that could be had."""
    with pytest.raises(UsageError) as caught:
        find_labels(["status_code", name], frozenset({"status_code", "ssl", "request_headers", "message"}))
    assert caught.value.messages == (
        f"--labels: no format in use can fill {name!r}; there are ssl, status_code, status_class, request_header_1, …",
    )


def test_every_unknown_label_is_told() -> None:
    """Not only the first."""
    with pytest.raises(UsageError) as caught:
        find_labels(["a", "ssl", "b"], ALL)
    assert [message.split(";")[0] for message in caught.value.messages] == [
        "--labels: no format in use can fill 'a'",
        "--labels: no format in use can fill 'b'",
    ]


def test_labels_are_those_of_the_fields_in_use() -> None:
    """A TCP session has no status, and no path to offer."""
    (tcplog,) = compile_all(Choice((), (), (), ("tcplog",)))
    names = available_labels(tcplog.fields)
    assert {"client_ip", "server_name", "ssl", "termination_state", "backend_queue"} <= {*names}
    assert not {"status_code", "status_class", "http_request_path", "request_header_1, …", "message"} & {*names}
    with pytest.raises(UsageError, match="'http_request_path'"):
        find_labels(["http_request_path"], tcplog.fields)


def test_what_is_listed_can_be_had() -> None:
    """Each label of the list is found; the headers by any of their places."""
    names = [name.removesuffix(", …") for name in available_labels(ALL)]
    assert [label.name for label in find_labels(names, ALL)] == names
    assert "reason" not in names
