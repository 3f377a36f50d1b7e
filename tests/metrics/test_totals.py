from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.labels.limits import OTHER
from haproxy_log_exporter.metrics.catalogue import METRICS
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.totals import LabelSet, Row, Series, Table, label_text
from tests.metrics import patient
from tests.tables import grow, shown

BY_NAME = {metric.name: metric for metric in METRICS}
HTTP_AND_TCP = ("requests_total", "sessions_total", "bytes_read_total")


def make_table(
    *names: str,
    metrics: Sequence[str] = ("requests_total",),
    static: Sequence[tuple[str, str]] = (),
    most: int = 1000,
) -> Table:
    """Make a table that counts lines by the labels."""
    return Table(names, Layout([BY_NAME[name] for name in metrics], ()), "traffic", static, most)


def test_label_set_keeps_its_place() -> None:
    """The same values always have the same place, and others another."""
    table = make_table("a", "b")
    places = [table.position(values) for values in (("x", "y"), ("y", "x"), ("x", "y"), ("", ""))]
    assert places == [0, 1, 0, 2]
    assert len(table) == 3


def test_place_without_count_is_not_shown() -> None:
    """A place that was asked for shows from the next change on, so texts and totals are always of one length."""
    table = make_table("a")
    grow(table, {("x",): 5})
    table.position(("y",))
    assert table.snapshot()[:2] == ([b'a="x"'], [5])
    grow(table, {})
    assert table.snapshot()[:2] == ([b'a="x"', b'a="y"'], [5, 0])


def test_snapshot_is_of_one_moment() -> None:
    """What is applied later does not reach a snapshot: growth, new label sets, dropped ones, declared ones."""
    table = make_table("a")
    grow(table, {("x",): 1})
    before = table.snapshot()
    grow(table, {("x",): 2, ("y",): 3}, 7.0)
    assert before == ([b'a="x"'], [1], {})
    between = table.snapshot()
    assert between == ([b'a="x"', b'a="y"'], [3, 3], {})
    table.declare({("z",): 1})
    assert table.drop_idle(8.0, ())
    grow(table, {})
    assert before == ([b'a="x"'], [1], {})
    assert between == ([b'a="x"', b'a="y"'], [3, 3], {})
    assert table.snapshot() == ([b"", b"", b'a="z"'], [0, 0, 0], {2: 1})


@patient
@given(st.lists(st.tuples(st.tuples(st.text(), st.text()), st.integers(0, 2**64)), max_size=30))
def test_totals_are_the_sums_of_each_label_set(additions: list[tuple[tuple[str, str], int]]) -> None:
    """Label sets are told apart by all their values, and each has the sum of its own additions."""
    table = make_table("a", "b")
    model: dict[tuple[str, str], int] = {}
    for values, packed in additions:
        grow(table, {values: packed})
        model[values] = model.get(values, 0) + packed
    texts, totals, _ = table.snapshot()
    assert dict(zip(texts, totals, strict=True)) == {
        label_text(("a", "b"), values): packed for values, packed in model.items()
    }
    assert len(set(texts)) == len(texts) == len(table) == len(model)


def test_label_text_escapes_what_the_format_asks_for() -> None:
    """Backslash, quote and newline are escaped, each once; all else is as it is, in UTF-8."""
    text = label_text(("a", "b"), ('\\"\n\\n', "é%\0\t\r{},="))
    assert text == rb'a="\\\"\n\\n"' + ',b="é%\0\t\r{},="'.encode()


def test_no_labels_have_no_text() -> None:
    """A table without labels has one label set, the empty one."""
    table = make_table()
    grow(table, {(): 1})
    assert table.snapshot()[:2] == ([b""], [1])


def test_static_labels_stand_in_all_series() -> None:
    """Before the others, escaped as these are, and they are no part of what is kept."""
    table = make_table("a", static=(("site", 'no"rth'), ("zone", "1")))
    grow(table, {("x",): 1, ("y",): 2})
    assert shown(table) == {rb'site="no\"rth",zone="1",a="x"': 1, rb'site="no\"rth",zone="1",a="y"': 2}
    other = make_table("a", static=(("site", "south"),))
    other.restore(table.kept())
    assert shown(other) == {b'site="south",a="x"': 1, b'site="south",a="y"': 2}
    alone = make_table(static=(("site", "south"),))
    grow(alone, {(): 1})
    assert shown(alone) == {b'site="south"': 1}


def test_restored_table_goes_on() -> None:
    """Label sets keep their places and totals, the next one has the next place."""
    table = make_table("a", "b")
    rows = [Row(("x", "y"), 5, 1.0), Row(("", '"\n'), 7, 2.0)]
    table.restore(rows)
    assert table.snapshot()[:2] == ([b'a="x",b="y"', rb'a="",b="\"\n"'], [5, 7])
    assert len(table) == 2
    assert table.kept() == rows
    assert [table.position(values) for values in (("", '"\n'), ("new", ""), ("x", "y"))] == [1, 2, 0]
    grow(table, {("new", ""): 1, ("x", "y"): 1}, 3.0)
    assert table.snapshot().totals == [6, 7, 1]
    assert table.kept() == [Row(("x", "y"), 6, 3.0), rows[1], Row(("new", ""), 1, 3.0)]


def test_what_is_fresh_is_not_shown_yet() -> None:
    """Label sets are part of one change, the first after they were asked for, and shown with it."""
    table = make_table("a")
    grow(table, {("shown",): 1})
    assert table.change({}, 0.0).is_empty
    table.position(("first",))
    change = table.change({1: 5}, 0.0)
    table.position(("second",))
    assert change.fresh == {1: ("first",)}
    table.apply(change)
    assert table.snapshot()[:2] == ([b'a="shown"', b'a="first"'], [1, 5])
    change = table.change({}, 0.0)
    assert change.fresh == {2: ("second",)}
    assert not change.is_empty


def test_total_is_what_is_shown() -> None:
    """A place that is not shown yet has none."""
    table = make_table("a")
    grow(table, {("x",): 3})
    table.position(("y",))
    assert [table.total(place) for place in (0, 1, 99)] == [3, 0, 0]


def test_change_tells_what_will_be() -> None:
    """Its totals are those of after, in the order of their places, of old and new label sets, again and again."""
    table = make_table("a")
    grow(table, {("old",): 10, ("other",): 20})
    new = table.position(("new",))
    change = table.change({new: 1, 0: 2}, 0.0)
    table.position(("late",))
    for _ in range(2):
        assert change.fresh == {2: ("new",)}
        assert [*change.totals()] == [(0, 12), (2, 1)]
    table.apply(change)
    assert dict(change.totals()) == {0: 14, 2: 2}
    assert table.snapshot().totals == [12, 20, 1]


@pytest.mark.parametrize("order", ["first, then second", "both at once"])
def test_what_is_given_back_is_in_the_next_change(order: str) -> None:
    """New label sets and dropped ones, those of several changes, are in the one that is applied, each once."""
    table = make_table("a")
    grow(table, {("old",): 1, ("older",): 2}, 5.0)
    table.position(("first",))
    assert table.drop_idle(6.0, {1})
    first = table.change({}, 7.0)
    assert (first.fresh, [*first.dropped]) == ({2: ("first",)}, [0])
    table.position(("second",))
    if order == "both at once":
        assert table.drop_idle(6.0, ())
        table.give_back(first)
    else:
        table.give_back(first)
        assert table.drop_idle(6.0, ())
    second = table.change({2: 3, 3: 4}, 8.0)
    assert (second.fresh, [*second.dropped]) == ({2: ("first",), 3: ("second",)}, [0, 1])
    table.give_back(second)
    assert shown(table) == {b'a="old"': 1, b'a="older"': 2}
    last = table.change({2: 3, 3: 4}, 9.0)
    assert (last.fresh, [*last.dropped]) == (second.fresh, [*second.dropped])
    table.apply(last)
    assert shown(table) == {b'a="first"': 3, b'a="second"': 4}
    assert table.change({}, 9.0).is_empty


def test_label_sets_without_growth_are_dropped() -> None:
    """Those that have not grown since a moment, but for the busy ones; those that grew at it stay."""
    table = make_table("a")
    grow(table, {("1",): 1}, 1.0)
    grow(table, {("2",): 1, ("busy",): 1}, 2.0)
    grow(table, {("3",): 1}, 3.0)
    assert not table.drop_idle(1.0, ())
    assert table.change({}, 4.0).is_empty
    assert table.drop_idle(3.0, {table.position(("busy",))})
    assert len(table) == 2
    assert len(shown(table)) == 4, "they are shown until the change is"
    assert not table.drop_idle(3.0, {2}), "they are dropped once"
    grow(table, {}, 4.0)
    assert shown(table) == {b'a="busy"': 1, b'a="3"': 1}
    assert [*table.label_sets] == [("busy",), ("3",)]
    assert [row.values for row in table.kept()] == [("busy",), ("3",)]


def test_free_places_are_taken_again() -> None:
    """By others or by those that come back, which begin anew; not before the change is shown that frees them."""
    table = make_table("a")
    grow(table, {("x",): 5, ("y",): 6}, 1.0)
    assert table.drop_idle(2.0, ())
    change = table.change({}, 2.0)
    assert table.position(("early",)) == 2
    table.apply(change)
    assert shown(table) == {}
    assert {table.position(("x",)), table.position(("z",))} == {0, 1}
    assert table.position(("w",)) == 3
    assert [table.total(place) for place in range(4)] == [0] * 4
    grow(table, {("x",): 1, ("z",): 2, ("w",): 3, ("early",): 4}, 3.0)
    assert shown(table) == {b'a="x"': 1, b'a="z"': 2, b'a="w"': 3, b'a="early"': 4}
    assert not table.drop_idle(3.0, ())


def test_label_set_that_comes_back_before_it_is_gone() -> None:
    """It has a new place, and what is counted there alone."""
    table = make_table("a")
    grow(table, {("x",): 5}, 1.0)
    assert table.drop_idle(2.0, ())
    assert table.position(("x",)) == 1
    grow(table, {("x",): 2}, 2.0)
    assert shown(table) == {b'a="x"': 2}
    assert table.position(("x",)) == 1
    assert len(table) == 1


def test_what_comes_when_all_places_are_taken_is_other() -> None:
    """All its labels are, its lines count there, and the lines without a place are counted for each metric."""
    table = make_table("a", "b", metrics=HTTP_AND_TCP, most=2)
    layout = table.layout
    for number in "12":
        grow(table, {(number, "x"): layout.line("http")})
    assert table.find_place(("3", "x")) is None
    assert table.find_place(("1", "x")) == 0
    packed = 3 * layout.line("http") + 2 * layout.line("tcp") + layout.contribution("bytes_read", b"100")
    place = table.cap(packed)
    table.apply(table.change({place: packed}, 0.0))
    assert shown(table)[b'a="other",b="other"'] == packed
    assert table._capped == {"requests_total": 3, "sessions_total": 2, "bytes_read_total": 5}
    assert table.cap(layout.line("tcp")) == place
    assert table._capped == {"requests_total": 3, "sessions_total": 3, "bytes_read_total": 6}


def test_other_takes_none_of_the_places() -> None:
    """What is called so in all labels has a place when all are taken, and leaves them all where it came first."""
    table = make_table("a", most=1)
    grow(table, {("x",): 1})
    assert table.find_place((OTHER,)) == 1
    table = make_table("a", most=1)
    grow(table, {(OTHER,): 1})
    assert table.find_place(("x",)) == 1
    assert table.find_place(("y",)) is None


def test_places_that_are_freed_may_be_taken_where_there_were_too_many() -> None:
    """And what had no place has its own from then on."""
    table = make_table("a", most=2)
    grow(table, {("x",): 1, ("y",): 1}, 1.0)
    assert table.find_place(("z",)) is None
    assert table.drop_idle(2.0, {0})
    assert table.find_place(("z",)) == 2
    assert table.find_place(("y",)) is None


def test_capped_lines_go_on_from_what_was_kept() -> None:
    """Of the metrics that are there."""
    table = make_table("a", metrics=("requests_total", "bytes_read_total"), most=0)
    before = {"requests_total": 3, "sessions_total": 9, "bytes_read_total": 4}
    table.restore_series({name: Series(9, count, 7) for name, count in before.items()})
    table.cap(2 * table.layout.line("http"))
    assert table._capped == {"requests_total": 5, "bytes_read_total": 6}


@pytest.mark.parametrize(("most", "nearly"), [(10, 8), (5, 4), (1, 1)])
def test_table_is_nearly_full_from_four_fifths_on(most: int, nearly: int) -> None:
    """Whoever set the limit can be told in time."""
    table = make_table("a", most=most)
    for number in range(nearly):
        assert not table.is_nearly_full
        table.position((str(number),))
    assert table.is_nearly_full


def declared(table: Table) -> dict[LabelSet, int]:
    """Give the label sets that are certain, with their kinds."""
    return {table._sets[place]: kinds for place, kinds in table.snapshot().certain.items()}


def test_declared_label_sets_are_shown_without_lines() -> None:
    """From the next change on, with nothing counted, of the kinds that were declared."""
    table = make_table("a", metrics=HTTP_AND_TCP)
    layout = table.layout
    http, tcp = layout.line("http"), layout.line("tcp")
    requests, sessions, both = (layout.mask(slot.metric) for slot in layout.slots)
    table.declare({("x",): http, ("y",): tcp})
    assert table.snapshot() == ([], [], {})
    grow(table, {})
    snapshot = table.snapshot()
    assert snapshot == ([b'a="x"', b'a="y"'], [0, 0], {0: http, 1: tcp})
    assert [snapshot.count(mask) for mask in (requests, sessions, both)] == [1, 1, 2]
    grow(table, {("x",): http, ("z",): tcp})
    snapshot = table.snapshot()
    assert snapshot.certain == {0: http, 1: tcp}
    assert [snapshot.count(mask) for mask in (requests, sessions, both)] == [1, 2, 3]


def test_what_is_declared_last_counts() -> None:
    """haproxy.cfg may change: what it names no more goes first, unless something was counted of it."""
    table = make_table("a", metrics=HTTP_AND_TCP)
    http, tcp = table.layout.line("http"), table.layout.line("tcp")
    table.declare({("x",): http, ("y",): http})
    grow(table, {}, 1.0)
    table.withdraw({("x",), ("z",)}, ())
    table.declare({("x",): http | tcp, ("z",): tcp})
    assert declared(table) == {("x",): http | tcp}
    grow(table, {}, 2.0)
    assert declared(table) == {("x",): http | tcp, ("z",): tcp}
    assert [*table.label_sets] == [("x",), ("z",)]
    grow(table, {("z",): tcp}, 3.0)
    table.withdraw((), {table.position(("x",))})
    table.declare({})
    grow(table, {("x",): http}, 4.0)
    assert [*table.label_sets] == [("x",), ("z",)]
    assert declared(table) == {}


def test_what_was_declared_and_never_shown_leaves_nothing() -> None:
    """Its place is taken by the next, in the state too."""
    table = make_table("a")
    table.declare({("x",): 1})
    table.withdraw((), ())
    table.declare({("y",): 1})
    assert table.position(("y",)) == 0
    assert table.change({}, 1.0)[2:4] == ({0: ("y",)}, [])


def test_what_is_declared_takes_half_of_the_places() -> None:
    """So that lines find some; what is there already takes none."""
    table = make_table("a", most=3)
    grow(table, {("x",): 1})
    assert table.declare({(value,): 1 for value in "xyz"}) == 1
    assert [*table.label_sets] == [("x",), ("y",)]


def test_declared_label_set_that_is_there_is_certain_at_once() -> None:
    """As it is after a restart, where nothing was counted of it yet: no other line has to come first."""
    table = make_table("a")
    table.restore([Row(("x",), 0, 1.0)])
    table.declare({("x",): 1})
    change = table.change({}, 2.0)
    if not change.is_empty:
        table.apply(change)
    assert declared(table) == {("x",): 1}


def test_declared_label_sets_stay() -> None:
    """However long they have no traffic."""
    table = make_table("a")
    table.declare({("x",): 1})
    grow(table, {("y",): 1}, 1.0)
    assert table.drop_idle(100.0, ())
    grow(table, {}, 100.0)
    assert declared(table) == {("x",): 1}
    assert shown(table) == {b'a="x"': 0}


def test_declared_label_sets_do_not_exceed_the_limit() -> None:
    """Those that have no place are not shown, and nothing is counted as capped."""
    table = make_table("a", most=1)
    table.declare({("x",): 1, ("y",): 1})
    grow(table, {})
    assert shown(table) == {b'a="x"': 0}
    assert table._capped == {}


def test_declared_label_sets_are_written_at_0() -> None:
    """In the metrics of their kinds of lines alone, static labels included; others without lines are not."""
    table = make_table("a", metrics=HTTP_AND_TCP, static=(("site", "north"),))
    table.declare({("x",): table.layout.line("tcp")})
    grow(table, {("y",): 0, ("z",): 2 * table.layout.line("http")})
    text = b"".join(render([(table.layout, table.snapshot())], open_metrics=False)).decode()
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        'haproxy_log_requests_total{site="north",a="z"} 2',
        'haproxy_log_sessions_total{site="north",a="x"} 0',
        'haproxy_log_bytes_read_total{site="north",a="x"} 0',
        'haproxy_log_bytes_read_total{site="north",a="z"} 0',
    ]
