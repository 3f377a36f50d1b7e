"""What it costs when scanners ask for a million paths that no one has asked for before, half of which are not there."""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from benchmarks.corpus import make_corpus
from benchmarks.processes import Run, run_pinned
from benchmarks.report import MEGABYTE, print_table, print_target
from tests.support import command

_SEED = 20261120
_ROUNDS = 3
_MOST_RANDOM = 1_000_000
_PAGES = ("home", "cart", "checkout", "search", "offers", "account", "login", "help", "about", "terms")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LEAST_SPEED, _MOST_MEGABYTES = 0.7, 100

_STATUS_AND_PATH = re.compile(rb"(?<=[0-9] )\d{3}( \d+ .*\"[A-Z]+ )\S+")


def count_scanners(lines: int) -> None:
    """Count as many lines of ten real paths alone, and with random ones among them, in turns."""
    randoms = min(_MOST_RANDOM, lines // 2)
    mixtures = {
        "ten real paths": 0,
        "every other path random": randoms * 2,
        "all but one in ten random": randoms * 10 // 9,
    }
    with tempfile.TemporaryDirectory() as name:
        corpus = make_corpus(lines)
        logs: dict[str, Path] = {}
        for title, mixed in mixtures.items():
            logs[title] = Path(name, f"{len(logs)}.log")
            _write(corpus, logs[title], mixed or randoms * 2, randoms if mixed else 0)
        runs: dict[str, list[Run]] = {title: [] for title in logs}
        for _ in range(_ROUNDS):
            for title, log in logs.items():
                counting = command("count", "-l", "server_name,http_request_path", str(log))
                runs[title].append(run_pinned(counting, log, Path(os.devnull)))
        sizes = {title: mixed or randoms * 2 for title, mixed in mixtures.items()}
        _report(runs, sizes, randoms)


def _write(corpus: Path, log: Path, lines: int, randoms: int) -> None:
    """Write so many lines of a corpus, with other paths: so many random ones, each a single time, and ten real ones."""
    random = Random(_SEED)
    with corpus.open("rb") as source, log.open("wb") as file:
        for number, line in zip(range(lines), source, strict=False):
            if number * randoms // lines < (number + 1) * randoms // lines:
                path = f"/{''.join(random.choices(_LETTERS, k=4))}/{''.join(random.choices(_LETTERS, k=12))}.php"
                status = b"404" if number // 2 % 2 else b"200"
                file.write(_STATUS_AND_PATH.sub(rb"%s\g<1>%s" % (status, path.encode()), line, count=1))
            else:
                file.write(
                    _STATUS_AND_PATH.sub(rb"200\g<1>%s" % f"/shop/{random.choice(_PAGES)}".encode(), line, count=1)
                )


def _report(runs: Mapping[str, Sequence[Run]], sizes: Mapping[str, int], randoms: int) -> None:
    speeds = {title: sizes[title] / min(run.cpu_seconds for run in found) for title, found in runs.items()}
    peaks = {title: max(run.peak_bytes for run in found) / MEGABYTE for title, found in runs.items()}
    normal, *others = speeds
    rows = [
        (title, f"{speed:,.0f}", f"{speed / speeds[normal]:.2f}", f"{peaks[title]:.0f}")
        for title, speed in speeds.items()
    ]
    title = f"scanners: {randoms:,} random paths, half of them 404s, on one core, best of {_ROUNDS}, in turns"
    print_table(title, ("paths", "lines/s of CPU time", "of the first's", "RSS, MB"), rows)
    print_target(f"{others[0]}, of normal speed", speeds[others[0]] / speeds[normal], _LEAST_SPEED)
    for other in others:
        print_target(f"{other}, RSS grows by MB", peaks[other] - peaks[normal], _MOST_MEGABYTES, at_most=True)
