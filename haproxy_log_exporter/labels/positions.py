"""The automaton of a regex's positions (Glushkov's), from how Python parsed it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from importlib import import_module
from operator import or_
from re import ASCII, DOTALL, IGNORECASE, UNICODE
from typing import Any

# A set of characters is a number: a bit for each of ASCII, one for any other, one more where it has all others.
OTHER = 1 << 128
ALL_OTHERS = 1 << 129
CHARACTERS = (1 << 129) - 1
ANY = CHARACTERS | ALL_OTHERS
_ASCII = OTHER - 1

# Of a repeat that has an end, copies are made while they have no more positions than this; else it has no end.
_MOST_COPIES = 64
_MOST_POSITIONS = 4_000
# What Python writes for no end is more.
_MOST_REPEATS = 1 << 31
# How many ways to match nothing are told apart: none, one, several.
_SEVERAL = 2

Edge = tuple[int, int]  # the position that follows, and the characters by which
Node = tuple[Any, ...]
EMPTY: Node = ("sequence", ())
# Never passed, but it stands after what it follows: an anchor, or the end of a lookahead.
_NOTHING: Node = ("characters", 0)
# What is not sure to match where its positions do.
_UNSURE: Node = ("alternatives", (EMPTY, _NOTHING))


class TooSlowError(ValueError):
    """A regex that may take forever; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Automaton:
    """Edges by position; the last position is the start."""

    edges: list[list[Edge]]
    is_nested: bool  # a repeat stands within a repeat

    @property
    def start(self) -> int:
        """Where a search begins."""
        return len(self.edges) - 1


def read_automaton(text: str, flags: int) -> Automaton | None:
    """Read a regex that compiles; None where this Python does not tell how it parsed it.

    Raises:
        TooSlowError: where it is too large.
        RecursionError: where it is nested too deeply.
    """
    try:
        parsed = import_module("re._parser").parse(text, flags)
        node = _read_sequence(parsed, parsed.state.flags)
    except (ImportError, AttributeError, NotImplementedError):
        return None
    return _Builder().build(_cut_tail(node))


# --- From Python's parser ---------------------------------------------------------------------------------------------


def _read_sequence(parsed: Iterable[tuple[Any, Any]], flags: int) -> Node:
    return _join([_read(operator.name, value, flags) for operator, value in parsed])


def _join(nodes: Iterable[Node]) -> Node:
    flat: list[Node] = []
    for node in nodes:
        flat += node[1] if node[0] == "sequence" else [node]
    return flat[0] if len(flat) == 1 else ("sequence", tuple(flat))


def _read(name: str, value: Any, flags: int) -> Node:  # noqa: C901 -- a case for each operator that there is
    match name:
        case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
            return ("characters", _read_characters(name, value, flags))
        case "SUBPATTERN":
            _, added, taken, body = value
            local = flags & ~(ASCII | UNICODE) if added & (ASCII | UNICODE) else flags
            return _read_sequence(body, (local | added) & ~taken)
        case "BRANCH":
            return ("alternatives", tuple(_read_sequence(each, flags) for each in value[1]))
        case "GROUPREF_EXISTS":
            bodies = [_read_sequence(each, flags) if each else EMPTY for each in value[1:]]
            return _join([_UNSURE, ("alternatives", tuple(bodies)), _UNSURE])
        case "GROUPREF":  # any text
            return _join([("repeat", ("characters", ANY), True, False), _UNSURE])
        case "ATOMIC_GROUP":
            node = _read_sequence(value, flags)
            return (*node[:3], True) if node[0] == "repeat" and node[1][0] == "characters" else node
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            low, high, body = value
            return _repeat(low, high, _read_sequence(body, flags), is_possessive=name == "POSSESSIVE_REPEAT")
        case "ASSERT" | "ASSERT_NOT":
            return ("alternatives", (EMPTY, _join([_cut_any(_read_sequence(value[1], flags)), _NOTHING])))
        case "AT":
            return EMPTY if value.name in ("AT_END", "AT_END_STRING") else _UNSURE
        case "FAILURE":
            return _NOTHING
    raise NotImplementedError(name)


def _read_characters(name: str, value: Any, flags: int) -> int:
    match name:
        case "ANY":
            return ANY if flags & DOTALL else ANY & ~(1 << ord("\n"))
        case "LITERAL":
            return _with_cases(1 << value if value < 128 else OTHER, flags)  # noqa: PLR2004 -- those of ASCII
        case "NOT_LITERAL":
            return _negate(_read_characters("LITERAL", value, flags))
        case "RANGE":
            low, high = value
            ascii_ones = sum(1 << code for code in range(low, min(high, 127) + 1))
            return _with_cases(ascii_ones | (OTHER if high > 127 else 0), flags)  # noqa: PLR2004 -- those of ASCII
        case "CATEGORY":
            return _read_category(value.name.removeprefix("CATEGORY_"), flags)
        case "IN":
            is_negated = value[0][0].name == "NEGATE"
            parts = (_read_characters(each.name, part, flags) for each, part in value[is_negated:])
            union = reduce(or_, parts, 0)
            return _negate(union) if is_negated else union
    raise NotImplementedError(name)


_CATEGORIES = {
    name: sum(1 << code for code in range(128) if re.match(regex, chr(code), re.ASCII))
    for name, regex in (("DIGIT", r"\d"), ("SPACE", r"\s"), ("WORD", r"\w"))
}


def _read_category(name: str, flags: int) -> int:
    if name.startswith("NOT_"):
        return _negate(_read_category(name.removeprefix("NOT_"), flags))
    if name not in _CATEGORIES:
        raise NotImplementedError(name)
    return _CATEGORIES[name] | (0 if flags & ASCII else OTHER)


def _with_cases(characters: int, flags: int) -> int:
    if not flags & IGNORECASE:
        return characters
    swapped = sum(1 << ord(chr(code).swapcase()) for code in range(128) if characters >> code & 1)
    return characters | swapped | (0 if flags & ASCII else OTHER)


def _negate(characters: int) -> int:
    others = OTHER | ALL_OTHERS if not characters & OTHER else 0 if characters & ALL_OTHERS else OTHER
    return _ASCII & ~characters | others


def _repeat(low: int, high: int, body: Node, *, is_possessive: bool) -> Node:
    size = max(_measure(body), 1)
    if high * size <= _MOST_COPIES:
        optional = EMPTY
        for _ in range(high - low):
            optional = ("alternatives", (EMPTY, _join([body, optional])))
        return _join([*[body] * low, optional])
    is_endless = high > _MOST_REPEATS
    is_possessive = is_possessive and body[0] == "characters" and is_endless
    if low > 1 and _is_nullable(body):
        body = ("repeat", body, True, False)
    copies = low - 1 if 1 < low <= _MOST_COPIES // size else 0
    repeat = ("repeat", body, low == 0, is_possessive)
    is_exact = is_endless and low <= copies + 1
    return _join([*[body] * copies, repeat, *(() if is_exact else (_UNSURE,))])


def _parts(node: Node) -> Sequence[Node]:
    match node[0]:
        case "characters":
            return ()
        case "repeat":
            return (node[1],)
    return tuple(node[1])


def _measure(node: Node) -> int:
    return 1 if node[0] == "characters" else sum(map(_measure, _parts(node)))


def _is_nullable(node: Node) -> bool:
    match node[0]:
        case "characters":
            return False
        case "repeat":
            return bool(node[2]) or _is_nullable(node[1])
        case "sequence":
            return all(map(_is_nullable, node[1]))
    return any(map(_is_nullable, node[1]))


def _has_repeat(node: Node) -> bool:
    return node[0] == "repeat" or any(map(_has_repeat, _parts(node)))


def _is_nested(node: Node) -> bool:
    return (node[0] == "repeat" and _has_repeat(node[1])) or any(map(_is_nested, _parts(node)))


# --- What comes to an end by itself -----------------------------------------------------------------------------------


def _is_any(node: Node) -> bool:
    return bool(node[0] == "repeat" and node[1] == ("characters", ANY))


def _cut_any(node: Node) -> Node:
    """Leave out the last .*, which fits whatever there is."""
    nodes = node[1] if node[0] == "sequence" else (node,)
    return _join(nodes[:-1]) if nodes and _is_any(nodes[-1]) and nodes[-1][2] else node


def _cut_tail(node: Node) -> Node:
    """Make .*/.*/.*/.* at the end .*/.*: with the same between all of them, only a text that has few of it fails."""
    nodes = [*node[1]] if node[0] == "sequence" else [node]
    while nodes and _is_any(nodes[-1]):
        places = [place for place, each in enumerate(nodes) if _is_any(each)]
        if len(places) < 3:  # noqa: PLR2004 -- two of them with one between are left
            break
        first, second, third = places[-3:]
        between = nodes[first + 1 : second]
        if between != nodes[second + 1 : third] or any(each[0] != "characters" for each in between):
            break
        del nodes[second:third]
    return _join(nodes)


# --- To the automaton -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Ends:
    """What a part of the regex begins and ends with, and in how many ways it matches nothing."""

    first: list[int] = field(default_factory=list)
    last: list[Edge] = field(default_factory=list)  # with the characters that cannot follow
    empty: int = 0


class _Builder:
    """Gives each character of the regex its position."""

    def __init__(self) -> None:
        self._characters: list[int] = []
        self._edges: list[list[Edge]] = []

    def build(self, node: Node) -> Automaton:
        ends = self._add(node)
        self._characters.append(0)
        self._edges.append([(to, self._characters[to]) for to in ends.first])
        self._drop_certain({at for at, _ in ends.last})
        return Automaton(self._edges, _is_nested(node))

    def _drop_certain(self, final: set[int]) -> None:
        """Drop edges to where a match is certain, for there a search ends: into the .* at the end."""
        certain: set[int] = set()
        while new := {at for at in final - certain if self._is_certain(at, certain | {at})}:
            certain |= new
        self._edges = [[edge for edge in edges if edge[0] not in certain] for edges in self._edges]

    def _is_certain(self, at: int, certain: set[int]) -> bool:
        edges = self._edges[at]
        return any(characters == ANY for _, characters in edges) and all(to in certain for to, _ in edges)

    def _add(self, node: Node) -> _Ends:
        match node[0]:
            case "characters":
                return self._add_characters(node[1])
            case "repeat":
                return self._add_repeat(node)
            case "sequence":
                return reduce(self._follow, map(self._add, node[1]), _Ends(empty=1))
        found = _Ends()
        for each in map(self._add, node[1]):
            found.first += each.first
            found.last += each.last
            found.empty = min(found.empty + each.empty, _SEVERAL)
        return found

    def _add_characters(self, characters: int) -> _Ends:
        at = len(self._characters)
        if at >= _MOST_POSITIONS:
            message = "it is too large to be told that it does not"
            raise TooSlowError(message)
        self._characters.append(characters)
        self._edges.append([])
        return _Ends([at], [(at, 0)])

    def _add_repeat(self, node: Node) -> _Ends:
        _, body, is_optional, is_possessive = node
        ends = self._add(body)
        self._connect(ends.last, ends.first)
        if is_possessive:
            never = body[1] if body[1] & ALL_OTHERS else body[1] & _ASCII
            ends.last = [(at, never) for at, _ in ends.last]
        # After a round, one more that takes nothing ends it in another way.
        ends.last *= 1 + min(ends.empty, 1)
        ends.empty = min(ends.empty + is_optional, _SEVERAL)
        return ends

    def _follow(self, one: _Ends, other: _Ends) -> _Ends:
        self._connect(one.last, other.first)
        return _Ends(
            one.first + other.first * one.empty,
            other.last + one.last * other.empty,
            min(one.empty * other.empty, _SEVERAL),
        )

    def _connect(self, ends: Sequence[Edge], starts: Sequence[int]) -> None:
        for at, never in ends:
            self._edges[at] += [(to, self._characters[to] & ~never) for to in starts]
