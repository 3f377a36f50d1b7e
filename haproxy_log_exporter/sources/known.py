"""The files of one path that are known and not open."""

import logging
from collections.abc import Iterable, Sequence

from haproxy_log_exporter.marks import Mark
from haproxy_log_exporter.sources.siblings import Sibling, Version, has_grown

logger = logging.getLogger(__name__)

# For so long a file is looked for that was not found: it may have been renamed while its directory was listed.
SEARCH_SECONDS = 10.0


class Known:
    """Marks, one for each file."""

    def __init__(self, marks: Sequence[Mark]) -> None:
        """Begin with some marks."""
        self.marks = [*marks]
        self._missing: dict[Mark, float] = {}  # since when
        self._fitting: dict[Version, Mark] = {}  # what was held against marks, and fitted

    @property
    def missing(self) -> Sequence[Mark]:
        """Those whose files were not found when they were looked for last."""
        return [*self._missing]

    def at(self, inode: int) -> list[Mark]:
        """Give those of an inode."""
        return [mark for mark in self.marks if mark.inode == inode]

    def fits(self, sibling: Sibling, mark: Mark) -> bool:
        """Whether a file that is where a mark has it is the one; unchanged, it is not read again. OSError."""
        if self._fitting.get(sibling.version) == mark:
            return True
        if not sibling.holds(mark):
            return False
        self._fitting[sibling.version] = mark
        return True

    def has_grown(self) -> bool:
        """Whether more was written to a file after it was done."""
        return any(map(has_grown, self.marks))

    def replace(self, mark: Mark, by: Mark) -> None:
        """Put one in the place of another."""
        self.marks[self.marks.index(mark)] = by
        for version in [version for version, each in self._fitting.items() if each == mark]:
            self._fitting[version] = by

    def keep_vague(self, siblings: Sequence[Sibling], *, continued: bool) -> None:
        """Leave out those of files of which nothing was taken, and that are not there."""
        there = {each.identity[1]: each for each in siblings if each.is_named}
        marks = []
        for mark in self.marks:
            if mark.is_telling:
                marks.append(mark)
            elif sibling := there.get(mark.inode):
                marks.append(mark._replace(path=sibling.path, device=sibling.identity[0]))
        known = {mark.inode for mark in marks}
        if not continued:
            marks += [
                Mark(each.path, *each.identity, done=True)
                for each in siblings
                if each.is_named and not each.size and each.identity[1] not in known
            ]
        self.marks = marks

    def take_vague(self, sibling: Sibling, *, continued: bool) -> bool:
        """Tell whether a file is continued that is opened as unknown."""
        mark = next((each for each in self.at(sibling.identity[1]) if not each.is_telling), None)
        if not mark:
            return continued
        self.marks.remove(mark)
        return mark.continued

    def miss(self, marks: Iterable[Mark], now: float) -> None:
        """Hear which files were not found; those that were not found for a while are forgotten."""
        self._fitting = {version: mark for version, mark in self._fitting.items() if mark in self.marks}
        self._missing = {mark: self._missing.get(mark, now) for mark in marks}
        for mark, since in [*self._missing.items()]:
            if now - since > SEARCH_SECONDS:
                del self._missing[mark]
                self.marks.remove(mark)
                if not mark.done:
                    logger.warning("%s is gone: what it had behind byte %d is not counted", mark.path, mark.position)
