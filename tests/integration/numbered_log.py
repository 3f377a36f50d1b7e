"""A log of numbered lines, written at a steady rate while the real logrotate rotates it."""

import random
import shutil
import subprocess
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

PATHS = 997
BOUNDS = ("0.1", "0.5", "1.0")
LONGEST_MILLISECONDS = 2_000
LINES_A_WRITE = 200

LOGROTATE = shutil.which("logrotate", path="/usr/sbin:/sbin:/usr/bin:/bin") or "logrotate"

# What logrotate's scripts say to the writer is a file; they wait until it is done.
_SAY = """\
set -e
touch {folder}/{word}
for turn in $(seq 2000); do [ {test} {folder}/{until} ] && exit 0; sleep 0.005; done
exit 1
"""


@dataclass(frozen=True, slots=True)
class Rotation:
    """A way to rotate: logrotate's directives, and how many seconds pass from one time to the next."""

    directives: str
    pace: tuple[float, float]
    lingers: float = 0.0  # for so many seconds, at most, the writer goes on in the renamed file
    copies: bool = False
    within_lines: bool = False  # the file may end within a line when it is copied


ROTATIONS = {
    "renamed": Rotation("nocreate compress delaycompress", (0.05, 0.8), lingers=0.5),
    "renamed-and-compressed": Rotation("create compress dateext dateformat=-%Y%m%d-%s", (1.05, 1.5), lingers=0.5),
    "copied": Rotation("copytruncate compress delaycompress", (0.05, 0.8), copies=True),
    "copied-within-lines": Rotation("copytruncate compress", (0.05, 0.8), copies=True, within_lines=True),
}


def milliseconds(number: int) -> int:
    """Give a line's response time: so scattered that no two lines stand for one another."""
    return (number * 2_654_435_761 >> 7) % LONGEST_MILLISECONDS


def line(number: int, path: str) -> str:
    """Write a line as HAProxy does; its number is the bytes read, so that their sum tells which lines were counted."""
    time_ = milliseconds(number)
    return (
        f"127.0.0.1:{1024 + number % 60_000} [20/Nov/2026:04:30:27.864] web app/s1 0/0/0/{time_}/{time_} 200 {number} "
        f'- - ---- 1/1/0/0/0 0/0 "GET {path}?n={number} HTTP/1.1"\n'
    )


def expected(lines: int) -> dict[str, float]:
    """Give all samples of the log metrics by path once each of so many lines is counted once."""
    found: dict[str, float] = {}
    for path in range(min(PATHS, lines)):
        numbers = range(path, lines, PATHS)
        times = sorted(map(milliseconds, numbers))
        labels = f'http_request_path="/n/{path}"'
        found[f"haproxy_log_requests_total{{{labels}}}"] = len(times)
        found[f"haproxy_log_bytes_read_total{{{labels}}}"] = sum(numbers)
        histogram = "haproxy_log_response_duration_seconds"
        for bound in BOUNDS:
            below = bisect_right(times, float(bound) * 1000)
            found[f'{histogram}_bucket{{{labels},le="{bound}"}}'] = below
        found[f'{histogram}_bucket{{{labels},le="+Inf"}}'] = len(times)
        found[f"{histogram}_sum{{{labels}}}"] = sum(times) / 1000
        found[f"{histogram}_count{{{labels}}}"] = len(times)
    return found


class Writer:
    """Appends numbered lines on a schedule, and does what logrotate's scripts say.

    Each batch of lines is written in two parts, so the file often ends within a line.
    """

    def __init__(self, folder: Path, rotation: Rotation, rate: int, seed: int) -> None:
        """Write nothing yet. `rate` is in lines a second."""
        self.path = folder / "logs" / "haproxy.log"
        self.lines = 0  # those that are written, or may be
        self.octets = 0
        self._folder = folder
        self._rate = rate
        self._random = random.Random(f"{seed} writer")
        self._rotation = rotation
        self._reopen_at: float | None = None
        self._began = time.monotonic()
        self._file = self.path.open("ab", buffering=0)

    def write_due(self) -> float:
        """Write a few of the lines that are due; tell how long to wait."""
        self._reopen_if_told()
        if not self._rotation.within_lines:
            self._pause_if_told()
        due = int((time.monotonic() - self._began) * self._rate) - self.lines
        self.write(min(due, LINES_A_WRITE))
        return 0.005 if due < LINES_A_WRITE else 0.0

    def write(self, lines: int) -> None:
        """Write so many lines."""
        numbers = range(self.lines, self.lines + lines)
        self.lines += lines
        block = "".join(line(number, f"/n/{number % PATHS}") for number in numbers).encode()
        self.octets += len(block)
        cut = self._random.randint(0, len(block))
        assert self._file.write(block[:cut]) == cut
        if self._rotation.within_lines:
            self._pause_if_told()
        assert self._file.write(block[cut:]) == len(block) - cut

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _pause_if_told(self) -> None:
        if (asked := self._folder / "pause").exists():
            (paused := self._folder / "paused").touch()
            while asked.exists():
                time.sleep(0.001)
            paused.unlink()

    def _reopen_if_told(self) -> None:
        asked = self._folder / "reopen"
        if self._reopen_at is None and asked.exists():
            self._reopen_at = time.monotonic() + self._random.uniform(0, self._rotation.lingers)
        if self._reopen_at is not None and time.monotonic() >= self._reopen_at:
            self._file.close()
            self._file = self.path.open("ab", buffering=0)
            self._reopen_at = None
            asked.unlink()


class Rotator:
    """Runs the real logrotate on the log. No file is deleted within a hundred rotations."""

    def __init__(self, folder: Path, rotation: Rotation, seed: int) -> None:
        """Write the configuration."""
        self.rotations = 0
        self._pace = rotation.pace
        self._random = random.Random(f"{seed} rotator")
        self._config, self._state = folder / "logrotate.conf", folder / "logrotate.state"
        say_pause = _SAY.format(folder=folder, word="pause", test="-e", until="paused")
        say_reopen = _SAY.format(folder=folder, word="reopen", test="! -e", until="reopen")
        scripts = {"prerotate": say_pause, "postrotate": f"rm {folder}/pause\n"}
        if not rotation.copies:
            scripts = {"postrotate": say_reopen}
        directives = rotation.directives.replace(" ", "\n").replace("=", " ")
        blocks = "".join(f"{name}\n{script}endscript\n" for name, script in scripts.items())
        self._config.write_text(f"{folder}/logs/haproxy.log {{\nrotate 100\n{directives}\n{blocks}}}\n")
        self._config.chmod(0o644)

    def rotate(self) -> float:
        """Rotate once; tell how long to wait."""
        arguments = [LOGROTATE, "--force", "--state", str(self._state), str(self._config)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        self.rotations += 1
        return self._random.uniform(*self._pace)


@contextmanager
def repeating(work: Callable[[], float]) -> Iterator[None]:
    """Do something again and again in a thread, each time after the seconds that it told; what it raises is raised."""
    stop = Event()
    raised: list[BaseException] = []

    def repeat() -> None:
        try:
            while not stop.wait(work()):
                pass
        except BaseException as error:  # noqa: BLE001 -- handed over
            raised.append(error)

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if raised:
        raise raised[0]
