"""Pipelines whose totals are kept, as a service begins with them and flushes them, at moments that a test chooses."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.engine import Assembly
from haproxy_log_exporter.flushing import Flusher
from haproxy_log_exporter.metrics.moving import carry_over, keep
from haproxy_log_exporter.metrics.shown import Places
from haproxy_log_exporter.pipeline import Pipeline
from haproxy_log_exporter.state import Commit, State, tell_lost
from tests.pipelines import samples_of
from tests.support import Samples


class Kept:
    """A pipeline whose totals are kept."""

    def __init__(self, assembly: Assembly, state: State) -> None:
        self._assembly = assembly
        self._state = state
        self._flusher = Flusher(assembly.pipeline, state, lambda: 0)

    @property
    def pipeline(self) -> Pipeline:
        """The one that counts."""
        return self._assembly.pipeline

    def start(self) -> None:
        """Go on with what the state has."""
        self._state.restore(self._assembly.tables)
        self._assembly.begin()
        self._assembly.declare()
        self._flusher.restore()

    def take(self, *lines: bytes) -> None:
        """Count lines."""
        self.pipeline.take(b"".join(line + b"\n" for line in lines), self.pipeline.intake("test"))

    def count(self, *lines: bytes) -> None:
        """Count lines, and keep what they come to."""
        self.take(*lines)
        self._flusher.begin({}, {}, {}, lambda: None)
        assert self._flusher.settle(30)

    def flush(self, now: float) -> None:
        """Keep and show what was counted, at a moment."""
        batch = self.pipeline.batch({}, now)
        self._state.commit(Commit(batch.changes, {}, {}))
        self.pipeline.show(batch)

    def exchange(self, choice: Choice) -> None:
        """Count by another choice from now on, as after a reload."""
        assembly = Assembly(choice)
        lost = carry_over([keep(table) for table in self._assembly.tables], assembly.tables)
        self._state.exchange(assembly.tables)
        tell_lost("the configuration", lost)
        assembly.take_over(self.pipeline)
        self._assembly = assembly

    @property
    def samples(self) -> Samples:
        """What is shown, but for the label sets in which nothing was counted yet."""
        return {key: value for key, value in samples_of(self.pipeline).items() if value}

    @property
    def places(self) -> dict[str, Places]:
        """The places of labels that are shown."""
        return {**self.pipeline.shown().labels}

    @property
    def capped(self) -> dict[str, int]:
        """The lines without a label set of their own, by metric, that are shown."""
        return {name: series.capped for name, series in self.pipeline.shown().series.items() if series.capped}


@contextmanager
def keeping(path: Path, choice: Choice) -> Iterator[Kept]:
    """Go on with a state."""
    state = State(str(path))
    try:
        state.start()
        kept = Kept(Assembly(choice), state)
        kept.start()
        yield kept
    finally:
        state.stop()


def of(samples: Samples, *metrics: str) -> Samples:
    """Choose the samples of some metrics."""
    names = tuple(f"haproxy_log_{metric}" for metric in metrics)
    return {key: value for key, value in samples.items() if key[0].startswith(names)}
