r"""Values of HAProxy's log-format language: what each item holds, and how HAProxy writes it.

This is a second writer of the rules in HAProxy's src/log.c (2.6 and 3.x; the functions' names are given where a rule
comes from), checked against what HAProxy 2.6 prints. It knows nothing of the package, which is held against it.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hypothesis import strategies as st

Value = Any  # bytes, a number, None where there is none, or a pair or list of these: as the item's form has it


class Form(Enum):
    """How a value is written, after the function of src/log.c that does it."""

    TEXT = "lf_text: a dash where it is empty"
    PIECE = "a piece of the request: nothing where it is empty"
    FRONTEND = "the frontend's name, with ~ for TLS"
    ADDRESS = "lf_ip"
    PORT = "lf_port"
    NUMBER = "lf_int"
    COUNTER = "a number that +X changes"
    PARTIAL = "a number with + before it where it is not final"
    FIXED = "dates and termination states: as they are"
    BLOCK = "captured headers as {a|b}, or nothing"
    LIST = "captured headers one by one, or nothing"
    SAMPLED_NUMBER = "a sample that is a number: text, unless JSON keeps its type"
    SAMPLED_FLAG = "a sample that is a boolean: 0 or 1 as text, unless JSON keeps its type"


@dataclass(frozen=True)
class Item:
    """One value of a format: its row, its flags and the type asked for.

    `name` is the alias, or the expression in its brackets. `own` is set where the one field is a sample's own.
    `converter` is the argument of a final converter json.
    """

    name: str
    form: Form
    values: st.SearchStrategy[Value] = field(repr=False)
    fields: tuple[str, ...]
    flags: frozenset[str] = frozenset()
    type: str = ""
    own: bool = False
    converter: str | None = None

    @property
    def quoted(self) -> bool:
        """Whether there are quotes around what is text."""
        return bool(self.flags & {"Q", "json"})

    @property
    def open(self) -> bool:
        """Whether nothing in the value itself tells where it ends."""
        if self.form is Form.LIST:
            return not self.quoted
        if self.form in (Form.SAMPLED_NUMBER, Form.SAMPLED_FLAG):
            return False
        return self.form in (Form.TEXT, Form.PIECE, Form.FRONTEND) and not (
            "json" in self.flags or {"Q", "E"} <= self.flags
        )

    @property
    def numeric(self) -> bool:
        """Whether it ends where its digits end."""
        return self.form not in (Form.TEXT, Form.PIECE, Form.FRONTEND, Form.FIXED, Form.BLOCK, Form.LIST)


def write(item: Item, value: Value) -> bytes:
    """Write a value as HAProxy does; but with +X it ends the whole line at a socket's address, which is not done."""
    return _WRITERS[item.form](item, value)


def _write_text(item: Item, value: bytes) -> bytes:
    return _text(item, value if item.converter is None else _to_json(value, item.converter))


def _write_piece(item: Item, value: bytes) -> bytes:
    return _text(item, value, empty=b"")


def _write_frontend(item: Item, value: tuple[bytes, bool]) -> bytes:
    return _text(item, value[0] + b"~" * value[1])


def _write_address(item: Item, value: str | None) -> bytes:
    if value and "X" in item.flags:
        return _bare(item, ipaddress.ip_address(value).packed.hex().upper().encode())
    return _text(item, (value or "").encode())


def _write_counter(item: Item, value: int | None) -> bytes:
    if value is None:
        return _text(item, b"")
    if "X" in item.flags:
        return _bare(item, b"%0*X" % (2 if item.name == "ms" else 4, value))
    return b"%03d" % value if item.name == "ms" and "json" not in item.flags else _number(item, value)


def _write_partial(item: Item, value: tuple[bool, int]) -> bytes:
    sign = b"+" if value[0] and "json" not in item.flags else b""
    return sign + _number(item, value[1])


def _write_sampled(item: Item, value: int | None) -> bytes:
    if value is None or "json" not in item.flags:
        return _text(item, b"" if value is None else b"%d" % value)
    if item.form is Form.SAMPLED_FLAG and not item.type:
        return b"true" if value else b"false"
    return _number(item, value)


def _text(item: Item, octets: bytes, empty: bytes = b"-") -> bytes:
    """lf_text_len() and its kin: escaped, in quotes, a dash where it is empty and in none."""
    specials = rb'["\\]' if "json" in item.flags else rb'["\\\]]'
    if item.flags & {"json", "E"}:
        octets = re.sub(specials, rb"\\\g<0>", octets)
    return b'"%b"' % octets if item.quoted else octets or empty


def _bare(item: Item, octets: bytes) -> bytes:
    """lf_rawtext(): no quotes but JSON's."""
    return b'"%b"' % octets if "json" in item.flags else octets


def _number(item: Item, value: int) -> bytes:
    """lf_int(): JSON may ask for another type."""
    if "json" in item.flags and item.type == "str":
        return b'"%d"' % value
    if "json" in item.flags and item.type == "bool":
        return b"true" if value else b"false"
    return b"%d" % value


def _headers(item: Item, value: list[bytes] | None) -> bytes:
    """%hr, %hrl and their kin: members are encoded as #XX already, an empty one was not captured."""
    json = "json" in item.flags
    if value is None:
        return b"null" if json else b""
    if item.form is Form.BLOCK:
        return _text(item, b"{" + b"|".join(value) + b"}")
    missing = b"" if "Q" in item.flags else b"-"
    members = [_text(item, member or missing) for member in value]
    return b"[%b]" % b", ".join(members) if json else b" ".join(members)


JSON_SHORT = {0x22: '\\"', 0x5C: "\\\\", 0x2F: "\\/", 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}


def _to_json(octets: bytes, code: str) -> bytes:
    """Escape as the converter json does: of bytes (ascii, the default), or of what UTF-8 makes of them."""
    text = octets.decode("latin-1" if code in ("", "ascii") else "utf-8", "ignore")
    return "".join(
        JSON_SHORT.get(ord(char)) or (char if " " <= char < "\x7f" else f"\\u{ord(char):04x}") for char in text
    ).encode()


_WRITERS: dict[Form, Callable[[Item, Value], bytes]] = {
    Form.TEXT: _write_text,
    Form.PIECE: _write_piece,
    Form.FRONTEND: _write_frontend,
    Form.ADDRESS: _write_address,
    Form.PORT: _write_counter,
    Form.NUMBER: _number,
    Form.COUNTER: _write_counter,
    Form.PARTIAL: _write_partial,
    Form.FIXED: _bare,
    Form.BLOCK: _headers,
    Form.LIST: _headers,
    Form.SAMPLED_NUMBER: _write_sampled,
    Form.SAMPLED_FLAG: _write_sampled,
}
