"""The totals of each label set: what has been flushed and may be shown."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from haproxy_log_exporter.metrics.layout import Layout

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Snapshot(NamedTuple):
    """Label texts as in the exposition, and packed totals, of one moment."""

    texts: list[bytes]
    totals: list[int]


class Table:
    """Metrics that share their labels, with a packed total for each label set.

    Not safe for threads by itself: `add` and `snapshot` are called under one lock.
    """

    def __init__(self, names: Sequence[str], layout: Layout) -> None:
        """Start without any label set."""
        self.names = tuple(names)
        self.layout = layout
        self._positions: dict[tuple[str, ...], int] = {}
        self._texts: list[bytes] = []
        self._totals: list[int] = []

    def __len__(self) -> int:
        """How many label sets there are."""
        return len(self._positions)

    def position(self, values: tuple[str, ...]) -> int:
        """Find or make the place of a label set."""
        place = self._positions.get(values)
        if place is None:
            place = self._positions[values] = len(self._positions)
        return place

    def add(self, changes: Mapping[int, int]) -> None:
        """Add to the totals of positions."""
        if len(self._totals) < len(self._positions):
            fresh = [*self._positions][len(self._totals) :]
            self._texts += [label_text(self.names, values) for values in fresh]
            self._totals += [0] * len(fresh)
        totals = self._totals
        for place, packed in changes.items():
            totals[place] += packed

    def snapshot(self) -> Snapshot:
        """Copy the references to texts and totals."""
        return Snapshot(self._texts.copy(), self._totals.copy())


def label_text(names: Sequence[str], values: Sequence[str]) -> bytes:
    r"""Write labels as in the exposition: a="x",b="y", with \, " and newline escaped."""
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True))
    return ",".join(pairs).encode()
