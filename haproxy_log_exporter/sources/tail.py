"""Following log files: the paths that patterns name, through growth and rotation.

Strategy: each scan looks up which paths the patterns name now. What a path has led to and leads to now is the matter of
its generations; files are shared out so that each is read once, however many paths lead to it.
"""

import errno
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from haproxy_log_exporter.marks import Kept, Mark
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.base import Chunk
from haproxy_log_exporter.sources.framing import BLOCK
from haproxy_log_exporter.sources.generations import Generations
from haproxy_log_exporter.sources.patterns import Patterns, may_exist
from haproxy_log_exporter.sources.shared import Shared, Start
from haproxy_log_exporter.sources.siblings import Sibling, is_generation, logs_of

logger = logging.getLogger(__name__)

SCAN_SECONDS = 1.0

# The clock of a file system may be so far behind.
_LATE_NANOSECONDS = 50_000_000


class FileSource:
    """All files that patterns name. Lines count for the first pattern that names their path."""

    can_wait = True
    one_sender = True

    def __init__(
        self,
        patterns: Sequence[str],
        *,
        from_beginning: bool,
        marks: Mapping[str, tuple[Mark, ...]] | None = None,
        since: Mapping[str, float] | None = None,
        without: Sequence[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`from_beginning` is for the files that are there at the start; later ones are always read whole.

        `marks` are those of a service that ran before, by path, and `since` tells since when patterns are followed, in
        seconds since the epoch: files that were written to later are not there at the start, but came later. `without`
        are paths that are no logs, whatever names them.
        """
        self._patterns = {utf8(pattern): pattern for pattern in patterns}
        self._from_beginning = from_beginning
        self._now = now
        self._known = dict(marks or {})
        self._since = {**(since or {})}
        self._followed = frozenset(self._since)
        self._paths: dict[str, Generations] = {}
        self._shared = Shared(now, lambda path, *rest: self._complain(self._sources[path], *rest))
        self._named = Patterns(self._patterns, self._complain, without)
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
        self._known = {
            path: marks for path, marks in self._known.items() if any(may_exist(mark.path) for mark in marks)
        }

    def fileno(self) -> int | None:
        """Say that regular files cannot be waited on."""
        return None

    def paths(self) -> list[str]:
        """List the paths that are followed and lead to a file."""
        return [path for path, generations in self._paths.items() if generations.is_open]

    def kept(self) -> dict[str, Kept]:
        """Say how far the files of each path are read, of those too that no pattern names."""
        return {path: Kept(each) for path, each in self.marks().items()}

    def marks(self) -> dict[str, tuple[Mark, ...]]:
        """Give the marks of the files of each path."""
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

    def finish(self) -> None:
        """Take nothing: it stays."""

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
        self._shared.forget()
        named = self._named.named()
        # Of what was followed before, there may be more to read though the path leads nowhere now.
        wanted = named | (self._named.among(self._known) if at_start else {})
        fresh = [path for path in wanted if path not in self._paths]
        logs = {*wanted, *self._paths}
        fresh = [path for path in fresh if self._named.is_literal(path) or not is_generation(path, logs)]
        if fresh:
            called = _by_log(path for path in (*self._paths, *self._known) if not self._named.is_literal(path))
            for path in fresh:
                self._follow(path, wanted[path], called.get(path, ()), named, at_start=at_start)
        for path, generations in [*self._paths.items()]:
            try:
                generations.look(is_named=path in named)
            except OSError as error:
                self._complain(self._sources[path], path, error)
            else:
                self._complaints.pop(path, None)
            if path not in named and generations.is_at_rest and not _is_waited_for(path, generations):
                self._leave(path)

    def _follow(
        self, path: str, name: str, rotated: Iterable[str], named: Mapping[str, str], *, at_start: bool
    ) -> None:
        """Begin with a path. Others that are called as rotated files of it were followed for want of it."""
        is_known = path in self._known
        marks = [*self._known.pop(path, ())]
        for other in rotated:
            if other in self._paths:
                self._leave(other)
            marks += self._known.pop(other, ())
        start = None
        if not is_known:
            since = int(self._since[name] * 1e9) - _LATE_NANOSECONDS
            fresh = at_start and name not in self._followed

            def leaves(sibling: Sibling, at_once: bool) -> bool:  # noqa: FBT001 -- called by its place alone
                if fresh and at_once:
                    return not (self._from_beginning and sibling.path in named)
                return sibling.modified < since

            start = Start(fresh and not self._from_beginning, leaves)
        self._paths[path] = generations = Generations(path, self._shared, marks, start)
        self._shared.known[path] = generations.known
        self._sources[path] = name

    def _leave(self, path: str) -> None:
        """Follow a path no more, but remember the files that are there still: it may come back."""
        generations, name = self._paths.pop(path), self._sources.pop(path)
        del self._shared.known[path]
        self._count_rotations(name, generations)
        self._over.append(Chunk(name, b"", 0, path, last=True))
        if marks := tuple(mark for mark in generations.marks() if may_exist(mark.path)):
            self._known[path] = marks
        generations.stop()

    def _count_rotations(self, name: str, generations: Generations) -> None:
        condition = self._conditions[name]
        condition.rotations = (condition.rotations or 0) + generations.rotations
        generations.rotations = 0

    def _complain(self, name: str, path: str, error: OSError) -> None:
        """Count what failed, and name it once until it changes."""
        self._conditions[name].errors += 1
        problem = error.strerror or str(error)
        if error.errno in (errno.EMFILE, errno.ENFILE):
            problem += " (`ulimit -n`, or systemd's LimitNOFILE=, may be raised)"
        if self._complaints.get(path) != problem:
            self._complaints[path] = problem
            logger.warning("cannot read %s, trying again every second: %s", path, problem)


def utf8(path: str) -> str:
    """Write a path as UTF-8, whatever it is."""
    return os.fsencode(path).decode("utf-8", "replace")


def _by_log(paths: Iterable[str]) -> dict[str, list[str]]:
    """Group paths by the logs that they may be rotated files of, by their names."""
    found: dict[str, list[str]] = {}
    for path in paths:
        directory, base = os.path.split(path)
        for log in logs_of(base):
            found.setdefault(os.path.join(directory, log), []).append(path)
    return found


def _is_waited_for(path: str, generations: Generations) -> bool:
    """Whether a path that leads nowhere may come back: files are there that were rotated away from it."""
    return not may_exist(path) and any(may_exist(mark.path) for mark in generations.marks())
