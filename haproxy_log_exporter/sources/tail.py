"""Following log files: the paths that patterns name, through growth and rotation.

Strategy: each scan looks up which paths the patterns name now. What a path has led to and leads to now is the matter of
its generations; files are shared out so that each is read once, however many paths lead to it.
"""

import fnmatch
import glob
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from haproxy_log_exporter.marks import Mark
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.base import Chunk
from haproxy_log_exporter.sources.compressed import SUFFIXES
from haproxy_log_exporter.sources.framing import BLOCK
from haproxy_log_exporter.sources.generations import Generations, Shared, Start
from haproxy_log_exporter.sources.siblings import Sibling, is_generation

logger = logging.getLogger(__name__)

SCAN_SECONDS = 1.0
_COMPRESSED = (*SUFFIXES, ".lz4", ".zip")

# The clock of a file system may be so far behind.
_LATE_NANOSECONDS = 50_000_000


class FileSource:
    """All files that patterns name. Lines count for the first pattern that names their path."""

    def __init__(
        self,
        patterns: Sequence[str],
        *,
        from_beginning: bool,
        marks: Mapping[str, tuple[Mark, ...]] | None = None,
        since: Mapping[str, float] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`from_beginning` is for the files that are there at the start; later ones are always read whole.

        `marks` are those of a service that ran before, by path, and `since` tells since when patterns are followed, in
        seconds since the epoch: files that were written to later are not there at the start, but came later.
        """
        self._patterns = {os.fsencode(pattern).decode("utf-8", "replace"): pattern for pattern in patterns}
        self._from_beginning = from_beginning
        self._now = now
        self._known = dict(marks or {})
        self._since = {**(since or {})}
        self._followed = frozenset(self._since)
        self._paths: dict[str, Generations] = {}
        self._shared = Shared(now, self._complain, paths=self._paths)
        self._sources: dict[str, str] = {}  # which source each path counts for
        self._next_scan = 0.0
        self._complaints: dict[str, str] = {}
        self._conditions = {name: Condition(rotations=0) for name in self._patterns}
        self._over: list[Chunk] = []
        self._turn = 0
        self.is_behind = False  # there is more to read at once, though no lines came of it yet

    @property
    def names(self) -> Sequence[str]:
        """The patterns, as UTF-8."""
        return [*self._patterns]

    @property
    def since(self) -> Mapping[str, float]:
        """Since when each pattern is followed, in seconds since the epoch."""
        return self._since

    def start(self) -> None:
        """Find the files that are there."""
        for name in self._patterns:
            self._since.setdefault(name, time.time())
        self._scan(at_start=True)

    def fileno(self) -> int | None:
        """Say that regular files cannot be waited on."""
        return None

    def paths(self) -> list[str]:
        """List the paths that are followed and lead to a file."""
        return [path for path, generations in self._paths.items() if generations.is_open]

    def marks(self) -> dict[str, tuple[Mark, ...]]:
        """Say how far the files of each path are read, of those too that no pattern names."""
        return self._known | {path: generations.marks() for path, generations in self._paths.items()}

    def read(self) -> list[Chunk]:
        """Take the next whole lines of all paths, a block of each at the most; they take turns to be first."""
        if self._now() >= self._next_scan:
            self._scan()
        chunks, self._over = self._over, []
        self.is_behind = False
        size = 0
        paths = [*self._paths]
        self._turn += 1
        for step in range(len(paths)):
            path = paths[(self._turn + step) % len(paths)]
            lines = self._paths[path].read()
            if lines.chunk or lines.overlong:
                chunks.append(Chunk(self._sources[path], lines.chunk, lines.overlong, path))
                size += len(lines.chunk)
                if size >= BLOCK // 2:
                    break
            else:
                self.is_behind |= self._paths[path].is_behind
        return chunks

    def conditions(self) -> dict[str, Condition]:
        """Add up positions and sizes of all open files."""
        for condition in self._conditions.values():
            condition.position_bytes = condition.size_bytes = 0
        for path, generations in self._paths.items():
            condition = self._conditions[self._sources[path]]
            taken, size = generations.amounts()
            condition.position_bytes = (condition.position_bytes or 0) + taken
            condition.size_bytes = (condition.size_bytes or 0) + size
            self._count_rotations(self._sources[path], generations)
        return {name: replace(condition) for name, condition in self._conditions.items()}

    def stop(self) -> None:
        """Close all files."""
        for generations in self._paths.values():
            generations.stop()

    def _scan(self, *, at_start: bool = False) -> None:
        self._next_scan = self._now() + SCAN_SECONDS
        self._shared.listings.forget()
        named = self._named()
        # Of what was followed before, there may be more to read though the path leads nowhere now.
        wanted = named | (self._known_by_pattern() if at_start else {})
        for path, name in wanted.items():
            if path not in self._paths and not is_generation(path, wanted) and not is_generation(path, self._paths):
                self._follow(path, name, named, at_start=at_start)
        for path, generations in [*self._paths.items()]:
            try:
                generations.look(is_named=path in named)
            except OSError as error:
                self._complain(path, path, error)
            else:
                self._complaints.pop(path, None)
            if path not in named and generations.is_at_rest and not _is_waited_for(path, generations):
                self._leave(path)

    def _follow(self, path: str, name: str, named: Mapping[str, str], *, at_start: bool) -> None:
        is_known = path in self._known
        # Paths that are called as rotated files of this one were followed for want of it.
        for other in [other for other in self._paths if is_generation(other, (path,))]:
            self._leave(other)
        before = [other for other in self._known if other == path or is_generation(other, (path,))]
        marks = [mark for other in before for mark in self._known.pop(other)]
        start = None
        if not is_known:
            since = int(self._since[name] * 1e9) - _LATE_NANOSECONDS
            fresh = at_start and name not in self._followed

            def leaves(sibling: Sibling, at_once: bool) -> bool:  # noqa: FBT001 -- called by its place alone
                if fresh and at_once:
                    return not (self._from_beginning and sibling.path in named)
                return sibling.modified < since

            start = Start(fresh and not self._from_beginning, leaves)
        self._paths[path] = Generations(path, self._shared, marks, start)
        self._sources[path] = name

    def _leave(self, path: str) -> None:
        """Follow a path no more, but remember the files that are there still: it may come back."""
        generations, name = self._paths.pop(path), self._sources.pop(path)
        self._count_rotations(name, generations)
        self._over.append(Chunk(name, b"", 0, path, last=True))
        if marks := tuple(mark for mark in generations.marks() if os.path.exists(mark.path)):
            self._known[path] = marks
        generations.stop()

    def _count_rotations(self, name: str, generations: Generations) -> None:
        condition = self._conditions[name]
        condition.rotations = (condition.rotations or 0) + generations.rotations
        generations.rotations = 0

    def _named(self) -> dict[str, str]:
        """Look up the paths that the patterns name, and by which; directories by their real names."""
        found: dict[str, str] = {}
        directories: dict[str, str] = {}
        for name, pattern in self._patterns.items():
            paths = [pattern]
            if glob.has_magic(pattern):
                there = (path for path in sorted(glob.glob(pattern)) if not os.path.isdir(path))
                paths = [path for path in there if not path.endswith(_COMPRESSED)]
            for path in paths:
                directory, base = os.path.split(path)
                if directory not in directories:
                    directories[directory] = os.path.realpath(directory)
                found.setdefault(os.path.join(directories[directory], base), name)
        return found

    def _known_by_pattern(self) -> dict[str, str]:
        return {path: name for path in self._known for name, pattern in self._patterns.items() if _names(pattern, path)}

    def _complain(self, followed: str, path: str, error: OSError) -> None:
        """Count what failed, and name it once until it changes."""
        self._conditions[self._sources[followed]].errors += 1
        problem = error.strerror or str(error)
        if self._complaints.get(path) != problem:
            self._complaints[path] = problem
            logger.warning("cannot read %s, trying again every second: %s", path, problem)


def _names(pattern: str, path: str) -> bool:
    """Whether glob would find a path, were it there; no matter by what links to directories."""
    directory, base = os.path.split(pattern)
    wanted = os.path.join(directory if glob.has_magic(directory) else os.path.realpath(directory), base).split(os.sep)
    parts = path.split(os.sep)
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _is_waited_for(path: str, generations: Generations) -> bool:
    """Whether a path that leads nowhere may come back: files are there that were rotated away from it."""
    return not os.path.exists(path) and any(os.path.exists(mark.path) for mark in generations.marks())
