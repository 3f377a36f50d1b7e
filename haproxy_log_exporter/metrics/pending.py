"""Where the rows of a format gather until the next flush.

Strategy: a row is grouped under its labels' raw bytes by appending what its numbers add to that label set's list, all
of it in C: `map` drives `dict.__getitem__` and `list.append`, no line takes a step of Python. The flush adds up each
list and only then looks at the labels, once for each distinct set.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import islice, repeat

from haproxy_log_exporter.labels.catalogue import Label, Value, read_label
from haproxy_log_exporter.logformat.reader import Reader, Rows
from haproxy_log_exporter.metrics.layout import Contributions
from haproxy_log_exporter.metrics.totals import Table

# Raw label sets that are kept, with their place in the table, from one flush to the next.
_MOST_REMEMBERED = 1 << 17

_exhaust = deque[None](maxlen=0).extend


class Feed:
    """Takes the rows of one format for one table."""

    def __init__(self, table: Table, reader: Reader, labels: Sequence[Label]) -> None:
        """Bind the format's columns to the table's labels and numbers."""
        self.table = table
        self._labels = labels
        names = [group[0] if len(group) == 1 else "" for group in reader.groups]
        fields = [*dict.fromkeys(label.field for label in labels if label.field in names)]
        self._columns = [names.index(field) for field in fields]
        self._sources = [fields.index(label.field) if label.field in fields else -1 for label in labels]
        self._one = table.layout.line(reader.kind)
        self._numbers: list[tuple[int, Contributions]] = []
        for column, group in enumerate(reader.groups):
            if table.layout.fields.intersection(group):
                base = 0 if self._numbers else self._one
                splitter = reader.splitters.get(group)
                self._numbers.append((column, Contributions(table.layout, group, splitter, base)))
        self._pending: defaultdict[tuple[Value, ...], list[int]] = defaultdict(list)
        self._places: list[int] = []  # of the raw label sets in pending, in their order

    def take(self, rows: Rows) -> None:
        """Group rows under their labels."""
        columns = rows.columns
        keys = (
            zip(*(columns[column] for column in self._columns), strict=True)
            if self._columns
            else repeat((), rows.lines)
        )
        lists = map(self._pending.__getitem__, keys)
        if not self._numbers:
            _exhaust(map(list.append, lists, repeat(self._one)))
        elif len(self._numbers) == 1:
            column, contributions = self._numbers[0]
            _exhaust(map(list.append, lists, map(contributions.__getitem__, columns[column])))
        else:
            kept = [*lists]
            for column, contributions in self._numbers:
                _exhaust(map(list.append, kept, map(contributions.__getitem__, columns[column])))

    def fold(self) -> dict[int, int]:
        """Add up what has gathered, by place in the table, and start anew."""
        pending, places = self._pending, self._places
        places.extend(map(self._place, islice(pending, len(places), None)))
        changes: defaultdict[int, int] = defaultdict(int)
        for place, packed in zip(places, map(sum, pending.values()), strict=True):
            if packed:
                changes[place] += packed
        if len(pending) > _MOST_REMEMBERED:
            pending.clear()
            places.clear()
        else:
            _exhaust(map(list.clear, pending.values()))
        return changes

    def _place(self, raw: tuple[Value, ...]) -> int:
        """Find the place of a raw label set, looking at its labels."""
        values = (
            read_label(label, raw[source] if source >= 0 else None)
            for label, source in zip(self._labels, self._sources, strict=True)
        )
        return self.table.position(tuple(values))
