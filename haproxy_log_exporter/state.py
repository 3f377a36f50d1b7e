"""The state: totals, counters and the positions up to which they count, in one SQLite file.

Strategy: whatever is committed together is true together, so each flush is one transaction, of what has changed alone.
Label sets are only added and stand apart from their totals, which are a few dozen bytes each; so a commit writes little
more than the numbers. The file is WAL with synchronous=FULL: what is committed survives the machine.
"""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept, Mark, Sample, Streams
from haproxy_log_exporter.metrics.moving import KeptTable, Lost, carry_over
from haproxy_log_exporter.metrics.totals import Change, LabelSet, Row, Table
from haproxy_log_exporter.statefile import NoStateError, check_file, explain, look_at, make_file, open_file, put_beside

logger = logging.getLogger(__name__)

# A label set's id is its table's number and, in so many bits, its place.
_PLACE_BITS = 40

CounterKey = tuple[str, str]


class Commit(NamedTuple):
    """What is to be committed: what totals grow by, and counters and streams as they are then, all of them."""

    changes: Sequence[Change]
    counters: Mapping[CounterKey, float]
    streams: Streams


class State:
    """The file, while it is open. Its methods may be called from several threads, one at a time."""

    def __init__(self, path: str, now: Callable[[], float] = time.time) -> None:
        """Open nothing yet. `now` gives seconds since the epoch."""
        self._path = path
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._numbers: dict[Table, int] = {}
        self._counters: dict[CounterKey, float] = {}
        self._streams: dict[str, Kept] = {}

    def start(self, *, reset: bool = False) -> None:
        """Open the file, or make it where there is none. With `reset`, one that is there is put beside first.

        Raises:
            OperationError: where it is in use, is no state, is damaged, is of a newer version, or cannot be written.
        """
        with self._explained():
            if reset:
                put_beside(self._path, self._now())
            if not os.path.lexists(self._path):
                make_file(self._path)
            self._identity = look_at(self._path)
            self._connection = open_file(self._path)
            check_file(self._connection)
            with self._transaction() as connection:  # a file that cannot be written is told at once
                self._read(connection)

    def stop(self) -> None:
        """Close the file."""
        if self._connection:
            with suppress(sqlite3.Error):  # what is committed is in the WAL, wherever that ends up
                self._connection.close()
            self._connection = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that it consists of."""
        path = os.path.realpath(self._path)
        return (path, f"{path}-wal", f"{path}-shm")

    @property
    def counters(self) -> Mapping[CounterKey, float]:
        """The counters that were committed last."""
        return self._counters

    @property
    def streams(self) -> Streams:
        """The streams that were committed last."""
        return self._streams

    def restore(self, tables: Sequence[Table]) -> None:
        """Fill tables with what is kept of them. What does not fit any more is dropped, and the log says so.

        Raises:
            OperationError: where it is damaged, or cannot be written.
        """
        with self._explained(), self._transaction() as connection:
            kept = self._read_tables(connection)
            tell_lost("state", carry_over([each for each, _ in kept.values()], tables))
            self._numbers = {}
            for number, (each, is_dense) in kept.items():
                table = next((table for table in tables if each.fits(table)), None)
                if table is not None and is_dense:
                    self._numbers[table] = number
                else:
                    _delete_table(connection, number)
            for table in tables:
                if table not in self._numbers:
                    self._insert_table(connection, table)

    def exchange(self, tables: Sequence[Table]) -> None:
        """Keep these tables from now on, with all that they show, in place of those before.

        Raises:
            OperationError: where it cannot be written; then all stays as it was.
        """
        numbers = self._numbers
        try:
            self._expect_file()
            with self._transaction() as connection:
                for number in numbers.values():
                    _delete_table(connection, number)
                self._numbers = {}
                for table in tables:
                    self._insert_table(connection, table)
        except (sqlite3.Error, OSError) as error:
            self._numbers = numbers
            message = f"cannot write {self._path}: {error}"
            raise OperationError(message) from error

    def has_news(self, commit: Commit) -> bool:
        """Whether anything differs from what was committed last."""
        return (
            bool(commit.changes)
            or commit.streams != self._streams
            or not commit.counters.items() <= self._counters.items()
        )

    def commit(self, commit: Commit) -> None:
        """Write what has changed, all of it or nothing.

        Raises:
            OperationError: where it cannot be written; it may be tried again.
        """
        counters = {key: value for key, value in commit.counters.items() if self._counters.get(key) != value}
        streams = {key: kept for key, kept in commit.streams.items() if self._streams.get(key) != kept}
        gone = self._streams.keys() - commit.streams.keys()
        try:
            self._expect_file()
            with self._transaction() as connection:
                for change in commit.changes:
                    self._write_change(connection, change)
                connection.executemany(
                    "INSERT OR REPLACE INTO counters VALUES (?, ?, ?)",
                    ((*key, value) for key, value in counters.items()),
                )
                for stream in (*gone, *streams):
                    _write_stream(connection, stream, streams.get(stream))
        except (sqlite3.Error, OSError) as error:
            message = f"cannot write {self._path}: {error}"
            raise OperationError(message) from error
        self._counters.update(counters)
        self._streams = {**commit.streams}

    def _read(self, connection: sqlite3.Connection) -> None:
        select = connection.execute
        self._counters = {(name, subject): value for name, subject, value in select("SELECT * FROM counters")}
        marks: dict[bytes, list[Mark]] = {}
        for stream, _, *row in select("SELECT * FROM files ORDER BY stream, number"):
            marks.setdefault(stream, []).append(_mark(row))
        self._streams = {
            os.fsdecode(stream): Kept(tuple(marks.get(stream, ())), held, place)
            for stream, held, place in select("SELECT * FROM streams")
        }

    def _read_tables(self, connection: sqlite3.Connection) -> dict[int, tuple[KeptTable, bool]]:
        """Read all tables by their numbers, and whether the places of each are as many as its label sets."""
        found = {}
        for number, key, labels, meanings in connection.execute("SELECT * FROM tables").fetchall():
            rows, is_dense = _read_rows(connection, number)
            blocks = [(name, lanes) for name, lanes in json.loads(meanings)]
            found[number] = KeptTable(key, tuple(json.loads(labels)), blocks, rows), is_dense
        return found

    def _insert_table(self, connection: sqlite3.Connection, table: Table) -> None:
        row = (table.key, json.dumps(table.names), json.dumps(table.layout.blocks()))
        insert = "INSERT INTO tables (key, labels, blocks) VALUES (?, ?, ?)"
        number = self._numbers[table] = connection.execute(insert, row).lastrowid or 0
        kept = table.kept()
        _insert_label_sets(connection, number, enumerate(values for values, _, _ in kept))
        size = table.layout.size
        _write_totals(connection, number, size, ((place, total, used) for place, (_, total, used) in enumerate(kept)))

    def _write_change(self, connection: sqlite3.Connection, change: Change) -> None:
        number, moment = self._numbers[change.table], change.moment
        for name in ("label_sets", "totals"):
            connection.executemany(
                f"DELETE FROM {name} WHERE id = ?",  # noqa: S608 -- of two names
                ((number << _PLACE_BITS | place,) for place in change.dropped),
            )
        _insert_label_sets(connection, number, change.fresh.items())
        rows = ((place, packed, moment) for place, packed in change.totals())
        _write_totals(connection, number, change.table.layout.size, rows)

    def _expect_file(self) -> None:
        """What is written to a file that has lost its name is gone with the process."""
        found = os.stat(self._path)
        if (found.st_dev, found.st_ino) != self._identity:
            message = "it was replaced by another file; only a restart goes on with that"
            raise OSError(message)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        assert self._connection
        if self._connection.in_transaction:  # it could not be rolled back then
            self._connection.execute("ROLLBACK")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what is wrong with the file, and what can be done."""
        try:
            yield
        except (NoStateError, sqlite3.Error, OSError, ValueError, TypeError) as error:
            self.stop()
            raise OperationError(explain(self._path, error)) from error


def _ids(number: int) -> tuple[int, int]:
    return number << _PLACE_BITS, (number + 1) << _PLACE_BITS


def _delete_table(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM tables WHERE number = ?", (number,))
    for name in ("label_sets", "totals"):
        connection.execute(f"DELETE FROM {name} WHERE id >= ? AND id < ?", _ids(number))  # noqa: S608 -- of two names


def _insert_label_sets(connection: sqlite3.Connection, number: int, rows: Iterable[tuple[int, LabelSet]]) -> None:
    connection.executemany(
        "INSERT INTO label_sets VALUES (?, ?)",
        ((number << _PLACE_BITS | place, json.dumps(values, ensure_ascii=False)) for place, values in rows),
    )


def _write_totals(
    connection: sqlite3.Connection, number: int, size: int, rows: Iterable[tuple[int, int, float]]
) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO totals VALUES (?, ?, ?)",
        ((number << _PLACE_BITS | place, packed.to_bytes(size, "little"), used) for place, packed, used in rows),
    )


def _read_rows(connection: sqlite3.Connection, number: int) -> tuple[list[Row], bool]:
    """Read a table's label sets with their totals; whether there is none missing between them.

    A label set of which nothing was counted is as new as the newest.
    """
    query = "SELECT id, label_values FROM label_sets WHERE id >= ? AND id < ? ORDER BY id"
    rows = connection.execute(query, _ids(number)).fetchall()
    values = map(tuple, json.loads(f"[{','.join(text for _, text in rows)}]"))
    query = "SELECT id, packed, used FROM totals WHERE id >= ? AND id < ?"
    totals = {id_: (packed, used) for id_, packed, used in connection.execute(query, _ids(number))}
    newest = max((used for _, used in totals.values()), default=0.0)
    kept = []
    for (id_, _), each in zip(rows, values, strict=True):
        packed, used = totals.pop(id_, (b"", newest))
        kept.append(Row(each, int.from_bytes(packed, "little"), used))
    if totals:
        message = f"{len(totals)} totals have no label set"
        raise NoStateError(message)
    return kept, not rows or rows[-1][0] - _ids(number)[0] == len(rows) - 1


def tell_lost(where: str, lost: Sequence[Lost]) -> None:
    """Say of which metrics the totals are dropped."""
    for each in lost:
        metrics, labels = ", ".join(dict.fromkeys(each.metrics)), ", ".join(each.labels) or "none"
        logger.warning("%s: the totals of %s are dropped, for their %s %s", where, metrics, each.why, labels)


def _mark(row: Sequence[Any]) -> Mark:
    path, device, inode, origin, head_size, head, position, tail_size, tail, *flags = row
    samples = Sample(head_size, head), position, Sample(tail_size, tail)
    return Mark(os.fsdecode(path), int(device), int(inode), origin, *samples, *map(bool, flags))


def _write_stream(connection: sqlite3.Connection, stream: str, kept: Kept | None) -> None:
    key = os.fsencode(stream)
    connection.execute("DELETE FROM files WHERE stream = ?", (key,))
    if kept is None:
        connection.execute("DELETE FROM streams WHERE stream = ?", (key,))
        return
    connection.execute("INSERT OR REPLACE INTO streams VALUES (?, ?, ?)", (key, kept.held, kept.place))
    rows = [
        (
            key, number, os.fsencode(mark.path), str(mark.device), str(mark.inode), mark.origin, *mark.head,
            mark.position, *mark.tail, mark.done, mark.skipping, mark.continued,
        )
        for number, mark in enumerate(kept.marks)
    ]  # fmt: skip
    connection.executemany(f"INSERT INTO files VALUES ({','.join('?' * 14)})", rows)  # noqa: S608 -- question marks
