import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.labels.paths import PathRewriter
from haproxy_log_exporter.labels.templates import Templates

NONE = Templates([])
SOME = Templates(["/users/{id}", "/users/{id}.json", "/users/me", "/v{n}/x", "/f/*", "/{a}/{b}/c", "/caf%c3%a9/{id}/"])
PIECES = [
    "/",
    "users",
    "me",
    ".json",
    "123",
    "v2",
    "x",
    "f",
    "c",
    "{id}",
    "*",
    "%41",
    "%4",
    "#C3",
    "#23",
    ".",
    "é",
    "-",
]
LONG = [
    "/550e8400-e29b-41d4-a716-446655440000",
    "3f9a1c2b4d5e.js",
    "app.3f9a1c.js",
    "2026-11-20",
    "aB3dE5gH7jK9mN1pQ3sT",
    ".a1b2c3",
    "\n",
    "\r",
    "\x85",
]
PATHS = st.one_of(
    st.lists(st.sampled_from([*PIECES, *LONG])).map(lambda pieces: ("/" + "".join(pieces)).encode()),
    st.binary(max_size=8),
)
REWRITERS = st.builds(PathRewriter, st.sampled_from([NONE, SOME]), ids=st.booleans(), depth=st.integers(0, 3))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (b"/", "/"),
        (b"", "/"),
        (b"#23top", "/"),
        (b"*", "*"),
        (b"host:443", "host:443"),
        (b"foo//123", "foo//123"),
        (b"foo#23123", "foo"),
        (b"\xff", "�"),
        (b"<BADREQ>", "<BADREQ>"),
        (b"/a\nb", "/a%0Ab"),
        (b"a\nb", "a%0Ab"),
        (b"/%7ea//123#23x", "/~a/{id}"),
    ],
)
def test_a_path_becomes_a_value(path: bytes, value: str) -> None:
    """It does so alone and among others, and what begins with no slash stays."""
    rewriter = PathRewriter(NONE)
    assert rewriter.rewrite([path]) == [value]
    assert rewriter.rewrite([b"/1", path, b"/a", path]) == ["/{id}", value, "/a", value]


def test_templates_come_before_classes_and_depth() -> None:
    """What a template fits is neither searched for identifiers nor cut."""
    templates = Templates(["/users/{user}/orders/{order}", "/app.3f9a1c.js"])
    paths = [b"/users/5/orders/6", b"/users/5/orders/6/7", b"/app.3f9a1c.js", b"/b.3f9a1c.js", b"*"]
    assert PathRewriter(templates, depth=3).rewrite(paths) == [
        "/users/{user}/orders/{order}",
        "/users/{id}/orders",
        "/app.3f9a1c.js",
        "/b.{hash}.js",
        "*",
    ]


def test_classes_can_be_left() -> None:
    """Without ids, paths are normalised only."""
    assert PathRewriter(NONE, ids=False).rewrite([b"//1", b"/%61"]) == ["/1", "/a"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (b"/", "/"),
        (b"/a", "/a"),
        (b"/a/", "/a/"),
        (b"/a/b", "/a/b"),
        (b"/a/b/", "/a/b"),
        (b"/a/b/c/d", "/a/b"),
        (b"/1/2/3", "/{id}/{id}"),
        (b"*", "*"),
    ],
)
def test_the_first_segments_stay(path: bytes, value: str) -> None:
    """A depth cuts what is behind; what stands behind the last slash is a segment."""
    assert PathRewriter(NONE, depth=2).rewrite([path, path]) == [value, value]


def test_no_paths_are_no_values() -> None:
    """An empty batch is one."""
    assert PathRewriter(NONE).rewrite([]) == []
    assert PathRewriter(SOME).rewrite([]) == []


@given(REWRITERS, st.lists(PATHS, max_size=6))
def test_each_path_has_a_value_of_its_own(rewriter: PathRewriter, paths: list[bytes]) -> None:
    """A path has the same value alone and among others, and that is never empty."""
    values = rewriter.rewrite(paths)
    assert values == [rewriter.rewrite([path])[0] for path in paths]
    assert all(values)


@given(REWRITERS, st.lists(PATHS, max_size=6))
def test_a_value_is_rewritten_to_itself(rewriter: PathRewriter, paths: list[bytes]) -> None:
    """What was rewritten stays."""
    values = rewriter.rewrite(paths)
    assert rewriter.rewrite([value.encode() for value in values]) == values
