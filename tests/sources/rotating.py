"""Logs that are written and rotated, and what has to be counted of them.

A file's lines are the texts between its newlines. What stands behind the last one is a line once nothing will come
behind it; a copied and truncated log goes on with it.
"""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from tests.sources.tailing import Clock

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
try:
    from compression import zstd  # type: ignore[import-not-found, unused-ignore]
except ModuleNotFoundError:
    pass
else:
    COMPRESSIONS[".zst"] = zstd.compress

# So many bytes of a line tell it from all others.
LEAST = 30

# A rotated file that nothing comes to is closed after ten seconds; a line that was begun there has to be ended before.
PATIENCE = 8.0


@dataclass(slots=True)
class Line:
    """A line that was written: of which log, what it is, whether it was seen to, and whether it is gone unread."""

    log: str
    text: bytes
    was_up: bool
    is_lost: bool = False


@dataclass(eq=False, slots=True)
class Stored:
    """A file: its path, its lines since the last scrape, and what stands behind its last newline."""

    path: Path
    lines: list[Line] = field(default_factory=list)
    rest: bytes = b""
    changed: float = 0.0  # when it was written to or rotated last
    is_held: bool = False  # an exporter has it open as it was before it was compressed

    def can_go(self) -> bool:
        """Whether it is known what was read of it: all of it, or what was written before nothing ran."""
        return not any(line.was_up for line in self.lines)

    def leave_out(self) -> None:
        """Count nothing of what is there."""
        for line in self.lines:
            line.is_lost = True


class Inodes:
    """Where the inodes of deleted files are, so that it is no matter of luck which of them are taken again."""

    def __init__(self, directory: Path, *, reused: bool) -> None:
        """Keep them in a directory of their own; `reused` is whether new files have those that are free."""
        self._directory = directory
        self._reused = reused
        self._free: list[Path] = []
        self.kept: list[int] = []

    def unlink(self, path: Path, *, is_open: bool) -> None:
        """Delete a file, which another one has open, or nobody."""
        self.kept.append(os.open(path, os.O_RDONLY))
        # Of an empty file, the inode is all that can be known: nobody could tell it from another one.
        if is_open or not self._reused or not path.stat().st_size:
            path.unlink()
        else:
            self._free.append(path.rename(self._directory / str(len(self.kept))))

    def create(self, path: Path) -> None:
        """Make an empty file, with the inode that was deleted last."""
        if self._free:
            os.truncate(self._free[-1], 0)
            self._free.pop().rename(path)
        else:
            path.touch()

    def close(self) -> None:
        """Leave nothing open."""
        for fd in self.kept:
            os.close(fd)


class Log:
    """A log with its writer, and the files that were rotated away from it, the newest first."""

    def __init__(
        self, path: Path, clock: Clock, inodes: Inodes, lines: list[Line], names: str, *, appends: bool
    ) -> None:
        """`lines` takes all lines in the order of their writing, `names` tells how rotated files are called."""
        self._inodes = inodes
        self.path = path
        self.is_up = False
        self.rotated: list[Stored] = []
        self.unlinked: list[Stored] = []
        self.copy: Stored | None = None  # while it is being copied
        self.compressing: tuple[Stored, str] | None = None
        self.carrying: list[Stored] = []  # copies in which a line begins that the log goes on with
        self._clock = clock
        self._lines = lines
        self._names = names
        self._flags = os.O_WRONLY | (os.O_APPEND if appends else 0)
        self._is_new = True  # the path leads to the file since the last scrape
        self._rotations = 0
        self._ahead = b""  # what is still to be written of what was begun
        self._fd = -1
        self.stored: Stored | None = None
        self._open()

    # --- The writer ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        if self.stored is None:
            self._create()
        assert self.stored
        self._written: Stored = self.stored
        self._fd = os.open(self.path, self._flags)
        os.lseek(self._fd, 0, os.SEEK_END)

    def close(self) -> None:
        """Let the writer end."""
        os.close(self._fd)

    def write(self, data: bytes, *, held_back: int = 0) -> None:
        """Write, behind what was begun; leave so many bytes for later."""
        data = self._ahead + data
        split = len(data) - min(held_back, len(data) - LEAST)
        self._put(data[:split])
        self._ahead = data[split:]

    def end_line(self) -> None:
        """Write what was left for later, or at least a newline."""
        self._put(self._ahead or b"\n")
        self._ahead = b""

    def _put(self, data: bytes) -> None:
        os.write(self._fd, data)
        stored = self._written
        *whole, stored.rest = (stored.rest + data).split(b"\n")
        for text in whole:
            self._say(stored, text)
        stored.changed = self._clock.monotonic()
        self._stamp()

    def _say(self, stored: Stored, text: bytes) -> None:
        line = Line(str(self.path), text, self.is_up)
        stored.lines.append(line)
        self._lines.append(line)

    def reopen(self, *, parts: bool) -> None:
        """Write to what the path leads to now; a line that was begun is left as it is, one in `parts` goes on there."""
        if not parts:
            self._ahead = b""
        elif self._written.rest:
            split = self._ahead.find(b"\n") + 1
            self._put(self._ahead[:split])
            self._ahead = self._ahead[split:]
        os.close(self._fd)
        self._open()

    @property
    def is_behind(self) -> bool:
        """Whether the writer has a file open that the path does not lead to."""
        return self._written is not self.stored

    def hurry(self, seconds: float) -> None:
        """Let the writer end its line in a file that was rotated away, where that is not looked at for longer."""
        written = self._written
        if self.is_behind and written.rest and self._clock.monotonic() + seconds - written.changed > PATIENCE:
            self.end_line()

    # --- Rotation -----------------------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a rotation is under way."""
        return self.copy is not None or self.compressing is not None

    def _make_room(self) -> Path:
        """Give the name for the next file that is rotated away, which those before it may have had."""
        self._rotations += 1
        if self._names != "numbers":
            day = f"-{date(2026, 1, 1) + timedelta(self._rotations):%Y%m%d}"
            return self.path.with_stem(self.path.stem + day) if self._names == "within" else _behind(self.path, day)
        for stored in reversed(self.rotated):
            number, *suffix = stored.path.name.removeprefix(f"{self.path.name}.").split(".")
            stored.path = stored.path.rename(_behind(self.path, ".".join(["", str(int(number) + 1), *suffix])))
        return _behind(self.path, ".1")

    def can_be_renamed(self) -> bool:
        """Whether it may be rotated by renaming: not while a line goes on in it that was cut by copying."""
        return self.stored is not None and not self.is_busy and not self.carrying

    def rename(self, *, creates: bool) -> None:
        """Rotate by renaming; the writer still writes to the old file."""
        assert self.stored
        name = self._make_room()
        self.stored.path = self.path.rename(name)
        self.stored.changed = self._clock.monotonic()
        self.rotated.insert(0, self.stored)
        self.stored = None
        self._stamp()
        if creates:
            self._create()

    def _create(self) -> None:
        self._inodes.create(self.path)
        self.stored, self._is_new = Stored(self.path), True
        self._stamp()

    def begin_copy(self) -> None:
        """Write half of a copy; nothing is written to the log until it is truncated.

        A log that has just been renamed is not copied within a line: nobody could tell that the line goes on.
        """
        if self._is_new and self.stored and self.stored.rest:
            self.end_line()
        self.copy = Stored(self._make_room())
        data = self.path.read_bytes()
        self._inodes.create(self.copy.path)
        self.copy.path.write_bytes(data[: len(data) // 2])
        self._stamp()

    def end_copy(self) -> None:
        """Write the rest of the copy, and truncate the log: what has no newline yet goes on there."""
        assert self.stored
        assert self.copy
        self.copy.path.write_bytes(self.path.read_bytes())
        self._stamp()
        os.truncate(self.path, 0)
        self._stamp()
        self.copy.lines, self.stored.lines = self.stored.lines, []
        if self.stored.rest:
            self.carrying.append(self.copy)
        self.rotated.insert(0, self.copy)
        self.copy = None

    def begin_compressing(self, stored: Stored, suffix: str) -> None:
        """Write half of what a file is when it is compressed."""
        packed = COMPRESSIONS[suffix](stored.path.read_bytes())
        target = _behind(stored.path, suffix)
        self._inodes.create(target)
        target.write_bytes(packed[: len(packed) // 2])
        self.compressing = stored, suffix
        self._stamp()

    def end_compressing(self) -> None:
        """Write the rest, with the times of the file, and remove that."""
        assert self.compressing
        (stored, suffix), self.compressing = self.compressing, None
        packed = COMPRESSIONS[suffix](stored.path.read_bytes())
        target = _behind(stored.path, suffix)
        target.write_bytes(packed)
        moment = stored.path.stat().st_mtime_ns
        os.utime(target, ns=(moment, moment))
        stored.is_held = self.is_followed(stored)
        self._inodes.unlink(stored.path, is_open=stored.is_held)
        stored.path = target
        self._stamp()

    def compressible(self) -> list[Stored]:
        """List the files that may be compressed: nobody writes to them any more."""
        return [each for each in self.rotated if each is not self._written and each.path.suffix not in COMPRESSIONS]

    # --- What goes ----------------------------------------------------------------------------------------------------

    def deletable(self) -> list[Stored]:
        """List the rotated files that may be deleted."""
        busy = self.compressing[0] if self.compressing else None
        free = [each for each in self.rotated if each not in (self._written, busy)] if not self.carrying else []
        return [each for each in free if each.can_go() or self.is_followed(each)]

    def delete(self, stored: Stored) -> None:
        """Delete a rotated file."""
        self.rotated.remove(stored)
        self._unlink(stored)

    def can_go(self) -> bool:
        """Whether the log itself may be deleted."""
        free = self.stored and not self.is_busy and not self.carrying
        return bool(self.stored and free and (self.stored.can_go() or self.is_followed(self.stored)))

    def delete_log(self) -> None:
        """Delete the log itself, which the writer may still write to while an exporter has it open, too."""
        assert self.stored
        stored, self.stored = self.stored, None
        self._unlink(stored)
        if stored not in self.unlinked and self._written is stored:
            self.reopen(parts=False)

    def _unlink(self, stored: Stored) -> None:
        is_followed = self.is_followed(stored)
        self._inodes.unlink(stored.path, is_open=is_followed)
        self._stamp()
        if is_followed:
            self.unlinked.append(stored)
        else:
            self._lose(stored)

    def truncate(self) -> None:
        """Empty the log, all of which is read or lost then."""
        assert self.stored
        os.truncate(self.path, 0)
        self._lose(self.stored)
        self._stamp()

    def _lose(self, stored: Stored) -> None:
        stored.leave_out()
        stored.lines, stored.rest = [], b""

    def is_followed(self, stored: Stored) -> bool:
        """Whether another one in this process has the file open: the exporter."""
        if stored.is_held:
            return True
        if not stored.path.exists():
            return False
        found = stored.path.stat()
        own = {self._fd, *self._inodes.kept}
        return any(_is_open(fd, found) for fd in map(int, os.listdir("/proc/self/fd")) if fd not in own)

    # --- The scrape ---------------------------------------------------------------------------------------------------

    def before_scrape(self, *, parts: bool) -> None:
        """Let the writer leave files that are gone, and end its line in one that was rotated away."""
        if self._written in self.unlinked:
            self.reopen(parts=parts)
        elif self.is_behind and self._written.rest:
            self.end_line()
        for stored in (*self.rotated, *self.unlinked):
            if stored.rest:
                self._say(stored, stored.rest)
                stored.rest = b""

    def after_end(self) -> None:
        """No exporter has anything open."""
        self.is_up = False
        for stored in self.rotated:
            stored.is_held = False

    def after_scrape(self) -> None:
        """All is read."""
        self.unlinked.clear()
        self._is_new = self.stored is None
        if self.stored and not self.stored.rest:
            self.carrying.clear()
        for stored in (*self.rotated, *([self.stored] if self.stored else [])):
            stored.lines.clear()
            stored.is_held = False

    def _stamp(self) -> None:
        self._clock.stamp(self.path.parent)


def _behind(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _is_open(fd: int, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), found)
    except OSError:  # the one that listed them
        return False
