"""Totals that were kept under other metrics, labels or buckets: what of them still fits, and where it goes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from haproxy_log_exporter.metrics.layout import LANE_BITS, Layout

Blocks = Sequence[tuple[str, int]]


class Move(NamedTuple):
    """How kept totals become those of a layout, and the metrics whose totals have no place in it."""

    packed: Callable[[int], int]
    lost: list[str]


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
