"""What a choice comes to: formats with a first reading of each, metrics with their labels, and rules; every mistake."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from haproxy_log_exporter.choice import Choice, MetricChoice
from haproxy_log_exporter.errors import UsageError, collecting
from haproxy_log_exporter.formats import Format, find_formats
from haproxy_log_exporter.labels.catalogue import Fillable, Label, error_labels, find_labels, is_ever_a_label
from haproxy_log_exporter.labels.rules import Rule
from haproxy_log_exporter.logformat.compiler import Wanted, compile_format
from haproxy_log_exporter.logformat.reader import Reader
from haproxy_log_exporter.metrics.catalogue import METRICS, TRAFFIC, Metric, find_metrics


@dataclass(frozen=True, slots=True)
class ChosenMetric:
    """A metric with its buckets, and its labels."""

    metric: Metric
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a choice comes to; `rules` are those of each label that has some."""

    formats: Sequence[Format]
    readers: Sequence[Reader]
    metrics: tuple[ChosenMetric, ...]
    rules: tuple[tuple[Label, tuple[Rule, ...]], ...] = ()

    @property
    def labels(self) -> dict[str, Label]:
        """The labels of all metrics of traffic, by name."""
        return {label.name: label for each in self.metrics if each.metric.is_of_traffic for label in each.labels}


def make_plan(choice: Choice) -> Plan:
    """Look up all that is chosen.

    Raises:
        UsageError: with every mistake in formats, labels, metrics and rules.
    """
    formats = read_formats(choice)
    readers = first_readers(formats, choice)
    known = [*readers, *first_readers(choice.former, choice)] if choice.former else readers
    there = find_fillable([*formats, *choice.former], [reader for reader in known if reader.kind in TRAFFIC])
    mistakes: list[str] = []
    labels: tuple[Label, ...] = ()
    with collecting(mistakes):
        labels = find_labels(choice.labels, there, lambda name: choice.place("labels", name))
    metrics = []
    own = {each.name: each for each in choice.own}
    for metric in _find_metrics(choice, there, {reader.kind for reader in readers}, mistakes):
        chosen = own.get(metric.name, MetricChoice(metric.name))
        its = labels
        if not metric.is_of_traffic:
            its = error_labels() if "error" in metric.kinds else ()
        elif chosen.labels is not None:
            with collecting(mistakes):
                its = find_labels(chosen.labels, there, _of(choice, chosen)) if chosen.labels else ()
        metrics.append(ChosenMetric(_with_buckets(metric, chosen, choice, mistakes), its))
    there_are = {each.metric.name for each in metrics}
    for chosen in choice.own:
        if chosen.labels and chosen.name not in there_are:  # which is told already, and may be mended
            with collecting(mistakes):
                find_labels(chosen.labels, there, _of(choice, chosen))
    rules = []
    for ruled in choice.rules:
        with collecting(mistakes):
            (label,) = find_labels([ruled.label], there, _at(ruled.place))
            rules.append((label, ruled.rules))
    mistakes += _find_clashes(choice, metrics)
    # What formats of HAProxy's own fill may be limited in any case: other options decide whether a metric has it.
    if limited := [name for name, _ in choice.limits.of if not is_ever_a_label(name)]:
        with collecting(mistakes):
            find_labels(limited, there, lambda name: choice.place("max-label-values", name))
    if mistakes:
        raise UsageError(*dict.fromkeys(mistakes))
    return Plan(formats, readers, tuple(metrics), tuple(rules))


def find_mistakes(choice: Choice, *, formats_alone: bool = False) -> list[str]:
    """Tell every mistake in a choice, or in its formats alone."""
    mistakes: list[str] = []
    with collecting(mistakes):
        if formats_alone:
            read_formats(choice)
        else:
            make_plan(choice)
    return mistakes


def _of(choice: Choice, chosen: MetricChoice) -> Callable[[str], str]:
    return lambda label: choice.places.get((chosen.name, label), chosen.place)


def _at(place: str) -> Callable[[str], str]:
    return lambda _: place


def _find_metrics(choice: Choice, there: Fillable, kinds: AbstractSet[str], mistakes: list[str]) -> list[Metric]:
    """Look up the metrics that are named, or the default ones, and those chosen with labels or buckets of their own."""
    fields, kinds = frozenset(there.fields), frozenset(kinds) | {"notice"}
    if choice.configured and not choice.metrics:  # what haproxy.cfg does not have yet, it may have later
        kinds, fields = kinds | {*TRAFFIC}, fields | {"time_response"}
    found: set[str] = set()
    with collecting(mistakes):
        named = find_metrics(choice.metrics, fields, kinds, lambda name: choice.place("metrics", name))
        found |= {metric.name for metric in named}
    for each in choice.own:
        with collecting(mistakes):
            found |= {metric.name for metric in find_metrics([each.name], fields, kinds, _at(each.place))}
    return [metric for metric in METRICS if metric.name in found]


def _with_buckets(metric: Metric, chosen: MetricChoice, choice: Choice, mistakes: list[str]) -> Metric:
    """Give a metric its buckets; tell of labels and buckets that it cannot have."""
    if chosen.labels is not None and not metric.is_of_traffic:
        mistakes.append(f"{chosen.place}: {metric.name} has labels of its own, and no others")
    if metric.type != "histogram":
        if chosen.buckets is not None:
            mistakes.append(f"{chosen.place}: {metric.name} is a {metric.type}, and has no buckets")
        return metric
    if metric.per_unit == 1 and chosen.buckets is None:  # buckets in seconds are not for lengths
        return metric
    return replace(metric, buckets=chosen.buckets or choice.buckets)


def _find_clashes(choice: Choice, metrics: Sequence[ChosenMetric]) -> list[str]:
    """Tell where static labels have the names of others."""
    taken = {label.name: each.metric.name for each in metrics for label in each.labels}
    return [
        f"{choice.place('static-labels', name)}: {name} is a label of {taken[name]} already"
        for name, _ in choice.static
        if name in taken
    ]


def find_fillable(formats: Sequence[Format], readers: Sequence[Reader]) -> Fillable:
    """Tell which labels formats can fill, by their readers."""
    return Fillable(
        frozenset[str]().union(*(reader.fields for reader in readers)),
        {name: field for reader in readers for name, field in reader.names.items()},
        {header for each in formats for header in each.slots.headers()},
    )


def fillable(formats: Sequence[Format]) -> Fillable:
    """Tell which labels formats can fill."""
    return find_fillable(formats, [compile_format(each.name, each.kind, each.source) for each in formats])


def read_formats(choice: Choice) -> Sequence[Format]:
    """Tell which formats are to be tried.

    Raises:
        UsageError: with every mistake in them.
    """
    if choice.parser == "haproxy-log-analysis":
        if choice.formats not in ((), ("httplog",)):
            message = "--format: the engine haproxy-log-analysis reads httplog alone"
            raise UsageError(message)
        return find_formats(("httplog",), ())
    return find_formats(choice.formats, choice.configured, choice.numbering)


def first_readers(formats: Sequence[Format], choice: Choice) -> Sequence[Reader]:
    """Compile formats with every field in a column of its own."""
    if choice.parser == "haproxy-log-analysis":
        return [library_reader(None)]
    return [compile_format(each.name, each.kind, each.source, None, each.guards) for each in formats]


def compile_all(choice: Choice) -> Sequence[Reader]:
    """Compile formats with every field in a column of its own, for single lines."""
    return first_readers(read_formats(choice), choice)


def library_reader(wanted: Wanted | None) -> Reader:
    """Make the reader that the haproxy_log_analysis library is behind.

    Raises:
        UsageError: where that is not installed.
    """
    try:
        from haproxy_log_exporter.reference import ReferenceReader  # noqa: PLC0415 -- a dependency that most never load
    except ModuleNotFoundError as error:
        message = f"--parser: haproxy-log-analysis needs the Python package haproxy_log_analysis ({error})"
        raise UsageError(message) from error
    return ReferenceReader(wanted)
