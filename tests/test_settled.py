"""Values that are written down have places from the start, and which values keep theirs over a restart and a reload."""

from collections.abc import Sequence
from typing import Any

import pytest

from haproxy_log_exporter.choice import PathChoice
from haproxy_log_exporter.labels.limits import Limits
from haproxy_log_exporter.labels.rules import Action
from haproxy_log_exporter.metrics.moving import carry_over, keep
from haproxy_log_exporter.metrics.totals import Row
from tests.assemblies import ask, assemble, begin_with, certain, exchange, frontends, replace_all, values_of
from tests.pipelines import samples_of, take
from tests.rows import rule

REQUESTS = "haproxy_log_requests_total"


# --- Values that are written down -------------------------------------------------------------------------------------


def test_templates_have_places_from_the_start() -> None:
    """As rules leave them, none of those that rules drop; each once, and a text that rules put has one as well."""
    rules = {
        "http_request_path": [
            rule("/secret/.*", Action.DROP),
            replace_all("/v[12](/.*)", "$1"),
            replace_all("/wp-.*", "/wordpress"),
        ]
    }
    templates = ("/v1/{id}", "/v2/{id}", "/secret/{id}", "/b/{id}")
    assembly = assemble(("http_request_path",), templates=templates, rules=rules)
    assert values_of(assembly, "http_request_path") == {"/{id}", "/b/{id}", "/wordpress"}


def test_other_labels_have_places_for_what_rules_put_alone() -> None:
    """Templates are no values of theirs, and what holds a group of the match is not certain."""
    rules = {"backend_name": [replace_all("(.*)-old", "$1"), replace_all("x.*", "X")], "http_request_path": []}
    assembly = assemble(("backend_name", "http_request_path"), templates=("/{id}",), rules=rules)
    assert values_of(assembly, "backend_name") == {"X"}
    assert values_of(assembly, "http_request_path") == {"/{id}"}
    assert values_of(assembly, "server_name") == set()


def test_templates_come_before_texts_of_rules() -> None:
    """Where there are not places for all."""
    rules = {"http_request_path": [replace_all("/x", "/y")]}
    limits = Limits(values=2)
    assembly = assemble(("http_request_path",), templates=("/a/{id}", "/b/{id}"), rules=rules, limits=limits)
    assert values_of(assembly, "http_request_path") == {"/a/{id}", "/b/{id}"}


def test_templates_keep_their_places_when_formats_are_exchanged() -> None:
    """Other values that no series has lose theirs then."""
    assembly = assemble(("http_request_path",), frontends("a"), templates=("/t/{id}",))
    assembly.begin()
    take(assembly.pipeline, *ask("/seen"))
    assembly.pipeline.account.admissions.of("http_request_path").admit("/unseen")
    exchange(assembly, frontends("b"))
    assert values_of(assembly, "http_request_path") == {"/t/{id}", "/seen"}


# --- What keeps its place ---------------------------------------------------------------------------------------------


def test_values_keep_their_places_over_a_restart() -> None:
    """Where they would be written so today; `other` and nothing take none."""
    assembly = assemble(("http_request_path",), limits=Limits(values=2))
    begin_with(assembly, "/a", "/u/{id}", "other", "", "/c")
    assert values_of(assembly, "http_request_path") == {"/a", "/u/{id}", "/c"}
    take(assembly.pipeline, *ask("/c", "/u/1", "/d"))
    samples = samples_of(assembly.pipeline)
    found = {dict(labels)["http_request_path"]: value for (_, labels), value in samples.items()}
    assert found == {"/a": 1, "/u/{id}": 2, "other": 2, "": 1, "/c": 2}


@pytest.mark.parametrize(
    ("what", "values", "settled"),
    [
        ({"templates": ("/u/{name}",)}, ("/u/ann", "/u/{name}", "/u/{id}", "/u"), {"/u/{name}", "/u"}),
        ({"paths": PathChoice(depth=1)}, ("/a/b", "/a", "/b"), {"/a", "/b"}),
        ({}, ("/a/1", "/a/{id}", "/a//b"), {"/a/{id}"}),
        (
            {"rules": {"http_request_path": [replace_all("/old/(.*)", "/$1"), rule("/no.*", Action.DROP)]}},
            ("/old/x", "/x", "/not"),
            {"/x"},
        ),
        (
            {"rules": {"http_request_path": [replace_all("/a", "/b"), replace_all("/b", "/a")]}},
            ("/a", "/b"),
            {"/a"},
        ),
    ],
)
def test_what_would_be_written_in_another_way_has_a_series_and_no_place(
    what: dict[str, Any], values: Sequence[str], settled: set[str]
) -> None:
    """So that new templates and rules have room in a label that is full; what rules put stays."""
    assembly = assemble(("http_request_path",), **what)
    table = begin_with(assembly, *values)
    assert values_of(assembly, "http_request_path") == settled
    assert [*table.label_sets] == [(value,) for value in values]


def test_values_that_rules_go_on_changing_keep_their_places() -> None:
    """A prefix that is put before each: `site-a` would be `site-site-a` today, and yet it is how `a` is written."""
    rules = {"frontend_name": [replace_all("(.*)", "site-$1")], "http_request_path": [replace_all("(/.*)", "$1/")]}
    assembly = assemble(("frontend_name",), rules=rules, limits=Limits(values=2))
    begin_with(assembly, "site-b", "site-a")
    assert values_of(assembly, "frontend_name") == {"site-a", "site-b"}
    take(assembly.pipeline, *ask("/", frontend="c"), *ask("/", frontend="a"), *ask("/", frontend="b"))
    samples = samples_of(assembly.pipeline)
    found = {dict(labels)["frontend_name"]: value for (_, labels), value in samples.items()}
    assert found == {"site-a": 2, "site-b": 2, "other": 1}


def test_texts_that_rules_put_keep_places_that_they_have_not_from_the_start() -> None:
    """Of more such than there may be values, one that has a series, though a rule before would change it."""
    rules = [replace_all("v", "w"), replace_all("q", "v")]
    assembly = assemble(("frontend_name",), rules={"frontend_name": rules}, limits=Limits(values=1))
    begin_with(assembly, "v")
    assert values_of(assembly, "frontend_name") == {"w", "v"}


def test_texts_that_later_rules_change_are_certain_as_these_leave_them() -> None:
    """And not at all where a rule drops the line, or takes the text away."""
    rules = [
        replace_all("a", "x"),
        replace_all("b", "none"),
        replace_all("c", "gone"),
        replace_all("x", "y"),
        rule("none", Action.DROP),
        replace_all("gone", ""),
    ]
    assembly = assemble(("frontend_name",), rules={"frontend_name": rules})
    begin_with(assembly, "x", "y")
    assert values_of(assembly, "frontend_name") == {"y"}


def test_paths_alone_are_rewritten() -> None:
    """A backend whose name looks like an id, or like a path, keeps its place; rules are for each label its own."""
    rules = {"backend_name": [rule("drop", Action.DROP)], "http_request_path": [replace_all("/1.*", "/one")]}
    assembly = assemble(("backend_name",), templates=("/{id}",), rules=rules)
    begin_with(assembly, "/1", "/a//b", "550e8400-e29b-41d4-a716-446655440000", "drop")
    assert values_of(assembly, "backend_name") == {"/1", "/a//b", "550e8400-e29b-41d4-a716-446655440000"}


def test_values_of_errors_keep_their_places_too() -> None:
    """A label that both tables have keeps those of both."""
    assembly = assemble(("frontend_name",), metrics=("requests_total", "connection_errors_total"))
    requests, errors = assembly.tables
    requests.restore([Row(("web",), requests.layout.line("http"), 1.0)])
    names = errors.names
    failed = {"frontend_name": "tls", "reason": "SSL handshake failure"}
    errors.restore([Row(tuple(failed.get(name, "") for name in names), errors.layout.line("error"), 1.0)])
    assembly.begin()
    assert values_of(assembly, "frontend_name") == {"web", "tls"}
    assert values_of(assembly, "reason") == {"SSL handshake failure"}


def test_another_assembly_begins_with_what_was_there() -> None:
    """Its tables have what was counted, its labels the values, and what is certain is beside them."""
    before = assemble(("frontend_name",), frontends("a", "b"))
    before.begin()
    pipeline = before.pipeline
    take(pipeline, *ask("/a", frontend="x"), *ask("/a", frontend="b"))
    after = assemble(("frontend_name",), frontends("b", "c"))
    carry_over([keep(table) for table in before.tables], after.tables)
    after.take_over(pipeline)
    assert after.pipeline is pipeline
    assert certain(after) == {("b",), ("c",)}
    assert values_of(after, "frontend_name") == {"x", "b", "c"}
    take(pipeline, *ask("/a", frontend="c"))
    samples = samples_of(pipeline)
    assert {dict(labels)["frontend_name"]: value for (_, labels), value in samples.items()} == {"x": 1, "b": 1, "c": 1}
