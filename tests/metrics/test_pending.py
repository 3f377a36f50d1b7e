import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.labels.limits import CAPPED, OTHER
from haproxy_log_exporter.labels.rules import Action, Rule
from haproxy_log_exporter.logformat.reader import Column, Reader, Rows
from haproxy_log_exporter.metrics import pending
from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS, METRICS
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.pending import Feed, Tabulator
from haproxy_log_exporter.metrics.totals import LabelSet, Snapshot, Table, label_text
from tests.metrics import patient
from tests.rows import PATH, REQUESTS, STATUS, FakeReader, admission, make_column, make_filter, requests, rule
from tests.tables import shown

BY_NAME = {metric.name: metric for metric in METRICS}
NAMES = ("status_code", "http_request_path")
NO_NUMBERS = FakeReader(())


def make_table(names: Sequence[str], *metrics: str, most: int = 1000) -> Table:
    """Make a table with these labels and metrics."""
    return Table(names, Layout([BY_NAME[name] for name in metrics], DEFAULT_BUCKETS), most=most)


def make_feed(table: Table, reader: Reader, weight: int = 1) -> Feed:
    """Make a feed that is handed the values of its table's labels alone, in their order."""
    return Feed(table, reader, range(len(table.names)), weight)


def feed_rows(feed: Feed, values: Sequence[LabelSet], *columns: Column, times: int = 1) -> None:
    """Hand a feed rows, by their label sets."""
    feed.take(Rows(len(values), columns, b""), [*zip(*values, strict=True)] if values else [(), ()], times)


def fold(feed: Feed) -> Snapshot:
    """Flush a feed; give what its table shows then."""
    feed.table.apply(feed.table.change(feed.fold(), 0.0))
    return feed.table.snapshot()


def test_lines_are_counted_by_their_labels() -> None:
    """Rows gather over several blocks under their labels, and a fold starts anew."""
    table = make_table(NAMES, "requests_total")
    feed = make_feed(table, NO_NUMBERS)
    feed_rows(feed, [("200", "/"), ("404", "/"), ("200", "/")])
    feed_rows(feed, [("404", "/")])
    one = table.layout.line("http")
    texts = [b'status_code="200",http_request_path="/"', b'status_code="404",http_request_path="/"']
    assert fold(feed)[:2] == (texts, [2 * one, 2 * one])
    assert feed.fold() == {}
    feed_rows(feed, [("404", "/")])
    assert fold(feed)[:2] == (texts, [2 * one, 3 * one])


def test_feed_takes_the_values_of_its_own_labels() -> None:
    """In the order of its table's labels, of all those that it is handed."""
    table = make_table(("c", "a"), "requests_total")
    feed = Feed(table, NO_NUMBERS, [2, 0])
    feed.take(Rows(2, (), b""), [("a1", "a2"), ("b1", "b2"), ("c1", "c2")])
    assert fold(feed).texts == [b'c="c1",a="a1"', b'c="c2",a="a2"']


def test_what_has_no_place_counts_with_what_is_called_other() -> None:
    """They are two objects and one value."""
    table = make_table(("a",), "requests_total")
    feed = make_feed(table, NO_NUMBERS)
    feed_rows(feed, [(OTHER,), (CAPPED,), ("oth" + "er",)])
    assert fold(feed)[:2] == ([b'a="other"'], [3 * table.layout.line("http")])


@pytest.mark.parametrize(
    ("groups", "columns"),
    [
        ((), ()),
        ((("time_response",),), ([b"5", b"-1", None],)),
        ((("time_response",), ("bytes_read",)), ([b"5", b"-1", None], [b"100", b"+7", b"0"])),
        ((("time_queue", "time_response"), ("bytes_read",)), ([b"0/5", b"-1/-1", b"3/-1"], [b"100", b"+7", b"0"])),
    ],
    ids=["no numbers", "one column", "two columns", "a run of timers and a column"],
)
def test_each_line_counts_once_however_many_columns_it_has(
    groups: tuple[tuple[str, ...], ...], columns: tuple[Column, ...]
) -> None:
    """Lines are counted once, and the numbers of every column are added."""
    table = make_table((), "requests_total", "response_duration_seconds", "bytes_read_total", "aborts_total")
    run = ("time_queue", "time_response")
    feed = make_feed(table, FakeReader(groups, {run: re.compile(rb"([-+]?\d+)/([-+]?\d+)")}))
    feed.take(Rows(3, columns, b""), [])
    layout = table.layout
    expected = 3 * layout.line("http")
    for group, column in zip(groups, columns, strict=True):
        for text in column:
            parts = text.split(b"/") if text else [None] * len(group)
            expected += sum(layout.contribution(name, part) for name, part in zip(group, parts, strict=True))
    assert fold(feed)[:2] == ([b""], [expected])


def test_field_that_is_label_and_number() -> None:
    """A field may be both: its column is read twice."""
    table = make_table(("retries",), "requests_total", "retries_total")
    feed = make_feed(table, FakeReader((("retries",),)))
    feed_rows(feed, [("3",), ("0",), ("3",)], [b"3", b"0", b"3"])
    layout = table.layout
    assert fold(feed)[:2] == (
        [b'retries="3"', b'retries="0"'],
        [2 * (layout.line("http") + layout.contribution("retries", b"3")), layout.line("http")],
    )


def test_kinds_are_counted_apart() -> None:
    """Feeds of HTTP and TCP formats share the label sets and keep their lines apart."""
    table = make_table(("backend_name",), "requests_total", "sessions_total")
    for kind in ("http", "tcp", "tcp"):
        feed = make_feed(table, FakeReader((), kind=kind))
        feed_rows(feed, [("bk",)])
        fold(feed)
    layout = table.layout
    assert table.snapshot()[:2] == ([b'backend_name="bk"'], [layout.line("http") + 2 * layout.line("tcp")])


VALUES = st.sampled_from(["", "-", "/", "/a", "200", "\ufffd"])
TIMES = st.none() | st.integers(-1, 20_000).map(lambda number: b"%d" % number)


@patient
@given(
    st.lists(st.tuples(st.lists(st.tuples(VALUES, VALUES, TIMES), max_size=20), st.integers(1, 5)), max_size=5),
    st.integers(0, 3),
    st.integers(1, 1000),
    st.integers(0, 8),
)
def test_fold_is_what_a_straightforward_model_counts(
    blocks: list[tuple[list[tuple[str, str, bytes | None]], int]], most_remembered: int, weight: int, most: int
) -> None:
    """Over any blocks and flushes, with any memory of label sets, each has the lines and numbers that are its own.

    A block's lines stand for as many as was said, and each of those for its weight. The label sets that come first have
    places, as many as there may be, and the others count together; how many lines of the log these had is counted.
    """
    table = make_table(NAMES, "requests_total", "response_duration_seconds", most=most)
    feed = make_feed(table, FakeReader((("time_response",),)), weight)
    layout = table.layout
    model: defaultdict[LabelSet, int] = defaultdict(int)
    placed: list[LabelSet] = []
    capped = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pending, "_MOST_REMEMBERED", most_remembered)
        for block, times in blocks:
            for code, path, time in block:
                values = (code, path)
                if values not in placed and len(placed) < most:
                    placed.append(values)
                capped += times * (values not in placed)
                packed = layout.line("http") + layout.contribution("time_response", time)
                model[values if values in placed else (OTHER, OTHER)] += packed * times * weight
            feed_rows(feed, [(code, path) for code, path, _ in block], [time for *_, time in block], times=times)
            fold(feed)
            assert shown(table) == {label_text(table.names, values): packed for values, packed in model.items()}
            names = ("requests_total", "response_duration_seconds")
            assert table._capped == (dict.fromkeys(names, capped) if capped else {})


@pytest.mark.parametrize("weight", [1, 10])
@pytest.mark.parametrize("times", [1, 3, 10**9])
@pytest.mark.parametrize(
    ("groups", "columns"),
    [
        ((), ()),
        ((("time_response",),), ([b"5"],)),
        ((("time_response",), ("bytes_read",)), ([b"5"], [b"9999999999999999999"])),
    ],
    ids=["no numbers", "one column", "two columns"],
)
def test_a_line_may_stand_for_several(
    groups: tuple[tuple[str, ...], ...], columns: tuple[Column, ...], times: int, weight: int
) -> None:
    """A repeated line counts as often as it was repeated, one of a sample as often as it has weight: sums as well."""
    table = make_table((), "requests_total", "response_duration_seconds", "bytes_read_total")
    feed = make_feed(table, FakeReader(groups), weight)
    feed.take(Rows(1, columns, b""), [], times)
    feed.take(Rows(1, columns, b""), [])
    one = table.layout.line("http")
    one += sum(table.layout.contribution(group[0], column[0]) for group, column in zip(groups, columns, strict=True))
    assert fold(feed)[:2] == ([b""], [one * (times + 1) * weight])


def test_memory_of_label_sets_is_bounded() -> None:
    """Label sets without end, that have no places, are not all kept."""
    table = make_table(("path",), "requests_total", most=3)
    feed = make_feed(table, NO_NUMBERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pending, "_MOST_REMEMBERED", 10)
        for number in range(128):
            feed_rows(feed, [(f"/{number}",)])
            fold(feed)
            assert len(feed._places) <= 11
    one = table.layout.line("http")
    assert shown(table) == {**{f'path="/{number}"'.encode(): one for number in range(3)}, b'path="other"': 125 * one}
    assert table._capped == {"requests_total": 125}


def test_feed_that_forgets_finds_places_that_were_freed() -> None:
    """What had none has one then; until then it stays with the others."""
    table = make_table(("a",), "requests_total", most=1)
    feed, one = make_feed(table, NO_NUMBERS), table.layout.line("http")
    feed_rows(feed, [("x",), ("y",)])
    fold(feed)
    assert table.drop_idle(1.0, ())
    fold(feed)
    assert shown(table) == {}
    feed.forget()
    feed_rows(feed, [("y",)])
    fold(feed)
    assert shown(table) == {b'a="y"': one}


def test_tabulator_hands_all_feeds_the_same_values() -> None:
    """Tables by some of the labels, each in its order, see each line once."""
    tables = [make_table(names, "requests_total") for names in (NAMES, NAMES[::-1], NAMES[:1], ())]
    columns = [make_column(label, REQUESTS) for label in (STATUS, PATH)]
    orders = ((0, 1), (1, 0), (0,), ())
    feeds = [Feed(table, REQUESTS, order) for table, order in zip(tables, orders, strict=True)]
    tabulator = Tabulator(columns, feeds)
    assert tabulator.take(requests((b"200", b"/a"), (b"500", b"/b"), (b"200", b"/a"))) == 0
    for feed in feeds:
        fold(feed)
    one = tables[0].layout.line("http")
    assert [[*shown(table).values()] for table in tables] == [[2 * one, one], [2 * one, one], [2 * one, one], [3 * one]]
    assert [table.snapshot().texts[0] for table in tables] == [
        b'status_code="200",http_request_path="/a"',
        b'http_request_path="/a",status_code="200"',
        b'status_code="200"',
        b"",
    ]


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("tables", [1, 2])
def test_lines_without_a_place_are_counted_once_for_their_label(times: int, tables: int) -> None:
    """However many tables are by it, exactly from the line on that found all places taken, in the middle of a chunk."""
    admissions = admission(2), admission(1)
    columns = [make_column(label, REQUESTS, each) for label, each in zip((STATUS, PATH), admissions, strict=True)]
    feeds = [Feed(make_table(NAMES, "requests_total"), REQUESTS, (0, 1)) for _ in range(tables)]
    tabulator = Tabulator(columns, feeds)
    tabulator.take(requests((b"200", b"/a"), (b"201", b"/a")), times)
    assert [each.capped for each in admissions] == [0, 0]
    tabulator.take(requests((b"202", b"/a"), (b"201", b"/b"), (b"203", b"/b"), (b"200", b"other")), times)
    assert [each.capped for each in admissions] == [2 * times, 2 * times]
    tabulator.take(requests((b"200", b"/a")), times)
    tabulator.take(requests((b"202", b"/c"), (b"404", b"/d")), times)
    assert [each.capped for each in admissions] == [4 * times, 3 * times]
    for feed in feeds:
        fold(feed)
        totals = shown(feed.table)
        assert sum(totals.values()) == 9 * times * feed.table.layout.line("http")
        assert totals[label_text(NAMES, ("other", "other"))] == 3 * times * feed.table.layout.line("http")


RULES: dict[str, tuple[Rule, Callable[[str], bool]]] = {
    "drop": (rule("/internal.*", Action.DROP), lambda path: not path.startswith("/internal")),
    "keep": (rule("/a.*", Action.KEEP), lambda path: path.startswith("/a")),
}


@pytest.mark.parametrize("action", RULES)
@pytest.mark.parametrize("times", [1, 7])
@patient
@given(paths=st.lists(st.sampled_from(["/a", "/ab", "/b", "/internal", "/internal/x"]), max_size=12))
def test_rules_drop_lines_before_anything_is_counted(action: str, times: int, paths: list[str]) -> None:
    """Neither they nor their values count, nor do they take places; it is told how many they stood for."""
    each, keeps = RULES[action]
    table, admitted = make_table(NAMES, "requests_total", "response_duration_seconds"), admission(1)
    reader = FakeReader((*REQUESTS.groups, ("time_response",)))
    columns = [make_column(STATUS, reader), make_column(PATH, reader, admitted)]
    tabulator = Tabulator(columns, [make_feed(table, reader)], [make_filter(PATH, reader, each)])
    rows = Rows(len(paths), [[b"200"] * len(paths), [*map(str.encode, paths)], [b"5"] * len(paths)], b"")
    kept = [*filter(keeps, paths)]
    assert tabulator.take(rows, times) == (len(paths) - len(kept)) * times
    fold(tabulator.feeds[0])
    one = table.layout.line("http") + table.layout.contribution("time_response", b"5")
    expected = Counter(path if path == kept[0] else "other" for path in kept)
    assert shown(table) == {label_text(NAMES, ("200", path)): one * n * times for path, n in expected.items()}
    assert admitted.capped == expected["other"] * times


def test_filters_alone_tell_what_they_drop() -> None:
    """Where nothing is counted of a format, as well, and all of them are asked."""
    filters = [
        make_filter(PATH, REQUESTS, rule("/x", Action.DROP)),
        make_filter(STATUS, REQUESTS, rule("2..", Action.KEEP)),
    ]
    tabulator = Tabulator(filters=filters)
    rows = requests((b"200", b"/x"), (b"200", b"/y"), (b"404", b"/x"), (b"404", b"/y"))
    assert tabulator.take(rows, 2) == 6
    assert Tabulator().take(rows, 2) == 0
