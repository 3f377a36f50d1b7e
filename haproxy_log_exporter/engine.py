"""From a choice to the tables and stages of a pipeline."""

from collections.abc import Sequence
from dataclasses import replace

from haproxy_log_exporter.certain import declare_routes
from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.formats import Format
from haproxy_log_exporter.haproxy_cfg import Route
from haproxy_log_exporter.labels.catalogue import Label, Reading, error_labels
from haproxy_log_exporter.labels.limits import Admissions
from haproxy_log_exporter.labels.rules import apply_rules, fixed_values
from haproxy_log_exporter.logformat.compiler import compile_message
from haproxy_log_exporter.logformat.presets import NOTICES
from haproxy_log_exporter.metrics.account import Account
from haproxy_log_exporter.metrics.catalogue import TRAFFIC, Metric
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.totals import Table
from haproxy_log_exporter.pipeline import NoticeKind, Pipeline, Stage
from haproxy_log_exporter.planning import (
    ChosenMetric,
    Plan,
    find_fillable,
    first_readers,
    make_plan,
    read_formats,
)
from haproxy_log_exporter.stages import Counted, StageMaker


class Assembly:
    """A pipeline and what it is made of, so that its formats can be exchanged."""

    def __init__(self, choice: Choice) -> None:
        """Build all parts that a choice needs.

        Raises:
            UsageError: with every mistake in formats, labels, metrics and rules.
        """
        self.choice = choice
        self.undeclared = 0  # label sets that are certain and not shown, for there would be too many
        self._plan = make_plan(choice)
        self._admissions = Admissions(choice.limits, _certain_values(choice, self._plan))
        traffic = _traffic_tables(choice, self._plan.metrics)
        chosen = [each.metric for each in self._plan.metrics]
        errors = _own_table(choice, error_labels(), [each for each in chosen if "error" in each.kinds], "errors")
        notices = _own_table(choice, (), [each for each in chosen if "notice" in each.kinds], "notices")
        self._counted = [*traffic, *errors]
        self._notices = notices[0].table if notices else None
        self._maker = StageMaker(self._counted, choice, self._plan.rules, self._admissions)
        self.pipeline = Pipeline(
            stages=self._stages(),
            account=Account(self.tables, self._admissions),
            notices=[NoticeKind(row.kind, compile_message(row.pattern), row.says_dropped) for row in NOTICES],
            notices_table=self._notices,
            reorder=not choice.formats,
            weight=choice.weight,
        )

    @property
    def tables(self) -> Sequence[Table]:
        """All tables."""
        notices = [] if self._notices is None else [self._notices]
        return [*(each.table for each in self._counted), *notices]

    @property
    def formats(self) -> Sequence[Format]:
        """The formats that are tried."""
        return self._plan.formats

    @property
    def metrics(self) -> Sequence[ChosenMetric]:
        """The metrics, with their labels."""
        return self._plan.metrics

    @property
    def certain(self) -> dict[str, int]:
        """How many series of each metric are shown from the start; none of those that are not among them."""
        return {
            slot.metric.name: count
            for table in self.tables
            for slot in table.layout.slots
            if (count := table.count_declared(table.layout.mask(slot.metric)))
        }

    @property
    def unfilled(self) -> list[str]:
        """The labels that no format can fill, after an exchange."""
        traffic = [reader for reader in self._plan.readers if reader.kind in TRAFFIC]
        there = find_fillable(self._plan.formats, traffic)
        return [name for name, label in self._plan.labels.items() if not there.has(label)]

    def take_over(self, pipeline: Pipeline) -> None:
        """Let another pipeline, which has been counting, count by this choice from now on, in tables begun for it."""
        self.begin()
        pipeline.adopt(self.pipeline)
        self.pipeline = pipeline

    def begin(self) -> None:
        """Begin with the label sets that tables have: their values have places, and what is certain is beside them.

        What would be written in another way today has a series, and no place.
        """
        used = self.pipeline.account.used_values()
        labels = {label.name: label for row in self._counted for label in row.labels}
        for name, label in labels.items():
            is_path = label.reading is Reading.PATH
            settled = self._maker.find_settled(name, used.get(name, ()), are_paths=is_path)
            self._admissions.of(name).keep(settled)
        self.declare()

    def declare(self) -> None:
        """Show, with the next batch, what haproxy.cfg makes certain, though nothing was counted."""
        rules = {label.name: each for label, each in self._plan.rules}
        self.undeclared = declare_routes(self.choice.routes, self._counted, rules, self.pipeline.account)

    def exchange(self, configured: tuple[Format, ...], routes: tuple[Route, ...] = ()) -> Choice:
        """Read lines by other formats from now on; labels, metrics and totals stay. Gives what is chosen now.

        Raises:
            UsageError: where a format cannot be read; then all stays as it was.
        """
        choice = replace(self.choice, configured=configured, routes=routes)
        formats = read_formats(choice)
        self._plan = replace(self._plan, formats=formats, readers=first_readers(formats, choice))
        self.choice = choice
        self.pipeline.exchange(self._stages())
        self.declare()
        return choice

    def _stages(self) -> list[Stage]:
        return self._maker.make(self._plan.formats, self._plan.readers)


def build_pipeline(choice: Choice) -> Pipeline:
    """Build a pipeline whose formats stay.

    Raises:
        UsageError: with every mistake in formats, labels, metrics and rules.
    """
    return Assembly(choice).pipeline


def _certain_values(choice: Choice, plan: Plan) -> dict[str, list[str]]:
    """Give the values that are written down, by label: templates, as rules leave them, and texts that rules put."""
    rules = {label.name: each for label, each in plan.rules}
    found = {name: fixed_values(each) for name, each in rules.items()}
    for name, label in plan.labels.items():
        if label.reading is Reading.PATH:
            ruled = (apply_rules(rules.get(name, ()), template) for template in choice.paths.templates)
            found[name] = [*(value for value in ruled if value is not None), *found.get(name, ())]
    return found


def _traffic_tables(choice: Choice, metrics: Sequence[ChosenMetric]) -> list[Counted]:
    """Put metrics that have the same labels into one table."""
    groups: dict[frozenset[str], list[ChosenMetric]] = {}
    for each in metrics:
        if each.metric.is_of_traffic:
            groups.setdefault(frozenset(label.name for label in each.labels), []).append(each)
    return [_counted(choice, group[0].labels, [each.metric for each in group], "traffic") for group in groups.values()]


def _own_table(choice: Choice, labels: tuple[Label, ...], metrics: Sequence[Metric], key: str) -> list[Counted]:
    return [_counted(choice, labels, metrics, key)] if metrics else []


def _counted(choice: Choice, labels: tuple[Label, ...], metrics: Sequence[Metric], key: str) -> Counted:
    names = ["kind"] if key == "notices" else [label.name for label in labels]
    table = Table(names, Layout(metrics, ()), key, choice.static, choice.limits.series)
    return Counted(table, labels)
