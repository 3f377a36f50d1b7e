r"""Lines that HAProxy writes by a format, what they tell, and how a line may be split.

A line is one value for each item of its format; blanks merge, as in sess_build_logline() of src/log.c. `settle` makes
drawn values such that the line can be told apart by the rule that a value without an end of its own ends at the first
place where what is behind it in the format fits. `can_mean` tells whether any split of a line gives certain fields.
Nothing here knows the package.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from tests.logformat.reading import UNTOLD, meaning, read
from tests.logformat.writing import Form, Item, Value, write

BLANK = b" "  # as a node: one that merges with those beside it

Node = bytes | Item
Fields = dict[str, Any]


@dataclass(frozen=True)
class Format:
    """A log-format: its string, its nodes, and whether it is written by 2.6, where an empty %HQ keeps its blanks."""

    source: str
    nodes: tuple[Node, ...] = field(repr=False)
    old: bool

    def _repr_pretty_(self, printer: Any, _: bool) -> None:  # noqa: FBT001 -- hypothesis calls it so
        printer.text(repr(self))

    @property
    def items(self) -> list[Item]:
        """Its values in their order."""
        return [node for node in self.nodes if isinstance(node, Item)]


def render(form: Format, values: Sequence[Value]) -> tuple[bytes, list[tuple[int, int]]]:
    """Write a line: its bytes, and from where to where each value stands."""
    line, blank = b"", True
    places = []
    left = iter(values)
    for node in form.nodes:
        if isinstance(node, bytes):
            line += b"" if node == BLANK and blank else node
            blank = node == BLANK
            continue
        printed = write(node, next(left))
        places.append((len(line), len(line) + len(printed)))
        line += printed
        if printed or (form.old and node.form is Form.PIECE):
            blank = False
    return line, places


def expected(form: Format, values: Sequence[Value]) -> Fields:
    """Give the fields of a line as `parse` does. Of two values of a field the first counts; %Ta does before %Tt."""
    found: Fields = {}
    for owned, item, value in zip(_owned(form), form.items, values, strict=True):
        found |= {field: told for field, told in meaning(item, value).items() if field in owned}
    return found


def differences(form: Format, values: Sequence[Value], found: Fields) -> Fields:
    """Compare what was found in a line with what its values tell: pairs of both for each field that is not as told."""
    told = expected(form, values)
    items = {field: item for owned, item in zip(_owned(form), form.items, strict=True) for field in owned}
    wrong = [field for field, value in told.items() if not _is_told(items[field], value, found.get(field))]
    more = [field for field, value in found.items() if field not in told and value is not None]
    return {field: (told.get(field), found.get(field)) for field in (*wrong, *more)}


def _is_told(item: Item, told: Any, found: Any) -> bool:
    """Whether what was found of a field is what the item tells of it."""
    if item.form is Form.LIST and not item.quoted and told and found:
        # Without quotes, members with blanks in them are several, and one that is missing is a dash.
        told, found = ([{"-": ""}.get(word, word) for word in " ".join(each).split(" ")] for each in (told, found))
    return told is UNTOLD or (found == told and type(found) is type(told))


def _owned(form: Format) -> list[set[str]]:
    """Give the fields for which each item counts."""
    seen: set[str] = set()
    active = any(item.name in ("Ta", "[txn.timer.total]") for item in form.items)
    owned = []
    for item in form.items:
        fields = {
            *item.fields,
            *({"ssl"} if item.name == "ft" else ()),
            *({"redispatched"} if item.name == "rc" else ()),
        }
        if item.name == "Tt" and active:
            fields = set()
        owned.append(fields - seen)
        seen |= fields
    return owned


def settle(form: Format, drawn: Sequence[Value]) -> list[Value]:
    """Make values such that a line can be told apart."""
    values = [*drawn]
    for index, item in reversed([*enumerate(form.items)]):
        values[index] = _tame(form, index, values)
        while (
            item.open
            and values[index] != (shorter := _shorten(item, values[index]))
            and _ends_early(form, index, values)
        ):
            values[index] = shorter
        if item.name in ("HU", "HP") and not item.quoted and _ends_early(form, index, values, least=0):
            values[index] = b"<BADREQ>"  # an authority alone has no path: a URI's path is nothing where it may be
    return values


def _neighbours(form: Format, index: int) -> tuple[Node | None, Item | None]:
    """Give the node before an item, and the item before that if there are only blanks between."""
    at = [place for place, node in enumerate(form.nodes) if isinstance(node, Item)][index]
    before = at - 1
    while before >= 0 and form.nodes[before] == BLANK:
        before -= 1
    near = form.nodes[before] if before >= 0 else None
    return form.nodes[at - 1] if at else None, near if isinstance(near, Item) else None


def _tame(form: Format, index: int, values: Sequence[Value]) -> Value:
    """Take out of a value what would look like something else in its place."""
    item, value = form.items[index], values[index]
    before, near = _neighbours(form, index)
    if near and near.form is Form.BLOCK:
        if item.form in (Form.BLOCK, Form.LIST) and values[index - 1] is None:
            return None  # one block alone is taken for the first
        value = value.lstrip(b'{"') if item.form is Form.TEXT else value
    if item.form is Form.PIECE and not value and not form.old and before in (None, BLANK):
        return b"/" if item.name == "HPO" else b"?"  # its blanks would merge
    if _goes_on(form, index) and len(value.split(b" ")) < _WORDS_OF_A_REQUEST:
        return b"<BADREQ>"  # a request takes what follows for its other words
    if item.form is Form.LIST and value is not None and not item.quoted:
        value = [header.replace(b" ", b"") for header in value]
    return value


def _goes_on(form: Format, index: int) -> bool:
    """Whether an item is a whole request without quotes and has a blank behind it."""
    item = form.items[index]
    at = [place for place, node in enumerate(form.nodes) if isinstance(node, Item)][index]
    return item.name == "r" and not item.quoted and BLANK in form.nodes[at + 1 : at + 2]


def _shorten(item: Item, value: Value) -> Value:
    """Make a value shorter, of a kind that HAProxy prints; as it is where that cannot be done."""
    match item.form:
        case Form.FRONTEND:
            shorter = value[0][:-1]
            return (value[0] if shorter in (b"", b"-") else shorter, False)  # "-" stands for nothing
        case Form.LIST:
            return value and (value[:-1] or None)
        case Form.PIECE:
            if item.name == "r":
                return b"<BADREQ>"
            least = {"HU": b"/", "HP": b"/", "HPO": b"/", "HQ": b"?"}.get(item.name, b"G")
            return least if value in (b"<BADREQ>", b"") else (value[:-1].rstrip() or value)
        case _ if item.converter == "utf8s":
            return value.decode()[:-1].encode()
        case _:
            return value[:-1]


_WORDS_OF_A_REQUEST = 3
_UNIT = {True: re.compile(rb"\\.|.", re.DOTALL), False: re.compile(rb".", re.DOTALL)}


def _ends_early(form: Format, index: int, values: Sequence[Value], least: int = 1) -> bool:
    """Whether what is behind a value fits within it as well, behind its `least` bytes or further on."""
    item = form.items[index]
    line, places = render(form, values)
    start, end = places[index]
    behind = _behind(form, index)
    escaped = bool(item.flags & {"E", "json"}) or item.converter is not None
    units = [match.start() for match in _UNIT[escaped].finditer(line, start, end)]
    first = 0 if item.form is Form.PIECE and item.name in ("HPO", "HQ") and not item.quoted else least
    return any(behind.match(line, at) for at in units[first:] if at < end - item.quoted)


def _behind(form: Format, index: int) -> "re.Pattern[bytes]":
    """Say what is behind an item up to the next value without an end of its own, more loosely than it can be."""
    at = [place for place, node in enumerate(form.nodes) if isinstance(node, Item)][index]
    pattern = b'"' if form.items[index].quoted else b""
    for place, node in enumerate(form.nodes[at + 1 :]):
        if isinstance(node, bytes):
            pattern += (b" " if place == 0 else b" ?") if node == BLANK else re.escape(node)
        elif node.open or node.quoted or node.own:
            # Of JSON it may be a number or the like as well; a quote may have a backslash, as syslog-ng writes it.
            begins = rb'[\\"0-9tfn-]' if "json" in node.flags else rb'\\?"'
            return re.compile(pattern + begins * (node.quoted and node.form not in (Form.BLOCK, Form.LIST)), re.DOTALL)
        else:
            pattern += rb"[-+0-9A-Fa-f:.unix]*" if node.numeric else b".*?"
    return re.compile(pattern + rb"\Z", re.DOTALL)


_LONGEST = 41  # an address of IPv6 in quotes


def _as_text(item: Item) -> Item:
    """Take a sample's own number for text: its reader cannot know better."""
    is_text = item.own and item.numeric and "json" not in item.flags
    return replace(item, form=Form.TEXT) if is_text else item


def can_mean(form: Format, line: bytes, found: Fields) -> bool:
    """Whether there is a split of a line, each piece of it as HAProxy could print it, that gives these fields."""
    owned = iter(_owned(form))
    nodes = [(node, next(owned) if isinstance(node, Item) else set()) for node in form.nodes]

    def fits(item: Item, printed: bytes, fields: set[str]) -> bool:
        try:
            told = meaning(_as_text(item), read(_as_text(item), printed))
        except (ValueError, UnicodeError):
            return item.converter is not None  # what is no JSON may be read in any way
        return all(_is_told(item, told[field], found.get(field)) for field in fields)

    def ends(item: Item, start: int, fields: set[str]) -> Iterator[int]:
        longest = _LONGEST if item.numeric or item.form is Form.FIXED else len(line)
        return (end for end in range(start, min(len(line), start + longest) + 1) if fits(item, line[start:end], fields))

    @cache
    def rest(place: int, start: int, blank: bool) -> bool:  # noqa: FBT001 -- a state of the search
        if place == len(nodes):
            return start == len(line)
        node, fields = nodes[place]
        if isinstance(node, bytes):
            if node == BLANK and blank:
                return rest(place + 1, start, True)  # noqa: FBT003 -- a state of the search
            return line.startswith(node, start) and rest(place + 1, start + len(node), node == BLANK)
        return any(
            rest(place + 1, end, still)
            for end in ends(node, start, fields)
            for still in {blank and end == start, blank and end == start and node.form is not Form.PIECE}
        )

    return rest(0, 0, True)  # noqa: FBT003 -- a state of the search
