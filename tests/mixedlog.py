"""A log of lines of all kinds, and an independent count of what `parse` says of it."""

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.support import Samples

Record = Mapping[str, Any]

HTTP = "H %ft %b/%s %Th/%Ti/%TR/%Tw/%Tc/%Tr/%Td/%Ta %ST %B %U %sq/%bq %rc %HM %HP"
TCP = "T %ft %b/%s %Th/%Tw/%Tc/%Td/%Tt %B %U %sq/%bq %rc %ts"
FORMATS = ("httplog", "tcplog", "error", HTTP, TCP)

_CLIENT = "127.0.0.1:59616 [20/Nov/2026:04:30:27.864]"
_PATHS = ("/", "/a", "/b/c", "/users/7", "/files/x.css")
_ERRORS = ("SSL handshake failure", "Connection closed during SSL handshake", "Something that is new")
NOTICES = {
    "Server bk/s1 is DOWN. 1 active and 1 backup servers left. 0 sessions active.": "server_down",
    "Proxy fmt2 stopped (cumulated conns: FE: 1, BE: 0).": "proxy_stopped",
}


def mixed_log(lines: int = 600, seed: int = 7) -> bytes:
    """Make lines of HTTP and TCP in two formats each, connections that failed, and HAProxy's own messages."""
    made = random.Random(seed)
    found = [f'{_CLIENT} web bk/s1 0/0/0/1/1 200 5 - - ---- 1/1/0/0/0 0/0 "GET {path} HTTP/1.1"' for path in _PATHS]
    found += [_line(made) for _ in range(lines)]  # whose paths have been found by now
    return "".join(f"<134>Nov 20 04:30:27 haproxy[1]: {line}\n" for line in found).encode()


def _line(made: random.Random) -> str:
    def timer() -> int:
        return -1 if made.random() < 0.15 else made.choice((0, 1, 4, 5, 9, 10, 11, 99, 100, 101, 1000, 30_000))

    def timers(number: int) -> str:
        return "/".join(str(timer()) for _ in range(number))

    front = made.choice(("web", "web~", "api", "tcp~"))
    back = f"{made.choice(('bk', 'down'))}/{made.choice(('s1', 's2', '<NOSRV>'))}"
    queues = f"{made.choice((0, 1, 2, 3, 7))}/{made.choice((0, 5, 2000))}"
    retries = made.choice(("0", "0", "1", "+2", "3"))
    size, path = made.randrange(5000), made.choice(_PATHS)
    status, method = made.choice((200, 201, 302, 500, 503, -1)), made.choice(("GET", "POST"))
    match made.randrange(12):
        case 0 | 1 | 2:
            return f"H {front} {back} {timers(8)} {status} {size} {size // 2} {queues} {retries} {method} {path}"
        case 3 | 4 | 5:
            return f"T {front} {back} {timers(5)} {size} {size // 3} {queues} {retries} SD"
        case 6 | 7:
            counts = f"{status} {size} - - ---- 1/1/0/0/{retries} {queues}"
            return f'{_CLIENT} {front} {back} {timers(5)} {counts} "{method} {path}?x=1 HTTP/1.1"'
        case 8 | 9:
            return f"{_CLIENT} {front} {back} {timers(3)} {size} -- 1/1/0/0/{retries} {queues}"
        case 10:
            return f"{_CLIENT} {front.rstrip('~')}/1: {made.choice(_ERRORS)}"
        case _:
            return made.choice([*NOTICES])


class Row(NamedTuple):
    """How a metric is counted: by lines, or as the sum, histogram, flag or missing timers of fields."""

    way: str
    fields: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("http", "tcp")
    per_unit: int = 1


def _duration(field: str, *kinds: str) -> Row:
    return Row("observe", (field,), kinds or ("http", "tcp"), 1000)


ROWS: Mapping[str, Row] = {
    "requests_total": Row("lines", (), ("http",)),
    "sessions_total": Row("lines", (), ("tcp",)),
    "response_duration_seconds": _duration("time_response", "http"),
    "total_duration_seconds": _duration("time_total"),
    "request_duration_seconds": _duration("time_request", "http"),
    "queue_duration_seconds": _duration("time_queue"),
    "connect_duration_seconds": _duration("time_connect"),
    "handshake_duration_seconds": _duration("time_handshake"),
    "idle_duration_seconds": _duration("time_idle", "http"),
    "data_duration_seconds": _duration("time_data"),
    "bytes_read_total": Row("sum", ("bytes_read",)),
    "bytes_uploaded_total": Row("sum", ("bytes_uploaded",)),
    "retries_total": Row("sum", ("retries",)),
    "redispatches_total": Row("flag", ("redispatched",)),
    "server_queue_length": Row("observe", ("server_queue",)),
    "backend_queue_length": Row("observe", ("backend_queue",)),
    "aborts_total": Row("missing", ("time_request", "time_queue", "time_connect", "time_response")),
}


def count(name: str, labels: Sequence[str], buckets: Sequence[str], records: Sequence[Record]) -> Samples:
    """Count a metric of traffic by labels, from what `parse` says."""
    row = ROWS[name]
    groups: dict[frozenset[tuple[str, str]], list[Record]] = {}
    for record in records:
        if record["kind"] in row.kinds:
            groups.setdefault(frozenset((label, label_of(record, label)) for label in labels), []).append(record)
    found: Samples = {}
    for key, group in groups.items():
        for ending, more, value in _values(row, buckets, group):
            found[f"haproxy_log_{name}{ending}", key | more] = value
    return found


def _values(
    row: Row, buckets: Sequence[str], group: Sequence[Record]
) -> Iterator[tuple[str, frozenset[tuple[str, str]], float]]:
    none: frozenset[tuple[str, str]] = frozenset()
    values = [record[field] for record in group for field in row.fields if field in record]
    match row.way:
        case "lines":
            yield "", none, len(group)
        case "sum" | "flag":
            yield "", none, sum(values)
        case "missing":
            for field in row.fields:
                missing = sum(record.get(field) == -1 for record in group)
                yield "", frozenset({("phase", field.removeprefix("time_"))}), missing
        case _:
            bounds = [float(bound) * row.per_unit for bound in buckets]
            there = [value for value in values if value >= 0]
            places = Counter(bisect_left(bounds, value) for value in there)
            for place, text in enumerate([*(str(float(bound)) for bound in buckets), "+Inf"]):
                yield "_bucket", frozenset({("le", text)}), sum(places[below] for below in range(place + 1))
            yield "_sum", none, sum(there) / row.per_unit
            yield "_count", none, len(there)


def label_of(record: Record, label: str) -> str:
    """Give a label's value, as the documentation has it."""
    if label == "status_class":
        status = record.get("status_code", -1)
        return f"{status // 100}xx" if status > 0 else ""
    value = record.get(label, "")
    return str(value).lower() if isinstance(value, bool) else str(value)
