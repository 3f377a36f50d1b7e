"""Running programs on one core, and what processes cost, from /proc."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_KIBIBYTE = 1024


@dataclass(frozen=True, slots=True)
class Run:
    """What a whole process took, from its start to its end; `cpu_seconds` is less where it had to wait for the core."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def last_core() -> int:
    """Choose the core for what is measured."""
    return max(os.sched_getaffinity(0))


def run_pinned(command: Sequence[str], log: Path, output: Path) -> Run:
    """Run a program on one core, with `log` as its standard input and `output` as its standard output.

    It is started by a small process of its own: Linux takes the memory of whoever forks for the child's peak.

    Raises:
        CalledProcessError: where it fails.
    """
    starter = [sys.executable, "-m", "benchmarks.processes", str(last_core()), *command]
    with log.open("rb") as stdin, output.open("wb") as stdout:
        answer = subprocess.run(starter, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, check=True)
    return Run(**json.loads(answer.stderr))


def _start(core: int, command: Sequence[str]) -> int:
    """Run a program, write what it took as a JSON object to standard error, and give its exit status."""
    use_core(core)
    began = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    run = Run(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _KIBIBYTE)
    print(json.dumps(asdict(run)), file=sys.stderr)
    return process.returncode


def cpu_seconds(pid: int) -> float:
    """How long a process has computed so far, in all its threads."""
    # proc(5): the name may hold anything, so count behind its bracket; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """How much memory a process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def bytes_asked_for(pid: int) -> int:
    """How many bytes a process has read so far, whatever from."""
    return int(Path(f"/proc/{pid}/io").read_text().split()[1])


def use_core(core: int) -> None:
    """Run on one core from now on."""
    os.sched_setaffinity(0, {core})


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Let what is started in this while run on one core."""
    before = os.sched_getaffinity(0)
    use_core(core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


if __name__ == "__main__":
    sys.exit(_start(int(sys.argv[1]), sys.argv[2:]))
