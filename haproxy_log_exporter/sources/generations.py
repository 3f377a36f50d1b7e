"""All files that one path has led to: the one that it leads to now, and those that were rotated away from it.

Strategy: what was read is known by marks, one for each file, and a mark says how its file is known again: by inode and
by the bytes that were taken of it. Whenever something may have been rotated, the files beside the path are held against
the marks. What a mark fits is that file, wherever it is now, and is read on from there; what no mark fits was rotated
before anyone looked, and is read whole. So it makes no difference whether the exporter ran meanwhile, how often the log
was rotated, or how. Files are read the oldest first, each to its end before the next.

A copy is no file of its own: while the log still holds what its copy holds, the copy is let be. Once the log is
truncated, its mark fits the copy, and what was not read yet is read there.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from haproxy_log_exporter.marks import Mark, Sample
from haproxy_log_exporter.sources.due import Due
from haproxy_log_exporter.sources.framing import Lines
from haproxy_log_exporter.sources.known import Known
from haproxy_log_exporter.sources.logfile import (
    CompressedFile,
    Identity,
    LogFile,
    PlainFile,
    find_progress,
    open_descriptor,
    start_at,
)
from haproxy_log_exporter.sources.matching import Matching, match
from haproxy_log_exporter.sources.progress import Progress
from haproxy_log_exporter.sources.shared import Shared, Start
from haproxy_log_exporter.sources.siblings import Sibling, identify, list_siblings
from haproxy_log_exporter.sources.succession import Turn, read_next

logger = logging.getLogger(__name__)

# So often, at once, a directory is listed again when files were renamed before they could be opened.
_ATTEMPTS = 3


class Generations:
    """The files of one path. All methods belong to one thread."""

    def __init__(self, path: str, shared: Shared, marks: Sequence[Mark], start: Start | None) -> None:
        """Open nothing yet. `start` is for a path that is met for the first time, `marks` for files that are known."""
        self.path = path
        self.rotations = 0
        self._target = path  # where the path leads, if it is a link
        self._shared = shared
        self.known = Known(marks)
        self._start = start
        self._held: dict[Identity, int] = {}  # what files held that are left out, until they can be opened
        self._files: list[LogFile] = []  # those that were rotated away and are open, the oldest first
        self._live: PlainFile | None = None
        self._due = Due()
        self._searched: tuple[Identity, int] | None = None  # of which file, before it was read for the first time
        self._is_met = False
        self._is_renamed = False  # since the last search, the path has come to lead to another file
        self._identity: Identity | None = None  # of what the path leads to
        self._spoiled: set[tuple[Identity, int, int]] = set()  # versions of files that cannot be read

    @property
    def is_open(self) -> bool:
        """Whether the path leads to a file that is followed."""
        return self._live is not None

    @property
    def is_behind(self) -> bool:
        """Whether there is more to read at once, though it may be no line."""
        return any(file.is_behind for file in self._open_files())

    @property
    def is_at_rest(self) -> bool:
        """Whether no file is open."""
        return not (self._live or self._files)

    def marks(self) -> tuple[Mark, ...]:
        """Say how far all files are read; the one that the path leads to is last."""
        marks = (*self.known.marks, *(file.mark() for file in self._files))
        return (*marks, *([self._live.mark()] if self._live else []))

    def amounts(self) -> tuple[int, int]:
        """Add up how much was read of the open files, and their sizes, in bytes."""
        files = [*self._open_files()]
        for file in files:
            with suppress(OSError):  # reading it tells
                file.measure()
        return sum(file.taken for file in files), sum(file.size for file in files)

    def stop(self) -> None:
        """Close all files."""
        for file in [*self._open_files()]:
            self._close(file)

    def look(self, *, is_named: bool) -> None:
        """Find out what the path leads to now, and what became of the files that it led to before.

        A path that is not named any more leads nowhere.

        Raises:
            OSError: where the path leads to nothing that can be read, or a directory cannot be listed.
        """
        now = self._shared.now()
        at_once, self._is_met = not self._is_met, True
        self._target = os.path.realpath(self.path) if os.path.islink(self.path) else self.path
        self._identity, problem = identify(self.path, self._identity) if is_named else (None, None)
        if problem and self._identity:  # while the log cannot be looked at, it cannot be told what became of it
            raise problem
        was_renamed = self._notice_renaming(now)
        if at_once and self._start and self._start.leaves_held and self._identity:
            with suppress(OSError):  # it is gone already
                self._held[self._identity] = os.stat(self.path).st_size
        if self._identity and not self._live:
            self._go_on(self._identity)
        # What is known of a path that was not looked at for a while may be in its place, if it is nowhere else.
        if self._identity and not self._live and (was_renamed or not self.known.marks):
            self._open_live(self._identity)
        if self._start or self._due.is_due(now, self._directories(), self.known):
            problem = self._search_well(now, at_once=at_once) or problem
        if self._identity and not self._live:
            self._open_live(self._identity)
            self._search_well(now, at_once=at_once)
        if problem:
            raise problem

    def _search_well(self, now: float, *, at_once: bool) -> OSError | None:
        """Search, and again where files were renamed meanwhile: older ones are not to wait for a second."""
        try:
            for _ in range(_ATTEMPTS):
                if not self._search(now, at_once=at_once):
                    break
        except OSError as error:
            return error
        return None

    def _notice_renaming(self, now: float) -> bool:
        """Let the file go that the path leads to no more, and tell whether there was one."""
        live, identity = self._live, self._identity
        if live and live.identity != identity:
            self._rotated(live)
            self._live, live.quiet_since = None, now
            self._files.append(live)
        known = [mark.inode for mark in self.known.marks if not mark.done]
        met = bool(live or self.known.marks or self._start is None)
        if identity and not self._live and met and identity[1] not in known:
            self._is_renamed = True
        return live is not None and self._live is None

    def read(self) -> Lines:
        """Take the next whole lines of the oldest file that has any, up to a block."""
        now = self._shared.now()
        live = None if self._is_unread() else self._live
        turn = read_next(self._files, live, now)
        if self._live and not live and turn == Turn() and not self._finds_older(now):
            turn = read_next(self._files, self._live, now)
        for file in turn.done:
            self._close(file)
            self._due.expect(now)
            self.known.marks.append(file.mark()._replace(done=True, continued=False))
        for file, error in turn.failed:
            self._fail(file, error)
        if turn.changed:
            self._changed(turn.changed)
        return turn.lines

    def _is_unread(self) -> bool:
        """Whether nothing of the log was taken yet, and there is something now."""
        live = self._live
        if not live or live.progress.position:
            return False
        with suppress(OSError):  # reading it tells
            live.measure()
        return live.size > 0 and (live.identity, live.size) != self._searched

    def _finds_older(self, now: float) -> bool:
        """Search once more: it cannot be told by the log whether it was copied and truncated since the last search."""
        assert self._live
        self._searched = (self._live.identity, self._live.size)
        before = [*self._files]
        self._shared.listings.forget()
        self._search_well(now, at_once=False)
        return before != self._files

    def _open_files(self) -> Iterator[LogFile]:
        yield from self._files
        if self._live:
            yield self._live

    def _changed(self, file: LogFile) -> None:
        """Read a file from its beginning that does not hold any more what was read; that is elsewhere, if anywhere."""
        if isinstance(file, PlainFile):
            self._rotated(file)
            mark = file.mark()._replace(continued=True)
            self.known.marks.append(mark)
            file.restart()
            self._shared.listings.forget()
            try:
                self._search(self._shared.now())
            except OSError as error:
                self._due.unsure = True
                self._shared.complain(self.path, file.path, error)
            return
        # It begins as the file of its mark, and holds less: it was copied earlier. That file may be elsewhere.
        self._close(file)
        mark = file.mark()
        self.known.marks.append(mark._replace(done=True, continued=True, position=0, tail=Sample()))
        self.known.marks.append(mark._replace(device=0, inode=0))
        self._due.unsure = True

    def _fail(self, file: LogFile, error: OSError) -> None:
        """Close what cannot be read; the next look tries again."""
        self._shared.complain(self.path, file.path, error)
        self._close(file)
        self.known.marks.append(file.mark())
        if isinstance(file, CompressedFile):
            self._spoiled.add((file.identity, file.size, file.modified))
        self._due.unsure = True

    def _rotated(self, file: LogFile) -> None:
        logger.info("%s was rotated", file.path)
        self.rotations += 1
        self._due.expect(self._shared.now())

    def _go_on(self, identity: Identity) -> None:
        """Open the path's file if it is one that is known; where it is open already, it has its name back. OSError."""
        for file in self._files:
            if isinstance(file, PlainFile) and file.identity == identity:
                self._files.remove(file)
                self._live = file
                return
        any(self._open_at(mark) for mark in reversed(self.known.at(identity[1])))

    def _open_live(self, identity: Identity) -> None:
        """Open the path's file, which is not known; or it was moved there, or another path has led to it. OSError."""
        if identity in self._shared.open:
            return
        moved = [mark for mark in self.known.missing if mark.is_telling and not mark.done]
        if any(map(self._open_at, moved)):
            return
        others = [other for other in self._shared.owners(identity[1]) if other is not self.known]
        if not any(self._open_at(mark, other) for other in others for mark in other.at(identity[1])):
            self._open_at(None)

    def _open_at(self, mark: Mark | None, owner: Known | None = None) -> bool:
        """Open the path's file at a mark of its owner, if it fits; without a mark, at its beginning. OSError."""
        descriptor = open_descriptor(self.path)
        live = None
        try:
            found = os.fstat(descriptor)
            identity = (found.st_dev, found.st_ino)
            if identity not in self._shared.open:
                held = self._held.get(identity, 0)
                progress = find_progress(descriptor, mark) if mark else start_at(descriptor, held)
                live = PlainFile(self._target, descriptor, progress) if progress else None
        finally:
            if not live:
                os.close(descriptor)
        if not live:
            return False
        if mark:
            (owner or self.known).marks.remove(mark)
        self._held.clear()  # the inode may be another file's next
        self._live = live
        self._shared.open.add(live.identity)
        logger.info("following %s from byte %d", self.path, live.progress.position)
        return True

    def _directories(self) -> set[str]:
        paths = [
            self.path,
            self._target,
            *(mark.path for mark in self.known.marks),
            *(file.path for file in self._open_files()),
        ]
        return {os.path.dirname(path) for path in paths}

    def _search(self, now: float, *, at_once: bool = False) -> bool:
        """Hold the files beside the path against what is known, and open those that are not read to their end.

        Tells whether files were gone that had just been listed.

        Raises:
            OSError: where a directory cannot be listed.
        """
        if self._live and identify(self.path, self._identity)[0] != self._live.identity:
            self._due.unsure = True  # renamed since it was looked at: the next look sees to that first
            return False
        siblings = self._list_siblings()
        self._due.listed(self._directories(), self._shared.listings)
        for file in self._open_files():
            if file.is_truncated():  # before its copy is taken for a file that nobody knows
                self._changed(file)
                return False
        # While the path has led to the same file all along, what nobody knows has been copied from it.
        copies = self._identity is not None and not self._is_renamed
        readable = [each for each in siblings if each.version not in self._spoiled]
        self.known.keep_vague(readable, continued=copies)
        matching = match(readable, self.known, self._live, self._files)
        self._due.unsure |= not matching.is_sure
        for mark in matching.superseded:
            self.known.marks.remove(mark)
        for sibling, known in matching.found:
            with matching.noting(sibling):
                if known:
                    self._resume(sibling, known)
                elif self._start and self._start.leaves(sibling, at_once):
                    self.known.marks.append(sibling.whole())
                elif self._waits():
                    self._due.unsure = True
                else:
                    self._open(sibling, None, continued=self.known.take_vague(sibling, continued=copies))
        for sibling in matching.copies:
            with matching.noting(sibling):
                self.known.marks.append(sibling.whole()._replace(continued=True))
        spoiled = [each for each in siblings if each not in readable]
        return self._conclude(matching, spoiled, now)

    def _conclude(self, matching: Matching, spoiled: Sequence[Sibling], now: float) -> bool:
        """See to what could not be read or was not found; tell whether what had just been listed was gone."""
        for sibling, problem in matching.problems:
            self._due.unsure = True
            self._shared.listings.forget()
            if not isinstance(problem, FileNotFoundError):
                self._shared.complain(self.path, sibling.path, problem)
        if not matching.problems and not self._waits():
            self._start, self._is_renamed = None, False
        # What is missing may be what cannot be read; and the path's own file, as long as that cannot be opened.
        unreadable = {each.identity[1] for each in (*spoiled, *(each for each, _ in matching.problems))}
        here = None if self._live or not self._identity else self._identity[1]
        left = [mark for mark in matching.left if mark.is_telling and mark.inode not in (here, *unreadable)]
        self.known.miss([mark for mark in left if mark.done or not unreadable], now)
        return any(isinstance(problem, FileNotFoundError) for _, problem in matching.problems)

    def _waits(self) -> bool:
        """Whether the log is not open yet, so that it cannot be told what is a copy of it."""
        return self._identity is not None and not self._live and self._identity not in self._shared.open

    def _list_siblings(self) -> list[Sibling]:
        """List the files beside the path that are not open; those that are may have new names."""
        files = {file.identity: file for file in self._files}
        inodes = {mark.inode for mark in self.known.marks} | {inode for _, inode in files}
        found = list_siblings({self.path, self._target}, self._directories(), inodes, self._shared.listings)
        for sibling in found:
            if file := files.get(sibling.identity):
                file.path = sibling.path
        self._spoiled &= {sibling.version for sibling in found}
        left_out = {self._identity, *self._shared.open}
        others = self._shared.known.keys() - {self.path}
        return [each for each in found if each.identity not in left_out and each.path not in others]

    def _resume(self, sibling: Sibling, mark: Mark) -> None:
        """Go on with a file that is known, if there is more of it; OSError."""
        same, (device, inode) = sibling.is_of(mark), sibling.identity
        at = mark._replace(path=sibling.path, device=device, inode=inode)
        if not same and not mark.done and self._identity and mark.inode == self._identity[1]:
            at = at._replace(continued=True)  # the log was truncated, and goes on
        if sibling.is_compressed:
            if mark.done and not same and not mark.is_copy and sibling.has_more_than(mark):
                at = at._replace(done=False)  # it was written to between the last look and its compression
        elif mark.is_copy or (mark.done and not same):
            at = at._replace(position=sibling.size, tail=Sample())
        elif not same and sibling.size == mark.position:
            at = at._replace(done=True)
        self.known.replace(mark, at)
        if not at.done or (not sibling.is_compressed and at.position < sibling.size):
            self._open(sibling, at)

    def _open(self, sibling: Sibling, mark: Mark | None, *, continued: bool = False) -> None:
        """Open a file that was rotated away, at a mark if it has one, else at its beginning; OSError."""
        descriptor = open_descriptor(sibling.path)
        file: LogFile | None = None
        try:
            if sibling.is_compressed:
                file = CompressedFile(sibling.path, descriptor, mark)
            elif progress := find_progress(descriptor, mark) if mark else Progress():
                file = PlainFile(sibling.path, descriptor, progress)
        finally:
            if file is None or file.identity != sibling.identity:  # another one has the name by now
                os.close(descriptor)
        if file is None or file.identity != sibling.identity:
            raise FileNotFoundError(0, "was renamed", sibling.path)
        file.progress.continued |= continued
        if mark:
            self.known.marks.remove(mark)
        logger.info("reading %s to its end: it was %s", file.path, self.path)
        self._files.append(file)
        self._files.sort(key=lambda each: each.modified)
        self._shared.open.add(file.identity)

    def _close(self, file: LogFile) -> None:
        if file is self._live:
            self._live = None
        else:
            self._files.remove(file)
        self._shared.open.remove(file.identity)
        file.close()
