"""Flushes: what was counted is kept in the state, and shown once it is kept.

Strategy: the disk may take its time, and sockets cannot wait. So a commit runs in a thread of its own, with a batch
that nobody else touches, while lines go on being counted for the next one. There is one commit at a time. A batch that
could not be kept is part of the next one: nothing is lost, and nothing is shown that is not kept.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Streams
from haproxy_log_exporter.metrics.own import FlushDurations
from haproxy_log_exporter.metrics.shown import Condition, Tally
from haproxy_log_exporter.metrics.totals import Series
from haproxy_log_exporter.pipeline import Batch, Pipeline
from haproxy_log_exporter.state import Commit, CounterKey, State

logger = logging.getLogger(__name__)

_TALLIED = ("bytes_read", "counted", "notices", "filtered", "rejected", "truncated", "lost")
_LIMITS = ("capped values", "capped label sets", "expired label sets")
_CONDITIONS = ("rotations", "dropped", "errors")

# A commit that takes longer is told of.
_SLOW_SECONDS = 5.0


class Flusher:
    """Takes batches from the pipeline, commits them where there is a state, and shows them.

    All methods belong to one thread, but for the attributes `failure`, `flushes` and `refused`, which any may look at.
    """

    def __init__(self, pipeline: Pipeline, state: State | None, refused: Callable[[], int]) -> None:
        """`refused` gives the connections that the web server has refused so far."""
        self.failure = ""  # why the last batch could not be kept
        self.flushes = FlushDurations()
        self.refused = 0
        self._pipeline = pipeline
        self._state = state
        self._count_refused = refused
        self._refused_before = 0
        self._conditions_before: dict[str, Condition] = {}
        self._durations = FlushDurations()
        self._batch: tuple[Batch, FlushDurations, int] | None = None
        self._began = 0.0
        self._counting = 0.0  # seconds for which lines were counted, since the state was made
        self._thread: threading.Thread | None = None
        self._over = threading.Event()  # the thread has done its work: it may still be alive when it has told so
        self._raised: BaseException | None = None

    @property
    def problem(self) -> str:
        """Say why nothing new is shown, where that is so; for any thread."""
        waiting = time.monotonic() - self._began
        if not self.failure and self._thread and waiting > _SLOW_SECONDS:
            return f"the state has been written to for {waiting:.0f} s"
        return self.failure

    @property
    def is_busy(self) -> bool:
        """Whether a batch is being kept."""
        return self._thread is not None

    def restore(self) -> None:
        """Go on from the counters that the state has."""
        if not self._state:
            return
        counters = self._state.counters
        capped_values, capped, expired = (_subjects(counters, key) for key in _LIMITS)
        series = {name: Series(0, capped.get(name, 0), expired.get(name, 0)) for name in capped.keys() | expired.keys()}
        self._pipeline.restore(_tallies(counters), _subjects(counters, "parsed"), capped_values, series)
        for (key, source), value in counters.items():
            name, _, reason = key.partition(" ")
            if key in _CONDITIONS:
                setattr(self._conditions_before.setdefault(source, Condition()), key, int(value))
            elif name == "refused" and reason:
                condition = self._conditions_before.setdefault(source, Condition())
                condition.refused = {**(condition.refused or {}), reason: int(value)}
        self._refused_before = int(counters.get(("refused", ""), 0))
        self._durations.restore(counters)
        self.flushes, self.refused = self._durations.copy(), self._refused_before
        self._counting = self._pipeline.account.newest
        self._pipeline.show_restored(self._all_conditions({}))

    def begin(
        self,
        conditions: Mapping[str, Condition],
        streams: Streams,
        since: Mapping[str, float],
        done: Callable[[], None],
    ) -> None:
        """Take a batch. Where there is nothing to keep, it is shown at once; else `done` is called once it is kept.

        `done` is called in another thread. `conditions` tells how the sources stand, `streams` how far they are read,
        `since` when they were first read.
        """
        assert not self._thread
        before, self._began = self._began, time.monotonic()
        if before and not self.failure:
            self._counting += self._began - before
        batch = self._pipeline.batch(self._all_conditions(conditions), self._counting)
        durations, refused = self._durations.copy(), self._refused_before + self._count_refused()
        self._batch = (batch, durations, refused)
        if not self._state:
            self._show()
            return
        counters = _counters(batch) | durations.counters() | {("refused", ""): refused}
        counters |= {("since", source): moment for source, moment in since.items()}
        commit = Commit(batch.changes, counters, streams)
        if not self.failure and not self._state.has_news(commit):
            self._show()
            return
        self._over.clear()
        thread = threading.Thread(target=self._commit, args=(self._state, commit, done), name="commit", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # there may be no more threads
            self._fail(str(error))
            return
        self._thread = thread

    def settle(self, seconds: float = 0.0) -> bool:
        """Show the batch if it is kept by now, waiting so long at the most; tell whether none is on its way any more.

        A bug in the thread is raised here.
        """
        if not self._thread:
            return True
        if not self._over.wait(seconds):
            return False
        self._thread.join()
        self._thread = None
        raised, self._raised = self._raised, None
        if raised is None:
            if self.failure:
                logger.info("the state can be written again")
            self.failure = ""
            self._show()
            return True
        self._fail(str(raised))
        if not isinstance(raised, OperationError):
            raise raised
        return True

    def _fail(self, problem: str) -> None:
        """Let the batch be part of the next one."""
        assert self._batch
        self._pipeline.give_back(self._batch[0])
        self._batch = None
        if self.failure != problem:
            logger.error("nothing more is read from files and the journal until the state can be written: %s", problem)
        self.failure = problem

    def _commit(self, state: State, commit: Commit, done: Callable[[], None]) -> None:
        try:
            state.commit(commit)
        except BaseException as error:  # noqa: BLE001 -- handed over
            self._raised = error
        self._over.set()
        done()

    def _show(self) -> None:
        assert self._batch
        batch, self.flushes, self.refused = self._batch
        self._batch = None
        self._pipeline.show(batch)
        if batch.changes or not self._state:
            self._durations.observe(time.monotonic() - self._began)

    def _all_conditions(self, conditions: Mapping[str, Condition]) -> dict[str, Condition]:
        """Add what the state knew of sources before, also of those that are read no more."""
        found = {source: replace(condition) for source, condition in self._conditions_before.items()}
        for source, condition in conditions.items():
            before = self._conditions_before.get(source)
            found[source] = _sum(condition, before) if before else condition
        return found


def _sum(condition: Condition, before: Condition) -> Condition:
    counted = {
        name: getattr(condition, name) + (getattr(before, name) or 0)
        for name in _CONDITIONS
        if getattr(condition, name) is not None
    }
    refused = {**(before.refused or {})}
    for reason, count in (condition.refused or {}).items():
        refused[reason] = count + refused.get(reason, 0)
    return replace(condition, **counted, refused=refused or None)


def _tallies(counters: Mapping[CounterKey, float]) -> dict[str, Tally]:
    found: dict[str, Tally] = {}
    for (key, source), value in counters.items():
        if key in _TALLIED:
            setattr(found.setdefault(source, Tally()), key, int(value))
    return found


def _subjects(counters: Mapping[CounterKey, float], key: str) -> dict[str, int]:
    return {subject: int(value) for (name, subject), value in counters.items() if name == key}


def _counters(batch: Batch) -> dict[CounterKey, float]:
    parts = ((batch.tallies, _TALLIED), (batch.conditions, _CONDITIONS))
    found: dict[CounterKey, float] = {
        (name, source): getattr(row, name)
        for rows, names in parts
        for source, row in rows.items()
        for name in names
        if getattr(row, name) is not None
    }
    for source, condition in batch.conditions.items():
        found |= {(f"refused {reason}", source): count for reason, count in (condition.refused or {}).items()}
    capped_values, capped, expired = _LIMITS
    found |= {(capped_values, label): places.capped for label, places in batch.labels.items() if places.capped}
    found |= {(capped, metric): series.capped for metric, series in batch.series.items() if series.capped}
    found |= {(expired, metric): series.expired for metric, series in batch.series.items() if series.expired}
    return found | {("parsed", name): count for name, count in batch.parsed.items()}
