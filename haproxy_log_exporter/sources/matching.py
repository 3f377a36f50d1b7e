"""Which of the files beside a path is which: those that are known, their copies, and those that nobody knows.

Strategy: a file that is where a mark has it, by its inode, and holds what the mark says, is that file. Of the others,
one that holds what an open file holds is its copy. One that holds what a mark says has been copied or compressed from a
file that is no more. The rest came and went unseen.

Each file that is known may stand for one other: so where logs are alike, as those of tests are, none is left out that
need not be.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from haproxy_log_exporter.marks import Mark
from haproxy_log_exporter.sources.known import Known
from haproxy_log_exporter.sources.logfile import LogFile, PlainFile
from haproxy_log_exporter.sources.siblings import Sibling, is_newer, logs_of


class Found(NamedTuple):
    """A file, and the mark that it fits; none where nobody knows it."""

    sibling: Sibling
    mark: Mark | None


@dataclass(slots=True)
class Matching:
    """What came of it: files, new copies of the log, and marks that fit no file, or are not needed for their own.

    What could not be read is in `problems`; it was let be. Without `is_sure`, things may look different when files are
    longer.
    """

    left: list[Mark]
    found: list[Found] = field(default_factory=list)
    copies: list[Sibling] = field(default_factory=list)
    superseded: list[Mark] = field(default_factory=list)
    problems: list[tuple[Sibling, OSError]] = field(default_factory=list)
    is_sure: bool = True

    def find(self, sibling: Sibling, marks: Sequence[Mark]) -> bool:
        """Take the first of some marks that a file fits; OSError."""
        mark = next((each for each in marks if sibling.holds(each)), None)
        if mark:
            self.fit(sibling, mark)
        return mark is not None

    def fit(self, sibling: Sibling, mark: Mark) -> None:
        """Note that a file fits a mark."""
        self.left.remove(mark)
        self.found.append(Found(sibling, mark))

    @contextmanager
    def noting(self, sibling: Sibling) -> Iterator[None]:
        """Let a file be that cannot be read."""
        try:
            yield
        except OSError as error:
            self.problems.append((sibling, error))


def match(siblings: Sequence[Sibling], known: Known, live: PlainFile | None, rotated: Sequence[LogFile]) -> Matching:
    """Tell which file is which. `live` is what the path leads to, `rotated` are files open besides."""
    matching = Matching([*known.marks])
    others: list[Sibling] = []
    for sibling in siblings:
        with matching.noting(sibling):
            own = [mark for mark in matching.left if mark.is_telling and sibling.is_of(mark) and not mark.is_copy]
            mark = next((each for each in own if known.fits(sibling, each)), None)
            if mark:
                matching.fit(sibling, mark)
            elif sibling.is_named and sibling.size and not sibling.is_being_compressed():
                others.append(sibling)
    taken = _resume_cut(matching, others)
    copied = _Copies(live, rotated, [*matching.found])
    for sibling in sorted(others, key=lambda each: each.is_compressed):
        if sibling not in taken:
            with matching.noting(sibling):
                _match_other(matching, sibling, copied)
    return matching


def _resume_cut(matching: Matching, others: Sequence[Sibling]) -> list[Sibling]:
    """Find where files are gone on with that are not where they were, or not what they were, and give these.

    Of several that hold what was taken, the longest has all that was written before the log was truncated.
    """
    taken: list[Sibling] = []
    for mark in [mark for mark in matching.left if not mark.done and mark.is_telling]:
        holders = []
        for sibling in others:
            with matching.noting(sibling):
                if sibling not in taken and sibling.holds(mark) and not _is_known_archive(sibling, matching.left):
                    holders.append(sibling)
        if holders:
            best = max(holders, key=lambda each: (not each.is_compressed, each.size))
            taken.append(best)
            matching.find(best, [mark])
            # It may have been seen before, as a copy of the log.
            matching.superseded += [own for own in matching.left if own.is_copy and best.is_of(own) and best.holds(own)]
            matching.left = [own for own in matching.left if own not in matching.superseded]
    return taken


def _is_known_archive(sibling: Sibling, marks: Sequence[Mark]) -> bool:
    """Whether a file was compressed from a copy that was made earlier: it has not the rest of what was truncated."""
    return sibling.is_compressed and any(mark.is_copy and sibling.is_of(mark) and sibling.holds(mark) for mark in marks)


def _match_other(matching: Matching, sibling: Sibling, copied: "_Copies") -> None:
    known = [mark for mark in matching.left if mark.done and mark.is_telling]
    if matching.find(sibling, [mark for mark in known if mark.is_copy and sibling.is_of(mark)]):
        return
    if not sibling.beginning():  # nothing but NULs so far
        matching.is_sure = False
    elif live := copied.is_of_live(sibling):
        # By what was taken of the log, the copy will be known when the log is truncated.
        if live.progress.head:
            matching.copies.append(sibling)
        else:
            matching.is_sure = False
    elif file := copied.of_rotated(sibling):
        # The file's own mark will fit what was made of it; while there is none, nothing is known of the copy either.
        if file.progress.head and not sibling.is_compressed:
            matching.copies.append(sibling)
        else:
            matching.is_sure = False
    elif copied.is_of_known(sibling):
        matching.copies.append(sibling)
    elif not matching.find(sibling, known):
        matching.found.append(Found(sibling, None))


class _Copies:
    """Tells copies of files that are there as well, or are open."""

    def __init__(self, live: PlainFile | None, rotated: Sequence[LogFile], known: Sequence[Found]) -> None:
        self._live = live
        self._rotated = [*rotated]
        self._known = known

    def is_of_live(self, sibling: Sibling) -> PlainFile | None:
        """Give the log, where a file holds what that holds, or the beginning of it: it is being copied, or was."""
        live = self._live
        if not live or not _begin_alike(sibling, live):
            return None
        return live if sibling.is_compressed or sibling.size <= live.size else None

    def of_rotated(self, sibling: Sibling) -> LogFile | None:
        """Give the file that is open still, where another one holds what that holds; it may have no name any more."""
        for file in self._rotated:
            if not isinstance(file, PlainFile):
                alike = True
            elif sibling.is_compressed:
                alike = not _is_beside(file)
            else:
                alike = sibling.size <= file.size and not is_newer(sibling.path, file.path)
            if alike and _begin_alike(sibling, file):
                if sibling.is_compressed:  # it has become this one, and no other
                    self._rotated.remove(file)
                return file
        return None

    def is_of_known(self, sibling: Sibling) -> bool:
        """Whether a plain file holds what was taken of another, and no more than that holds; OSError."""
        return not sibling.is_compressed and any(
            sibling.size <= other.size and mark and mark.head.size and sibling.holds(mark)
            for other, mark in self._known
            if not is_newer(sibling.path, other.path)
        )


def _begin_alike(sibling: Sibling, file: LogFile) -> bool:
    """Whether a file begins as an open one does, and holds no more than that, as far as can be told; OSError."""
    one, other = sibling.beginning(), file.beginning()
    if isinstance(file, PlainFile):
        return bool(one) and other.startswith(one)
    return bool(other) and one.startswith(other)  # what was read of it so far


def _is_beside(file: PlainFile) -> bool:
    """Whether an open file is where it was listed last, called as a rotated one: so nothing was made of it yet."""
    try:
        found = os.stat(file.path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == file.identity and bool(logs_of(os.path.basename(file.path)))
