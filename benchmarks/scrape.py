"""How long a scrape of 50,000 histogram series takes, beside prometheus_client, and what memory they need."""

import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest

from benchmarks.corpus import make_corpus, read_lines
from benchmarks.counting import LABELS, METRICS
from benchmarks.processes import bytes_asked_for, resident_bytes
from benchmarks.report import MEGABYTE, print_table, print_target
from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS, PREFIX, find_metrics
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.totals import Table
from tests.support import serving, wait_until

_LABEL_SETS = 25_000
_NAMES = ("status_code", "server_name", "http_request_path")
_FIELDS = {"response_duration_seconds": "time_response", "total_duration_seconds": "time_total"}
_OBSERVATIONS = 10  # of each series
_LINES = 10  # of each label set, for the process
_ROUNDS = 3
_SEED = 20261120
_FLUSHED_SECONDS = 3.0  # a flush comes each second
_TARGET = 10


def render_series(lines: int) -> None:
    """Print how long the same series take either way, and the memory of a process that holds as many."""
    table, registry = Table(_NAMES, _layout()), CollectorRegistry()
    disable_created_metrics()  # else it would write 50,000 samples more
    _fill(table, registry)
    ours, theirs = [], []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        text = b"".join(render([(table.layout, table.snapshot())], open_metrics=False))
        between = time.perf_counter()
        their_text = generate_latest(registry)
        theirs.append(time.perf_counter() - between)
        ours.append(between - began)
    if _values(text) != _values(their_text):
        message = "the two expositions differ"
        raise RuntimeError(message)
    rows = [
        ("haproxy-log-exporter", f"{min(ours):.3f}", f"{len(text) / MEGABYTE:.1f}"),
        ("prometheus_client", f"{min(theirs):.3f}", f"{len(their_text) / MEGABYTE:.1f}"),
    ]
    series = f"{_LABEL_SETS * len(_FIELDS):,} histogram series"
    print_table(f"scrape: {series}, best of {_ROUNDS}, in turns", ("by", "seconds", "text, MB"), rows)
    print_target("as fast as prometheus_client, times", min(theirs) / min(ours), _TARGET)
    _measure_memory(lines, series)


def _layout() -> Layout:
    fields = frozenset(_FIELDS.values())
    return Layout(find_metrics([*_FIELDS], fields, frozenset({"http"})), DEFAULT_BUCKETS)


def _label_sets() -> Iterator[tuple[str, str, str]]:
    for number in range(_LABEL_SETS):
        yield "200", f"shop-{number % 3}", f"/books/{number:05d}.html"


def _fill(table: Table, registry: CollectorRegistry) -> None:
    """Let both have the same observations."""
    random = Random(_SEED)
    buckets = [*map(float, DEFAULT_BUCKETS)]
    histograms = {name: Histogram(PREFIX + name, "", _NAMES, registry=registry, buckets=buckets) for name in _FIELDS}
    changes = {}
    for values in _label_sets():
        packed = _OBSERVATIONS * table.layout.line("http")
        for name, field in _FIELDS.items():
            child = histograms[name].labels(*values)
            for milliseconds in (int(20 * random.lognormvariate(0.0, 1.0)) for _ in range(_OBSERVATIONS)):
                packed += table.layout.contribution(field, b"%d" % milliseconds)
                child.observe(milliseconds / 1000)
        changes[table.position(values)] = packed
    table.add(changes)


def _values(text: bytes) -> list[str]:
    """List all values in order of size; sums of floats differ in their last places."""
    return sorted(f"{float(value):.6f}" for value in re.findall(rb"^haproxy.* (\S+)$", text, re.MULTILINE))


def _measure_memory(lines: int, series: str) -> None:
    line = read_lines(make_corpus(lines), 1)[0]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "haproxy.log"
        with log.open("wb") as file:
            for _ in range(_LINES):
                file.writelines(re.sub(rb'"GET \S+', b'"GET ' + path.encode(), line) for *_, path in _label_sets())
        options = ("--file", log, "--start", "beginning", "-l", LABELS, "--metrics", METRICS)
        with serving(*options) as exporter:
            pid = exporter.process.pid
            wait_until(lambda: bytes_asked_for(pid) >= log.stat().st_size, 120, "the log to be read")
            time.sleep(_FLUSHED_SECONDS)
            before = resident_bytes(pid)
            began = time.perf_counter()
            size = len(exporter.get("/metrics")[0])
            seconds = time.perf_counter() - began
            after = resident_bytes(pid)
    row = (f"{before / MEGABYTE:.0f}", f"{after / MEGABYTE:.0f}", f"{seconds:.3f}", f"{size / MEGABYTE:.1f}")
    heads = ("RSS before a scrape, MB", "and after, MB", "the scrape, s", "text, MB")
    print_table(f"scrape: a serve process with {series} and {_LABEL_SETS:,} counters", heads, [row])
