"""`check --suggest-templates`: the templates that fit the paths of logs, to be pasted into a file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from haproxy_log_exporter.choice import Choice, PathChoice
from haproxy_log_exporter.counting import take_files
from haproxy_log_exporter.engine import Assembly
from haproxy_log_exporter.errors import OperationError, UsageError
from haproxy_log_exporter.labels.limits import OTHER, Limits
from haproxy_log_exporter.labels.suggesting import Suggestion, suggest
from haproxy_log_exporter.metrics.totals import Table
from haproxy_log_exporter.output import write_text

# Paths that are looked at; more are counted among the others.
_MOST_PATHS = 200_000

_HUNDRED = 100


def print_templates(choice: Choice, paths: Sequence[str], *, as_json: bool) -> None:
    """Print templates with the share of requests that each takes, those that take most first.

    Paths at which nothing was ever found are left out.

    Raises:
        UsageError: where there is no log, or with every mistake in formats.
        OperationError: naming the files that could not be read, after the others were.
    """
    if not paths:
        message = "--suggest-templates: it takes one or more logs"
        raise UsageError(message)
    paths_alone = replace(
        choice,
        labels=("http_request_path",),
        metrics=("requests_total",),
        own=(),
        paths=PathChoice(choice.paths.templates, ids=False),
        limits=Limits(_MOST_PATHS, (), _MOST_PATHS),
        rules=(),
        static=(),
    )
    try:
        assembly = Assembly(paths_alone)
    except UsageError as error:
        message = "--suggest-templates: no format in use has http_request_path"
        raise UsageError(message) from error
    problems: list[str] = []
    take_files(assembly.pipeline, paths, problems)
    (table,) = assembly.tables
    counts = _count(table)
    found = _find_templates(counts, choice.paths.templates)
    requests = sum(counts.values())
    if as_json:
        rows = [
            {"template": each.template, "requests": each.requests, "share": each.requests / requests} for each in found
        ]
        write_text(json.dumps({"requests": requests, "templates": rows}, ensure_ascii=False))
    else:
        write_text("\n".join(_lines(found, requests, counts.get(OTHER, 0) + counts.get("", 0))))
    if problems:
        raise OperationError("; ".join(problems))


def _find_templates(counts: Mapping[str, int], given: Sequence[str]) -> list[Suggestion]:
    """Find the templates that take most; those that were given stay."""
    found = [Suggestion(template, counts[template]) for template in dict.fromkeys(given) if template in counts]
    known = frozenset(given)
    found += suggest({path: count for path, count in counts.items() if path.startswith("/") and path not in known})
    return sorted(found, key=lambda each: -each.requests)


def _count(table: Table) -> dict[str, int]:
    requests = table.layout.slots[0].metric
    return {values[0]: table.layout.count(requests, total) for values, total, _ in table.kept()}


def _lines(found: Sequence[Suggestion], requests: int, others: int) -> list[str]:
    """Write a file for --path-templates."""
    width = max((len(each.template) for each in found), default=0)
    lines = [f"# {requests:,} requests; {others:,} of them to paths at which nothing was found, or to none"]
    return lines + [
        f"{each.template:<{width}}  # {_HUNDRED * each.requests / requests:.2f}% ({each.requests:,} requests)"
        for each in found
    ]
