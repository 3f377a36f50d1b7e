"""From the items of a log-format to elements: literals, and values that are known to be written and to end so."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from haproxy_log_exporter.logformat.aliases import (
    ALIASES,
    CUT_FRAGMENTS,
    FRAGMENTS,
    HEXADECIMAL,
    HEXADECIMAL_ALIASES,
    Alias,
    Part,
    is_sample,
)
from haproxy_log_exporter.logformat.fields import NUMBERS, Holds, Kind
from haproxy_log_exporter.logformat.notation import Notation
from haproxy_log_exporter.logformat.tokens import Item, complain

_JSON_CONVERTER = re.compile(r",json(?:\(([^)]*)\))?\]$")
_CAPTURE = re.compile(r"\[capture\.(req|res)\.hdr\(([0-9]+)\)\]")
_MILLISECONDS = "ms"
_SLOTS = {"req": "request", "res": "response"}
_NAME_BYTES = b"-._:<>~()" + bytes(range(0x30, 0x3A)) + bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B))


@dataclass(frozen=True, slots=True)
class Value:
    """A value: what is printed, how, and the byte that comes behind it.

    `label` is the name by which it can be had besides those of its fields: the one given, or one made of the sample.
    """

    item: Item
    alias: Alias
    notation: Notation
    label: str
    stop: bytes = b""

    @property
    def in_quotes(self) -> bool:
        """Whether it is in quotes that are no part of its own pattern."""
        quoted = "Q" in self.item.flags and "json" not in self.item.flags and self.alias.quotable
        return quoted and not self.notation.hexadecimal and self.alias.kind is not Kind.BLOCK

    def may_hold_stop(self, *, loose: bool = False) -> bool:
        """Whether the byte behind it may be part of it, so that more must be looked at to see its end."""
        if not self.stop or self.notation.hexadecimal or self.notation.json:
            return False
        if self.alias.holds is Holds.NAME and self.alias.kind is not Kind.WORD:
            return False
        return self.may_hold(self.stop, loose=loose)

    def may_hold(self, byte: bytes, *, loose: bool = False) -> bool:
        """Whether a byte may be part of it; in a `loose` reading also blanks where they hardly ever are."""
        match self.alias.holds:
            case Holds.NAME:
                return byte in _NAME_BYTES
            case Holds.URL:
                return byte not in b' "'
            case Holds.WORD:
                return loose or byte != b" "
            case Holds.TEXT:
                return self.alias.kind is not Kind.BLOCK or byte != b'"'


@dataclass(frozen=True, slots=True)
class Element:
    """Literal text, a character for each byte, or a value."""

    literal: str = ""
    value: Value | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it prints."""
        return self.value.alias.fields if self.value else ()


def find_elements(source: str, items: Sequence[Item]) -> list[Element]:
    """Resolve items, put quotes where HAProxy puts them, and tell what comes behind each value.

    Raises:
        UsageError: with a caret under what is unknown, or what does not show where it ends.
    """
    return [*_elements(source, items)]


def _elements(source: str, items: Sequence[Item]) -> Iterator[Element]:
    values = [_value(source, item) if item.name else None for item in items]
    literal = ""
    for index, (item, value) in enumerate(zip(items, values, strict=True)):
        if not value:
            if "\n" in item.text:
                complain(source, item.position, "a line of the log holds no line feed")
            literal += _octets(item.text)
            continue
        quote = '"' if value.in_quotes else ""
        behind = quote
        if not quote and index + 1 < len(items):
            follower = values[index + 1]
            if follower:
                _check_end(source, value, follower)
            behind = _octets(items[index + 1].text)[:1] or _beginning(follower)
        if literal + quote:
            yield Element(literal=literal + quote)
        closed = value.alias.kind in (Kind.BLOCK, Kind.LIST)
        yield Element(value=value if closed else replace(value, stop=behind.encode("latin-1")))
        literal = quote
    if literal:
        yield Element(literal=literal)


def _beginning(value: Value | None) -> str:
    """Tell what a value begins with that is no part of what comes before it."""
    if value and value.in_quotes:
        return '"'
    if value and value.alias.name == _MILLISECONDS:
        return "0"
    return "{" if value and value.alias.kind is Kind.BLOCK else ""


def _octets(text: str) -> str:
    """Write a literal's bytes as a character each."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _value(source: str, item: Item) -> Value:
    """Resolve an item."""
    if "cbor" in item.flags:
        complain(source, item.position, "+cbor writes bytes that are no lines, and is not read; there is +json")
    name, converted, json = item.name, _JSON_CONVERTER.search(item.name), "json" in item.flags
    if is_sample(name):
        alias, label = _find_sample(_JSON_CONVERTER.sub("]", name), item.label)
    else:
        found = ALIASES.get(name)
        if found is None:
            known = ", ".join(f"%{each}" for each in sorted(ALIASES) if not is_sample(each))
            complain(source, item.position, f"unknown item %{name}; there are {known}")
        alias, label = found, as_label(item.label)
    hexadecimal = "X" in item.flags and alias.name in HEXADECIMAL_ALIASES
    notation = Notation(
        dash=alias.holds is not Holds.URL,
        quoted=json or "Q" in item.flags,
        escaped="E" in item.flags and alias.kind not in NUMBERS and not json,
        json=json and alias.kind not in NUMBERS and not hexadecimal,
        converted=("utf-8" if "utf8" in (converted[1] or "") else "bytes") if converted else "",
        hexadecimal=hexadecimal,
        address=alias.kind is Kind.ADDRESS,
        listed=alias.kind is Kind.LIST,
    )
    flagged = _as_json_number(alias, notation, item.type) if json else _as_flagged(alias, notation)
    return Value(item, flagged, notation, label)


def _as_json_number(alias: Alias, notation: Notation, type_: str) -> Alias:
    """Write out what +json makes of a number, "" where there is none; other values have patterns of their own."""
    if alias.kind not in NUMBERS and not notation.hexadecimal:
        return alias
    parts = alias.parts
    if notation.hexadecimal:
        parts = (Part("", '"'), Part(alias.main_field, HEXADECIMAL), Part("", '"'))
    elif type_ == "bool":
        return replace(alias, parts=(Part("", "(?:true|false)"),))
    elif type_ == "str":
        parts = (Part("", '"'), *parts, Part("", '"'))
    elif alias.name == _MILLISECONDS:
        parts = (Part(alias.main_field, FRAGMENTS[Kind.COUNT]),)
    return replace(alias, parts=(Part("", '(?:""|'), *parts, Part("", ")")))


def _as_flagged(alias: Alias, notation: Notation) -> Alias:
    """Write out what flags change in an alias's own pattern."""
    parts = alias.parts
    if notation.hexadecimal:
        parts = (Part(alias.fields[0], HEXADECIMAL),)
    if notation.quoted and (notation.hexadecimal or alias.kind is Kind.PORT) and not alias.is_sample:
        parts = (Part("", '(?:""|'), *parts, Part("", ")"))  # a number has no quotes, but where there is none
    if notation.quoted and alias.kind is Kind.BLOCK:
        parts = (Part("", '"'), *parts, Part("", '"'))
    if not notation.quoted and alias.kind is Kind.LIST:
        text = Part(alias.fields[0], FRAGMENTS[Kind.TEXT])
        return replace(alias, parts=(text,), kind=Kind.TEXT, cut=CUT_FRAGMENTS[Kind.TEXT])
    return replace(alias, parts=parts)


def _find_sample(expression: str, given: str) -> tuple[Alias, str]:
    """Find the field that a sample fills: an alias's, the one it is named after, or one of its own."""
    key = re.sub(r"[\"'\\ ]", "", expression).replace("()", "")
    name = as_label(given) or sample_name(expression)
    if key in ALIASES:
        return ALIASES[key], name
    text = Alias(key, (Part(name, FRAGMENTS[Kind.TEXT]),), Kind.TEXT, CUT_FRAGMENTS[Kind.TEXT], holds=Holds.TEXT)
    return text, ""


def made_names() -> frozenset[str]:
    """List the names made of samples that fill a field with a name of its own: they need not be told."""
    return frozenset(sample_name(name) for name in ALIASES if is_sample(name))


def sample_name(expression: str) -> str:
    """Make a label's name of a sample expression in its brackets: [req.hdr(Host)] is req_hdr_host."""
    if match := _CAPTURE.fullmatch(expression):
        return f"{_SLOTS[match[1]]}_header_{int(match[2]) + 1}"
    return as_label(expression.lower()) or "sample"


def as_label(text: str) -> str:
    """Make of a text what Prometheus allows in a label's name; nothing of nothing."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
    return f"_{name}" if name[:1].isdigit() else name


def _check_end(source: str, value: Value, follower: Value) -> None:
    """Refuse a value that does not show where the next one begins."""
    if _ends_itself(value, follower):
        return
    problem = f"nothing tells where {value.item.written} ends and {follower.item.written} begins"
    if value.alias.holds is Holds.TEXT is follower.alias.holds:
        problem = f"two free texts touch: {problem}"
    complain(source, follower.item.position, f"{problem}; put something between them, or write %{{+Q}}")


def _ends_itself(value: Value, follower: Value) -> bool:
    """Whether a value's end shows without anything between it and the next one."""
    alias = value.alias
    if alias.kind in (Kind.BLOCK, Kind.LIST, Kind.DATE, Kind.STATE) or value.notation.json:
        return True
    if follower.in_quotes and alias.kind is not Kind.TEXT:
        return True
    if alias.name in ("HP", "HPO") and follower.alias.name == "HQ":
        return True  # nothing of the one is a question mark, which begins the other
    if alias.kind in NUMBERS and follower.alias.name == _MILLISECONDS and not follower.notation.hexadecimal:
        return True  # always three digits
    return alias.kind in NUMBERS and follower.alias.kind in (Kind.STATE, Kind.BLOCK)
