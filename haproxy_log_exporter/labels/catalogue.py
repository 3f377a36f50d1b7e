"""The labels there are, the field each is read from, and how.

A field of the catalogue is a label under its own name; the rows here are those that are read in another way.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.logformat.fields import KINDS, Kind

DEFAULT_LABELS = ("status_code", "backend_name", "server_name")

Value = bytes | None  # None where the line has no such field


class Reading(Enum):
    """How a field's bytes become a label's value."""

    TEXT = "text"
    WORD = "word"
    FLAG = "flag"
    PATH = "path"
    VERSION = "version"
    STATUS_CLASS = "status class"
    HEADER = "header"
    REASON = "reason"


@dataclass(frozen=True, slots=True)
class Label:
    """A label by name, its field, and for a captured header the header's place, from 1."""

    name: str
    field: str
    reading: Reading
    place: int = 0


_OWN_READING: dict[str, Reading] = {
    "http_request_path": Reading.PATH,
    "http_version": Reading.VERSION,
    "ssl": Reading.FLAG,
    "redispatched": Reading.FLAG,
}
_DERIVED = (
    Label("status_class", "status_code", Reading.STATUS_CLASS),
    Label("reason", "message", Reading.REASON),
)
# HAProxy writes "#" as #23, and other bytes as #XX: so only that, or a "#" without two digits, begins a fragment.
_FRAGMENT = re.compile(rb"#(?:23|(?![0-9A-F]{2})).*+", re.DOTALL)
_HEADER = re.compile(r"(request|response)_header_([1-9][0-9]?)")

# What HAProxy writes of a connection that failed before it was a request: conn_err_code_str() in src/connection.c.
REASONS = frozenset(
    {
        "Connection closed during SSL handshake",
        "Connection closed while waiting for NetScaler Client IP header",
        "Connection closed while waiting for PROXY protocol header",
        "Connection error during SSL handshake",
        "Connection error while waiting for NetScaler Client IP header",
        "Connection error while waiting for PROXY protocol header",
        "General socket error",
        "Received an invalid NetScaler Client IP magic number",
        "Out of memory when initializing an SSL connection",
        "Out of system buffers",
        "Reached configured maxconn value",
        "Success",
        "Too many sockets on the process",
        "Too many sockets on the system",
        "Received an invalid PROXY protocol header",
        "Received an unhandled protocol in the NetScaler Client IP header",
        "Received an unhandled protocol in the PROXY protocol header",
        "Received something which does not look like a PROXY protocol header",
        "Rejected a client-initiated SSL renegotiation attempt",
        "SSL client CA chain cannot be verified",
        "SSL client certificate not trusted",
        "SSL handshake failure",
        "SSL handshake failure after heartbeat",
        "Stopped a TLSv1 heartbeat attack",
        "Timeout during SSL handshake",
        "Timeout while waiting for a NetScaler Client IP header",
        "Timeout while waiting for PROXY protocol header",
        "Too many SSL connections",
        "Truncated NetScaler Client IP header received",
        "Truncated PROXY protocol header received",
    }
)


def find_labels(names: Sequence[str], fields: frozenset[str]) -> tuple[Label, ...]:
    """Look up labels by name; without any, those default ones that the fields can fill.

    Raises:
        UsageError: for each name that none of the fields can fill, with those that can be had.
    """
    found, unknown = [], []
    for name in names or filter(fields.__contains__, DEFAULT_LABELS):
        label = _find(name)
        if label is None or label.field not in fields or name == "reason":
            unknown.append(name)
        else:
            found.append(label)
    if unknown:
        there_are = ", ".join(available_labels(fields))
        raise UsageError(*(f"--labels: no format in use can fill {name!r}; there are {there_are}" for name in unknown))
    return tuple(found)


def available_labels(fields: frozenset[str]) -> list[str]:
    """List the labels that these fields can fill, in the order of the fields' catalogue."""
    names = []
    for field, kind in KINDS.items():
        if field not in fields:
            continue
        if kind is Kind.LIST:
            names.append(f"{field[:-1]}_1, …")
        elif field != "message":
            names += [field, *(row.name for row in _DERIVED if row.field == field)]
    return names


def error_labels() -> tuple[Label, ...]:
    """The labels of connection_errors_total."""
    return (Label("frontend_name", "frontend_name", Reading.WORD), _DERIVED[1])


def _find(name: str) -> Label | None:
    for row in _DERIVED:
        if row.name == name:
            return row
    if match := _HEADER.fullmatch(name):
        return Label(name, f"{match[1]}_headers", Reading.HEADER, int(match[2]))
    kind = KINDS.get(name)
    if kind is None or kind is Kind.LIST:
        return None
    by_kind = Reading.WORD if kind in (Kind.WORD, Kind.ADDRESS, Kind.PORT) else Reading.TEXT
    return Label(name, name, _OWN_READING.get(name, by_kind))


def read_label(label: Label, value: Value) -> str:
    """Read a label's value from its field: valid UTF-8, empty where the line has none."""
    if value is None:
        return ""
    match label.reading:
        case Reading.WORD:  # without +Q, HAProxy prints an empty value as "-"
            return "" if value == b"-" else _decode(value)
        case Reading.FLAG:
            return "true" if value else "false"
        case Reading.PATH:  # RFC 9110, section 4.2.3: an empty path is "/"
            return _decode(_FRAGMENT.sub(b"", value)) or "/"
        case Reading.VERSION:  # a URI that holds a blank has left its end in front
            return _decode(value.rpartition(b" ")[2])
        case Reading.STATUS_CLASS:
            return f"{value[:1].decode()}xx" if re.fullmatch(rb"[1-5][0-9][0-9]", value) else ""
        case Reading.HEADER:
            headers = split_headers(value)
            return _decode(headers[label.place - 1]) if label.place <= len(headers) else ""
        case Reading.REASON:
            text = _decode(value).partition(" (")[0]
            return text if text in REASONS else "other"
        case Reading.TEXT:
            return _decode(value)


def split_headers(value: bytes) -> list[bytes]:
    """Split captured headers: of a block, {a|b} without its braces; of a list, "a" "b" with its quotes."""
    if value.startswith(b'"'):
        return value[1:-1].split(b'" "')
    return value.split(b"|")


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "replace")
