"""What a real haproxy.cfg makes certain is there at 0: the first request, whatever its end, is an increase."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

import pytest

from tests.integration.configured_site import BEGIN, Watch, get, open_doors, running, wait_for_message
from tests.integration.haproxy import Doors, talk
from tests.integration.test_prometheus import check_with_promtool
from tests.services import wait_for
from tests.support import Exporter, Samples, need, serving, total

_SITE = (
    BEGIN
    + """\
frontend web
    bind fd@{web.fd}
    option httplog
    http-request return status 404 if {{ path_beg /404 }}
    use_backend down if {{ path_beg /down }}
    default_backend app
frontend raw
    mode tcp
    bind fd@{raw.fd}
    option tcplog
    default_backend raw-app
backend app
    server a1 {behind.place}
backend down
    retries 0
    server d1 {closed.place} disabled
backend raw-app
    mode tcp
    server r1 {behind.place}
defaults
    mode http
    timeout client 20s
frontend behind
    bind fd@{behind.fd}
    http-request return status 200
"""
)
_LABELS = ("frontend_name", "backend_name", "server_name", "status_class")
_ALL = ",".join(_LABELS)
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_NONE = "<NOSRV>"
_HTTP = (
    ("web", "web", _NONE),
    ("web", "app", "a1"),
    ("web", "app", _NONE),
    ("web", "down", "d1"),
    ("web", "down", _NONE),
)
_TCP = {("raw", "raw", _NONE, ""), ("raw", "raw-app", "r1", ""), ("raw", "raw-app", _NONE, "")}

Routes = set[tuple[str, ...]]


def _with_classes(*routes: tuple[str, str, str], classes: tuple[str, ...] = _CLASSES) -> Routes:
    return {(*route, each) for route, each in product(routes, classes)}


@contextmanager
def _site(folder: Path) -> Iterator[tuple[Doors, Path]]:
    """Open the doors of a site, and write its haproxy.cfg."""
    need("haproxy")
    with open_doors("web", "raw", "behind") as doors:
        file = folder / "haproxy.cfg"
        file.write_text(_SITE.format(folder=folder, **doors))
        yield doors, file


@contextmanager
def _exporting(file: Path, *options: str | Path) -> Iterator[Exporter]:
    with serving("--syslog", "udp://127.0.0.1:0", "--haproxy-config", file, *options) as exporter:
        yield exporter


def _values(samples: Samples, metric: str, names: tuple[str, ...] = _LABELS) -> dict[tuple[str, ...], float]:
    """Give the values of a metric's series by their labels."""
    found = {}
    for (name, pairs), value in samples.items():
        if name == f"haproxy_log_{metric}":
            labels = dict(pairs)
            found[tuple(labels[each] for each in names)] = value
    return found


def _series(samples: Samples) -> set[object]:
    """Give what identifies each series of the log metrics."""
    return {key for key in samples if not key[0].startswith(("haproxy_log_exporter_", "process_"))}


def _grown(before: Samples, after: Samples, metric: str) -> dict[tuple[str, ...], float]:
    """Tell which series of a metric have grown, and by how much."""
    former = _values(before, metric)
    return {key: value - former[key] for key, value in _values(after, metric).items() if value != former[key]}


def _visit(doors: Doors) -> dict[tuple[str, ...], float]:
    """Make requests that end well, that nobody is asked for, and that no server is there for; give what they are."""
    for path, times in (("/", 3), ("/404", 2), ("/down", 1)):
        for _ in range(times):
            get(doors["web"], path)
    return {("web", "app", "a1", "2xx"): 3, ("web", "web", _NONE, "4xx"): 2, ("web", "down", _NONE, "5xx"): 1}


def test_first_requests_are_increases(tmp_path: Path) -> None:
    """All routes are there at 0, in counters, in histograms and in the gauge of series; then no series is new."""
    with _site(tmp_path) as (doors, file), _exporting(file, "--labels", _ALL) as exporter:
        watch = Watch(exporter)
        before = watch.scrape()
        http = _with_classes(*_HTTP)
        assert _values(before, "requests_total") == dict.fromkeys(http, 0)
        assert _values(before, "sessions_total") == dict.fromkeys(_TCP, 0)
        for name in ("bucket", "count", "sum"):
            found = _values(before, f"response_duration_seconds_{name}")
            assert found == dict.fromkeys(http, 0)
        counts = {"requests_total": 25, "sessions_total": 3, "response_duration_seconds": 25}
        gauges = {metric: total(before, "haproxy_log_exporter_series", metric=metric) for metric in counts}
        assert gauges == counts
        assert total(before, "haproxy_log_exporter_lines_total") == 0
        with running(file, doors, exporter.syslog_port):
            expected = _visit(doors)
            talk(doors["raw"].connect(), b"GET / HTTP/1.0\r\n\r\n")
            after = watch.wait_for(counted=7, rejected=0)
        assert _series(after) == _series(before)
        assert _grown(before, after, "requests_total") == expected
        assert _grown(before, after, "sessions_total") == {("raw", "raw-app", "r1", ""): 1}
        assert _grown(before, after, "response_duration_seconds_count") == {("web", "app", "a1", "2xx"): 3}
        assert {metric: total(after, "haproxy_log_exporter_series", metric=metric) for metric in counts} == counts


def test_promtool_takes_them(tmp_path: Path) -> None:
    """Series at 0 are written as others are."""
    need("promtool")
    with _site(tmp_path) as (_, file), _exporting(file, "--labels", _ALL) as exporter:
        assert _values(exporter.scrape(), "requests_total")
        check_with_promtool(exporter)


@pytest.mark.parametrize("label", ["status_code", "http_request_method"])
def test_none_are_certain_by_other_labels(tmp_path: Path, label: str) -> None:
    """Nobody knows which values these will have."""
    with _site(tmp_path) as (doors, file), _exporting(file, "--labels", f"{_ALL},{label}") as exporter:
        before = exporter.scrape()
        assert not _values(before, "requests_total")
        assert total(before, "haproxy_log_exporter_series") == 0
        with running(file, doors, exporter.syslog_port):
            get(doors["web"], "/")
            after = Watch(exporter).wait_for(counted=1)
        assert _values(after, "requests_total") == {("web", "app", "a1", "2xx"): 1}


def test_each_metric_by_its_own_labels(tmp_path: Path) -> None:
    """One whose labels are certain has its series, the others have none."""
    options = ("--labels", "status_code,frontend_name", "--metric", "requests_total:frontend_name,backend_name")
    with _site(tmp_path) as (_, file), _exporting(file, *options) as exporter:
        samples = exporter.scrape()
    names = ("frontend_name", "backend_name")
    found = _values(samples, "requests_total", names)
    assert found == dict.fromkeys([("web", "web"), ("web", "app"), ("web", "down")], 0)
    assert not _values(samples, "response_duration_seconds_count", names)


def test_a_new_server_is_there_without_a_restart(tmp_path: Path) -> None:
    """When haproxy.cfg has it; what was counted stays."""
    with _site(tmp_path) as (doors, file), _exporting(file, "--labels", _ALL) as exporter:
        with running(file, doors, exporter.syslog_port):
            expected = _visit(doors)
            before = Watch(exporter).wait_for(counted=6)
        new = file.with_suffix(".new")
        more = "backend app\n    server a2 {behind.place}\n"
        new.write_text(_SITE.replace("backend app\n", more).format(folder=tmp_path, **doors))
        new.rename(file)
        wait_for_message(exporter, "haproxy.cfg was read again")
        there = _with_classes(*_HTTP, ("web", "app", "a2"))
        after = wait_for(exporter, lambda found: {*_values(found, "requests_total")} == there, "the new server")
        assert _values(after, "requests_total") == dict.fromkeys(there, 0) | expected
        assert _series(before) < _series(after)


_RULES = """\
labels: [frontend_name, backend_name, server_name, status_class]
rules:
  server_name:
    - {match: "<NOSRV>", replace: none}
  backend_name:
    - {match: down, action: drop}
    - {match: "(.*)-app", replace: $1}
  status_class:
    - {match: "[123]xx", replace: good}
"""


def test_rules_are_for_them_too(tmp_path: Path) -> None:
    """They have the names that lines will have, and none is there whose lines are dropped."""
    config = tmp_path / "config.yml"
    config.write_text(_RULES)
    with _site(tmp_path) as (doors, file), _exporting(file, "--config", config) as exporter:
        before = exporter.scrape()
        routes = (("web", "web", "none"), ("web", "app", "a1"), ("web", "app", "none"))
        assert {*_values(before, "requests_total")} == _with_classes(*routes, classes=("good", "4xx", "5xx"))
        tcp = {("raw", "raw", "none", ""), ("raw", "raw", "r1", "")}
        assert {*_values(before, "sessions_total")} == tcp
        with running(file, doors, exporter.syslog_port):
            _visit(doors)
            talk(doors["raw"].connect(), b"GET / HTTP/1.0\r\n\r\n")
            after = Watch(exporter).wait_for(counted=6, filtered=1, rejected=0)
        assert _series(after) == _series(before)
        expected = {("web", "app", "a1", "good"): 3, ("web", "web", "none", "4xx"): 2}
        assert _grown(before, after, "requests_total") == expected


def test_a_state_over_a_restart(tmp_path: Path) -> None:
    """What was counted and what was not are both there again, however it ended, and go on."""
    state = tmp_path / "state"
    with _site(tmp_path) as (doors, file):
        expected = dict.fromkeys(_with_classes(*_HTTP), 0.0)
        for turn, number in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGTERM), start=1):
            with _exporting(file, "--labels", _ALL, "--state", state) as exporter:
                before = exporter.scrape()
                assert _values(before, "requests_total") == expected
                assert total(before, "haproxy_log_exporter_series", metric="requests_total") == 25
                with running(file, doors, exporter.syslog_port):
                    for key, times in _visit(doors).items():
                        expected[key] += times
                    counted = 6 * turn
                    after = exporter.wait_for_lines(counted)
                assert _values(after, "requests_total") == expected
                assert _series(after) == _series(before)
                exporter.stop(number)


def test_static_labels_are_on_them(tmp_path: Path) -> None:
    """And others when the configuration is read again: all series have them at once, at 0 or not."""
    config = tmp_path / "config.yml"
    text = f"labels: [{_ALL}]\nstatic-labels: {{site: berlin}}\n"
    config.write_text(text)
    with ExitStack() as stack:
        doors, file = stack.enter_context(_site(tmp_path))
        exporter = stack.enter_context(_exporting(file, "--config", config))
        names = (*_LABELS, "site")
        there = _with_classes(*_HTTP)
        assert _values(exporter.scrape(), "requests_total", names) == {(*key, "berlin"): 0 for key in there}
        with running(file, doors, exporter.syslog_port):
            expected = dict.fromkeys(there, 0.0) | _visit(doors)
            samples = Watch(exporter).wait_for(counted=6)
        assert _values(samples, "requests_total", names) == {(*key, "berlin"): expected[key] for key in there}
        config.write_text(text.replace("berlin", "bonn"))
        exporter.process.send_signal(signal.SIGHUP)
        wait_for_message(exporter, "the configuration was read again")
        bonn = {(*key, "bonn"): expected[key] for key in there}
        assert _values(exporter.scrape(), "requests_total", names) == bonn
