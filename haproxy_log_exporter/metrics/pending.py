"""Where the rows of a format gather until the next flush.

Strategy: a row is grouped under its labels' raw bytes by appending what its numbers add to that label set's list, all
of it in C: `map` drives `dict.__getitem__` and `list.append`, no line takes a step of Python. The flush adds up each
list and only then looks at the labels, once for each distinct set.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from itertools import islice, repeat
from operator import mul

from haproxy_log_exporter.labels.catalogue import Value
from haproxy_log_exporter.labels.reading import LabelReader
from haproxy_log_exporter.logformat.reader import Reader, Rows
from haproxy_log_exporter.metrics.layout import Contributions
from haproxy_log_exporter.metrics.totals import Table

# Raw label sets that are kept, with their place in the table, from one flush to the next.
_MOST_REMEMBERED = 1 << 17

_exhaust = deque[None](maxlen=0).extend


class Feed:
    """Takes the rows of one format for one table."""

    def __init__(self, table: Table, reader: Reader, labels: Sequence[LabelReader], weight: int = 1) -> None:
        """Bind the format's columns to the table's labels and numbers; each line stands for `weight` of them."""
        self.table = table
        self._labels = labels
        self._weight = weight
        names = [group[0] if len(group) == 1 else "" for group in reader.groups]
        self._fields = [*dict.fromkeys(name for label in labels for name in label.fields)]
        self._columns = [names.index(name) for name in self._fields]
        self._one = table.layout.line(reader.kind)
        self._numbers: list[tuple[int, Contributions]] = []
        for column, group in enumerate(reader.groups):
            if table.layout.fields.intersection(group):
                base = 0 if self._numbers else self._one
                splitter = reader.splitters.get(group)
                self._numbers.append((column, Contributions(table.layout, group, splitter, base)))
        self._pending: defaultdict[tuple[Value, ...], list[int]] = defaultdict(list)
        self._places: list[int] = []  # of the raw label sets in pending, in their order

    def take(self, rows: Rows, times: int = 1) -> None:
        """Group rows under their labels; each stands for so many lines."""
        columns = rows.columns
        keys = (
            zip(*(columns[column] for column in self._columns), strict=True)
            if self._columns
            else repeat((), rows.lines)
        )
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
        pending, places = self._pending, self._places
        places.extend(map(self._place, islice(pending, len(places), None)))
        changes: defaultdict[int, int] = defaultdict(int)
        for place, packed in zip(places, map(sum, pending.values()), strict=True):
            if packed:
                changes[place] += packed * self._weight
        if len(pending) > _MOST_REMEMBERED:
            pending.clear()
            places.clear()
        else:
            _exhaust(map(list.clear, pending.values()))
        return changes

    def _place(self, raw: tuple[Value, ...]) -> int:
        """Find the place of a raw label set, looking at its labels."""
        values = dict(zip(self._fields, raw, strict=True))
        return self.table.position(tuple(label.read(values) for label in self._labels))
