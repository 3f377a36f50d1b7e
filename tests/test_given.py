"""Options of the command line, the environment and files together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from haproxy_log_exporter.choice import MetricChoice
from haproxy_log_exporter.engine import Assembly
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.given import Given, Source
from haproxy_log_exporter.labels.limits import Limits
from haproxy_log_exporter.settings import knobs
from tests.config.files import Config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Give a file that is not there yet."""
    return Config(tmp_path)


def metrics_of(given: Given) -> dict[str, tuple[list[str], list[str]]]:
    """List the metrics with their labels and buckets."""
    return {
        each.metric.name: ([label.name for label in each.labels], [*each.metric.buckets])
        for each in Assembly(given.choice).metrics
    }


# --- Together ---------------------------------------------------------------------------------------------------------


def test_options_of_all_places(config: Config) -> None:
    """Each is taken from where it is; what the command line cannot hold is added."""
    given = config.read(
        """
        labels: [backend_name, http_request_path]
        path-template: ['/file/{id}']
        path-depth: 3
        max-label-values: {http_request_path: 50}
        series-idle: 7d
        max-series: 10
        static-labels: {site: berlin, rack: "7"}
        rules:
          backend_name:
            - {match: (.*)-old, replace: $1}
            - {match: secret, action: drop}
        """,
        {"most_series": "30", "path_ids": "false"},
        {"HAPROXY_LOG_EXPORTER_PATH_DEPTH": "5", "HAPROXY_LOG_EXPORTER_MAX_SERIES": "20"},
    )
    choice = given.choice
    assert choice.labels == ("backend_name", "http_request_path")
    assert (choice.paths.templates, choice.paths.ids, choice.paths.depth) == (("/file/{id}",), False, 5)
    assert choice.limits == Limits(1000, (("http_request_method", 20), ("http_request_path", 50)), 30, 604_800.0)
    assert choice.static == (("site", "berlin"), ("rack", "7"))
    (rules,) = choice.rules
    assert (rules.label, rules.place) == ("backend_name", f"{config.path}:10:11: rules")
    assert [rule.match.pattern for rule in rules.rules] == ["(.*)-old", "secret"]
    assert given.settings.config == str(config.path)


def test_templates_of_options_and_of_files(config: Config, tmp_path: Path) -> None:
    """Those given by themselves come first, then those of each file; each counts once."""
    (tmp_path / "t.txt").write_text("/b/{id}  # 10%\n/a\n")
    (tmp_path / "o.yml").write_text("openapi: 3.0.0\nservers: [{url: /v1}]\npaths: {/c: {}, '/c/{d}': {}}\n")
    text = f"path-templates: [{tmp_path}/t.txt, {tmp_path}/o.yml]\npath-template: [/a, /z]\n"
    assert config.read(text).choice.paths.templates == ("/a", "/z", "/b/{id}", "/v1/c", "/v1/c/{d}")
    assert config.read(text, {"path_template_files": f"{tmp_path}/t.txt"}).choice.paths.templates == (
        "/a",
        "/z",
        "/b/{id}",
    )


def test_limits_of_labels(config: Config) -> None:
    """Of what is given twice the last counts; what stands for each label is given without a name."""
    limits = config.read("max-label-values: [http_request_method=5, '7', ssl=1, ssl=2]\nlabels: ssl").choice.limits
    assert (limits.values, limits.of) == (7, (("http_request_method", 5), ("ssl", 2)))
    limits = config.read("max-label-values: 7", {"most_values": "ssl=3", "labels": "ssl"}).choice.limits
    assert (limits.values, limits.of) == (1000, (("http_request_method", 20), ("ssl", 3)))


def test_without_a_file_nothing_of_one_is_there(config: Config) -> None:
    """An empty one says nothing either."""
    without = Source({name: [] for name in knobs()}, {}).read()
    assert (without.file.metrics, without.choice.static, without.choice.rules) == (None, (), ())
    assert config.read("", {"formats": ""}).choice == without.choice
    assert config.read("# nothing\n", {"formats": ""}).choice == without.choice


def test_a_command_that_takes_no_file_reads_none() -> None:
    """Neither of the command line nor of the environment."""
    assert Source({"log_level": []}, {"HAPROXY_LOG_EXPORTER_CONFIG": "/none"}).read().settings.config == ""


def test_what_the_environment_names_is_read(config: Config) -> None:
    """As what the command line does, which comes first."""
    config.path.write_text("labels: ssl")
    other = config.path.with_name("d.yml")
    other.write_text("labels: backend_name")
    none: dict[str, list[str]] = {name: [] for name in knobs()}
    variables = {"HAPROXY_LOG_EXPORTER_CONFIG": str(config.path)}
    assert Source(none, variables).read().choice.labels == ("ssl",)
    assert Source({**none, "config": [str(other)]}, variables).read().choice.labels == ("backend_name",)


# --- Metrics ----------------------------------------------------------------------------------------------------------

OF_ALL = ["status_code", "backend_name"]  # the default labels that the format has
DEFAULT = ["0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1", "2.5", "5", "7.5", "10"]
REQUESTS, DURATION = "requests_total", "response_duration_seconds"

AS_LIST = "metrics: [requests_total]\n"
AS_MAPPING = "metrics:\n  requests_total: {labels: [ssl]}\n  response_duration_seconds: {buckets: [1, 2]}\n"
AS_BOTH = "metrics: [requests_total, {response_duration_seconds: {labels: 'ssl, backend_name', buckets: '1, 2'}}]\n"

Wanted = dict[str, tuple[list[str], list[str]]]
CHOSEN: dict[str, tuple[str, dict[str, str], Wanted]] = {
    "list": (AS_LIST, {}, {REQUESTS: (OF_ALL, [])}),
    "mapping": (AS_MAPPING, {}, {REQUESTS: (["ssl"], []), DURATION: (OF_ALL, ["1", "2"])}),
    "both": (AS_BOTH, {}, {REQUESTS: (OF_ALL, []), DURATION: (["ssl", "backend_name"], ["1", "2"])}),
    "nothing of its own": (
        "metrics: {requests_total: , response_duration_seconds: {}}",
        {},
        {REQUESTS: (OF_ALL, []), DURATION: (OF_ALL, DEFAULT)},
    ),
    "no labels": ("metrics: {requests_total: {labels: []}}", {}, {REQUESTS: ([], [])}),
    "no labels, in quotes": ("metrics: {requests_total: {labels: ''}}", {}, {REQUESTS: ([], [])}),
    "a label twice": ("metrics: {requests_total: {labels: [ssl, ssl]}}", {}, {REQUESTS: (["ssl"], [])}),
    "list and --metrics": (AS_LIST, {"metrics": DURATION}, {DURATION: (OF_ALL, DEFAULT)}),
    "mapping and --metrics": (AS_MAPPING, {"metrics": f"{REQUESTS},notices_total"}, {REQUESTS: (["ssl"], [])}),
    "mapping and --metrics of the other": (AS_MAPPING, {"metrics": DURATION}, {DURATION: (OF_ALL, ["1", "2"])}),
    "list and --metric": (
        AS_LIST,
        {"own_metrics": f"{DURATION}:ssl:1"},
        {REQUESTS: (OF_ALL, []), DURATION: (["ssl"], ["1"])},
    ),
    "mapping and --metric": (
        AS_MAPPING,
        {"own_metrics": f"{DURATION}:ssl"},
        {REQUESTS: (["ssl"], []), DURATION: (["ssl"], DEFAULT)},
    ),
    "mapping, --metric and --metrics": (
        AS_MAPPING,
        {"metrics": REQUESTS, "own_metrics": f"{DURATION}:ssl"},
        {REQUESTS: (["ssl"], []), DURATION: (["ssl"], DEFAULT)},
    ),
    "mapping, --labels and --buckets": (
        AS_MAPPING,
        {"labels": "backend_name", "buckets": "3"},
        {REQUESTS: (["ssl"], []), DURATION: (["backend_name"], ["1", "2"])},
    ),
    "--metric in the file": (
        "metric: ['response_duration_seconds::3', 'requests_total:ssl']",
        {},
        {REQUESTS: (["ssl"], []), DURATION: (OF_ALL, ["3"])},
    ),
    "--metric alone": ("", {"own_metrics": f"{REQUESTS}:ssl"}, {REQUESTS: (["ssl"], []), DURATION: (OF_ALL, DEFAULT)}),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_metrics_of_the_file_and_of_the_command_line(name: str, config: Config) -> None:
    """`--metrics` says which there are; `--metric` adds one, and comes before what the file says of the same."""
    text, given, wanted = CHOSEN[name]
    found = metrics_of(config.read(text, given))
    assert {each: found[each] for each in found if each != "notices_total"} == wanted
    assert ("notices_total" in found) == ("notices_total" in given.get("metrics", ""))


def test_metrics_of_the_environment_come_before_the_file(config: Config) -> None:
    """As those of the command line do."""
    variables = {"HAPROXY_LOG_EXPORTER_METRICS": REQUESTS, "HAPROXY_LOG_EXPORTER_METRIC": f"{REQUESTS}:backend_name"}
    assert metrics_of(config.read(AS_MAPPING, {}, variables)) == {REQUESTS: (["backend_name"], [])}
    own = config.read(AS_MAPPING, {}, variables).choice.own
    assert own == (MetricChoice(REQUESTS, ("backend_name",)),)


# --- Files that cannot be read ----------------------------------------------------------------------------------------


def refusal(path: Path) -> list[str]:
    """Give the messages for a file."""
    with pytest.raises(UsageError) as caught:
        Source({"config": [str(path)], "labels": []}, {}).read()
    return [message.replace(str(path), "PATH") for message in caught.value.messages]


@contextmanager
def nobody() -> Iterator[None]:
    """Have no rights for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.timeout(30)
def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Nobody waits for what a pipe may bring."""
    assert refusal(tmp_path / "none") == ["--config: cannot read PATH: No such file or directory"]
    assert refusal(tmp_path) == ["--config: cannot read PATH: Is a directory"]
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == ["--config: cannot read PATH: is not a regular file"]
    (tmp_path / "link").symlink_to(tmp_path / "link")
    assert refusal(tmp_path / "link") == ["--config: cannot read PATH: Too many levels of symbolic links"]
    assert refusal(Path("/dev/null")) == ["--config: cannot read PATH: is not a regular file"]


def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    """It is there, and not for the exporter."""
    path = tmp_path / "c.yml"
    path.write_text("labels: ssl")
    path.chmod(0)
    with nobody():
        assert refusal(path) == ["--config: cannot read PATH: Permission denied"]


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """At the first byte that is wrong."""
    path = tmp_path / "c.yml"
    path.write_bytes("# Zürich\nstatic-labels:\n  site: Zürich\n".encode("latin-1"))
    assert refusal(path) == ["PATH:1:4: a byte here is no UTF-8"]
    path.write_text("labels: ssl", encoding="utf-16")
    assert refusal(path) == ["PATH:1:1: a byte here is no UTF-8"]
    path.write_text("static-labels: {site: Zürich}", encoding="utf-8-sig")
    assert Source({"config": [str(path)]}, {}).read().choice.static == (("site", "Zürich"),)


@pytest.mark.timeout(30)
def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    """It is not read in part, as if the rest were nothing; and a file with holes takes neither time nor memory."""
    path = tmp_path / "c.yml"
    with path.open("wb") as file:
        file.write(b"labels: ssl\n#" + b"x" * 100 + b"\n")
        file.truncate(100 << 30)
    assert refusal(path) == ["--config: cannot read PATH: is larger than 64 MiB"]
