"""What a command was given: its options, the environment and files, read together, and again when they change."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from haproxy_log_exporter.choice import Choice, MetricChoice, PathChoice, RulesChoice
from haproxy_log_exporter.config.file import ConfigFile, MetricText, OptionShape, read_config_file
from haproxy_log_exporter.config.places import Text
from haproxy_log_exporter.configuration import ConfigFiles, read_template_files, read_text_file
from haproxy_log_exporter.errors import UsageError, collecting
from haproxy_log_exporter.formats import Format, configured_formats
from haproxy_log_exporter.haproxy_cfg import HAProxyConfig
from haproxy_log_exporter.labels.limits import MOST_VALUES, MOST_VALUES_OF, Limits
from haproxy_log_exporter.optionvalues import read_buckets
from haproxy_log_exporter.planning import find_mistakes
from haproxy_log_exporter.settings import NOTHING_TO_READ, Settings, find_texts, knobs, read_settings
from haproxy_log_exporter.sockets import are_inherited

# Options whose values a later look may find wrong, each by itself: it is told where that stands.
_TOLD_ONE_BY_ONE = ("labels", "metrics", "most_values")


@dataclass(frozen=True, slots=True)
class Given:
    """All that was given.

    `files` are those of haproxy.cfg, `config` is what they say, and `file` what the configuration file says.
    """

    settings: Settings
    choice: Choice
    files: ConfigFiles | None = None
    config: HAProxyConfig | None = None
    file: ConfigFile = field(default_factory=ConfigFile)


@dataclass(frozen=True, slots=True)
class Source:
    """Where options are read from: texts of the command line by their names in Settings, and the environment.

    Of a command that `has_sources`, it is told what they miss.
    """

    texts: Mapping[str, Sequence[str]]
    environment: Mapping[str, str]
    has_sources: bool = False

    def read(self, former: Sequence[Format] = ()) -> Given:
        """Read all options, and the files that they name; labels may be those that `former` formats fill.

        Raises:
            UsageError: with every mistake, wherever it is.
        """
        problems: list[str] = []
        file = self._read_file(problems)
        found = find_texts(self.texts, self.environment, file.options)
        settings, mistakes = read_settings(self.texts, self.environment, file.options)
        problems += mistakes
        files = ConfigFiles(settings.haproxy_config) if settings.haproxy_config else None
        config, templates = None, settings.path_templates
        configured: tuple[Format, ...] = ()
        with collecting(problems):
            templates += read_template_files(found["path_template_files"])
        with collecting(problems):
            if files:
                read = files.read()
                configured, config = configured_formats(read), read
        own = _own_metrics(settings, file, found["own_metrics"], problems)
        choice = Choice(
            labels=settings.labels,
            metrics=self._metrics(settings, file),
            buckets=settings.buckets,
            formats=settings.formats,
            parser=settings.parser,
            configured=configured,
            weight=settings.sample_weight,
            own=own,
            paths=PathChoice(tuple(dict.fromkeys(templates)), settings.path_ids, settings.path_depth),
            limits=_limits(settings),
            rules=tuple(RulesChoice(each.label.text, each.rules, f"{each.label.place}: rules") for each in file.rules),
            static=tuple((each.name.text, each.value.text) for each in file.static_labels),
            routes=config.routes if config else (),
            former=(*former,),
            places=self._places(file),
        )
        if "formats" in self.texts:  # without haproxy.cfg it cannot be told which labels can be filled
            problems += find_mistakes(choice, formats_alone=bool(files and not config))
        if self.has_sources:
            problems += _find_missing_sources(settings, self.environment, say_none=not problems)
        if problems:
            raise UsageError(*dict.fromkeys(problems))
        return Given(settings, choice, files, config, file)

    def _read_file(self, problems: list[str]) -> ConfigFile:
        """Read the configuration file, where there is one."""
        path = find_texts(self.texts, self.environment, {})["config"]
        if not path or not path[-1].text:
            return ConfigFile()
        file = ConfigFile()
        with collecting(problems):
            text = read_text_file(path[-1])
            shapes = {
                knob.name: OptionShape(knob.repeatable, knob.is_switch, knob.is_keyed) for knob in knobs().values()
            }
            file, mistakes = read_config_file(text, path[-1].text, shapes)
            problems += mistakes
        return file

    def _metrics(self, settings: Settings, file: ConfigFile) -> tuple[str, ...]:
        """Name the metrics to keep; the command line comes before the file's mapping, as before its list."""
        if file.metrics is None or settings.metrics:
            return settings.metrics
        return tuple(each.name.text for each in file.metrics)

    def _places(self, file: ConfigFile) -> dict[tuple[str, str], str]:
        """Tell where names stand that may turn out to be wrong."""
        found = find_texts(self.texts, self.environment, file.options)
        places = {
            (knob.name, part.partition("=")[0].strip()): text.place
            for name, knob in knobs().items()
            if name in _TOLD_ONE_BY_ONE
            for text in found[name]
            for part in text.text.split(",")
        }
        for metric in file.metrics or ():
            places["metrics", metric.name.text] = f"{metric.name.place}: metrics"
            places |= {(metric.name.text, label.text): f"{label.place}: labels" for label in metric.labels or ()}
        for label in file.static_labels:
            places["static-labels", label.name.text] = f"{label.name.place}: static-labels"
        return places


def _limits(settings: Settings) -> Limits:
    """Tell what is allowed: of what is given twice, the last one."""
    most = {**dict(MOST_VALUES_OF), **dict(settings.most_values)}
    values = most.pop("", MOST_VALUES)
    return Limits(values, tuple(most.items()), settings.most_series, settings.series_idle)


def _own_metrics(
    settings: Settings, file: ConfigFile, texts: Sequence[Text], problems: list[str]
) -> tuple[MetricChoice, ...]:
    """Find the metrics that have labels or buckets of their own; of what is chosen twice, the option's.

    `texts` are those of the option.
    """
    chosen = {
        metric.name.text: _own_metric(metric, problems)
        for metric in file.metrics or ()
        if not settings.metrics or metric.name.text in settings.metrics
    }
    places = {text.text.partition(":")[0].strip(): text.place for text in reversed(texts)}
    given: dict[str, MetricChoice] = {}
    for each in settings.own_metrics:
        if each.name in given:
            problems.append(f"{places[each.name]}: {each.name} is chosen twice")
        given[each.name] = replace(each, place=places[each.name])
    return tuple((chosen | given).values())


def _own_metric(metric: MetricText, problems: list[str]) -> MetricChoice:
    buckets = None
    for bound in metric.buckets or ():
        try:
            read_buckets(bound.text)
            buckets = read_buckets(",".join((*(buckets or ()), bound.text)))
        except ValueError as error:
            problems.append(f"{bound.place}: buckets: {error}")
    labels = None if metric.labels is None else tuple(dict.fromkeys(label.text for label in metric.labels))
    return MetricChoice(metric.name.text, labels, buckets, f"{metric.name.place}: metrics")


def _find_missing_sources(settings: Settings, environment: Mapping[str, str], *, say_none: bool) -> list[str]:
    """Tell what is missing to read the sources, or, if it is to be said, that there are none."""
    problems = []
    if settings.stdin and sys.stdin is None:  # what is opened first would be taken for it
        problems.append("--stdin: standard input is closed")
    if settings.tls_certificate or settings.journal:
        from haproxy_log_exporter.opening import find_missing  # noqa: PLC0415 -- TLS is slow to load

        problems += find_missing(settings)
    given = settings.files or settings.syslog or settings.journal or settings.stdin or are_inherited(environment)
    return problems if given or problems or not say_none else [NOTHING_TO_READ]
