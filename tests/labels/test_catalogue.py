from collections.abc import Iterable

import pytest

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.labels.catalogue import Fillable, Label, Reading, error_labels, find_labels, read_label
from haproxy_log_exporter.labels.reasons import REASONS
from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.fields import KINDS
from haproxy_log_exporter.logformat.notation import PLAIN, Notation
from haproxy_log_exporter.logformat.presets import PRESETS
from haproxy_log_exporter.planning import compile_all

LISTED = Notation(quoted=True, listed=True)

ALL = Fillable(frozenset(KINDS), {}, frozenset())

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


def fill(fields: Iterable[str], names: dict[str, str] | None = None, headers: Iterable[str] = ()) -> Fillable:
    """Say what formats can fill: their fields, names that they give to some, headers that are captured by name."""
    return Fillable(frozenset(fields), names or {}, frozenset(headers))


def read(name: str, value: bytes | None, notation: Notation = PLAIN) -> str:
    """Read a label's value by the label's name."""
    (label,) = find_labels([name], ALL)
    return read_label(label, value, notation)


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
    """Without +Q, HAProxy prints an empty value as "-"; with it a dash is what was there."""
    assert read(name, b"-") == ""
    assert read(name, b"-", Notation(quoted=True)) == "-"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ssl", b"~", "true"),
        ("ssl", b"", "false"),
        ("ssl", b"1", "true"),
        ("ssl", b"0", "false"),
        ("ssl", b"true", "true"),
        ("ssl", b"false", "false"),
        ("ssl", b"-", "false"),
        ("redispatched", b"+", "true"),
        ("redispatched", b"", "false"),
    ],
)
def test_a_sign_is_a_flag(name: str, value: bytes, expected: str) -> None:
    """It is there or not; as a sample, %[ssl_fc], it is 1 or 0, and true or false in JSON."""
    assert read(name, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"/a/b", "/a/b"),
        (b"", "/"),
        (b"*", "*"),
        (b"h:443", "h:443"),
        (b"/x#22", "/x#22"),
        (b"-", ""),
        (b"/a#23b", "/a"),
    ],
)
def test_an_empty_path_is_a_slash(value: bytes, expected: str) -> None:
    """RFC 9110, section 4.2.3; all else is a path as it was written, without its fragment. A dash is none."""
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
    ("name", "value", "notation", "expected"),
    [
        ("request_header_1", b"a|b c|", PLAIN, "a"),
        ("request_header_2", b"a|b c|", PLAIN, "b c"),
        ("request_header_3", b"a|b c|", PLAIN, ""),
        ("request_header_4", b"a|b c|", PLAIN, ""),
        ("response_header_1", b"", PLAIN, ""),
        ("request_header_2", b'"a" "b c"', LISTED, "b c"),
        ("request_header_1", b'""', LISTED, ""),
        ("request_header_99", b"a", PLAIN, ""),
    ],
)
def test_a_header_is_read_by_its_place(name: str, value: bytes, notation: Notation, expected: str) -> None:
    """Counted from 1, in a block or in a list; empty where there are fewer."""
    assert read(name, value, notation) == expected


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


NOTATIONS = (
    PLAIN,
    Notation(quoted=True),
    Notation(escaped=True),
    Notation(json=True, quoted=True),
    Notation(converted="utf-8"),
    Notation(converted="bytes"),
    LISTED,
    Notation(listed=True),
    Notation(listed=True, json=True, quoted=True),
)


@pytest.mark.parametrize("reading", [*Reading])
@pytest.mark.parametrize("notation", NOTATIONS, ids=str)
@pytest.mark.parametrize(
    "value", [b"", b"-", b"|", b'"', b" ", b"\xff\xfe", b"\xc3\xa9", b"\x00", b"\\", rb'"\ud800"', b"9" * 5000]
)
def test_values_are_valid_text_whatever_the_bytes(reading: Reading, notation: Notation, value: bytes) -> None:
    """What is not UTF-8 is replaced, byte for byte where it must be, and nothing raises."""
    read_label(Label("x", "x", reading, 1), value, notation).encode()


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
        find_labels(["status_code", name], fill({"status_code", "ssl", "request_headers", "message"}))
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
    there_are = fill(tcplog.fields)
    names = there_are.labels()
    assert {"client_ip", "server_name", "ssl", "termination_state", "backend_queue"} <= {*names}
    assert not {"status_code", "status_class", "http_request_path", "request_header_1, …", "message"} & {*names}
    with pytest.raises(UsageError, match="'http_request_path'"):
        find_labels(["http_request_path"], there_are)


@pytest.mark.parametrize(
    "source",
    [
        *(preset.source for preset in PRESETS if preset.kind in ("http", "tcp")),
        "%(client)ci %(host)[req.hdr(host)] %[var(txn.app)] %[capture.req.hdr(1)] %hs %B",
        "%(request_header_host)[req.hdr(host)] %ST",
        "%(headers)hr %ST",
        "%(reason)[var(txn.reason)] %(le)[var(txn.le)] %(status_class)[var(txn.class)] %(phase)f %B",
    ],
)
def test_what_is_listed_can_be_had(source: str) -> None:
    """Each label of the list is found; the headers by any of their places, names that formats give as they are."""
    reader = compile_format("x", "http", source)
    there_are = fill(reader.fields, {**reader.names}, ["request_header_accept"])
    names = [name.removesuffix(", …") for name in there_are.labels()]
    assert len({*names}) == len(names)
    assert [label.name for label in find_labels(names, there_are)] == names
    assert not {"reason", "le", "phase"} & {*names}


def test_what_is_listed_of_all_fields_can_be_had() -> None:
    """So it is where every field of the catalogue is there."""
    names = [name.removesuffix(", …") for name in ALL.labels()]
    assert [label.name for label in find_labels(names, ALL)] == names
    assert "reason" not in names


# --- What formats and haproxy.cfg name --------------------------------------------------------------------------------


def test_a_field_is_a_label_under_the_name_that_a_format_gives_it_as_well() -> None:
    """It is read as the field is, and both names are listed."""
    there_are = fill(
        {"client_ip", "http_request_path", "req_hdr_host"}, {"client": "client_ip", "page": "http_request_path"}
    )
    labels = find_labels(["client", "client_ip", "page", "req_hdr_host"], there_are)
    assert labels == (
        Label("client", "client_ip", Reading.TEXT),
        Label("client_ip", "client_ip", Reading.TEXT),
        Label("page", "http_request_path", Reading.PATH),
        Label("req_hdr_host", "req_hdr_host", Reading.TEXT),
    )
    assert there_are.labels() == ["client_ip", "http_request_path", "client", "page", "req_hdr_host"]


def test_headers_can_be_had_by_the_names_that_haproxy_cfg_gives_them() -> None:
    """A name that no frontend captures is unknown; places remain, where any format prints headers."""
    there_are = fill({"request_headers"}, headers={"request_header_host"})
    labels = find_labels(["request_header_host", "request_header_12"], there_are)
    assert labels == (
        Label("request_header_host", "request_headers", Reading.HEADER, header="host"),
        Label("request_header_12", "request_headers", Reading.HEADER, place=12),
    )
    assert there_are.labels() == ["request_header_1, …", "request_header_host"]
    for name in ("request_header_accept", "response_header_host", "response_header_1"):
        with pytest.raises(UsageError, match=f"'{name}'"):
            find_labels([name], there_are)


def test_a_header_that_a_sample_prints_can_be_had_by_its_place() -> None:
    """%[capture.req.hdr(0)] is request_header_1, without any list of headers; other places are unknown."""
    there_are = fill({"request_header_1"})
    assert there_are.labels() == ["request_header_1"]
    assert find_labels(["request_header_1"], there_are)[0].place == 1
    with pytest.raises(UsageError, match="'request_header_2'"):
        find_labels(["request_header_2"], there_are)


def test_defaults_are_those_that_the_formats_can_fill() -> None:
    """Nobody has to name labels because a format lacks one of the default ones; who names them is told."""
    assert [label.name for label in find_labels((), ALL)] == ["status_code", "backend_name", "server_name"]
    assert [label.name for label in find_labels((), fill({"server_name", "client_ip"}))] == ["server_name"]
    assert find_labels((), fill({"client_ip"})) == ()
