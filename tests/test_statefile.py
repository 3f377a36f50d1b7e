"""Opening what is there in place of a state: it is refused as it is, or put beside."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept, Mark
from haproxy_log_exporter.state import Commit, State
from tests.states import (
    MOMENT,
    TOTALS,
    beside,
    contents,
    copy_state,
    fill,
    keep_totals,
    make_read_only,
    make_table,
    opened,
    refuse,
    small_disk,
)

PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give the bytes of a state."""
    return keep_totals(tmp_path_factory.mktemp("whole") / "state").read_bytes()


def make_foreign(path: Path) -> None:
    """Write another program's database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE counters (name, subject, value)")


def make_foreign_in_use(path: Path) -> None:
    """Write another program's database that has a WAL, as a kill leaves it."""
    other = path.parent / "other"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE counters (name, subject, value)")
        copy_state(other, path)
    other.unlink()


def make_newer(path: Path) -> None:
    """Write a state of a version to come."""
    with closing(sqlite3.connect(keep_totals(path))) as connection:
        connection.execute("PRAGMA user_version = 4")


def make_poorer(path: Path) -> None:
    """Take a table out of a state."""
    with closing(sqlite3.connect(keep_totals(path))) as connection:
        connection.execute("DROP TABLE counters")


def make_wrong(path: Path) -> None:
    """Write label sets that are none."""
    with closing(sqlite3.connect(keep_totals(path), isolation_level=None)) as connection:
        connection.execute("UPDATE label_sets SET label_values = '[\n\x1b' WHERE id % 7 = 0")


def make_text(path: Path) -> None:
    """Write a log."""
    path.write_bytes(b"no state\n" * 1000)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (Path.touch, "it is empty"),
    "text": (make_text, "it is no SQLite database"),
    "zeros": (lambda path: path.write_bytes(bytes(5 * PAGE)), "it is no SQLite database"),
    "garbage": (lambda path: path.write_bytes(Random(1).randbytes(5 * PAGE)), "it is no SQLite database"),
    "foreign": (make_foreign, "it belongs to another program"),
    "foreign with a WAL": (make_foreign_in_use, "it belongs to another program"),
    "newer": (make_newer, "a newer version of this program wrote it (its schema is 4, this one knows 3)"),
    "without a table": (make_poorer, "no such table: counters"),
    "wrong label sets": (make_wrong, ""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_state_is_refused(tmp_path: Path, damage: str) -> None:
    """It says why, and what can be done, and not a byte is changed."""
    path = tmp_path / "state"
    make, reason = DAMAGES[damage]
    make(path)
    message = refuse(path)
    assert message.startswith(f"--state: {path} cannot be read as a state: {reason}")
    assert message.endswith("; --state-reset starts afresh and keeps it beside")


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_state_can_be_put_beside(tmp_path: Path, damage: str) -> None:
    """--state-reset makes a new one, and the old one is there under another name, with what belongs to it."""
    path = tmp_path / "state"
    DAMAGES[damage][0](path)
    before = contents(path)
    with opened(path, make_table("a"), reset=True) as book:
        assert book.totals == {"traffic": {}}
        book.commit({"traffic": {("new",): 1}})
    [old] = beside(path)
    assert {name.replace(old.name, "state"): text for name, text in contents(old).items() if name != "state"} == before
    with opened(path, make_table("a")) as book:
        assert book.totals == {"traffic": {b'a="new"': 1}}


def test_cut_state_is_refused(tmp_path: Path, whole: bytes) -> None:
    """Wherever it was cut, down to its last byte."""
    path, size = tmp_path / "state", len(whole)
    sizes = {1, 15, 16, 17, 59, 99, 100, 101, 512, size // 2, size - PAGE - 1, size - PAGE, size - PAGE + 1, size - 1}
    for cut in sorted(sizes | {PAGE * page + more for page in range(1, size // PAGE) for more in (-1, 0, 7)}):
        path.write_bytes(whole[:cut])
        assert "--state-reset" in refuse(path), cut


def test_state_with_a_page_of_garbage_is_refused(tmp_path: Path, whole: bytes) -> None:
    """Whichever of its pages it is."""
    path, random = tmp_path / "state", Random(2)
    for start in range(0, len(whole), PAGE):
        path.write_bytes(whole[:start] + random.randbytes(PAGE) + whole[start + PAGE :])
        message = refuse(path)
        assert "--state-reset" in message
        assert "***" not in message, "a line that SQLite wrote as a heading"
        with pytest.raises(OperationError):  # before any total is looked at
            State(str(path)).start()


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spots=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=64)), min_size=1, max_size=3))
def test_damage_is_never_a_bug(tmp_path: Path, whole: bytes, spots: list[tuple[float, bytes]]) -> None:
    """Some bytes of garbage are refused with words, or have hit what a number looks like; nothing is begun anew."""
    path, damaged = tmp_path / "state", bytearray(whole)
    for place, garbage in spots:
        start = int(place * (len(whole) - len(garbage)))
        damaged[start : start + len(garbage)] = garbage
    path.write_bytes(damaged)
    try:
        with opened(path, make_table("a")) as book:
            assert book.totals["traffic"]
    except OperationError:
        assert "--state-reset" in refuse(path)


def make_dangling(path: Path) -> None:
    """Put a link to nothing in the state's place."""
    path.symlink_to(path.parent / "nothing")


SPECIALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "directory": (Path.mkdir, "Is a directory"),
    "pipe": (os.mkfifo, "it is no file"),
    "device": (lambda path: path.symlink_to("/dev/null"), "it is no file"),
    "dangling link": (make_dangling, "No such file or directory"),
}


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("special", SPECIALS)
def test_what_is_no_file_is_refused(tmp_path: Path, special: str, reset: bool) -> None:  # noqa: FBT001 -- both ways
    """Nothing is made of it, and nothing is renamed: whoever gave the path meant another one."""
    make, reason = SPECIALS[special]
    make(tmp_path / "state")
    assert refuse(tmp_path / "state", reset=reset) == f"--state: cannot use {tmp_path / 'state'}: {reason}"
    assert os.listdir(tmp_path) == ["state"]


def test_directory_that_is_missing_is_told(tmp_path: Path) -> None:
    """It is not made."""
    path = tmp_path / "missing" / "state"
    with pytest.raises(OperationError, match=rf"^--state: cannot use {path}: No such file or directory$"):
        State(str(path)).start()
    assert os.listdir(tmp_path) == []


def test_link_leads_to_the_state(tmp_path: Path) -> None:
    """Of a link, the file that it leads to is the state, and its WAL lies there."""
    (tmp_path / "there").mkdir()
    keep_totals(tmp_path / "there" / "state")
    path = tmp_path / "state"
    path.symlink_to(tmp_path / "there" / "state")
    with opened(path, make_table("a")) as book:
        assert book.totals["traffic"] == TOTALS
        assert sorted(os.listdir(tmp_path / "there")) == ["state", "state-wal"]
    with opened(path, make_table("a"), reset=True) as book:
        assert book.totals["traffic"] == {}
    [old] = beside(path)
    with opened(old, make_table("a")) as book:
        assert book.totals["traffic"] == TOTALS


@pytest.mark.parametrize("reset", [False, True])
def test_read_only_state_is_refused_at_the_start(tmp_path: Path, reset: bool) -> None:  # noqa: FBT001 -- both ways
    """Not with the first flush; and there is no new one either, nor anything beside it."""
    with small_disk(tmp_path / "disk", 1024) as disk:
        path = keep_totals(disk / "state")
        make_read_only(disk)
        for each in (path, disk / "other"):
            assert refuse(each, reset=reset) == f"--state: cannot use {each}: Read-only file system"
        assert os.listdir(disk) == ["state"]


# The schema of version 2, as it was released.
_SECOND = """
BEGIN;
PRAGMA application_id = 0x484C6F67;
PRAGMA user_version = 2;
CREATE TABLE tables (number INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, labels TEXT NOT NULL, blocks TEXT NOT NULL);
CREATE TABLE label_sets (id INTEGER PRIMARY KEY, label_values TEXT NOT NULL);
CREATE TABLE totals (id INTEGER PRIMARY KEY, packed BLOB NOT NULL);
CREATE TABLE counters (
    name TEXT NOT NULL, subject TEXT NOT NULL, value NUMERIC NOT NULL, PRIMARY KEY (name, subject)
) WITHOUT ROWID;
CREATE TABLE streams (stream BLOB PRIMARY KEY, held TEXT NOT NULL, place TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    stream BLOB, number INTEGER, path BLOB NOT NULL, device TEXT NOT NULL, inode TEXT NOT NULL,
    origin INTEGER NOT NULL, head_size INTEGER NOT NULL, head BLOB NOT NULL,
    position INTEGER NOT NULL, tail_size INTEGER NOT NULL, tail BLOB NOT NULL,
    done INTEGER NOT NULL, skipping INTEGER NOT NULL, continued INTEGER NOT NULL,
    PRIMARY KEY (stream, number)
) WITHOUT ROWID;
COMMIT;
PRAGMA journal_mode = WAL;
"""
_COLUMNS = {
    "tables": "number, key, labels, blocks",
    "label_sets": "id, label_values",
    "totals": "id, packed",
    "counters": "name, subject, value",
    "streams": "stream, held, place",
    "files": "*",
}


def make_second(path: Path) -> Path:
    """Write a state of version 2, which did not know when a total has grown, and had one table of each key."""
    now = keep_totals(path.parent / "now")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.executescript(_SECOND)
        connection.execute("ATTACH ? AS now", (str(now),))
        for name, columns in _COLUMNS.items():
            connection.execute(f"INSERT INTO {name} SELECT {columns} FROM now.{name}")
    path.chmod(0o600)
    now.unlink()
    return path


def make_first(path: Path) -> Path:
    """Write a state of version 1, which had no places of sources that are no files either."""
    with closing(sqlite3.connect(make_second(path))) as connection:
        connection.executescript("ALTER TABLE streams DROP COLUMN place; PRAGMA user_version = 1")
    return path


MAKERS = {1: make_first, 2: make_second}


def version_of(path: Path) -> tuple[int, list[str]]:
    """Tell which version a state is of, and what it keeps of a stream, of a total and of a table."""
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        kept = [
            name for table in ("streams", "totals") for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")
        ]
        unique = connection.execute("PRAGMA index_list(tables)").fetchall()
        return version, [*kept, *(["unique"] if unique else [])]


OLD = {
    1: (1, ["stream", "held", "id", "packed", "unique"]),
    2: (2, ["stream", "held", "place", "id", "packed", "unique"]),
}
NEWEST = 3, ["stream", "held", "place", "id", "packed", "used"]
older = pytest.mark.parametrize("version", MAKERS)


@older
def test_state_of_an_older_version_goes_on(tmp_path: Path, version: int) -> None:
    """All that it keeps is there, with each start, and what is new is kept from then on."""
    path = MAKERS[version](tmp_path / "state")
    assert version_of(path) == OLD[version]
    streams = {"/log": Kept((Mark("/log", 1, 2),), "")}
    for _ in range(2):
        with opened(path, make_table("a")) as book:
            assert book.totals["traffic"] == TOTALS
            assert book.state.counters == {("counted", "/log"): 400}
            assert book.state.streams == streams
        assert version_of(path) == NEWEST
    streams["journal"] = Kept(place="cursor")
    with opened(path, make_table("a")) as book:
        book.commit(streams=streams)
    with opened(path, make_table("a")) as book:
        assert book.state.streams == streams
        assert book.totals["traffic"] == TOTALS


@older
def test_totals_of_an_older_version_are_as_old_as_the_start(tmp_path: Path, version: int) -> None:
    """When they have grown is not known: they count as grown when the state was new, from which on time is told."""
    path = MAKERS[version](tmp_path / "state")
    for now, grown in ((1000.0, "value 3"), (2000.0, "value 4")):
        table, state = make_table("a"), State(str(path), partial(float, now))
        state.start()
        state.restore([table])
        ages = {row.values[0]: row.used for row in table.kept()}
        assert ages["value 4"] == 0
        assert ages["value 3"] == (0 if grown == "value 3" else MOMENT)
        change = table.change({table.position((grown,)): 1}, MOMENT)
        state.commit(Commit([change], {}, {}))
        state.stop()


@older
@pytest.mark.parametrize("before", ["PRAGMA user_version", "COMMIT", "ALTER TABLE totals", "DROP TABLE former"])
def test_upgrade_that_breaks_off_is_none(
    tmp_path: Path, version: int, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it does, the state is as it was, and the next start can do it."""
    path = MAKERS[version](tmp_path / "state")

    class Breaking(sqlite3.Connection):
        def executescript(self, script: str, /) -> sqlite3.Cursor:
            """Meet an error in the middle."""
            assert before in script
            return super().executescript(script.replace(before, f"broken; {before}", 1))

    connect = sqlite3.connect
    with monkeypatch.context() as patched:
        patched.setattr(
            "haproxy_log_exporter.statefile.sqlite3.connect", lambda *args, **kw: connect(*args, factory=Breaking, **kw)
        )
        refuse(path)
    assert version_of(path) == OLD[version]
    with opened(path, make_table("a")) as book:
        assert book.totals["traffic"] == TOTALS
    assert version_of(path) == NEWEST


@older
def test_read_only_state_of_an_older_version_is_refused(tmp_path: Path, version: int) -> None:
    """As any other that cannot be written: by its name and the system's own words, and it stays as it is."""
    with small_disk(tmp_path / "disk", 1024) as disk:
        path = MAKERS[version](disk / "state")
        make_read_only(disk)
        assert refuse(path) == f"--state: cannot use {path}: Read-only file system"


@older
def test_upgrade_on_a_full_disk_is_none(tmp_path: Path, version: int) -> None:
    """It is told, and once there is room it is done."""
    with small_disk(tmp_path / "disk", 1024) as disk:
        path = MAKERS[version](disk / "state")
        room = fill(disk)
        with pytest.raises(OperationError, match=rf"^--state: cannot use {path}: database or disk is full$"):
            State(str(path)).start()
        assert version_of(copy_state(path, tmp_path / "copy")) == OLD[version]
        room.unlink()
        with opened(path, make_table("a")) as book:
            assert book.totals["traffic"] == TOTALS
        assert version_of(path) == NEWEST
