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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from operator import not_

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.logformat.aliases import Part
from haproxy_log_exporter.logformat.elements import Element, Value, find_elements
from haproxy_log_exporter.logformat.envelopes import ENVELOPE
from haproxy_log_exporter.logformat.fields import Holds, Kind
from haproxy_log_exporter.logformat.guards import Guards
from haproxy_log_exporter.logformat.notation import Notation
from haproxy_log_exporter.logformat.patterns import Writer, fill
from haproxy_log_exporter.logformat.reader import Column, Extent, Rows
from haproxy_log_exporter.logformat.tokens import complain, tokenize

# Of several items that print one field, this one counts; otherwise the first.
_PREFERRED = {"time_total": ("Ta", "[txn.timer.total]")}

_LONG = frozenset({"http_request_uri", "http_request_path", "http_request_query"})

# What there is in HTTP alone: aliases, what samples of the same sort fill, and other samples by their names.
_HTTP_ALIASES = frozenset({"CC", "CS", "HM", "HP", "HPO", "HQ", "HU", "HV", "ST", "TR", "Ta", "Ti", "Tq", "Tr", "r"})
_HTTP_ALIASES |= {"hr", "hs", "hrl", "hsl", "tr", "trg", "trl", "tsc", "[txn.timer.total]"}
_HTTP_FIELDS = frozenset(
    {"status_code", "http_request_method", "http_request_uri", "http_request_path", "http_version"}
)
_HTTP_FIELDS |= {"http_request_query", "time_request", "time_response", "time_idle"}
_HTTP_SAMPLE = re.compile(
    r"\[(?:capture\.|http_|txn\.status|request_date|server_status|base|url|path|query|method|status|s?hdr|s?cook"
    r"|re[qs]\.(?:f?hdr|cook|scook|ver|body|unique))"
)


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
    sources: Mapping[Extent, str]
    notations: Mapping[str, Notation] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def whole(self) -> re.Pattern[bytes]:
        """The expression for whole lines; compiled when it is first used, for not all formats are."""
        return _compile(self.sources[Extent.WHOLE])

    @cached_property
    def loose(self) -> re.Pattern[bytes] | None:
        """The expression for lines in which cookies and the like hold blanks, where the format has such."""
        return _compile(self.sources[Extent.LOOSE]) if Extent.LOOSE in self.sources else None

    @cached_property
    def cut(self) -> re.Pattern[bytes]:
        """The expression for lines that were cut before their end."""
        return _compile(self.sources[Extent.CUT])

    def prepare(self) -> None:
        """Compile all expressions now, so that none fails when lines come in.

        Raises:
            UsageError: where the format is longer than Python's regular expressions can be.
        """
        try:
            _ = self.whole, self.loose, self.cut
        except (RecursionError, OverflowError, re.error) as error:
            message = f"log-format: it is too long to be read ({error})"
            raise UsageError(message) from error

    def read(self, chunk: bytes, extent: Extent = Extent.WHOLE) -> Rows:
        """Read a chunk of whole lines, each ending in a newline, as far as `extent` asks."""
        match extent:
            case Extent.WHOLE:
                return _read(self.whole, chunk)
            case Extent.LOOSE:
                return _read(self.loose, chunk) if self.loose else Rows(0, [], chunk)
            case Extent.CUT:
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


def compile_format(
    name: str, kind: str, source: str, wanted: Wanted | None = None, guards: Guards | None = None
) -> CompiledFormat:
    """Compile a log-format string.

    `wanted` holds what is captured: by default every field, each in a column of its own. `guards` tells which lines
    are read, where not all are.

    Raises:
        UsageError: with a caret under the item that cannot be read.
    """
    elements = find_elements(source, tokenize(source))
    available = frozenset(field for element in elements for field in element.fields)
    if not available:
        complain(source, 0, "there is no value in it, so every line would be the same")
    want = wanted or Wanted(available)
    given = [element.value for element in elements if element.value and _is_named(element.value)]
    names = {value.label: value.alias.main_field for value in reversed(given)}
    elements = _with_one_place(elements)
    runs = _runs(elements, want.numbers - want.labels)
    alone = want.labels | want.numbers.difference(*runs.values())
    whole = Writer(elements, alone, runs, Extent.WHOLE, guards=guards or {})
    sources = {Extent.WHOLE: f"(?:{ENVELOPE}{whole.whole()}\n|(.*+\n))"}
    if any(element.value and element.value.alias.holds is Holds.WORD for element in elements):
        loose = Writer(elements, alone, runs, Extent.LOOSE, guards=guards or {})
        sources[Extent.LOOSE] = f"(?>{ENVELOPE}{loose.whole()}\n|(.*+\n))"
    cut = Writer(elements, alone, runs, Extent.CUT, guards=guards or {}).cut(_needed(elements, want.numbers))
    sources[Extent.CUT] = f"(?>{ENVELOPE}{cut}\n|(.*+\n))"
    values = [element.value for element in elements if element.value]
    return CompiledFormat(
        name=name,
        kind=kind,
        fields=available,
        groups=tuple(whole.groups),
        splitters={fields: _splitter(elements, run, fields) for run, fields in runs.items()},
        sources=sources,
        notations={name: value.notation for value in reversed(values) for name in value.alias.fields},
        names=names,
    )


def _is_named(value: Value) -> bool:
    """Whether a name tells one field; a list of headers is none, nor is a whole request."""
    several = value.notation.listed or value.alias.kind is Kind.BLOCK or value.alias.name == "r"
    return bool(value.label) and not several


def compile_message(pattern: str) -> re.Pattern[bytes]:
    """Compile a fixed message of HAProxy's, behind any envelope, for whole lines."""
    return _compile(f"(?>{ENVELOPE}{fill(pattern, b'')}\n|(.*+\n))")


def format_kind(source: str) -> str:
    """Tell whether a log-format writes HTTP requests or TCP sessions, from what it prints."""
    values = [element.value for element in find_elements(source, tokenize(source))]
    names = {value.alias.name for value in values if value}
    fields = {name for value in values if value for name in value.alias.fields}
    http = names & _HTTP_ALIASES or fields & _HTTP_FIELDS or any(map(_HTTP_SAMPLE.match, names))
    return "http" if http else "tcp"


def _compile(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode("latin-1"))


def _with_one_place(elements: list[Element]) -> list[Element]:
    """Leave each field to one element alone; where another prints it too, it is only checked there."""
    places: dict[str, tuple[bool, int]] = {}
    for index, element in enumerate(elements):
        for name in element.fields:
            preferred = bool(element.value and element.value.alias.name in _PREFERRED.get(name, ()))
            places[name] = min(places.get(name, (True, index)), (not preferred, index))
    return [
        _without(element, {name for name in element.fields if places[name][1] != index})
        for index, element in enumerate(elements)
    ]


def _without(element: Element, names: set[str]) -> Element:
    """Take names off an element's parts."""
    if not element.value or not names:
        return element
    alias = element.value.alias
    return Element(value=replace(element.value, alias=replace(alias, parts=_unnamed(alias.parts, names))))


def _unnamed(parts: tuple[Part, ...], names: set[str]) -> tuple[Part, ...]:
    return tuple(
        Part(
            "" if part.name in names else part.name,
            part.pattern if isinstance(part.pattern, str) else _unnamed(part.pattern, names),
        )
        for part in parts
    )


def _runs(elements: Sequence[Element], numbers: frozenset[str]) -> dict[tuple[int, int], tuple[str, ...]]:
    """Find wanted timers with nothing but a literal between them: (first element, last element) to their fields."""
    runs: dict[tuple[int, int], tuple[str, ...]] = {}
    first = last = -1
    fields: tuple[str, ...] = ()
    for index, element in enumerate(elements):
        value = element.value
        if not value or value.alias.kind is not Kind.TIMER or not numbers.intersection(element.fields):
            continue
        if fields and index - last > 2:  # noqa: PLR2004 -- a literal between two neighbours
            runs[first, last] = fields
            fields = ()
        first = first if fields else index
        last, fields = index, (*fields, element.fields[0])
    if fields:
        runs[first, last] = fields
    return runs


def _needed(elements: Sequence[Element], numbers: frozenset[str]) -> int:
    """Find the last element that a cut line must hold whole, as an index into the elements.

    That is each value to be added up, and the byte count, which comes behind what tells an HTTP line from a TCP one.
    A format without it is cut in its free text alone, and one that begins with that cannot be told when it is cut.
    """
    values = [index for index, element in enumerate(elements) if element.value]
    free = [index for index in values if _is_long(elements[index])]
    certain = [index for index in values if (numbers | {"bytes_read"}).intersection(elements[index].fields)]
    if not any("bytes_read" in elements[index].fields for index in values):
        before = [index for index in values if free and index < free[0]]
        certain.append(before[-1] if before else len(elements) - 1)
    return max(certain)


def _is_long(element: Element) -> bool:
    """Whether a client chooses how long the value is: this is what a cut line is cut in."""
    alias = element.value.alias if element.value else None
    return bool(alias and (alias.holds in (Holds.TEXT, Holds.WORD) or _LONG.intersection(alias.fields)))


def _splitter(elements: Sequence[Element], run: tuple[int, int], fields: Iterable[str]) -> re.Pattern[bytes]:
    return _compile(Writer(elements[run[0] : run[1] + 1], frozenset(fields), {}).whole())
