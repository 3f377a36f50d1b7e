import pytest

from haproxy_log_exporter.logformat.aliases import ALIASES, FRAGMENTS, field_alias
from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.fields import FIELDS, KINDS, NUMBERS, Field, Kind

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


# What formats of one's own can print besides, told by the fields it stands between.
BESIDES = {
    "accept_milliseconds": ("accept_date", "frontend_name"),
    "timestamp": ("accept_date", "frontend_name"),
    "frontend_ip": ("frontend_name", "backend_name"),
    "backend_source_port": ("backend_name", "server_name"),
    "server_ip": ("server_name", "time_request"),
    "time_idle": ("server_name", "time_request"),
    "time_data": ("time_response", "time_total"),
    "time_user": ("time_total", "status_code"),
    "http_request_query": ("http_request_path", "http_version"),
    "unique_id": ("ssl_cipher", "message"),
}


def test_fields_are_printed_in_the_contracts_order() -> None:
    """`parse` prints fields in the order of the catalogue, which is the contract's; others stand where they belong."""
    names = [*KINDS]
    assert [name for name in names if name in CONTRACT] == [*CONTRACT]
    for name, (before, behind) in BESIDES.items():
        assert names.index(before) < names.index(name) < names.index(behind), name


def test_every_field_is_printed_by_an_alias() -> None:
    """No row of the catalogue is dead, and no alias prints a field that is no row."""
    assert {field for alias in ALIASES.values() for field in alias.fields} == KINDS.keys()


def test_rows_of_one_field_agree() -> None:
    """A field that several rows print has one kind, and whoever looks for its meaning finds one."""
    for row in FIELDS:
        assert row.kind is KINDS[row.name]
        assert row.meaning
        assert row.example


def test_every_kind_that_is_printed_alone_has_a_fragment() -> None:
    """A row needs no fragment of its own where its kind has one."""
    for row in FIELDS:
        if row.aliases:
            assert row.fragment or row.kind in FRAGMENTS, row.name


@pytest.mark.parametrize("row", [row for row in FIELDS if row.fragment or row.kind in FRAGMENTS], ids=str)
def test_examples_are_read_as_what_they_are_examples_of(row: Field) -> None:
    """What is shown to who asks for a field's meaning is what its aliases print."""
    names = row.aliases or (f"[{row.name}]",)
    for name in names:
        compiled = compile_format("x", "http", f"%{name if row.aliases else f'({row.name})[x]'}")
        rows = compiled.read(f"{row.example}\n".encode())
        assert rows == (1, [[row.example.encode()]], b""), name
        assert field_alias(row, name).fields == (row.name,)


def test_numbers_are_of_the_kinds_that_are_numbers_in_json() -> None:
    """Dates, states and flags are none."""
    numbers = {name for name, kind in KINDS.items() if kind in NUMBERS}
    assert numbers >= {"client_port", "timestamp", "time_total", "status_code", "bytes_read", "actconn", "retries"}
    assert not numbers & {"accept_date", "termination_state", "redispatched", "ssl", "client_ip", "unique_id"}
    assert {Kind.TEXT, Kind.WORD, Kind.ADDRESS, Kind.LIST, Kind.FLAG}.isdisjoint(NUMBERS)
