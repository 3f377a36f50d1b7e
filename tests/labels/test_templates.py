import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.labels.templates import Templates, read_template, read_template_lines

SEGMENTS = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "aa.b",
        "",
        "{p}",
        "{q}",
        "{p}.b",
        "{q}.b",
        "a{p}",
        "a{p}b",
        "a{p}.b",
        "{p}a{q}",
        "{p}b{q}",
        "{p}-{q}.b",
    ]
)
TEMPLATES = st.builds(
    lambda segments, rest: "/" + "/".join([*segments, *rest]),
    st.lists(SEGMENTS.filter(bool), max_size=3),
    st.sampled_from([[""], ["*"], ["{r+}"], ["a"], ["{p}"]]),
)
PATHS = st.lists(
    st.sampled_from(["a", "b", "ab", "aab", "aa.b", "x.b", "ax.b", "xay", "xbay", "-.b", "x-y.b", "x"]), max_size=4
).flatmap(lambda segments: st.sampled_from(["/" + "/".join(segments), "/" + "/".join([*segments, ""])]))


def rank(segment: str) -> tuple[object, ...]:
    """Rank a segment of a template: the smaller the more specific."""
    literals = re.split(r"\{.*?\}", segment)
    if segment == "*" or segment.endswith("+}"):
        return (3,)
    if len(literals) == 1:
        return (0,)
    if not any(literals):
        return (2,)
    first, *middle, last = literals
    return (1, -len(first + last), -len(first), -len("".join(middle)), middle)


def pattern(template: str) -> re.Pattern[str]:
    """Write a template as a regular expression."""
    parts = re.split(r"(\{[^}]*\+\}|\*|\{[^}]*\})", template)
    return re.compile(
        "".join(".*" if re.fullmatch(r"\*|.*\+\}", p) else "[^/]+" if p[:1] == "{" else re.escape(p) for p in parts)
    )


def match_slowly(templates: Sequence[str], path: str) -> str | None:
    """Try each template, and take the most specific."""
    fitting = [template for template in templates if pattern(template).fullmatch(path)]
    return min(fitting, key=lambda template: [*map(rank, template.split("/"))], default=None)


@given(st.lists(TEMPLATES, max_size=8), st.lists(PATHS, min_size=1, max_size=8))
def test_the_most_specific_that_fits_is_found(templates: list[str], paths: list[str]) -> None:
    """The tree finds what trying them all one by one does."""
    tree = Templates(templates)
    assert [*map(tree.match, paths)] == [match_slowly(templates, path) for path in paths]


@given(st.lists(TEMPLATES, max_size=8))
def test_a_template_that_can_be_given_fits_itself(templates: list[str]) -> None:
    """A value that was rewritten is rewritten to itself."""
    tree = Templates(templates)
    for template in templates:
        assert (tree.match(template) == template) == (template in tree)
    assert bool(tree) == bool(templates)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", None),
        ("/users", "/users"),
        ("/users/", None),
        ("/users/5", "/users/{id}"),
        ("/users/me", "/users/me"),
        ("/users/5.json", "/users/{id}.json"),
        ("/users/.json", "/users/{id}"),
        ("/users/5/orders/6", "/users/{id}/orders/{order}"),
        ("/users/me/orders/6", "/users/{id}/orders/{order}"),
        ("/users/me/orders", None),
        ("/users/me/settings", "/users/me/settings"),
        ("/users/5/orders/6/7", None),
        ("/static", None),
        ("/static/", "/static/*"),
        ("/static/a/b/c/", "/static/*"),
        ("/static/index.html", "/static/index.html"),
        ("/proxy/a/b", "/proxy/{path+}"),
        ("/proxy/a", "/proxy/{one}"),
        ("/v2/x", "/v{n}/x"),
        ("/v/x", None),
        ("/report-2024-05.csv", "/report-{year}-{month}.csv"),
        ("/report-2024-.csv", None),
        ("/caf%C3%A9/1", "/caf%c3%a9/{id}"),
        ("/docs/", "/docs//"),
    ],
)
def test_paths_are_matched_by_segment(path: str, template: str | None) -> None:
    """Literals come before parts, parts before parameters, these before the rest; no parameter is empty."""
    templates = Templates(
        [
            "/static/*",
            "/users/{id}",
            "/users",
            "/users/me",
            "/users/me/settings",
            "/users/{id}.json",
            "/users/{id}/orders/{order}",
            "/users/{other}",
            "/static/index.html",
            "/proxy/{path+}",
            "/proxy/{one}",
            "/v{n}/x",
            "/report-{year}-{month}.csv",
            "/caf%c3%a9/{id}",
            "/docs//",
        ]
    )
    assert templates.match(path) == template
    assert "/users/{other}" not in templates


@pytest.mark.parametrize(
    ("path", "fitting"),
    [
        ("/v1x", ["/v{n}x", "/v{n}", "/{n}x", "/{n}", "/*"]),
        ("/vv1", ["/vv{n}", "/v{n}", "/{n}"]),
        ("/a--b", ["/{a}--{b}", "/{a}-{b}"]),
        ("/a-b-c", ["/{a}-{b}-{c}", "/{a}-{b}"]),
        ("/ab/c", ["/ab/{n}", "/a{n}/c", "/{n}b/c", "/{n}/c"]),
    ],
)
def test_more_literal_comes_first(path: str, fitting: list[str]) -> None:
    """Of those that fit, each comes before what is less literal, in whichever order they are given."""
    for first in range(len(fitting)):
        assert Templates(fitting[first:]).match(path) == fitting[first]
        assert Templates(fitting[first:][::-1]).match(path) == fitting[first]


def test_a_deep_template_and_a_deep_path() -> None:
    """Neither depth nor a path of nothing but slashes is too much."""
    deep = "/a" * 5000
    templates = Templates([f"{deep}/{{x}}", "/b/*"])
    assert templates.match(f"{deep}/b") == f"{deep}/{{x}}"
    assert templates.match("/b" + "/" * 65536) == "/b/*"
    assert templates.match("/a" * 30000) is None


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/a/",
        "/{a}",
        "/a/*",
        "/{b+}",
        "/{user-id}/x.{y}",
        "/%7Ea/é",
        "/{a,b}",
        "/{größe}",
        "/a:b/{id}:undelete",
        "/v1/{x}:y",
    ],
)
def test_a_template_is_given_back(text: str) -> None:
    """What is right is taken as it was written."""
    assert read_template(text) == text


NAMES = "a parameter has a name of letters, digits, '_', '-' and '.' alone"
MISTAKES = [
    ("", "a template begins with '/', as /users/{id}"),
    ("users", "a template begins with '/', as /users"),
    ("/a?b=c", "a template has no query: leave out '?b=c'"),
    ("/a#b", "a template has no fragment: leave out '#b'"),
    ("/a b", "a template has no blank in it: write %20"),
    ("/a\tb", "a template has no blank in it: write %09"),
    ("/a\udcff", "a template is printable text"),
    ("/{id", "'{id': a parameter is a name in braces within one segment, as {id}"),
    ("/id}", "'id}': a parameter is a name in braces within one segment, as {id}"),
    ("/{a{b}}", "'{a{b}}': a parameter is a name in braces within one segment, as {id}"),
    ("/{a/b}", "'{a': a parameter is a name in braces within one segment, as {id}"),
    ("/{}", "'{}': a parameter has a name, as {id}"),
    ("/{+}", "'{+}': what takes the rest of a path is the whole last segment, as {rest+} or *"),
    ("/{*path}", "'{*path}': what takes the rest of a path is the whole last segment, as {path+} or *"),
    ("/a{path+}", "'a{path+}': what takes the rest of a path is the whole last segment, as {path+} or *"),
    ("/a*", "'a*': '*' is the whole last segment; write a parameter for a part, as {name}"),
    ("/{a}{b}", "'{a}{b}': two parameters have something between them, as {from}-{to}"),
    ("/users/:id", "':id': a parameter is written {id}"),
    ("/users/:userId.json", "':userId.json': a parameter is written {userId}"),
    ("/:/a", "':': a parameter is written {id}"),
    ("/users/<id>/a", "'<id>': a parameter is written {id}"),
    ("/users/<int:user_id>", "'<int:user_id>': a parameter is written {user_id}"),
    ("/users/a<", "'a<': a parameter is written {id}"),
    ("/users/a>", "'a>': a parameter is written {id}"),
    ("/{p:int}", f"'{{p:int}}': {NAMES}, as {{p}}"),
    ("/{path:path}", f"'{{path:path}}': {NAMES}, as {{path}}"),
    ("/{id:[0-9]+}", f"'{{id:[0-9]+}}': {NAMES}, as {{id}}"),
    ("/{:x}", f"'{{:x}}': {NAMES}, as {{id}}"),
    ("/*/a", "'*' takes the rest of a path: nothing comes behind it"),
    ("/{b+}/a", "'{b+}' takes the rest of a path: nothing comes behind it"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_told(text: str, message: str) -> None:
    """It is said what is wrong, and what would be right."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_template(text)
    if NAMES not in message:
        with pytest.raises(ValueError, match=re.escape(message)):
            Templates([text])


def test_any_name_can_be_taken() -> None:
    """Descriptions of APIs may have any names, and what read_template takes, the tree does."""
    for text in ("/{p:int}", "/{a}/{x:y}.json"):
        assert read_template(text, any_name=True) == text
        assert text in Templates([text])


def test_a_file_has_a_template_a_line() -> None:
    """Empty lines and comments are left out; each mistake has its line."""
    text = "\ufeff# users\r\n/users/{id}  # one\r\n\r\n  /a\t#b\n/a#b\nusers\n   # end\n/last"
    templates, mistakes = read_template_lines(text)
    assert templates == ["/users/{id}", "/a", "/last"]
    assert mistakes == [
        (5, "a template has no fragment: leave out '#b'"),
        (6, "a template begins with '/', as /users"),
    ]
