"""Limits of labels and metrics: told at four fifths and when all is taken, once each, with what and how many."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from haproxy_log_exporter import service as service_module
from haproxy_log_exporter.choice import PathChoice
from haproxy_log_exporter.fullness import FullnessLog
from haproxy_log_exporter.labels.limits import Limits
from haproxy_log_exporter.pipeline import Pipeline
from tests.pipelines import HTTP, build, take
from tests.services import REQUESTS, append, line, make_service, running, shown
from tests.support import run, total, wait_until

PATHS = [f"/{letter}" for letter in "abcdefghijkl"]

NEARLY, FULL = "when all are taken, new ones count as other", "new ones count as other"
VALUES = "--max-label-values: http_request_path has {taken} of {most} values; {then}"
SERIES = "--max-series: {metrics} {taken} of {most} label sets; {then} in all labels"


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield


def limited(values: int = 10, series: int = 5000) -> Pipeline:
    """Build a pipeline that counts by path, and so many of them."""
    labels, limits = ("http_request_path",), Limits(1000, (("http_request_path", values),), series)
    return build("httplog", labels=labels, metrics=("requests_total",), limits=limits)


def visit(pipeline: Pipeline, *paths: str) -> None:
    """Count a request to each path."""
    take(pipeline, *(HTTP.replace(b"/a", path.encode()) for path in paths))


def test_a_label_is_told_at_four_fifths(caplog: pytest.LogCaptureFixture) -> None:
    """Not at seven of ten values, but at eight."""
    pipeline, log = limited(), FullnessLog()
    visit(pipeline, *PATHS[:7])
    log.look_at(pipeline)
    assert not caplog.messages
    visit(pipeline, PATHS[7])
    log.look_at(pipeline)
    assert caplog.messages == [VALUES.format(taken=8, most=10, then=NEARLY)]


def test_a_label_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is looked at, and also when all are taken and more come."""
    pipeline, log = limited(), FullnessLog()
    for path in PATHS[7:], PATHS, PATHS:
        visit(pipeline, *path)
        log.look_at(pipeline)
        log.look_at(pipeline)
    assert caplog.messages == [VALUES.format(taken=10, most=10, then=FULL)]


def test_each_label_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """One that was told of does not keep the other from it."""
    limits = Limits(1, (("http_request_path", 5),))
    labels = ("http_request_path", "backend_name", "status_code")
    pipeline, log = build("httplog", labels=labels, metrics=("requests_total",), limits=limits), FullnessLog()
    visit(pipeline, "/a")
    log.look_at(pipeline)
    assert sorted(message.partition(";")[0] for message in caplog.messages) == [
        "--max-label-values: backend_name has 1 of 1 values",
        "--max-label-values: status_code has 1 of 1 values",
    ]
    visit(pipeline, *PATHS[:4])
    log.look_at(pipeline)
    assert caplog.messages[2:] == [VALUES.format(taken=4, most=5, then=NEARLY)]


def test_numbers_are_told_with_commas(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands can be read."""
    pipeline, log = limited(2000), FullnessLog()
    visit(pipeline, *(f"/{chr(97 + number % 26)}/{number // 26:b}" for number in range(1600)))
    assert pipeline.account.admissions.of("http_request_path").taken < 1600, "numbers are ids"
    names = (f"/{a}{b}{c}" for a in "bcdfghjklm" for b in "aeiou" for c in "nopqrstvwxyzbcdfghjklmNOPQRSTVWXYZ")
    visit(pipeline, *names)
    log.look_at(pipeline)
    taken = pipeline.account.admissions.of("http_request_path").taken
    assert caplog.messages == [VALUES.format(taken=f"{taken:,}", most="2,000", then=NEARLY)]


def test_label_sets_are_told_with_their_metric(caplog: pytest.LogCaptureFixture) -> None:
    """At four of five, once; with all metrics that share them."""
    limits = Limits(series=5)
    metrics = ("requests_total", "bytes_read_total")
    alone, log = limited(1000, 5), FullnessLog()
    together = build("httplog", labels=("http_request_path",), metrics=metrics, limits=limits)
    for pipeline in alone, together:
        visit(pipeline, *PATHS[:3])
        log.look_at(pipeline)
    assert not caplog.messages
    for pipeline in alone, together:
        visit(pipeline, *PATHS)
        log.look_at(pipeline)
        log.look_at(pipeline)
    assert caplog.messages == [
        SERIES.format(metrics="requests_total", taken="has 5", most=5, then=FULL),
        SERIES.format(metrics="requests_total, bytes_read_total", taken="have 5", most=5, then=FULL),
    ]


def test_serve_tells_it(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs, once, whatever it reads afterwards."""
    monkeypatch.setattr(service_module, "FLUSH_SECONDS", 0.02)
    log = tmp_path / "haproxy.log"
    log.touch()
    service = make_service(files=[str(log)], labels=["http_request_path"], most_values=["http_request_path=5"])
    with running(service):
        for number, path in enumerate(PATHS[:6], start=1):
            append(log, line(path=path))
            wait_until(lambda: total(shown(service), REQUESTS) == number, what="a line")  # noqa: B023 -- waited for
    told = [message for message in caplog.messages if message.startswith("--max-")]
    assert told == [VALUES.format(taken=4, most=5, then=NEARLY), VALUES.format(taken=5, most=5, then=FULL)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-label-values", "http_request_path=10"), VALUES.format(taken=8, most=10, then=NEARLY)),
        (
            ("--max-series", "10", "--metrics", "requests_total"),
            SERIES.format(metrics="requests_total", taken="has 8", most=10, then=NEARLY),
        ),
        (("--max-label-values", "http_request_path=11", "--max-series", "11"), ""),
    ],
)
def test_count_tells_it(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    """On standard error, beside what it writes."""
    log = tmp_path / "haproxy.log"
    append(log, *(line(path=path) for path in PATHS[:8]))
    done = run("count", log, "-l", "http_request_path", *options)
    told = [each for each in done.stderr.decode().splitlines() if "--max-" in each]
    assert [message in each for each in told] == ([True] if message else [])
    assert done.stdout.count(b"haproxy_log_requests_total{") == 8
    assert done.returncode == 0


def test_a_full_label_is_told_as_such_once_more(caplog: pytest.LogCaptureFixture) -> None:
    """After it was told of as nearly full, which is not said again; and neither is what becomes of it then."""
    pipeline, log = limited(), FullnessLog()
    for end in (8, 9, 10, 10, 12):
        visit(pipeline, *PATHS[:end])
        log.look_at(pipeline)
    pipeline.account.admissions.of("http_request_path").retain({*PATHS[:9]})
    log.look_at(pipeline)
    assert caplog.messages == [
        VALUES.format(taken=8, most=10, then=NEARLY),
        VALUES.format(taken=10, most=10, then=FULL),
    ]


def test_full_label_sets_are_told_as_such_once_more(caplog: pytest.LogCaptureFixture) -> None:
    """As labels are."""
    pipeline, log = limited(1000, 10), FullnessLog()
    for end in (8, 9, 10, 12):
        visit(pipeline, *PATHS[:end])
        log.look_at(pipeline)
    assert caplog.messages == [
        SERIES.format(metrics="requests_total", taken="has 8", most=10, then=NEARLY),
        SERIES.format(metrics="requests_total", taken="has 10", most=10, then=FULL),
    ]


def test_another_limit_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever raises it learns that it is not enough."""
    log = FullnessLog()
    for values, series in ((5, 5000), (9, 5000), (10, 5000), (9, 5000), (5000, 5), (5000, 9), (5000, 10), (5000, 9)):
        pipeline = limited(values, series)
        visit(pipeline, *PATHS[:8])
        log.look_at(pipeline)
    assert caplog.messages == [
        VALUES.format(taken=5, most=5, then=FULL),
        VALUES.format(taken=8, most=9, then=NEARLY),
        VALUES.format(taken=8, most=10, then=NEARLY),
        SERIES.format(metrics="requests_total", taken="has 5", most=5, then=FULL),
        SERIES.format(metrics="requests_total", taken="has 8", most=9, then=NEARLY),
        SERIES.format(metrics="requests_total", taken="has 8", most=10, then=NEARLY),
    ]


def test_templates_that_take_all_places_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Before there is a line: no other path will have one."""
    limits = Limits(2, (), 5000)
    templates = PathChoice(("/a/{id}", "/b/{id}", "/c/{id}"))
    pipeline = build(
        "httplog", labels=("http_request_path",), metrics=("requests_total",), limits=limits, paths=templates
    )
    FullnessLog().look_at(pipeline)
    assert caplog.messages == [VALUES.format(taken=2, most=2, then=FULL)]


def test_count_tells_what_had_no_place(tmp_path: Path) -> None:
    """How many lines, of each label and each metric; nothing of those that had."""
    log = tmp_path / "haproxy.log"
    append(log, *(line(path=path) for path in (*PATHS[:6], *PATHS[:6])))
    labels = ("-l", "http_request_path,status_code", "--metrics", "requests_total,bytes_read_total")
    done = run("count", log, *labels, "--max-label-values", "http_request_path=4")
    told = [each for each in done.stderr.decode().splitlines() if "count as other, for" in each or "all labels" in each]
    message = "--max-label-values: 4 lines count as other, for their http_request_path had no place"
    assert told == [f"haproxy-log-exporter: {message}"]
    done = run("count", log, *labels, "--max-series", "4")
    told = [each for each in done.stderr.decode().splitlines() if "lines of" in each]
    assert told == [
        f"haproxy-log-exporter: --max-series: 4 lines of {name} count as other in all labels"
        for name in ("requests_total", "bytes_read_total")
    ]
    assert run("count", log, *labels).stderr == b""
