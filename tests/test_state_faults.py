"""What a kill, a torn WAL, a full disk and a file that is gone leave of a state: one commit, whole."""

import os
from pathlib import Path
from random import Random

import pytest

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept, Mark
from tests.states import Book, copy_state, fill, keep_totals, make_table, opened, small_disk

# https://www.sqlite.org/fileformat2.html#walformat
WAL_HEADER, FRAME_HEADER, PAGE = 32, 24, 4096
FRAME = FRAME_HEADER + PAGE


def commit(book: Book, number: int, label_sets: int = 1) -> None:
    """Commit what tells its number everywhere."""
    rows: dict[tuple[str, ...], int] = {(f"{number}-{each}",): number for each in range(label_sets)}
    streams = {"/log": Kept((Mark("/log", 1, 2, position=number),), f"held {number}")}
    book.commit({"traffic": {("all",): 1, **rows}}, {("counted", "/log"): number}, streams)


def number_of(book: Book) -> int:
    """Tell which commit was the last, and make sure that all that is there is of this one and those before."""
    totals = dict(book.totals["traffic"])
    number = totals.pop(b'a="all"', 0)
    assert book.state.counters == ({("counted", "/log"): number} if number else {})
    kept = {"/log": Kept((Mark("/log", 1, 2, position=number),), f"held {number}")}
    assert book.state.streams == (kept if number else {})
    assert {*totals.values()} == {*range(1, number + 1)}
    assert all(text.startswith(b'a="%d-' % value) for text, value in totals.items())
    return number


def open_copy(path: Path) -> int:
    """Tell which commit a copy holds."""
    with opened(path, make_table("a")) as book:
        return number_of(book)


def test_kill_leaves_the_last_commit(tmp_path: Path) -> None:
    """After any commit, whether or not SQLite has moved the WAL into the file meanwhile."""
    random = Random(3)
    with opened(tmp_path / "state", make_table("a")) as book:
        assert book.state._connection
        book.state._connection.execute("PRAGMA wal_autocheckpoint = 30")
        sizes = set()
        for number in range(1, 41):
            commit(book, number, random.choice((1, 1, 5, 400)))
            copy = copy_state(tmp_path / "state", tmp_path / "copy")
            sizes.add(copy.stat().st_size)
            assert open_copy(copy) == number
        assert len(sizes) > 3, "the WAL was never moved into the file"


def test_killed_state_goes_on(tmp_path: Path) -> None:
    """What is committed to a copy after the kill is kept as well as what was before."""
    path = tmp_path / "0"
    with opened(path, make_table("a")) as book:
        commit(book, 1)
        copy_state(path, tmp_path / "1")
    for number in range(1, 6):
        with opened(tmp_path / str(number), make_table("a")) as book:
            assert number_of(book) == number
            commit(book, number + 1, 50)
            copy_state(tmp_path / str(number), tmp_path / str(number + 1))


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """Give a state as a kill leaves it after twelve commits, and its WAL."""
    folder = tmp_path_factory.mktemp("torn")
    with opened(folder / "state", make_table("a")) as book:
        for number in range(1, 13):
            commit(book, number, 3)
        copy = copy_state(folder / "state", folder / "copy")
    return copy, Path(f"{copy}-wal").read_bytes()


def open_torn(copy: Path, to: Path, wal: bytes) -> int:
    """Tell which commit there is with another WAL."""
    copy_state(copy, to)
    Path(f"{to}-wal").write_bytes(wal)
    return open_copy(to)


def test_torn_wal_is_an_earlier_commit(tmp_path: Path, torn: tuple[Path, bytes]) -> None:
    """Wherever a crash of the machine has cut it: totals, counters and positions are those of one commit."""
    copy, wal = torn
    frames = (len(wal) - WAL_HEADER) // FRAME
    assert frames > 30
    sizes = {0, 1, WAL_HEADER - 1, WAL_HEADER, len(wal)}
    sizes |= {WAL_HEADER + FRAME * frame + more for frame in range(frames) for more in (0, 1, FRAME_HEADER, FRAME - 1)}
    numbers = [open_torn(copy, tmp_path / "state", wal[:size]) for size in sorted(sizes)]
    assert numbers == sorted(numbers)
    assert {*numbers} == {*range(13)}


def test_wal_with_garbage_is_an_earlier_commit(tmp_path: Path, torn: tuple[Path, bytes]) -> None:
    """A sector that was not written ends what there is of it."""
    copy, wal = torn
    random, numbers = Random(4), []
    for start in range(WAL_HEADER, len(wal) - 512, FRAME):
        place = start + random.randrange(FRAME - 512)
        garbage = random.choice((bytes(512), random.randbytes(512), random.randbytes(1)))
        numbers.append(open_torn(copy, tmp_path / "state", wal[:place] + garbage + wal[place + len(garbage) :]))
    assert {0, 6, 11} <= {*numbers} <= {*range(13)}


def test_commit_on_a_full_disk_is_none(tmp_path: Path) -> None:
    """Wherever room ends, nothing of it is kept, and once there is room it is kept as if nothing had been."""
    with small_disk(tmp_path / "disk", 4096) as disk, opened(disk / "state", make_table("a")) as book:
        commit(book, 1)
        for number, left in enumerate((0, 1, 2, 5, 9, 13), 2):
            room = fill(disk, left)
            with pytest.raises(OperationError, match=f"cannot write {disk / 'state'}: database or disk is full"):
                commit(book, number, 700)
            assert number_of(book) == number - 1
            assert open_copy(copy_state(disk / "state", tmp_path / "copy")) == number - 1
            room.unlink()
            commit(book, number, 700)
            assert open_copy(copy_state(disk / "state", tmp_path / "copy")) == number
    assert os.listdir(tmp_path / "disk") == []


def test_state_opens_on_a_full_disk(tmp_path: Path) -> None:
    """It shows what it has, killed or not; only what is new needs room."""
    with small_disk(tmp_path / "disk", 1024) as disk:
        with opened(disk / "state", make_table("a")) as book:
            commit(book, 1, 100)
            copy_state(disk / "state", disk / "killed")
        room = fill(disk)
        for name in ("state", "killed"):
            with opened(disk / name, make_table("a")) as book:
                assert number_of(book) == 1
                with pytest.raises(OperationError):
                    commit(book, 2, 100)
        room.unlink()
        for name in ("state", "killed"):
            assert open_copy(disk / name) == 1


@pytest.mark.parametrize("left", range(26))
def test_new_state_on_a_full_disk_is_whole_or_not_there(tmp_path: Path, left: int) -> None:
    """However little room there is, a start that is refused leaves nothing half made."""
    with small_disk(tmp_path / "disk", 200) as disk:
        path, room = disk / "state", fill(disk, left)
        try:
            with opened(path, make_table("a")) as book:
                assert number_of(book) == 0
        except OperationError as error:
            assert str(error) == f"--state: cannot use {path}: database or disk is full"  # noqa: PT017 -- or it opens
            assert left < 25
        else:
            assert left > 5
        assert {*os.listdir(disk)} <= {"fill", "state", *(["state-wal"] if path.exists() else [])}
        room.unlink()
        assert open_copy(path) == 0


def test_state_that_is_gone_is_not_written(tmp_path: Path) -> None:
    """What is written to a file without a name is lost; once it is back, so is everything."""
    path, aside = tmp_path / "state", tmp_path / "aside"
    with opened(path, make_table("a")) as book:
        commit(book, 1)
        path.rename(aside)
        with pytest.raises(OperationError, match=rf"cannot write {path}: .*No such file or directory"):
            commit(book, 2)
        assert number_of(book) == 1
        aside.rename(path)
        commit(book, 2)
    assert open_copy(path) == 2


def test_state_that_was_replaced_is_not_written(tmp_path: Path) -> None:
    """Neither the one that was open nor the one that has its name now."""
    path, other = tmp_path / "state", keep_totals(tmp_path / "other")
    before = other.read_bytes()
    with opened(path, make_table("a")) as book:
        commit(book, 1)
        os.replace(other, path)
        with pytest.raises(OperationError, match=rf"cannot write {path}: it was replaced by another file"):
            commit(book, 2)
        assert number_of(book) == 1
        assert path.read_bytes() == before
