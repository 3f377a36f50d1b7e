"""Log-formats composed from HAProxy's language.

A format is drawn as nodes: literals, blanks and items. Its string is what haproxy.cfg would have outside of quotes.
Unless it is drawn `loose`, the end of each value shows by what is behind it, given fitting values. Nothing here knows
the package.
"""

import re
from dataclasses import replace

from hypothesis import strategies as st

from tests.logformat.items import ALIASES, EQUALS, STATUS, samples
from tests.logformat.rendering import Format, Node
from tests.logformat.writing import Form, Item

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
_WORDS = (Form.TEXT, Form.PIECE, Form.FRONTEND, Form.BLOCK, Form.ADDRESS)
WORDY = st.one_of(st.sampled_from([alias for alias in ALIASES if alias.form in _WORDS]), samples())
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
def _items(
    draw: st.DrawFn, choice: st.SearchStrategy[Item], common: frozenset[str], *, old: bool
) -> tuple[str, str, Item]:
    """Draw an item with flags upon the common ones, and from 3.0 on a name and a type: its string, its name, itself."""
    item = draw(choice)
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
        return literal != "" or not _needs_end(item)
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
def formats(draw: st.DrawFn, choice: st.SearchStrategy[Item] = _VALUES, *, loose: bool = False) -> Format:
    """Draw a format of which every value can be told apart, given fitting ones; with `loose`, any format."""
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
        text, name, item = draw(_items(choice, common, old=old))
        if isinstance(before, Item) and not _may_follow(before, literal, port=item.form is Form.PORT, loose=loose):
            literal = " ; "
        source += literal + text
        nodes += [*_printed(literal), item]
        if name:
            members += [f'{", " if members else "{"}"{name}": '.encode(), item]
    if as_object and not members:
        source, members = f"{source} %(st)ST", [b'{"st": ', replace(STATUS, flags=common)]
    end = draw(_LITERAL)
    if isinstance(nodes[-1], Item) and not _may_follow(nodes[-1], end, port=False, loose=loose):
        end = ""
    if as_object:
        return Format(source, (*members, b"}"), old)
    return Format(source + end, (*nodes, *_printed(end)), old)
