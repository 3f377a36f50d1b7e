"""How all numbers of one label set are packed into one integer, and read back.

Strategy: a label set's counts, its histograms' buckets and its sums are lanes of 64 bits in one Python integer, and
what a line adds to them is such an integer too. So folding any number of metrics is one addition at the speed of C,
a label set's state is one reference, and a scrape that holds the reference holds numbers of one moment. A sum takes
two lanes: no series of lines, however hostile, makes a lane run over into its neighbour.
"""

import re
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from haproxy_log_exporter.metrics.catalogue import Metric, Way

LANE_BITS = 64
_LANE_BYTES = 8

# What 64 bits hold. A field that a format's author has named may hold any text.
_MOST_DIGITS = 19

# How many texts are kept: a bound on memory. Texts are cheap to read again.
_MOST_TEXTS = 1 << 16


@dataclass(frozen=True, slots=True)
class Slot:
    """A metric's place: its first lane, and its buckets' upper bounds in the field's own unit."""

    metric: Metric
    lane: int
    bounds: tuple[Decimal, ...]

    @property
    def sum_lane(self) -> int:
        """Where the sum of a histogram is: behind its buckets, +Inf included."""
        return self.lane + len(self.bounds) + 1


class Layout:
    """The lanes of a set of metrics: first a count of lines for each kind, then each metric's own."""

    def __init__(self, metrics: Sequence[Metric], buckets: Sequence[str]) -> None:
        """Lay out metrics; `buckets` are upper bounds in the metric's unit, ascending, without +Inf."""
        kinds = dict.fromkeys(kind for metric in metrics for kind in metric.kinds)
        self.kinds = {kind: lane for lane, kind in enumerate(kinds)}
        slots: list[Slot] = []
        lane = len(kinds)
        for metric in metrics:
            bounds: tuple[Decimal, ...] = ()
            if metric.way is Way.OBSERVE:
                bounds = tuple(Decimal(bound) * metric.per_unit for bound in metric.buckets or buckets)
            slots.append(Slot(metric, lane, bounds))
            lane += _lanes(metric, len(bounds))
        self.slots = tuple(slots)
        self.size = lane * _LANE_BYTES
        self._unpack = struct.Struct(f"<{lane}Q").unpack

    @property
    def fields(self) -> frozenset[str]:
        """The fields whose numbers are needed."""
        return frozenset(field for slot in self.slots for field, _ in slot.metric.sources)

    def blocks(self) -> list[tuple[str, int]]:
        """Name what the lanes hold, in their order: each name stands for so many.

        Where a name is the same in another layout, the lanes hold the same: the buckets are part of it.
        """
        lines = [(f"lines {kind}", 1) for kind in self.kinds]
        return lines + [(_meaning(slot), _lanes(slot.metric, len(slot.bounds))) for slot in self.slots]

    def line(self, kind: str) -> int:
        """What a line adds by being there."""
        return 1 << LANE_BITS * self.kinds[kind]

    def count(self, metric: Metric, packed: int) -> int:
        """Count the lines that a metric is made of."""
        lane = (1 << LANE_BITS) - 1
        return sum(packed >> LANE_BITS * self.kinds[kind] & lane for kind in metric.kinds)

    def mask(self, metric: Metric) -> int:
        """Give the bits of which one is set in a total that has lines of a kind which the metric is made of."""
        lane = (1 << LANE_BITS) - 1
        return sum(lane << LANE_BITS * self.kinds[kind] for kind in metric.kinds)

    def lanes(self, packed: int) -> tuple[int, ...]:
        """Unpack all lanes."""
        return self._unpack(packed.to_bytes(self.size, "little"))

    def rows(self, slot: Slot, totals: Iterable[int]) -> Iterator[tuple[int, ...]]:
        """Unpack a metric's own lanes of many totals."""
        row = struct.Struct(f"<{_lanes(slot.metric, len(slot.bounds))}Q")
        shift, mask = LANE_BITS * slot.lane, (1 << 8 * row.size) - 1
        return row.iter_unpack(b"".join([(packed >> shift & mask).to_bytes(row.size, "little") for packed in totals]))

    def lines(self, kind: str, totals: Iterable[int]) -> list[int]:
        """Unpack how many lines of a kind each of many totals has."""
        shift, lane = LANE_BITS * self.kinds[kind], (1 << LANE_BITS) - 1
        return [packed >> shift & lane for packed in totals]

    def contribution(self, field: str, text: bytes | None) -> int:
        """What a field's text, as HAProxy wrote it, adds to the metrics that are made of it."""
        packed = 0
        if text is None:
            return packed
        for slot in self.slots:
            for variant, (source, _) in enumerate(slot.metric.sources):
                if source == field:
                    packed += _contribution(slot, variant, text)
        return packed


def _meaning(slot: Slot) -> str:
    bounds = (str(bound.normalize()) for bound in slot.bounds)
    parts = (value for _, value in slot.metric.sources if value)
    return " ".join((slot.metric.name, *bounds, *parts))


def _lanes(metric: Metric, bounds: int) -> int:
    match metric.way:
        case Way.LINES:
            return 0  # counted by kind already
        case Way.OBSERVE:
            return bounds + 1 + 2
        case Way.ADD:
            return 2
        case Way.FLAG | Way.ABORT:
            return len(metric.sources)


def _contribution(slot: Slot, variant: int, text: bytes) -> int:
    match slot.metric.way:
        case Way.LINES:
            return 0
        case Way.OBSERVE:
            if not text.isdigit() or len(text) > _MOST_DIGITS:  # missing (-1), not final (+), or a sample's text
                return 0
            number = int(text)
            bucket = bisect_left(slot.bounds, number)
            return (1 << LANE_BITS * (slot.lane + bucket)) + (number << LANE_BITS * slot.sum_lane)
        case Way.ADD:
            digits = text.removeprefix(b"+")
            return (int(digits) if digits.isdigit() and len(digits) <= _MOST_DIGITS else 0) << LANE_BITS * slot.lane
        case Way.FLAG:
            return (0 if text in (b"", b"-", b"0", b"false") else 1) << LANE_BITS * slot.lane
        case Way.ABORT:
            return (1 if text[:1] == b"-" and text[1:].isdigit() else 0) << LANE_BITS * (slot.lane + variant)


class Contributions(dict[bytes | None, int]):
    """From the text of a field, or of a run of timers, to what it adds; each distinct text is read once."""

    def __init__(
        self, layout: Layout, fields: Sequence[str], splitter: re.Pattern[bytes] | None = None, base: int = 0
    ) -> None:
        """Read `fields`, which `splitter` tells apart where they are several; every text adds `base` as well."""
        super().__init__()
        self._layout = layout
        self._fields = fields
        self._splitter = splitter
        self._base = base

    def __missing__(self, text: bytes | None) -> int:
        """Read a text that was not met before."""
        packed = self._base
        for field, part in self._parts(text):
            packed += self._layout.contribution(field, part)
        if len(self) >= _MOST_TEXTS:
            self.clear()
        self[text] = packed
        return packed

    def _parts(self, text: bytes | None) -> Iterable[tuple[str, bytes | None]]:
        if self._splitter is None or text is None:
            return [(self._fields[0], text)]
        match = self._splitter.fullmatch(text)
        assert match, (self._fields, text)
        return zip(self._fields, match.groups(), strict=True)
