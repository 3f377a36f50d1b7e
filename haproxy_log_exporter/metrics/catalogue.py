"""The log metrics, a row each, and what each is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from haproxy_log_exporter.errors import UsageError, hint

PREFIX = "haproxy_log_"

# The kinds of lines that labels are chosen for; errors and notices have their own.
TRAFFIC = ("http", "tcp")
DEFAULT_METRICS = ("requests_total", "sessions_total", "response_duration_seconds")
DEFAULT_BUCKETS = (
    "0.005",
    "0.01",
    "0.025",
    "0.05",
    "0.075",
    "0.1",
    "0.25",
    "0.5",
    "0.75",
    "1",
    "2.5",
    "5",
    "7.5",
    "10",
)
_QUEUE_BUCKETS = ("0", "1", "2", "5", "10", "20", "50", "100", "200", "500", "1000")


class Way(Enum):
    """How a metric grows with a line."""

    LINES = "one for each line"
    OBSERVE = "the number goes into a histogram, unless it is missing (-1) or not final (+)"
    ADD = "the number is added"
    FLAG = "one where the sign is there"
    ABORT = "one where the timer is at -1"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name behind the prefix, its source, and the kinds of lines that have it.

    `sources` are fields, each with the value it gives to `label`, where the metric has a label of its own.
    `per_unit` is how many of the field's units make one of the metric's: 1000 from milliseconds to seconds.
    """

    name: str
    help: str
    way: Way
    kinds: tuple[str, ...]
    sources: tuple[tuple[str, str], ...] = ()
    label: str = ""
    per_unit: int = 1
    buckets: tuple[str, ...] = ()

    @property
    def is_of_traffic(self) -> bool:
        """Whether it is made of requests or sessions."""
        return not {*TRAFFIC}.isdisjoint(self.kinds)

    @property
    def type(self) -> str:
        """Prometheus's type of it."""
        return "histogram" if self.way is Way.OBSERVE else "counter"


def _duration(name: str, field: str, help_: str, *kinds: str) -> Metric:
    kinds = kinds or ("http", "tcp")
    return Metric(name, help_, Way.OBSERVE, kinds, ((field, ""),), per_unit=1000)


def _counter(name: str, field: str, help_: str, way: Way = Way.ADD) -> Metric:
    return Metric(name, help_, way, ("http", "tcp"), ((field, ""),))


def _queue(name: str, field: str, help_: str) -> Metric:
    return Metric(name, help_, Way.OBSERVE, ("http", "tcp"), ((field, ""),), buckets=_QUEUE_BUCKETS)


_PHASES = (
    ("time_request", "request"),
    ("time_queue", "queue"),
    ("time_connect", "connect"),
    ("time_response", "response"),
)

METRICS: tuple[Metric, ...] = (
    Metric("requests_total", "HTTP requests logged.", Way.LINES, ("http",)),
    Metric("sessions_total", "TCP sessions logged.", Way.LINES, ("tcp",)),
    _duration("response_duration_seconds", "time_response", "From the request sent to response headers (Tr).", "http"),
    _duration("total_duration_seconds", "time_total", "The whole of an HTTP request (Ta) or TCP session (Tt)."),
    _duration("request_duration_seconds", "time_request", "Waiting for the client's full request (TR).", "http"),
    _duration("queue_duration_seconds", "time_queue", "Waiting in queues (Tw)."),
    _duration("connect_duration_seconds", "time_connect", "Connecting to the server (Tc)."),
    _duration("handshake_duration_seconds", "time_handshake", "Handshakes on the client's connection (Th)."),
    _duration("idle_duration_seconds", "time_idle", "Idle before the request (Ti).", "http"),
    _duration("data_duration_seconds", "time_data", "Transferring the response's payload (Td)."),
    _counter("bytes_read_total", "bytes_read", "Bytes sent to clients (B)."),
    _counter("bytes_uploaded_total", "bytes_uploaded", "Bytes received from clients (U)."),
    _counter("retries_total", "retries", "Retries of connections to servers (rc)."),
    _counter("redispatches_total", "redispatched", "Sessions moved to another server (the + of rc).", Way.FLAG),
    _queue("server_queue_length", "server_queue", "Requests ahead in the server's queue (sq)."),
    _queue("backend_queue_length", "backend_queue", "Requests ahead in the backend's queue (bq)."),
    Metric("aborts_total", "Timers at -1: the phase was never reached.", Way.ABORT, ("http", "tcp"), _PHASES, "phase"),
    Metric("connection_errors_total", "Connections that failed before a request.", Way.LINES, ("error",)),
    Metric("notices_total", "Messages of HAProxy's own.", Way.LINES, ("notice",)),
)


def find_metrics(
    names: Sequence[str],
    fields: frozenset[str],
    kinds: frozenset[str],
    place: Callable[[str], str] = lambda _: "--metrics",
) -> tuple[Metric, ...]:
    """Look up metrics by name, in the catalogue's order; without any, those default ones that the fields can fill.

    `place` tells where a name was given.

    Raises:
        UsageError: for each name that no format in use can fill, with those that can be had.
    """
    there_are = {
        metric.name: metric
        for metric in METRICS
        if kinds.intersection(metric.kinds)
        and (not metric.sources or any(name in fields for name, _ in metric.sources))
    }
    wanted = names or [name for name in DEFAULT_METRICS if name in there_are]
    if unknown := [name for name in wanted if name not in there_are]:
        listed = ", ".join(there_are)
        raise UsageError(
            *(
                f"{place(name)}: no format in use can fill {name!r}{hint(name.removeprefix(PREFIX), there_are)}; "
                f"there are {listed}"
                for name in unknown
            )
        )
    return tuple(metric for name, metric in there_are.items() if name in wanted)
