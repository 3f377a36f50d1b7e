"""Metrics of one's own choice, against an independent count of what `parse` says of the same lines."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS, METRICS
from tests.mixedlog import FORMATS, NOTICES, ROWS, Record, count, mixed_log
from tests.support import Samples, read_samples, run

QUEUE_BUCKETS = ("0", "1", "2", "5", "10", "20", "50", "100", "200", "500", "1000")
OWN = ("connection_errors_total", "notices_total")
COMBINATIONS: tuple[tuple[str, ...], ...] = (
    ("frontend_name", "status_class"),
    ("backend_name", "server_name"),
    ("http_request_method", "http_request_path", "status_code"),
    ("ssl",),
    ("retries", "redispatched", "backend_name"),
)
OPTIONS = ("--no-path-ids", *(f"--format={each}" for each in FORMATS))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the log once."""
    path = tmp_path_factory.mktemp("log") / "mixed.log"
    path.write_bytes(mixed_log())
    return path


@pytest.fixture(scope="module")
def records(log: Path) -> list[Record]:
    """Read it with `parse`."""
    told = run("parse", *OPTIONS[1:], log)
    assert told.stderr == b""
    found: list[Record] = [json.loads(line) for line in told.stdout.splitlines()]
    kinds = Counter(record["kind"] for record in found)
    assert {*kinds} == {"http", "tcp", "error", "notice"}
    assert min(kinds.values()) > 20
    return found


def counted(log: Path, *options: str | Path) -> Samples:
    """Count the log."""
    told = run("count", *OPTIONS, *options, log)
    assert (told.returncode, told.stderr) == (0, b"")
    return read_samples(told.stdout.decode())


def own(records: Sequence[Record]) -> Samples:
    """Count connections that failed, and messages of HAProxy's own."""
    found: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
    for record in records:
        if record["kind"] == "error":
            reason = record["message"] if "SSL handshake" in record["message"] else "other"
            key = frozenset({("frontend_name", record["frontend_name"]), ("reason", reason)})
            found["haproxy_log_connection_errors_total", key] += 1
        if record["kind"] == "notice":
            found["haproxy_log_notices_total", frozenset({("kind", NOTICES[record["message"]])})] += 1
    return {**found}


def buckets_of(name: str, buckets: Sequence[str] = DEFAULT_BUCKETS) -> Sequence[str]:
    """Give the buckets that a metric has without any of its own."""
    return QUEUE_BUCKETS if name.endswith("_queue_length") else buckets


def traffic(labels: Mapping[str, Sequence[str]], records: Sequence[Record], **buckets: Sequence[str]) -> Samples:
    """Count metrics, each by its labels."""
    found: Samples = {}
    for name, its in labels.items():
        found |= count(name, its, buckets.get(name, buckets_of(name)), records)
    return found


def test_the_independent_count_knows_every_metric() -> None:
    """A row of the catalogue that comes must come here, too."""
    assert {*ROWS, *OWN} == {metric.name for metric in METRICS}


@pytest.mark.parametrize("labels", COMBINATIONS)
def test_all_metrics_by_the_same_labels(labels: tuple[str, ...], log: Path, records: list[Record]) -> None:
    """`--metrics` with all names, in one option or several, and buckets for all durations."""
    names = [*ROWS, *OWN]
    options = ("-l", ",".join(labels), "--buckets", "0.004,0.1,1", "--metrics", ",".join(names[:5]))
    found = counted(log, *options, *(f"--metrics={name}" for name in names[5:]))
    buckets = {name: buckets_of(name, ("0.004", "0.1", "1")) for name in ROWS}
    assert found == traffic(dict.fromkeys(ROWS, labels), records, **buckets) | own(records)


@pytest.mark.parametrize("turn", range(len(COMBINATIONS)))
def test_all_metrics_each_by_labels_of_its_own(turn: int, log: Path, records: list[Record]) -> None:
    """`--metric NAME:LABELS` for all; in five turns, each metric has each combination once."""
    labels = {name: COMBINATIONS[(place + turn) % len(COMBINATIONS)] for place, name in enumerate(ROWS)}
    options = [f"--metric={name}:{','.join(its)}" for name, its in labels.items()]
    found = counted(log, *options, *(f"--metric={name}" for name in OWN))
    assert found == traffic(labels, records) | own(records)


def test_all_metrics_by_name_alone(log: Path, records: list[Record]) -> None:
    """`--metric NAME` is the same as `--metrics NAME`, beside the default ones."""
    found = counted(log, *(f"--metric={name}" for name in (*ROWS, *OWN)))
    default = ("status_code", "backend_name", "server_name")
    assert found == traffic(dict.fromkeys(ROWS, default), records) | own(records)
    assert found == counted(log, "--metrics", ",".join((*ROWS, *OWN)))


def test_two_histograms_with_different_labels_and_buckets(log: Path, records: list[Record]) -> None:
    """One of seconds, one of a queue's length; the others stay by the labels of all."""
    labels = {
        "requests_total": ("ssl",),
        "sessions_total": ("ssl",),
        "response_duration_seconds": ("backend_name", "http_request_path"),
        "server_queue_length": ("frontend_name",),
    }
    options = ("--metric", "response_duration_seconds:backend_name,http_request_path:0.01,0.1,1")
    found = counted(log, "-l", "ssl", *options, "--metric", "server_queue_length:frontend_name:0,2")
    buckets = {"response_duration_seconds": ("0.01", "0.1", "1"), "server_queue_length": ("0", "2")}
    assert found == traffic(labels, records, **buckets)


def test_buckets_alone_leave_the_labels_of_all(log: Path, records: list[Record]) -> None:
    """`NAME::BUCKETS`."""
    found = counted(log, "-l", "ssl", "--metrics", "total_duration_seconds", "--metric", "total_duration_seconds::5")
    assert found == count("total_duration_seconds", ("ssl",), ("5",), records)


def test_a_counter_without_labels(log: Path, records: list[Record], tmp_path: Path) -> None:
    """`labels: []` in the file: one series, as many as there are requests."""
    (tmp_path / "c.yml").write_text("metrics:\n  requests_total: {labels: []}\n  aborts_total: {labels: []}\n")
    found = counted(log, "--config", tmp_path / "c.yml")
    assert found == traffic({"requests_total": (), "aborts_total": ()}, records)
    requests = sum(record["kind"] == "http" for record in records)
    assert found["haproxy_log_requests_total", frozenset()] == requests


def test_a_metric_in_both_options_is_there_once(log: Path, records: list[Record]) -> None:
    """With the labels of its own."""
    options = ("--metrics", "bytes_read_total,retries_total", "--metric", "bytes_read_total:server_name")
    found = counted(log, "-l", "ssl", *options)
    assert found == traffic({"bytes_read_total": ("server_name",), "retries_total": ("ssl",)}, records)
    text = run("count", *OPTIONS, "-l", "ssl", *options, log).stdout.decode()
    assert text.count("# TYPE haproxy_log_bytes_read_total counter\n") == 1


def test_the_same_labels_in_another_order(log: Path, records: list[Record]) -> None:
    """Metrics whose labels are the same are counted together, those that share only some are not."""
    options = ("--metric", "bytes_read_total:ssl,backend_name", "--metric", "retries_total:backend_name,ssl")
    found = counted(log, "--metrics", "bytes_read_total", *options, "--metric", "aborts_total:ssl")
    labels = {
        "bytes_read_total": ("ssl", "backend_name"),
        "retries_total": ("backend_name", "ssl"),
        "aborts_total": ("ssl",),
    }
    assert found == traffic(labels, records)


def test_a_weight_holds_for_all_metrics(log: Path, records: list[Record]) -> None:
    """Whatever labels they have."""
    options = ("--metric", "bytes_read_total:ssl", "--metric", "response_duration_seconds:backend_name:1")
    once = counted(log, "--metrics", "requests_total", *options)
    assert {key: 3 * value for key, value in once.items()} == pytest.approx(
        counted(log, "--metrics", "requests_total", *options, "--sample-weight", "3")
    )
    assert once == traffic(
        {
            "requests_total": ("status_code", "backend_name", "server_name"),
            "bytes_read_total": ("ssl",),
            "response_duration_seconds": ("backend_name",),
        },
        records,
        response_duration_seconds=("1",),
    )
