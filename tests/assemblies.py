"""Assemblies for tests: of a haproxy.cfg, templates and rules, and what is certain of them."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from haproxy_log_exporter.choice import Choice, PathChoice, RulesChoice
from haproxy_log_exporter.engine import Assembly
from haproxy_log_exporter.formats import configured_formats
from haproxy_log_exporter.haproxy_cfg import HAProxyConfig, read_config
from haproxy_log_exporter.labels.rules import Action, Rule
from haproxy_log_exporter.metrics.totals import LabelSet, Row, Table
from tests.pipelines import HTTP
from tests.rows import rule

NO_RULES: Mapping[str, Sequence[Rule]] = {}


def read(text: str) -> HAProxyConfig:
    """Read a haproxy.cfg."""
    return read_config([("h.cfg", textwrap.dedent(text))], {})


def frontends(*names: str) -> HAProxyConfig:
    """Read a haproxy.cfg of frontends that answer by themselves."""
    return read("".join(f"frontend {name}\n    mode http\n    option httplog\n" for name in names))


def assemble(
    labels: Sequence[str],
    config: HAProxyConfig | None = None,
    *,
    templates: Sequence[str] = (),
    rules: Mapping[str, Sequence[Rule]] = NO_RULES,
    **chosen: Any,
) -> Assembly:
    """Put together what counts by labels, with whatever else is chosen."""
    choice = Choice(
        tuple(labels),
        ("requests_total",),
        ("1",),
        () if config else ("httplog", "error"),
        configured=configured_formats(config) if config else (),
        paths=PathChoice(tuple(templates)),
        rules=tuple(RulesChoice(name, tuple(each)) for name, each in rules.items()),
        routes=config.routes if config else (),
    )
    return Assembly(replace(choice, **chosen))


def exchange(assembly: Assembly, config: HAProxyConfig) -> None:
    """Let an assembly go on with another haproxy.cfg, and show what becomes of it."""
    assembly.exchange(configured_formats(config), config.routes)
    assembly.pipeline.flush()


def replace_all(match: str, replacement: str) -> Rule:
    """Make a rule that replaces what it matches."""
    return rule(match, Action.REPLACE, replacement)


def certain(assembly: Assembly, metric: str = "requests_total") -> set[LabelSet]:
    """Give the label sets of a metric that stand at 0 once they are shown."""
    return {
        values
        for table in assembly.tables
        for values in table.label_sets
        for slot in table.layout.slots
        if slot.metric.name == metric
        if table._declared.get(table._positions[values], 0) & table.layout.mask(slot.metric)
    }


def values_of(assembly: Assembly, label: str) -> set[str]:
    """Give the values of a label that have places."""
    return {*assembly.pipeline.account.admissions.of(label).values} - {"", "other"}


def ask(*paths: str, frontend: str = "web") -> list[bytes]:
    """Write lines of requests to a frontend."""
    return [HTTP.replace(b" web ", f" {frontend} ".encode()).replace(b"/a", path.encode()) for path in paths]


def begin_with(assembly: Assembly, *values: str) -> Table:
    """Begin with label sets of one label, which had a line each."""
    (table,) = assembly.tables
    table.restore([Row((value,), table.layout.line("http"), 1.0) for value in values])
    assembly.begin()
    return table
