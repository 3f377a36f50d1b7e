"""Totals that were kept under other metrics, labels or buckets: what of them still fits, and where it goes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from haproxy_log_exporter.metrics.layout import LANE_BITS, Layout
from haproxy_log_exporter.metrics.totals import Row, Table

Blocks = Sequence[tuple[str, int]]


class Move(NamedTuple):
    """How kept totals become those of a layout, and the metrics whose totals have no place in it."""

    packed: Callable[[int], int]
    lost: list[str]


class KeptTable(NamedTuple):
    """A table as it was: what it is called, its labels, what its lanes hold, and its label sets with their totals."""

    key: str
    names: tuple[str, ...]
    blocks: Blocks
    rows: Sequence[Row]

    @property
    def identity(self) -> tuple[str, frozenset[str]]:
        """What it is known again by: the same labels in another order are the same."""
        return self.key, frozenset(self.names)

    @property
    def metrics(self) -> list[str]:
        """The names of its metrics."""
        return [name.partition(" ")[0] for name, _ in self.blocks if not name.startswith("lines ")]

    def fits(self, table: Table) -> bool:
        """Whether a table is as this one was."""
        return self.key == table.key and self.names == table.names and [*self.blocks] == table.layout.blocks()


class Lost(NamedTuple):
    """Metrics whose totals have no place any more: why, and the labels that they had."""

    metrics: Sequence[str]
    why: str
    labels: Sequence[str]


def keep(table: Table) -> KeptTable:
    """Keep what a table shows."""
    return KeptTable(table.key, table.names, table.layout.blocks(), table.kept())


def carry_over(kept: Sequence[KeptTable], tables: Sequence[Table]) -> list[Lost]:
    """Let new tables begin with what was kept: of each metric, where its labels and buckets are the same."""
    known = {each.identity: each for each in kept}
    chosen = {slot.metric.name for table in tables for slot in table.layout.slots}
    lost: list[Lost] = []
    for table in tables:
        each = known.pop((table.key, frozenset(table.names)), None)
        if each is None:
            continue
        if each.fits(table):
            table.restore(each.rows)
            continue
        order = [each.names.index(name) for name in table.names]
        move = move_to(table.layout, each.blocks)
        moved = ((values, packed, move.packed(packed), used) for values, packed, used in each.rows)
        table.restore(
            [
                Row(tuple(values[place] for place in order), total, used)
                for values, packed, total, used in moved
                if total or not packed  # else nothing of it is left
            ]
        )
        there = {slot.metric.name for slot in table.layout.slots}
        elsewhere = [name for name in each.metrics if name in chosen - there]
        lost += _lost(each, elsewhere, [name for name in move.lost if name not in elsewhere])
    for each in known.values():
        names = each.metrics or [each.key]
        lost += _lost(each, [name for name in names if name in chosen], [name for name in names if name not in chosen])
    return lost


def _lost(kept: KeptTable, elsewhere: Sequence[str], gone: Sequence[str]) -> list[Lost]:
    """Tell of metrics that have other labels now, and of those that are not there any more or have other buckets."""
    found = ((elsewhere, "labels were"), (gone, "metrics or buckets have changed; labels are"))
    return [Lost([*dict.fromkeys(names)], why, kept.names) for names, why in found if names and kept.rows]


def move_to(layout: Layout, kept: Blocks) -> Move:
    """Find the lanes of a layout among kept ones, whose blocks are named as in `Layout.blocks`."""
    there = {}
    lane = 0
    for name, lanes in kept:
        there[name, lanes] = lane
        lane += lanes
    moves: list[tuple[int, int, int]] = []
    lane = 0
    for name, lanes in layout.blocks():
        source = there.pop((name, lanes), None)
        if source is not None and lanes:
            moves.append((LANE_BITS * source, (1 << LANE_BITS * lanes) - 1, LANE_BITS * lane))
        lane += lanes

    def move(packed: int) -> int:
        return sum((packed >> source & mask) << target for source, mask, target in moves)

    lines = [name for name, _ in there if name.startswith("lines ")]
    # A metric without lanes is a count of lines, and lost with them alone.
    lost = [name.partition(" ")[0] for name, lanes in there if name not in lines and (lanes or lines)]
    return Move(move, lost)
