"""The exporter's own metrics: what became of the lines, how the sources stand, and the process."""

import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from haproxy_log_exporter import __version__
from haproxy_log_exporter.metrics.shown import Reloads, Shown

PREFIX = "haproxy_log_exporter_"

# Seconds. A flush takes some milliseconds; a second is a disk that cannot keep up.
_FLUSH_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class FlushDurations:
    """A histogram of how long flushes took, in seconds; written by one thread."""

    def __init__(self) -> None:
        """Start without any."""
        self._counts = [0] * (len(_FLUSH_BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Add one."""
        self._counts[sum(seconds > bound for bound in _FLUSH_BOUNDS)] += 1
        self._sum += seconds

    def copy(self) -> "FlushDurations":
        """Give them as they are now."""
        copy = FlushDurations()
        copy._counts, copy._sum = [*self._counts], self._sum
        return copy

    def counters(self) -> dict[tuple[str, str], float]:
        """Give the numbers by names, for the state."""
        bounds = map(str, (*_FLUSH_BOUNDS, "inf"))
        numbers: dict[tuple[str, str], float] = {
            ("flushes", bound): count for bound, count in zip(bounds, self._counts, strict=True)
        }
        return numbers | {("flush_seconds", ""): self._sum}

    def restore(self, counters: Mapping[tuple[str, str], float]) -> None:
        """Go on from numbers by names, as far as they are there."""
        self._counts = [int(counters.get(key, 0)) for key in self.counters() if key[0] == "flushes"]
        self._sum = float(counters.get(("flush_seconds", ""), 0.0))

    def family(self) -> Metric:
        """Give it as a metric family."""
        total, buckets = 0, []
        for bound, count in zip((*_FLUSH_BOUNDS, float("inf")), self._counts, strict=True):
            total += count
            buckets.append((floatToGoString(bound), float(total)))
        help_ = "Time to fold what was read into the totals, and to keep them in the state."
        return HistogramMetricFamily(f"{PREFIX}flush_duration_seconds", help_, buckets=buckets, sum_value=self._sum)


@dataclass(frozen=True, slots=True)
class OwnState:
    """What the own metrics are made from besides the lines; all of it may be asked from any thread.

    `is_writable` is for the state, where one is kept, `reloads` for the configuration file, where there is one.
    """

    refused: Callable[[], int]
    now: Callable[[], float]
    flushes: Callable[[], FlushDurations]
    is_writable: Callable[[], bool] | None = None
    reloads: Callable[[], Reloads | None] = lambda: None


class OwnMetrics(CollectorRegistry):
    """All own metrics at one scrape, of the moment that `shown` is of."""

    def __init__(self, state: OwnState, shown: Shown) -> None:
        """Collect nothing yet."""
        super().__init__()
        self._state = state
        self._shown = shown

    def collect(self) -> Iterator[Metric]:
        """Give all families."""
        shown = self._shown
        yield from self._lines(shown)
        yield from self._sources()
        yield self._lag(shown)
        series = _gauge("series", "Label sets of a metric.", "metric")
        for layout, snapshot in shown.tables:
            for slot in layout.slots:
                mask = layout.mask(slot.metric)
                series.add_metric([slot.metric.name], snapshot.count(mask))
        yield series
        yield from self._limits(shown)
        yield self._state.flushes().family()
        if self._state.is_writable:
            help_ = "Whether the state can be written: 1, or 0 while files and the journal wait."
            yield _single("state_writable", help_, self._state.is_writable())
        if reloads := self._state.reloads():
            help_ = "Whether the configuration file was right when it was last read: 1, or 0 while an older one counts."
            yield _single("config_last_reload_successful", help_, reloads.succeeded)
            help_ = "When the configuration file was last taken over, in seconds since the epoch."
            yield _single("config_last_reload_success_timestamp_seconds", help_, reloads.moment)
        refused = _counter("http_connections_refused", "Connections closed unanswered, for there were too many.")
        refused.add_metric([], self._state.refused())
        yield refused
        build = _gauge("build_info", "The versions that run; always 1.", "version", "python")
        build.add_metric([__version__, platform.python_version()], 1)
        yield build
        yield _single("threads", "Threads of the process.", threading.active_count())
        yield _single("cores", "Processor cores that the process may use.", len(os.sched_getaffinity(0)))
        yield from ProcessCollector(registry=None).collect()

    @staticmethod
    def _lines(shown: Shown) -> Iterator[Metric]:
        lines = _counter("lines", "Lines read, by what became of them.", "source", "result")
        truncated = _counter("lines_truncated", "Lines counted that were cut before their end.", "source")
        size = _counter("bytes_read", "Bytes of lines read.", "source")
        lost = _counter("events_dropped", "What HAProxy's ring or journald dropped, as they said.", "source")
        for source, tally in shown.tallies.items():
            lost.add_metric([source], tally.lost)
            results = (tally.counted, tally.notices, tally.filtered, tally.rejected)
            for result, count in zip(("counted", "notice", "filtered", "rejected"), results, strict=True):
                lines.add_metric([source, result], count)
            truncated.add_metric([source], tally.truncated)
            size.add_metric([source], tally.bytes_read)
        parsed = _counter("parsed", "Lines counted, by format.", "format")
        for format_, count in shown.parsed.items():
            parsed.add_metric([format_], count)
        return iter((lines, truncated, size, lost, parsed))

    @staticmethod
    def _limits(shown: Shown) -> Iterator[Metric]:
        values = _gauge("label_values", "Values that a label has.", "label")
        most_values = _gauge("label_values_limit", "Values that a label may have.", "label")
        capped_values = _counter("label_values_capped", "Lines whose value had no place, and became other.", "label")
        for label, places in shown.labels.items():
            values.add_metric([label], places.taken)
            most_values.add_metric([label], places.most)
            capped_values.add_metric([label], places.capped)
        most = _gauge("series_limit", "Label sets that a metric may have.", "metric")
        capped = _counter("series_capped", "Lines whose label set had no place: all labels became other.", "metric")
        expired = _counter("series_expired", "Label sets that were dropped, for they had no traffic.", "metric")
        for metric, series in shown.series.items():
            most.add_metric([metric], series.most)
            capped.add_metric([metric], series.capped)
            expired.add_metric([metric], series.expired)
        return iter((values, most_values, capped_values, most, capped, expired))

    def _sources(self) -> Iterator[Metric]:
        dropped = _counter(
            "datagrams_dropped", "Datagrams that the kernel dropped for a full receive buffer.", "source"
        )
        rotations = _counter("rotations", "Files that were rotated or truncated.", "source")
        errors = _counter("source_errors", "Failures to open or read a source.", "source")
        position = _gauge("source_position_bytes", "Up to where the source's files are read.", "source")
        size = _gauge("source_size_bytes", "Size of the source's files.", "source")
        buffer = _gauge("receive_buffer_bytes", "What a socket holds of what is not read yet.", "source")
        connections = _gauge("connections", "Connections that are open.", "source")
        refused = _counter("refused", "Connections and datagrams not taken, or not to their end.", "source", "reason")
        for source, condition in self._shown.conditions.items():
            errors.add_metric([source], condition.errors)
            for reason, count in (condition.refused or {}).items():
                refused.add_metric([source, reason], count)
            for family, value in (
                (dropped, condition.dropped),
                (rotations, condition.rotations),
                (position, condition.position_bytes),
                (size, condition.size_bytes),
                (buffer, condition.receive_buffer_bytes),
                (connections, condition.connections),
            ):
                if value is not None:
                    family.add_metric([source], value)
        return iter((dropped, rotations, errors, position, size, buffer, connections, refused))

    def _lag(self, shown: Shown) -> Metric:
        lag = _gauge("source_lag_seconds", "Now, less the time of the newest line.", "source")
        for source, tally in shown.tallies.items():
            if tally.newest_time is not None:
                lag.add_metric([source], max(0.0, self._state.now() - tally.newest_time))
        return lag


def _counter(name: str, help_: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, help_, labels=labels)


def _gauge(name: str, help_: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, help_, labels=labels)


def _single(name: str, help_: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, help_, value=value)
