"""Columns: what stands in lines, and the values of labels that it comes to."""

from collections.abc import Sequence

import pytest

from haproxy_log_exporter.labels import columns
from haproxy_log_exporter.labels.catalogue import Label, Reading
from haproxy_log_exporter.labels.columns import Column
from haproxy_log_exporter.labels.limits import CAPPED, OTHER
from haproxy_log_exporter.labels.reading import Slots
from haproxy_log_exporter.labels.rules import Action, Rule
from haproxy_log_exporter.logformat.notation import Notation
from haproxy_log_exporter.logformat.reader import Rows
from tests.rows import (
    PATH,
    REQUESTS,
    STATUS,
    FakeReader,
    admission,
    find,
    make_column,
    make_filter,
    requests,
    rows_of,
    rule,
)

PATHS_ALONE = FakeReader((("http_request_path",),))
URI = Label("http_request_uri", "http_request_uri", Reading.TEXT)


def values_of(column: Column, rows: Rows) -> list[str]:
    """Give a column's values."""
    return [*column.values(rows)]


def paths_of(column: Column, *found: tuple[bytes | None, bytes | None]) -> list[str]:
    """Give a column's values of requests by status and path."""
    return values_of(column, requests(*found))


def test_raw_values_that_read_the_same_are_one_value() -> None:
    """What differs in the log and not in the label takes one place: bytes that are not UTF-8, an empty path."""
    admitted = admission(2)
    backends = make_column(find("backend_name")[0], FakeReader((("backend_name",),)), admitted)
    assert values_of(backends, rows_of([b"a\xff", b"a\xfe", b"b", b"c"])) == ["a\ufffd", "a\ufffd", "b", OTHER]
    paths = make_column(PATH, REQUESTS, admission(1))
    assert paths_of(paths, (b"200", b""), (b"200", b"/"), (b"200", b"/./")) == ["/", "/", "/"]


def test_field_that_the_format_lacks_is_empty() -> None:
    """Of a format without a label's field the label is the empty string, as it is of a line without one."""
    reader, admitted = FakeReader((("status_code",),)), admission(0)
    for label in (PATH, URI, *find("backend_name"), Label("request_header_1", "request_headers", Reading.HEADER, 1)):
        assert values_of(make_column(label, reader, admitted), rows_of([b"200", b"404"])) == ["", ""]
    assert paths_of(make_column(PATH, REQUESTS, admitted), (b"200", None), (b"404", b"-")) == ["", ""]


def test_two_labels_of_one_field() -> None:
    """A field is a column once, however many labels are read from it."""
    rows = rows_of([b"204", b"-1"])
    reader = FakeReader((("status_code",),))
    classes, codes = (make_column(label, reader) for label in find("status_class", "status_code"))
    assert values_of(classes, rows) == ["2xx", ""]
    assert values_of(codes, rows) == ["204", "-1"]


def test_headers_are_labels_by_their_place() -> None:
    """Several headers of one captured block are labels of their own."""
    reader = FakeReader((("request_headers",),))
    for place, expected in ((2, ["b c", "", ""]), (1, ["a", "a", ""])):
        label = Label(f"request_header_{place}", "request_headers", Reading.HEADER, place)
        assert values_of(make_column(label, reader), rows_of([b"a|b c", b"a", None])) == expected


def test_labels_are_read_as_the_format_writes_them() -> None:
    """Quotes, escapes and hexadecimal numbers are undone, and a name is taken from the frontend's own slot."""
    reader = FakeReader(
        (("client_ip",), ("port",), ("frontend_name",), ("request_headers",)),
        notations={"client_ip": Notation(hexadecimal=True, address=True), "frontend_name": Notation(quoted=True)},
        names={"client": "port"},
    )
    rows = rows_of(
        [b"7F000001", b"7F000001", b"-"], [b"1", b"2", b"3"], [b"web", b"api", b""], [b"a|b", b"a|b", b"a|b"]
    )
    slots = Slots({"web": (("host",),), "api": (("", "host"),)})
    expected = {
        Label("client_ip", "client_ip", Reading.TEXT): ["127.0.0.1", "127.0.0.1", ""],
        Label("request_header_host", "request_headers", Reading.HEADER, header="host"): ["a", "b", ""],
        Label("client", "client_port", Reading.TEXT): ["1", "2", "3"],
    }
    for label, values in expected.items():
        assert values_of(make_column(label, reader, slots=slots), rows) == values


def test_label_of_several_fields_takes_one_place_for_each_value() -> None:
    """One header of two frontends, which capture it at different places, is one value."""
    label = Label("request_header_host", "request_headers", Reading.HEADER, header="host")
    reader = FakeReader((("frontend_name",), ("request_headers",)))
    slots = Slots({"web": (("host",),), "api": (("", "host"),)})
    admitted = admission(1)
    column = make_column(label, reader, admitted, slots=slots)
    rows = rows_of([b"web", b"api", b"api", b"web"], [b"x|y", b"y|x", b"x|y", b"x"])
    values = values_of(column, rows)
    assert values == ["x", "x", OTHER, "x"]
    assert [value is CAPPED for value in values] == [False, False, True, False]


def test_formats_share_the_places_of_a_label() -> None:
    """The same value in two formats, written in two ways, takes one place, whichever comes first."""
    admitted = admission(1)
    plain = make_column(STATUS, FakeReader((("status_code",),)), admitted)
    other = make_column(STATUS, FakeReader((("code",),), names={"status_code": "code"}), admitted)
    hexadecimal = FakeReader((("status_code",),), notations={"status_code": Notation(hexadecimal=True)})
    coded = make_column(STATUS, hexadecimal, admitted)
    assert values_of(coded, rows_of([b"C8"])) == ["200"]
    assert values_of(plain, rows_of([b"200", b"201"])) == ["200", OTHER]
    assert values_of(other, rows_of([b"200", b"201"])) == ["200", OTHER]
    assert admitted.taken == 1


def test_rules_change_what_is_admitted() -> None:
    """In order, before a place is taken; what none of them fits stays as it is."""
    rules = [
        rule("s([0-9])", Action.REPLACE, "server-$1"),
        rule("server-[0-4]", Action.REPLACE, "low"),
        rule("server-.*", Action.REPLACE, ""),
    ]
    admitted = admission(2)
    column = make_column(find("server_name")[0], FakeReader((("server_name",),)), admitted, rules)
    assert values_of(column, rows_of([b"s1", b"s9", b"s2", b"x", b"s3", b"y"])) == ["low", "", "low", "x", "low", OTHER]


# Filters


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ([rule("/a.*", Action.KEEP)], [b"/a", b"/ab"]),
        ([rule("/a", Action.DROP)], [b"/ab", b"/b", None]),
        ([rule("", Action.DROP)], [b"/a", b"/ab", b"/b"]),
        ([rule("/ab", Action.REPLACE, "x"), rule("x|", Action.DROP)], [b"/a", b"/b"]),
        ([rule("/.*", Action.KEEP), rule("/ab?", Action.DROP)], [b"/b"]),
        ([rule("/a", Action.REPLACE, "/z")], [b"/a", b"/ab", b"/b", None]),
    ],
)
def test_rules_keep_and_drop_lines(rules: Sequence[Rule], kept: Sequence[bytes | None]) -> None:
    """Each sees what the one before made of the value, of a line without the field the empty one."""
    paths = [b"/a", b"/ab", b"/b", None]
    found = make_filter(PATH, PATHS_ALONE, *rules).keeps(rows_of(paths))
    assert [path for path, keeps in zip(paths, found, strict=True) if keeps] == kept


def test_filters_take_no_places() -> None:
    """They look at what a label would be; a format that lacks the field has the empty value in all lines."""
    reader = FakeReader((("status_code",),))
    assert make_filter(PATH, reader, rule("/.*", Action.KEEP)).keeps(rows_of([b"200", b"404"])) == [False, False]
    assert make_filter(PATH, reader, rule("/.*", Action.DROP)).keeps(rows_of([b"200"])) == [True]


def test_filters_see_paths_in_their_normal_form() -> None:
    """As the label is written, whatever its notation."""
    keeping = rule("/a", Action.KEEP)
    assert make_filter(PATH, PATHS_ALONE, keeping).keeps(rows_of([b"//a", b"/%61", b"/./a", b"/b"])) == [True] * 3 + [
        False
    ]
    reader = FakeReader(PATHS_ALONE.groups, notations={"http_request_path": Notation(json=True)})
    assert make_filter(PATH, reader, keeping).keeps(rows_of([b'"\\/a"', b"null"])) == [True, False]


def test_memory_of_filters_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of columns is."""
    monkeypatch.setattr(columns, "_MOST_REMEMBERED", 10)
    filtering = make_filter(PATH, PATHS_ALONE, rule("/1.*", Action.KEEP))
    for number in range(100):
        assert filtering.keeps(rows_of([b"/%d" % number])) == [str(number).startswith("1")]
        assert len(filtering._known) <= 10
