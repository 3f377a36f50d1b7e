"""The totals of each label set: what has been flushed and may be shown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from haproxy_log_exporter.metrics.layout import Layout

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Snapshot(NamedTuple):
    """Label texts as in the exposition, and packed totals, of one moment."""

    texts: list[bytes]
    totals: list[int]


class Table:
    """Metrics that share their labels, with a packed total for each label set.

    `key` is what it is called in the state. Not safe for threads by itself: `add` and `snapshot` are called under one
    lock.
    """

    def __init__(self, names: Sequence[str], layout: Layout, key: str = "") -> None:
        """Start without any label set."""
        self.key = key
        self.names = tuple(names)
        self.layout = layout
        self._positions: dict[tuple[str, ...], int] = {}
        self._values: list[tuple[str, ...]] = []  # by position
        self._texts: list[bytes] = []
        self._totals: list[int] = []

    def __len__(self) -> int:
        """How many label sets there are."""
        return len(self._values)

    def position(self, values: tuple[str, ...]) -> int:
        """Find or make the place of a label set."""
        place = self._positions.get(values)
        if place is None:
            place = self._positions[values] = len(self._values)
            self._values.append(values)
        return place

    def restore(self, values: Sequence[tuple[str, ...]], totals: Sequence[int]) -> None:
        """Begin with label sets and their totals, in the order of their places."""
        assert not self._values
        self._values = [*values]
        self._positions = {each: place for place, each in enumerate(values)}
        self._texts = [label_text(self.names, each) for each in values]
        self._totals = [*totals]

    def add(self, grown: Mapping[int, int], size: int | None = None) -> None:
        """Add to the totals of positions, and show so many label sets, all without a number."""
        fresh = self._values[len(self._totals) : size]
        self._texts += [label_text(self.names, values) for values in fresh]
        self._totals += [0] * len(fresh)
        totals = self._totals
        for place, packed in grown.items():
            totals[place] += packed

    def snapshot(self) -> Snapshot:
        """Copy the references to texts and totals."""
        return Snapshot(self._texts.copy(), self._totals.copy())

    def fresh(self, size: int) -> list[tuple[int, tuple[str, ...]]]:
        """List the label sets that are not shown yet, up to a number of them, each with its place."""
        shown = len(self._totals)
        return [*enumerate(self._values[shown:size], shown)]

    def total(self, place: int) -> int:
        """Give a total that is shown; 0 of a label set that is not."""
        return self._totals[place] if place < len(self._totals) else 0


class Change(NamedTuple):
    """What a table's totals are to grow by: for each place so much, and how many label sets there are by then.

    Until it is added nothing else is, so whoever keeps the totals can be told of them in another thread.
    """

    table: Table
    grown: Mapping[int, int]
    size: int

    def label_sets(self) -> list[tuple[int, tuple[str, ...]]]:
        """List the new label sets, each with its place."""
        return self.table.fresh(self.size)

    def totals(self) -> Iterator[tuple[int, int]]:
        """Give the totals that have grown as they will be, each with its place."""
        total = self.table.total
        return ((place, total(place) + packed) for place, packed in sorted(self.grown.items()))


def label_text(names: Sequence[str], values: Sequence[str]) -> bytes:
    r"""Write labels as in the exposition: a="x",b="y", with \, " and newline escaped."""
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True))
    return ",".join(pairs).encode()
