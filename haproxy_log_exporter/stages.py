"""From a format to the stage of a pipeline that reads it: its columns, feeds and filters."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.formats import Format
from haproxy_log_exporter.labels.catalogue import Label, Reading
from haproxy_log_exporter.labels.columns import ClientColumn, Column, Filter, PlainColumn, Raw, is_chosen_by_clients
from haproxy_log_exporter.labels.limits import Admissions
from haproxy_log_exporter.labels.paths import PathRewriter
from haproxy_log_exporter.labels.reading import LabelReader
from haproxy_log_exporter.labels.rules import Action, Rule, apply_rules, fixed_values
from haproxy_log_exporter.labels.templates import Templates
from haproxy_log_exporter.logformat.compiler import CompiledFormat, Wanted, compile_format
from haproxy_log_exporter.logformat.guards import Guards, earlier_steps, last_step
from haproxy_log_exporter.logformat.reader import Reader
from haproxy_log_exporter.metrics.catalogue import TRAFFIC
from haproxy_log_exporter.metrics.pending import Feed, Tabulator
from haproxy_log_exporter.metrics.totals import Table
from haproxy_log_exporter.pipeline import Stage
from haproxy_log_exporter.planning import library_reader

_STATUS = Label("status_code", "status_code", Reading.TEXT)


class Counted(NamedTuple):
    """A table, and the labels that it counts by."""

    table: Table
    labels: tuple[Label, ...]


class _Binding(NamedTuple):
    """What of a format is needed: for labels by name, for rules that filter by label, and to count."""

    counted: Sequence[Counted]
    labels: Mapping[str, LabelReader]
    filters: Mapping[str, LabelReader]
    status: LabelReader
    wanted: Wanted


class StageMaker:
    """Makes stages that fill the same tables, whatever the formats."""

    def __init__(
        self,
        counted: Sequence[Counted],
        choice: Choice,
        rules: Iterable[tuple[Label, Sequence[Rule]]],
        admissions: Admissions,
    ) -> None:
        """`rules` are those of each label that has some."""
        self._counted = counted
        self._weight = choice.weight
        self._rules = {label.name: (label, each) for label, each in rules}
        self._admissions = admissions
        paths = choice.paths
        self._rewriter = PathRewriter(Templates(paths.templates), ids=paths.ids, depth=paths.depth)

    def find_settled(self, name: str, values: Collection[str], *, are_paths: bool) -> list[str]:
        """Find the values of a label that are written as they would be written today.

        Of rules that change again what they have changed already, it cannot be told.
        """
        rules = self._rules_of(name)
        rewritten = self._rewriter.rewrite([value.encode() for value in values]) if are_paths else values
        fixed = {*fixed_values(rules)}
        settled = []
        for value, written in zip(values, rewritten, strict=True):
            again = apply_rules(rules, written)
            if value in fixed or again == value or (again is not None and apply_rules(rules, again) != again):
                settled.append(value)
        return settled

    def make(self, formats: Sequence[Format], readers: Sequence[Reader]) -> list[Stage]:
        """Make the stages of formats, of which the first readings are given."""
        return [stage for each, reader in zip(formats, readers, strict=True) for stage in self._stages(each, reader)]

    def _stages(self, each: Format, reader: Reader) -> Iterator[Stage]:
        binding = self._bind(each, reader)
        if not isinstance(reader, CompiledFormat):
            yield self._stage(library_reader(binding.wanted), binding)
        elif "log_origin" not in reader.fields:
            yield self._stage(_compile(each, binding.wanted, each.guards), binding)
        else:
            earlier = {**each.guards, **earlier_steps(reader.fields)}
            yield Stage(_compile(each, Wanted(frozenset()), earlier), steps=True)
            last = {**each.guards, **last_step(reader.fields)}
            yield self._stage(_compile(each, binding.wanted, last), binding)

    def _bind(self, each: Format, reader: Reader) -> _Binding:
        """Find the fields of a format that are needed."""
        counted = [row for row in self._counted if reader.kind in row.table.layout.kinds]
        labels = {label.name: LabelReader(label, reader, each.slots) for row in counted for label in row.labels}
        filters = {
            name: LabelReader(label, reader, each.slots)
            for name, (label, rules) in self._rules.items()
            if any(rule.action is not Action.REPLACE for rule in rules)
        }
        if reader.kind not in TRAFFIC:  # lines that are no requests are not asked for what requests have
            filters = {name: found for name, found in filters.items() if found.fields}
        status = LabelReader(_STATUS, reader, each.slots)
        needed = [*labels.values(), *filters.values()]
        if any(is_chosen_by_clients(found) for found in labels.values()):
            needed.append(status)
        fields = frozenset(name for found in needed for name in found.fields)
        numbers = frozenset(name for row in counted for name in row.table.layout.fields)
        return _Binding(counted, labels, filters, status, Wanted(fields, numbers))

    def _stage(self, reader: Reader, binding: _Binding) -> Stage:
        """Bind what a format has to the columns of its reader."""
        names = [group[0] if len(group) == 1 else "" for group in reader.groups]
        order = [*binding.labels]
        return Stage(
            reader,
            Tabulator(
                [self._column(name, found, names, binding.status) for name, found in binding.labels.items()],
                [
                    Feed(row.table, reader, [order.index(label.name) for label in row.labels], self._weight)
                    for row in binding.counted
                ],
                [self._filter(name, found, names) for name, found in binding.filters.items()],
            ),
        )

    def _column(self, name: str, found: LabelReader, names: Sequence[str], status: LabelReader) -> Column:
        admission, rules = self._admissions.of(name), self._rules_of(name)
        if not is_chosen_by_clients(found):
            return PlainColumn(Raw(found, names), admission, rules)
        code = Raw(status, names) if status.fields else None
        return ClientColumn(names.index(found.fields[0]), found, admission, rules, self._rewriter, code)

    def _filter(self, name: str, found: LabelReader, names: Sequence[str]) -> Filter:
        return Filter(Raw(found, names), self._rules_of(name), self._rewriter)

    def _rules_of(self, name: str) -> Sequence[Rule]:
        return self._rules[name][1] if name in self._rules else ()


def _compile(each: Format, wanted: Wanted, guards: Guards) -> Reader:
    return compile_format(each.name, each.kind, each.source, wanted, guards)
