"""Why a line is read by no format: where it stops to fit, what would have to stand there, and what may be the cause."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from haproxy_log_exporter.formats import Format
from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.elements import Element, find_elements
from haproxy_log_exporter.logformat.envelopes import BEGINNINGS, find_message
from haproxy_log_exporter.logformat.fields import Kind
from haproxy_log_exporter.logformat.patterns import Writer
from haproxy_log_exporter.logformat.presets import PRESETS
from haproxy_log_exporter.logformat.tokens import tokenize
from haproxy_log_exporter.records import Parser

# Common and combined; HAProxy's own has two empty words behind.
_WEB_SERVER = re.compile(rb'(?>\S+:[0-9]+ )?\S+ \S+ \S+ \[[^]]+\] "[^"]*" [0-9]{3} (?:[0-9]+|-)(?! "" ")(?: |$)')
_OPTIONS = {
    "httplog": "option httplog",
    "httpslog": "option httpslog",
    "tcplog": "option tcplog",
    "httplog-clf": "option httplog clf",
    "tcplog-clf": "option tcplog clf",
    "connect": "no log option at all",
    "error": "a connection error",
}

# How many beginnings of a line are tried for where HAProxy's part may begin.
_MOST_BEGINNINGS = 24

# A value that is cut has no more left than this; of a longer rest it is not the length that is wrong.
_LONGEST_BEGINNING = 256
_LONGEST_DATE = 26

# A line that fits so little of a format was hardly written in it.
_FEW_ELEMENTS = 4


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a line stops to fit the format that it fits the furthest: a byte offset, and what is expected there.

    `ends` tells that the line ends within what would be expected.
    """

    format: str
    element: int
    position: int
    expected: str
    ends: bool = False


class Diagnosis:
    """Looks at lines that the formats in use have left."""

    def __init__(self, formats: Sequence[Format], origin: str) -> None:
        """Take the formats in use, and what they come from: an option, or haproxy.cfg."""
        self._formats = [*formats]
        self._origin = origin
        self._probes = [_Probe(each) for each in formats]

    def find_stop(self, line: bytes) -> Stop:
        """Find the format that the line fits the furthest, and where it stops to do so."""
        starts = {match.end() for match in (pattern.match(line) for pattern in BEGINNINGS) if match}
        stops = (probe.find_stop(line, start) for start in sorted(starts) for probe in self._probes)
        return max(stops, key=lambda stop: (stop.element, stop.position))

    def find_cause(self, line: bytes, stop: Stop) -> str:
        """Say what to change, where a known cause fits; nothing otherwise."""
        record = self._presets.parse(line)
        if record.kind not in ("rejected", "notice") and not record.truncated:
            return f"this looks like {_OPTIONS[record.format]}; {self._asked()}"
        if _is_json(line):
            return "this is JSON: give the log-format that writes it with --format, or --haproxy-config"
        if found := self._behind_a_header(line):
            return found
        if _WEB_SERVER.match(line, find_message(line)):
            return "this looks like a web server's own access log, not HAProxy's"
        if stop.ends and stop.element > _FEW_ELEMENTS:
            return "the line ends here: it was cut; give HAProxy's log line a larger len, as in len 8192"
        return ""

    @cached_property
    def _presets(self) -> Parser:
        return Parser([compile_format(preset.name, preset.kind, preset.source) for preset in PRESETS])

    @cached_property
    def _in_use(self) -> Parser:
        return Parser([compile_format(each.name, each.kind, each.source) for each in self._formats])

    def _asked(self) -> str:
        names = ", ".join(each.name if not each.name.isdigit() else "a log-format" for each in self._formats)
        return f"{self._origin} has only {names}"

    def _behind_a_header(self, line: bytes) -> str:
        """Look for a line that could be read if it were not for what stands before it."""
        position = 0
        for _ in range(_MOST_BEGINNINGS):
            position = line.find(b" ", position) + 1
            if not position:
                break
            record = self._in_use.parse(line[position:])
            if record.kind not in ("rejected", "notice") and not record.truncated:
                header = line[:position].decode("utf-8", "backslashreplace")
                return (
                    f"the rest reads as {record.format} but for what is before it, which is no known header: {header!r}"
                )
        return ""


class _Probe:
    """Tells how far lines fit one format."""

    def __init__(self, each: Format) -> None:
        self._format = each

    @cached_property
    def _elements(self) -> list[Element]:
        return find_elements(self._format.source, tokenize(self._format.source))

    @cached_property
    def _patterns(self) -> list[re.Pattern[bytes]]:
        pieces = Writer(self._elements, frozenset(), {}).pieces()
        return [re.compile(piece.encode("latin-1")) for piece in [*pieces, "\n"]]

    def find_stop(self, line: bytes, begin: int) -> Stop:
        ended, position = line + b"\n", begin
        for index, pattern in enumerate(self._patterns):
            match = pattern.match(ended, position)
            if not match:
                return Stop(
                    self._format.name, index, position, self._expected(index), self._ends(index, line[position:])
                )
            position = match.end()
        return Stop(self._format.name, len(self._patterns), position, "nothing else")

    def _ends(self, index: int, rest: bytes) -> bool:
        """Whether the rest of a line may be the beginning of an element."""
        if index == len(self._elements):
            return False
        element = self._elements[index]
        if not element.value:
            return element.literal.encode("latin-1").startswith(rest)
        if element.value.alias.kind in (Kind.DATE, Kind.STATE):
            return len(rest) < _LONGEST_DATE
        return len(rest) < _LONGEST_BEGINNING and (not element.value.stop or element.value.stop not in rest)

    def _expected(self, index: int) -> str:
        if index == len(self._elements):
            return "the end of the line"
        element = self._elements[index]
        if not element.value:
            return repr(element.literal.encode("latin-1").decode("utf-8", "replace"))
        return f"{element.value.item.written} ({', '.join(element.fields) or 'a value'})"


def _is_json(line: bytes) -> bool:
    brace = line.find(b"{")
    if brace < 0 or not line.rstrip().endswith(b"}"):
        return False
    try:
        return isinstance(json.loads(line[brace:].decode("utf-8", "replace"), strict=False), dict)
    except (ValueError, RecursionError):
        return False
