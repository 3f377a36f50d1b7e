"""How many lines a second whole programs count, on one core."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import HERE, make_corpus, make_slice
from benchmarks.processes import Run, run_pinned
from benchmarks.report import MEGABYTE, print_table, print_target
from tests.support import command

LABELS = "status_code,server_name,http_request_path"
METRICS = "requests_total,response_duration_seconds,total_duration_seconds"

_ROUNDS = 3
_OURS = "haproxy-log-exporter"
_GOACCESS = (
    "goaccess", "--no-global-config", "--no-progress", "--date-format=%d/%b/%Y", "--time-format=%H:%M:%S",
    '--log-format=%^]: %h:%^ [%d:%t.%^] %^/%v %^/%^/%^/%^/%L %s %b %^"%r"',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """A program to compare with: its command for a log, and how many lines its output says it counted.

    It reads at most `lines` lines, and this is to be at least `target` times as fast, if there is one.
    """

    name: str
    command: Callable[[Path, Path], list[str]]
    counted: Callable[[str], int]
    lines: int
    target: float | None = None


def count_corpus(lines: int) -> None:
    """Run all programs in turns and print how fast they were."""
    corpus = make_corpus(lines)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs: dict[str, list[Run]] = {program.name: [] for program in _PROGRAMS}
        for _ in range(_ROUNDS):
            for program in _PROGRAMS:
                log = make_slice(corpus, program.lines, folder) if program.lines < lines else corpus
                output = folder / "output"
                runs[program.name].append(run_pinned(program.command(log, output), log, output))
                _check(program, output.read_text(), min(lines, program.lines))
    best = {name: min(found, key=lambda run: run.seconds) for name, found in runs.items()}
    _report(lines, best)
    _print_stages(corpus)


def _check(program: Program, output: str, lines: int) -> None:
    """Make sure that the program understood every line."""
    counted = program.counted(output)
    if counted != lines:
        message = f"{program.name} counted {counted} of {lines} lines"
        raise RuntimeError(message)


def _report(lines: int, best: dict[str, Run]) -> None:
    rates = {program.name: min(lines, program.lines) / best[program.name].seconds for program in _PROGRAMS}
    ours = rates[_OURS]
    rows = [
        (
            program.name,
            f"{min(lines, program.lines):,}",
            f"{best[program.name].seconds:.2f}",
            f"{rates[program.name]:,.0f}",
            f"{ours / rates[program.name]:.2f}",
            f"{best[program.name].peak_bytes / MEGABYTE:,.0f}",
        )
        for program in _PROGRAMS
    ]
    heads = ("program", "lines", "seconds", "lines/s", f"{_OURS} is … times as fast", "peak RSS, MB")
    print_table(f"counting: whole processes on one core, best of {_ROUNDS}, in turns", heads, rows)
    for program in _PROGRAMS:
        if program.target:
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


def _count_command(log: Path, _output: Path) -> list[str]:
    return command("count", "-l", LABELS, "--metrics", METRICS, log)


def _mtail_command(log: Path, _output: Path) -> list[str]:
    program = HERE / "requests.mtail"
    return ["mtail", "--address", "127.0.0.1", "--port", "0", "--one_shot", "--logs", str(log), "--progs", str(program)]


def _halog_command(_log: Path, _output: Path) -> list[str]:
    return ["halog", "-q", "-u"]


def _library_command(log: Path, _output: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.line_by_line", str(log)]


def _goaccess_command(log: Path, output: Path) -> list[str]:
    report = output.with_suffix(".json")
    return ["sh", "-c", '"$@" && cat "$0"', str(report), *_GOACCESS, f"--output={report}", str(log)]


_PROGRAMS = (
    Program(_OURS, _count_command, _requests_of_prometheus, sys.maxsize),
    Program("halog -q -u", _halog_command, _requests_of_halog, sys.maxsize, 0.3),
    Program("mtail --one_shot", _mtail_command, _requests_of_mtail, 1_000_000, 5),
    Program("goaccess", _goaccess_command, _requests_of_goaccess, 1_000_000),
    Program("haproxy_log_analysis + prometheus_client", _library_command, int, 100_000, 40),
)
