r"""Writes elements as regular expressions.

Strategy: most values end at the byte behind them, which they cannot hold, so their classes leave it out. Where a value
may hold it (free text before a blank, a path before a semicolon), it ends at the first such byte behind which the rest
of the line fits, as far as the next value of this sort: `[^ ]*+(?>(?: (?!REST)[^ ]*+)*)`. Each look ahead covers a
bounded number of values, so the whole stays linear in the length of the line.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from haproxy_log_exporter.logformat.aliases import ADDRESS_BEFORE, CLASSES, FRAGMENTS, LIST_BEFORE_QUOTES, Part
from haproxy_log_exporter.logformat.elements import Element, Value
from haproxy_log_exporter.logformat.fields import NUMBERS, Holds, Kind
from haproxy_log_exporter.logformat.guards import Guards
from haproxy_log_exporter.logformat.reader import Extent

_QUOTE = r'\\?+"'  # syslog-ng may write a quote as \"
_PLACEHOLDER = re.compile(f"({'|'.join(map(re.escape, sorted(CLASSES, key=len, reverse=True)))})([*+][+])?")
_ESCAPED_TEXT = r"$escaped*+(?>(?:\\.$escaped*+)*)"
_BRACKETED = r"[<(][-_0-9A-Za-z]{1,64}+[>)]"  # <NOSRV> and its like, (NONE)
_GREEDY = re.compile(r"\+\+")
_SOME_TEXT = r"$text++"
_NEVER_EMPTY = (r"$word++", r"$name++")  # nothing is a dash: the first byte is their own, whatever it is
_JSON_STRING = rf'"{_ESCAPED_TEXT}"'

# How many elements behind what is needed are told apart in a cut line, and how many bytes of a literal.
_DEEPEST = 40
_MOST_BEGINNINGS = 16


class Rest(NamedTuple):
    """What must fit behind a value, and how often that may be tried: any number of times, where no two overlap.

    `holds_stop` is set where the byte behind the value may be part of it.
    """

    pattern: str
    tries: str = "*"
    holds_stop: bool = True


class Shape(NamedTuple):
    """What is written to look ahead with: each value goes just up to its own stop.

    `behind` is the byte behind which it must fit. Names that may hold their stop give back what they took too much;
    where there are several, none does, for they would multiply.
    """

    behind: bytes
    names_give_back: bool


_NOTHING = Rest("", holds_stop=False)
_NO_GUARDS: Guards = {}

# Where a look ahead may go over the same bytes again, this keeps a hostile line from taking long.
_SOME_TRIES = "{0,64}"
# So many values that can be read in two ways are no harm: httplog has them.
_FEW = 6
_BOUNDED = NUMBERS | {Kind.DATE, Kind.STATE}


class Writer:
    """Writes a pattern and keeps the order of its groups.

    `wanted` are the fields to capture one by one, `runs` those that share a group, by the run's first and last element.
    """

    def __init__(
        self,
        elements: Sequence[Element],
        wanted: frozenset[str],
        runs: dict[tuple[int, int], tuple[str, ...]],
        extent: Extent = Extent.WHOLE,
        *,
        guards: Guards = _NO_GUARDS,
        shape: Shape | None = None,
    ) -> None:
        """Write nothing yet."""
        self._elements = elements
        self._wanted = wanted
        self._starts = {first: fields for (first, _), fields in runs.items()}
        self._ends = {last for _, last in runs}
        self._extent = extent
        self._guards = guards
        self._shape_of = shape
        # Values that can be read in two ways multiply where a line fails behind them; a few cost less than atomic
        # groups.
        self._atomic = bool(shape) or sum(map(_has_two_readings, elements)) > _FEW
        lists = [
            index for index, element in enumerate(elements) if element.value and element.value.alias.kind is Kind.LIST
        ]
        self._lists_that_give_back = lists[-2:]
        self.groups: list[tuple[str, ...]] = []

    def whole(self, begin: int = 0, end: int | None = None, skip: int = 0) -> str:
        """Write elements that all must be there, from `begin` up to and without `end`.

        Of a literal at the beginning the first `skip` characters are left out.
        """
        return "".join(self.pieces(begin, end, skip))

    def pieces(self, begin: int = 0, end: int | None = None, skip: int = 0) -> Iterator[str]:
        """Write each element by itself, as in `whole`."""
        for index, element in enumerate(self._elements[begin:end], start=begin):
            if element.value:
                pattern = self._present(index, self._value(index, element.value))
                atomic = self._atomic and _has_two_readings(element) and not self._gives_back(index, element.value)
                yield f"(?>{pattern})" if atomic else pattern
                continue
            literal = element.literal[skip if index == begin else 0 :]
            literal = literal[1:] if self._swallows(index - 1, begin) else literal
            at_end = literal[-1:] == " " and index + 1 == len(self._elements)
            yield _literal(literal[:-1]) + " ?+" if at_end else _literal(literal)

    def cut(self, needed: int) -> str:
        """Write elements of which all up to `needed` must be there, and any beginning of the rest.

        What follows the needed value must have begun: without that its own end might be missing.
        """
        head = self.whole(0, needed + 1)
        if needed + 1 == len(self._elements) or self._elements[needed + 1].value:
            return head + self._beginning(needed + 1)
        return head + self._literal_beginning(needed + 1, sure=1)

    def _present(self, index: int, pattern: str) -> str:
        """Let a value that may be missing be so, with a blank behind it, which may be missing too."""
        value = self._elements[index].value
        assert value
        if not value.alias.optional:
            return pattern
        return f"(?:{pattern} | ?+)" if self._swallows(index) else f"(?:{pattern}|)"

    def _swallows(self, index: int, begin: int = 0) -> bool:
        """Whether the element may be missing and takes the blank behind it along."""
        if index < begin:
            return False
        value = self._elements[index].value
        behind = self._elements[index + 1 : index + 2]
        return bool(value and value.alias.optional and not value.in_quotes and behind and behind[0].literal[:1] == " ")

    def _beginning(self, index: int, depth: int = 0) -> str:
        """Write any beginning of the elements from `index` on; far behind what is needed, anything at all."""
        if index == len(self._elements):
            return ""
        if depth > _DEEPEST:  # its groups must be there, though they never match
            return f"(?:(?!){self.whole(index)}|.*+)"
        value = self._elements[index].value
        if not value:
            return self._literal_beginning(index, depth=depth)
        pattern = self._value(index, value)
        rest = self._beginning(index + 1, depth + 1)
        remainder = fill(value.alias.cut, value.stop)
        if value.alias.optional:
            blank = " " if self._swallows(index) else ""
            return f"{_optional(pattern + blank)}(?>{remainder}(?=\n)|{rest})"
        if value.alias.kind is Kind.TEXT:
            return f"{_optional(pattern + ' ?+')}{rest}"
        return f"(?>{pattern}(?=.){rest}|{remainder})"

    def _literal_beginning(self, index: int, sure: int = 0, depth: int = 0) -> str:
        """Write a literal of which any number of bytes may be left, but the first `sure` ones."""
        literal = self._elements[index].literal
        if self._swallows(index - 1):
            literal = literal[1:]
        rest = self._beginning(index + 1, depth + 1)
        least = sure
        if literal[:1] == '"' and self._elements[index - 1].value and not sure:
            least = 2  # a line that ends with a closing quote is whole, so of a longer format: no cut there
        beginnings = [literal[:length] for length in range(len(literal) - 1, least - 1, -1)]
        beginnings += [literal[:sure]] if sure < least else []
        cut = "|".join(map(_literal, beginnings[-_MOST_BEGINNINGS:]))
        if len(beginnings) > _MOST_BEGINNINGS:
            cut = f"{_literal(beginnings[-_MOST_BEGINNINGS])}.*+|{cut}"
        return f"(?>{_literal(literal)}{rest}|(?:{cut})(?=\n))" if beginnings else _literal(literal) + rest

    def _value(self, index: int, value: Value) -> str:
        pattern = self._json(value) if value.notation.json else self._written(index, value)
        if index in self._starts:
            self.groups.append(self._starts[index])
            pattern = "(" + pattern
        return pattern + ")" if index in self._ends else pattern

    def _written(self, index: int, value: Value) -> str:
        parts, stop = value.alias.parts, value.stop
        if len(parts) == 1 and isinstance(parts[0].pattern, str) and not value.notation.hexadecimal:
            if stop in value.notation.escapes:
                return self._parts((Part(parts[0].name, _ESCAPED_TEXT),), stop, _NOTHING)
            parts = (Part(parts[0].name, self._fragment(index, value, parts[0].pattern)),)
        # What cannot hold the byte behind which this is written ends there as well, and no look ahead goes further.
        shape, loose = self._shape_of, self._extent is Extent.LOOSE
        apart = shape.behind if shape and not value.may_hold(shape.behind, loose=loose) else b""
        if shape and shape.names_give_back and value.may_hold_stop() and value.alias.holds is Holds.NAME:
            return _GREEDY.sub("{1,255}", self._parts(parts, apart, _NOTHING))
        return self._parts(parts, stop + apart, self._rest(index, value))

    def _fragment(self, index: int, value: Value, fragment: str) -> str:
        """Choose the fragment of a single field by what is around it."""
        alias, stop = value.alias, value.stop
        behind = next((element.value for element in self._elements[index + 1 :] if element.value), None)
        if alias.kind is Kind.LIST and behind and behind.in_quotes and index in self._lists_that_give_back:
            return LIST_BEFORE_QUOTES
        if alias.kind in NUMBERS and stop.isdigit():
            return fragment.removesuffix("+")  # gives back the literal's digits
        if value.in_quotes and alias.kind in (Kind.WORD, Kind.ADDRESS):
            return FRAGMENTS[Kind.TEXT]  # in quotes a word may be empty and hold blanks
        if stop and stop in b"<>()" and alias.kind is Kind.WORD and alias.holds is Holds.NAME:
            return rf"(?:{_BRACKETED}|{fragment})"
        if self._extent is Extent.LOOSE and alias.holds is Holds.WORD:
            return _SOME_TEXT
        if alias.kind is Kind.TEXT and not value.notation.quoted and not alias.optional:
            return _SOME_TEXT  # what is empty is a dash
        if alias.kind is Kind.ADDRESS and stop != b":":
            return FRAGMENTS[Kind.WORD]  # no port follows: all of its colons are its own
        behind_port = [element.literal[:1] for element in self._elements[index + 3 : index + 4]]
        if alias.kind is Kind.ADDRESS and behind_port == [":"] and not self._shape_of:
            return ADDRESS_BEFORE.replace("$rest", self._shape(index, value)[0])
        return fragment

    def _json(self, value: Value) -> str:
        """Write a value of +json: a string, a number, null; or a list of strings."""
        alias, parts = value.alias, value.alias.parts
        if alias.kind is Kind.LIST:
            strings = rf"\[(?:{_JSON_STRING}(?>(?:, {_JSON_STRING})*)|)\]"
            return self._parts((Part("", "(?:null|"), Part(parts[0].name, strings), Part("", ")")), b'"', _NOTHING)
        if alias.kind in (Kind.DATE, Kind.STATE, Kind.BLOCK) or len(parts) > 1:
            before, behind = ('(?:"(?:', '|)"|null)') if alias.optional else ('"', '"')
            return self._parts((Part("", before), *parts, Part("", behind)), b'"', _NOTHING)
        any_value = rf"(?:{_JSON_STRING}|-?+[0-9]++|true|false|null)"
        return self._parts((Part(parts[0].name, any_value),), b'"', _NOTHING)

    def _gives_back(self, index: int, value: Value) -> bool:
        """Whether a value may have to leave what it took to what follows."""
        alias = value.alias
        if alias.kind is Kind.LIST:
            return index in self._lists_that_give_back
        return alias.name == "ft" or bool(self._shape_of and alias.holds is Holds.NAME and value.may_hold_stop())

    def _rest(self, index: int, value: Value) -> Rest:
        """Write what must fit behind a value that may hold the byte behind it; nothing where it cannot."""
        if not value.may_hold_stop(loose=self._extent is Extent.LOOSE):
            return _NOTHING
        if self._shape_of:
            return Rest("")
        if self._extent is Extent.CUT:
            literal = self._elements[index + 1].literal[1:]
            return Rest(f"(?:{_literal(literal)}|{_any_beginning(literal)}\n)")
        shape, values = self._shape(index, value)
        loose = self._extent is Extent.LOOSE
        overlap = any(each.may_hold(value.stop, loose=loose) and each.alias.kind not in _BOUNDED for each in values)
        return Rest(shape, _SOME_TRIES if overlap else "*")

    def _shape(self, index: int, value: Value) -> tuple[str, list[Value]]:
        """Write what follows a value, but the byte behind it, up to the next whose end is open; and give its values."""
        end = index + 2
        while end < len(self._elements) and not self._is_open(self._elements[end]):
            end += 1
        values = [element.value for element in self._elements[index + 1 : end] if element.value]
        names = [each for each in values if each.alias.holds is Holds.NAME and each.may_hold_stop()]
        shape = Shape(value.stop, names_give_back=len(names) <= 1)
        writer = Writer(self._elements, frozenset(), {}, self._extent, shape=shape)
        return writer.whole(index + 1, end, skip=1) + ("\n" if end == len(self._elements) else ""), values

    def _is_open(self, element: Element) -> bool:
        """Whether the element's end cannot be told without looking further."""
        value = element.value
        if not value or value.alias.holds is Holds.NAME or value.notation.json:
            return False
        loose = self._extent is Extent.LOOSE
        return value.may_hold_stop(loose=loose) or value.alias.kind in (Kind.LIST, Kind.TEXT)

    def _parts(self, parts: tuple[Part, ...], stops: bytes, rest: Rest) -> str:
        pattern = self._guards.get(parts[0].name, "")
        for part in parts:
            captured = part.name in self._wanted
            if captured:
                self.groups.append((part.name,))
            inner = part.pattern
            text = fill(inner, stops, rest) if isinstance(inner, str) else self._parts(inner, stops, rest)
            pattern += f"({text})" if captured else text
        return pattern


def _has_two_readings(element: Element) -> bool:
    value = element.value
    if not value:
        return False
    return value.alias.optional or len(value.alias.parts) > 1 or value.alias.kind is Kind.ADDRESS


def fill(pattern: str, stops: bytes, rest: Rest = _NOTHING) -> str:
    """Put byte classes in the places of a fragment's `$word`, `$text`, …: all from the lowest byte but the stops.

    With a `rest`, the first stop may be part of the value where the rest does not fit behind it.
    """
    stop = stops[:1]
    if stop == b"~":
        pattern = pattern.replace("~?+", "~?")  # gives back the literal's
    end = f"{re.escape(stop.decode('latin-1'))}(?!{rest.pattern})"

    def byte_class(match: re.Match[str]) -> str:
        name, repeat = match[1], match[2] or ""
        lowest, never = CLASSES[name]
        inside = _byte_class(lowest, never + stops)
        pattern = inside + repeat
        has_first = (name + repeat == _SOME_TEXT and stop) or (rest.holds_stop and name + repeat in _NEVER_EMPTY)
        if not repeat and rest.holds_stop and stop != b'"':  # in quotes it may be empty
            return _byte_class(lowest, never + stops[1:])
        if has_first:
            pattern = f"{_byte_class(lowest, never + stops[1:])}{inside}*+"
        if rest.pattern and repeat and stop not in never and stop[0] >= lowest:
            begin = f"{inside}*+" if repeat == "*+" else f"(?:{inside}++|{end}{inside}*+)"
            begin = pattern if has_first else begin  # never empty: its first byte needs no look ahead
            pattern = f"{begin}(?>(?:{end}{inside}*+){rest.tries})"
        # A dash before a dash is a value that is empty.
        return f"(?:-(?=-{rest.pattern})|{pattern})" if stop == b"-" and repeat == "++" else pattern

    return _PLACEHOLDER.sub(byte_class, pattern)


def _byte_class(lowest: int, never: bytes) -> str:
    ranges: list[list[int]] = []
    for byte in range(lowest, 256):
        if byte in never:
            continue
        if ranges and ranges[-1][1] == byte - 1:
            ranges[-1][1] = byte
        else:
            ranges.append([byte, byte])
    return "[" + "".join(f"\\x{low:02x}-\\x{high:02x}" for low, high in ranges) + "]"


def _any_beginning(literal: str) -> str:
    beginnings = (literal[:length] for length in range(min(len(literal), _MOST_BEGINNINGS) - 1, -1, -1))
    return f"(?:{'|'.join(map(_literal, beginnings))})" if literal else ""


def _optional(pattern: str) -> str:
    # Not "(?:…)?+": CPython before 3.11.5 matches possessive repeats of groups wrongly (gh-106052).
    return f"(?>{pattern}|)"


def _literal(octets: str) -> str:
    return "".join(_QUOTE if char == '"' else re.escape(char) for char in octets)
