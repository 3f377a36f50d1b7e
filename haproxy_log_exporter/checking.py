"""`check`: whether options, formats and haproxy.cfg are right, and how much of a log they read."""

import json
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from haproxy_log_exporter.counting import take_files
from haproxy_log_exporter.diagnosis import Diagnosis, Stop
from haproxy_log_exporter.effects import describe, describe_lines
from haproxy_log_exporter.engine import Assembly
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.formats import proxy_formats
from haproxy_log_exporter.given import Given
from haproxy_log_exporter.haproxy_cfg import Proxy
from haproxy_log_exporter.messages import printable
from haproxy_log_exporter.metrics.shown import Shown, Tally
from haproxy_log_exporter.output import write_text
from haproxy_log_exporter.pipeline import LONGEST_REJECT
from haproxy_log_exporter.planning import fillable
from haproxy_log_exporter.sources.framing import LONGEST_LINE

# Rejected lines that are looked at closely, a hundred thousand a second or so; more are only counted.
MOST_DIAGNOSED = 100_000
_MOST_GROUPS = 10

# Of a group, so many lines are looked at for their cause, and so many with different causes are shown.
_MOST_EXAMINED = 100
_MOST_EXAMPLES = 3
_HUNDRED = 100
_LONGEST_CHARACTER = 4


@dataclass(slots=True)
class Group:
    """Rejected lines that stop at the same place of the same format: how many, and one for each cause."""

    count: int = 0
    examples: dict[str, tuple[bytes, Stop]] = field(default_factory=dict)


@dataclass(slots=True)
class Rejects:
    """Rejected lines, grouped by where they stop."""

    diagnosis: Diagnosis
    groups: dict[tuple[str, int], Group] = field(default_factory=dict)
    unseen: int = 0
    seen: int = 0

    def add(self, chunk: bytes, times: int) -> None:
        """Take rejected lines, each ending in a newline and standing for so many."""
        for line in chunk.split(b"\n")[:-1]:
            if self.seen >= MOST_DIAGNOSED:
                self.unseen += times
                continue
            self.seen += 1
            stop = self.diagnosis.find_stop(line)
            group = self.groups.setdefault((stop.format, stop.element), Group())
            group.count += times
            if group.count <= _MOST_EXAMINED and len(group.examples) < _MOST_EXAMPLES:
                group.examples.setdefault(self.diagnosis.find_cause(line, stop), (line, stop))


def check(given: Given, paths: Sequence[str], *, as_json: bool) -> None:
    """Print what options mean, what each frontend writes and what its labels are, and how much of the logs is read.

    Raises:
        UsageError: with every mistake in formats, labels, metrics and rules.
        OperationError: naming the files that could not be read, after the others were.
    """
    choice, config = given.choice, given.config
    assembly = Assembly(choice)
    found: dict[str, Any] = {}
    lines: list[str] = []
    if given.settings.config:
        found["config"] = describe(given, assembly.metrics)
        lines += [f"{printable(os.fsencode(given.settings.config))} is right", *describe_lines(found["config"]), ""]
    if config:
        found["proxies"] = [_proxy(proxy) for proxy in config.proxies]
        lines += [*_proxy_lines(found["proxies"]), _certain_line(assembly), ""]
    problems: list[str] = []
    if paths:
        rejects = Rejects(
            Diagnosis(assembly.formats, "haproxy.cfg" if choice.configured and not choice.formats else "--format")
        )
        take_files(assembly.pipeline, paths, problems, rejects.add)
        found |= _summary(assembly.pipeline.shown())
        lines += _summary_lines(found) + _reject_lines(rejects, found["rejected"])
    elif not config:
        found["formats"] = [each.name for each in assembly.formats]
        found["labels"] = fillable(assembly.formats).labels()
        lines += ["formats: " + ", ".join(found["formats"]), "labels: " + ", ".join(found["labels"])]
    write_text(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(lines))
    if problems:
        raise OperationError("; ".join(problems))


def _proxy(proxy: Proxy) -> dict[str, Any]:
    formats = proxy_formats(proxy)
    return {
        "name": proxy.name,
        "section": proxy.section,
        "formats": [each.preset or each.source for each in proxy.formats],
        "labels": fillable([each for each in formats if each.kind in ("http", "tcp")]).labels(),
    }


def _certain_line(assembly: Assembly) -> str:
    """Tell which series there are before the first line."""
    assembly.declare()
    listed = ", ".join(f"{count:,} of {name}" for name, count in assembly.certain.items())
    of = "frontend_name, backend_name, server_name, status_class"
    return f"series at 0 from the start: {listed or f'none, for that takes labels which are all among {of}'}"


def _proxy_lines(proxies: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for proxy in proxies:
        lines += [f"{proxy['section']} {proxy['name']}"]
        lines += [f"  writes {each}" for each in proxy["formats"]]
        lines += [f"  labels {', '.join(proxy['labels']) or 'none'}", ""]
    return lines


def _summary(shown: Shown) -> dict[str, Any]:
    total = Tally()
    for tally in shown.tallies.values():
        for name in ("counted", "notices", "filtered", "rejected", "truncated"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
    return {
        "lines": total.lines,
        "parsed": total.counted,
        "formats": dict(shown.parsed.most_common()),
        "rejected": total.rejected,
        "notices": total.notices,
        "truncated": total.truncated,
    }


def _summary_lines(found: dict[str, Any]) -> list[str]:
    lines = found["lines"]
    rows = [("lines", lines), ("parsed", found["parsed"])]
    rows += [(f"  {name}", count) for name, count in found["formats"].items()]
    rows += [(name, found[name]) for name in ("truncated", "notices", "rejected")]
    filtered = lines - found["parsed"] - found["notices"] - found["rejected"]
    rows += [("filtered", filtered)] if filtered else []
    return [f"{name:<20}{count:>12}  {_share(count, lines)}" for name, count in rows]


def _share(count: int, lines: int) -> str:
    return f"{_HUNDRED * count / lines:6.2f}%" if lines else ""


def _reject_lines(rejects: Rejects, rejected: int) -> list[str]:
    """Show each group of rejected lines by an example for each cause, with a caret under where it stops."""
    lines: list[str] = []
    groups = sorted(rejects.groups.values(), key=lambda group: -group.count)
    for group in groups[:_MOST_GROUPS]:
        expected = next(stop for _, stop in group.examples.values())
        lines += ["", f"{group.count} rejected: as {expected.format}, expected {expected.expected}"]
        for cause, (line, stop) in group.examples.items():
            start = _character(line, max(0, stop.position - LONGEST_REJECT // 2))
            place = _character(line, stop.position)
            text = printable(line[start : _character(line, start + LONGEST_REJECT)])
            indent = _width(printable(line[start:place]))
            lines += [f"    {text}", f"    {' ' * indent}^ byte {stop.position}", *([f"    {cause}"] if cause else [])]
    if len(groups) > _MOST_GROUPS:
        more = sum(group.count for group in groups[_MOST_GROUPS:])
        lines += ["", f"{more} more in {len(groups) - _MOST_GROUPS} smaller groups"]
    overlong = rejected - rejects.unseen - sum(group.count for group in groups)
    if overlong:
        lines += ["", f"{overlong} more were longer than {LONGEST_LINE} bytes, and not kept"]
    if rejects.unseen:
        lines += ["", f"{rejects.unseen} more were rejected and not looked at"]
    return lines


def _character(line: bytes, position: int) -> int:
    """Find the beginning of the character that a byte belongs to, in UTF-8."""
    start = position
    while position - start < _LONGEST_CHARACTER and 0 < start < len(line) and line[start] & 0xC0 == 0x80:  # noqa: PLR2004 -- a byte within
        start -= 1
    return start


def _width(text: str) -> int:
    """Count the columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "FW" else 1 for char in text
    )
