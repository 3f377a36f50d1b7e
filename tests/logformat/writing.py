r"""Values of HAProxy's log-format language: what each item holds, how HAProxy writes it, and what that means.

This is a second writer of the rules in HAProxy's src/log.c (2.6 and 3.x; the functions' names are given where a rule
comes from), checked against what HAProxy 2.6 prints. It knows nothing of the package, which is held against it.

Strategy: an item is written by `write`, and `read` is its inverse: it tells of any bytes whether HAProxy could have
printed them for the item, and of which value. So with both it can be said what a line means, and whether it could mean
something else as well.
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


_JSON_SHORT = {0x22: '\\"', 0x5C: "\\\\", 0x2F: "\\/", 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}


def _to_json(octets: bytes, code: str) -> bytes:
    """Escape as the converter json does: of bytes (ascii, the default), or of what UTF-8 makes of them."""
    text = octets.decode("latin-1" if code in ("", "ascii") else "utf-8", "ignore")
    return "".join(
        _JSON_SHORT.get(ord(char)) or (char if " " <= char < "\x7f" else f"\\u{ord(char):04x}") for char in text
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


def read(item: Item, printed: bytes) -> Value:
    """Give a value that would be written as these bytes.

    Raises:
        ValueError: where there is none.
    """
    value = _READERS[item.form](item, printed)
    if write(item, value) != printed:
        raise ValueError(printed)
    return value


def _read_text(item: Item, printed: bytes) -> bytes:
    if item.quoted:
        if len(printed) < 2 or printed[:1] != b'"' or printed[-1:] != b'"':
            raise ValueError(printed)
        printed = printed[1:-1]
    elif printed == b"-" and item.form is not Form.PIECE:
        return b""
    return _unescape(item, printed)


def _unescape(item: Item, octets: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", octets, flags=re.DOTALL) if item.flags & {"json", "E"} else octets


_SHORT_BACK = {text[1]: chr(octet) for octet, text in _JSON_SHORT.items()}


def _read_sampled_text(item: Item, printed: bytes) -> bytes:
    octets = _read_text(item, printed)
    if item.converter is None:
        return octets
    text = re.sub(
        r"\\(?:u([0-9a-f]{4})|(.))",
        lambda match: chr(int(match[1], 16)) if match[1] else _SHORT_BACK.get(match[2], ""),
        octets.decode("latin-1"),
    )
    return text.encode("latin-1" if item.converter in ("", "ascii") else "utf-8", "replace")


def _read_frontend(item: Item, printed: bytes) -> tuple[bytes, bool]:
    text = _read_text(item, printed)
    return (text.removesuffix(b"~"), text.endswith(b"~"))


def _unbare(item: Item, printed: bytes) -> bytes:
    if "json" in item.flags:
        if len(printed) < 2 or printed[:1] + printed[-1:] != b'""':
            raise ValueError(printed)
        return printed[1:-1]
    return printed


def _read_address(item: Item, printed: bytes) -> str | None:
    if "X" in item.flags and printed not in (b"-", b'""'):
        return str(ipaddress.ip_address(bytes.fromhex(_unbare(item, printed).decode("ascii"))))
    text = _read_text(item, printed).decode("ascii", "replace")
    if text not in ("", "unix"):
        ipaddress.ip_address(text)
    return text or None


def _read_number(item: Item, printed: bytes) -> Value:
    if printed in (b"-", b'""') and item.form in (Form.PORT, Form.SAMPLED_NUMBER, Form.SAMPLED_FLAG):
        return None
    if printed in (b"true", b"false"):
        return int(printed == b"true")
    if item.form in (Form.PORT, Form.COUNTER) and "X" in item.flags:
        return int(_unbare(item, printed), 16)
    number = int(printed.strip(b'"').removeprefix(b"+"))
    return (printed.startswith(b"+"), number) if item.form is Form.PARTIAL else number


def _read_fixed(item: Item, printed: bytes) -> bytes:
    octets = _unbare(item, printed)
    if not re.fullmatch(
        rb"[-A-Za-z]{2}|[-A-Za-z]{4}|[0-3][0-9]/[A-Z][a-z]{2}/.{13}(?:\.[0-9]{3}| [-+][0-9]{4})", octets
    ):
        raise ValueError(printed)
    return octets


def _read_headers(item: Item, printed: bytes) -> list[bytes] | None:
    if printed in (b"", b"null"):
        return None
    if item.form is Form.BLOCK:
        return _read_text(item, printed)[1:-1].split(b"|")
    if not item.quoted:
        members = [printed]  # how many they are cannot be told
    else:
        members = printed.strip(b"[]")[1:-1].split(b'", "' if "json" in item.flags else b'" "')
    return [b"" if member == b"-" and "Q" not in item.flags else _unescape(item, member) for member in members]


_READERS: dict[Form, Callable[[Item, bytes], Value]] = {
    Form.TEXT: _read_sampled_text,
    Form.PIECE: _read_text,
    Form.FRONTEND: _read_frontend,
    Form.ADDRESS: _read_address,
    Form.PORT: _read_number,
    Form.NUMBER: _read_number,
    Form.COUNTER: _read_number,
    Form.PARTIAL: _read_number,
    Form.FIXED: _read_fixed,
    Form.BLOCK: _read_headers,
    Form.LIST: _read_headers,
    Form.SAMPLED_NUMBER: _read_number,
    Form.SAMPLED_FLAG: _read_number,
}


UNTOLD = ...  # what the line does not tell, so that whatever is said of it counts

_TO_PATH = re.compile(rb"(?:[A-Za-z][-+.0-9A-Za-z]*://[^/?#]*)?((?:(?!#23)[^?])*)")


def meaning(item: Item, value: Value) -> dict[str, Any]:
    """Tell the fields that a value stands for, as `parse` gives them in JSON; None where there is none."""
    match item.form:
        case Form.PIECE:
            text = b"" if value == b"-" and not item.quoted else value
            return {field: _decode(octets) for field, octets in _pieces(item.name, text).items()}
        case Form.FRONTEND:
            return {"frontend_name": _decode(value[0]), "ssl": value[1]}
        case Form.TEXT | Form.FIXED:
            field_value: Any = None if value == b"-" and not item.quoted else _decode(value)
        case Form.BLOCK | Form.LIST:
            field_value = value and [_decode(header) or "" for header in value]
        case Form.PARTIAL if item.name == "rc":
            return {"retries": value[1], "redispatched": UNTOLD if "json" in item.flags else value[0]}
        case Form.PARTIAL:
            field_value = value[1]
        case Form.SAMPLED_FLAG if value is not None and not item.own:
            field_value = bool(value)
        case Form.SAMPLED_NUMBER | Form.SAMPLED_FLAG if value is not None and item.own:
            field_value = write(item, value).decode().strip('"')
        case _:
            field_value = value
    return {item.fields[0]: field_value}


def _decode(octets: bytes | None) -> str | None:
    return octets.decode("utf-8", "replace") if octets else None


def _pieces(name: str, text: bytes) -> dict[str, bytes | None]:
    """Split what an alias prints of a request into its fields."""
    method = uri = query = version = path = None
    if name == "r":
        words = text.split(b" ")
        method, uri, version, *_ = (None, None, None) if text == b"<BADREQ>" else (*words, b"", b"")
        path = uri
    elif text != b"<BADREQ>":
        method, version = (text if name == alias else None for alias in ("HM", "HV"))
        uri = text if name == "HU" else None
        query = text[1:] if name == "HQ" else None
        path = text if name in ("HP", "HPO") else uri
    if path:
        match = _TO_PATH.match(path)
        path = match[1] or b"/" if match else None
    found = {
        "http_request_method": method,
        "http_request_uri": uri,
        "http_request_path": path,
        "http_request_query": query,
        "http_version": version,
    }
    return {field: found[field] for field in PIECES[name]}


# The fields of what an alias prints of a request.
PIECES: dict[str, tuple[str, ...]] = {
    "r": ("http_request_method", "http_request_uri", "http_request_path", "http_version"),
    "HM": ("http_request_method",),
    "HU": ("http_request_uri", "http_request_path"),
    "HP": ("http_request_path",),
    "HPO": ("http_request_path",),
    "HQ": ("http_request_query",),
    "HV": ("http_version",),
}
