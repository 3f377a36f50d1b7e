"""What the state costs: a commit, a start, and reading a backlog with and without it."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from benchmarks.corpus import make_corpus
from benchmarks.counting import EACH_PATH, LABELS, METRICS
from benchmarks.processes import run_pinned
from benchmarks.report import print_table, print_target
from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS, find_metrics
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.totals import Table
from haproxy_log_exporter.state import Commit, State
from tests.services import line, make_service, running
from tests.support import command, serving, wait_until

_NAMES = ("status_code", "server_name", "http_request_path")
_SERIES = 100_000
_CHANGED = 10_000
_ROUNDS = 5
_SEED = 20261120

_MOST_COMMIT_MILLISECONDS = 50
_MOST_START_SECONDS = 1.0
_LEAST_SPEED = 0.9


def keep_state(lines: int) -> None:
    """Print what a commit and a start take, and how fast a backlog is read with a state."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _measure_commits(folder / "commits")
        _measure_start(folder)
        _measure_backlog(make_corpus(lines), lines, folder)


def _table() -> Table:
    metrics = find_metrics(["response_duration_seconds"], frozenset({"time_response"}), frozenset({"http"}))
    return Table(_NAMES, Layout(metrics, DEFAULT_BUCKETS), "traffic")


def _measure_commits(path: Path) -> None:
    """Change histogram series, all of them or some of many, and commit."""
    rows = []
    for title, count in (("of as many", _CHANGED), (f"of {_SERIES:,}, drawn at random", _SERIES)):
        table, state, random = _table(), State(f"{path}-{count}"), Random(_SEED)
        state.start()
        state.restore([table])
        for number in range(count):
            table.position(("200", f"shop-{number % 3}", f"/books/{number:06d}.html"))
        seconds = []
        for places in _draws(random, count):
            one = table.layout.line("http") + table.layout.contribution("time_response", b"%d" % random.randrange(999))
            change = table.change(dict.fromkeys(places, one), time.time())
            began = time.perf_counter()
            state.commit(Commit([change], {}, {}))
            seconds.append(time.perf_counter() - began)
            table.apply(change)
        state.stop()
        best = 1000 * min(seconds[1:])
        rows.append((title, f"{best:.1f}", f"{1000 * max(seconds[1:]):.1f}"))
        if count == _CHANGED:
            print_target(f"commit of {_CHANGED:,} histogram series, ms", best, _MOST_COMMIT_MILLISECONDS, at_most=True)
    heads = (f"{_CHANGED:,} series changed", "ms, best", "ms, worst")
    print_table(f"commit: best and worst of {_ROUNDS}", heads, rows)


def _draws(random: Random, count: int) -> Iterator[Sequence[int]]:
    yield range(count)
    for _ in range(_ROUNDS):
        yield random.sample(range(count), _CHANGED)


def _measure_start(folder: Path) -> None:
    """Let a process write a state with many series, and start another one on it."""
    log = folder / "haproxy.log"
    with log.open("wb") as file:
        file.writelines(line(path=f"/books/{number:06d}.html") for number in range(_SERIES))
    options = (
        *("--file", log, "--start", "beginning", "--state", folder / "state", "-l", "http_request_path", *EACH_PATH),
        *("--metrics", "response_duration_seconds"),
    )
    with serving(*options) as exporter:
        wanted = f'series{{metric="response_duration_seconds"}} {_SERIES}.0'.encode()
        wait_until(lambda: wanted in exporter.get("/metrics")[0], 120, "all series")
    seconds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        with serving(*options) as exporter:
            assert exporter.port
            seconds.append(time.perf_counter() - began)
    print_table(
        f"start: the whole process, until it serves, best of {_ROUNDS}",
        ("a state of", "seconds"),
        [(f"{_SERIES:,} histogram series", f"{min(seconds):.2f}")],
    )
    print_target(f"start on {_SERIES:,} series, s", min(seconds), _MOST_START_SECONDS, at_most=True)


def _measure_backlog(corpus: Path, lines: int, folder: Path) -> None:
    """Read a log in turns: `count`, and `serve` without a state and with one, each in a process of its own."""
    seconds: dict[str, list[float]] = {"count": [], "serve": [], "serve --state": []}
    counting = command("count", "-l", LABELS, "--metrics", METRICS, *EACH_PATH, corpus)
    for number in range(_ROUNDS):
        seconds["count"].append(run_pinned(counting, corpus, folder / "output").seconds)
        seconds["serve"].append(_read_backlog(corpus, lines))
        seconds["serve --state"].append(_read_backlog(corpus, lines, folder / f"backlog-{number}"))
    best = {name: min(found) for name, found in seconds.items()}
    rows = [(name, f"{lines / taken:,.0f}", f"{best['count'] / taken:.2f}") for name, taken in best.items()]
    print_table(f"backlog: {lines:,} lines, best of {_ROUNDS}, in turns", ("by", "lines/s", "of count's"), rows)
    print_target("speed with a state, of that without", best["serve"] / best["serve --state"], _LEAST_SPEED)


def _read_backlog(corpus: Path, lines: int, state: Path | None = None) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.keeping", str(corpus), str(lines), *([str(state)] if state else [])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def _time_service(corpus: str, lines: int, *state: str) -> float:
    """Tell how long a service takes from its start until all lines of a log are shown."""
    texts = {"files": [corpus], "start": ["beginning"], "labels": [LABELS], "metrics": [METRICS], "state": [*state]}
    each_path = {"path_ids": ["false"], "most_values": ["1000000"], "most_series": ["1000000"]}
    service = make_service(**texts, **each_path)
    began = time.perf_counter()
    with running(service):
        wait_until(
            lambda: sum(tally.counted for tally in service.pipeline.shown().tallies.values()) == lines, 600, "all lines"
        )
        return time.perf_counter() - began


if __name__ == "__main__":
    print(_time_service(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
