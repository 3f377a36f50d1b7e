"""Putting a state beside, and starting afresh."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from haproxy_log_exporter.state import State
from tests.states import TOTALS, beside, contents, keep_and_kill, keep_totals, make_table, opened, refuse

MOMENT = 1_795_149_027.0
STAMP = "20261120T043027Z"


@pytest.mark.parametrize("make", [keep_totals, keep_and_kill])
def test_state_that_was_put_beside_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], Path]
) -> None:
    """Under its new name, which is told, it can be opened with all its totals, also what only its WAL holds."""
    path = make(tmp_path / "state")
    state = State(str(path), now=lambda: MOMENT)
    try:
        state.start(reset=True)
        state.restore([table := make_table("a")])
        assert len(table) == 0
        assert (state.counters, state.streams) == ({}, {})
    finally:
        state.stop()
    assert f"state: the one before is now {path}.{STAMP}" in [record.getMessage() for record in caplog.records]
    with opened(Path(f"{path}.{STAMP}"), make_table("a")) as book:
        assert book.totals["traffic"] == TOTALS
    assert sorted(os.listdir(tmp_path)) == ["state", f"state.{STAMP}"]


def test_garbage_takes_its_wal_along(tmp_path: Path) -> None:
    """What cannot be opened keeps what belongs to it, byte for byte, and the new state has none of it."""
    path = keep_and_kill(tmp_path / "state")
    path.write_bytes(b"garbage" * 999)
    before = contents(path)
    with opened(path, make_table("a"), reset=True) as book:
        assert book.totals == {"traffic": {}}
    [old] = beside(path)
    assert (old.read_bytes(), Path(f"{old}-wal").read_bytes()) == (before["state"], before["state-wal"])
    assert sorted(os.listdir(tmp_path)) == ["state", old.name, f"{old.name}-wal"]


def test_several_can_be_put_beside_within_a_second(tmp_path: Path) -> None:
    """Each has a name of its own, and none is written over."""
    path = tmp_path / "state"
    Path(f"{path}.{STAMP}.1-wal").touch()  # a name of which a part is taken is taken
    for number in range(4):
        state = State(str(path), now=lambda: MOMENT)
        state.start(reset=True)
        state.stop()
        with opened(path, make_table("a")) as book:
            book.commit({"traffic": {("x",): number + 1}})
    assert [old.name for old in beside(path)] == [f"state.{STAMP}", f"state.{STAMP}.2", f"state.{STAMP}.3"]
    for number, old in enumerate(beside(path)):
        with opened(old, make_table("a")) as book:
            assert book.totals["traffic"] == {b'a="x"': number + 1}


def test_reset_of_nothing_makes_a_new_one(tmp_path: Path) -> None:
    """Nothing is put beside."""
    with opened(tmp_path / "state", make_table("a"), reset=True) as book:
        assert book.totals == {"traffic": {}}
    assert os.listdir(tmp_path) == ["state"]


def test_wal_whose_state_is_gone_is_no_new_start(tmp_path: Path) -> None:
    """A WAL that was left behind would be read as the new state's: it is refused, and can be put beside."""
    path = keep_and_kill(tmp_path / "state")
    path.unlink()
    assert f"it is gone, but {path}-wal is still there; --state-reset starts afresh" in refuse(path)
    wal = Path(f"{path}-wal").read_bytes()
    with opened(path, make_table("a"), reset=True) as book:
        assert book.totals == {"traffic": {}}
        book.commit({"traffic": {("x",): 1}})
    [old] = tmp_path.glob("state.*")
    assert old.name.endswith("-wal")
    assert old.read_bytes() == wal
    with opened(path, make_table("a")) as book:
        assert book.totals["traffic"] == {b'a="x"': 1}


def test_empty_wal_is_nothing(tmp_path: Path) -> None:
    """A process that was killed before its first commit leaves one."""
    (tmp_path / "state-wal").touch()
    with opened(tmp_path / "state", make_table("a")) as book:
        assert book.totals == {"traffic": {}}
