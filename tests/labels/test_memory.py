"""What columns and filters remember of texts: so many of them, and of their bytes."""

import pytest

from haproxy_log_exporter.labels import columns
from haproxy_log_exporter.labels.columns import ClientColumn, PlainColumn
from haproxy_log_exporter.labels.limits import OTHER
from haproxy_log_exporter.labels.rules import Action
from tests.rows import (
    PATH,
    REQUESTS,
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
SERVERS = FakeReader((("server_name",),))


@pytest.fixture(autouse=True)
def _few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_MOST_BYTES", 100)


def long(number: int) -> bytes:
    """Write a path of 40 bytes."""
    return b"/%039d" % number


def test_long_paths_are_not_remembered_without_end() -> None:
    """Two of 40 bytes fit 100, with the third all begins anew; their values stay what they were."""
    column = make_column(PATH, REQUESTS, admission(2))
    assert isinstance(column, ClientColumn)
    kept = []
    for number in range(6):
        value = f"/{number:039}" if number < 2 else OTHER
        assert [*column.values(requests((b"200", long(number))))] == [value]
        kept.append(sum(len(raw) for raw in column._known if raw))
        assert [*column.values(requests((b"200", long(0)), (b"200", None)))] == [f"/{0:039}", ""]
    assert kept == [40 + 1, 80 + 1, 40 + 1, 40 + 1, 40 + 1, 40 + 1]


def test_a_chunk_counts_each_text_once() -> None:
    """However often it comes in it, and what is remembered already not again."""
    column = make_column(PATH, REQUESTS)
    assert isinstance(column, ClientColumn)
    for _ in range(10):
        assert [*column.values(requests(*[(b"200", long(7))] * 20))] == [f"/{7:039}"] * 20
    assert long(7) in column._known
    assert [*column.values(requests((b"200", long(8))))] == [f"/{8:039}"]
    assert {long(7), long(8)} <= {*column._known}


def test_known_paths_survive_a_flood_of_those_that_do_not_exist() -> None:
    """They are not remembered, so they drive nothing out, whether the label is full or not."""
    for most in (1, 1000):
        column = make_column(PATH, REQUESTS, admission(most))
        assert isinstance(column, ClientColumn)
        assert [*column.values(requests((b"200", b"/known")))] == ["/known"]
        before = dict(column._known)
        for start in range(0, 2000, 100):
            flood = [(b"404", long(number)) for number in range(start, start + 100)]
            assert {*column.values(requests(*flood))} == {OTHER}
            assert {*column._found} <= {b"404", b"200"}
        assert dict(column._known) == before


def test_what_has_no_place_is_remembered_as_such() -> None:
    """A request that found something is not looked at twice."""
    column = make_column(PATH, REQUESTS, admission(1))
    assert isinstance(column, ClientColumn)
    assert [*column.values(requests((b"200", b"/a"), (b"200", b"/b"), (b"404", b"/c")))] == ["/a", OTHER, OTHER]
    assert {b"/a", b"/b"} <= {*column._known}
    assert b"/c" not in column._known


def test_long_texts_of_other_labels_are_not_remembered_without_end() -> None:
    """By the bytes of their text, or of all their texts where a label is read from several."""
    column = make_column(find("server_name")[0], SERVERS, admission(1000))
    assert isinstance(column, PlainColumn)
    for number in range(10):
        assert [*column.values(rows_of([b"%040d" % number]))] == [f"{number:040}"]
        assert len(column._memory) <= 2
    assert [*column.values(rows_of([b"x" * 1000]))] == ["x" * 1000]
    assert len(column._memory) == 1
    assert [*column.values(rows_of([None, None]))] == ["", ""]


@pytest.mark.parametrize(
    ("raw", "size"), [(b"", 0), (b"abc", 3), (None, 0), ((), 0), ((b"ab", None, b"c"), 3), ((b"", (b"x", b"yz")), 3)]
)
def test_size_is_that_of_all_texts(raw: object, size: int) -> None:
    """A text that is not there has none."""
    assert columns._size(raw) == size


def test_long_texts_of_filters_are_not_remembered_without_end() -> None:
    """Also those that come with one chunk as others that are remembered: these are looked at again."""
    filtering = make_filter(PATH, PATHS_ALONE, rule("/0.*[02468]", Action.KEEP))
    for number in range(10):
        assert filtering.keeps(rows_of([long(0), long(number), b"/x"])) == [True, number % 2 == 0, False]
        assert len(filtering._known) <= 4
    many = [long(number) for number in range(20)]
    assert filtering.keeps(rows_of(many)) == [number % 2 == 0 for number in range(20)]
    assert filtering.keeps(rows_of([b"/x"])) == [False]
    assert [*filtering._known] == [b"/x"]


@pytest.mark.parametrize("name", ["texts", "bytes"])
def test_room_is_made_by_forgetting_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly as much as there may be is no reason to; and what was forgotten does not count any more."""
    if name == "texts":
        monkeypatch.setattr(columns, "_MOST_REMEMBERED", 2)
    size = 50 if name == "bytes" else 0
    memory = columns._Maker(str)
    for turn in range(6):
        assert memory.make_room(1, size) is (turn in (2, 4))
        memory[turn] = turn
    memory.forget()
    assert len(memory) == 0
    assert [memory.make_room(2, 100), memory.make_room(0, 1)] == [False, True]
