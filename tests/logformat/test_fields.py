import re

import pytest

from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.fields import (
    ALIASES,
    CLASSES,
    COMPOSITES,
    CUT_FRAGMENTS,
    FIELDS,
    FRAGMENTS,
    FREE_TEXT,
    KINDS,
    Kind,
    Part,
)

# The contract's order of what `parse` prints, section "parse"; the four connections are printed as an array.
CONTRACT = (
    "client_ip",
    "client_port",
    "accept_date",
    "frontend_name",
    "ssl",
    "backend_name",
    "server_name",
    "time_request",
    "time_queue",
    "time_connect",
    "time_response",
    "time_total",
    "status_code",
    "bytes_read",
    "bytes_uploaded",
    "request_cookie",
    "response_cookie",
    "termination_state",
    "actconn",
    "feconn",
    "beconn",
    "srv_conn",
    "retries",
    "redispatched",
    "server_queue",
    "backend_queue",
    "request_headers",
    "response_headers",
    "http_request_method",
    "http_request_uri",
    "http_request_path",
    "http_version",
    "ssl_sni",
    "ssl_version",
    "ssl_cipher",
    "message",
)

# What HAProxy writes for each alias, and what its fields are then.
EXAMPLES: dict[str, tuple[str, dict[str, str]]] = {
    "ci": ("fe80::1:2", {"client_ip": "fe80::1:2"}),
    "cp": ("53510", {"client_port": "53510"}),
    "t": ("20/Nov/2026:04:30:27.864", {"accept_date": "20/Nov/2026:04:30:27.864"}),
    "tr": ("01/Jan/2026:23:59:60.000", {"accept_date": "01/Jan/2026:23:59:60.000"}),
    "T": ("20/Nov/2026:04:30:58 +0000", {"accept_date": "20/Nov/2026:04:30:58 +0000"}),
    "Tl": ("20/Nov/2026:04:30:58 -0330", {"accept_date": "20/Nov/2026:04:30:58 -0330"}),
    "trg": ("20/Nov/2026:04:30:58 +0000", {"accept_date": "20/Nov/2026:04:30:58 +0000"}),
    "trl": ("20/Nov/2026:04:30:58 +1245", {"accept_date": "20/Nov/2026:04:30:58 +1245"}),
    "ms": ("068", {"accept_milliseconds": "068"}),
    "f": ("web:8080", {"frontend_name": "web:8080"}),
    "ft": ("tls~", {"frontend_name": "tls", "ssl": "~"}),
    "b": ("bk", {"backend_name": "bk"}),
    "s": ("<NOSRV>", {"server_name": "<NOSRV>"}),
    "Th": ("12", {"time_handshake": "12"}),
    "Ti": ("0", {"time_idle": "0"}),
    "TR": ("-1", {"time_request": "-1"}),
    "Tq": ("-1", {"time_request": "-1"}),
    "Tw": ("1", {"time_queue": "1"}),
    "Tc": ("-1", {"time_connect": "-1"}),
    "Tr": ("1001", {"time_response": "1001"}),
    "Td": ("7", {"time_data": "7"}),
    "Ta": ("+0", {"time_total": "+0"}),
    "Tt": ("+50", {"time_total": "+50"}),
    "Tu": ("9", {"time_total": "9"}),
    "ST": ("-1", {"status_code": "-1"}),
    "B": ("+9223372036854775807", {"bytes_read": "+9223372036854775807"}),
    "U": ("81", {"bytes_uploaded": "81"}),
    "CC": ("SESS=a;b", {"request_cookie": "SESS=a;b"}),
    "CS": ("-", {"response_cookie": "-"}),
    "tsc": ("cR--", {"termination_state": "cR--"}),
    "ts": ("SC", {"termination_state": "SC"}),
    "ac": ("3", {"actconn": "3"}),
    "fc": ("2", {"feconn": "2"}),
    "bc": ("1", {"beconn": "1"}),
    "sc": ("0", {"srv_conn": "0"}),
    "rc": ("+1", {"redispatched": "+", "retries": "1"}),
    "sq": ("4", {"server_queue": "4"}),
    "bq": ("12", {"backend_queue": "12"}),
    "hr": ("{a|b c}", {"request_headers": "a|b c"}),
    "hs": ("{}", {"response_headers": ""}),
    "hrl": ('"a" "b c"', {"request_headers": '"a" "b c"'}),
    "hsl": ('""', {"response_headers": '""'}),
    "r": (
        "GET http://h/p?q HTTP/1.1",
        {
            "http_request_method": "GET",
            "http_request_uri": "http://h/p?q",
            "http_request_path": "/p",
            "http_version": "HTTP/1.1",
        },
    ),
    "HM": ("M-SEARCH", {"http_request_method": "M-SEARCH"}),
    "HV": ("HTTP/1.0", {"http_version": "HTTP/1.0"}),
    "[ssl_fc_sni]": ("localhost", {"ssl_sni": "localhost"}),
    "sslv": ("TLSv1.3", {"ssl_version": "TLSv1.3"}),
    "sslc": ("(NONE)", {"ssl_cipher": "(NONE)"}),
    "[fc_err]": ("0", {"fc_err": "0"}),
    "[ssl_fc_err,hex]": ("0000000000000000", {"ssl_fc_err": "0000000000000000"}),
    "[ssl_c_err]": ("-", {"ssl_c_err": "-"}),
    "[ssl_c_ca_err]": ("0", {"ssl_c_ca_err": "0"}),
    "[ssl_fc_is_resumed]": ("1", {"ssl_fc_is_resumed": "1"}),
    "[bind_name]": ("1", {"bind_name": "1"}),
    "[mode]": ("HTTP", {}),
    "[ends]": ("from ::1:37132 to ::1:28084", {"client_ip": "::1", "client_port": "37132"}),
    "[message]": ("SSL handshake failure (error)", {"message": "SSL handshake failure (error)"}),
}


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_each_alias_reads_what_haproxy_writes_for_it(name: str) -> None:
    """An alias alone is a format of its own, and gives the fields that it says it prints."""
    text, expected = EXAMPLES[name]
    compiled = compile_format("x", "http", f"%{name}")
    assert compiled.groups == tuple((field,) for field in ALIASES[name].fields)
    rows = compiled.read(f"{text}\n".encode())
    assert rows.lines == 1
    assert dict(zip(ALIASES[name].fields, (column[0] for column in rows.columns), strict=True)) == {
        field: value.encode() for field, value in expected.items()
    }
    assert compiled.fields == expected.keys()


def test_examples_are_complete() -> None:
    """No alias goes without an example."""
    assert EXAMPLES.keys() == ALIASES.keys()


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_no_alias_reaches_into_the_next_line(name: str) -> None:
    """Whatever a line lacks is not taken from the one behind it."""
    text = EXAMPLES[name][0].encode()
    compiled = compile_format("x", "http", f"^%{name}$")
    for place in range(len(text) + 1):
        broken = b"^" + text[:place] + b"\n" + text[place:] + b"$\n"
        rows = compiled.read(broken)
        assert (rows.lines, rows.rest) == (0, broken)


def test_fields_are_printed_in_the_contracts_order() -> None:
    """`parse` prints fields in the order of the catalogue, which is the contract's."""
    assert [name for name in KINDS if name in CONTRACT] == [*CONTRACT]


def test_every_field_is_printed_by_an_alias() -> None:
    """No row of the catalogue is dead, and no alias prints a field that is no row."""
    assert {field for alias in ALIASES.values() for field in alias.fields} == KINDS.keys()


def test_rows_of_one_field_agree() -> None:
    """A field that several rows print has one kind, and each alias is in one row."""
    for row in FIELDS:
        assert row.kind is KINDS[row.name]
        assert row.meaning
    names = [name for row in FIELDS for name in row.aliases] + [*COMPOSITES]
    assert len(names) == len(set(names)) == len(ALIASES)


def test_every_kind_that_is_printed_alone_has_a_fragment() -> None:
    """A row needs no fragment of its own where its kind has one."""
    for row in FIELDS:
        if row.aliases:
            assert row.fragment or row.kind in FRAGMENTS, row.name
    assert CUT_FRAGMENTS.keys() <= FRAGMENTS.keys()


def fragments(parts: tuple[Part, ...]) -> list[str]:
    """List the bare patterns of parts, inner ones included."""
    found: list[str] = []
    for part in parts:
        found += [part.pattern] if isinstance(part.pattern, str) else fragments(part.pattern)
    return found


def test_fragments_use_the_classes_that_there_are() -> None:
    """Each `$word` is filled in, and no class holds a newline."""
    patterns = [pattern for alias in ALIASES.values() for pattern in (*fragments(alias.parts), alias.cut)]
    for pattern in patterns:
        assert {*re.findall(r"\$[a-z]+", pattern)} <= CLASSES.keys(), pattern
    assert all(lowest > ord("\n") for lowest, _ in CLASSES.values())


def test_what_a_client_chooses_is_known_as_free_text() -> None:
    """Free texts are aliases: requests, captured headers and cookies, server names asked for, messages."""
    assert ALIASES.keys() >= FREE_TEXT
    assert {name for name, alias in ALIASES.items() if alias.kind in (Kind.LIST, Kind.TEXT)} <= FREE_TEXT


def test_numbers_and_dates_are_never_quoted() -> None:
    """+Q puts names and texts in quotes, and leaves the rest alone."""
    quoted = {name for name, alias in ALIASES.items() if alias.quotable}
    assert quoted >= {"ci", "b", "s", "ft", "r", "CC", "CS", "HM", "sslv", "[ssl_fc_sni]"}
    assert not quoted & {"cp", "tr", "trg", "ms", "ST", "B", "Ta", "tsc", "ts", "rc", "sq", "hr", "hrl"}
