import re
from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.labels.normalisation import normalise_one
from haproxy_log_exporter.labels.suggesting import suggest
from haproxy_log_exporter.labels.templates import Templates, read_template

PEOPLE = [first + last for first in ("an", "bo", "cla", "dor", "ed") for last in ("na", "ris", "win", "ra")]
PAGES = ["about", "contact", "login", "pricing", "imprint", "jobs", "press", "blog", "search", "help", "terms", "team"]

SEGMENTS = st.sampled_from(
    [*PEOPLE, *PAGES[:4], "users", "orders", "1", "2", "2026-11-20", "a.json", "1.json", "app.3f9a1c.js"]
)
ODD = st.sampled_from(
    [
        "",
        "{id}",
        "*",
        "a*b",
        "}{",
        "{x+}",
        "%2F",
        "%7B",
        "a" * 20,
        "-",
        "..",
        "a?b",
        "{a}.{b}",
        ":id",
        "<x>",
        "2026",
        "12",
        "@bo",
        "@",
    ]
)
PATHS = st.lists(st.one_of(SEGMENTS, SEGMENTS, ODD), max_size=15).map(lambda s: normalise_one("/" + "/".join(s)))


def templates(counts: Mapping[str, int]) -> dict[str, int]:
    """Give the suggestions as a dictionary."""
    return dict(suggest(counts))


def each(paths: Iterable[str], requests: int = 1) -> dict[str, int]:
    """Let each path have as many requests."""
    return dict.fromkeys(paths, requests)


@given(st.dictionaries(PATHS, st.integers(1, 100), max_size=60), st.sampled_from([1, 2, 5, 200]))
def test_each_path_is_counted_where_its_template_is(counts: dict[str, int], most: int) -> None:
    """All paths are covered, and each counts where a trie of all suggestions puts it; there are no more than wanted."""
    suggestions = suggest(counts, most=most)
    tree = Templates([read_template(suggestion.template) for suggestion in suggestions])
    matched = Counter[str]()
    for path, requests in counts.items():
        matched[tree.match(path) or "none"] += requests
    assert dict(suggestions) == matched
    assert len(suggestions) <= most
    assert [*suggestions] == sorted(suggestions, key=lambda suggestion: -suggestion.requests)
    for template in matched:
        names = re.findall(r"\{(.*?)\}", template)
        assert len(names) == len({*names})


def test_identifiers_are_parameters() -> None:
    """They are named after what stands before them, by what they are, and differently."""
    counts = each(
        [
            "/users/1",
            "/users/2",
            "/users/550e8400-e29b-41d4-a716-446655440000",
            "/users/1/orders/7",
            "/users/users/7",
            "/categories/3.json",
            "/days/2026-11-20",
            "/x/1/2/3",
            "/static/app.3f9a1c.js",
            "/static/app.3f9a1c.b2d5e1.js",
        ]
    )
    assert templates(counts) == {
        "/users/{user}": 3,
        "/users/{user}/orders/{order}": 1,
        "/users/users/{user}": 1,
        "/categories/{id}.json": 1,
        "/days/{date}": 1,
        "/x/{id}/{id2}/{id3}": 1,
        "/static/app.{hash}.js": 1,
        "/static/app.{hash}.{hash2}.js": 1,
    }


def test_many_with_the_same_below_are_one() -> None:
    """Names that go on in the same way are values; what stands out beside them stays."""
    counts = {
        **each((f"/users/{name}" for name in PEOPLE), 50),
        **each((f"/users/{name}/orders" for name in PEOPLE), 50),
        **each((f"/users/{name}/settings" for name in PEOPLE[:12]), 50),
        **each((f"/users/{name}/orders/{number}" for name in PEOPLE for number in (1, 2)), 50),
        "/users/zoe": 50,
        "/users/me": 5000,
    }
    assert templates(counts) == {
        "/users/me": 5000,
        "/users/{user}/orders/{order}": 2000,
        "/users/{user}": 1050,
        "/users/{user}/orders": 1000,
        "/users/{user}/settings": 600,
    }


def test_pages_stay() -> None:
    """Different pages that are visited often are no values, and neither are a few directories."""
    counts = {"/": 900, **each((f"/{page}" for page in PAGES), 300), **each((f"/docs/{page}" for page in PAGES), 40)}
    assert templates(counts) == counts


def test_collections_stay() -> None:
    """Collections that have the same below them stay as they are."""
    names = ["users", "orders", "carts", "items", "posts", "tags", "files", "teams", "roles", "rules", "plans", "keys"]
    counts = each(path for name in names for path in (f"/api/{name}", f"/api/{name}/new", f"/api/{name}/7/edit"))
    assert {f"/api/{name}/new" for name in names} < templates(counts).keys()
    assert "/api/users/{user}/edit" in templates(counts)


def test_many_that_are_seldom_seen_are_one() -> None:
    """Slugs in a collection, and random ones at the top, are values."""
    counts = {**each(f"/articles/the-{name}" for name in PEOPLE), "/articles/new": 900, "/about": 900}
    assert templates(counts) == {"/articles/new": 900, "/about": 900, "/articles/{article}": 20}
    scan = each(f"/{first}-{last}" for first in PEOPLE for last in PAGES[:4])
    assert templates({**scan, "/about": 900}) == {"/about": 900, "/{name}": 80}


@pytest.mark.parametrize("other", ["", "*", "host:443", "other"])
def test_what_is_no_path_is_left_out(other: str) -> None:
    """Only what begins with a slash is described."""
    assert templates({other: 5, "/a": 1}) == {"/a": 1}
    assert suggest({other: 5}) == []
    assert suggest({}) == []


def test_the_seldom_ones_are_put_together() -> None:
    """At the most, those with the fewest requests are under the rest of what is above them."""
    counts = {f"/{page}/{name}/{page}": 100 * (page == "about") + 1 for page in PAGES[:10] for name in PEOPLE[:10]}
    found = suggest(counts, most=24)
    assert len(found) <= 24
    assert found[-1].template.endswith("/*")
    assert {suggestion.template for suggestion in found} > {f"/about/{name}/about" for name in PEOPLE[:10]}


def test_random_paths_are_bounded() -> None:
    """Any number of paths, however deep, are described by so many templates."""
    random = Random(20261120)
    paths = ("/".join(["", *random.choices(PEOPLE, k=random.randint(1, 40))]) for _ in range(5000))
    assert len(suggest(each(paths))) <= 200


def test_no_site_has_so_many_pages() -> None:
    """Values that are more than any site's pages are values, whatever is below them and however often they are seen."""
    counts = {**each((f"/x{number:04d}y/p{number}q" for number in range(1500)), 50), "/about/us": 90000}
    assert templates(counts) == {"/{name}/{name2}": 75000, "/about/us": 90000}


def test_what_is_deep_is_a_rest() -> None:
    """However many segments a path has, its template has few."""
    assert templates({"/a" * 30000: 1, "/a" * 12: 1, "/a" * 13: 1}) == {f"{'/a' * 12}/*": 2, "/a" * 12: 1}


def test_dates_are_named() -> None:
    """A year, a month and a day in segments of their own are called so, if they fit; a date stays one."""
    counts = each(
        [
            "/blog/2026/11/20/a",
            "/blog/2025/1/2/b",
            "/blog/2025/12",
            "/blog/2025/",
            "/blog/2026-11-20/c",
            "/n/2026/11/20",
            "/n/2026/13/20",
            "/archives/1999/12",
            "/orders/2024",
            "/x/5/6/7",
        ]
    )
    assert templates(counts) == {
        "/blog/{year}/{month}/{day}/a": 1,
        "/blog/{year}/{month}/{day}/b": 1,
        "/blog/{year}/{month}": 1,
        "/blog/{year}/": 1,
        "/blog/{date}/c": 1,
        "/n/{id}/{id2}/{id3}": 2,
        "/archives/{year}/{month}": 1,
        "/orders/{order}": 1,
        "/x/{id}/{id2}/{id3}": 1,
    }


def test_pages_beside_many_names_stay() -> None:
    """What has many more requests than its siblings is a page of its own, and a common mark stays before the names."""
    people = each((f"/@{first}{number}" for first in PEOPLE for number in range(15)), 2)
    pages = {"/search": 234, "/login": 40, "/checkout": 25}
    assert templates({**people, **pages, "/x/1": 5000}) == {"/x/{id}": 5000, "/@{name}": 600, **pages}


def test_what_is_seldom_beside_many_identifiers_is_one() -> None:
    """Identifiers that look like words are folded into the parameter that takes the others."""
    counts = {
        **each(f"/reset/a{number:015x}" for number in range(0x12345678, 0x12345678 + 300)),
        "/reset/facadefacade": 1,
        "/reset/facadefacade/once": 1,
        **each((f"/a{number:015x}/profile" for number in range(300)), 3),
        "/admin/profile": 40,
        "/reset/all": 900,
        **each((f"/static/app.{number:08x}.js" for number in range(0x3F9A1C00, 0x3F9A1C00 + 300)), 3),
        "/static/app.deadbeef.js": 3,
        "/static/app.legacy.js": 900,
    }
    assert templates(counts) == {
        "/static/app.{hash}.js": 903,
        "/reset/all": 900,
        "/static/app.legacy.js": 900,
        "/{hex}/profile": 900,
        "/reset/{hex}": 301,
        "/admin/profile": 40,
        "/reset/{hex}/once": 1,
    }
