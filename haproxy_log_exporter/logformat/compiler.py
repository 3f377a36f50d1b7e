r"""From the items of a log-format and the fields that are wanted to one regular expression for whole chunks.

Strategy: the expression either matches a whole line of the format, or takes the whole line as what is left:

    (?:ENVELOPE BODY \n | ( LINE \n ))

so `pattern.split(chunk)` walks over each line exactly once, whatever is in it, and gives the wanted fields and the
lines of other formats as columns. BODY is the items in their order; only what is wanted is captured, the rest is
checked. Timers that stand side by side and are wanted as numbers share one group: fewer pieces are faster, and the
table that turns them into sums splits them once for each distinct text.

A line cut by HAProxy's `log … len` is read by a second expression, tried on what nothing else took: up to the last
value that a count needs it asks for everything, from there on for any beginning of the rest.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from operator import not_

from haproxy_log_exporter.logformat.envelopes import ENVELOPE
from haproxy_log_exporter.logformat.fields import ALIASES, CLASSES, FRAGMENTS, FREE_TEXT, NUMBERS, Alias, Kind, Part
from haproxy_log_exporter.logformat.reader import Column, Rows
from haproxy_log_exporter.logformat.tokens import Item, complain, tokenize

_QUOTE = r'\\?+"'  # syslog-ng may write a quote as \"
_PLACEHOLDER = re.compile("|".join(map(re.escape, sorted(CLASSES, key=len, reverse=True))))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a format is compiled for: fields that become labels, and fields that are added up or observed."""

    labels: frozenset[str]
    numbers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CompiledFormat:
    """A log-format ready to read chunks: a Reader."""

    name: str
    kind: str
    fields: frozenset[str]
    groups: tuple[tuple[str, ...], ...]
    splitters: dict[tuple[str, ...], re.Pattern[bytes]]
    whole_source: str
    cut_source: str

    @cached_property
    def whole(self) -> re.Pattern[bytes]:
        """The expression for whole lines; compiled when it is first used, for not all formats are."""
        return _compile(self.whole_source)

    @cached_property
    def cut(self) -> re.Pattern[bytes]:
        """The expression for lines that were cut before their end."""
        return _compile(self.cut_source)

    def read(self, chunk: bytes) -> Rows:
        """Read a chunk of whole lines, each ending in a newline."""
        return _read(self.whole, chunk)

    def read_cut(self, chunk: bytes) -> Rows:
        """Read the lines that were cut before their end."""
        return _read(self.cut, chunk)


def _read(pattern: re.Pattern[bytes], chunk: bytes) -> Rows:
    """Split a chunk into columns; of k groups the last is the line that did not match."""
    pieces = pattern.split(chunk)
    step = pattern.groups + 1
    columns: list[Column] = [pieces[group::step] for group in range(1, step - 1)]
    left = pieces[step - 1 :: step]
    rest = b"".join(filter(None, left))
    if rest:
        matched = [*map(not_, left)]
        columns = [[*compress(column, matched)] for column in columns]
        return Rows(sum(matched), columns, rest)
    return Rows(len(left), columns, b"")


@dataclass(frozen=True, slots=True)
class _Element:
    """Literal text, or an alias with the bytes that end it."""

    literal: str = ""
    alias: Alias | None = None
    stops: bytes = b""


def compile_format(name: str, kind: str, source: str, wanted: Wanted | None = None) -> CompiledFormat:
    """Compile a log-format string.

    `wanted` holds what is captured: by default every field, each in a column of its own.

    Raises:
        UsageError: with a caret under the item that cannot be read.
    """
    elements = [*_elements(source, tokenize(source))]
    if not any(element.alias for element in elements):
        complain(source, 0, "there is no value in it, so every line would be the same")
    available = frozenset(field for element in elements if element.alias for field in element.alias.fields)
    want = wanted or Wanted(available)
    runs = _runs(elements, want.numbers - want.labels)
    alone = want.labels | want.numbers.difference(*runs.values())
    writer = _Writer(alone, runs)
    body = writer.whole(elements)
    cut = _Writer(alone, runs)
    cut_body = cut.cut(elements, _needed(elements, want.numbers))
    return CompiledFormat(
        name=name,
        kind=kind,
        fields=available,
        groups=tuple(writer.groups),
        splitters={fields: _splitter(elements, run, fields) for run, fields in runs.items()},
        whole_source=f"(?:{ENVELOPE}{body}\n|(.*+\n))",
        cut_source=f"(?>{ENVELOPE}{cut_body}\n|(.*+\n))",
    )


def compile_message(pattern: str) -> re.Pattern[bytes]:
    """Compile a fixed message of HAProxy's, behind any envelope, for whole lines."""
    return _compile(f"(?>{ENVELOPE}{_fill(pattern, b'')}\n|(.*+\n))")


def format_kind(source: str) -> str:
    """Tell whether a log-format writes HTTP requests or TCP sessions, from the aliases that it uses."""
    http = {"ST", "r", "HM", "HV", "TR", "Tr", "tr", "Ta", "tsc", "hr", "hs"}
    return "http" if any(item.name in http for item in tokenize(source)) else "tcp"


def _compile(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode("latin-1"))


def _elements(source: str, items: list[Item]) -> Iterator[_Element]:
    """Resolve items to aliases, and give each the byte that ends it: its closing quote or what follows."""
    literal = ""
    for index, item in enumerate(items):
        if not item.name:
            literal += item.text
            continue
        alias = ALIASES.get(item.name)
        if alias is None:
            known = ", ".join(f"%{name}" for name in sorted(ALIASES) if not name.startswith("["))
            complain(source, item.position, f"unknown item %{item.name}; there are {known}")
        if unread := sorted(item.flags - {"Q"}):
            complain(source, item.position, f"the flag +{unread[0]} is not read; there is +Q")
        quote = '"' if "Q" in item.flags and alias.quotable else ""
        follower = items[index + 1] if index + 1 < len(items) else None
        if follower and follower.name and not quote and not _ends_itself(alias, ALIASES.get(follower.name)):
            complain(source, follower.position, f"nothing tells where %{item.name} ends and %{follower.name} begins")
        if literal + quote:
            yield _Element(literal=literal + quote)
        stops = quote or (follower.text[:1] if follower else "")
        if alias.optional:
            stops = stops.strip()  # its own brackets or quotes end it
        yield _Element(alias=alias, stops=stops.encode())
        literal = quote
    if literal:
        yield _Element(literal=literal)


def _ends_itself(alias: Alias, follower: Alias | None) -> bool:
    """Tell whether a value's end shows without anything between it and the next one."""
    if alias.optional or alias.kind in (Kind.DATE, Kind.STATE):
        return True
    return alias.kind in NUMBERS and bool(follower and follower.kind is Kind.STATE)


def _fill(pattern: str, stops: bytes) -> str:
    """Put byte classes in the places of a fragment's `$word`, `$text`, …: all from the lowest byte but the stops."""

    def byte_class(match: re.Match[str]) -> str:
        lowest, never = CLASSES[match[0]]
        members = [byte for byte in range(lowest, 256) if byte not in never + stops]
        ranges: list[list[int]] = []
        for byte in members:
            if ranges and ranges[-1][1] == byte - 1:
                ranges[-1][1] = byte
            else:
                ranges.append([byte, byte])
        return "[" + "".join(f"\\x{low:02x}-\\x{high:02x}" for low, high in ranges) + "]"

    return _PLACEHOLDER.sub(byte_class, pattern)


def _runs(elements: list[_Element], numbers: frozenset[str]) -> dict[tuple[int, int], tuple[str, ...]]:
    """Find wanted timers with nothing but a literal between them: (first element, last element) to their fields."""
    runs: dict[tuple[int, int], tuple[str, ...]] = {}
    first = last = -1
    fields: tuple[str, ...] = ()
    for index, element in enumerate(elements):
        if not element.alias or element.alias.kind is not Kind.TIMER or element.alias.fields[0] not in numbers:
            continue
        if fields and index - last > 2:  # noqa: PLR2004 -- a literal between two neighbours
            runs[first, last] = fields
            fields = ()
        first = first if fields else index
        last, fields = index, (*fields, element.alias.fields[0])
    if fields:
        runs[first, last] = fields
    return runs


def _needed(elements: list[_Element], numbers: frozenset[str]) -> int:
    """Find the last element that a cut line must hold whole, as an index into the elements.

    That is each value to be added up, and the byte count, which comes behind what tells an HTTP line from a TCP one.
    A format without it is cut in its free text alone, and one that begins with that cannot be told when it is cut.
    """
    values = [index for index, element in enumerate(elements) if element.alias]
    free = [index for index in values if (alias := elements[index].alias) and alias.name in FREE_TEXT]
    last = len(elements) - 1
    certain = [index for index in values if _fields(elements[index]).intersection(numbers | {"bytes_read"})]
    if not any("bytes_read" in _fields(elements[index]) for index in values):
        before = [index for index in values if free and index < free[0]]
        certain += [before[-1]] if before else [last]
    return max(certain)


def _fields(element: _Element) -> frozenset[str]:
    return frozenset(element.alias.fields) if element.alias else frozenset()


def _splitter(elements: list[_Element], run: tuple[int, int], fields: Iterable[str]) -> re.Pattern[bytes]:
    writer = _Writer(frozenset(fields), {})
    return _compile(writer.whole(elements[run[0] : run[1] + 1]))


class _Writer:
    """Writes a pattern and keeps the order of its groups."""

    def __init__(self, wanted: frozenset[str], runs: dict[tuple[int, int], tuple[str, ...]]) -> None:
        self.wanted = wanted
        self.starts = {first: fields for (first, _), fields in runs.items()}
        self.ends = {last for _, last in runs}
        self.groups: list[tuple[str, ...]] = []

    def whole(self, elements: list[_Element], end: int | None = None) -> str:
        """Write elements that all must be there, up to and without `end`."""
        pattern = ""
        swallow = False  # an optional block takes the blank beside it along
        for index, element in enumerate(elements[:end]):
            if not element.alias:
                pattern += _literal(element.literal[1:] if swallow else element.literal)
                swallow = False
                continue
            value = self._value(index, element)
            swallow = _has_blank(elements, index)
            pattern += f"(?:{value}{' ' * swallow}|)" if element.alias.optional else value
        return pattern

    def cut(self, elements: list[_Element], needed: int) -> str:
        """Write elements of which all up to `needed` must be there, and any beginning of the rest.

        What follows the needed value must have begun: without that its own end might be missing.
        """
        head = self.whole(elements, needed + 1)
        if needed + 1 == len(elements) or elements[needed + 1].alias:
            return head + self._beginning(elements, needed + 1)
        return head + self._literal_beginning(elements, needed + 1, sure=1)

    def _beginning(self, elements: list[_Element], index: int) -> str:
        if index == len(elements):
            return ""
        element = elements[index]
        alias = element.alias
        if not alias:
            return self._literal_beginning(elements, index)
        value = self._value(index, element)
        rest = self._beginning(elements, index + 1)
        if alias.optional:
            blank = " " if _has_blank(elements, index) else ""
            return f"{_optional(value + blank)}(?>{_fill(alias.cut, element.stops)}(?=\n)|{rest})"
        if alias.kind is Kind.TEXT:
            return f"{_optional(value + ' ?+')}{rest}"
        return f"(?>{value}(?=.){rest}|{_fill(alias.cut, element.stops)})"

    def _literal_beginning(self, elements: list[_Element], index: int, sure: int = 0) -> str:
        """Write a literal of which any number of bytes may be left, but the first `sure` ones."""
        literal = elements[index].literal
        if _has_blank(elements, index - 1):
            literal = literal[1:]
        rest = self._beginning(elements, index + 1)
        units = [*literal]
        if literal[:1] == '"' and literal[1:] and elements[index - 1].alias:
            # A line that ends with a closing quote is whole, so of a longer format: no cut there.
            units = [literal[:2], *literal[2:]]
        for unit in reversed(units[sure:]):
            rest = _optional(_literal(unit) + rest)
        return _literal("".join(units[:sure])) + rest

    def _value(self, index: int, element: _Element) -> str:
        assert element.alias
        parts = element.alias.parts
        if element.alias.kind is Kind.ADDRESS and element.stops != b":":
            parts = (Part(parts[0].name, FRAGMENTS[Kind.WORD]),)  # no port follows: all of its colons are its own
        if element.stops == b'"' and element.alias.kind is Kind.WORD and len(parts) == 1:
            parts = (Part(parts[0].name, FRAGMENTS[Kind.TEXT]),)  # in quotes a word may be empty and hold blanks
        pattern = self._parts(parts, element.stops)
        if index in self.starts:
            self.groups.append(self.starts[index])
            pattern = "(" + pattern
        return pattern + ")" if index in self.ends else pattern

    def _parts(self, parts: tuple[Part, ...], stops: bytes) -> str:
        pattern = ""
        for part in parts:
            captured = part.name in self.wanted
            if captured:
                self.groups.append((part.name,))
            inner = part.pattern
            text = _fill(inner, stops) if isinstance(inner, str) else self._parts(inner, stops)
            pattern += f"({text})" if captured else text
        return pattern


def _has_blank(elements: list[_Element], index: int) -> bool:
    """Whether the element is an optional block that takes the blank behind it along."""
    alias = elements[index].alias
    return bool(alias and alias.optional and elements[index + 1 : index + 2] and elements[index + 1].literal[:1] == " ")


def _optional(pattern: str) -> str:
    # Not "(?:…)?+": CPython before 3.11.5 matches possessive repeats of groups wrongly (gh-106052).
    return f"(?>{pattern}|)"


def _literal(text: str) -> str:
    return "".join(_QUOTE if char == '"' else re.escape(char) for char in text)
