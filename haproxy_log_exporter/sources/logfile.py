"""One log file that is open: plain, which may still grow, or compressed, which is what it is."""

import errno
import os
from io import BufferedReader, FileIO
from typing import Protocol

from haproxy_log_exporter.marks import Mark
from haproxy_log_exporter.sources.compressed import decompress, is_compressed, read_block
from haproxy_log_exporter.sources.framing import BLOCK, LONGEST_LINE, NO_LINES, Lines
from haproxy_log_exporter.sources.progress import HEAD, TAIL, Progress

Identity = tuple[int, int]

# A file without lines, of NULs or of one line that is too long, is gone through in such steps.
_STEPS = 16


class ChangedError(Exception):
    """A file does not hold what was read of it before."""


class LogFile(Protocol):
    """A file that is read in whole lines."""

    path: str
    identity: Identity
    progress: Progress
    is_quiet: bool  # nothing had been written to it when it was read last
    quiet_since: float | None  # since when that is so, of a file that was rotated away
    modified: int  # when it was written to last before it was opened, in nanoseconds since the epoch
    size: int  # what it has on the disk, in bytes

    @property
    def taken(self) -> int:
        """How much of its size was read."""

    @property
    def is_behind(self) -> bool:
        """Whether there was more than was looked at when it was read last."""

    def read(self) -> Lines:
        """Take the next whole lines, up to a block; ChangedError, OSError."""

    def mark(self) -> Mark:
        """Say how it is known again, and up to where it is taken."""

    def measure(self) -> None:
        """Look up its size; OSError."""

    def is_truncated(self) -> bool:
        """Look up its size, and whether it does not hold any more what was read of it; OSError."""

    def beginning(self) -> bytes:
        """Give the first bytes that it holds, behind NULs, as far as they are known; OSError."""

    def rest(self) -> bytes | None:
        """Give what is behind the last newline, once all before it was taken; OSError."""

    def close(self) -> None:
        """Close it."""


class PlainFile:
    """A file that may grow, and be truncated."""

    def __init__(self, path: str, descriptor: int, progress: Progress) -> None:
        """Go on behind what was taken."""
        found = os.fstat(descriptor)
        self.path = path
        self.identity: Identity = (found.st_dev, found.st_ino)
        self.progress = progress
        self.is_quiet = False
        self.quiet_since: float | None = None
        self.modified = found.st_mtime_ns
        self.size = found.st_size
        self._descriptor = descriptor
        self._looked_to = progress.position
        self._written = found.st_mtime_ns

    @property
    def taken(self) -> int:
        """How much of its size was read."""
        return self.progress.position

    @property
    def is_behind(self) -> bool:
        """Whether there was more than was looked at when it was read last."""
        return self.size > self._looked_to

    def read(self) -> Lines:
        """Take the next whole lines, up to a block.

        Each block is read with what was taken last before it: so it is known to be what follows.

        Raises:
            ChangedError: where that is not there any more.
            OSError: where it cannot be read.
        """
        progress = self.progress
        self.is_quiet = True
        for _ in range(_STEPS):
            found = os.fstat(self._descriptor)
            rewritten, self._written = found.st_mtime_ns != self._written, found.st_mtime_ns
            self.size = found.st_size
            if self.size < self._looked_to or (self.size == self._looked_to and rewritten and self.is_truncated()):
                raise ChangedError
            if self.size == self._looked_to:
                break
            self.is_quiet = False
            before, known = progress.position, len(progress.tail)
            block = os.pread(self._descriptor, known + BLOCK, before - known)
            if not block.startswith(progress.tail):
                raise ChangedError
            self._looked_to = before - known + len(block)
            lines = progress.advance(block, known, at_end=self._looked_to >= self.size)
            if lines.chunk or lines.overlong:
                return lines
            if progress.position == before:
                break
            if not block[known:].strip(b"\0"):
                self._leave_hole()
        return NO_LINES

    def _leave_hole(self) -> None:
        """Go to where data is next: a hole may be as large as the file was before."""
        data = _next_data(self._descriptor, self.progress.position, self.size - BLOCK)
        if data > self.progress.position:
            self.progress.jump(data)
            self._looked_to = data

    def measure(self) -> None:
        """Look up its size; OSError."""
        self.size = os.fstat(self._descriptor).st_size

    def is_truncated(self) -> bool:
        """Look up its size, and whether it does not hold any more what was read of it; OSError."""
        self.measure()
        if self.size < self._looked_to:
            return True
        tail = self.progress.tail
        return os.pread(self._descriptor, len(tail), self.progress.position - len(tail)) != tail

    def restart(self) -> None:
        """Begin with what a truncated file holds now."""
        self.progress = Progress()
        self._looked_to = 0

    def mark(self) -> Mark:
        """Say how it is known again, and up to where it is taken."""
        return self.progress.mark(self.path, self.identity)

    def beginning(self) -> bytes:
        """Give its first bytes as they are now, behind NULs; OSError where it cannot be read."""
        head = self.progress.head
        return head if len(head) == HEAD else read_beginning(self._descriptor)

    def rest(self) -> bytes | None:
        """Give what is behind the last newline, once all before it was taken; OSError where it cannot be read."""
        if os.fstat(self._descriptor).st_size != self._looked_to:
            return None
        return os.pread(self._descriptor, self._looked_to - self.progress.position, self.progress.position)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class CompressedFile:
    """A compressed file, which is read in order."""

    def __init__(self, path: str, descriptor: int, mark: Mark | None) -> None:
        """Go on where a mark says; what stands before is read once more.

        Raises:
            OSError: where this Python does not know the compression.
        """
        found = os.fstat(descriptor)
        self.path = path
        self.identity: Identity = (found.st_dev, found.st_ino)
        self.progress = Progress()
        self.is_quiet = True
        self.quiet_since: float | None = None
        self.modified = found.st_mtime_ns
        self.size = found.st_size
        self._raw = FileIO(descriptor, "rb", closefd=False)
        buffered = BufferedReader(self._raw)
        self._stream = decompress(buffered, buffered.peek(HEAD))
        self._descriptor = descriptor
        self._mark = mark
        self._begun = b""
        self._at_end = False

    @property
    def taken(self) -> int:
        """How much of its size was read."""
        return self.size if self._at_end else min(self._raw.tell(), self.size - 1)

    @property
    def is_behind(self) -> bool:
        """Whether there was more than was looked at when it was read last."""
        return not self._at_end

    def read(self) -> Lines:
        """Take the next whole lines, up to a block.

        Raises:
            ChangedError: where it does not hold what was read of it before it was compressed.
            OSError: where it cannot be read, or its end is missing.
        """
        for _ in range(_STEPS):
            block = read_block(self._stream, BLOCK)
            if self._mark:
                block = self._pass_over(block, self._mark)
                if self._mark:
                    continue
            elif not block:
                self._at_end = True
                break
            known = self._begun + block
            before = self.progress.position
            lines = self.progress.advance(known)
            self._begun = known[self.progress.position - before :]
            if lines.chunk or lines.overlong:
                return lines
        return NO_LINES

    def measure(self) -> None:
        """Know its size already."""

    def is_truncated(self) -> bool:
        """Say that it is not: it is what it is."""
        return False

    def _pass_over(self, block: bytes, mark: Mark) -> bytes:
        """Go through what was read before; give what is left of the block behind it."""
        progress = self.progress
        nuls = max(0, min(mark.origin - progress.position, len(block)))
        if nuls:
            progress.jump(progress.position + nuls)
        passed = block[nuls : nuls + mark.position - progress.position]
        progress.pass_over(passed)
        if not block or progress.position == mark.position:
            if not progress.fits(mark):
                raise ChangedError
            progress.skipping, progress.continued = mark.skipping, mark.continued
            self._mark = None
        return block[nuls + len(passed) :]

    def mark(self) -> Mark:
        """Say how it is known again, and up to where it is taken: that is a while before it has been gone through."""
        device, inode = self.identity
        if self._mark:
            return self._mark._replace(path=self.path, device=device, inode=inode)
        return self.progress.mark(self.path, self.identity)

    def beginning(self) -> bytes:
        """Give the first bytes that were taken, behind NULs."""
        return self.progress.head

    def rest(self) -> bytes | None:
        """Give what is behind the last newline, once all before it was taken."""
        return self._begun if self._at_end else None

    def close(self) -> None:
        """Close it."""
        self._raw.close()
        os.close(self._descriptor)


def _next_data(descriptor: int, position: int, end: int = 0) -> int:
    """Find where a file has data next: a hole may be as large as the file was before it was truncated.

    Where there is no more data, that is at `end` at the earliest.
    """
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:  # else the file system does not know
        return max(position, end) if error.errno == errno.ENXIO else position


def open_descriptor(path: str) -> int:
    """Open a file for reading, and wait for nothing; OSError."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def find_progress(descriptor: int, mark: Mark) -> Progress | None:
    """Go on where a mark says, where a plain file is the one: it holds what was taken of it. OSError."""
    if os.fstat(descriptor).st_size < mark.position:
        return None
    head = os.pread(descriptor, mark.head.size, mark.origin)
    tail = os.pread(descriptor, mark.tail.size, mark.position - mark.tail.size)
    progress = Progress(mark.origin, head, mark.position, tail, mark.skipping, mark.continued)
    return progress if progress.fits(mark) else None


def taken_up_to(descriptor: int, position: int) -> Progress:
    """Count a plain file as taken up to a position, which is the beginning of a line, or its end; OSError."""
    origin = 0
    while origin < position:
        origin = _next_data(descriptor, origin)
        block = os.pread(descriptor, BLOCK, origin)
        kept = block.lstrip(b"\0")
        origin += len(block) - len(kept)
        if kept or not block:
            break
    origin = min(origin, position)
    head = os.pread(descriptor, min(HEAD, position - origin), origin)
    size = min(TAIL, position)
    return Progress(origin, head, position, os.pread(descriptor, size, position - size))


def start_at(descriptor: int, held: int) -> Progress:
    """Leave out what a plain file held; a line that was being written then is read whole. OSError."""
    held = min(held, os.fstat(descriptor).st_size)
    start = max(0, held - LONGEST_LINE)
    line = start + os.pread(descriptor, held - start, start).rfind(b"\n") + 1
    return taken_up_to(descriptor, line if held else 0)


def read_beginning(descriptor: int) -> bytes:
    """Give the first bytes of what a file holds, behind NULs, decompressed where it is compressed; OSError."""
    with FileIO(descriptor, "rb", closefd=False) as raw:
        raw.seek(_next_data(descriptor, 0))
        buffered = BufferedReader(raw)
        beginning = buffered.peek(HEAD)
        stream = decompress(buffered, beginning) if is_compressed(beginning) else buffered
        found = b""
        while len(found) < HEAD and (block := read_block(stream, BLOCK)):
            found += block if found else block.lstrip(b"\0")
        return found[:HEAD]
