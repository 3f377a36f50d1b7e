from collections import Counter as Tally
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics

from haproxy_log_exporter.metrics import exposition
from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS, METRICS, PREFIX, Metric
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.totals import Snapshot, Table
from tests.metrics import patient
from tests.support import Samples, read_samples
from tests.tables import grow

BY_NAME = {metric.name: metric for metric in METRICS}
REQUESTS = BY_NAME["requests_total"]
RESPONSE = BY_NAME["response_duration_seconds"]

# What formats, templates, escapes and parsers stumble over, besides whatever else hypothesis thinks of.
NASTY = [
    "",
    '"',
    "\\",
    "\n",
    "\\n",
    '\\"',
    "\\\\",
    "%",
    "%%",
    "%d",
    "%(a)s",
    "{",
    "}",
    '"} 1\n',
    ",",
    "=",
    '",le="1',
    " ",
    "#",
    "# EOF",
    "\0",
    "\r",
    "\r\n",
    "\t",
    "\v",
    "\f",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\ufffd",
    "\U0010ffff",
    "é",
    "日本",
]
VALUES = st.text() | st.lists(st.sampled_from(NASTY), max_size=6).map("".join)
COUNTS = st.integers(1, 50) | st.integers(1, 2**63)


def make_table(names: Iterable[str], *metrics: Metric, buckets: Iterable[str] = DEFAULT_BUCKETS) -> Table:
    """Make a table with these labels and metrics."""
    return Table([*names], Layout([*metrics], [*buckets]))


def add_line(table: Table, values: tuple[str, ...], times: int = 1, kind: str = "http", **fields: bytes) -> None:
    """Count a line so many times."""
    packed = table.layout.line(kind) + sum(table.layout.contribution(name, text) for name, text in fields.items())
    grow(table, {values: packed * times})


def text_of(*tables: Table, open_metrics: bool = False) -> str:
    """Write tables in one piece, with the end that OpenMetrics wants."""
    parts = render([(table.layout, table.snapshot()) for table in tables], open_metrics=open_metrics)
    return b"".join(parts).decode() + "# EOF\n" * open_metrics


def samples_of_open_metrics(text: str) -> Samples:
    """Read OpenMetrics with prometheus_client's strict parser."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in read_open_metrics(text)
        for sample in family.samples
    }


@patient
@given(st.dictionaries(st.tuples(VALUES, VALUES), COUNTS, max_size=10))
@example({(value, value): 1 for value in NASTY})
def test_any_values_are_read_back(counts: dict[tuple[str, str], int]) -> None:
    """Whatever the label values and however large the counts, a parser reads what was counted and nothing else."""
    table = make_table(("one", "two"), REQUESTS)
    for values, count in counts.items():
        add_line(table, values, count)
    expected = {
        (f"{PREFIX}requests_total", frozenset({("one", one), ("two", two)})): float(count)
        for (one, two), count in counts.items()
    }
    for samples in (read_samples(text_of(table)), samples_of_open_metrics(text_of(table, open_metrics=True))):
        # Some versions of the parsers keep whole numbers exact, others read all as Prometheus does.
        assert {row: float(count) for row, count in samples.items()} == expected


@patient
@given(st.dictionaries(VALUES, st.lists(st.integers(-1, 12_000) | st.integers(0, 10**19 - 1), min_size=1), max_size=5))
@example({value: [5, 17, 100_000, -1] for value in NASTY})
def test_histogram_is_cumulative_and_adds_up(observations: dict[str, list[int]]) -> None:
    """Buckets only grow, +Inf is the count, the sum is the sum in seconds, and -1 is in none of them."""
    table = make_table(("path",), RESPONSE)
    for value, numbers in observations.items():
        for number in numbers:
            add_line(table, (value,), time_response=b"%d" % number)
    for samples in (read_samples(text_of(table)), samples_of_open_metrics(text_of(table, open_metrics=True))):
        assert len(samples) == len(observations) * (len(DEFAULT_BUCKETS) + 3)
        for value, numbers in observations.items():
            labels = frozenset({("path", value)})
            seen = [number for number in numbers if number >= 0]
            counts = [
                samples[f"{PREFIX}response_duration_seconds_bucket", labels | {("le", str(float(bound)))}]
                for bound in DEFAULT_BUCKETS
            ]
            limits = [int(Decimal(bound) * 1000) for bound in DEFAULT_BUCKETS]
            assert counts == [sum(number <= limit for number in seen) for limit in limits]
            infinite = samples[f"{PREFIX}response_duration_seconds_bucket", labels | {("le", "+Inf")}]
            assert infinite == samples[f"{PREFIX}response_duration_seconds_count", labels] == len(seen)
            assert samples[f"{PREFIX}response_duration_seconds_sum", labels] == sum(seen) / 1000


BUCKETS = st.lists(st.integers(1, 20_000), min_size=1, max_size=8, unique=True).map(
    lambda bounds: [str(Decimal(bound) / 1000) for bound in sorted(bounds)]
)


@patient
@given(BUCKETS, st.lists(st.tuples(st.sampled_from(["a", 'b"\n%', "é"]), st.integers(0, 25_000)), max_size=30))
def test_equals_the_client_librarys_own_exposition(buckets: list[str], lines: list[tuple[str, int]]) -> None:
    """For the same observations and buckets, the samples are those of prometheus_client's Counter and Histogram."""
    registry = CollectorRegistry()
    counter = Counter(f"{PREFIX}requests_total", REQUESTS.help, ["path"], registry=registry)
    histogram = Histogram(
        f"{PREFIX}response_duration_seconds",
        RESPONSE.help,
        ["path"],
        registry=registry,
        buckets=[float(bound) for bound in buckets],
    )
    table = make_table(("path",), REQUESTS, RESPONSE, buckets=buckets)
    sums: Tally[str] = Tally()
    for path, number in lines:
        counter.labels(path).inc()
        histogram.labels(path).observe(number / 1000)
        sums[path] += number
        add_line(table, (path,), time_response=b"%d" % number)
    theirs = generate_latest(registry).decode()
    expected = {row: count for row, count in read_samples(theirs).items() if not row[0].endswith("_created")}
    for row, count in expected.items():
        if row[0].endswith("_sum"):  # theirs adds up floats, a line at a time
            exact = sums[dict(row[1])["path"]] / 1000
            assert count == pytest.approx(exact)
            expected[row] = exact
    assert read_samples(text_of(table)) == expected
    ours = text_of(table).splitlines()
    assert [line for line in theirs.splitlines() if line[0] == "#" and "_created" not in line] == [
        line for line in ours if line[0] == "#"
    ]


def test_text_is_what_it_was() -> None:
    """The whole of a small exposition, to the byte."""
    table = make_table(("status_code",), REQUESTS, RESPONSE, BY_NAME["aborts_total"], buckets=["0.005", "1", "2e6"])
    add_line(table, ("200",), 2, time_response=b"5", time_connect=b"0")
    add_line(table, ("503",), 1, time_response=b"-1", time_connect=b"-1")
    assert text_of(table) == (
        "# HELP haproxy_log_requests_total HTTP requests logged.\n"
        "# TYPE haproxy_log_requests_total counter\n"
        'haproxy_log_requests_total{status_code="200"} 2\n'
        'haproxy_log_requests_total{status_code="503"} 1\n'
        "# HELP haproxy_log_response_duration_seconds From the request sent to response headers (Tr).\n"
        "# TYPE haproxy_log_response_duration_seconds histogram\n"
        'haproxy_log_response_duration_seconds_bucket{status_code="200",le="0.005"} 2\n'
        'haproxy_log_response_duration_seconds_bucket{status_code="200",le="1.0"} 2\n'
        'haproxy_log_response_duration_seconds_bucket{status_code="200",le="2e+06"} 2\n'
        'haproxy_log_response_duration_seconds_bucket{status_code="200",le="+Inf"} 2\n'
        'haproxy_log_response_duration_seconds_sum{status_code="200"} 0.01\n'
        'haproxy_log_response_duration_seconds_count{status_code="200"} 2\n'
        'haproxy_log_response_duration_seconds_bucket{status_code="503",le="0.005"} 0\n'
        'haproxy_log_response_duration_seconds_bucket{status_code="503",le="1.0"} 0\n'
        'haproxy_log_response_duration_seconds_bucket{status_code="503",le="2e+06"} 0\n'
        'haproxy_log_response_duration_seconds_bucket{status_code="503",le="+Inf"} 0\n'
        'haproxy_log_response_duration_seconds_sum{status_code="503"} 0.0\n'
        'haproxy_log_response_duration_seconds_count{status_code="503"} 0\n'
        "# HELP haproxy_log_aborts_total Timers at -1: the phase was never reached.\n"
        "# TYPE haproxy_log_aborts_total counter\n"
        'haproxy_log_aborts_total{status_code="200",phase="request"} 0\n'
        'haproxy_log_aborts_total{status_code="200",phase="queue"} 0\n'
        'haproxy_log_aborts_total{status_code="200",phase="connect"} 0\n'
        'haproxy_log_aborts_total{status_code="200",phase="response"} 0\n'
        'haproxy_log_aborts_total{status_code="503",phase="request"} 0\n'
        'haproxy_log_aborts_total{status_code="503",phase="queue"} 0\n'
        'haproxy_log_aborts_total{status_code="503",phase="connect"} 1\n'
        'haproxy_log_aborts_total{status_code="503",phase="response"} 1\n'
    )


def test_without_labels() -> None:
    """A table without labels has samples without braces, or with those of the metric's own label alone."""
    table = make_table((), REQUESTS, RESPONSE, BY_NAME["bytes_read_total"], buckets=["1"])
    add_line(table, (), 3, time_response=b"1500", bytes_read=b"9999999999999999999")
    assert [line for line in text_of(table).splitlines() if line[0] != "#"] == [
        "haproxy_log_requests_total 3",
        'haproxy_log_response_duration_seconds_bucket{le="1.0"} 0',
        'haproxy_log_response_duration_seconds_bucket{le="+Inf"} 3',
        "haproxy_log_response_duration_seconds_sum 4.5",
        "haproxy_log_response_duration_seconds_count 3",
        "haproxy_log_bytes_read_total 29999999999999999997",
    ]


def test_open_metrics_names_families_of_counters_without_total() -> None:
    """OpenMetrics 1.0, "Counter": the family has no _total, its samples have. Nothing else differs."""
    table = make_table(("path",), *METRICS)
    add_line(table, ("/",), time_response=b"5", bytes_read=b"100")
    plain = text_of(table).splitlines()
    open_metrics = text_of(table, open_metrics=True).splitlines()
    assert open_metrics.pop() == "# EOF"
    assert [line for line in plain if line[0] != "#"] == [line for line in open_metrics if line[0] != "#"]
    for metric in METRICS:
        name = PREFIX + metric.name
        assert f"# TYPE {name} {metric.type}" in plain
        assert f"# TYPE {name.removesuffix('_total')} {metric.type}" in open_metrics


@pytest.mark.parametrize("open_metrics", [False, True])
def test_label_set_shows_in_metrics_of_its_kind_of_lines_alone(open_metrics: bool) -> None:  # noqa: FBT001 -- a parameter
    """What had TCP lines alone has no requests, not even none; what had both has both."""
    table = make_table(("backend",), REQUESTS, BY_NAME["sessions_total"], RESPONSE, BY_NAME["bytes_read_total"])
    add_line(table, ("web",), 2, kind="http", time_response=b"5", bytes_read=b"1")
    add_line(table, ("ssh",), 3, kind="tcp", bytes_read=b"2")
    add_line(table, ("both",), 4, kind="http", time_response=b"5", bytes_read=b"1")
    add_line(table, ("both",), 5, kind="tcp", bytes_read=b"2")
    table.position(("none",))
    grow(table, {})
    text = text_of(table, open_metrics=open_metrics)
    samples = samples_of_open_metrics(text) if open_metrics else read_samples(text)
    found = {(name.removeprefix(PREFIX), dict(labels)["backend"]): count for (name, labels), count in samples.items()}
    found = {row: count for row, count in found.items() if not row[0].endswith(("_bucket", "_sum"))}
    assert found == {
        ("requests_total", "web"): 2,
        ("requests_total", "both"): 4,
        ("sessions_total", "ssh"): 3,
        ("sessions_total", "both"): 5,
        ("response_duration_seconds_count", "web"): 2,
        ("response_duration_seconds_count", "both"): 4,
        ("bytes_read_total", "web"): 2,
        ("bytes_read_total", "ssh"): 6,
        ("bytes_read_total", "both"): 14,
    }


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_all_label_sets_are_written_once_in_parts(count: int) -> None:
    """However many label sets there are, each is written once, and a part holds whole lines."""
    table = make_table(("path",), REQUESTS)
    for number in range(count):
        add_line(table, (f"/{number}",), number + 1)
    parts = [*render([(table.layout, table.snapshot())], open_metrics=False)]
    assert read_samples(b"".join(parts).decode()) == {
        (f"{PREFIX}requests_total", frozenset({("path", f"/{number}")})): number + 1 for number in range(count)
    }
    assert all(part.endswith(b"\n") for part in parts if part)


@pytest.mark.parametrize("length", [1, 5_000])
def test_parts_are_small(length: int) -> None:
    """However long the labels are, a part is of some hundred kilobytes."""
    table = make_table(("path",), REQUESTS, RESPONSE)
    for number in range(3_000):
        add_line(table, (f"/{number:0{length}}",))
    parts = [*islice(render([(table.layout, table.snapshot())], open_metrics=False), 20)]
    assert len(parts) == 20
    assert max(map(len, parts)) < 400_000


@pytest.mark.parametrize("size", [1, 3_000, 5_000, 10_000, 1 << 30])
def test_parts_are_one_text_however_large_they_are(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each label set is written once, with its own numbers, wherever the text is divided."""
    table = make_table(("path",), *METRICS)
    for number, nasty in enumerate(NASTY):
        one, other = str(number).encode(), str(number * 1000).encode()
        add_line(table, (nasty,), number + 1, time_response=one, time_total=other, bytes_read=b"%b%b" % (other, other))
        add_line(table, (nasty,), number % 3, kind="tcp", time_total=one, time_queue=b"-1", redispatched=b"+")
    whole = text_of(table)
    samples = read_samples(whole)
    monkeypatch.setattr(exposition, "_PART", size)
    parts = [*render([(table.layout, table.snapshot())], open_metrics=False)]
    assert b"".join(parts).decode() == whole
    assert (len(parts) > 2 * len(METRICS)) == (size < 1 << 30)
    for number, nasty in enumerate(NASTY):
        labels = frozenset({("path", nasty)})
        assert samples[f"{PREFIX}requests_total", labels] == number + 1
        assert samples[f"{PREFIX}response_duration_seconds_sum", labels] == number * (number + 1) / 1000
        assert samples.get((f"{PREFIX}sessions_total", labels), 0) == number % 3
        assert samples[f"{PREFIX}redispatches_total", labels] == number % 3


def test_place_of_a_label_set_that_was_dropped_is_not_written() -> None:
    """A place without text and total shows nowhere, and the labels of the others stand, whichever comes first."""
    table = make_table(("path",), REQUESTS, RESPONSE, buckets=["1"])
    for path in ("/first", "/second", "/third"):
        add_line(table, (path,), time_response=b"5")
    snapshot = table.snapshot()
    expected = [line for line in text_of(table).splitlines() if "/second" in line or line[0] == "#"]
    holes = Snapshot([b"", snapshot.texts[1], b""], [0, snapshot.totals[1], 0])
    written = b"".join(render([(table.layout, holes)], open_metrics=False)).decode().splitlines()
    assert written == expected


def test_what_is_certain_is_written_though_nothing_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label set that is certain to have lines of a kind stands at 0 in that kind's metrics, in whichever part."""
    monkeypatch.setattr(exposition, "_PART", 1)
    table = make_table(("path",), REQUESTS, BY_NAME["sessions_total"], RESPONSE, buckets=["1"])
    http, tcp = table.layout.line("http"), table.layout.line("tcp")
    texts = [b'path="/counted"', b'path="/certain"', b'path="/tcp"', b'path="/nothing"']
    snapshot = Snapshot(texts, [http, 0, 3 * tcp, 0], {0: http, 1: http, 2: http | tcp})
    text = b"".join(render([(table.layout, snapshot)], open_metrics=False)).decode()
    found = {
        (name.removeprefix(PREFIX), dict(labels)["path"]): count for (name, labels), count in read_samples(text).items()
    }
    assert found == {
        ("requests_total", "/counted"): 1,
        ("requests_total", "/certain"): 0,
        ("requests_total", "/tcp"): 0,
        ("sessions_total", "/tcp"): 3,
        **{
            (f"response_duration_seconds_{sample}", path): 0
            for path in ("/counted", "/certain", "/tcp")
            for sample in ("bucket", "sum", "count")
        },
    }


def test_several_tables_are_one_exposition() -> None:
    """Tables follow one another, each with its own labels, and a metric's header stands once."""
    traffic = make_table(("path",), REQUESTS)
    errors = make_table(("frontend_name", "reason"), BY_NAME["connection_errors_total"])
    add_line(traffic, ("/",))
    add_line(errors, ("tls", "other"), kind="error")
    text = text_of(traffic, errors)
    assert text.count("# TYPE") == text.count("# HELP") == 2
    assert set(read_samples(text)) == {
        (f"{PREFIX}requests_total", frozenset({("path", "/")})),
        (f"{PREFIX}connection_errors_total", frozenset({("frontend_name", "tls"), ("reason", "other")})),
    }


def test_is_written_only_as_far_as_it_is_taken() -> None:
    """Rendering is lazy: what nobody takes is not written, and what is added meanwhile does not show."""
    table = make_table(("path",), REQUESTS)
    for number in range(10_000):
        add_line(table, (f"/{number}",))
    snapshot = table.snapshot()
    parts = render([(table.layout, snapshot)], open_metrics=False)
    begun = next(parts) + next(parts)
    add_line(table, ("/9999",), 41)
    snapshot.totals[9999] = 7 * table.layout.line("http")
    samples = read_samples((begun + b"".join(parts)).decode())
    assert samples[f"{PREFIX}requests_total", frozenset({("path", "/9999")})] == 7
