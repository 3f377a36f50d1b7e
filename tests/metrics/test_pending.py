import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.labels.catalogue import Fillable, Label, Reading, find_labels
from haproxy_log_exporter.labels.reading import LabelReader, Slots
from haproxy_log_exporter.logformat.fields import KINDS
from haproxy_log_exporter.logformat.notation import Notation
from haproxy_log_exporter.logformat.reader import Column, Extent, Reader, Rows
from haproxy_log_exporter.metrics import pending
from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS, METRICS
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.pending import Feed
from haproxy_log_exporter.metrics.totals import Snapshot, Table, label_text
from tests.metrics import patient

BY_NAME = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True)
class FakeReader:
    """A reader of columns that the test makes up."""

    groups: tuple[tuple[str, ...], ...]
    splitters: Mapping[tuple[str, ...], re.Pattern[bytes]] = field(default_factory=dict)
    name: str = "fake"
    kind: str = "http"
    notations: Mapping[str, Notation] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it has columns for."""
        return frozenset(name for group in self.groups for name in group)

    def read(self, chunk: bytes, extent: Extent = Extent.WHOLE) -> Rows:
        """Leave everything: a feed takes rows, it never reads."""
        del extent
        return Rows(0, [[] for _ in self.groups], chunk)


def find(*names: str) -> tuple[Label, ...]:
    """Look up labels that formats can fill by fields of their names."""
    return find_labels(names, Fillable({"status_code", *names} & KINDS.keys(), {}, set()))


LABELS = find("status_code", "http_request_path")


def make_feed(
    table: Table, reader: Reader, labels: tuple[Label, ...], weight: int = 1, slots: Slots | None = None
) -> Feed:
    """Make a feed of labels that are read from the reader's columns."""
    return Feed(table, reader, [LabelReader(label, reader, slots or Slots()) for label in labels], weight)


def make_table(labels: tuple[Label, ...], *metrics: str) -> Table:
    """Make a table with these labels and metrics."""
    return Table([label.name for label in labels], Layout([BY_NAME[name] for name in metrics], DEFAULT_BUCKETS))


def feed_rows(feed: Feed, *columns: Column, times: int = 1) -> None:
    """Hand a feed rows of which nothing is left."""
    feed.take(Rows(len(columns[0]), columns, b""), times)


def folded(feed: Feed) -> Snapshot:
    """Flush a feed; give what its table shows then."""
    feed.table.add(feed.fold())
    return feed.table.snapshot()


def test_lines_are_counted_by_their_labels() -> None:
    """Rows gather over several blocks under their labels, and a fold starts anew."""
    table = make_table(LABELS, "requests_total")
    feed = make_feed(table, FakeReader((("status_code",), ("http_request_path",))), LABELS)
    feed_rows(feed, [b"200", b"404", b"200"], [b"/", b"/", b"/"])
    feed_rows(feed, [b"404"], [b"/"])
    one = table.layout.line("http")
    texts = [b'status_code="200",http_request_path="/"', b'status_code="404",http_request_path="/"']
    assert folded(feed) == (texts, [2 * one, 2 * one])
    assert feed.fold() == {}
    feed_rows(feed, [b"404"], [b"/"])
    assert folded(feed) == (texts, [2 * one, 3 * one])


def test_raw_values_that_read_the_same_are_one_label_set() -> None:
    """What differs in the log and not in the label is counted together: bytes that are not UTF-8, an empty path."""
    table = make_table(LABELS, "requests_total")
    feed = make_feed(table, FakeReader((("status_code",), ("http_request_path",))), LABELS)
    feed_rows(feed, [b"200"] * 4, [b"/\xff", b"/\xfe", b"", b"/"])
    texts, totals = folded(feed)
    assert texts == [label_text(("status_code", "http_request_path"), ("200", path)) for path in ("/�", "/")]
    assert totals == [2 * table.layout.line("http")] * 2


def test_field_that_the_format_lacks_is_empty() -> None:
    """Of a format without a label's field the label is the empty string, as it is of a line without one."""
    table = make_table(LABELS, "requests_total")
    lacking = make_feed(table, FakeReader((("status_code",),)), LABELS)
    having = make_feed(table, FakeReader((("status_code",), ("http_request_path",))), LABELS)
    feed_rows(lacking, [b"200"])
    feed_rows(having, [b"200"], [None])
    folded(lacking)
    assert folded(having) == ([b'status_code="200",http_request_path=""'], [2 * table.layout.line("http")])


def test_two_labels_of_one_field() -> None:
    """A field is a column once, however many labels are read from it."""
    labels = find("status_class", "status_code")
    table = make_table(labels, "requests_total")
    feed = make_feed(table, FakeReader((("status_code",),)), labels)
    feed_rows(feed, [b"204", b"-1"])
    one = table.layout.line("http")
    assert folded(feed) == (
        [b'status_class="2xx",status_code="204"', b'status_class="",status_code="-1"'],
        [one, one],
    )


def test_headers_are_labels_by_their_place() -> None:
    """Several headers of one captured block are labels of their own."""
    labels = (
        Label("request_header_2", "request_headers", Reading.HEADER, 2),
        Label("request_header_1", "request_headers", Reading.HEADER, 1),
    )
    table = make_table(labels, "requests_total")
    feed = make_feed(table, FakeReader((("request_headers",),)), labels)
    feed_rows(feed, [b"a|b c", b"a", None])
    assert folded(feed).texts == [
        b'request_header_2="b c",request_header_1="a"',
        b'request_header_2="",request_header_1="a"',
        b'request_header_2="",request_header_1=""',
    ]


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
    feed = make_feed(table, FakeReader(groups, {run: re.compile(rb"([-+]?\d+)/([-+]?\d+)")}), ())
    feed.take(Rows(3, columns, b""))
    layout = table.layout
    expected = 3 * layout.line("http")
    for group, column in zip(groups, columns, strict=True):
        for text in column:
            parts = text.split(b"/") if text else [None] * len(group)
            expected += sum(layout.contribution(name, part) for name, part in zip(group, parts, strict=True))
    assert folded(feed) == ([b""], [expected])


def test_field_that_is_label_and_number() -> None:
    """A field may be both: its column is read twice."""
    labels = find("retries")
    table = make_table(labels, "requests_total", "retries_total")
    feed = make_feed(table, FakeReader((("retries",),)), labels)
    feed_rows(feed, [b"3", b"0", b"3"])
    layout = table.layout
    assert folded(feed) == (
        [b'retries="3"', b'retries="0"'],
        [2 * (layout.line("http") + layout.contribution("retries", b"3")), layout.line("http")],
    )


def test_kinds_are_counted_apart() -> None:
    """Feeds of HTTP and TCP formats share the label sets and keep their lines apart."""
    labels = find("backend_name")
    table = make_table(labels, "requests_total", "sessions_total")
    for kind in ("http", "tcp", "tcp"):
        feed = make_feed(table, FakeReader((("backend_name",),), kind=kind), labels)
        feed_rows(feed, [b"bk"])
        folded(feed)
    layout = table.layout
    assert table.snapshot() == ([b'backend_name="bk"'], [layout.line("http") + 2 * layout.line("tcp")])


SHORT = st.binary(max_size=3).filter(lambda value: b"#" not in value)  # which begins the fragment of a path
VALUES = st.none() | SHORT | st.sampled_from([b"", b"-", b"/", b"/a", b"200", b"\xff"])
TIMES = st.none() | st.integers(-1, 20_000).map(lambda number: b"%d" % number)


def read_code(code: bytes | None) -> str:
    """Read a status as its label is: empty where there is none, or a dash."""
    return "" if code in (None, b"-") else code.decode("utf-8", "replace")


def read_path(path: bytes | None) -> str:
    """Read a path as its label is: of nothing else than nothing and a dash it is empty."""
    return "" if path in (None, b"-") else path.decode("utf-8", "replace") or "/"


@patient
@given(
    st.lists(st.tuples(st.lists(st.tuples(VALUES, VALUES, TIMES), max_size=20), st.integers(1, 5)), max_size=5),
    st.integers(0, 3),
    st.integers(1, 1000),
)
def test_fold_is_what_a_straightforward_model_counts(
    blocks: list[tuple[list[tuple[bytes | None, bytes | None, bytes | None]], int]], most_remembered: int, weight: int
) -> None:
    """Over any blocks and flushes, with any memory of label sets, each has the lines and numbers that are its own.

    A block's lines stand for as many as was said, and each of those for its weight.
    """
    table = make_table(LABELS, "requests_total", "response_duration_seconds")
    reader = FakeReader((("status_code",), ("http_request_path",), ("time_response",)))
    feed = make_feed(table, reader, LABELS, weight)
    layout = table.layout
    model: defaultdict[tuple[str, str], int] = defaultdict(int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pending, "_MOST_REMEMBERED", most_remembered)
        for block, times in blocks:
            for code, path, time in block:
                packed = layout.line("http") + layout.contribution("time_response", time)
                model[read_code(code), read_path(path)] += packed * times * weight
            feed.take(Rows(len(block), [*zip(*block, strict=True)] or [(), (), ()], b""), times)
            snapshot = folded(feed)
            assert dict(zip(*snapshot, strict=True)) == {
                label_text(table.names, values): packed for values, packed in model.items()
            }


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
    feed = make_feed(table, FakeReader(groups), (), weight)
    feed.take(Rows(1, columns, b""), times)
    feed.take(Rows(1, columns, b""))
    one = table.layout.line("http")
    one += sum(table.layout.contribution(group[0], column[0]) for group, column in zip(groups, columns, strict=True))
    assert folded(feed) == ([b""], [one * (times + 1) * weight])


def test_labels_are_read_as_the_format_writes_them() -> None:
    """Quotes, escapes and hexadecimal numbers are undone, and a name is taken from the frontend's own slot."""
    labels = (
        Label("client_ip", "client_ip", Reading.TEXT),
        Label("request_header_host", "request_headers", Reading.HEADER, header="host"),
        Label("client", "client_port", Reading.TEXT),
    )
    table = make_table(labels, "requests_total")
    reader = FakeReader(
        (("client_ip",), ("port",), ("frontend_name",), ("request_headers",)),
        notations={"client_ip": Notation(hexadecimal=True, address=True), "frontend_name": Notation(quoted=True)},
        names={"client": "port"},
    )
    slots = Slots({"web": (("host",),), "api": (("", "host"),)})
    feed = make_feed(table, reader, labels, slots=slots)
    feed_rows(
        feed, [b"7F000001", b"7F000001", b"-"], [b"1", b"2", b"3"], [b"web", b"api", b""], [b"a|b", b"a|b", b"a|b"]
    )
    assert folded(feed).texts == [
        b'client_ip="127.0.0.1",request_header_host="a",client="1"',
        b'client_ip="127.0.0.1",request_header_host="b",client="2"',
        b'client_ip="",request_header_host="",client="3"',
    ]


def test_memory_of_label_sets_is_bounded() -> None:
    """Raw values without end, all of one label set, are not all kept."""
    table = make_table(LABELS[1:], "requests_total")
    feed = make_feed(table, FakeReader((("http_request_path",),)), LABELS[1:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pending, "_MOST_REMEMBERED", 10)
        for number in range(0x80, 0x100):
            feed_rows(feed, [b"/%c" % number])
            folded(feed)
            assert len(feed._places) <= 11
    assert table.snapshot() == (['http_request_path="/�"'.encode()], [128 * table.layout.line("http")])
