import re
from bisect import bisect_left
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.metrics import layout as layout_module
from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS, METRICS, Metric, Way
from haproxy_log_exporter.metrics.layout import Contributions, Layout, Slot
from tests.metrics import patient

BY_NAME = {metric.name: metric for metric in METRICS}
RESPONSE = BY_NAME["response_duration_seconds"]

WIDTH = sum(lanes for _, lanes in Layout(METRICS, DEFAULT_BUCKETS).blocks())

# What 19 digits hold at most, the ends of signed 64 bits, and what HAProxy writes most.
LARGEST = 10**19 - 1
NUMBERS = st.one_of(
    st.integers(0, 20_000), st.integers(0, LARGEST), st.sampled_from([0, 1, 2**31, 2**63 - 1, 2**63, LARGEST])
)
TIMERS = st.one_of(NUMBERS.map(str), NUMBERS.map("+{}".format), st.just("-1")).map(str.encode)
SIZES = TIMERS
QUEUES = st.one_of(NUMBERS.map(str), st.just("-1")).map(str.encode)
TEXTS: dict[str, st.SearchStrategy[bytes]] = {
    "bytes_read": SIZES,
    "bytes_uploaded": SIZES,
    "retries": NUMBERS.map(str).map(str.encode),
    "redispatched": st.sampled_from([b"", b"+"]),
    "server_queue": QUEUES,
    "backend_queue": QUEUES,
}


def numbers(layout: Layout, slot: Slot, packed: int) -> list[int]:
    """Read a metric's numbers: a histogram's counts a bucket and its sum, or a counter's values."""
    values = layout.lanes(packed)

    def wide(lane: int) -> int:
        return values[lane] + (values[lane + 1] << 64)

    match slot.metric.way:
        case Way.OBSERVE:
            return [*values[slot.lane : slot.sum_lane], wide(slot.sum_lane)]
        case Way.ADD:
            return [wide(slot.lane)]
        case Way.FLAG | Way.ABORT:
            return [*values[slot.lane : slot.lane + len(slot.metric.sources)]]
        case Way.LINES:
            return [sum(values[layout.kinds[kind]] for kind in slot.metric.kinds)]


def modelled(slot: Slot, lines: list[dict[str, bytes | None]]) -> list[int]:
    """Say what `numbers` must be, a line at a time and without packing."""
    metric = slot.metric
    if metric.way is Way.LINES:
        return [len(lines)]
    texts = [[line[field] for line in lines] for field, _ in metric.sources]
    present = [text.decode() for text in texts[0] if text is not None]
    match metric.way:
        case Way.OBSERVE:
            final = [int(text) for text in present if text[0] not in "-+"]
            bounds = [Decimal(bound) for bound in metric.buckets or DEFAULT_BUCKETS]
            places = Counter(sum(Decimal(number) / metric.per_unit > bound for bound in bounds) for number in final)
            return [*(places[place] for place in range(len(bounds) + 1)), sum(final)]
        case Way.ADD:
            return [sum(max(0, int(text)) for text in present)]
        case Way.FLAG:
            return [present.count("+")]
        case _:
            return [sum(text == b"-1" for text in column) for column in texts]


@st.composite
def lines_of_all_fields(draw: st.DrawFn) -> list[dict[str, bytes | None]]:
    """Make lines in which each field has a text or is missing."""
    fields = sorted(Layout(METRICS, DEFAULT_BUCKETS).fields)
    line = st.fixed_dictionaries({field: st.none() | TEXTS.get(field, TIMERS) for field in fields})
    return draw(st.lists(line, max_size=30))


@patient
@given(lines_of_all_fields())
def test_fold_is_what_a_straightforward_model_counts(lines: list[dict[str, bytes | None]]) -> None:
    """Whatever the lines hold, adding up what they contribute gives each metric the numbers of a plain count."""
    layout = Layout(METRICS, DEFAULT_BUCKETS)
    packed = sum(
        layout.line("http") + sum(layout.contribution(field, text) for field, text in line.items()) for line in lines
    )
    for slot in layout.slots:
        if "http" in slot.metric.kinds or slot.metric.way is not Way.LINES:
            assert numbers(layout, slot, packed) == modelled(slot, lines), slot.metric.name


@pytest.mark.parametrize("metric", [metric for metric in METRICS if metric.sources], ids=lambda metric: metric.name)
def test_billions_of_the_largest_numbers_stay_in_their_lanes(metric: Metric) -> None:
    """A trillion lines of the largest number that is read make no lane run over into its neighbour."""
    layout = Layout([metric, RESPONSE, metric], DEFAULT_BUCKETS)
    field = metric.sources[0][0]
    lines = 2**40
    packed = layout.contribution(field, b"%d" % LARGEST) * lines
    before, between, after = layout.slots
    assert numbers(layout, before, packed) == numbers(layout, after, packed)
    if metric.way is Way.OBSERVE:
        assert numbers(layout, before, packed)[-2:] == [lines, LARGEST * lines]
    elif metric.way is Way.ADD:
        assert numbers(layout, before, packed) == [LARGEST * lines]
    if metric is not RESPONSE:
        assert not any(numbers(layout, between, packed))
    assert not any(layout.lanes(packed)[: len(layout.kinds)])


@pytest.mark.parametrize("bound", [*DEFAULT_BUCKETS, "0.001", "0.029", "0.057", "0.07", "1.001", "1.005", "4.35"])
def test_bound_is_inclusive_to_the_millisecond(bound: str) -> None:
    """An observation of exactly a bound is in its bucket, one of a millisecond more is in the next."""
    layout = Layout([RESPONSE], [bound])
    exact = int(Decimal(bound) * 1000)
    for number, place in ((exact - 1, 0), (exact, 0), (exact + 1, 1)):
        packed = layout.contribution("time_response", b"%d" % number)
        expected = [0, 0, number]
        expected[place] = 1
        assert numbers(layout, layout.slots[0], packed) == expected


@patient
@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=20, unique=True).map(sorted), st.integers(0, 2 * 10**7))
def test_any_bounds_are_inclusive(bounds: list[int], number: int) -> None:
    """With bounds of any microsecond, an observation is in the first bucket whose bound it does not exceed."""
    layout = Layout([RESPONSE], [f"{Decimal(bound) / 10**6:f}" for bound in bounds])
    counts = numbers(layout, layout.slots[0], layout.contribution("time_response", b"%d" % number))[:-1]
    assert counts.index(1) == bisect_left(bounds, number * 1000)
    assert sum(counts) == 1


def test_bound_between_two_milliseconds() -> None:
    """A bound below a millisecond takes what is below it, and is not rounded."""
    layout = Layout([RESPONSE], ["0.0005", "0.0015"])
    places = [
        numbers(layout, layout.slots[0], layout.contribution("time_response", text)).index(1)
        for text in (b"0", b"1", b"2")
    ]
    assert places == [0, 1, 2]


@pytest.mark.parametrize("text", [None, b"-1", b"+0", b"+17", b"+9999999999999999999"])
def test_what_is_missing_or_not_final_is_no_observation(text: bytes | None) -> None:
    """-1, a value logged early and a missing field add nothing to a histogram."""
    assert Layout([RESPONSE], DEFAULT_BUCKETS).contribution("time_response", text) == 0


@pytest.mark.parametrize("text", [b"", b"-"])
@pytest.mark.parametrize(
    "name", ["bytes_read_total", "retries_total", "response_duration_seconds", "server_queue_length"]
)
def test_what_a_sample_prints_without_a_value_adds_nothing(name: str, text: bytes) -> None:
    """%[txn.conn_retries] prints nothing in quotes, and otherwise a dash, where there is no number."""
    metric = BY_NAME[name]
    assert Layout([metric], DEFAULT_BUCKETS).contribution(metric.sources[0][0], text) == 0


def test_kinds_have_lanes_and_masks_of_their_own() -> None:
    """A line of a kind shows in the metrics that are made of that kind alone."""
    layout = Layout(METRICS, DEFAULT_BUCKETS)
    assert set(layout.kinds) == {"http", "tcp", "error", "notice"}
    for kind in layout.kinds:
        shown = {slot.metric.name for slot in layout.slots if layout.line(kind) * 3 & layout.mask(slot.metric)}
        assert shown == {metric.name for metric in METRICS if kind in metric.kinds}
    total = layout.line("http") * 2**62 + layout.line("tcp")
    assert [layout.lanes(total)[layout.kinds[kind]] for kind in ("http", "tcp")] == [2**62, 1]


def test_fields_are_those_of_the_metrics() -> None:
    """A layout asks for no more fields than its metrics are made of."""
    layout = Layout([RESPONSE, BY_NAME["aborts_total"], BY_NAME["requests_total"]], DEFAULT_BUCKETS)
    assert layout.fields == {"time_request", "time_queue", "time_connect", "time_response"}
    assert layout.contribution("bytes_read", b"17") == 0


def test_text_of_several_fields_is_told_apart() -> None:
    """A run of timers adds what its fields add one by one, and the base once."""
    fields = ("time_request", "time_queue", "time_connect", "time_response", "time_total")
    layout = Layout([metric for metric in METRICS if metric.sources], DEFAULT_BUCKETS)
    splitter = re.compile(rb"/".join([rb"([-+]?[0-9]+)"] * len(fields)))
    contributions = Contributions(layout, fields, splitter, base := layout.line("http"))
    parts = (b"10", b"-1", b"0", b"9999999999999999999", b"+20")
    expected = base + sum(layout.contribution(field, part) for field, part in zip(fields, parts, strict=True))
    assert contributions[b"/".join(parts)] == expected
    assert contributions[b"/".join(parts)] == expected
    assert contributions[None] == base


@patient
@given(st.lists(st.none() | TIMERS, max_size=40))
def test_remembered_texts_are_bounded_and_right(texts: list[bytes | None]) -> None:
    """However many distinct texts there are, few are kept, and each still adds the same."""
    layout = Layout([RESPONSE], DEFAULT_BUCKETS)
    contributions = Contributions(layout, ("time_response",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout_module, "_MOST_TEXTS", 5)
        for text in texts:
            assert contributions[text] == layout.contribution("time_response", text)
            assert len(contributions) <= 5


def test_blocks_name_all_lanes_once() -> None:
    """They are as many lanes as there are, no name is there twice, and each metric has its own."""
    for metrics in (METRICS, METRICS[::-1], METRICS[2:5], ()):
        layout = Layout(metrics, DEFAULT_BUCKETS)
        blocks = layout.blocks()
        assert sum(lanes for _, lanes in blocks) * 8 == layout.size
        assert len({name for name, _ in blocks}) == len(blocks)
        names = [name.partition(" ")[0] for name, _ in blocks]
        assert names == ["lines"] * len(layout.kinds) + [metric.name for metric in metrics]


def test_blocks_have_the_same_names_where_they_mean_the_same() -> None:
    """How a bound is written makes no difference, nor does what stands beside; any other bound does."""

    def block(metric: Metric, *buckets: str) -> tuple[str, int]:
        return Layout([BY_NAME["aborts_total"], metric, *METRICS[:2]], buckets).blocks()[-3]

    assert block(RESPONSE, "0.1", "1") == block(RESPONSE, "1e-1", "1.000")
    assert block(RESPONSE, "0.1", "1") == Layout([RESPONSE], ("0.1", "1")).blocks()[-1]
    different = [("0.1", "1"), ("0.1",), ("0.1", "10"), ("0.01", "1"), ("0.1", "0.5", "1"), ()]
    assert len({block(RESPONSE, *buckets) for buckets in different}) == len(different)
    queue = BY_NAME["server_queue_length"]
    assert len({block(queue, *buckets) for buckets in different}) == 1


@patient
@given(st.lists(st.lists(st.integers(0, 2**64 - 1), min_size=WIDTH, max_size=WIDTH), max_size=5))
def test_many_totals_are_unpacked_at_once(rows: list[list[int]]) -> None:
    """Of each total a metric's lanes are its own, and lines of a kind those of the kind, whatever the others hold."""
    layout = Layout(METRICS, DEFAULT_BUCKETS)
    totals = [sum(value << 64 * lane for lane, value in enumerate(row)) for row in rows]
    seen = len(layout.kinds)
    for slot, (_, width) in zip(layout.slots, layout.blocks()[seen:], strict=True):
        if width:
            assert [*layout.rows(slot, totals)] == [tuple(row[slot.lane : slot.lane + width]) for row in rows]
            seen += width
    for kind, lane in layout.kinds.items():
        assert layout.lines(kind, totals) == [row[lane] for row in rows]
    assert seen == WIDTH
