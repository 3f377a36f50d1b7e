import math
import os
import platform
from bisect import bisect_left
from collections import Counter
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from haproxy_log_exporter import __version__
from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.engine import build_pipeline
from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS
from haproxy_log_exporter.metrics.own import PREFIX, FlushDurations, OwnMetrics, OwnState
from haproxy_log_exporter.metrics.shown import Condition, Shown, Tally
from tests.metrics import patient
from tests.pipelines import is_bare
from tests.support import Samples, read_samples, total

# The names of the contract; those that begin with the prefix of the log metrics are without it.
PROMISED = {
    "lines_total": {"source", "result"},
    "lines_truncated_total": {"source"},
    "parsed_total": {"format"},
    "bytes_read_total": {"source"},
    "datagrams_dropped_total": {"source"},
    "rotations_total": {"source"},
    "source_position_bytes": {"source"},
    "source_size_bytes": {"source"},
    "source_lag_seconds": {"source"},
    "series": {"metric"},
    "flush_duration_seconds_bucket": {"le"},
    "flush_duration_seconds_count": set(),
    "flush_duration_seconds_sum": set(),
    "build_info": {"version", "python"},
}
BESIDES = {
    "source_errors_total": {"source"},
    "http_connections_refused_total": set(),
    "events_dropped_total": {"source"},
    "receive_buffer_bytes": {"source"},
    "connections": {"source"},
    "refused_total": {"source", "reason"},
    "threads": set(),
    "cores": set(),
}

HTTP = b'1.2.3.4:5 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/3/4 200 228 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"\n'
TCP = b"1.2.3.4:5 [20/Nov/2026:04:30:27.864] ssh bk/s1 0/0/4 228 -- 1/1/0/0/0 0/0\n"
ERROR = b"1.2.3.4:5 [20/Nov/2026:04:30:27.864] tls/1: SSL handshake failure\n"
NOTICE = b"Proxy web started.\n"
CUT = HTTP[:-12] + b"\n"
LINES = st.one_of(
    st.sampled_from([HTTP, TCP, ERROR, NOTICE, CUT, b"\n", b"GET / HTTP/1.1\n"]),
    st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")).filter(is_bare).map(lambda line: line + b"\n"),
)


def samples_of(shown: Shown, now: float = 0.0) -> Samples:
    """Write the own metrics as a scrape would, and read them."""
    state = OwnState(refused=lambda: 6, now=lambda: now, flushes=FlushDurations)
    return read_samples(generate_latest(OwnMetrics(state, shown)).decode())


def shown_of(
    tallies: dict[str, Tally] | None = None,
    parsed: dict[str, int] | None = None,
    conditions: dict[str, Condition] | None = None,
) -> Shown:
    """Make what a pipeline shows, without tables."""
    return Shown([], tallies or {}, Counter(parsed or {}), conditions or {})


def value(samples: Samples, name: str, **labels: str) -> float:
    """Give the one sample of a name that has exactly these labels."""
    return samples[PREFIX + name, frozenset(labels.items())]


def test_families_are_those_that_were_promised() -> None:
    """Names and labels stay, each with the process's own beside it."""
    conditions = {
        "file": Condition(1, 2, 3, None, 4),
        "udp": Condition(dropped=5, receive_buffer_bytes=6),
        "tcp": Condition(connections=7, refused={"idle": 8}),
    }
    tables = build_pipeline(Choice((), (), DEFAULT_BUCKETS)).shown().tables
    shown = shown_of({"file": Tally(counted=1, newest_time=1.0)}, {"httplog": 1}, conditions)
    samples = samples_of(shown._replace(tables=tables))
    found = {
        name.removeprefix(PREFIX): {label for label, _ in labels} for name, labels in samples if name.startswith(PREFIX)
    }
    assert found == PROMISED | BESIDES
    others = {name for name, _ in samples if not name.startswith(PREFIX)}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= others
    assert all(name.startswith("process_") for name in others)


def test_accounts_for_each_source_apart() -> None:
    """Every result of every source is there, zero or not."""
    tallies = {"a": Tally(90, 1, 2, 3, 4, 5), "b": Tally()}
    samples = samples_of(shown_of(tallies, {"httplog": 1}))
    for result, count in {"counted": 1, "notice": 2, "filtered": 3, "rejected": 4}.items():
        assert value(samples, "lines_total", source="a", result=result) == count
        assert value(samples, "lines_total", source="b", result=result) == 0
    assert total(samples, f"{PREFIX}lines_total", source="a") == tallies["a"].lines == 10
    assert value(samples, "bytes_read_total", source="a") == 90
    assert value(samples, "lines_truncated_total", source="a") == 5
    assert value(samples, "parsed_total", format="httplog") == 1


@patient
@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(LINES, max_size=20)), max_size=5))
def test_lines_read_are_counted_notices_filtered_or_rejected(blocks: list[tuple[str, list[bytes]]]) -> None:
    """At any scrape every line that was read is in exactly one result, and every byte in the bytes."""
    pipeline = build_pipeline(Choice((), (), DEFAULT_BUCKETS))
    for source, lines in blocks:
        pipeline.take(b"".join(lines), pipeline.intake(source))
    pipeline.flush({"a": Condition(errors=7)})
    samples = samples_of(pipeline.shown())
    assert value(samples, "source_errors_total", source="a") == 7
    for source in {source for source, _ in blocks}:
        read = [line for each, lines in blocks if each == source for line in lines]
        assert total(samples, f"{PREFIX}lines_total", source=source) == len(read)
        assert value(samples, "bytes_read_total", source=source) == sum(map(len, read))
    counted = total(samples, f"{PREFIX}lines_total", result="counted")
    assert total(samples, f"{PREFIX}parsed_total") == counted
    everything = [line for _, lines in blocks for line in lines]
    assert counted >= sum(everything.count(line) for line in (HTTP, TCP, ERROR, CUT))
    assert total(samples, f"{PREFIX}lines_total", result="notice") == everything.count(NOTICE)
    assert total(samples, f"{PREFIX}lines_truncated_total") == everything.count(CUT)


def test_what_a_source_does_not_have_is_left_out() -> None:
    """A file drops no datagrams, a socket has no size and is not rotated; errors all can have."""
    conditions = {"file": Condition(1, 2, 3, None, 4), "udp": Condition(dropped=5)}
    samples = samples_of(shown_of(conditions=conditions))
    sources = {
        name: {value for row, labels in samples if row == PREFIX + name for _, value in labels}
        for name in (*PROMISED, *BESIDES)
    }
    assert sources["datagrams_dropped_total"] == {"udp"}
    for name in ("rotations_total", "source_position_bytes", "source_size_bytes"):
        assert sources[name] == {"file"}
    assert sources["source_errors_total"] == {"file", "udp"}
    assert [
        value(samples, name, source="file")
        for name in ("source_position_bytes", "source_size_bytes", "rotations_total", "source_errors_total")
    ] == [1, 2, 3, 4]
    assert value(samples, "datagrams_dropped_total", source="udp") == 5


@pytest.mark.parametrize(("newest", "lag"), [(100.0, 25.5), (125.5, 0.0), (200.0, 0.0)])
def test_lag_is_now_less_the_newest_lines_time(newest: float, lag: float) -> None:
    """A line of the future, by another clock, is no negative lag."""
    samples = samples_of(shown_of({"a": Tally(newest_time=newest)}), now=125.5)
    assert value(samples, "source_lag_seconds", source="a") == lag


def test_source_without_lines_has_no_lag() -> None:
    """Before the first line there is no lag to tell."""
    samples = samples_of(shown_of({"a": Tally()}))
    assert not any(name == f"{PREFIX}source_lag_seconds" for name, _ in samples)


def test_series_are_the_label_sets_that_a_metric_shows() -> None:
    """Each metric is counted on its own: label sets of HTTP lines are no sessions, and kinds without a notice none."""
    metrics = ("requests_total", "sessions_total", "connection_errors_total", "notices_total")
    pipeline = build_pipeline(Choice(("server_name",), metrics, DEFAULT_BUCKETS))
    chunk = HTTP + HTTP.replace(b"/s1", b"/s2") + TCP + NOTICE
    pipeline.take(chunk, pipeline.intake("a"))
    pipeline.flush()
    samples = samples_of(pipeline.shown())
    assert [value(samples, "series", metric=name) for name in metrics] == [2, 1, 0, 1]


def test_process() -> None:
    """The build, the threads, the cores that may be used and the connections that were refused are told."""
    samples = samples_of(shown_of())
    assert value(samples, "http_connections_refused_total") == 6
    assert value(samples, "build_info", version=__version__, python=platform.python_version()) == 1
    assert value(samples, "threads") >= 1
    assert value(samples, "cores") == len(os.sched_getaffinity(0))


@patient
@given(st.lists(st.floats(0, 10), max_size=50) | st.lists(st.sampled_from([0.001, 0.0025, 0.5, 2.5])))
def test_flush_durations_are_a_histogram(durations: list[float]) -> None:
    """Bounds are inclusive, buckets cumulative, and +Inf is the count."""
    flushes = FlushDurations()
    for seconds in durations:
        flushes.observe(seconds)
    samples = flushes.family().samples
    buckets = [(float(sample.labels["le"]), sample.value) for sample in samples if sample.name.endswith("_bucket")]
    bounds = [bound for bound, _ in buckets]
    places = Counter(bisect_left(bounds, seconds) for seconds in durations)
    assert [count for _, count in buckets] == [*accumulate(places[place] for place in range(len(bounds)))]
    assert bounds[-1] == math.inf
    assert all(lower < upper for lower, upper in pairwise(bounds))
    assert {sample.name: sample.value for sample in samples if not sample.labels} == {
        f"{PREFIX}flush_duration_seconds_count": len(durations),
        f"{PREFIX}flush_duration_seconds_sum": pytest.approx(sum(durations)),
    }


def test_values_of_labels_are_escaped() -> None:
    """A source may be called anything."""
    name = 'a"b\\c\nd%é'
    samples = samples_of(shown_of({name: Tally(counted=7)}))
    assert value(samples, "lines_total", source=name, result="counted") == 7


# --- What is kept in a state ------------------------------------------------------------------------------------------


@patient
@given(st.lists(st.floats(0, 100), max_size=20), st.lists(st.floats(0, 100), max_size=20))
def test_flush_durations_go_on_from_their_counters(before: list[float], after: list[float]) -> None:
    """The histogram is that of all flushes, before and after, whoever took them."""
    first, second, both = FlushDurations(), FlushDurations(), FlushDurations()
    for seconds in before:
        first.observe(seconds)
        both.observe(seconds)
    second.restore(first.counters())
    assert second.counters() == first.counters()
    for seconds in after:
        second.observe(seconds)
        both.observe(seconds)
    assert second.counters() == both.counters()
    assert second.family() == both.family()
    assert sum(count for (name, _), count in second.counters().items() if name == "flushes") == len(before + after)


def test_flush_durations_are_copied() -> None:
    """What is observed later does not reach a copy."""
    durations = FlushDurations()
    durations.observe(0.002)
    copy = durations.copy()
    durations.observe(3.0)
    assert sum(copy.counters().values()) == pytest.approx(1.002)
    assert sum(durations.counters().values()) == pytest.approx(5.002)


def test_flush_durations_begin_anew_without_counters() -> None:
    """A state that has none, or counters of others alone, is no trouble."""
    durations = FlushDurations()
    durations.observe(1.0)
    durations.restore({("counted", "/log"): 5})
    assert durations.counters() == FlushDurations().counters()


@pytest.mark.parametrize(("writable", "expected"), [(True, 1), (False, 0), (None, None)])
def test_state_writable_tells_of_a_state(writable: bool | None, expected: int | None) -> None:  # noqa: FBT001 -- a row
    """1 or 0; without a state there is no such metric."""
    state = OwnState(lambda: 0, lambda: 0.0, FlushDurations, None if writable is None else lambda: writable)
    samples = read_samples(generate_latest(OwnMetrics(state, shown_of())).decode())
    assert samples.get((PREFIX + "state_writable", frozenset())) == expected
