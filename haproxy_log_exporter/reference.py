"""The haproxy_log_analysis library behind the interface of a Reader, for whoever wants its reading exactly.

It reads httplog alone, a line at a time. Its path keeps the query string, and what it makes of a request line that it
cannot read is `invalid`, in version 2.0 nothing. Version 2.0 wants lines without a syslog header, later ones with one.
"""

import contextlib
import io
import re
from collections.abc import Mapping

from haproxy.line import Line

from haproxy_log_exporter.logformat.compiler import Wanted
from haproxy_log_exporter.logformat.envelopes import find_message
from haproxy_log_exporter.logformat.notation import Notation
from haproxy_log_exporter.logformat.reader import Column, Extent, Rows

# From the library's attributes to the catalogue's fields; those that it does not keep are missing.
_ATTRIBUTES = {
    "client_ip": "client_ip",
    "client_port": "client_port",
    "accept_date": "raw_accept_date",
    "frontend_name": "frontend_name",
    "ssl": "frontend_name",
    "backend_name": "backend_name",
    "server_name": "server_name",
    "time_request": "time_wait_request",
    "time_queue": "time_wait_queues",
    "time_connect": "time_connect_server",
    "time_response": "time_wait_response",
    "time_total": "total_time",
    "status_code": "status_code",
    "bytes_read": "bytes_read",
    "actconn": "connections_active",
    "feconn": "connections_frontend",
    "beconn": "connections_backend",
    "srv_conn": "connections_server",
    "retries": "retries",
    "redispatched": "retries",
    "server_queue": "queue_server",
    "backend_queue": "queue_backend",
    "request_headers": "captured_request_headers",
    "response_headers": "captured_response_headers",
    "http_request_method": "http_request_method",
    "http_request_path": "http_request_path",
    "http_version": "http_request_protocol",
}

_WANTS_HEADER = not hasattr(Line, "get_ip")  # a method of 2.0's, a property `ip` since


class ReferenceReader:
    """Reads httplog lines with haproxy_log_analysis: a Reader."""

    name = "haproxy-log-analysis"
    kind = "http"
    fields = frozenset(_ATTRIBUTES)
    notations: Mapping[str, Notation] = {}
    names: Mapping[str, str] = {}

    def __init__(self, wanted: Wanted | None) -> None:
        """Give a column to each wanted field, or to all."""
        names = self.fields if wanted is None else self.fields & (wanted.labels | wanted.numbers)
        self.groups = tuple((name,) for name in _ATTRIBUTES if name in names)
        self.splitters: Mapping[tuple[str, ...], re.Pattern[bytes]] = {}

    def read(self, chunk: bytes, extent: Extent = Extent.WHOLE) -> Rows:
        """Read a chunk of whole lines, each ending in a newline; the library knows no other extent."""
        if extent is not Extent.WHOLE:
            return Rows(0, [], chunk)
        columns: list[list[bytes | None]] = [[] for _ in self.groups]
        rest, count = [], 0
        for raw in chunk.split(b"\n")[:-1]:
            line = read_line(raw)
            if line is None:
                rest.append(raw + b"\n")
                continue
            count += 1
            for (name,), column in zip(self.groups, columns, strict=True):
                column.append(_field(line, name))
        found: list[Column] = [*columns]
        return Rows(count, found, b"".join(rest))


def read_line(raw: bytes) -> Line | None:
    """Let the library read a line, whatever envelope it is in; None where it says that it is not valid."""
    message = raw[find_message(raw) :].decode("utf-8", "surrogateescape")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints requests that it cannot read
        try:
            line = Line(f"haproxy[1]: {message}" if _WANTS_HEADER else message)
        except ValueError:  # a date that is none
            return None
    return line if getattr(line, "is_valid", getattr(line, "valid", False)) else None


def _field(line: Line, name: str) -> bytes | None:
    value = getattr(line, _ATTRIBUTES[name])
    if value is None:
        return None
    text = str(value)
    match name:
        case "frontend_name":
            text = text.removesuffix("~")
        case "ssl":
            text = "~" if text.endswith("~") else ""
        case "retries":
            text = text.removeprefix("+")
        case "redispatched":
            text = "+" if text.startswith("+") else ""
        case "request_headers" | "response_headers":
            text = text.removeprefix("{").removesuffix("}")  # 2.0 keeps them
    return text.encode("utf-8", "surrogateescape")
