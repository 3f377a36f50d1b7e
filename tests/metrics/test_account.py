"""All tables together: what they are to grow by, what is dropped for want of traffic, and what is told of places."""

from collections.abc import Sequence

import pytest

from haproxy_log_exporter.labels.limits import Admissions, Limits
from haproxy_log_exporter.metrics.account import Account
from haproxy_log_exporter.metrics.catalogue import METRICS
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.shown import Places
from haproxy_log_exporter.metrics.totals import LabelSet, Row, Series, Table
from tests.tables import shown

BY_NAME = {metric.name: metric for metric in METRICS}
IDLE = 100.0


def make_table(*names: str, metrics: Sequence[str] = ("requests_total",), most: int = 1000) -> Table:
    """Make a table that counts lines by the labels."""
    return Table(names, Layout([BY_NAME[name] for name in metrics], ()), "traffic", (), most)


def make_account(*tables: Table, limits: Limits | None = None) -> Account:
    """Make the account of tables."""
    return Account(tables, Admissions(limits or Limits(idle=IDLE)))


def count(account: Account, table: Table, *label_sets: LabelSet) -> None:
    """Let each total grow by one."""
    account.grow(table, {table.position(values): 1 for values in label_sets})


def flush(account: Account, now: float) -> bool:
    """Drop what is idle, and show all changes; tell whether anything was dropped."""
    dropped = account.drop_idle(now)
    for change in account.take_changes(now):
        change.table.apply(change)
    return dropped


# --- What totals grow by ----------------------------------------------------------------------------------------------


def test_growth_adds_up_until_it_is_taken() -> None:
    """By table and place, whoever brings it, also nothing; and it is taken once."""
    one, two = make_table("a"), make_table("b")
    account = make_account(one, two)
    assert account.growing(one) == {}
    account.grow(one, {})
    count(account, one, ("x",), ("y",))
    count(account, two, ("x",))
    account.grow(one, {})
    count(account, one, ("y",), ("z",))
    assert account.growing(one) == {0: 1, 1: 2, 2: 1}
    assert account.growing(two) == {0: 1}
    changes = account.take_changes(7.0)
    assert [(change.table, change.grown, change.moment) for change in changes] == [
        (one, {0: 1, 1: 2, 2: 1}, 7.0),
        (two, {0: 1}, 7.0),
    ]
    assert account.growing(one) == account.growing(two) == {}
    for change in changes:
        change.table.apply(change)
    assert account.take_changes(8.0) == []


def test_tables_that_nothing_becomes_of_are_in_no_change() -> None:
    """Nothing has to be written of them; one whose label sets alone are new has a change."""
    still, fresh = make_table("a"), make_table("b")
    account = make_account(still, fresh)
    fresh.position(("x",))
    assert [change.table for change in account.take_changes(0.0)] == [fresh]


def test_what_is_given_back_is_taken_again() -> None:
    """With what has grown since, growth and new label sets, each once; the change itself stays as it was."""
    one, two = make_table("a"), make_table("b")
    account = make_account(one, two)
    count(account, one, ("x",), ("y",))
    count(account, two, ("x",))
    first = account.take_changes(1.0)
    count(account, one, ("y",), ("z",))
    account.give_back(first)
    assert first[0].grown == {0: 1, 1: 1}
    second = account.take_changes(2.0)
    assert [(change.grown, change.fresh) for change in second] == [
        ({0: 1, 1: 2, 2: 1}, {0: ("x",), 1: ("y",), 2: ("z",)}),
        ({0: 1}, {0: ("x",)}),
    ]
    account.give_back(second)
    account.grow(one, {0: 5})
    assert second[0].grown == {0: 1, 1: 2, 2: 1}
    assert flush(account, 3.0) is False
    assert shown(one) == {b'a="x"': 6, b'a="y"': 2, b'a="z"': 1}
    assert shown(two) == {b'b="x"': 1}


def test_newest_is_the_newest_of_all_tables() -> None:
    """And 0 where nothing was ever counted."""
    one, two = make_table("a"), make_table("b")
    account = make_account(one, two, make_table("c"))
    assert (account.newest, make_account().newest) == (0.0, 0.0)
    for now, table in ((5.0, two), (3.0, one)):
        count(account, table, ("x",))
        flush(account, now)
    assert account.newest == 5.0


# --- What is idle -----------------------------------------------------------------------------------------------------


def test_nothing_is_dropped_unless_it_was_asked_for() -> None:
    """However long ago it was counted."""
    table = make_table("a")
    account = make_account(table, limits=Limits())
    count(account, table, ("x",))
    flush(account, 0.0)
    assert not flush(account, 1e9)
    assert len(table) == 1


def test_idle_label_sets_of_all_tables_are_dropped() -> None:
    """Also of those behind the first that drops some; those that are to grow with this very batch stay."""
    one, two, three = (make_table(name) for name in "abc")
    account = make_account(one, two, three)
    for table in (one, two, three):
        count(account, table, ("idle",), ("busy",))
    flush(account, 1.0)
    count(account, one, ("busy",))
    count(account, three, ("busy",), ("new",))
    assert flush(account, 1.0 + IDLE + 1)
    assert [[*table.label_sets] for table in (one, two, three)] == [[("busy",)], [], [("busy",), ("new",)]]


def test_idle_ones_are_looked_for_a_hundred_times_in_their_time() -> None:
    """A look takes time where there are many; so one may stay a hundredth longer."""
    table = make_table("a")
    account = make_account(table)
    count(account, table, ("first",))
    assert not flush(account, 0.0)
    count(account, table, ("second",))
    flush(account, 0.5)
    looks = [moment for moment in (IDLE + 0.25, IDLE + 0.75, IDLE + 1.0, IDLE + 1.25) if flush(account, moment)]
    assert looks == [IDLE + 0.25, IDLE + 1.25]


def test_values_of_what_was_dropped_are_free() -> None:
    """But for those that another table's label set has, and those that are certain."""
    one, two = make_table("a", "b"), make_table("a")
    admissions = Admissions(Limits(idle=IDLE), {"a": ["fixed"]})
    account = Account((one, two), admissions)
    for label, values in (("a", ("x", "y", "z")), ("b", ("x",))):
        for value in values:
            admissions.of(label).admit(value)
    count(account, one, ("x", "x"), ("y", "x"))
    count(account, two, ("z",))
    flush(account, 0.0)
    count(account, two, ("x",))
    flush(account, IDLE)
    assert flush(account, IDLE + 2)
    assert {each.label: {*each.values} - {"", "other"} for each in admissions.all()} == {
        "a": {"fixed", "x"},
        "b": set(),
    }


def test_values_stay_while_nothing_is_dropped() -> None:
    """One may have been admitted for a line that is counted with the next batch."""
    table = make_table("a")
    account = make_account(table)
    account.admissions.of("a").admit("coming")
    assert not flush(account, IDLE)
    assert account.admissions.of("a").taken == 1


def test_what_has_expired_is_counted_by_metric() -> None:
    """Of the metrics that had lines in it; what is certain, or never had any, does not expire."""
    table = make_table("a", metrics=("requests_total", "sessions_total", "bytes_read_total"))
    http, tcp = table.layout.line("http"), table.layout.line("tcp")
    account = make_account(table)
    assert {name: series.expired for name, series in account.series().items()} == {
        "requests_total": 0,
        "sessions_total": 0,
        "bytes_read_total": 0,
    }
    table.declare({("certain",): http})
    grown = {("h",): http, ("t",): 3 * tcp, ("both",): http + tcp, ("empty",): 0, ("certain",): http}
    account.grow(table, {table.position(values): packed for values, packed in grown.items()})
    flush(account, 0.0)
    assert flush(account, IDLE + 1)
    expected = {"requests_total": 2, "sessions_total": 2, "bytes_read_total": 3}
    for now in (IDLE + 1, 9 * IDLE):
        assert {name: series.expired for name, series in account.series().items()} == expected
        flush(account, now)
    assert [*table.label_sets] == [("certain",)]


def test_what_has_expired_is_counted_once_where_it_cannot_be_kept() -> None:
    """The change is given back, and the label sets are gone with a later one."""
    table = make_table("a")
    account = make_account(table)
    count(account, table, ("x",), ("y",))
    flush(account, 0.0)
    for turn in range(1, 4):
        account.drop_idle(turn * (IDLE + 1))
        account.give_back(account.take_changes(turn * (IDLE + 1)))
        assert account.series()["requests_total"].expired == 2
        assert len(shown(table)) == 2
    flush(account, 5 * IDLE)
    assert account.series()["requests_total"].expired == 2
    assert shown(table) == {}


# --- What is told -----------------------------------------------------------------------------------------------------


def test_values_are_those_of_all_tables_by_label() -> None:
    """Each once; of tables without labels or label sets there are none."""
    one, two = make_table("a", "b"), make_table("b", "c")
    account = make_account(one, two, make_table(), make_table("d"))
    count(account, one, ("x", "y"), ("x", "z"))
    count(account, two, ("w", "v"))
    assert account.used_values() == {"a": {"x"}, "b": {"y", "z", "w"}, "c": {"v"}}


def test_places_are_told_of_labels_that_tables_have() -> None:
    """What another label had before is kept with the state, and is no place of today's."""
    account = make_account(make_table("a"), make_table("b", "a"), limits=Limits(2, (("b", 1),)))
    account.restore({"a": 3, "gone": 5, "never": 0}, {})
    for label in ("a", "b", "filtered"):
        account.admissions.of(label).admit("x")
    assert account.places() == {"a": Places(1, 2, 3), "b": Places(1, 1, 0)}
    assert account.capped() == {"a": 3, "gone": 5, "b": 0, "filtered": 0}


def test_series_go_on_from_what_was_kept() -> None:
    """In whichever table the metric is; the limit is today's."""
    one, two = make_table("a", most=0), make_table("b", metrics=("sessions_total",), most=9)
    account = make_account(one, two)
    account.restore({}, {"requests_total": Series(5, 3, 2), "sessions_total": Series(6, 1, 4), "gone": Series(1, 1, 1)})
    one.cap(2 * one.layout.line("http"))
    assert account.series() == {"requests_total": Series(0, 5, 2), "sessions_total": Series(9, 1, 4)}
    two.restore([Row(("x",), two.layout.line("tcp"), 1.0)])
    assert flush(account, IDLE + 2)
    assert account.series()["sessions_total"] == Series(9, 1, 5)


@pytest.mark.parametrize("moment", [0.0, 5 * IDLE])
def test_first_look_is_at_once(moment: float) -> None:
    """After a restart what was idle for so long before goes with the first batch."""
    table = make_table("a")
    table.restore([Row(("old",), 1, moment), Row(("new",), 1, moment + IDLE)])
    account = make_account(table)
    assert account.newest == moment + IDLE
    assert flush(account, account.newest + 1)
    assert shown(table) == {b'a="new"': 1}
