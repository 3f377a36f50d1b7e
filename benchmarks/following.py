"""What `serve` computes while its file is quiet, and while it is written to line by line."""

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.corpus import make_corpus, read_lines
from benchmarks.counting import EACH_PATH, LABELS, METRICS
from benchmarks.figures import scrape_figures
from benchmarks.loads import append_lines
from benchmarks.processes import cpu_seconds
from benchmarks.report import print_table, print_target
from tests.support import serving, wait_until

_IDLE_SECONDS = 20.0
_SETTLE_SECONDS = 5.0  # until the file counts as quiet
_MOST_IDLE_PERCENT = 0.3

_APPENDED = 200_000
_RATE = 20_000.0


def follow_quiet_file(lines: int) -> None:
    """Print how much of a core a quiet file takes."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "haproxy.log"
        log.write_bytes(b"".join(read_lines(make_corpus(lines), 1000)))
        with serving("--file", log, "--start", "beginning") as exporter:
            time.sleep(_SETTLE_SECONDS)
            before, began = cpu_seconds(exporter.process.pid), time.monotonic()
            time.sleep(_IDLE_SECONDS)
            percent = 100 * (cpu_seconds(exporter.process.pid) - before) / (time.monotonic() - began)
    heads = ("a quiet file", "% of a core")
    print_table("idle", heads, [(f"over {_IDLE_SECONDS:.0f} s", f"{percent:.2f}")])
    print_target("idle, % of a core", percent, _MOST_IDLE_PERCENT, at_most=True)


def follow_busy_file(lines: int) -> None:
    """Print how much of a core a busy file takes, and whether all lines were counted."""
    corpus = str(make_corpus(lines))
    rows = []
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for title, options in (
            ("default labels", ()),
            ("by path, two histograms", ("-l", LABELS, "--metrics", METRICS, *EACH_PATH)),
        ):
            log = Path(folder) / "haproxy.log"
            log.write_bytes(b"")
            with serving("--file", log, *options) as exporter:
                exporter.get("/-/ready")  # it reads from the end that it finds when it starts
                before = cpu_seconds(exporter.process.pid)
                load = pool.submit(append_lines, corpus, str(log), _APPENDED, _RATE).result()
                percent = 100 * (cpu_seconds(exporter.process.pid) - before) / load.seconds
                wait_until(lambda: scrape_figures(exporter).counted >= _APPENDED, what="the last lines")
                counted = scrape_figures(exporter).counted
            rows.append((title, f"{load.count:,}", f"{load.rate:,.0f}", f"{counted:,.0f}", f"{percent:.1f}"))
            print_target(f"lines counted of {_APPENDED:,}", counted, _APPENDED)
    heads = ("counted", "written", "written/s", "counted", "% of a core")
    print_table("tail: a file that is appended to, a write a line", heads, rows)
