from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.metrics.catalogue import METRICS, Metric, Way
from haproxy_log_exporter.metrics.layout import LANE_BITS, Layout, Slot
from haproxy_log_exporter.metrics.moving import move_to
from tests.metrics import patient
from tests.metrics.test_layout import BY_NAME, numbers

BUCKETS = [("0.1", "1"), ("0.1", "0.5", "1"), ("0.1", "2"), ()]
metric_sets = st.lists(st.sampled_from(METRICS), unique=True, max_size=8)


def numbers_of(layout: Layout, packed: int) -> dict[str, list[int]]:
    """Read all metrics."""
    return {slot.metric.name: numbers(layout, slot, packed) for slot in layout.slots}


def is_same(slot: Slot, kept: Slot | None) -> bool:
    """Whether a metric's numbers mean what they meant."""
    return kept is not None and slot.bounds == kept.bounds


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Lay out some metrics, in any order, with any buckets."""
    return Layout(draw(metric_sets), draw(st.sampled_from(BUCKETS)))


def draw_total(data: st.DataObject, layout: Layout) -> int:
    """Draw a total that has any number in each lane."""
    lanes = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=layout.size // 8, max_size=layout.size // 8))
    return sum(lane << LANE_BITS * place for place, lane in enumerate(lanes))


@patient
@given(st.data(), layouts(), layouts())
def test_what_fits_is_moved_and_the_rest_is_lost(data: st.DataObject, kept: Layout, layout: Layout) -> None:
    """Each metric that is there again with its buckets has its numbers; the others begin at 0, and are named."""
    packed = draw_total(data, kept)
    move = move_to(layout, kept.blocks())
    moved = move.packed(packed)
    before, after = numbers_of(kept, packed), numbers_of(layout, moved)
    slots = {slot.metric.name: slot for slot in kept.slots}
    counted = dict(zip(kept.kinds, kept.lanes(packed), strict=False))
    for slot in layout.slots:
        name = slot.metric.name
        if slot.metric.way is Way.LINES:
            assert after[name] == [sum(counted.get(kind, 0) for kind in slot.metric.kinds)]
        elif is_same(slot, slots.get(name)):
            assert after[name] == before[name]
        else:
            assert not any(after[name])
    stay = {slot.metric.name for slot in layout.slots if is_same(slot, slots.get(slot.metric.name))}
    gone = [slot.metric.name for slot in kept.slots if slot.metric.name not in stay]
    if {*kept.kinds} <= {*layout.kinds}:  # each line that was counted still is
        gone = [name for name in gone if slots[name].metric.way is not Way.LINES]
    assert move.lost == gone
    assert moved < 1 << 8 * layout.size or not moved


@patient
@given(st.data(), layouts())
def test_same_layout_keeps_all(data: st.DataObject, layout: Layout) -> None:
    """To the bit, and nothing is lost."""
    packed = draw_total(data, layout)
    move = move_to(layout, layout.blocks())
    assert move.packed(packed) == packed
    assert move.lost == []


@patient
@given(st.data(), layouts(), layouts())
def test_way_there_and_back_keeps_what_both_have(data: st.DataObject, first: Layout, second: Layout) -> None:
    """What the second layout has as well is as it was, all else is 0."""
    packed = draw_total(data, first)
    back = move_to(first, second.blocks()).packed(move_to(second, first.blocks()).packed(packed))
    shared = {(name, lanes) for name, lanes in first.blocks() if (name, lanes) in second.blocks()}
    lanes, lane = first.lanes(packed), 0
    expected = 0
    for name, width in first.blocks():
        for place in range(lane, lane + width):
            expected |= (lanes[place] if (name, width) in shared else 0) << LANE_BITS * place
        lane += width
    assert back == expected


@patient
@given(st.permutations([metric for metric in METRICS if metric.sources]))
def test_order_of_metrics_does_not_matter(metrics: Sequence[Metric]) -> None:
    """A later version may have its catalogue in another order."""
    kept, layout = Layout(sorted(metrics, key=lambda metric: metric.name), ("1",)), Layout(metrics, ("1",))
    packed = sum(number + 1 << LANE_BITS * number for number in range(kept.size // 8))
    move = move_to(layout, kept.blocks())
    assert numbers_of(layout, move.packed(packed)) == numbers_of(kept, packed)
    assert move.lost == []


@pytest.mark.parametrize(
    ("kept", "asked", "lost"),
    [
        (["requests_total", "sessions_total"], ["requests_total"], ["sessions_total"]),
        (["requests_total", "response_duration_seconds"], ["response_duration_seconds"], []),
        (["requests_total", "response_duration_seconds"], ["requests_total"], ["response_duration_seconds"]),
        (["requests_total"], [], ["requests_total"]),
        ([], ["requests_total"], []),
    ],
)
def test_count_of_lines_is_lost_with_its_lines_alone(kept: list[str], asked: list[str], lost: list[str]) -> None:
    """Where other metrics count lines of the kind, nothing of it is lost."""
    layout = Layout([BY_NAME[name] for name in asked], ("1",))
    assert move_to(layout, Layout([BY_NAME[name] for name in kept], ("1",)).blocks()).lost == lost


def test_what_this_version_does_not_know_is_lost() -> None:
    """A metric of another version has no place, and is named."""
    layout = Layout([BY_NAME["requests_total"]], ())
    kept = [("lines http", 1), ("speed_seconds 1 2", 5), ("lines quic", 1), ("requests_total", 0)]
    packed = sum(number + 1 << LANE_BITS * number for number in range(7))
    move = move_to(layout, kept)
    assert move.lost == ["speed_seconds"]
    assert move.packed(packed) == 1
    assert move_to(layout, [("speed_seconds 1 2", 5), *layout.blocks()]).packed(packed) == 6
