r"""Rules that rewrite a label's value or drop the line, as Prometheus's relabelling has them.

A regex must match the whole value, `.` matches all characters, and \d, \w and \s are those of ASCII: so a regex means
what it means to Prometheus, as far as Python and RE2 write it alike. Python's regexes backtrack, which RE2 does not:
what may take more than quadratic time is refused, and what takes quadratic time matches no long value.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from haproxy_log_exporter.labels.backtracking import Cost, TooSlowError, find_cost

# Go's Regexp.Expand: $name takes as many letters, digits and underscores as there are.
_PARTS = re.compile(r"[^$]++|\$(?:(?P<dollar>\$)|(?P<name>[A-Za-z0-9_]++)|\{(?P<braced>[A-Za-z0-9_]++)\}|)")
_NUMBER = re.compile(r"0|[1-9][0-9]*+")

_FLAGS = re.ASCII | re.DOTALL

# A regex of quadratic time takes some ten milliseconds for a hostile value of this length; HAProxy's own lines are no
# longer unless it is told so.
LONGEST_QUADRATIC = 1024

Replacement = tuple[str | int, ...]  # texts, and groups by their number


class Action(Enum):
    """What a rule does."""

    REPLACE = "replace"  # the value, where it matches
    KEEP = "keep"  # the line, only where it matches
    DROP = "drop"  # the line, where it matches


@dataclass(frozen=True, slots=True)
class Regex:
    """A regex, and the longest value that it looks at; None is any."""

    compiled: re.Pattern[str]
    longest: int | None = None

    @property
    def pattern(self) -> str:
        """Its text."""
        return self.compiled.pattern

    def fullmatch(self, value: str) -> re.Match[str] | None:
        """Match the whole value."""
        return None if self.longest is not None and len(value) > self.longest else self.compiled.fullmatch(value)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; the replacement is that of REPLACE alone."""

    match: Regex
    action: Action
    replacement: Replacement = ()

    @property
    def fixed_text(self) -> str:
        """The text that it puts, where that is always the same; else nothing."""
        return "".join(map(str, self.replacement)) if all(isinstance(part, str) for part in self.replacement) else ""


def read_match(text: str) -> Regex:
    """Compile the regex of a rule.

    Raises:
        ValueError: saying what is wrong, and at which position from 0; or why it may take forever.
    """
    reason: object
    try:
        with warnings.catch_warnings():
            # Of [[:digit:]], which RE2 knows, Python warns that it will mean something else one day.
            warnings.simplefilter("error", FutureWarning)
            compiled = re.compile(text, _FLAGS)
            cost = find_cost(text, _FLAGS)
        return Regex(compiled, LONGEST_QUADRATIC if cost is Cost.QUADRATIC else None)
    except TooSlowError as error:
        message = f"the regex {text!r} may take forever: {error}"
        raise ValueError(message) from None
    except RecursionError:
        reason = "it is nested too deeply"
    except FutureWarning as warning:
        reason = f"{str(warning)[:1].lower()}{str(warning)[1:]}; a bracket itself is \\["
    except (re.error, OverflowError, ValueError) as error:
        reason = error
    message = f"the regex {text!r} is broken: {reason}"
    raise ValueError(message)


def read_replacement(text: str, match: Regex) -> Replacement:
    """Read the text that replaces a match: $1, ${1}, $name and ${name} are groups, $0 is all of it and $$ a dollar.

    Raises:
        ValueError: for a $ that is none of these, or asks for a group that the regex has not.
    """
    parts: list[str | int] = []
    for found in _PARTS.finditer(text):
        name = found["name"] or found["braced"]
        if name:
            parts.append(_find_group(name, match))
        elif found[0] == "$":
            message = f"the $ at position {found.start()} of {text!r} names no group; it is $1 or ${{1}}, and $$ a $"
            raise ValueError(message)
        else:
            parts.append("$" if found["dollar"] else found[0])
    return tuple(parts)


def _find_group(name: str, match: Regex) -> int:
    if name in match.compiled.groupindex:
        return match.compiled.groupindex[name]
    if _NUMBER.fullmatch(name) and len(name) <= len(str(match.compiled.groups)) and int(name) <= match.compiled.groups:
        return int(name)
    message = f"the regex {match.pattern!r} has no group {name}"
    number = re.match(r"[0-9]+", name)
    if number and number[0] != name:
        message += f"; ${{{number[0]}}}{name[number.end() :]} is group {number[0]} before {name[number.end() :]!r}"
    raise ValueError(message)


def show_replacement(rule: Rule) -> str:
    """Write a rule's replacement so that it can be read again."""
    parts = (f"${{{part}}}" if isinstance(part, int) else part.replace("$", "$$") for part in rule.replacement)
    return "".join(parts)


def fixed_values(rules: Sequence[Rule]) -> list[str]:
    """List the values that rules put whatever was there before, as the rules behind them leave these."""
    texts = ((place, rule.fixed_text) for place, rule in enumerate(rules, start=1))
    left = (apply_rules(rules[place:], text) for place, text in texts if text)
    return [value for value in left if value]


def apply_rules(rules: Sequence[Rule], value: str) -> str | None:
    """Apply all rules in order, each to what the one before left; None where the line is dropped."""
    for rule in rules:
        found = rule.match.fullmatch(value)
        match rule.action:
            case Action.REPLACE:
                if found:
                    value = "".join(part if isinstance(part, str) else found[part] or "" for part in rule.replacement)
            case Action.KEEP:
                if not found:
                    return None
            case Action.DROP:
                if found:
                    return None
    return value
