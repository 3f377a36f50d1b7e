"""Mistakes in options of the command line, the environment and files together."""

from pathlib import Path

import pytest

from haproxy_log_exporter.settings import NOTHING_TO_READ
from tests.config.files import Config

LABELS = "frontend_name, ssl, backend_name, time_response, status_code, status_class, http_request_path"
METRICS = "requests_total, response_duration_seconds, aborts_total, connection_errors_total, notices_total"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Give a file that is not there yet."""
    return Config(tmp_path)


WRONG: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "labels of all": (
        "labels: [ssl, nope,\n 'x, ssl']",
        {},
        (
            f"c.yml:1:15: labels: no format in use can fill 'nope'; there are {LABELS}",
            f"c.yml:2:2: labels: no format in use can fill 'x'; there are {LABELS}",
        ),
    ),
    "labels of all, on the command line": (
        "labels: [nope]",
        {"labels": "ssl,zz"},
        (f"--labels: no format in use can fill 'zz'; there are {LABELS}",),
    ),
    "metrics as a list": (
        "metrics:\n  - requests_total\n  - nope\n",
        {},
        (f"c.yml:3:5: metrics: no format in use can fill 'nope'; there are {METRICS}",),
    ),
    "metrics as a mapping": (
        "metrics:\n  requests_total:\n  sessions_total: {labels: []}\n",
        {},
        (f"c.yml:3:3: metrics: no format in use can fill 'sessions_total'; there are {METRICS}",),
    ),
    "labels of a metric": (
        "metrics:\n  requests_total:\n    labels: [ssl, nope]\n  response_duration_seconds:\n    labels: a,b\n",
        {},
        (
            f"c.yml:3:19: labels: no format in use can fill 'nope'; there are {LABELS}",
            f"c.yml:5:13: labels: no format in use can fill 'a'; there are {LABELS}",
            f"c.yml:5:13: labels: no format in use can fill 'b'; there are {LABELS}",
        ),
    ),
    "labels of a metric that is not kept": (
        "metrics: {requests_total: {labels: [nope]}, response_duration_seconds: }",
        {"metrics": "response_duration_seconds", "labels": "zz"},
        (f"--labels: no format in use can fill 'zz'; there are {LABELS}",),
    ),
    "labels that metrics have of their own": (
        "metrics: {connection_errors_total: {labels: [frontend_name]}, notices_total: {labels: []}}",
        {},
        (
            "c.yml:1:11: metrics: connection_errors_total has labels of its own, and no others",
            "c.yml:1:63: metrics: notices_total has labels of its own, and no others",
        ),
    ),
    "buckets of a counter": (
        "metrics:\n  requests_total: {buckets: [1]}\n",
        {"own_metrics": "notices_total::1"},
        (
            "c.yml:2:3: metrics: requests_total is a counter, and has no buckets",
            "--metric: notices_total is a counter, and has no buckets",
        ),
    ),
    "buckets that do not ascend": (
        "metrics:\n  response_duration_seconds:\n    buckets: [1, 1]\n",
        {},
        ("c.yml:3:18: buckets: 1,1 does not ascend",),
    ),
    "several buckets that are wrong": (
        "metrics:\n  response_duration_seconds:\n    buckets: [1, x, -1, 0.5, 2]\n",
        {},
        (
            "c.yml:3:18: buckets: 'x' is not a bucket's upper bound: a number from 0",
            "c.yml:3:21: buckets: '-1' is not a bucket's upper bound: a number from 0",
            "c.yml:3:25: buckets: 1,0.5 does not ascend",
        ),
    ),
    "labels of a metric that there is not": (
        "metrics:\n  nope: {labels: [zz], buckets: [x]}\n",
        {},
        (
            f"c.yml:2:3: metrics: no format in use can fill 'nope'; there are {METRICS}",
            f"c.yml:2:19: labels: no format in use can fill 'zz'; there are {LABELS}",
            "c.yml:2:34: buckets: 'x' is not a bucket's upper bound: a number from 0",
        ),
    ),
    "buckets that are none": (
        "metrics: {response_duration_seconds: {buckets: [[1]]}}",
        {},
        ("c.yml:1:49: 'buckets' takes one value, not a list",),
    ),
    "limits": (
        "max-label-values:\n  nope: 5\n  ssl: 0\n  backend_name: 7\n",
        {},
        (
            "c.yml:3:3: max-label-values: '0' is not a whole number from 1 to 10000000",
            f"c.yml:2:3: max-label-values: no format in use can fill 'nope'; there are {LABELS}",
        ),
    ),
    "limits on the command line": (
        "",
        {"most_values": "5 ssl=7 nope=8", "labels": "backend_name"},
        (f"--max-label-values: no format in use can fill 'nope'; there are {LABELS}",),
    ),
    "rules": (
        "rules: {ssl: [{match: a, replace: b}],\n  x: [{match: a, replace: b}],\n  reason: [{match: a, replace: b}]}",
        {},
        (
            f"c.yml:2:3: rules: no format in use can fill 'x'; there are {LABELS}",
            f"c.yml:3:3: rules: no format in use can fill 'reason'; there are {LABELS}",
        ),
    ),
    "static labels": (
        "static-labels: {site: a, status_code: b, ssl: c}\nmetrics: {requests_total: , aborts_total: {labels: [ssl]}}",
        {},
        (
            "c.yml:1:26: static-labels: status_code is a label of requests_total already",
            "c.yml:1:42: static-labels: ssl is a label of aborts_total already",
        ),
    ),
    "static labels beside those that a metric has of its own": (
        "static-labels: {frontend_name: a}\nmetrics: [requests_total, connection_errors_total]",
        {},
        ("c.yml:1:17: static-labels: frontend_name is a label of connection_errors_total already",),
    ),
    "metrics chosen twice": (
        "metrics: {requests_total: {labels: [ssl]}}",
        {"own_metrics": "requests_total:ssl requests_total:backend_name"},
        ("--metric: requests_total is chosen twice",),
    ),
    "--metric": (
        "",
        {"own_metrics": "nope:ssl requests_total:zz"},
        (
            f"--metric: no format in use can fill 'nope'; there are {METRICS}",
            f"--metric: no format in use can fill 'zz'; there are {LABELS}",
        ),
    ),
    "--metric in the file": (
        "metric:\n  - requests_total:zz\n  - nope",
        {},
        (
            f"c.yml:3:5: metric: no format in use can fill 'nope'; there are {METRICS}",
            f"c.yml:2:5: metric: no format in use can fill 'zz'; there are {LABELS}",
        ),
    ),
    "what only follows from another": (
        "labels: [status_code, nope]\nmax-label-values: {status_code: 5}\n",
        {},
        (f"c.yml:1:23: labels: no format in use can fill 'nope'; there are {LABELS}",),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_names_are_told_where_they_stand(name: str, config: Config) -> None:
    """Those of the file with its line and column, others with their options; each once."""
    text, given, wanted = WRONG[name]
    assert sorted(config.mistakes(text, given)) == sorted(wanted)


def test_static_labels_may_have_names_that_no_metric_has(config: Config) -> None:
    """Whatever labels there are besides: those of other metrics, or which only the errors would have."""
    given = config.read("static-labels: {ssl: a, frontend_name: b}\nmetrics: [requests_total]")
    assert given.choice.static == (("ssl", "a"), ("frontend_name", "b"))
    given = config.read("static-labels: {status_code: a}\nmetrics: [connection_errors_total]")
    assert given.choice.static == (("status_code", "a"),)


def test_names_in_variables_are_told_so(config: Config) -> None:
    """With the variable's name."""
    variables = {
        "HAPROXY_LOG_EXPORTER_LABELS": "backend_name\nzz",
        "HAPROXY_LOG_EXPORTER_METRICS": "requests_total,yy",
        "HAPROXY_LOG_EXPORTER_METRIC": "ww",
    }
    assert [message.partition("; ")[0] for message in config.mistakes("", {}, variables)] == [
        "HAPROXY_LOG_EXPORTER_LABELS: no format in use can fill 'zz'",
        "HAPROXY_LOG_EXPORTER_METRICS: no format in use can fill 'yy'",
        "HAPROXY_LOG_EXPORTER_METRIC: no format in use can fill 'ww'",
    ]
    (message,) = config.mistakes("", {}, {"HAPROXY_LOG_EXPORTER_MAX_LABEL_VALUES": "5\nxx=5"})
    assert message.startswith("HAPROXY_LOG_EXPORTER_MAX_LABEL_VALUES: no format in use can fill 'xx'; there are ")


def test_everything_at_once(config: Config, tmp_path: Path) -> None:
    """The file's own mistakes, values, files that it names, labels and metrics, and what is missing."""
    (tmp_path / "t.txt").write_text("/a\nb\n")
    found = config.mistakes(
        "lables: ssl\npath-depth: x\nlabels: [zz]\nrules: {ssl: [{match: (, action: drop}]}\nstate-reset: true\n",
        {
            "path_template_files": f"{tmp_path}/t.txt {tmp_path}/none.txt",
            "path_templates": "c",
            "series_idle": "7",
            "own_metrics": "requests_total::1",
        },
        {"HAPROXY_LOG_EXPORTER_MAX_SERIES": "many"},
        has_sources=True,
    )
    assert sorted(found) == sorted(
        [
            "c.yml:1:1: there is no option 'lables'; did you mean 'labels'?",
            "c.yml:4:23: the regex '(' is broken: missing ), unterminated subpattern at position 0",
            "c.yml:2:13: path-depth: 'x' is not a whole number from 1 to 1000",
            "c.yml:5:14: state-reset: there is no --state PATH",
            "HAPROXY_LOG_EXPORTER_MAX_SERIES: 'many' is not a whole number from 1 to 100000000",
            "--path-template: a template begins with '/', as /c",
            "--series-idle: '7' is not a duration above 0; it is 90s, 30m, 12h, 7d or 2w",
            "t.txt:2: a template begins with '/', as /b",
            "--path-templates: cannot read none.txt: No such file or directory",
            f"c.yml:3:10: labels: no format in use can fill 'zz'; there are {LABELS}",
            "--metric: requests_total is a counter, and has no buckets",
        ]
    )


def test_that_there_is_nothing_to_read_is_told_only_by_itself(config: Config) -> None:
    """And not where a file says what is read."""
    assert config.mistakes("labels: ssl", has_sources=True) == [NOTHING_TO_READ]
    assert config.mistakes("labels: zz", has_sources=True) != [NOTHING_TO_READ]
    assert config.read("file: /x/*.log", has_sources=True).settings.files == ("/x/*.log",)
    assert config.read("stdin: true", has_sources=True).settings.stdin
