"""How many lines a second whole programs count, on one core."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import HERE, make_corpus, make_slice
from benchmarks.processes import Run, run_pinned
from benchmarks.report import MEGABYTE, print_table, print_target
from tests.support import command

LABELS = "status_code,server_name,http_request_path"
METRICS = "requests_total,response_duration_seconds,total_duration_seconds"
# Other programs count each path by itself, so ours is to do the same.
EACH_PATH = ("--no-path-ids", "--max-label-values", "1000000", "--max-series", "1000000")

_ROUNDS = 3
_OURS = "haproxy-log-exporter"
_GOACCESS = (
    "goaccess", "--no-global-config", "--no-progress", "--date-format=%d/%b/%Y", "--time-format=%H:%M:%S",
    '--log-format=%^]: %h:%^ [%d:%t.%^] %^/%v %^/%^/%^/%^/%L %s %b %^"%r"',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """A program to compare with: its command for a log and a folder, and how many lines its output says it counted.

    It reads at most `lines` lines. Where there is a `target`, ours is to be so many times as fast.
    """

    name: str
    executable: str
    command: Callable[[Path, Path], list[str]]
    counted: Callable[[str], int]
    lines: int
    target: float | None = None


def count_corpus(lines: int) -> None:
    """Run all programs in turns and print how fast they were."""
    corpus = make_corpus(lines)
    programs = [program for program in _PROGRAMS if shutil.which(program.executable)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs: dict[str, list[Run]] = {program.name: [] for program in programs}
        for number in range(_ROUNDS):
            for program in programs:
                log = make_slice(corpus, program.lines, folder) if program.lines < lines else corpus
                output = Path(os.devnull) if number else folder / "output"
                runs[program.name].append(run_pinned(program.command(log, folder), log, output))
                if not number:
                    _check(program, output.read_text(), min(lines, program.lines))
    best = {name: min(found, key=lambda run: run.seconds) for name, found in runs.items()}
    _report(lines, programs, best)
    _print_stages(corpus)


def _check(program: Program, output: str, lines: int) -> None:
    """Make sure that the program understood every line."""
    counted = program.counted(output)
    if counted != lines:
        message = f"{program.name} counted {counted} of {lines} lines"
        raise RuntimeError(message)


def _report(lines: int, programs: Sequence[Program], best: dict[str, Run]) -> None:
    rates = {program.name: min(lines, program.lines) / best[program.name].seconds for program in programs}
    ours = rates[_OURS]
    rows = [
        (
            program.name,
            f"{min(lines, program.lines):,}",
            f"{best[program.name].seconds:.2f}",
            f"{best[program.name].cpu_seconds:.2f}",
            f"{rates[program.name]:,.0f}",
            f"{ours / rates[program.name]:.2f}",
            f"{best[program.name].peak_bytes / MEGABYTE:,.0f}",
        )
        for program in programs
    ]
    heads = ("program", "lines", "seconds", "CPU s", "lines/s", "ours / its", "peak RSS, MB")
    print_table(f"counting: whole processes on one core, best of {_ROUNDS}, in turns", heads, rows)
    for program in _PROGRAMS:
        if program not in programs:
            print(f"left out: {program.executable} is not installed")
        elif program.target:
            print_target(f"as fast as {program.name}, times", ours / rates[program.name], program.target)


def _print_stages(corpus: Path) -> None:
    """Say where the time goes: the same in one process, each stage by the clock."""
    text = subprocess.run(
        [sys.executable, "-m", "benchmarks.stages", str(corpus)], capture_output=True, text=True, check=True
    ).stdout
    stages: dict[str, float] = json.loads(text)
    whole = sum(stages.values())
    rows = [(name, f"{seconds:.3f}", f"{seconds / whole:.0%}") for name, seconds in stages.items()]
    print_table(f"counting: where {_OURS}'s time goes", ("stage", "seconds", "share"), rows)


def _requests_of_prometheus(output: str) -> int:
    return sum(map(int, re.findall(r"^haproxy_log_requests_total\{.*\} (\d+)$", output, re.MULTILINE)))


def _requests_of_mtail(output: str) -> int:
    return sum(row["Value"]["Value"] for row in json.loads(output)["requests_total"][0]["LabelValues"])


def _requests_of_halog(output: str) -> int:
    return sum(int(line.split(maxsplit=1)[0]) for line in output.splitlines() if not line.startswith("#"))


def _requests_of_goaccess(output: str) -> int:
    return int(json.loads(output)["general"]["valid_requests"])


def _count_command(log: Path, _folder: Path) -> list[str]:
    return command("count", "-l", LABELS, "--metrics", METRICS, *EACH_PATH, log)


def _mtail_command(log: Path, _folder: Path) -> list[str]:
    program = HERE / "requests.mtail"
    return ["mtail", "--address", "127.0.0.1", "--port", "0", "--one_shot", "--logs", str(log), "--progs", str(program)]


def _halog_command(_log: Path, _folder: Path) -> list[str]:
    return ["halog", "-q", "-u"]


def _library_command(log: Path, _folder: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.line_by_line", str(log)]


def _goaccess_command(log: Path, folder: Path) -> list[str]:
    report = folder / "goaccess.json"
    return ["sh", "-c", '"$@" && cat "$0"', str(report), *_GOACCESS, f"--output={report}", str(log)]


_PROGRAMS = (
    Program(_OURS, sys.executable, _count_command, _requests_of_prometheus, sys.maxsize),
    Program("halog -q -u", "halog", _halog_command, _requests_of_halog, sys.maxsize, 0.3),
    Program("mtail --one_shot", "mtail", _mtail_command, _requests_of_mtail, 1_000_000, 5),
    Program("goaccess", "goaccess", _goaccess_command, _requests_of_goaccess, 1_000_000),
    Program("haproxy_log_analysis + prometheus_client", sys.executable, _library_command, int, 100_000, 40),
)
