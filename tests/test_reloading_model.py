"""Any configurations one after another, held against a plain count of what must be kept."""

import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter import reloading
from tests.reloads import Reloading

KINDS = {
    "requests_total": ("http",),
    "sessions_total": ("tcp",),
    "response_duration_seconds": ("http",),
    "total_duration_seconds": ("http", "tcp"),
    "bytes_read_total": ("http", "tcp"),
}
DURATIONS = ("response_duration_seconds", "total_duration_seconds")


class Chosen(NamedTuple):
    """What a metric is counted by."""

    labels: tuple[str, ...]
    buckets: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The labels, whatever their order."""
        return frozenset(self.labels)


class Line(NamedTuple):
    """A line, and what is in it."""

    kind: str
    status: str
    backend: str
    milliseconds: int
    size: int

    def write(self) -> bytes:
        """Write it as HAProxy does."""
        begin = f"1.2.3.4:5 [20/Nov/2026:04:30:27.864] web {self.backend}/s1 "
        end = f'200 {self.size} - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"'.replace("200", self.status, 1)
        if self.kind == "tcp":
            return f"{begin}1/0/{self.milliseconds} {self.size} -- 1/1/0/0/0 0/0\n".encode()
        return f"{begin}0/0/0/{self.milliseconds}/{self.milliseconds} {end}\n".encode()

    def values(self, names: frozenset[str]) -> frozenset[tuple[str, str]]:
        """Give those labels that are not empty."""
        status = "" if self.kind == "tcp" else self.status
        known = {"status_code": status, "backend_name": self.backend, "server_name": "s1"}
        return frozenset((name, known[name]) for name in names)


Configuration = Mapping[str, Chosen]
Series = Counter[tuple[str, frozenset[tuple[str, str]]]]

# Few, so that much stays as it was; the last two are the same.
LABELS = st.sampled_from([(), ("status_code",), ("backend_name", "server_name"), ("server_name", "backend_name")])
BUCKETS = st.sampled_from([("0.1", "1"), ("0.5", "1")])
CONFIGURATIONS = st.dictionaries(st.sampled_from([*KINDS]), st.builds(Chosen, LABELS, BUCKETS), min_size=2)
LINES = st.builds(
    Line,
    st.sampled_from(["http", "tcp"]),
    st.sampled_from(["200", "404"]),
    st.sampled_from(["app", "api"]),
    st.sampled_from([50, 400, 700, 3000]),
    st.integers(1, 9),
)
STEPS = st.lists(
    st.tuples(CONFIGURATIONS, st.lists(LINES, min_size=1, max_size=4), st.booleans()), min_size=2, max_size=5
)


# Metrics that are counts of lines, and as such counted on as long as others are made of these lines.
_LINES = {"requests_total", "sessions_total"}


class Model:
    """What has to be shown: counts of lines by labels and kind, and each metric's own numbers."""

    def __init__(self) -> None:
        self.chosen: Configuration = {}
        self.lines: dict[tuple[frozenset[str], str], Series] = {}
        self.numbers: dict[tuple[str, frozenset[str], tuple[str, ...]], Series] = {}

    def choose(self, chosen: Configuration) -> tuple[set[str], set[str]]:
        """Keep what is still counted as before; give the metrics that lose something, and all that have changed."""
        counted = {(each.names, kind) for name, each in chosen.items() for kind in KINDS[name]}
        kept = {_key(name, each) for name, each in chosen.items()}
        changed = {name for name, each in self.chosen.items() if _key(name, each) not in kept}
        lost = {name for name in changed if any(self.lines[self.chosen[name].names, kind] for kind in KINDS[name])}
        lost -= {name for name in _LINES - chosen.keys() if {*_kinds(name, self.chosen)} <= counted}  # counted on
        self.lines = {key: self.lines.get(key, Series()) for key in counted}
        self.numbers = {key: self.numbers.get(key, Series()) for key in kept}
        self.chosen = chosen
        return lost, changed

    def count(self, line: Line) -> None:
        """Count a line."""
        for (names, kind), found in self.lines.items():
            if kind == line.kind:
                found["lines", line.values(names)] += 1
        for (name, names, bounds), found in self.numbers.items():
            if line.kind not in KINDS[name]:
                continue
            values = line.values(names)
            if name in DURATIONS:
                found[f"{name}_sum", values] += line.milliseconds
                for bound in (*bounds, "+Inf"):
                    found[f"{name}_bucket", values | {("le", bound)}] += line.milliseconds <= float(bound) * 1000
                found[f"{name}_count", values] += 1
            elif name == "bytes_read_total":
                found[name, values] += line.size

    def series(self) -> dict[object, float]:
        """Give all that is not 0."""
        found: Series = Series()
        for name, each in self.chosen.items():
            found.update(self.numbers[_key(name, each)])
            if name in ("requests_total", "sessions_total"):
                lines = self.lines[each.names, KINDS[name][0]]
                found.update({(name, values): count for (_, values), count in lines.items()})
        return {
            (f"haproxy_log_{name}", values): count / 1000 if name.endswith("_sum") else count
            for (name, values), count in found.items()
            if count
        }


def _kinds(name: str, configuration: Configuration) -> list[tuple[frozenset[str], str]]:
    return [(configuration[name].names, kind) for kind in KINDS[name]] if name in configuration else []


def _key(name: str, chosen: Chosen) -> tuple[str, frozenset[str], tuple[str, ...]]:
    return name, chosen.names, chosen.buckets if name in DURATIONS else ()


def _write(configuration: Configuration) -> dict[str, Any]:
    return {
        "format": ["httplog", "tcplog"],
        "metrics": {
            name: {"labels": [*each.labels], **({"buckets": [*map(float, each.buckets)]} if name in DURATIONS else {})}
            for name, each in configuration.items()
        },
    }


class _Messages(logging.Handler):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.said.append(record.getMessage())

    def lost(self) -> set[str]:
        """Tell of which metrics totals are dropped, as was said since the last time."""
        found = (re.fullmatch(r"the configuration: the totals of (.*) are dropped, .*", each) for each in self.said)
        return {name for match in found if match for name in match[1].split(", ")}


@contextmanager
def _listening() -> Iterator[_Messages]:
    """Hear what is said; where messages go is left as it is."""
    messages, logger = _Messages(), logging.getLogger("haproxy_log_exporter")
    logger.addHandler(messages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reloading, "send_messages", lambda *_: None)
        yield messages
    logger.removeHandler(messages)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_what_is_counted_as_before_is_kept(steps: list[tuple[Configuration, list[Line], bool]]) -> None:
    """Of each metric, where labels and buckets are the same; the rest begins anew, and is told; kills change nothing.

    Counts of lines are kept as long as anything has the same labels and counts lines of the same kind.
    """
    with tempfile.TemporaryDirectory() as folder, _listening() as messages:
        model = Model()
        model.choose(steps[0][0])
        desk = Reloading(Path(folder), _write(steps[0][0]))
        for number, (configuration, lines, is_killed) in enumerate(steps):
            if number:
                messages.said.clear()
                assert desk.reload(_write(configuration))
                lost, changed = model.choose(configuration)
                assert lost <= messages.lost() <= changed
            if is_killed:
                desk.kill()
            assert _shown(desk) == model.series()
            for each in lines:
                desk.count(each.write())
                model.count(each)
            desk.flush()
            assert _shown(desk) == model.series()
        desk.kill()
        assert _shown(desk) == model.series()
        desk.stop()


def _shown(desk: Reloading) -> dict[object, float]:
    shown = {(name, values): value for (name, values), value in desk.shown().items() if value}
    return {
        (
            name,
            frozenset((label, value.removesuffix(".0") if label == "le" else value) for label, value in values),
        ): found
        for (name, values), found in shown.items()
    }
