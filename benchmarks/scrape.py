"""What a scrape of 100,000 histogram series computes, beside prometheus_client, and while datagrams come."""

import multiprocessing
import re
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from random import Random

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest

from benchmarks.corpus import make_corpus
from benchmarks.datagrams import Watched, watch_datagrams
from benchmarks.figures import count_series
from benchmarks.loads import Load, send_datagrams
from benchmarks.processes import cpu_seconds, resident_bytes
from benchmarks.report import MEGABYTE, print_table, print_target
from haproxy_log_exporter.metrics.catalogue import PREFIX, find_metrics
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.totals import Table
from tests.support import Exporter, serving

_LABEL_SETS = 100_000
_BUCKETS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30")
_NAMES = ("status_code", "server_name", "http_request_path")
_METRIC, _FIELD = "response_duration_seconds", "time_response"
_OBSERVATIONS = 10  # of each series
_ROUNDS = 3
_SEED = 20261120
_MOST_SECONDS = 0.5
_TIMES_AS_FAST = 10

_LABELS_AND_METRICS = ("-l", ",".join(_NAMES), "--metrics", _METRIC, "--buckets", ",".join(_BUCKETS))
_LIMITS = ("--max-series", f"{_LABEL_SETS}", "--max-label-values", f"{_LABEL_SETS}")
_RATE = 50_000
_FED = 2 * _LABEL_SETS  # datagrams before the first scrape
_SENT = 20 * _RATE
_EVERY_SECONDS = 5.0
_FLUSHED_SECONDS = 3.0  # a flush comes each second
_ENCODINGS: dict[str, dict[str, str]] = {"as text": {}, "by gzip": {"Accept_Encoding": "gzip"}}

_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def render_series(lines: int) -> None:
    """Print what the same series cost either way, and what a process does that holds as many."""
    _render_beside_prometheus_client()
    _scrape_under_load(lines)


def _render_beside_prometheus_client() -> None:
    table, registry = Table(_NAMES, _layout()), CollectorRegistry()
    disable_created_metrics()  # else it would write 100,000 samples more
    _fill(table, registry)
    ours, theirs = [], []
    for _ in range(_ROUNDS):
        began = time.process_time()
        size = sum(map(len, render([(table.layout, table.snapshot())], open_metrics=False)))
        between = time.process_time()
        their_text = generate_latest(registry)
        theirs.append(time.process_time() - between)
        ours.append(between - began)
    if _values(b"".join(render([(table.layout, table.snapshot())], open_metrics=False))) != _values(their_text):
        message = "the two expositions differ"
        raise RuntimeError(message)
    rows = [
        ("haproxy-log-exporter", f"{min(ours):.3f}", f"{size / MEGABYTE:.1f}"),
        ("prometheus_client", f"{min(theirs):.3f}", f"{len(their_text) / MEGABYTE:.1f}"),
    ]
    title = f"scrape: {_LABEL_SETS:,} histograms of {len(_BUCKETS)} buckets, best of {_ROUNDS}, in turns"
    print_table(title, ("rendered by", "CPU, s", "text, MB"), rows)
    print_target("a scrape's rendering, s of CPU", min(ours), _MOST_SECONDS, at_most=True)
    print_target("as fast as prometheus_client, times", min(theirs) / min(ours), _TIMES_AS_FAST)


def _layout() -> Layout:
    return Layout(find_metrics([_METRIC], frozenset({_FIELD}), frozenset({"http"})), _BUCKETS)


def _label_sets() -> Iterator[tuple[str, str, str]]:
    for number in range(_LABEL_SETS):
        yield "200", f"shop-{number % 3}", f"/books/{number:06d}.html".translate(_LETTERS)


def _fill(table: Table, registry: CollectorRegistry) -> None:
    """Let both have the same observations."""
    random = Random(_SEED)
    buckets = [*map(float, _BUCKETS)]
    histogram = Histogram(PREFIX + _METRIC, "", _NAMES, registry=registry, buckets=buckets)
    changes = {}
    for values in _label_sets():
        packed = _OBSERVATIONS * table.layout.line("http")
        child = histogram.labels(*values)
        for milliseconds in (int(20 * random.lognormvariate(0.0, 1.0)) for _ in range(_OBSERVATIONS)):
            packed += table.layout.contribution(_FIELD, b"%d" % milliseconds)
            child.observe(milliseconds / 1000)
        changes[table.position(values)] = packed
    table.apply(table.change(changes, 0.0))


def _values(text: bytes) -> list[str]:
    """List all values in order of size; sums of floats differ in their last places."""
    return sorted(f"{float(value):.6f}" for value in re.findall(rb"^haproxy.* (\S+)$", text, re.MULTILINE))


def _scrape_under_load(lines: int) -> None:
    """Scrape a process at rest and while datagrams come, in each encoding."""
    corpus, rows, missing, label_sets = str(make_corpus(lines)), [], 0, _LABEL_SETS
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for title, headers in _ENCODINGS.items():
            with serving("--syslog", "udp://127.0.0.1:0", *_LABELS_AND_METRICS, *_LIMITS) as exporter:
                pid, port = exporter.process.pid, exporter.syslog_port
                pool.submit(send_datagrams, corpus, port, _FED, _RATE, _LABEL_SETS).result()
                time.sleep(_FLUSHED_SECONDS)
                before = resident_bytes(pid)
                cost, size = _cost(exporter, headers)
                after = resident_bytes(pid)
                computed = cpu_seconds(pid)
                sending = pool.submit(send_datagrams, corpus, port, _SENT, _RATE, _LABEL_SETS)
                watched = watch_datagrams(exporter, sending, _FED + _SENT, headers, _EVERY_SECONDS)
                load = sending.result()
                computed = cpu_seconds(pid) - computed
                label_sets = min(label_sets, count_series(exporter).samples // (len(_BUCKETS) + 3))
            rest = (f"{size / MEGABYTE:.1f}", f"{cost:.2f}", f"{before / MEGABYTE:.0f}", f"{after / MEGABYTE:.0f}")
            rows.append((title, *rest, *_loaded(watched, load, computed)))
            missing = max(missing, _FED + _SENT - watched.last.counted)
            print_target(f"a scrape {title}, s of CPU", cost, _MOST_SECONDS, at_most=True)
    heads = (
        "scraped", "sent, MB", "CPU, s", "RSS before, MB", "RSS after, MB", "scrapes", "longest, s", "dropped",
        "datagrams/s", "CPU, % of a core",
    )  # fmt: skip
    print_table(f"scrape: serve with {label_sets:,} histograms, at rest and then under datagrams", heads, rows)
    print_target("histograms of the process", label_sets, _LABEL_SETS)
    print_target("datagrams lost while scraped", missing, 0, at_most=True)


def _cost(exporter: Exporter, headers: dict[str, str]) -> tuple[float, int]:
    """Scrape some times while nothing else happens: the least seconds of CPU, and the size of an answer."""
    costs, size = [], 0
    for _ in range(_ROUNDS):
        began = cpu_seconds(exporter.process.pid)
        size = len(exporter.get("/metrics", **headers)[0])
        costs.append(cpu_seconds(exporter.process.pid) - began)
    return min(costs), size


def _loaded(watched: Watched, load: Load, computed: float) -> tuple[str, ...]:
    return (
        f"{watched.scrapes}",
        f"{watched.longest:.2f}",
        f"{watched.last.dropped:,}",
        f"{load.rate:,.0f}",
        f"{computed / load.seconds:.0%}",
    )
