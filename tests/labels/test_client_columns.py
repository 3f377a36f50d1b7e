"""Columns of what clients choose: a value takes a place where the request found something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.labels import columns
from haproxy_log_exporter.labels.catalogue import Label, Reading, read_label
from haproxy_log_exporter.labels.columns import ClientColumn, Column, PlainColumn
from haproxy_log_exporter.labels.limits import CAPPED, OTHER
from haproxy_log_exporter.labels.paths import PathRewriter
from haproxy_log_exporter.labels.rules import Action
from haproxy_log_exporter.labels.templates import Templates
from haproxy_log_exporter.logformat.notation import PLAIN, Notation
from haproxy_log_exporter.logformat.reader import Rows
from tests.metrics import patient
from tests.rows import (
    PATH,
    REQUESTS,
    FakeReader,
    admission,
    find,
    make_column,
    requests,
    rows_of,
    rule,
)

PATHS_ALONE = FakeReader((("http_request_path",),))
URI = Label("http_request_uri", "http_request_uri", Reading.TEXT)
FOUND = (b"100", b"200", b"204", b"301", b"304", b"403", b"401", b"410", b"429", b"500", b"503", b"599")
NO_ANSWER = (b"-1", b"0", b"000", b"", b"-", None, b"2", b"99", b"600", b"20", b"2000")
NOTHING_FOUND = (b"400", b"404", b"405", b"414", *NO_ANSWER)


def values_of(column: Column, rows: Rows) -> list[str]:
    """Give a column's values."""
    return [*column.values(rows)]


def paths_of(column: Column, *found: tuple[bytes | None, bytes | None]) -> list[str]:
    """Give a column's values of requests by status and path."""
    return values_of(column, requests(*found))


@pytest.mark.parametrize("code", FOUND)
def test_path_is_admitted_by_a_request_that_found_something(code: bytes) -> None:
    """Whatever else the answer was."""
    admitted = admission()
    assert paths_of(make_column(PATH, REQUESTS, admitted), (code, b"/a")) == ["/a"]
    assert admitted.taken == 1


@pytest.mark.parametrize("code", NOTHING_FOUND)
def test_path_is_not_admitted_by_a_request_that_found_nothing(code: bytes | None) -> None:
    """Nor by one that had no answer: it takes no place, and is `other` without being capped."""
    admitted = admission()
    column = make_column(PATH, REQUESTS, admitted)
    [value] = paths_of(column, (code, b"/a"))
    assert value == OTHER
    assert value is not CAPPED
    assert admitted.taken == 0
    assert paths_of(column, (code, b"/a"), (b"200", b"/a"), (code, b"/a")) == [OTHER, "/a", "/a"]
    assert paths_of(column, (code, b"/a"), (code, b"/b")) == ["/a", OTHER], "a path that is known counts as itself"


def test_path_that_is_known_in_another_way_counts_as_itself() -> None:
    """However it is written, and whichever format it was first in."""
    admitted = admission(1)
    first, second = (make_column(PATH, REQUESTS, admitted) for _ in range(2))
    assert paths_of(first, (b"404", b"/a"), (b"200", b"/a")) == [OTHER, "/a"]
    assert paths_of(second, (b"404", b"//a"), (b"404", b"/%61#x"), (b"-1", b"/a/"), (b"200", b"/b")) == [
        "/a",
        "/a",
        OTHER,
        OTHER,
    ]
    assert admitted.taken == 1


TEMPLATES = ("/users/{id}", "/about")
FITTING = PathRewriter(Templates(TEMPLATES), ids=False)


def test_templates_count_whatever_the_answer() -> None:
    """They were chosen, and have places from the start; what fits none needs to have found something."""
    admitted = admission(certain=TEMPLATES)
    column = make_column(PATH, REQUESTS, admitted, rewriter=FITTING)
    assert paths_of(column, (b"404", b"/users/7"), (b"400", b"/about"), (b"404", b"/users/7/x")) == [*TEMPLATES, OTHER]
    assert admitted.taken == 2


@pytest.mark.parametrize("chunks", [1, 5])
def test_templates_without_a_place_are_other(chunks: int) -> None:
    """The first of them have places, as many as there may be; the others are capped where they found something."""
    column = make_column(PATH, REQUESTS, admission(1, TEMPLATES), rewriter=FITTING)
    rows = [(b"200", b"/a"), (b"404", b"/users/7"), (b"404", b"/nothing"), (b"404", b"/about"), (b"200", b"/about")]
    size = -(-len(rows) // chunks)
    values = [value for start in range(0, len(rows), size) for value in paths_of(column, *rows[start : start + size])]
    assert values == [OTHER, "/users/{id}", OTHER, OTHER, OTHER]
    assert [value is CAPPED for value in values] == [True, False, False, False, True]


def test_format_without_a_status_admits_all_paths() -> None:
    """It does not tell what was found."""
    admitted = admission(2)
    column = make_column(PATH, PATHS_ALONE, admitted)
    assert values_of(column, rows_of([b"/a", b"/b", None, b"/c", b"/a"])) == ["/a", "/b", "", OTHER, "/a"]


@pytest.mark.parametrize("label", [URI, Label("http_request_query", "http_request_query", Reading.TEXT)])
def test_other_things_that_clients_choose_are_admitted_as_paths_are(label: Label) -> None:
    """URIs and queries; they are not rewritten."""
    reader = FakeReader((("status_code",), (label.field,)))
    column = make_column(label, reader, rewriter=PathRewriter(Templates(())))
    assert isinstance(column, ClientColumn)
    values = values_of(column, rows_of([b"404", b"200", b"404", b"200"], [b"/7", b"//7?#", b"//7?#", None]))
    assert values == [OTHER, "//7?#", "//7?#", ""]


def test_what_clients_do_not_choose_is_admitted_by_any_answer() -> None:
    """Backends, servers and codes are HAProxy's own."""
    reader = FakeReader((("status_code",), ("server_name",)))
    for label in find("status_code", "server_name"):
        column = make_column(label, reader)
        assert isinstance(column, PlainColumn)
        assert OTHER not in values_of(column, rows_of([b"404", b"400"], [b"s1", b"<NOSRV>"]))


def test_status_may_be_written_in_another_way() -> None:
    """What was found is told by the code, not by its text."""
    reader = FakeReader(REQUESTS.groups, notations={"status_code": Notation(hexadecimal=True)})
    assert paths_of(make_column(PATH, reader), (b"194", b"/gone"), (b"C8", b"/a"), (b"194", b"/a")) == [
        OTHER,
        "/a",
        "/a",
    ]


def test_rules_change_paths_after_they_are_rewritten() -> None:
    """What they make of a path is what takes a place, and what a path that found nothing is looked up by."""
    rules = [rule("/users/.*", Action.REPLACE, "users"), rule("/secret/.*", Action.REPLACE, "")]
    admitted = admission(1)
    column = make_column(PATH, REQUESTS, admitted, rules, PathRewriter(Templates(())))
    assert paths_of(column, (b"404", b"/users/1"), (b"200", b"/users/2"), (b"404", b"/users/3")) == [
        OTHER,
        "users",
        "users",
    ]
    assert paths_of(column, (b"404", b"/secret/1"), (b"200", b"/users/x/7"), (b"200", b"/7")) == ["", "users", OTHER]


def test_lines_without_a_path_stay_so_when_the_memory_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing and a dash are no path, whatever was forgotten."""
    monkeypatch.setattr(columns, "_MOST_REMEMBERED", 3)
    column = make_column(PATH, REQUESTS)
    for number in range(20):
        assert paths_of(column, (b"200", b"/%d" % number), (b"200", None), (b"404", b"-")) == [f"/{number}", "", ""]


@pytest.mark.parametrize("code", [b"200", b"404"])
def test_memory_is_bounded(code: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts without end, those of paths that do not exist not at all, and the known ones keep their values."""
    monkeypatch.setattr(columns, "_MOST_REMEMBERED", 10)
    admitted = admission(5)
    path = make_column(PATH, REQUESTS, admitted)
    server = make_column(find("server_name")[0], FakeReader((("server_name",),)), admission(5))
    assert isinstance(path, ClientColumn)
    assert isinstance(server, PlainColumn)
    assert paths_of(path, (b"200", b"/known")) == ["/known"]
    values_of(server, rows_of([b"known"]))
    for start in range(0, 300, 30):
        names = [b"/%d" % number for number in range(start, start + 30)]
        paths_of(path, *((code, name) for name in names))
        values_of(server, rows_of(names))
        assert len(path._known) <= 30 + 3
        assert len(path._found) <= 10
        assert len(server._memory) <= 10
        assert paths_of(path, (code, b"/known")) == ["/known"]
        assert values_of(server, rows_of([b"known"])) == ["known"]
    assert admitted.taken == (5 if code == b"200" else 1)
    assert len(admitted.values) == admitted.taken + 2


def test_column_that_forgets_looks_for_places_again() -> None:
    """What had none has one where places were freed."""
    for label, reader in ((PATH, PATHS_ALONE), (find("server_name")[0], FakeReader((("server_name",),)))):
        admitted = admission(1)
        column = make_column(label, reader, admitted)
        assert values_of(column, rows_of([b"/a", b"/b", None])) == ["/a", OTHER, ""]
        admitted.retain(set())
        column.forget()
        assert values_of(column, rows_of([b"/b", b"/a", None])) == ["/b", OTHER, ""]


NOTATIONS = [
    PLAIN,
    Notation(quoted=True),
    Notation(json=True),
    Notation(json=True, quoted=True),
    Notation(escaped=True),
    Notation(escaped=True, quoted=True),
    Notation(converted="utf-8"),
    Notation(converted="bytes"),
    Notation(hexadecimal=True),
    Notation(dash=False),
]
TEXTS = (
    st.none()
    | st.sampled_from(
        [
            *(
                b"",
                b"-",
                b"/",
                b"//",
                b"/a",
                b"/a/./b/",
                b"null",
                b'"/a"',
                b'"\\u00e9"',
                b'/\\"a\\]',
                b"/%41",
                b"/\xff",
                b"*",
            ),
            *(b"7F000001", b"0", b"/a#23b", b"/1", b"/x\\ny", b'/"', b"other", b"/\xc3\xa9"),
        ]
    )
    | st.binary(max_size=5).filter(lambda text: b"\n" not in text)
)
HEXADECIMAL = st.sampled_from([None, b"-", b"C8", b"0", b"7F000001"])


def expected_path(raw: bytes | None, notation: Notation, rewriter: PathRewriter) -> str:
    """Read and rewrite one path by itself."""
    value = notation.value(raw)
    if value is None and raw:
        return ""
    return "" if raw is None else rewriter.rewrite([value or b""])[0]


@pytest.mark.parametrize("code", [b"200", b"404"])
@pytest.mark.parametrize("label", [PATH, URI])
def test_rules_see_the_value_that_is_not_there(label: Label, code: bytes) -> None:
    """As that of any other label: it becomes what they make of it, whatever the request found."""
    reader = FakeReader((("status_code",), (label.field,)))
    admitted = admission(1)
    column = make_column(label, reader, admitted, [rule("", Action.REPLACE, "none")])
    for _ in range(2):
        assert values_of(column, rows_of([code], [None])) == ["none"]
        assert values_of(column, rows_of([code], [b"-"])) == ["none"]
        column.forget()
    assert [*admitted.values] == ["", OTHER, "none"]
    capped = make_column(label, reader, admission(0), [rule("", Action.REPLACE, "none")])
    [value] = values_of(capped, rows_of([code], [None]))
    assert value is CAPPED


@patient
@given(st.data(), st.sampled_from(NOTATIONS), st.booleans(), st.sampled_from([PATH, URI]))
def test_notations_are_undone(data: st.DataObject, notation: Notation, ids: bool, label: Label) -> None:  # noqa: FBT001 -- drawn
    """What a column gives is what reading and rewriting give for each text by itself."""
    texts = HEXADECIMAL if notation.hexadecimal else TEXTS
    raws = data.draw(st.lists(texts, min_size=1, max_size=8))
    rewriter = PathRewriter(Templates(()), ids=ids)
    reader = FakeReader(((label.field,),), notations={label.field: notation})
    column = make_column(label, reader, rewriter=rewriter)
    expected = [
        expected_path(raw, notation, rewriter) if label is PATH else read_label(label, raw, notation) for raw in raws
    ]
    for _ in range(2):
        assert values_of(column, rows_of(raws)) == expected


CODES = st.sampled_from([b"200", b"404", b"-1", b"500"])
RAWS = st.none() | st.sampled_from(
    [b"-", b"", b"/", b"/a", b"//a", b"/b", b"/users/1", b"/users/2", b"/other", b"other"]
)


@patient
@given(
    st.lists(st.lists(st.tuples(CODES, RAWS), max_size=8), max_size=6),
    st.integers(0, 4),
    st.integers(1, 4),
    st.booleans(),
)
def test_paths_are_admitted_as_a_straightforward_model_has_it(
    chunks: list[list[tuple[bytes, bytes | None]]],
    most: int,
    remembered: int,
    two: bool,  # noqa: FBT001 -- drawn
) -> None:
    """Row by row, over chunks and formats, whatever is remembered."""
    rewriter = PathRewriter(Templates(("/users/{id}",)), ids=False)
    admitted = admission(most, ("/users/{id}",))
    both = [make_column(PATH, REQUESTS, admitted, rewriter=rewriter) for _ in range(2)]
    placed = ["/users/{id}"][:most]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_MOST_REMEMBERED", remembered)
        for number, chunk in enumerate(chunks):
            expected = []
            for code, raw in chunk:
                text = "" if raw in (None, b"-") else rewriter.rewrite([raw])[0]
                known = text in (*placed, "", OTHER)
                if not known and len(placed) < most and code in (b"200", b"500"):
                    placed.append(text)
                expected.append(text if text in (*placed, "") else OTHER)
            assert paths_of(both[number % 2 * two], *chunk) == expected
            assert [*admitted.values][2:] == placed
