"""Where the rows of a format gather until the next flush.

Strategy: a row is grouped under its labels' values by appending what its numbers add to that label set's list, all of
it in C: `map` drives `dict.__getitem__` and `list.append`, no line takes a step of Python. The flush adds up each list.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, islice, repeat
from operator import mul
from typing import NamedTuple

from haproxy_log_exporter.labels.columns import Column, Filter, count_capped
from haproxy_log_exporter.logformat.reader import Reader, Rows
from haproxy_log_exporter.metrics.layout import Contributions
from haproxy_log_exporter.metrics.totals import Table

# Label sets that are kept, with their place in the table, from one flush to the next.
_MOST_REMEMBERED = 1 << 17

_exhaust = deque[None](maxlen=0).extend


class Feed:
    """Takes the rows of one format for one table."""

    def __init__(self, table: Table, reader: Reader, labels: Sequence[int], weight: int = 1) -> None:
        """Bind the format's columns to the table's numbers; each line stands for `weight` of them.

        `labels` tells which of the values that it is handed are those of the table's labels.
        """
        self.table = table
        self._labels = labels
        self._weight = weight
        self._one = table.layout.line(reader.kind)
        self._numbers: list[tuple[int, Contributions]] = []
        for column, group in enumerate(reader.groups):
            if table.layout.fields.intersection(group):
                base = 0 if self._numbers else self._one
                splitter = reader.splitters.get(group)
                self._numbers.append((column, Contributions(table.layout, group, splitter, base)))
        self._pending: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._places: list[int | None] = []  # of the label sets in pending, in their order

    def take(self, rows: Rows, values: Sequence[Iterable[str]], times: int = 1) -> None:
        """Group rows under their labels; each stands for so many lines."""
        keys = zip(*(values[label] for label in self._labels), strict=True) if self._labels else repeat((), rows.lines)
        lists = map(self._pending.__getitem__, keys)
        if not self._numbers:
            _exhaust(map(list.append, lists, repeat(self._one * times)))
        elif len(self._numbers) == 1:
            _exhaust(map(list.append, lists, self._contributions(0, rows, times)))
        else:
            kept = [*lists]
            for index in range(len(self._numbers)):
                _exhaust(map(list.append, kept, self._contributions(index, rows, times)))

    def _contributions(self, index: int, rows: Rows, times: int) -> Iterator[int]:
        column, contributions = self._numbers[index]
        found = map(contributions.__getitem__, rows.columns[column])
        return found if times == 1 else map(mul, found, repeat(times))

    def fold(self) -> dict[int, int]:
        """Add up what has gathered, by place in the table, and start anew."""
        pending, places, table = self._pending, self._places, self.table
        places.extend(map(table.find_place, islice(pending, len(places), None)))
        changes: defaultdict[int, int] = defaultdict(int)
        capped = 0
        for place, packed in zip(places, map(sum, pending.values()), strict=True):
            if not packed:
                continue
            if place is None:
                capped += packed
            else:
                changes[place] += packed * self._weight
        if capped:
            changes[table.cap(capped)] += capped * self._weight
        if len(pending) > _MOST_REMEMBERED:
            self.forget()
        else:
            _exhaust(map(list.clear, pending.values()))
        return changes

    def forget(self) -> None:
        """Look for the places of all label sets again; nothing may have gathered."""
        self._pending.clear()
        self._places.clear()


class Tabulator(NamedTuple):
    """Takes the rows of one format for all tables: from its columns to label values, and to each table's feed."""

    columns: Sequence[Column] = ()
    feeds: Sequence[Feed] = ()
    filters: Sequence[Filter] = ()

    def take(self, rows: Rows, times: int = 1) -> int:
        """Take rows, each standing for so many lines; tell how many of these rules have dropped."""
        lines = rows.lines
        for each in self.filters:
            kept = each.keeps(rows)
            if not all(kept):
                rows = Rows(sum(kept), [[*compress(column, kept)] for column in rows.columns], rows.rest)
        if not self.feeds:
            return (lines - rows.lines) * times
        values: list[Iterable[str]] = [column.values(rows) for column in self.columns]
        if len(self.feeds) > 1:
            values = [[*each] for each in values]
        for feed in self.feeds:
            feed.take(rows, values, times)
        for column, taken in zip(self.columns, values, strict=True):
            if column.admission.is_full:
                listed = taken if isinstance(taken, list) else column.values(rows)
                column.admission.capped += count_capped(listed) * times
        return (lines - rows.lines) * times

    def forget(self) -> None:
        """Look at all texts and label sets again, for places were freed; nothing may have gathered."""
        for column in self.columns:
            column.forget()
        for feed in self.feeds:
            feed.forget()
