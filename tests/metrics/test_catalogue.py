import pytest
from prometheus_client import Histogram

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.logformat.fields import KINDS
from haproxy_log_exporter.metrics.catalogue import (
    DEFAULT_BUCKETS,
    DEFAULT_METRICS,
    METRICS,
    PREFIX,
    Metric,
    find_metrics,
)

ALL_FIELDS = frozenset(KINDS)
ALL_KINDS = frozenset({"http", "tcp", "error", "notice"})

# What users, dashboards and scripts hold on to.
PROMISED = {
    "requests_total": "counter",
    "sessions_total": "counter",
    "response_duration_seconds": "histogram",
    "total_duration_seconds": "histogram",
    "request_duration_seconds": "histogram",
    "queue_duration_seconds": "histogram",
    "connect_duration_seconds": "histogram",
    "handshake_duration_seconds": "histogram",
    "idle_duration_seconds": "histogram",
    "data_duration_seconds": "histogram",
    "bytes_read_total": "counter",
    "bytes_uploaded_total": "counter",
    "retries_total": "counter",
    "redispatches_total": "counter",
    "server_queue_length": "histogram",
    "backend_queue_length": "histogram",
    "aborts_total": "counter",
    "connection_errors_total": "counter",
    "notices_total": "counter",
}


def test_metrics_are_those_that_were_promised() -> None:
    """Names, types and their order stay."""
    assert PREFIX == "haproxy_log_"
    assert {metric.name: metric.type for metric in METRICS} == PROMISED
    assert [metric.name for metric in METRICS] == [*PROMISED]


def test_default_buckets_are_the_client_librarys_up_to_ten() -> None:
    """Whoever knows prometheus_client's histograms finds the same buckets."""
    assert [float(bound) for bound in DEFAULT_BUCKETS] == [bound for bound in Histogram.DEFAULT_BUCKETS if bound <= 10]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_sources_are_fields(metric: Metric) -> None:
    """Each metric is made of fields and lines that there are, and its name has its unit and type."""
    assert {field for field, _ in metric.sources} <= ALL_FIELDS
    assert set(metric.kinds) <= ALL_KINDS
    assert metric.per_unit == (1000 if metric.name.endswith("_seconds") else 1)
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert metric.help.endswith(".")


def test_phases_of_aborts() -> None:
    """The four phases are those that a timer at -1 tells of."""
    aborts = next(metric for metric in METRICS if metric.name == "aborts_total")
    assert aborts.label == "phase"
    assert [phase for _, phase in aborts.sources] == ["request", "queue", "connect", "response"]


def test_found_in_the_order_of_the_catalogue() -> None:
    """The order in which metrics are asked for, and how often, does not matter."""
    found = find_metrics(["aborts_total", "requests_total", "aborts_total"], ALL_FIELDS, ALL_KINDS)
    assert [metric.name for metric in found] == ["requests_total", "aborts_total"]


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ({"http", "tcp"}, DEFAULT_METRICS),
        ({"http"}, ("requests_total", "response_duration_seconds")),
        ({"tcp"}, ("sessions_total",)),
        ({"error"}, ()),
    ],
)
def test_defaults_are_what_the_lines_have(kinds: set[str], names: tuple[str, ...]) -> None:
    """Without names, those default metrics are kept that the formats in use can fill."""
    assert tuple(metric.name for metric in find_metrics([], ALL_FIELDS, frozenset(kinds))) == names


def test_each_unknown_metric_is_told_with_those_there_are() -> None:
    """Every name that cannot be had is a message of its own, naming the option and what can be had."""
    with pytest.raises(UsageError) as caught:
        find_metrics(["nope", "requests_total", "nada"], ALL_FIELDS, ALL_KINDS)
    assert len(caught.value.messages) == 2
    for name, message in zip(("nope", "nada"), caught.value.messages, strict=True):
        assert message.startswith("--metrics: ")
        assert repr(name) in message
        assert all(there in message for there in PROMISED)


def test_metric_that_no_format_can_fill_is_unknown() -> None:
    """A metric whose fields or lines no format has is refused, and is not among those that there are."""
    fields = ALL_FIELDS - {"time_idle"}
    for name, kinds in (("idle_duration_seconds", ALL_KINDS), ("sessions_total", frozenset({"http"}))):
        with pytest.raises(UsageError, match=f"'{name}'") as caught:
            find_metrics([name], fields, kinds)
        assert f" {name}" not in caught.value.messages[0]


def test_metric_with_one_of_its_fields_is_kept() -> None:
    """A metric of several timers is kept where a format has one of them."""
    found = find_metrics(["aborts_total"], frozenset({"time_connect"}), frozenset({"tcp"}))
    assert [metric.name for metric in found] == ["aborts_total"]
