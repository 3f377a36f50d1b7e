"""The totals of each label set: what has been flushed and may be shown."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from haproxy_log_exporter.labels.limits import MOST_SERIES, OTHER, is_nearly_full
from haproxy_log_exporter.metrics.layout import Layout

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

LabelSet = tuple[str, ...]


class Snapshot(NamedTuple):
    """Label texts as in the exposition, and packed totals, of one moment.

    Where a label set was dropped, the total is 0 until the place is taken again. `certain` are places that are shown
    with nothing counted, with the kinds of lines that they are of, as in `Layout.line`.
    """

    texts: list[bytes]
    totals: list[int]
    certain: Mapping[int, int] = {}

    def count(self, mask: int) -> int:
        """Count the label sets that have lines of the kinds in a mask, or are certain to."""
        return sum(1 for packed in self.totals if packed & mask) + sum(
            1 for place, kinds in self.certain.items() if kinds & mask and not self.totals[place] & mask
        )


class Series(NamedTuple):
    """The label sets of a metric: how many there may be, how many lines had no place, and how many have expired."""

    most: int
    capped: int
    expired: int


class Row(NamedTuple):
    """A label set, its total, and when that last grew, in seconds for which lines were counted."""

    values: LabelSet
    total: int
    used: float


class Change(NamedTuple):
    """What becomes of a table: what totals grow by, the label sets that come, and the places that are free then.

    `moment` is when that was counted, in seconds for which lines were counted. Until it is applied nothing else is, so
    whoever keeps the totals can be told of them in another thread.
    """

    table: "Table"
    grown: Mapping[int, int]
    fresh: Mapping[int, LabelSet] = {}
    dropped: Sequence[int] = ()
    moment: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether nothing becomes of the table."""
        return not (self.grown or self.fresh or self.dropped)

    def totals(self) -> Iterator[tuple[int, int]]:
        """Give the totals that have grown as they will be, each with its place."""
        total = self.table.total
        return ((place, total(place) + packed) for place, packed in sorted(self.grown.items()))


class Table:
    """Metrics that share their labels, with a packed total for each label set.

    `key` and the names are what it is called in the state. `static` labels stand in all its series; `most` is how many
    label sets there may be, beside one of `other` alone. Not safe for threads by itself: `apply` and `snapshot` are
    called under one lock.
    """

    def __init__(
        self,
        names: Sequence[str],
        layout: Layout,
        key: str = "",
        static: Sequence[tuple[str, str]] = (),
        most: int = MOST_SERIES,
    ) -> None:
        """Start without any label set."""
        self.key = key
        self.names = tuple(names)
        self.layout = layout
        self._capped: Counter[str] = Counter()  # lines without a label set of their own, by metric
        self._expired: Counter[str] = Counter()  # label sets that were dropped, by metric
        self._static = (*static,)
        self.most = most
        self._others = (OTHER,) * len(self.names)
        self._positions: dict[LabelSet, int] = {}
        self._next = 0  # the place after the last one that was ever taken
        self._free: list[int] = []
        self._fresh: dict[int, LabelSet] = {}  # label sets that are in no change yet
        self._dropped: list[int] = []  # places that are in no change yet
        self._declared: Mapping[int, int] = {}  # never changed, for scrapes look at it
        # What is shown, by place.
        self._sets: dict[int, LabelSet] = {}
        self._texts: list[bytes] = []
        self._totals: list[int] = []
        # When each total last grew, in seconds for which lines were counted: what is idle while nobody looks is not.
        self._used: list[float] = []

    def __len__(self) -> int:
        """How many label sets there are."""
        return len(self._positions)

    @property
    def is_nearly_full(self) -> bool:
        """Whether there may be few more label sets."""
        return is_nearly_full(self.taken, self.most)

    @property
    def taken(self) -> int:
        """How many label sets there are beside that of `other` alone."""
        return len(self) - (self._others in self._positions)

    @property
    def newest(self) -> float:
        """When any total last grew."""
        return max(self._used, default=0.0)

    @property
    def label_sets(self) -> Iterable[LabelSet]:
        """All label sets."""
        return self._positions

    def position(self, values: LabelSet) -> int:
        """Find or make the place of a label set, however many there are."""
        place = self._positions.get(values)
        if place is None:
            if self._free:
                place = self._free.pop()
            else:
                place, self._next = self._next, self._next + 1
            self._positions[values] = place
            self._fresh[place] = values
        return place

    def find_place(self, values: LabelSet) -> int | None:
        """Find or make the place of a label set; None where there are too many."""
        place = self._positions.get(values)
        if place is None and (self.taken < self.most or values == self._others):
            return self.position(values)
        return place

    def cap(self, packed: int) -> int:
        """Count lines that have no place; give that of the label set in which they count."""
        for slot in self.layout.slots:
            if lines := self.layout.count(slot.metric, packed):
                self._capped[slot.metric.name] += lines
        return self.position(self._others)

    def series(self) -> dict[str, Series]:
        """Tell what became of label sets, by metric."""
        names = (slot.metric.name for slot in self.layout.slots)
        return {name: Series(self.most, self._capped[name], self._expired[name]) for name in names}

    def count_declared(self, mask: int) -> int:
        """Count the label sets that are declared, of the kinds in a mask."""
        return sum(1 for kinds in self._declared.values() if kinds & mask)

    def restore_series(self, series: Mapping[str, Series]) -> None:
        """Go on from what became of label sets before, by metric."""
        for slot in self.layout.slots:
            if before := series.get(slot.metric.name):
                self._capped[slot.metric.name] = before.capped
                self._expired[slot.metric.name] = before.expired

    def declare(self, label_sets: Mapping[LabelSet, int]) -> int:
        """Show these label sets from the next change on, though nothing was counted, and no others so.

        Each has the kinds of lines that it is of, as in `Layout.line`. New ones take half of the places at the most: it
        tells how many are left out.
        """
        declared: dict[int, int] = {}
        for values, kinds in label_sets.items():
            if values in self._positions or self.taken < (self.most + 1) // 2:
                declared[self.position(values)] = kinds
        self._declared = declared
        return len(label_sets) - len(declared)

    def withdraw(self, but: Container[LabelSet], growing: Container[int]) -> None:
        """Drop what nothing was counted of, `but` some label sets; places that are `growing` stay."""
        empty = [
            (place, values)
            for values, place in self._positions.items()
            if values not in but and place not in growing and not self.total(place)
        ]
        for place, values in empty:
            if self._fresh.pop(place, None):  # nobody has heard of it
                del self._positions[values]
                self._free.append(place)
            elif place in self._sets:
                self._drop(place, values)

    def _drop(self, place: int, values: LabelSet) -> None:
        if self._positions.get(values) == place:
            del self._positions[values]
            self._dropped.append(place)

    def restore(self, kept: Sequence[Row]) -> None:
        """Begin with label sets and what was counted of them, in the order of their places."""
        assert not self._next
        self._next = len(kept)
        self._sets = {place: each.values for place, each in enumerate(kept)}
        self._positions = {values: place for place, values in self._sets.items()}
        self._texts = [*map(self._text, self._sets.values())]
        self._totals = [each.total for each in kept]
        self._used = [each.used for each in kept]

    def kept(self) -> list[Row]:
        """Give all that is shown, for another table to begin with."""
        return [Row(values, self._totals[place], self._used[place]) for place, values in self._sets.items()]

    def drop_idle(self, before: float, busy: Container[int]) -> bool:
        """Drop, with the next change, label sets that have not grown since; tell whether there are any.

        Those that are certain stay, and `busy` ones, which are growing now.
        """
        found = [
            (place, values)
            for place, values in self._sets.items()
            if self._used[place] < before and place not in busy and place not in self._declared
            if self._positions.get(values) == place
        ]
        for place, values in found:
            self._drop(place, values)
            for slot in self.layout.slots:
                if self._totals[place] & self.layout.mask(slot.metric):
                    self._expired[slot.metric.name] += 1
        return bool(found)

    def change(self, grown: Mapping[int, int], moment: float) -> Change:
        """Take what has become of the table since the last change: it is to be applied, or given back."""
        change = Change(self, grown, self._fresh, self._dropped, moment)
        self._fresh, self._dropped = {}, []
        return change

    def give_back(self, change: Change) -> None:
        """Let label sets that could not be kept, or dropped, be part of the next change."""
        self._fresh = {**change.fresh, **self._fresh}
        self._dropped = [*change.dropped, *self._dropped]

    def apply(self, change: Change) -> None:
        """Show a change."""
        for place, values in change.fresh.items():
            if (missing := place + 1 - len(self._texts)) > 0:
                self._texts += [b""] * missing
                self._totals += [0] * missing
                self._used += [0.0] * missing
            self._sets[place] = values
            self._texts[place] = self._text(values)
            self._used[place] = change.moment
        totals, used = self._totals, self._used
        for place, packed in change.grown.items():
            totals[place] += packed
            used[place] = change.moment
        for place in change.dropped:
            del self._sets[place]
            self._texts[place], totals[place] = b"", 0
            self._free.append(place)

    def snapshot(self) -> Snapshot:
        """Copy the references to texts and totals."""
        certain = {place: kinds for place, kinds in self._declared.items() if place in self._sets}
        return Snapshot(self._texts.copy(), self._totals.copy(), certain)

    def total(self, place: int) -> int:
        """Give a total that is shown; 0 of a label set that is not."""
        return self._totals[place] if place in self._sets else 0

    def _text(self, values: LabelSet) -> bytes:
        names, fixed = zip(*self._static, strict=True) if self._static else ((), ())
        return label_text((*names, *self.names), (*fixed, *values))


def label_text(names: Sequence[str], values: Sequence[str]) -> bytes:
    r"""Write labels as in the exposition: a="x",b="y", with \, " and newline escaped."""
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True))
    return ",".join(pairs).encode()
