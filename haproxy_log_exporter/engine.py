"""From settings to the readers, tables and feeds of a pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.formats import Format, Numbering, find_formats
from haproxy_log_exporter.labels.catalogue import Fillable, Label, error_labels, find_labels
from haproxy_log_exporter.labels.reading import LabelReader
from haproxy_log_exporter.logformat.compiler import CompiledFormat, Wanted, compile_format, compile_message
from haproxy_log_exporter.logformat.guards import earlier_steps, last_step
from haproxy_log_exporter.logformat.presets import NOTICES
from haproxy_log_exporter.logformat.reader import Reader
from haproxy_log_exporter.metrics.catalogue import Metric, find_metrics
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.pending import Feed
from haproxy_log_exporter.metrics.totals import Table
from haproxy_log_exporter.pipeline import NoticeKind, Pipeline, Stage

_TRAFFIC = ("http", "tcp")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be counted, of what lines.

    `formats` are those asked for by name or as strings, `configured` those of haproxy.cfg; without either, all presets.
    Each line stands for `weight` of them.
    """

    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    buckets: tuple[str, ...]
    formats: tuple[str, ...] = ()
    parser: str = "compiled"
    configured: tuple[Format, ...] = ()
    weight: int = 1
    numbering: Numbering = field(default_factory=Numbering, compare=False)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a choice comes to: formats with a first reading of each, labels and metrics."""

    formats: Sequence[Format]
    readers: Sequence[Reader]
    labels: tuple[Label, ...]
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class _Tables:
    """The tables of a pipeline, some of them without any metric."""

    traffic: Table
    errors: Table
    notices: Table


def find_mistakes(choice: Choice, *, formats_alone: bool = False) -> list[str]:
    """Tell every mistake in formats, labels and metrics, or in formats alone."""
    try:
        if formats_alone:
            _formats(choice)
        else:
            _plan(choice)
    except UsageError as error:
        return [*error.messages]
    return []


class Assembly:
    """A pipeline and what it is made of, so that its formats can be exchanged."""

    def __init__(self, choice: Choice) -> None:
        """Build all parts that a choice needs.

        Raises:
            UsageError: with every mistake in formats, labels and metrics.
        """
        plan = _plan(choice)
        self._choice = choice
        self._plan = plan
        self._tables = _make_tables(plan, choice.buckets)
        notices = self._tables.notices if self._tables.notices.layout.slots else None
        kinds = [NoticeKind(row.kind, compile_message(row.pattern), row.says_dropped) for row in NOTICES]
        self.pipeline = Pipeline(
            stages=_stages(plan, self._tables, choice),
            tables=[table for table in self.tables if table.layout.slots],
            notices=kinds,
            notices_table=notices,
            reorder=not choice.formats,
            weight=choice.weight,
        )

    @property
    def tables(self) -> Sequence[Table]:
        """All tables, those without any metric as well."""
        return (self._tables.traffic, self._tables.errors, self._tables.notices)

    @property
    def formats(self) -> Sequence[Format]:
        """The formats that are tried."""
        return self._plan.formats

    @property
    def unfilled(self) -> list[str]:
        """The labels that no format can fill, after an exchange."""
        traffic = [reader for reader in self._plan.readers if reader.kind in _TRAFFIC]
        there = _fillable(self._plan.formats, traffic)
        return [label.name for label in self._plan.labels if not there.has(label)]

    def exchange(self, configured: tuple[Format, ...]) -> Choice:
        """Read lines by other formats from now on; labels, metrics and totals stay. Gives what is chosen now.

        Raises:
            UsageError: where a format cannot be read; then all stays as it was.
        """
        choice = replace(self._choice, configured=configured)
        formats = _formats(choice)
        plan = replace(self._plan, formats=formats, readers=_readers(formats, choice))
        self.pipeline.exchange(_stages(plan, self._tables, choice))
        self._plan = plan
        return choice


def build_pipeline(choice: Choice) -> Pipeline:
    """Build a pipeline whose formats stay.

    Raises:
        UsageError: with every mistake in formats, labels and metrics.
    """
    return Assembly(choice).pipeline


def compile_all(choice: Choice) -> Sequence[Reader]:
    """Compile formats with every field in a column of its own, for single lines."""
    return _readers(_formats(choice), choice)


def fillable(formats: Sequence[Format]) -> Fillable:
    """Tell which labels formats can fill."""
    return _fillable(formats, [compile_format(each.name, each.kind, each.source) for each in formats])


def _fillable(formats: Sequence[Format], readers: Sequence[Reader]) -> Fillable:
    return Fillable(
        frozenset[str]().union(*(reader.fields for reader in readers)),
        {name: field for reader in readers for name, field in reader.names.items()},
        {header for each in formats for header in each.slots.headers()},
    )


def _formats(choice: Choice) -> Sequence[Format]:
    if choice.parser == "haproxy-log-analysis":
        if choice.formats not in ((), ("httplog",)):
            message = "--format: the engine haproxy-log-analysis reads httplog alone"
            raise UsageError(message)
        return find_formats(("httplog",), ())
    return find_formats(choice.formats, choice.configured, choice.numbering)


def _plan(choice: Choice) -> _Plan:
    formats = _formats(choice)
    readers = _readers(formats, choice)
    there = _fillable(formats, [reader for reader in readers if reader.kind in _TRAFFIC])
    problems: list[str] = []
    labels: tuple[Label, ...] = ()
    metrics: tuple[Metric, ...] = ()
    kinds, fields = {reader.kind for reader in readers} | {"notice"}, {*there.fields}
    if choice.configured and not choice.metrics:  # what haproxy.cfg does not have yet, it may have later
        kinds |= {*_TRAFFIC}
        fields |= {"time_response"}
    try:
        labels = find_labels(choice.labels, there)
    except UsageError as error:
        problems += error.messages
    try:
        metrics = find_metrics(choice.metrics, frozenset(fields), frozenset(kinds))
    except UsageError as error:
        problems += error.messages
    if problems:
        raise UsageError(*problems)
    return _Plan(formats, readers, labels, metrics)


def _readers(formats: Sequence[Format], choice: Choice) -> Sequence[Reader]:
    if choice.parser == "haproxy-log-analysis":
        return [_library_reader(None)]
    return [compile_format(each.name, each.kind, each.source, None, each.guards) for each in formats]


def _library_reader(wanted: Wanted | None) -> Reader:
    try:
        from haproxy_log_exporter.reference import ReferenceReader  # noqa: PLC0415 -- a dependency that most never load
    except ModuleNotFoundError as error:
        message = f"--parser: haproxy-log-analysis needs the Python package haproxy_log_analysis ({error})"
        raise UsageError(message) from error
    return ReferenceReader(wanted)


def _make_tables(plan: _Plan, buckets: Sequence[str]) -> _Tables:
    traffic = [metric for metric in plan.metrics if set(metric.kinds) & set(_TRAFFIC)]
    errors = [metric for metric in plan.metrics if "error" in metric.kinds]
    notices = [metric for metric in plan.metrics if "notice" in metric.kinds]
    return _Tables(
        Table([label.name for label in plan.labels], Layout(traffic, buckets), "traffic"),
        Table([label.name for label in error_labels()], Layout(errors, ()), "errors"),
        Table(["kind"], Layout(notices, ()), "notices"),
    )


def _stages(plan: _Plan, tables: _Tables, choice: Choice) -> list[Stage]:
    stages: list[Stage] = []
    for each, reader in zip(plan.formats, plan.readers, strict=True):
        table, labels = (tables.errors, error_labels()) if each.kind == "error" else (tables.traffic, plan.labels)
        sources = [LabelReader(label, reader, each.slots) for label in labels]
        wanted = Wanted(frozenset(name for source in sources for name in source.fields), table.layout.fields)
        if not isinstance(reader, CompiledFormat):
            reading: Reader = _library_reader(wanted)
        elif "log_origin" in reader.fields:
            guards = {**each.guards, **earlier_steps(reader.fields)}
            steps = compile_format(each.name, each.kind, each.source, Wanted(frozenset()), guards)
            stages.append(Stage(steps, (), steps=True))
            guards = {**each.guards, **last_step(reader.fields)}
            reading = compile_format(each.name, each.kind, each.source, wanted, guards)
        else:
            reading = compile_format(each.name, each.kind, each.source, wanted, each.guards)
        counted = reading.kind in table.layout.kinds
        stages.append(Stage(reading, (Feed(table, reading, sources, choice.weight),) if counted else ()))
    return stages
