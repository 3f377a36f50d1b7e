import logging
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from haproxy_log_exporter import flushing as flushing_module
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept, Mark
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.state import Commit, State
from tests.disks import Desk, Disk
from tests.pipelines import HTTP, NOISE, NOTICE, TCP
from tests.states import opened


def test_without_a_state_a_batch_is_shown_at_once() -> None:
    """There is nothing to wait for, and nobody is told."""
    desk = Desk(None)
    desk.count(3)
    desk.begin()
    assert desk.shown() == (3, 3)
    assert not desk.flusher.is_busy
    assert desk.flusher.settle()
    assert not desk.told.is_set()


def test_nothing_is_shown_before_it_is_kept() -> None:
    """While the disk takes its time, what is shown stays; lines go on being counted for the next batch."""
    disk = Disk()
    desk = Desk(disk)
    desk.count(3)
    with disk.held_up():
        desk.begin()
        assert desk.flusher.is_busy
        assert not desk.flusher.settle(0.05)
        desk.count(4)
        desk.count(5, "/new")
        desk.pipeline.fold()
        assert desk.shown() == (0, 0)
    assert desk.flusher.settle(30)
    assert desk.shown() == (3, 3)
    assert disk.committed == {"/a": 3}
    desk.flush()
    assert desk.shown() == (12, 12)
    assert disk.committed == {"/a": 7, "/new": 5}
    assert disk.commits == 2


def test_one_commit_at_a_time() -> None:
    """Another batch cannot be taken while one is on its way."""
    disk = Disk()
    desk = Desk(disk)
    with disk.held_up():
        desk.count(1)
        desk.begin()
        with pytest.raises(AssertionError):
            desk.begin()
    assert desk.flusher.settle(30)
    assert disk.commits == 1


def test_commit_that_has_told_is_over() -> None:
    """Whoever is woken by `done` finds it over, even if the thread itself has not ended yet."""
    disk = Disk()
    desk = Desk(disk)
    desk.count(1)
    told, looked = threading.Event(), threading.Event()

    def done() -> None:
        told.set()
        looked.wait(0.2)

    desk.flusher.begin({}, {}, {}, done)
    assert told.wait(30)
    assert desk.flusher.settle(0.0)
    looked.set()
    assert desk.shown() == (1, 1)


def test_what_could_not_be_kept_is_part_of_the_next_batch(caplog: pytest.LogCaptureFixture) -> None:
    """However often it fails: nothing is lost, doubled or shown, and the trouble is told once."""
    caplog.set_level(logging.INFO)
    disk = Disk()
    desk = Desk(disk)
    desk.count(1)
    desk.flush()
    disk.problem = "the disk is full"
    for number in range(3):
        desk.count(2)
        desk.count(number + 1, f"/p{number}")
        desk.flush()
        assert desk.shown() == (1, 1)
        assert desk.flusher.failure == "the disk is full"
    disk.problem = "the disk is gone"
    desk.flush()
    assert desk.flusher.failure == "the disk is gone"
    disk.problem = ""
    desk.count(10)
    desk.flush()
    assert desk.shown() == (23, 23)
    assert disk.committed == {"/a": 17, "/p0": 1, "/p1": 2, "/p2": 3}
    assert desk.flusher.failure == ""
    assert [record.getMessage() for record in caplog.records if record.name.endswith("flushing")] == [
        "nothing more is read from files and the journal until the state can be written: the disk is full",
        "nothing more is read from files and the journal until the state can be written: the disk is gone",
        "the state can be written again",
    ]


def test_failure_is_tried_again_without_new_lines() -> None:
    """Else nothing would be read any more, for nothing is read before it was written."""
    disk = Disk()
    desk = Desk(disk)
    desk.count(1)
    disk.problem = "full"
    desk.flush()
    disk.problem = ""
    desk.flush()
    assert desk.flusher.failure == ""
    assert desk.shown() == (1, 1)
    desk.flush()  # how long that took is kept as well
    disk.problem = "full"
    desk.refused = 1
    desk.flush()
    assert desk.flusher.failure == "full"
    desk.refused = 0  # as it is kept: there is nothing new to write
    disk.problem = ""
    desk.flush()
    assert desk.flusher.failure == ""


def test_bug_in_the_thread_is_raised_in_settle() -> None:
    """It is no failure of the disk: it keeps its traceback, and what it was about is not lost."""
    disk = Disk()
    desk = Desk(disk)
    desk.count(1)
    disk.bug = ZeroDivisionError("a bug")
    desk.begin()
    with pytest.raises(ZeroDivisionError, match="a bug") as caught:
        desk.flusher.settle(30)
    assert any(entry.name == "commit" for entry in caught.traceback)
    assert desk.shown() == (0, 0)
    assert not desk.flusher.is_busy
    assert desk.flusher.settle()
    disk.bug = None
    desk.flush()
    assert desk.shown() == (1, 1)


def test_commit_that_takes_long_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told after five seconds, for nothing new is shown; it is none any more once it is over, however it ends."""
    disk = Disk()
    desk = Desk(disk)
    moment = [1000.0]
    monkeypatch.setattr(flushing_module, "time", SimpleNamespace(monotonic=lambda: moment[0], time=time.time))
    for problem in ("", "full"):
        desk.count(1)
        with disk.held_up():
            desk.begin()
            moment[0] += 5.0
            assert desk.flusher.problem == ""
            moment[0] += 2.0
            assert desk.flusher.problem == "the state has been written to for 7 s"
            disk.problem = problem
        assert desk.told.wait(30)
        assert desk.flusher.settle()
        assert desk.flusher.problem == problem
        moment[0] += 3600.0
        assert desk.flusher.problem == problem


def test_thread_that_cannot_start_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may have no more threads for a while: the batch waits for the next one."""
    disk = Disk()
    desk = Desk(disk)
    desk.count(1)

    def refuse_thread(_: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse_thread)
        desk.flush()
    assert desk.flusher.problem == "can't start new thread"
    assert desk.shown() == (0, 0)
    desk.count(2)
    desk.flush()
    assert desk.flusher.problem == ""
    assert desk.shown() == (3, 3)
    assert disk.committed == {"/a": 3}


def test_idle_flusher_writes_nothing() -> None:
    """Where nothing was counted since, and no counter has changed, there is no commit, and the rest is shown."""
    disk = Disk()
    desk = Desk(disk)
    desk.count(1)
    for _ in range(2):  # how long the first one took is kept with the second
        desk.begin({"log": Condition(0, 9, 0)})
        assert desk.flusher.settle(30)
    before = disk.commits
    for position in range(5):
        desk.begin({"log": Condition(position, 9, 0)})
        assert not desk.flusher.is_busy
        assert desk.pipeline.shown().conditions["log"].position_bytes == position
    assert disk.commits == before


def test_counters_go_on_where_they_were(tmp_path: Path) -> None:
    """Tallies, formats, conditions, refused connections and durations, of sources that are gone as well."""
    streams = {"/log": Kept((Mark("/log", 1, 2, position=3),), "")}
    for number in range(1, 4):
        with opened(tmp_path / "state") as book:
            desk = Desk(book.state)
            book.state.restore(desk.pipeline.account.tables)
            desk.flusher.restore()
            before = desk.pipeline.shown()
            source, other = f"source {number}", f"source {number - 1}"
            if number > 1:
                assert before.tallies[other].counted == 2
                assert before.tallies["always"].counted == number - 1
                assert before.parsed == {"httplog": 3 * (number - 1)}
                assert before.conditions[other] == Condition(rotations=1, dropped=2, errors=3)
                assert before.conditions["always"].errors == 3 * (number - 1)
                assert desk.flusher.refused == 6 * (number - 1)
            for name, lines in (("always", 1), (source, 2)):
                intake = desk.pipeline.intake(name)
                desk.pipeline.take((HTTP + b"\n") * lines + NOTICE + b"\n" + NOISE + b"\n" + TCP + b"\n", intake)
            desk.refused = 6
            conditions = {name: Condition(7, 8, 1, 2, 3) for name in ("always", source)}
            for _ in range(2):  # what a flush took is kept with the next one
                desk.begin(conditions, streams)
                assert desk.flusher.settle(30)
            after = desk.pipeline.shown()
            assert after.tallies["always"].rejected == 2 * number
            assert after.tallies["always"].bytes_read == number * len(HTTP + NOTICE + NOISE + TCP + b"\n\n\n\n")
            assert after.tallies[source].notices == 1
            assert after.conditions["always"] == Condition(7, 8, number, 2 * number, 3 * number)
            assert after.conditions[source] == Condition(7, 8, 1, 2, 3)
            assert book.state.streams == streams
            flushes = [value for (name, _), value in book.state.counters.items() if name == "flushes"]
            assert sum(flushes) == number


def refuse(_: Commit) -> None:
    """Commit nothing."""
    message = "the disk is full"
    raise OperationError(message)


def test_what_failed_is_in_the_file_once(tmp_path: Path) -> None:
    """With a real state: label sets that were met in a batch that failed are kept with the next one."""
    with opened(tmp_path / "state") as book:
        desk = Desk(book.state)
        book.state.restore(desk.pipeline.account.tables)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(book.state, "commit", refuse)
            for path in ("/a", "/b", "/a", "/c"):
                desk.count(2, path)
                desk.flush()
        assert desk.shown() == (0, 0)
        desk.count(1, "/d")
        desk.flush()
        assert desk.shown() == (9, 9)
    state = State(str(tmp_path / "state"))
    try:
        state.start()
        desk = Desk(state)
        state.restore(desk.pipeline.account.tables)
        desk.flusher.restore()
        assert desk.shown() == (9, 9)
    finally:
        state.stop()


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(flushing_module, "time", clock)
    return clock


def moments(desk: Desk) -> dict[tuple[str, ...], float]:
    """Tell when each total last grew, in seconds for which lines were counted."""
    return {row.values: row.used for table in desk.pipeline.account.tables for row in table.kept()}


def test_time_counts_from_the_first_flush_on(clock: Clock) -> None:
    """As long as there is one after the other, with lines or without; before the first nobody looked."""
    desk = Desk(Disk())
    expected = {}
    for path, waited in (("/a", 50.0), ("/b", 7.0), ("/c", 30.5)):
        clock.now += waited
        desk.count(1, path)
        desk.flush()
        expected[path] = waited
    used = sorted(moment for moment in moments(desk).values() if moment)
    assert used == [expected["/b"], expected["/b"] + expected["/c"]]


def test_time_in_which_nothing_can_be_kept_does_not_count(clock: Clock) -> None:
    """Nothing is read from files then; from the first flush that succeeds on it does again."""
    disk = Disk()
    desk = Desk(disk)
    desk.count(1, "/a")
    desk.flush()
    clock.now += 5
    disk.problem = "the disk is full"
    desk.count(1, "/b")
    for _ in range(3):
        desk.flush()
        assert desk.flusher.failure
        clock.now += 1000
    disk.problem = ""
    desk.flush()
    assert not desk.flusher.failure
    assert max(moments(desk).values()) == 5
    clock.now += 2
    desk.count(1, "/c")
    desk.flush()
    assert max(moments(desk).values()) == 7


def test_time_goes_on_where_it_was(tmp_path: Path, clock: Clock) -> None:
    """What a state had counted last is as new as it was then, however long nobody looked."""
    newest = 0.0
    for turn in range(3):
        with opened(tmp_path / "state") as book:
            desk = Desk(book.state)
            book.state.restore(desk.pipeline.account.tables)
            desk.flusher.restore()
            assert desk.pipeline.account.newest == newest
            desk.flush()
            clock.now += 10
            desk.count(1, f"/{turn}")
            desk.flush()
            newest += 10
            assert desk.pipeline.account.newest == newest
        clock.now += 1e6
