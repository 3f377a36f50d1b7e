"""States for tests: committed to as the flusher does, copied as a kill leaves them, and small or read-only disks."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept, Mark, Streams
from haproxy_log_exporter.metrics.catalogue import METRICS
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.totals import Change, Table
from haproxy_log_exporter.state import Commit, CounterKey, State
from tests.support import need
from tests.tables import shown

BY_NAME = {metric.name: metric for metric in METRICS}

# When everything is counted, in seconds since the epoch.
MOMENT = 1_795_000_000.5

# What totals grow by: by table and label values.
Grown = Mapping[str, Mapping[tuple[str, ...], int]]


def make_table(
    *names: str, metrics: Sequence[str] = ("requests_total", "response_duration_seconds"), key: str = "traffic"
) -> Table:
    """Make a table of these labels."""
    return Table(names, Layout([BY_NAME[name] for name in metrics], ("0.1", "1")), key)


class Book:
    """A state that is open, with the tables that it keeps."""

    def __init__(self, state: State, *tables: Table) -> None:
        self.state = state
        self.tables = {table.key: table for table in tables}

    def commit(
        self,
        grown: Grown | None = None,
        counters: Mapping[CounterKey, float] | None = None,
        streams: Streams | None = None,
    ) -> None:
        """Let totals grow, and set counters and streams; what is not given stays as it is.

        What cannot be kept is given back.
        """
        changes: list[Change] = []
        for key, rows in (grown or {}).items():
            table = self.tables[key]
            places = {table.position(values): packed for values, packed in rows.items()}
            changes.append(table.change(places, MOMENT))
        counters = {**self.state.counters, **(counters or {})}
        try:
            self.state.commit(Commit(changes, counters, self.state.streams if streams is None else streams))
        except OperationError:
            for change in changes:
                change.table.give_back(change)
            raise
        for change in changes:
            change.table.apply(change)

    @property
    def totals(self) -> dict[str, dict[bytes, int]]:
        """The totals by table and labels, as in the exposition."""
        return {key: shown(table) for key, table in self.tables.items()}

    @property
    def rows_written(self) -> int:
        """How many rows SQLite has written since the state was opened."""
        assert self.state._connection
        return self.state._connection.total_changes


# What `keep_totals` and `keep_and_kill` keep.
TOTALS = {f'a="value {number}"'.encode(): number for number in range(500)}


@contextmanager
def opened(path: Path, *tables: Table, reset: bool = False) -> Iterator[Book]:
    """Open a state and fill tables from it; close it at the end."""
    state = State(str(path))
    try:
        state.start(reset=reset)
        if tables:  # without any, what is kept of them stays as it is
            state.restore(tables)
        yield Book(state, *tables)
    finally:
        state.stop()


def keep_totals(path: Path) -> Path:
    """Write a state of many totals, and close it."""
    with opened(path, make_table("a")) as book:
        for base in range(0, 500, 100):
            streams = {"/log": Kept((Mark("/log", 1, 2),), "")}
            rows: dict[tuple[str, ...], int] = {(f"value {number}",): number for number in range(base, base + 100)}
            book.commit({"traffic": rows}, {("counted", "/log"): base}, streams)
    return path


def keep_and_kill(path: Path) -> Path:
    """Write a state, and leave it as a kill would: all of it in the WAL."""
    with opened(path.parent / "alive", make_table("a")) as book:
        book.commit({"traffic": {(f"value {number}",): number for number in range(500)}})
        copy_state(path.parent / "alive", path)
    (path.parent / "alive").unlink()
    return path


def contents(path: Path) -> dict[str, bytes]:
    """Read all files beside a path, and its own."""
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if each.is_file()}


def refuse(path: Path, *, reset: bool = False) -> str:
    """Make sure that it is refused, in a line that names option and path, and left as it is; give the line."""
    before = contents(path)
    with pytest.raises(OperationError) as caught, opened(path, make_table("a"), reset=reset):
        pytest.fail("it was opened")
    assert contents(path) == before
    message = str(caught.value)
    assert message.startswith("--state: ")
    assert str(path) in message
    assert message.isprintable()
    assert len(message) < 500
    return message


def copy_state(path: Path, to: Path) -> Path:
    """Copy a state as it lies there, with its WAL, and so as a kill at this moment would leave it."""
    for side in ("", "-wal"):
        Path(f"{to}{side}").unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            shutil.copyfile(f"{path}{side}", f"{to}{side}")
    return to


def beside(path: Path) -> list[Path]:
    """List the states that were put beside this one, without what belongs to them."""
    return sorted(other for other in path.parent.glob(f"{path.name}.*") if not other.name.endswith(("-wal", "-shm")))


@contextmanager
def small_disk(path: Path, kibibytes: int) -> Iterator[Path]:
    """Mount a small file system for a while; skip the test where that is not permitted."""
    need("mount", "umount")
    path.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={kibibytes}k,mode=700", "tmpfs", str(path)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        reason, _, _ = done.stderr.partition("\n")
        message = f"a file system cannot be mounted: {reason}"
        if os.environ.get("REQUIRE_PROGRAMS"):
            pytest.fail(message)
        pytest.skip(message)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def make_read_only(disk: Path) -> None:
    """Let nothing be written to a small disk any more."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def fill(disk: Path, pages_left: int = 0) -> Path:
    """Write a file that takes all the room of a small disk but some pages; whoever removes it makes room."""
    path = disk / "fill"
    with path.open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(os.sysconf("SC_PAGE_SIZE")))
        file.truncate(max(0, file.tell() - pages_left * os.sysconf("SC_PAGE_SIZE")))
    return path
