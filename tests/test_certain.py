"""What haproxy.cfg makes certain is shown at 0 from the start, in half of the places at the most."""

import pytest

from haproxy_log_exporter.choice import MetricChoice
from haproxy_log_exporter.formats import configured_formats
from haproxy_log_exporter.labels.limits import Limits
from haproxy_log_exporter.labels.rules import Action
from tests.assemblies import ask, assemble, certain, exchange, frontends, read, replace_all, values_of
from tests.pipelines import exposition, samples_of, take
from tests.rows import rule
from tests.support import total

REQUESTS = "haproxy_log_requests_total"
ROUTE = ("frontend_name", "backend_name", "server_name")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")

SITE = """
    defaults
        mode http
        option httplog
    frontend web
        default_backend app
    backend app
        server a1 127.0.0.1:1
        server a2 127.0.0.1:2
    frontend tcp
        mode tcp
        option tcplog
        default_backend db
    backend db
        mode tcp
        server d1 127.0.0.1:3
"""
HTTP_ROUTES = {("web", "web", "<NOSRV>"), ("web", "app", "<NOSRV>"), ("web", "app", "a1"), ("web", "app", "a2")}
TCP_ROUTES = {("tcp", "tcp", "<NOSRV>"), ("tcp", "db", "<NOSRV>"), ("tcp", "db", "d1")}


# --- Routes -----------------------------------------------------------------------------------------------------------


def test_routes_are_certain_by_the_kind_of_their_lines() -> None:
    """Requests of those of HTTP, by each class; sessions of the others, which have none."""
    assembly = assemble((*ROUTE, "status_class"), read(SITE), metrics=("requests_total", "sessions_total"))
    assert (assembly.certain, certain(assembly)) == ({}, set())
    assembly.begin()
    http = {(*route, each) for route in HTTP_ROUTES for each in CLASSES}
    tcp = {(*route, "") for route in TCP_ROUTES}
    assert certain(assembly) == http
    assert certain(assembly, "sessions_total") == tcp
    assert assembly.certain == {"requests_total": 20, "sessions_total": 3}
    assert assembly.undeclared == 0
    assembly.pipeline.flush()
    found = exposition(assembly.pipeline)
    assert found.count("requests_total{") == 20
    assert found.count("sessions_total{") == 3


def test_routes_that_come_to_the_same_are_of_all_their_kinds() -> None:
    """What HAProxy answers by itself has one series, of requests and of sessions."""
    assembly = assemble(("server_name",), read(SITE), metrics=("requests_total", "sessions_total"))
    assembly.begin()
    assert certain(assembly) == {("<NOSRV>",), ("a1",), ("a2",)}
    assert certain(assembly, "sessions_total") == {("<NOSRV>",), ("d1",)}


def test_routes_without_lines_of_a_table_take_no_places() -> None:
    """Where sessions are not counted, the routes of TCP are not asked for."""
    assembly = assemble(ROUTE, read(SITE))
    assembly.begin()
    assert {*assembly.tables[0].label_sets} == HTTP_ROUTES
    assert values_of(assembly, "frontend_name") == {"web"}


def test_labels_that_routes_do_not_tell_have_no_series() -> None:
    """One such label is enough; another metric, which is without it, has its own."""
    own = (
        MetricChoice("bytes_read_total", ("frontend_name", "http_request_method")),
        MetricChoice("retries_total", ()),
    )
    assembly = assemble(("backend_name",), read(SITE), metrics=("requests_total",), own=own)
    assembly.begin()
    assert assembly.certain == {"requests_total": 2, "retries_total": 1}
    assert certain(assembly) == {("web",), ("app",)}
    assert values_of(assembly, "frontend_name") == set()


def test_rules_change_what_is_certain() -> None:
    """Routes that come to the same are one series, dropped ones none; and so with classes."""
    rules = {
        "server_name": [replace_all("a[12]", "a")],
        "backend_name": [rule("web", Action.DROP)],
        "status_class": [replace_all("[123]xx", "good"), rule("5xx", Action.DROP)],
    }
    assembly = assemble((*ROUTE, "status_class"), read(SITE), rules=rules)
    assembly.begin()
    assert certain(assembly) == {("web", "app", name, each) for name in ("<NOSRV>", "a") for each in ("good", "4xx")}


def test_rules_for_labels_that_are_not_chosen_drop_routes_as_well() -> None:
    """Their lines will not be counted."""
    assembly = assemble(("frontend_name",), read(SITE), rules={"server_name": [rule("a.*|<NOSRV>", Action.DROP)]})
    assembly.begin()
    assert certain(assembly) == set()


def test_what_is_certain_leaves_half_of_the_label_sets() -> None:
    """Whoever counts is told how many are not there."""
    assembly = assemble(ROUTE, read(SITE), limits=Limits(series=5))
    assembly.begin()
    assert (len(certain(assembly)), assembly.undeclared, assembly.certain) == (3, 1, {"requests_total": 3})
    assembly.declare()
    assert (len(certain(assembly)), assembly.undeclared) == (3, 1)


def test_what_is_certain_leaves_half_of_the_values() -> None:
    """What had no place is no series of `other` at 0."""
    names = [f"f{number}" for number in range(6)]
    assembly = assemble(("frontend_name",), frontends(*names), limits=Limits(values=4))
    assembly.begin()
    assert certain(assembly) == {("f0",), ("f1",)}
    assert assembly.undeclared == 4
    take(assembly.pipeline, *ask("/a", frontend="f5"), *ask("/a", frontend="f4"), *ask("/a", frontend="f3"))
    samples = samples_of(assembly.pipeline)
    assert {name: total(samples, REQUESTS, frontend_name=name) for name in ("f0", "f1", "f5", "f4", "other")} == {
        "f0": 0,
        "f1": 0,
        "f5": 1,
        "f4": 1,
        "other": 1,
    }


def test_all_left_out_are_told_together() -> None:
    """Of each table, for want of values and of label sets; and nothing any more where there is room again."""
    own = (MetricChoice("bytes_read_total", ("frontend_name", "backend_name")),)
    config = frontends(*"abcdef")
    assembly = assemble(("frontend_name",), config, own=own, limits=Limits(series=4))
    assembly.begin()
    assert assembly.undeclared == 8
    exchange(assembly, frontends("a"))
    assert assembly.undeclared == 0


def test_routes_that_are_gone_give_their_places_back() -> None:
    """Series without lines go, and so do the values of their labels; those with lines stay, and are at 0 no more."""
    assembly = assemble(("frontend_name",), frontends("a", "b", "c"))
    assembly.begin()
    take(assembly.pipeline, *ask("/a", frontend="b"))
    exchange(assembly, frontends("a", "d"))
    assert certain(assembly) == {("a",), ("d",)}
    assert {*assembly.tables[0].label_sets} == {("a",), ("b",), ("d",)}
    assert values_of(assembly, "frontend_name") == {"a", "b", "d"}
    samples = samples_of(assembly.pipeline)
    assert {dict(labels)["frontend_name"]: value for (_, labels), value in samples.items()} == {"a": 0, "b": 1, "d": 0}


def test_routes_that_go_before_they_are_shown() -> None:
    """Nothing of them is left; as where the state cannot be written while haproxy.cfg changes twice."""
    assembly = assemble(("frontend_name",), frontends("a", "b", "c"))
    assembly.begin()
    pipeline = assembly.pipeline
    for names in ("b", "d"), ("d", "e"):
        pipeline.give_back(pipeline.batch())
        config = frontends(*names)
        assembly.exchange(configured_formats(config), config.routes)
    take(pipeline, *ask("/a", frontend="c"))
    samples = samples_of(pipeline)
    assert {dict(labels)["frontend_name"]: value for (_, labels), value in samples.items()} == {"c": 1, "d": 0, "e": 0}
    assert values_of(assembly, "frontend_name") == {"c", "d", "e"}


@pytest.mark.parametrize("limits", [Limits(series=4), Limits(values=4)])
def test_other_routes_have_the_places_of_those_before(limits: Limits) -> None:
    """Label sets and values, at once: where all that may be certain are, all others can be so next."""
    assembly = assemble(("frontend_name",), frontends("a", "b"), limits=limits)
    assembly.begin()
    assembly.pipeline.flush()
    for names in ("c", "d"), ("d", "e"), ("a",):
        exchange(assembly, frontends(*names))
        assert certain(assembly) == {(name,) for name in names}
        assert assembly.undeclared == 0
        assert values_of(assembly, "frontend_name") == {*names}


def test_lines_that_wait_keep_what_is_certain_no_more() -> None:
    """A route that is gone with the flush that its first line waits for."""
    assembly = assemble(("frontend_name",), frontends("a", "b"))
    assembly.begin()
    assembly.pipeline.flush()
    intake = assembly.pipeline.intake("test")
    assembly.pipeline.take(ask("/a", frontend="b")[0] + b"\n", intake)
    exchange(assembly, frontends("a"))
    assert total(samples_of(assembly.pipeline), REQUESTS, frontend_name="b") == 1
    assert values_of(assembly, "frontend_name") == {"a", "b"}


def test_finished_logs_have_no_series_at_0() -> None:
    """What counts them does not begin an assembly."""
    assembly = assemble(("frontend_name",), read(SITE))
    take(assembly.pipeline, *ask("/a"))
    assert exposition(assembly.pipeline).count("requests_total{") == 1


def test_errors_and_notices_have_none() -> None:
    """Nobody can tell which reasons there will be."""
    metrics = ("requests_total", "connection_errors_total", "notices_total")
    assembly = assemble(("frontend_name",), read(SITE), metrics=metrics)
    assembly.begin()
    assert assembly.certain == {"requests_total": 1}
