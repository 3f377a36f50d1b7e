"""From settings to the readers, tables and feeds of a pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.labels.catalogue import Label, error_labels, find_labels
from haproxy_log_exporter.logformat.compiler import Wanted, compile_format, compile_message, format_kind
from haproxy_log_exporter.logformat.presets import NOTICES, PRESETS, Preset, is_preset
from haproxy_log_exporter.logformat.reader import Reader
from haproxy_log_exporter.metrics.catalogue import Metric, find_metrics
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.pending import Feed
from haproxy_log_exporter.metrics.totals import Table
from haproxy_log_exporter.pipeline import NoticeKind, Pipeline, Stage

_TRAFFIC = ("http", "tcp")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be counted, of what lines."""

    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    buckets: tuple[str, ...]
    formats: tuple[str, ...] = ()
    parser: str = "compiled"


def find_formats(names: Sequence[str]) -> list[Preset]:
    """Look up presets by name, or take log-format strings; without any, all presets.

    Raises:
        UsageError: for each name that is no preset and each string that cannot be read.
    """
    if not names:
        return [*PRESETS]
    presets = {preset.name: preset for preset in PRESETS}
    found, problems = [], []
    for position, name in enumerate(names, start=1):
        if name in presets:
            found.append(presets[name])
        elif is_preset(name):
            problems.append(f"--format: no preset is named {name!r}; there are {', '.join(presets)}")
        else:
            try:
                compile_format(str(position), "", name)
                found.append(Preset(str(position), format_kind(name), name))
            except UsageError as error:
                problems += error.messages
    if problems:
        raise UsageError(*problems)
    return found


def find_mistakes(choice: Choice) -> list[str]:
    """Tell every mistake in formats, labels and metrics."""
    try:
        _look_up(choice)
    except UsageError as error:
        return [*error.messages]
    return []


def build_pipeline(choice: Choice) -> Pipeline:
    """Build all parts that a choice needs.

    Raises:
        UsageError: with every mistake in formats, labels and metrics.
    """
    return _assemble(choice, *_look_up(choice))


def _look_up(choice: Choice) -> tuple[tuple[Label, ...], tuple[Metric, ...]]:
    readers = _readers(choice, None, None)
    fields = frozenset[str]().union(*(reader.fields for reader in readers if reader.kind in _TRAFFIC))
    kinds = frozenset(reader.kind for reader in readers)
    problems: list[str] = []
    labels: tuple[Label, ...] = ()
    metrics: tuple[Metric, ...] = ()
    try:
        labels = find_labels(choice.labels, fields)
    except UsageError as error:
        problems += error.messages
    try:
        metrics = find_metrics(choice.metrics, fields, kinds | {"notice"})
    except UsageError as error:
        problems += error.messages
    if problems:
        raise UsageError(*problems)
    return labels, metrics


def compile_all(formats: Sequence[str], parser: str) -> Sequence[Reader]:
    """Compile formats with every field in a column of its own, for `parse`."""
    return _readers(Choice((), (), (), tuple(formats), parser), None, None)


def _readers(choice: Choice, wanted: Wanted | None, wanted_of_errors: Wanted | None) -> Sequence[Reader]:
    if choice.parser == "haproxy-log-analysis":
        if choice.formats not in ((), ("httplog",)):
            message = "--format: the engine haproxy-log-analysis reads httplog alone"
            raise UsageError(message)
        # Imported only when asked for: it is the slower engine, and a dependency that most never load.
        try:
            from haproxy_log_exporter.reference import ReferenceReader  # noqa: PLC0415 -- as said
        except ModuleNotFoundError as error:
            message = f"--parser: haproxy-log-analysis needs the Python package haproxy_log_analysis ({error})"
            raise UsageError(message) from error

        return [ReferenceReader(wanted)]
    return [
        compile_format(preset.name, preset.kind, preset.source, wanted_of_errors if preset.kind == "error" else wanted)
        for preset in find_formats(choice.formats)
    ]


def _assemble(choice: Choice, labels: tuple[Label, ...], metrics: tuple[Metric, ...]) -> Pipeline:
    tables: list[Table] = []
    traffic = Table(
        [label.name for label in labels], Layout([m for m in metrics if set(m.kinds) & set(_TRAFFIC)], choice.buckets)
    )
    errors = Table([label.name for label in error_labels()], Layout([m for m in metrics if "error" in m.kinds], ()))
    notices = Table(["kind"], Layout([m for m in metrics if "notice" in m.kinds], ()))
    tables = [table for table in (traffic, errors, notices) if table.layout.slots]
    wanted = Wanted(frozenset(label.field for label in labels), traffic.layout.fields)
    readers = _readers(choice, wanted, Wanted(frozenset(label.field for label in error_labels())))
    stages = []
    for reader in readers:
        feeds: tuple[Feed, ...] = ()
        if reader.kind in traffic.layout.kinds:
            feeds = (Feed(traffic, reader, labels),)
        elif reader.kind in errors.layout.kinds:
            feeds = (Feed(errors, reader, error_labels()),)
        stages.append(Stage(reader, feeds))
    counted = notices if notices.layout.slots else None
    kinds = [
        NoticeKind(row.kind, compile_message(row.pattern), None if counted is None else counted.position((row.kind,)))
        for row in NOTICES
    ]
    return Pipeline(stages, tables, kinds, counted, reorder=not choice.formats)
