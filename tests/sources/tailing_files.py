"""Following real files in a directory with a clock that stands: the source, its restarts, and what is done to files."""

import bz2
import gzip
import lzma
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from haproxy_log_exporter.marks import Mark
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.succession import DRAIN_SECONDS
from haproxy_log_exporter.sources.tail import SCAN_SECONDS, FileSource

COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}

ENDS = pytest.mark.parametrize("end", ["", *COMPRESSORS])

_LINE = re.compile(rb"Nov 20 04:30:27 lb1 haproxy\[815\]: line ([0-9]+) of a log, and what tells it from others x*\n")

_NOBODY = 65534


def numbered(*numbers: int, size: int = 0) -> bytes:
    """Write lines that carry numbers, and are told from each other by nothing else."""
    return b"".join(
        b"Nov 20 04:30:27 lb1 haproxy[815]: line %d of a log, and what tells it from others %s\n"
        % (number, b"x" * size)
        for number in numbers
    )


def numbers(lines: bytes) -> list[int]:
    """Read the numbers back; each line must be whole."""
    found = []
    for line in lines.splitlines(keepends=True):
        match = _LINE.fullmatch(line)
        assert match, f"this is no line that was written: {line[:200]!r}"
        found.append(int(match[1]))
    return found


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.time


class Tail:
    """A source over a directory, and the clock that it looks at."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.directory = directory
        self.log = directory / "haproxy.log"
        self.source: FileSource
        self.kept: Mapping[str, tuple[Mark, ...]] = {}
        self._patterns: Sequence[str] = ()

    def start(self, pattern: str = "haproxy.log", *, from_beginning: bool = False) -> None:
        """Follow a pattern in the directory."""
        self.follow(pattern, from_beginning=from_beginning)

    def begin(self) -> None:
        """Follow a log of three lines, of which two were read."""
        self.write(numbered(0, 1))
        self.start(from_beginning=True)
        assert numbers(self.read()) == [0, 1]
        self.write(numbered(2))

    def follow(self, *patterns: str, from_beginning: bool) -> None:
        """Follow several patterns in the directory."""
        self._patterns = [str(self.directory / pattern) for pattern in patterns]
        self._make(from_beginning=from_beginning, marks={}, since={})

    def _make(self, *, from_beginning: bool, marks: Mapping[str, tuple[Mark, ...]], since: Mapping[str, float]) -> None:
        self.source = FileSource(
            self._patterns, from_beginning=from_beginning, marks=marks, since=since, now=self.clock
        )
        self.source.start()

    def stop(self) -> None:
        """Stop, as a service does: what is known of files is kept."""
        self.kept = self.source.marks()
        self.source.stop()

    def again(self, change: Callable[[Mark], Mark] = lambda mark: mark) -> None:
        """Go on with another source from what was kept, which may have changed meanwhile."""
        marks = {path: tuple(map(change, each)) for path, each in self.kept.items()}
        self._make(from_beginning=False, marks=marks, since=self.source.since)

    def restart(self) -> None:
        """Stop and go on."""
        self.stop()
        self.again()

    @property
    def condition(self) -> Condition:
        """How the first pattern stands."""
        return self.source.conditions()[self.source.names[0]]

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What is known of the files of the log."""
        return self.source.marks().get(str(self.log), ())

    def beside(self, end: str) -> Path:
        """Name a file beside the log: its name and an end."""
        return self.log.with_name(self.log.name + end)

    def write(self, data: bytes, path: Path | None = None) -> None:
        """Append to the log, or another file."""
        append(path or self.log, data)

    def scan(self, seconds: float = SCAN_SECONDS) -> bytes:
        """Let time go by, then read all there is."""
        self.clock.time += seconds
        return self.read()

    def settle(self) -> bytes:
        """Let time go by until nothing is expected any more; read all that comes."""
        return self.read() + b"".join(self.scan() for _ in range(int(2.5 * DRAIN_SECONDS)))

    def counted(self) -> list[int]:
        """Let time go by until nothing is expected any more; give the numbers of the lines that came."""
        return numbers(self.settle())

    def read(self) -> bytes:
        """Read all there is, whichever file it is from."""
        found = b""
        while lines := self.take():
            found += lines
        return found

    def take(self) -> bytes:
        """Read what comes in one turn."""
        return b"".join(chunk.lines for chunk in self.source.read())

    def descriptors(self) -> list[str]:
        """List the files of the directory that are open."""
        return open_below(self.directory)


def append(path: Path, data: bytes) -> None:
    """Append to a file."""
    with path.open("ab") as file:
        file.write(data)


def truncate_with_copy(log: Path, copy: Path) -> None:
    """Rotate as logrotate's copytruncate does."""
    shutil.copyfile(log, copy)
    os.truncate(log, 0)


def shift(log: Path, *, ends: str = "") -> None:
    """Rename haproxy.log.2 to .3, .1 to .2, the log to .1; the numbers stand before an end like .gz, too."""
    for number in range(9, 0, -1):
        for end in {"", ends}:
            path = log.with_name(f"{log.name}.{number}{end}")
            if path.exists():
                path.rename(log.with_name(f"{log.name}.{number + 1}{end}"))
    log.rename(log.with_name(f"{log.name}.1"))


def compress(path: Path, end: str = ".gz") -> Path:
    """Compress a file as gzip(1) and xz(1) do, which keep its time."""
    status = path.stat()
    compressed = path.with_name(path.name + end)
    compressed.write_bytes(COMPRESSORS[end](path.read_bytes()))
    os.utime(compressed, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()
    return compressed


def rotate(log: Path, *, end: str = "", delay: int = 0) -> None:
    """Rename a log and its older files, and compress one: with a `delay`, a later one. Each is older than the next."""
    shift(log, ends=end)
    age(*log.parent.glob(f"{log.name}.*"), seconds=60)
    plain = log.with_name(f"{log.name}.{1 + delay}")
    if end and plain.exists():
        compress(plain, end)


def rotate_by_copy(log: Path, end: str = "") -> None:
    """Copy and truncate a log; the copy may be compressed at once, and older ones are renamed."""
    for number in range(9, 0, -1):
        if (path := log.with_name(f"{log.name}.{number}{end}")).exists():
            age(path.rename(log.with_name(f"{log.name}.{number + 1}{end}")), seconds=60)
    copy = log.with_name(f"{log.name}.1")
    truncate_with_copy(log, copy)
    if end:
        compress(copy, end)


def age(*paths: Path, seconds: float = 3600.0) -> None:
    """Let files or directories be changed so long ago."""
    for path in paths:
        moment = path.stat().st_mtime - seconds
        os.utime(path, (moment, moment))


def open_below(directory: Path) -> list[str]:
    """List the files in a directory, or below, that this process has open."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:  # that of the listing itself
            continue
        if target.startswith(f"{directory}/"):
            found.append(target)
    return found


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be a user who owns nothing for a while, where the tests are run by root."""
    user = os.geteuid()
    if user:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
