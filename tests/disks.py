"""A state for tests that takes its time or fails, as it is told, and a flusher over it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.flushing import Flusher
from haproxy_log_exporter.marks import Streams
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.state import Commit, State
from tests.pipelines import HTTP, build, samples_of
from tests.support import total

REQUESTS = "haproxy_log_requests_total"


class Disk(State):
    """Keeps totals of lines by their first label, in memory; what is to be kept is looked at when it is kept."""

    def __init__(self) -> None:
        super().__init__("")
        self.problem = ""
        self.bug: Exception | None = None
        self.commits = 0
        self.committed: dict[str, int] = {}
        self._free = threading.Event()
        self._free.set()
        self._names: dict[int, str] = {}

    def hold_up(self) -> None:
        """Let commits wait from now on."""
        self._free.clear()

    def let_go(self) -> None:
        """Let commits go on."""
        self._free.set()

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Let commits wait as long as the block lasts."""
        self.hold_up()
        try:
            yield
        finally:
            self.let_go()

    def commit(self, commit: Commit) -> None:
        """Keep all of it or nothing."""
        assert self._free.wait(30)
        if self.bug:
            raise self.bug
        names, committed = {**self._names}, {**self.committed}
        for change in commit.changes:
            for place in change.dropped:
                del committed[names.pop(place)]
            for place, values in change.fresh.items():
                assert place not in names, "a label set is new twice"
                names[place] = values[0]
            for place, packed in change.totals():
                committed[names[place]] = lines_of(change.table.layout, packed)
        if self.problem:
            raise OperationError(self.problem)
        assert all(count >= self.committed.get(name, 0) for name, count in committed.items()), "a total went back"
        self.commits += 1
        self._names, self.committed = names, committed
        self._counters.update(commit.counters)
        self._streams = {**commit.streams}


def lines_of(layout: Layout, packed: int) -> int:
    """Count the lines of all kinds in a total."""
    return sum(layout.lanes(packed)[: len(layout.kinds)])


class Desk:
    """A pipeline and its flusher, over a disk."""

    def __init__(self, state: State | None) -> None:
        self.pipeline = build("httplog", labels=("http_request_path",), metrics=("requests_total",))
        self.refused = 0
        self.flusher = Flusher(self.pipeline, state, lambda: self.refused)
        self.told = threading.Event()

    def count(self, lines: int, path: str = "/a") -> None:
        """Take lines."""
        line = HTTP.replace(b"/a", path.encode()) + b"\n"
        self.pipeline.take(line * lines, self.pipeline.intake("log"))

    def begin(self, conditions: Mapping[str, Condition] | None = None, streams: Streams | None = None) -> None:
        """Let a batch be kept."""
        self.told.clear()
        self.flusher.begin(conditions or {}, streams or {}, {}, self.told.set)

    def flush(self) -> None:
        """Let a batch be kept, and wait for it."""
        self.begin()
        assert self.flusher.settle(30)

    def shown(self) -> tuple[float, int]:
        """The requests and the lines of the source that are shown."""
        tally = self.pipeline.shown().tallies.get("log")
        return total(samples_of(self.pipeline), REQUESTS), tally.counted if tally else 0
