r"""What HAProxy may have meant: the inverse of writing, and the fields that a value stands for.

`read` tells of any bytes whether HAProxy could have printed them for an item, and of which value. So it can be said
what a line means, and whether it could mean something else as well. Nothing here knows the package.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from tests.logformat.writing import JSON_SHORT, Form, Item, Value, write


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


_SHORT_BACK = {text[1]: chr(octet) for octet, text in JSON_SHORT.items()}


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
    if printed == (b"null" if "json" in item.flags else b""):
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
            return {field: _decode(octets) for field, octets in _pieces(item.name, value).items()}
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
