r"""Log-formats composed from HAProxy's language, lines that HAProxy writes by them, and how a line may be split.

A format is drawn as nodes: literals, blanks (which merge, as in sess_build_logline() of src/log.c) and items. Its
string is what haproxy.cfg would have outside of quotes. A line is drawn as one value for each item; `settle` makes the
values such that the line can be told apart by the rule that a value without an end of its own ends at the first place
where what is behind it in the format fits. `can_mean` tells whether any split of a line gives certain fields.

Nothing here knows the package.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.logformat.items import ALIASES, EQUALS, samples
from tests.logformat.writing import UNTOLD, Form, Item, Value, meaning, read, write

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


# Formats.

_LITERALS = (
    *" /:|,;=[](){}\"'-\t<>~&^`$*?@!_é→",
    *("  ", " ", "\\ ", " - ", "--", ", ", '\\"', "\\\\", "\\#", "%%", "%.", '","k":"', 'k="', " k=", "x", "0"),
)
_CHAR = re.compile(r"[\\%](.)|(.)", re.DOTALL)
_HEXADECIMAL = tuple("0123456789abcdefABCDEF")
_NAMES = st.sampled_from(("", "", "a1", "user_agent", "x-id", "Trace"))
_TYPES = {
    Form.TEXT: st.sampled_from(("", "str")),
    Form.SAMPLED_FLAG: st.sampled_from(("", "str", "sint", "bool")),
    Form.SAMPLED_NUMBER: st.sampled_from(("", "str", "sint")),
    Form.NUMBER: st.sampled_from(("", "str", "sint")),
}
_VALUES = st.one_of(st.sampled_from(ALIASES), st.sampled_from(ALIASES), st.sampled_from(EQUALS), samples())
_LITERAL = st.lists(st.sampled_from(_LITERALS), max_size=3).map("".join)
_ODDS = st.integers(0, 9)
_CHANGES = st.lists(st.tuples(st.sampled_from("++++-"), st.sampled_from("QQEEX")), max_size=2)


def _printed(literal: str) -> list[bytes]:
    """Take the notation out of a literal: a node for each character, blanks as nodes of their own."""
    return [(match[1] or match[2]).encode() for match in _CHAR.finditer(literal)]


def _spell(changes: list[tuple[str, str]]) -> str:
    return "{" + ",".join(sign + flag for sign, flag in changes) + "}" if changes else ""


def _change(flags: frozenset[str], changes: list[tuple[str, str]]) -> frozenset[str]:
    for sign, flag in changes:
        flags = flags | {flag} if sign == "+" else flags - {flag}
    return flags


@st.composite
def _items(draw: st.DrawFn, common: frozenset[str], *, old: bool) -> tuple[str, str, Item]:
    """Draw an item with flags upon the common ones, and from 3.0 on a name and a type: its string, its name, itself."""
    item = draw(_VALUES)
    changes = draw(_CHANGES)
    if not old and draw(_ODDS) == 0:
        changes.append(("+", "json"))
    flags = _change(common, changes)
    if "json" in flags:
        flags -= {"E"}  # _lf_expr_postcheck_node_opt()
    name = "" if old else draw(_NAMES)
    type_ = draw(_TYPES[item.form]) if name and item.form in _TYPES else ""
    spelled = (f"({name}:{type_})" if type_ else f"({name})") if name else ""
    fields = (re.sub("[^A-Za-z0-9]", "_", name),) if item.own and name else item.fields
    values = item.values.map(_no_socket) if item.form is Form.ADDRESS and "X" in flags else item.values
    text = f"%{spelled}{_spell(changes)}{item.name}"
    return text, name, replace(item, flags=flags, type=type_, fields=fields, values=values)


def _no_socket(address: str | None) -> str | None:
    return "127.0.0.1" if address == "unix" else address


def _needs_end(item: Item) -> bool:
    """Whether there must be a literal behind it."""
    match item.form:
        case Form.FIXED | Form.BLOCK:
            return False
        case Form.TEXT | Form.PIECE | Form.FRONTEND:
            return not item.quoted
        case Form.ADDRESS | Form.SAMPLED_NUMBER | Form.SAMPLED_FLAG:
            return "Q" not in item.flags or bool(item.flags & {"X", "json"})
        case _:
            return True


def _may_follow(item: Item, literal: str, *, port: bool, loose: bool) -> bool:
    """Whether an item's end shows with such a literal behind it; before a port, a colon ends an address."""
    if literal and literal[0].isascii() and literal[0].isalnum() and not item.name.startswith("["):
        return False  # part of the alias
    if loose or not literal:
        return loose or not _needs_end(item)
    first = _printed(literal)[0].decode()
    if item.form is Form.ADDRESS and _needs_end(item):
        return literal == ":" if first == ":" and port else first not in (":", ".", *_HEXADECIMAL)
    if item.numeric and _needs_end(item):
        return first not in _HEXADECIMAL
    if item.form in (Form.BLOCK, Form.LIST):
        # Where it is absent, what follows must not look like it; a list's last member needs an end.
        visible = "".join(node.decode() for node in _printed(literal)).strip(" ")
        return visible[:1] not in ('"', "{") and (visible != "" or item.form is Form.BLOCK)
    return True


@st.composite
def formats(draw: st.DrawFn, *, loose: bool = False) -> Format:
    """Draw a format of which every value can be told apart, given fitting values; with `loose`, any format."""
    old = draw(st.booleans())
    as_object = not old and draw(_ODDS) < 2
    source, common = ("%{+json}o ", frozenset({"json"})) if as_object else ("", frozenset[str]())
    nodes: list[Node] = []
    members: list[Node] = []
    for _ in range(draw(st.integers(1, 6))):
        before = nodes[-1] if nodes else None
        literal = draw(_LITERAL)
        if draw(_ODDS) == 0:
            changes = draw(_CHANGES)
            source, literal, common = source + f"%{_spell(changes)}o", f" {literal}", _change(common, changes)
        text, name, item = draw(_items(common, old=old))
        if isinstance(before, Item) and not _may_follow(before, literal, port=item.form is Form.PORT, loose=loose):
            literal = " ; "
        source += literal + text
        nodes += [*_printed(literal), item]
        if name:
            members += [f'{", " if members else "{"}"{name}": '.encode(), item]
    if as_object and not members:
        source, members = f"{source} %(ip)ci", [b'{"ip": ', replace(ALIASES[0], flags=common)]
    end = draw(_LITERAL)
    if isinstance(nodes[-1], Item) and not _may_follow(nodes[-1], end, port=False, loose=loose):
        end = ""
    if as_object:
        return Format(source, (*members, b"}"), old)
    return Format(source + end, (*nodes, *_printed(end)), old)


# Lines.


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
        told, found = (" ".join(member or "-" for member in members) for members in (told, found))
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
    if item.form in (Form.TEXT, Form.PIECE) and item.quoted and not item.flags & {"E", "json"}:
        return value.rstrip(b"\\")  # syslog-ng writes quotes as \"
    if item.form is Form.LIST and value is not None and not item.quoted:
        value = [header.replace(b" ", b"") for header in value]
    return value


def _shorten(item: Item, value: Value) -> Value:
    """Make a value shorter, of a kind that HAProxy prints; as it is where that cannot be done."""
    match item.form:
        case Form.FRONTEND:
            return (value[0][:-1] or value[0], False)
        case Form.LIST:
            return value and (value[:-1] or None)
        case Form.PIECE:
            least = {"HU": b"/", "HP": b"/", "HPO": b"/", "HQ": b"?"}.get(item.name, b"G")
            return least if value in (b"<BADREQ>", b"") else (value[:-1].rstrip() or value)
        case _ if item.converter == "utf8s":
            return value.decode()[:-1].encode()
        case _:
            return value[:-1]


_UNIT = {True: re.compile(rb"\\u[0-9a-f]{4}|\\.|.", re.DOTALL), False: re.compile(rb".", re.DOTALL)}


def _ends_early(form: Format, index: int, values: Sequence[Value]) -> bool:
    """Whether what is behind a value fits within it as well."""
    item = form.items[index]
    line, places = render(form, values)
    start, end = places[index]
    behind = _behind(form, index)
    escaped = bool(item.flags & {"E", "json"}) or item.converter is not None
    units = [match.start() for match in _UNIT[escaped].finditer(line, start, end)]
    first = 0 if item.form is Form.PIECE and item.name in ("HPO", "HQ") and not item.quoted else 1
    return any(behind.match(line, at) for at in units[first:] if at < end - item.quoted)


def _behind(form: Format, index: int) -> "re.Pattern[bytes]":
    """Say what is behind an item up to the next value without an end of its own, more loosely than it can be."""
    at = [place for place, node in enumerate(form.nodes) if isinstance(node, Item)][index]
    pattern = b'"' if form.items[index].quoted else b""
    for place, node in enumerate(form.nodes[at + 1 :]):
        if isinstance(node, bytes):
            pattern += (b" " if place == 0 else b" ?") if node == BLANK else re.escape(node)
        elif node.open or node.quoted or node.own:
            return re.compile(pattern + b'"' * (node.quoted and node.form not in (Form.BLOCK, Form.LIST)), re.DOTALL)
        else:
            pattern += rb"[-+0-9A-Fa-f:.unix]*" if node.numeric else b".*?"
    return re.compile(pattern + rb"\Z", re.DOTALL)


_LONGEST = 41  # an address of IPv6 in quotes


def can_mean(form: Format, line: bytes, found: Fields) -> bool:
    """Whether there is a split of a line, each piece of it as HAProxy could print it, that gives these fields."""
    owned = iter(_owned(form))
    nodes = [(node, next(owned) if isinstance(node, Item) else set()) for node in form.nodes]

    def fits(item: Item, printed: bytes, fields: set[str]) -> bool:
        try:
            told = meaning(item, read(item, printed))
        except (ValueError, UnicodeError):
            return False
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
                return rest(place + 1, start, True)  # noqa: FBT003 -- as above
            return line.startswith(node, start) and rest(place + 1, start + len(node), node == BLANK)
        return any(
            rest(place + 1, end, still)
            for end in ends(node, start, fields)
            for still in {blank and end == start, blank and end == start and node.form is not Form.PIECE}
        )

    return rest(0, 0, True)  # noqa: FBT003 -- as above
