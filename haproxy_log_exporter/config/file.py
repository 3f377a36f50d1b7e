"""The configuration file: a text in YAML to options as texts, and to what a command line cannot hold well.

Nothing is raised for what a user wrote: what can be read is given, with every mistake in the order of the file. Whether
values, labels and metrics are what they must be is not looked at here, but each text keeps its place for who does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from haproxy_log_exporter.config.places import Mistakes, Text, name_kind
from haproxy_log_exporter.config.rules import read_rules
from haproxy_log_exporter.config.yamltext import Kind, MappingNode, Node, ScalarNode, SequenceNode, read_yaml
from haproxy_log_exporter.labels.rules import Rule

_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
# Labels that metrics have of their own, and those of Prometheus's types.
_TAKEN = ("le", "phase", "kind", "reason", "quantile")

_OF_A_METRIC = ("labels", "buckets")
_METRIC_FORM = "{labels: [backend_name], buckets: [0.1, 1]}"


@dataclass(frozen=True, slots=True)
class OptionShape:
    """How an option may be written; a keyed one is KEY=VALUE on the command line and may be a mapping here."""

    repeatable: bool = False
    is_switch: bool = False
    is_keyed: bool = False


@dataclass(frozen=True, slots=True)
class MetricText:
    """A metric with labels and buckets of its own; None where the file says nothing of them."""

    name: Text
    labels: tuple[Text, ...] | None = None
    buckets: tuple[Text, ...] | None = None


@dataclass(frozen=True, slots=True)
class LabelRules:
    """The rules of a label, in order."""

    label: Text
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class StaticLabel:
    """A label that all series have, with the same value."""

    name: Text
    value: Text


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file; `metrics` is None where it has none, or only their names, as the option has them."""

    options: Mapping[str, tuple[Text, ...]] = field(default_factory=dict)
    metrics: tuple[MetricText, ...] | None = None
    rules: tuple[LabelRules, ...] = ()
    static_labels: tuple[StaticLabel, ...] = ()


def read_config_file(text: str, path: str, options: Mapping[str, OptionShape]) -> tuple[ConfigFile, list[str]]:
    """Read a file's text; `options` are all there are, by their names without dashes in front.

    A switch is read as "true" or "false", an entry of a mapping as KEY=VALUE. A mistake is PATH:LINE:COLUMN: PROBLEM.
    """
    tree, found = read_yaml(text)
    mistakes = Mistakes(path, found)
    config = _Reader(mistakes, options).read(tree)
    return config, mistakes.messages()


class _Reader:
    """Reads the parts of a file."""

    def __init__(self, mistakes: Mistakes, options: Mapping[str, OptionShape]) -> None:
        self._mistakes = mistakes
        self._shapes = options

    def read(self, tree: Node) -> ConfigFile:
        """File = *( option / "metrics" / "rules" / "static-labels" )."""
        if not isinstance(tree, MappingNode):
            form = "options by name, such as labels: [status_code]"
            self._mistakes.tell(tree, f"a configuration file is a mapping, not a {name_kind(tree)}: {form}")
            return ConfigFile()
        options: dict[str, tuple[Text, ...]] = {}
        metrics: tuple[MetricText, ...] | None = None
        rules: tuple[LabelRules, ...] = ()
        static_labels: tuple[StaticLabel, ...] = ()
        for key, value in tree.entries:
            if not self._is_known(key) or not self._mistakes.has_value(key, value):
                continue
            match key.text:
                case "rules":
                    rules = self._rules(value)
                case "static-labels":
                    static_labels = self._static_labels(value)
                case "metrics" if _has_own(value):
                    metrics = self._metrics(value)
                case name:
                    if texts := self._option(name, value):
                        options[name] = texts
        return ConfigFile(options, metrics, rules, static_labels)

    def _is_known(self, key: ScalarNode) -> bool:
        if key.text == "config":
            self._mistakes.tell(key, "'config' names this file; it is an option of the command line alone")
            return False
        known = {*self._shapes, "metrics", "rules", "static-labels"} - {"config"}
        if key.text not in known:
            self._mistakes.tell_unknown(key, known, "there is no option")
            return False
        return True

    def _option(self, name: str, value: Node) -> tuple[Text, ...]:
        """Option = scalar / list of scalars where it is repeatable / mapping of scalars where it is keyed."""
        shape = self._shapes.get(name, OptionShape(repeatable=True))
        if shape.is_switch:
            text = self._switch(name, value)
        elif shape.is_keyed and isinstance(value, MappingNode):
            return self._keyed(name, value)
        elif shape.repeatable or shape.is_keyed:
            return self._mistakes.texts(value, repr(name))
        else:
            text = self._mistakes.text(value, repr(name))
        return () if text is None else (text,)

    def _switch(self, name: str, value: Node) -> Text | None:
        if isinstance(value, ScalarNode) and value.kind is Kind.BOOLEAN:
            return Text("true" if value.is_true else "false", self._mistakes.place(value))
        shown = f"{value.text!r}" if isinstance(value, ScalarNode) else f"a {name_kind(value)}"
        quotes = " in quotes" if shown.lower() in ("'true'", "'false'") else ""
        self._mistakes.tell(value, f"{name!r} is true or false, not {shown}{quotes}")
        return None

    def _keyed(self, name: str, mapping: MappingNode) -> tuple[Text, ...]:
        texts = []
        for key, value in mapping.entries:
            if self._mistakes.has_value(key, value) and (
                text := self._mistakes.text(value, f"{key.text!r} of {name!r}")
            ):
                texts.append(Text(f"{key.text}={text.text}", self._mistakes.place(key)))
        return tuple(texts)

    # --- Metrics ------------------------------------------------------------------------------------------------------

    def _metrics(self, node: Node) -> tuple[MetricText, ...]:
        """Metrics = mapping of metric / list of ( name / mapping of one metric )."""
        metrics: dict[str, MetricText] = {}
        for key, value in self._metric_entries(node):
            metric = self._metric(key, value)
            if key.text in metrics:
                self._mistakes.tell(key, f"the metric {key.text!r} is here a second time")
            elif metric:
                metrics[key.text] = metric
        return tuple(metrics.values())

    def _metric_entries(self, node: Node) -> list[tuple[ScalarNode, Node | None]]:
        entries: list[tuple[ScalarNode, Node | None]] = []
        for item in node.items if isinstance(node, SequenceNode) else (node,):
            if isinstance(item, ScalarNode):
                entries.append((item, None))
            elif isinstance(item, MappingNode) and (item is node or len(item.entries) == 1):
                entries += item.entries
            else:
                form = f"an item of 'metrics' is a name, or one metric as in response_duration_seconds: {_METRIC_FORM}"
                self._mistakes.tell(item, form)
        return entries

    def _metric(self, key: ScalarNode, value: Node | None) -> MetricText | None:
        """Metric = name [ *( "labels" texts / "buckets" texts ) ]."""
        name = self._mistakes.text(key, "a metric's name")
        if name is None:
            return None
        own: dict[str, tuple[Text, ...]] = {}
        match value:
            case None | ScalarNode(kind=Kind.NULL):
                pass
            case MappingNode(entries=entries):
                for part, texts in entries:
                    if part.text not in _OF_A_METRIC:
                        self._mistakes.tell_unknown(part, _OF_A_METRIC, "a metric has no")
                    elif _is_none(part, texts):
                        own["labels"] = ()
                    elif self._mistakes.has_value(part, texts, "; [] is none" if part.text == "labels" else ""):
                        own[part.text] = self._divided(texts, repr(part.text))
            case _:
                form = f"a metric has nothing, or {_METRIC_FORM}, not a {name_kind(value)}"
                self._mistakes.tell(value, form)
        return MetricText(name, own.get("labels"), own.get("buckets"))

    def _divided(self, node: Node, owner: str) -> tuple[Text, ...]:
        """Read texts, each divided at its commas, as on the command line."""
        divided = []
        for text in self._mistakes.texts(node, owner):
            divided += [Text(part.strip(), text.place) for part in text.text.split(",")]
        return tuple(divided)

    # --- Rules and static labels --------------------------------------------------------------------------------------

    def _rules(self, node: Node) -> tuple[LabelRules, ...]:
        """Rules = mapping of label to list of rules."""
        if not isinstance(node, MappingNode):
            form = "http_request_path: [{match: REGEX, replace: TEXT}]"
            self._mistakes.tell(
                node, f"'rules' are a mapping of labels to their rules, not a {name_kind(node)}: {form}"
            )
            return ()
        found = []
        for key, value in node.entries:
            label = self._mistakes.text(key, "a label's name")
            if self._mistakes.has_value(key, value) and (rules := read_rules(value, self._mistakes)) and label:
                found.append(LabelRules(label, rules))
        return tuple(found)

    def _static_labels(self, node: Node) -> tuple[StaticLabel, ...]:
        """Static labels = mapping of label to text."""
        if not isinstance(node, MappingNode):
            form = "{site: berlin}"
            self._mistakes.tell(node, f"'static-labels' are a mapping, not a {name_kind(node)}: {form}")
            return ()
        found = []
        for key, value in node.entries:
            if not _LABEL_NAME.fullmatch(key.text):
                self._mistakes.tell(
                    key, f"{key.text!r} is no name for a label; it is like site_2, and does not begin with __"
                )
            elif key.text in _TAKEN:
                self._mistakes.tell(key, f"the label {key.text!r} is taken; metrics have it of their own")
            elif self._mistakes.has_value(key, value) and (text := self._mistakes.text(value, repr(key.text))):
                if text.text:
                    found.append(StaticLabel(Text(key.text, self._mistakes.place(key)), text))
                else:
                    self._mistakes.tell(value, f"{key.text!r} is empty; to Prometheus that is no label at all")
        return tuple(found)


def _has_own(metrics: Node) -> bool:
    """Whether any metric is written as a mapping; else they are names, as the option has them."""
    items = metrics.items if isinstance(metrics, SequenceNode) else (metrics,)
    return any(isinstance(item, MappingNode) for item in items)


def _is_none(key: ScalarNode, value: Node) -> bool:
    """Whether a metric says that it has no labels."""
    if key.text != "labels":
        return False
    match value:
        case SequenceNode(items=()) | ScalarNode(text="", kind=Kind.TEXT):
            return True
        case _:
            return False
