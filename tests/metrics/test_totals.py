from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.metrics.catalogue import METRICS
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.totals import Change, Table, label_text
from tests.metrics import patient

REQUESTS = next(metric for metric in METRICS if metric.name == "requests_total")


def make_table(*names: str) -> Table:
    """Make a table that counts lines by the labels."""
    return Table(names, Layout([REQUESTS], ()))


def test_label_set_keeps_its_place() -> None:
    """The same values always have the same place, and others another."""
    table = make_table("a", "b")
    places = [table.position(values) for values in (("x", "y"), ("y", "x"), ("x", "y"), ("", ""))]
    assert places == [0, 1, 0, 2]
    assert len(table) == 3


def test_place_without_count_is_not_shown() -> None:
    """A place that was asked for shows from the next addition on, so texts and totals are always of one length."""
    table = make_table("a")
    table.add({table.position(("x",)): 5})
    table.position(("y",))
    assert table.snapshot() == ([b'a="x"'], [5])
    table.add({})
    assert table.snapshot() == ([b'a="x"', b'a="y"'], [5, 0])


def test_snapshot_is_of_one_moment() -> None:
    """What is added later does not reach a snapshot."""
    table = make_table("a")
    place = table.position(("x",))
    table.add({place: 1})
    before = table.snapshot()
    table.add({place: 2, table.position(("y",)): 3})
    assert before == ([b'a="x"'], [1])
    assert table.snapshot() == ([b'a="x"', b'a="y"'], [3, 3])


@patient
@given(st.lists(st.tuples(st.tuples(st.text(), st.text()), st.integers(0, 2**64)), max_size=30))
def test_totals_are_the_sums_of_each_label_set(additions: list[tuple[tuple[str, str], int]]) -> None:
    """Label sets are told apart by all their values, and each has the sum of its own additions."""
    table = make_table("a", "b")
    model: dict[tuple[str, str], int] = {}
    for values, packed in additions:
        table.add({table.position(values): packed})
        model[values] = model.get(values, 0) + packed
    texts, totals = table.snapshot()
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
    table.add({table.position(()): 1})
    assert table.snapshot() == ([b""], [1])


def test_restored_table_goes_on() -> None:
    """Label sets keep their places and totals, the next one has the next place."""
    table = make_table("a", "b")
    table.restore([("x", "y"), ("", '"\n')], [5, 7])
    assert table.snapshot() == ([b'a="x",b="y"', rb'a="",b="\"\n"'], [5, 7])
    assert len(table) == 2
    assert [table.position(values) for values in (("", '"\n'), ("new", ""), ("x", "y"))] == [1, 2, 0]
    table.add({2: 1, 0: 1})
    assert table.snapshot().totals == [6, 7, 1]


def test_what_is_fresh_is_not_shown_yet() -> None:
    """Label sets are fresh until they are added, those alone that were there when a change was taken."""
    table = make_table("a")
    table.add({table.position(("shown",)): 1})
    assert table.fresh(1) == []
    table.position(("first",))
    size = len(table)
    table.position(("second",))
    assert table.fresh(size) == [(1, ("first",))]
    table.add({1: 5}, size)
    assert table.snapshot() == ([b'a="shown"', b'a="first"'], [1, 5])
    assert table.fresh(len(table)) == [(2, ("second",))]


def test_total_is_what_is_shown() -> None:
    """A place that is not shown yet has none."""
    table = make_table("a")
    table.add({table.position(("x",)): 3})
    table.position(("y",))
    assert [table.total(place) for place in (0, 1, 99)] == [3, 0, 0]


def test_change_tells_what_will_be() -> None:
    """Its totals are those of after, in the order of their places, of old and new label sets, again and again."""
    table = make_table("a")
    table.add({table.position(("old",)): 10, table.position(("other",)): 20})
    new = table.position(("new",))
    change = Change(table, {new: 1, 0: 2}, len(table))
    table.position(("late",))
    for _ in range(2):
        assert change.label_sets() == [(2, ("new",))]
        assert [*change.totals()] == [(0, 12), (2, 1)]
    table.add(change.grown, change.size)
    assert dict(change.totals()) == {0: 14, 2: 2}
    assert table.snapshot().totals == [12, 20, 1]
    assert change.label_sets() == []
