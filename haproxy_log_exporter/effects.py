"""What options come to, for people and as JSON: `check --config`."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from haproxy_log_exporter.given import Given
from haproxy_log_exporter.labels.rules import Action, Rule, show_replacement
from haproxy_log_exporter.metrics.catalogue import PREFIX
from haproxy_log_exporter.planning import ChosenMetric
from haproxy_log_exporter.settings import Settings, knobs


def describe(given: Given, metrics: Sequence[ChosenMetric]) -> dict[str, Any]:
    """Tell what is chosen: options that differ from their defaults, metrics, limits, paths, rules, static labels."""
    choice = given.choice
    return {
        "options": _options(given.settings),
        "metrics": [_metric(each) for each in metrics],
        "limits": {
            "label_values": choice.limits.values,
            "label_values_of": dict(choice.limits.of),
            "series": choice.limits.series,
            "series_idle_seconds": choice.limits.idle or None,
        },
        "paths": {
            "templates": len(choice.paths.templates),
            "ids": choice.paths.ids,
            "depth": choice.paths.depth or None,
        },
        "rules": {each.label: [_rule(rule) for rule in each.rules] for each in choice.rules},
        "static_labels": dict(choice.static),
    }


_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))

# What is told of by itself.
_TOLD = frozenset(
    {"config", "labels", "metrics", "buckets", "own_metrics", "most_values", "most_series", "series_idle"}
    | {"path_templates", "path_template_files", "path_ids", "path_depth"}
)


def _options(settings: Settings) -> dict[str, Any]:
    """List the other options that differ from their defaults."""
    found: dict[str, Any] = {}
    for row in fields(Settings):
        value = getattr(settings, row.name)
        if row.name not in _TOLD and value != row.default:
            found[knobs()[row.name].name] = [*map(str, value)] if isinstance(value, tuple) else _plain(value)
    return found


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int) else str(value)


def _metric(each: ChosenMetric) -> dict[str, Any]:
    metric = each.metric
    labels = [label.name for label in each.labels] + ([metric.label] if metric.label else [])
    labels += ["kind"] if "notice" in metric.kinds else []
    found: dict[str, Any] = {"name": PREFIX + metric.name, "type": metric.type, "labels": labels}
    return found | ({"buckets": [*metric.buckets]} if metric.buckets else {})


def _rule(rule: Rule) -> dict[str, str]:
    match rule.action:
        case Action.REPLACE:
            return {"match": rule.match.pattern, "replace": show_replacement(rule)}
        case _:
            return {"match": rule.match.pattern, "action": rule.action.value}


def describe_lines(found: dict[str, Any]) -> list[str]:
    """Write the same for people."""
    lines = ["metrics"]
    for metric in found["metrics"]:
        labels = ", ".join(metric["labels"]) or "no labels"
        lines.append(f"  {metric['name']} ({metric['type']}) by {labels}")
        lines += [f"    buckets {', '.join(metric['buckets'])}"] if "buckets" in metric else []
    limits, paths = found["limits"], found["paths"]
    of = "".join(f", {most:,} of {label}" for label, most in limits["label_values_of"].items())
    idle = limits["series_idle_seconds"]
    lines += [
        "limits",
        f"  {limits['label_values']:,} values a label{of}; {limits['series']:,} label sets a metric",
        f"  series without traffic are dropped after {_duration(idle)}" if idle else "  series without traffic stay",
        "paths",
        f"  {paths['templates']:,} templates; in others, ids are {'replaced' if paths['ids'] else 'left'}"
        + (f" and {paths['depth']} segments kept" if paths["depth"] else ""),
    ]
    for label, rules in found["rules"].items():
        lines.append(f"rules for {label}, in order")
        lines += [f"  {_rule_line(rule)}" for rule in rules]
    if found["static_labels"]:
        lines.append("static labels")
        lines += [f"  {name}={value}" for name, value in found["static_labels"].items()]
    if found["options"]:
        lines.append("other options")
        lines += [f"  {name}: {_option_text(value)}" for name, value in found["options"].items()]
    return lines


def _duration(seconds: float) -> str:
    unit, count = next((unit, seconds / size) for unit, size in _UNITS if not seconds % size)
    return f"{count:g}{unit}"


def _rule_line(rule: dict[str, str]) -> str:
    if "replace" in rule:
        return f"{rule['match']} becomes {rule['replace'] or 'empty'}"
    if rule["action"] == Action.DROP.value:
        return f"{rule['match']}: the line is left out"
    return f"all lines but those with {rule['match']} are left out"


def _option_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, list) else str(value)
