"""How many datagrams a second `serve` counts without losing one, while it is scraped every second."""

import multiprocessing
import os
import time
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks.corpus import make_corpus
from benchmarks.counting import EACH_PATH, LABELS, METRICS
from benchmarks.figures import Figures, Series, count_series, scrape_figures
from benchmarks.loads import Load, send_datagrams
from benchmarks.processes import cpu_seconds
from benchmarks.report import print_table, print_target
from tests.support import Exporter, serving

_COUNT = 2_000_000
_RATES = (210_000, 300_000, 400_000)
_WANTED = 200_000
_SCRAPES_ALIKE = 2
_SCRAPE_SECONDS = 1.0

_LONG_SECONDS = 30
_LONG_RATE = 201_000  # a little more than is wanted, so that no less is sent
_LONG_METRICS = "requests_total,response_duration_seconds"
# A label set of these two metrics has 18 samples, each of which is a series to Prometheus: the first run has 20,000 of
# those, the others have as many label sets, and so histograms.
_LONG_RUNS: tuple[tuple[str, int, dict[str, str]], ...] = (
    ("20,000 samples", 1_112, {}),
    ("20,000 histograms", 20_000, {}),
    ("20,000 histograms, gzip", 20_000, {"Accept_Encoding": "gzip"}),
)

_OPTIONS = {
    "the default labels": (),
    "by path, two histograms": ("-l", LABELS, "--metrics", METRICS, *EACH_PATH),
}


@dataclass(frozen=True, slots=True)
class Watched:
    """What the scrapes saw: the last one's figures, how many there were, and how long the longest took."""

    last: Figures
    scrapes: int
    longest: float


def receive_datagrams(lines: int) -> None:
    """Send to an exporter at several rates and print what arrived."""
    corpus = str(make_corpus(lines))
    rows, lossless = [], 0.0
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for title, options in _OPTIONS.items():
            for rate in _RATES:
                with serving("--syslog", "udp://127.0.0.1:0", *options) as exporter:
                    computed = cpu_seconds(exporter.process.pid)
                    sending = pool.submit(send_datagrams, corpus, exporter.syslog_port, _COUNT, rate)
                    watched = watch_datagrams(exporter, sending, _COUNT, {})
                    load = sending.result()
                    computed = cpu_seconds(exporter.process.pid) - computed
                rows.append(_row(title, load, watched, computed))
                if watched.last.counted == _COUNT and not options:
                    lossless = max(lossless, load.rate)
    heads = ("counted", "sent", "sent/s", "counted", "dropped", "scrapes", "longest scrape, s", "CPU, µs a datagram")
    print_table(
        f"datagrams: serve, sender and a scrape each second share {len(os.sched_getaffinity(0))} cores", heads, rows
    )
    print_target("datagrams a second with none lost, default labels", lossless, _WANTED)


def receive_for_long(lines: int) -> None:
    """Send steadily to an exporter with many series and print what arrived."""
    corpus, count = str(make_corpus(lines)), _LONG_SECONDS * _LONG_RATE
    rows, missing, slowest = [], 0, float(_LONG_RATE)
    options = ("-l", LABELS, "--metrics", _LONG_METRICS, *EACH_PATH)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for title, label_sets, headers in _LONG_RUNS:
            with serving("--syslog", "udp://127.0.0.1:0", *options) as exporter:
                computed = cpu_seconds(exporter.process.pid)
                sending = pool.submit(send_datagrams, corpus, exporter.syslog_port, count, _LONG_RATE, label_sets)
                watched = watch_datagrams(exporter, sending, count, headers)
                load = sending.result()
                computed = cpu_seconds(exporter.process.pid) - computed
                others = os.getloadavg()[0]
                series = count_series(exporter)
            rows.append(_long_row(title, load, watched, series, computed, others))
            missing = max(missing, count - watched.last.counted)
            slowest = min(slowest, load.rate)
    heads = (
        "scraped each second", "label sets", "samples", "sent", "sent/s", "counted", "dropped", "longest scrape, s",
        "CPU, % of a core", "load",
    )  # fmt: skip
    print_table(f"datagrams: {_LONG_SECONDS} s of them, while scraped at many series", heads, rows)
    print_target("datagrams a second at many series", slowest, _WANTED)
    print_target("datagrams lost at many series", missing, 0, at_most=True)


def watch_datagrams(
    exporter: Exporter, sending: "Future[Load]", count: int, headers: Mapping[str, str], every: float = _SCRAPE_SECONDS
) -> Watched:
    """Scrape now and then until all that was sent has been accounted for, or nothing more comes.

    What was read shows at the next flush, up to a second later: two scrapes alike may be of one flush.
    """
    scrapes, longest, before, alike = 0, 0.0, -1, 0
    while True:
        began = time.monotonic()
        sent_all = sending.done()
        figures = scrape_figures(exporter, **headers)
        scrapes, longest = scrapes + 1, max(longest, time.monotonic() - began)
        known = figures.counted + figures.dropped
        alike = alike + 1 if sent_all and known == before else 0
        if sent_all and (known == count or alike > _SCRAPES_ALIKE):
            return Watched(figures, scrapes, longest)
        before = known
        time.sleep(max(0.0, every - (time.monotonic() - began)))


def _row(title: str, load: Load, watched: Watched, computed: float) -> tuple[str, ...]:
    return (
        title,
        f"{load.count:,}",
        f"{load.rate:,.0f}",
        f"{watched.last.counted:,}",
        f"{watched.last.dropped:,}",
        f"{watched.scrapes}",
        f"{watched.longest:.2f}",
        f"{computed / load.count * 1e6:.2f}",
    )


def _long_row(
    title: str, load: Load, watched: Watched, series: Series, computed: float, others: float
) -> tuple[str, ...]:
    return (
        title,
        f"{series.label_sets:,}",
        f"{series.samples:,}",
        f"{load.count:,}",
        f"{load.rate:,.0f}",
        f"{watched.last.counted:,}",
        f"{watched.last.dropped:,}",
        f"{watched.longest:.2f}",
        f"{computed / load.seconds:.0%}",
        f"{others:.1f}",
    )
