"""What `parse` must give for a line, from three witnesses, none of which is the package.

HAProxy's own words for the session, in a header of its response; the reference frontend's line for the same request,
which is read by a split; and the client, which knows its address and the time. Timers that no witness tells, and
counts of connections, must lie within bounds.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from tests.integration.log_format_rows import Row
from tests.integration.log_format_site import SAME, SEPARATOR, TOLD, Exchange

_NUMBERS = {
    "bytes_read", "bytes_uploaded", "server_queue", "backend_queue", "server_port", "status_code", "client_port",
    "frontend_port", "backend_source_port", "timestamp", "accept_milliseconds", "request_counter", "src_port",
    "dst_port", "Tq", "time_handshake", "time_idle", "time_request", "time_queue", "time_connect", "time_response",
    "time_data",
}  # fmt: skip
_TIMERS = {name for name in _NUMBERS if name.startswith(("time_", "Tq"))}
_REQUEST = ("http_request_method", "http_request_uri", "HPO", "http_request_query", "http_version")


@dataclass(frozen=True, eq=False)
class Between:
    """Equals whatever integer lies within its bounds."""

    lowest: int
    highest: int

    def __eq__(self, other: object) -> bool:
        """Compare."""
        return type(other) is int and self.lowest <= other <= self.highest

    def __hash__(self) -> int:
        """Nothing looks it up; it stands with __eq__."""
        return hash((self.lowest, self.highest))


@dataclass(frozen=True, eq=False)
class Moment:
    """Equals whatever date of HAProxy's lies within its bounds, give or take a second; with a zone or milliseconds."""

    earliest: float
    latest: float
    layout: str

    def __eq__(self, other: object) -> bool:
        """Compare."""
        if not isinstance(other, str):
            return False
        moment = datetime.strptime(other, self.layout).timestamp()  # noqa: DTZ007 -- HAProxy's local time
        return self.earliest - 1 <= moment <= self.latest + 1

    def __hash__(self) -> int:
        """Nothing looks it up; it stands with __eq__."""
        return hash((self.earliest, self.latest))


SOME_TIME = Between(0, 60_000)
SOME_COUNT = Between(0, 400)
SOME_BYTES = Between(0, 1 << 20)
ANY = Between(0, 1 << 32)
_LOCAL, _ZONED = "%d/%b/%Y:%H:%M:%S.%f", "%d/%b/%Y:%H:%M:%S %z"
_DATES = {"accept_date": _LOCAL, "tr": _LOCAL, "T": _ZONED, "Tl": _ZONED, "trg": _ZONED, "trl": _ZONED}


def expected(name: str, row: Row, exchange: Exchange, reference: Exchange) -> dict[str, object]:
    """Tell what `parse` must print for the line of a request to a format's frontend."""
    known = _known(name, exchange, read_reference(row.mode, reference), reference)
    if exchange.request == "long" and re.search(r"%(?:\{[^}]*\})?r\b", row.format):
        known["http_version"] = None  # the request line was cut before it; %HV says HTTP/0.9 then
    found: dict[str, object] = {"kind": row.mode, "format": "1"}
    for word in row.fields.split():
        field, _, key = word.partition("=")
        if field == "connections":
            found[field] = [SOME_COUNT if count else None for count in (key or "ac,fc,bc,sc").split(",")]
        elif known[key or field] is not None:
            found[field] = known[key or field]
    return found


def read_reference(mode: str, exchange: Exchange) -> dict[str, str]:
    """Read the line of a reference frontend."""
    _, _, body = exchange.line.partition("]: ")
    return dict(zip(SAME[mode], body.removesuffix("\n").split(SEPARATOR), strict=True))


def _known(name: str, exchange: Exchange, same: dict[str, str], reference: Exchange) -> dict[str, object]:
    known = {key: _value(key, text) for key, text in same.items()}
    known |= _derived(name, same)
    known |= _measured(exchange, same)
    known |= _told(exchange)
    if exchange.client_port:
        known["client_ip"], known["client_port"] = exchange.client_ip, exchange.client_port
        known["frontend_ip"], known["frontend_port"] = exchange.door_ip, exchange.door_port
        if exchange.told:
            known["unique_id"] = _unique_id(known)
    if exchange.source_port:
        known["backend_source_port"] = exchange.source_port
    if same["server_name"] == "<NOSRV>" and exchange.told:  # what HAProxy answers itself holds what it told
        known["bytes_read"] = int(same["bytes_read"]) + len(exchange.told) - len(reference.told)
    return known


def _unique_id(known: dict[str, object]) -> str:
    """Make what unique-id-format tells to make of a session; that on its log line is made when it is asked for."""
    ends = "_".join(
        f"{ip_address(str(known[f'{end}_ip'])).packed.hex().upper()}:{known[f'{end}_port']:04X}"
        for end in ("client", "frontend")
    )
    return f"{ends}_{known['timestamp']:08X}_{known['request_counter']:04X}:{known['process_id']:04X}"


def _value(key: str, text: str) -> object:
    """Read what was printed without quotes."""
    if key in _REQUEST and text in ("", "<BADREQ>"):
        return None
    if text == "-":
        return None
    if key in _NUMBERS:
        return int(text)
    return text.encode("latin-1").decode("utf-8", "replace")


def _derived(name: str, same: dict[str, str]) -> dict[str, object]:
    """Tell what is read out of another value."""
    ours = {f"reference-{mode}": name for mode in SAME}
    known: dict[str, object] = {
        "frontend_name": name,
        "ssl": same["frontend"].endswith("~"),
        "backend_name": ours.get(same["backend"], same["backend"]),
        "retries": int(same["redispatches"]),
        "redispatched": same["redispatches"].startswith("+"),
        "hostname": same["hostname"],
    }
    if "HPO" in same:
        uri, path = same["http_request_uri"], same["HPO"]
        known["http_request_path"] = _value("HPO", path or ("/" if "://" in uri else uri))
        known["http_request_query"] = _value("HPO", same["http_request_query"].removeprefix("?"))
        known["capture_path"] = same["capture_uri"].partition("?")[0] if same["capture_uri"] != "-" else None
        known["be_name"] = ours.get(same["be_name"], _value("be_name", same["be_name"]))
        for side in ("request", "response"):
            block = _value("", same[f"{side}_block"])
            known[f"{side}_headers"] = str(block)[1:-1].split("|") if block else None
    return known


def _measured(exchange: Exchange, same: dict[str, str]) -> dict[str, object]:
    """Give bounds for what differs from session to session."""
    known: dict[str, object] = {key: SOME_TIME for key in _TIMERS & same.keys() if same[key] != "-1"}
    known |= {key: Moment(exchange.began, exchange.ended, layout) for key, layout in _DATES.items()}
    known |= {
        "time_total": SOME_TIME,
        "time_user": SOME_TIME,
        "timestamp": Between(int(exchange.began) - 1, int(exchange.ended) + 1),
        "accept_milliseconds": Between(0, 999),
        "client_ip": exchange.client_ip,
        "client_port": Between(1, 65535),  # of a unix socket, the number of the listener
        "frontend_ip": exchange.door_ip,
        "frontend_port": Between(1, 65535),
        "backend_source_port": None,
        "request_counter": ANY,
        "log_counter": exchange.place,
        "process_id": int(exchange.line.partition("[")[2].partition("]")[0]),  # in front of every line
        "some": SOME_BYTES,
    }
    for key, field in (("src", "client"), ("dst", "frontend")):
        known[key] = known[f"{field}_ip"] if exchange.client_port else None
        known[f"{key}_port"] = known[f"{field}_port"] if exchange.client_port else None
    return known


def _told(exchange: Exchange) -> dict[str, object]:
    """Read what HAProxy told of the session; there, an empty value is nothing at all."""
    if not exchange.told:
        return {}
    texts = dict(zip(TOLD, exchange.told.split("|"), strict=True))
    return {key: _value(key, text or "-") for key, text in texts.items()}
