"""Whatever stands in a configuration file, it is read, or every mistake is told in words."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.effects import describe, describe_lines
from haproxy_log_exporter.engine import Assembly
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.given import Given, Source
from haproxy_log_exporter.metrics.catalogue import METRICS, Metric
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.settings import knobs
from tests.config.files import FORMATS
from tests.mixedlog import mixed_log
from tests.support import read_samples

OWN = ("connection_errors_total", "notices_total")
# Metrics that the three formats of right files have.
THERE = [metric for metric in METRICS if not re.match("(handshake|idle|data)_duration|bytes_uploaded", metric.name)]
LOG = mixed_log(60)

NUMBERS = st.sampled_from([0, 1, 2, 5, -1, 0.1, 1e6, "1_000", "0x1", "1,2", "2,1", "inf", "nan", "1e400", "٣"])
WORDS = st.sampled_from(
    ["ssl", "status_code", "status_class", "backend_name", "http_request_path", "reason", "kind", "le", "nope", "", " "]
    + ["a,b", ",", ":", "/a/{id}", "/{", "7d", "ssl=5", "=", "$1", "$", "(", "(a)", "a\0b", "\ud800", "httplog", "é"]
    + [metric.name for metric in METRICS[:4]]
)
SCALARS = st.one_of(NUMBERS, WORDS, st.none(), st.booleans())
ANYTHING = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(WORDS, below, max_size=3)),
    max_leaves=6,
)


def _mixed(*likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*likely, *likely, *likely, ANYTHING)


NAMES = st.sampled_from([metric.name for metric in METRICS])
LABELS = st.lists(WORDS, max_size=3)
METRIC = st.fixed_dictionaries(
    {}, optional={"labels": _mixed(LABELS), "buckets": _mixed(st.lists(NUMBERS, max_size=3))}
)
RULE = st.fixed_dictionaries(
    {}, optional={"match": _mixed(WORDS), "replace": _mixed(WORDS), "action": _mixed(st.sampled_from(["keep", "drop"]))}
)
# Files that it would name are no part of this.
OPTIONS = sorted({knob.name for knob in knobs().values()} - {"path-templates", "haproxy-config"})
PARTS: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(OPTIONS, ANYTHING) | {
    "metrics": _mixed(st.dictionaries(NAMES, _mixed(METRIC), max_size=3), st.lists(NAMES, max_size=3)),
    "labels": _mixed(LABELS),
    "buckets": _mixed(st.lists(NUMBERS, max_size=3)),
    "max-label-values": _mixed(st.dictionaries(WORDS, NUMBERS, max_size=2)),
    "rules": _mixed(st.dictionaries(WORDS, _mixed(st.lists(_mixed(RULE), max_size=2)), max_size=2)),
    "static-labels": _mixed(st.dictionaries(WORDS, SCALARS, max_size=2)),
    "format": st.sampled_from([FORMATS, "httplog", ["%ST"], "nope", []]),
}
FILES = st.one_of(
    *(st.fixed_dictionaries({}, optional={name: PARTS[name] for name in names}) for names in
      (("metrics", "labels", "buckets", "format"), ("metrics", "static-labels", "rules", "max-label-values"), OPTIONS)),
    ANYTHING,
)  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file's name."""
    return tmp_path_factory.mktemp("config") / "c.yml"


def read_or_be_told(source: Source) -> Given | None:
    """Read all, or see that each mistake is told once, and at a place."""
    messages: tuple[str, ...] = ()
    try:
        return source.read()
    except UsageError as error:
        messages = error.messages
    assert messages
    assert all(re.match(r"\S+: \S", message) for message in messages)
    assert len({*messages}) == len(messages)
    return None


@settings(max_examples=150, deadline=None)
@given(FILES, st.sampled_from([(), ("requests_total:ssl",), ("nope",), ("response_duration_seconds::1",)]))
def test_a_file_is_read_or_told_of(path: Path, tree: Any, own: tuple[str, ...]) -> None:
    """There is no traceback, and no message without words; what is read can be counted by, and shown."""
    path.write_text(json.dumps(tree))
    texts: dict[str, list[str]] = {name: [] for name in knobs()} | {"config": [str(path)], "own_metrics": [*own]}
    read = read_or_be_told(Source(texts, {}))
    if read is None:
        return
    metrics = Assembly(read.choice).metrics
    assert metrics
    assert all(describe_lines(json.loads(json.dumps(describe(read, metrics)))))


# --- What is right ----------------------------------------------------------------------------------------------------

RIGHT_LABELS = st.lists(
    st.sampled_from(["ssl", "status_code", "backend_name", "server_name", "http_request_path", "request_header_1"]),
    max_size=4,
)
BOUNDS = st.lists(st.sampled_from([0.005, 0.1, 1, 2.5, 30, 1e3]), min_size=1, unique=True).map(sorted)


def _own(metric: Metric) -> st.SearchStrategy[Any]:
    parts: dict[str, st.SearchStrategy[Any]] = {} if metric.name in OWN else {"labels": RIGHT_LABELS}
    if metric.type == "histogram":
        parts["buckets"] = BOUNDS
    return st.none() | st.fixed_dictionaries({}, optional=parts)


RIGHT_RULE = st.sampled_from(
    [
        {"match": "(.)(.*)", "replace": "$2$1"},
        {"match": ".*", "replace": "x"},
        {"match": "b.*", "action": "keep"},
        {"match": "-.*", "action": "drop"},
    ]
)
RIGHT = st.fixed_dictionaries(
    {"format": st.just(["httplog", "tcplog", "error"])},
    optional={
        "labels": RIGHT_LABELS.filter(bool),
        "buckets": BOUNDS,
        "metrics": st.fixed_dictionaries({}, optional={metric.name: _own(metric) for metric in THERE}).filter(bool),
        "path-depth": st.integers(1, 3),
        "path-ids": st.booleans(),
        "path-template": st.lists(st.sampled_from(["/a/{id}", "/*", "/users/me"]), min_size=1),
        "max-label-values": st.integers(1, 3),
        "max-series": st.integers(1, 4),
        "rules": st.dictionaries(
            st.sampled_from(["backend_name", "http_request_path"]), st.lists(RIGHT_RULE, min_size=1), min_size=1
        ),
        "static-labels": st.just({"site": 'a"b\\', "rack": 7}),
    },
)


@settings(max_examples=100, deadline=None)
@given(RIGHT)
def test_what_is_right_is_read_and_counted(path: Path, tree: dict[str, Any]) -> None:
    """No series is there twice, each has the static labels, and each metric that was chosen is there."""
    path.write_text(json.dumps(tree))
    given_ = Source({name: [] for name in knobs()} | {"config": [str(path)]}, {}).read()
    pipeline = Assembly(given_.choice).pipeline
    intake = pipeline.intake("x")
    pipeline.take(LOG, intake)
    pipeline.flush()
    text = b"".join(render(pipeline.shown().tables, open_metrics=False)).decode()
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len({*series}) == len(series)
    assert len(read_samples(text)) == len(series)
    assert all(("site=" in each) == ("static-labels" in tree) for each in series)
    assert all(len(names := re.findall(r"[{,](\w+)=", each)) == len({*names}) for each in series)
    if "metrics" in tree:
        assert {*re.findall(r"# TYPE haproxy_log_(\w+) ", text)} == {*tree["metrics"]}
