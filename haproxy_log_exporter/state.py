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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept, Mark, Sample, Streams
from haproxy_log_exporter.metrics.moving import move_to
from haproxy_log_exporter.metrics.totals import Change, Table
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
        self._numbers: dict[str, int] = {}
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
            for table in tables:
                self._restore(connection, table)

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
                    self._write_totals(connection, change)
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

    def _restore(self, connection: sqlite3.Connection, table: Table) -> None:
        labels, blocks = json.dumps(table.names), json.dumps(table.layout.blocks())
        row = connection.execute("SELECT * FROM tables WHERE key = ?", (table.key,)).fetchone()
        if row is None:
            insert = "INSERT INTO tables (key, labels, blocks) VALUES (?, ?, ?)"
            self._numbers[table.key] = connection.execute(insert, (table.key, labels, blocks)).lastrowid or 0
            return
        number, _, kept_labels, kept_blocks = row
        self._numbers[table.key] = number
        ids = (number << _PLACE_BITS, (number + 1) << _PLACE_BITS)
        fits, same = {*json.loads(kept_labels)} == {*table.names}, kept_labels == labels and kept_blocks == blocks
        values = _label_sets(connection, ids)
        totals = _totals(connection, ids, len(values))
        if not fits:
            lost = [name.partition(" ")[0] for name, _ in json.loads(kept_blocks) if not name.startswith("lines ")]
            if values:
                _tell_lost(lost or [table.key], "labels were", json.loads(kept_labels))
            values, totals = [], []
        elif not same:
            order = [json.loads(kept_labels).index(name) for name in table.names]
            values = [tuple(each[place] for place in order) for each in values]
            move = move_to(table.layout, json.loads(kept_blocks))
            totals = [move.packed(packed) for packed in totals]
            if move.lost and values:
                _tell_lost(move.lost, "metrics or buckets have changed; labels are", json.loads(kept_labels))
        table.restore(values, totals)
        if same:
            return
        connection.execute("UPDATE tables SET labels = ?, blocks = ? WHERE number = ?", (labels, blocks, number))
        for name in ("label_sets", "totals"):
            connection.execute(f"DELETE FROM {name} WHERE id >= ? AND id < ?", ids)  # noqa: S608 -- of two names
        self._write(connection, table, enumerate(values), enumerate(totals))

    def _write_totals(self, connection: sqlite3.Connection, change: Change) -> None:
        self._write(connection, change.table, change.label_sets(), change.totals())

    def _write(
        self,
        connection: sqlite3.Connection,
        table: Table,
        label_sets: Iterator[tuple[int, tuple[str, ...]]] | Sequence[tuple[int, tuple[str, ...]]],
        totals: Iterator[tuple[int, int]],
    ) -> None:
        base, size = self._numbers[table.key] << _PLACE_BITS, table.layout.size
        connection.executemany(
            "INSERT INTO label_sets VALUES (?, ?)",
            ((base | place, json.dumps(values, ensure_ascii=False)) for place, values in label_sets),
        )
        connection.executemany(
            "INSERT OR REPLACE INTO totals VALUES (?, ?)",
            ((base | place, packed.to_bytes(size, "little")) for place, packed in totals),
        )

    def _expect_file(self) -> None:
        """What is written to a file that has lost its name is gone with the process."""
        found = os.stat(self._path)
        if (found.st_dev, found.st_ino) != self._identity:
            message = "it was replaced by another file; only a restart goes on with that"
            raise OSError(message)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        assert self._connection
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


def _label_sets(connection: sqlite3.Connection, ids: tuple[int, int]) -> list[tuple[str, ...]]:
    rows = connection.execute(
        "SELECT label_values FROM label_sets WHERE id >= ? AND id < ? ORDER BY id", ids
    ).fetchall()
    return [*map(tuple, json.loads(f"[{','.join(text for (text,) in rows)}]"))]


def _totals(connection: sqlite3.Connection, ids: tuple[int, int], size: int) -> list[int]:
    totals = [0] * size
    for id_, packed in connection.execute("SELECT id, packed FROM totals WHERE id >= ? AND id < ?", ids):
        place = id_ - ids[0]
        if place >= size:
            message = f"a total has no label set ({place} of {size})"
            raise NoStateError(message)
        totals[place] = int.from_bytes(packed, "little")
    return totals


def _tell_lost(metrics: Sequence[str], why: str, labels: Sequence[str]) -> None:
    listed = ", ".join(dict.fromkeys(metrics))
    logger.warning("state: the totals of %s are dropped, for their %s %s", listed, why, ", ".join(labels) or "none")


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
