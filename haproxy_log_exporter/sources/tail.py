"""Follows log files through growth, rotation and truncation.

Strategy: a file is its device and inode, never its name. Each scan looks up which files the pattern names now. A new
one is read from its beginning; one that no name leads to any more was rotated away and is read on until it has been
quiet for a while, since its writer may not have let go of it yet. The position is always the beginning of a line, so
a line that is not whole is simply read again when there is more.
"""

import glob
import logging
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass

from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.framing import BLOCK, LONGEST_LINE, NO_LINES, Lines, drop_overlong

logger = logging.getLogger(__name__)

SCAN_SECONDS = 1.0
_DRAIN_SECONDS = 10.0
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")

Identity = tuple[int, int]


@dataclass(slots=True)
class _File:
    """An open file: where the next line begins, and up to where it has been looked at."""

    path: str
    descriptor: int
    position: int
    looked_to: int
    size: int
    skipping: bool = False  # within a line that is too long
    quiet_since: float | None = None  # since when nothing came, where no name leads to it any more


class FileSource:
    """All files that a pattern names."""

    def __init__(
        self,
        pattern: str,
        *,
        from_beginning: bool,
        taken: set[Identity] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`from_beginning` is for the files that are there at the start; later ones are always read whole.

        `taken` is shared by sources whose patterns may overlap, so that each file is read by one of them.
        """
        self.name = os.fsencode(pattern).decode("utf-8", "replace")
        self._pattern = pattern
        self._taken = set() if taken is None else taken
        self._from_beginning = from_beginning
        self._now = now
        self._files: dict[Identity, _File] = {}
        self._names: dict[str, Identity] = {}
        self._next_scan = 0.0
        self._complaints: dict[str, str] = {}
        self._sizes_at_start: dict[Identity, int] = {}  # of files that could not be opened then
        self._left: set[Identity] = set()  # files that another source had when they were met here
        self._last_words: list[bytes] = []  # last lines without a newline, of files that are done
        self._condition = Condition(position_bytes=0, size_bytes=0, rotations=0)
        self._turn = 0

    def start(self) -> None:
        """Find the files that are there."""
        self._scan(from_beginning=self._from_beginning)

    def fileno(self) -> int | None:
        """Say that regular files cannot be waited on."""
        return None

    def paths(self) -> list[str]:
        """List the files that are followed by name."""
        return [*self._names]

    def read(self) -> Lines:
        """Take the next whole lines of all files, a block of each at the most; the files take turns to be first."""
        if self._now() >= self._next_scan:
            self._scan(from_beginning=True)
        chunks, self._last_words = self._last_words, []
        overlong, size = 0, sum(map(len, chunks))
        files = [*self._files.values()]
        self._turn += 1
        for step in range(len(files)):
            file = files[(self._turn + step) % len(files)]
            try:
                lines = self._read(file)
            except OSError as error:
                self._complain(file.path, error)
                continue
            chunks.append(lines.chunk)
            overlong, size = overlong + lines.overlong, size + len(lines.chunk)
            if size >= BLOCK // 2:
                break
        return Lines(b"".join(chunks), overlong)

    def condition(self) -> Condition:
        """Add up positions and sizes of all open files."""
        self._condition.position_bytes = self._condition.size_bytes = 0
        for file in self._files.values():
            self._condition.position_bytes += file.position
            self._condition.size_bytes += file.size
        return self._condition

    def stop(self) -> None:
        """Close all files."""
        for identity in [*self._files]:
            self._close(identity)

    def _scan(self, *, from_beginning: bool) -> None:
        self._next_scan = self._now() + SCAN_SECONDS
        names: dict[str, Identity] = {}
        for path in self._matching():
            try:
                identity = self._open(path, from_beginning=from_beginning)
            except OSError as error:
                self._complain(path, error)
                if not from_beginning:
                    self._sizes_at_start |= _size(path)
                continue
            self._complaints.pop(path, None)
            names[path] = identity
        self._names = names
        self._left.intersection_update(names.values())
        self._find_rotated()

    def _matching(self) -> list[str]:
        if not glob.has_magic(self._pattern):
            return [self._pattern]
        found = sorted(glob.glob(self._pattern))
        return [path for path in found if not path.endswith(_COMPRESSED) and not os.path.isdir(path)]

    def _open(self, path: str, *, from_beginning: bool) -> Identity:
        """Open a file that is not open yet; what it held at the start is left out where that was asked for."""
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "is not a regular file")
        identity = (found.st_dev, found.st_ino)
        if identity in self._files:
            return identity
        if identity in self._taken | self._left:
            self._left.add(identity)
            return identity
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        opened = os.fstat(descriptor)
        identity = (opened.st_dev, opened.st_ino)
        if identity in self._taken:
            os.close(descriptor)
            return identity
        held = self._sizes_at_start.pop(identity, 0) if from_beginning else opened.st_size
        position = _last_line(descriptor, min(held, opened.st_size))
        self._files[identity] = _File(path, descriptor, position, position, opened.st_size)
        self._taken.add(identity)
        logger.info("following %s from byte %d", path, position)
        return identity

    def _find_rotated(self) -> None:
        """Notice which files lost their name, and close those that lost all and have been quiet since."""
        names: dict[Identity, set[str]] = {}
        for path, identity in self._names.items():
            names.setdefault(identity, set()).add(path)
        for identity, file in [*self._files.items()]:
            paths = names.get(identity, set())
            if file.path in paths:
                file.quiet_since = None
            elif paths:
                self._rotated(file)
                file.path, file.quiet_since = min(paths), None
            elif file.quiet_since is None:
                self._rotated(file)
                file.quiet_since = self._now()
            elif self._now() - file.quiet_since > _DRAIN_SECONDS:
                self._finish(identity)

    def _rotated(self, file: _File) -> None:
        logger.info("%s was rotated", file.path)
        self._condition.rotations = (self._condition.rotations or 0) + 1

    def _finish(self, identity: Identity) -> None:
        """Close a file that is done, if all of it was read; its last line may lack a newline."""
        file = self._files[identity]
        try:
            if os.fstat(file.descriptor).st_size != file.looked_to:
                return
            if last := b"" if file.skipping else os.pread(file.descriptor, LONGEST_LINE, file.position):
                self._last_words.append(last + b"\n")
        except OSError as error:
            self._complain(file.path, error)
        self._close(identity)

    def _read(self, file: _File) -> Lines:
        file.size = size = os.fstat(file.descriptor).st_size
        if size < file.position:
            self._rotated(file)
            file.position = file.looked_to = 0
            file.skipping = False
        if size == file.looked_to:
            return NO_LINES
        if file.quiet_since is not None:
            file.quiet_since = self._now()
        block = os.pread(file.descriptor, BLOCK, file.position)
        file.looked_to = file.position + len(block)
        if file.skipping:
            end = block.find(b"\n") + 1
            file.skipping = not end
            file.position += end or len(block)
            file.looked_to = file.position
            return self._read(file) if end else NO_LINES
        end = block.rfind(b"\n") + 1
        if not end and len(block) > LONGEST_LINE:
            file.skipping = True
            file.position += len(block)
            return Lines(b"", 1)
        file.position += end
        return drop_overlong(block[:end])

    def _complain(self, path: str, error: OSError) -> None:
        """Count what failed, and name it once until it changes."""
        self._condition.errors += 1
        problem = error.strerror or str(error)
        if self._complaints.get(path) != problem:
            self._complaints[path] = problem
            logger.warning("cannot read %s, trying again every second: %s", path, problem)

    def _close(self, identity: Identity) -> None:
        self._taken.discard(identity)
        os.close(self._files.pop(identity).descriptor)


def _size(path: str) -> dict[Identity, int]:
    """Tell which file a name leads to and what it holds, where that can be told."""
    try:
        found = os.stat(path)
    except OSError:
        return {}
    return {(found.st_dev, found.st_ino): found.st_size} if stat.S_ISREG(found.st_mode) else {}


def _last_line(descriptor: int, size: int) -> int:
    """Find where the line at the end of the file begins: one that is being written will be read whole."""
    start = max(0, size - LONGEST_LINE)
    return start + os.pread(descriptor, size - start, start).rfind(b"\n") + 1 if size else 0
