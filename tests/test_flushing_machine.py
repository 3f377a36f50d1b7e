"""Flushes in any order against a plain count."""

import threading
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from haproxy_log_exporter.flushing import Flusher
from tests.disks import Disk
from tests.pipelines import HTTP, build, samples_of

REQUESTS = "haproxy_log_requests_total"


class Flushes(RuleBasedStateMachine):
    """Lines are taken and folded, batches begin, are looked for, are kept or fail, whatever comes when."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = Disk()
        self.pipeline = build("httplog", labels=("http_request_path",), metrics=("requests_total",))
        self.flusher = Flusher(self.pipeline, self.disk, lambda: 0)
        self.taken: Counter[str] = Counter()
        self.before: Counter[str] = Counter()
        self.lines_before = 0
        self.told = threading.Event()
        self.disk.hold_up()

    @rule(lines=st.integers(1, 5), path=st.sampled_from(["/a", "/b", "/c", "/d"]))
    def take(self, lines: int, path: str) -> None:
        """Count lines."""
        self.pipeline.take((HTTP.replace(b"/a", path.encode()) + b"\n") * lines, self.pipeline.intake("log"))
        self.taken[path] += lines

    @rule()
    def fold(self) -> None:
        """Fold what was counted, as the service does when much is pending."""
        self.pipeline.fold()

    @precondition(lambda self: not self.flusher.is_busy)
    @rule()
    def begin(self) -> None:
        """Let a batch be kept; where there is nothing new it is shown at once."""
        self.told.clear()
        self.flusher.begin({}, {}, {}, self.told.set)

    @precondition(lambda self: self.flusher.is_busy and not self.told.is_set())
    @rule()
    def look(self) -> None:
        """Look for it too early."""
        assert not self.flusher.settle(0.0)

    @precondition(lambda self: self.flusher.is_busy and not self.told.is_set())
    @rule(problem=st.sampled_from(["", "", "full", "gone", "bug"]))
    def finish(self, problem: str) -> None:
        """Let the disk go on, and keep the batch or not."""
        self.disk.problem, self.disk.bug = problem, ZeroDivisionError() if problem == "bug" else None
        self.disk.let_go()
        assert self.told.wait(30)
        self.disk.hold_up()

    @precondition(lambda self: self.told.is_set())
    @rule()
    def settle(self) -> None:
        """Look for it when it is over."""
        self.told.clear()
        if self.disk.bug:
            with pytest.raises(ZeroDivisionError):
                self.flusher.settle(0.0)
            return
        assert self.flusher.settle(0.0)
        assert self.flusher.failure == self.disk.problem

    @property
    def shown(self) -> Counter[str]:
        """The requests that are shown, by path."""
        samples = samples_of(self.pipeline)
        return Counter(
            {
                dict(pairs)["http_request_path"]: int(count)
                for (name, pairs), count in samples.items()
                if name == REQUESTS
            }
        )

    @invariant()
    def shows_what_was_kept(self) -> None:
        """No more, no less once it was looked for, and never less than before."""
        shown, tallies = self.shown, self.pipeline.shown().tallies
        assert shown <= Counter(self.disk.committed)
        assert shown == Counter(self.disk.committed) or self.told.is_set()
        assert self.before <= shown <= self.taken
        lines = tallies["log"].counted if "log" in tallies else 0
        assert lines == shown.total() >= self.lines_before
        self.before, self.lines_before = shown, lines

    def teardown(self) -> None:
        """In the end each line is there once."""
        if self.flusher.is_busy and not self.told.is_set():
            self.finish("")
        if self.told.is_set():
            self.settle()
        self.disk.problem, self.disk.bug = "", None
        self.disk.let_go()
        self.flusher.begin({}, {}, {}, lambda: None)
        assert self.flusher.settle(30)
        assert self.shown == self.taken
        assert Counter(self.disk.committed) == self.taken


Flushes.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
TestFlushes = Flushes.TestCase
