"""Label sets that are certain, and those that are so no more: which are shown, and what places they take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.metrics.totals import LabelSet, Row, Table
from tests.metrics import patient
from tests.metrics.test_totals import declared, make_table
from tests.tables import grow, shown


def declare(table: Table, values: str, growing: tuple[int, ...] = ()) -> int:
    """Declare label sets of one letter, and no others any more."""
    label_sets: dict[LabelSet, int] = {(value,): 1 for value in values}
    table.withdraw(label_sets, growing)
    return table.declare(label_sets)


def test_what_is_there_is_certain_however_full_the_table_is() -> None:
    """It takes no place that it has not."""
    table = make_table("a", most=3)
    grow(table, {("x",): 1, ("y",): 1, ("z",): 1})
    assert declare(table, "zxw") == 1
    assert declared(table) == {("x",): 1, ("z",): 1}


@pytest.mark.parametrize(("first", "then"), [("xy", "y"), ("xyz", "yw"), ("xyz", "z"), ("xy", "zw"), ("x", "")])
def test_label_sets_that_go_before_they_are_shown(first: str, then: str) -> None:
    """Nothing of them is left, whatever takes their places."""
    table = make_table("a")
    declare(table, first)
    assert declare(table, then) == 0
    grow(table, {})
    assert declared(table) == {(value,): 1 for value in then}
    assert len(table) == len(then)
    grow(table, {("new",): 1, ("more",): 2})
    assert shown(table) == {f'a="{value}"'.encode(): 0 for value in then} | {b'a="new"': 1, b'a="more"': 2}


def test_places_of_what_goes_are_there_for_what_comes() -> None:
    """At once, where all that may be declared were: label sets of before that have lines count, the others do not."""
    table = make_table("a", most=4)
    for turn, values in enumerate(("ab", "cd", "ef", "fg")):
        assert declare(table, values) == 0
        grow(table, {}, float(turn))
        assert {name for (name,) in declared(table)} == {*values}
    grow(table, {("f",): 1})
    assert declare(table, "xyz") == 2
    assert {name for (name,) in table.label_sets} == {"f", "x"}


def test_label_sets_with_lines_stay() -> None:
    """Those that are shown, those that are to grow with the next change, and what comes with it."""
    table = make_table("a")
    declare(table, "abcd")
    grow(table, {("a",): 1})
    growing = table.position(("b",)), table.position(("new",))
    declare(table, "", growing)
    assert {name for (name,) in table.label_sets} == {"a", "b", "new"}
    table.apply(table.change(dict.fromkeys(growing, 1), 2.0))
    assert shown(table) == {b'a="a"': 1, b'a="b"': 1, b'a="new"': 1}


def test_what_goes_is_shown_until_the_next_change() -> None:
    """And does not count among what has expired: it never had any traffic."""
    table = make_table("a")
    table.restore([Row(("x",), 0, 1.0), Row(("y",), 5, 1.0)])
    declare(table, "")
    assert len(shown(table)) == 2
    change = table.change({}, 2.0)
    assert [*change.dropped] == [0]
    table.apply(change)
    assert shown(table) == {b'a="y"': 5}
    assert table.series()["requests_total"].expired == 0
    declare(table, "")
    assert table.change({}, 3.0).is_empty


def test_label_set_that_is_declared_again_before_it_is_gone() -> None:
    """It stands at 0 throughout."""
    table = make_table("a")
    declare(table, "x")
    grow(table, {})
    declare(table, "")
    declare(table, "x")
    grow(table, {})
    assert declared(table) == {("x",): 1}
    assert shown(table) == {b'a="x"': 0}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("declare"), st.text("abcdef", max_size=4)),
        st.tuples(st.just("count"), st.text("abcdefgh", max_size=3)),
        st.tuples(st.just("flush"), st.just("")),
        st.tuples(st.just("fail"), st.just("")),
        st.tuples(st.just("idle"), st.text("abcdefgh", max_size=1)),
    ),
    max_size=20,
)


@patient
@given(STEPS)
def test_what_is_shown_is_what_was_counted_and_what_is_certain(steps: list[tuple[str, str]]) -> None:
    """However the two come one after the other, and whether changes can be kept or not."""
    table = make_table("a")
    counted: dict[str, int] = {}
    growing: dict[int, int] = {}
    certain = ""
    for what, values in [*steps, ("flush", "")]:
        if what == "declare":
            certain = values
            declare(table, certain, tuple(growing))
        elif what == "count":
            for value in values:
                place = table.position((value,))
                growing[place] = growing.get(place, 0) + 1
                counted[value] = counted.get(value, 0) + 1
        elif what == "idle":
            places = {table.position((value,)) for value in values if (value,) in {*table.label_sets}}
            before = {name for (name,) in table.label_sets}
            table.drop_idle(0.5, {*growing, *places})
            for name in before - {name for (name,) in table.label_sets}:
                counted.pop(name, None)
        else:
            change = table.change(growing, 0.0)
            if what == "fail":
                table.give_back(change)
            else:
                table.apply(change)
                growing = {}
    expected = {**dict.fromkeys(certain, 0), **counted}
    assert shown(table) == {f'a="{name}"'.encode(): count for name, count in expected.items()}
    assert {name for (name,) in declared(table)} == {*certain}
