"""How a value stands in a line, and back from there to the value."""

import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

_BACKSLASHED = re.compile(rb"\\(.)", re.DOTALL)
_JSON_STRING = re.compile(rb'"(?>[^"\\]*+(?:\\.[^"\\]*+)*)"', re.DOTALL)
_IPV4_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Notation:
    """What the flags of an item, and its converters, make of its value.

    `dash`: an empty value is one, unless it is `quoted`: then it is "" or nothing at all. `escaped`: by +E. `json`: by
    +json. `converted`: by the converter `json`, which took its input for "utf-8" or for "bytes". `hexadecimal`: by +X.
    `address`: it is one. `listed`: headers as a list, not as {a|b}.
    """

    dash: bool = True
    quoted: bool = False
    escaped: bool = False
    json: bool = False
    converted: str = ""
    hexadecimal: bool = False
    address: bool = False
    listed: bool = False

    @property
    def escapes(self) -> tuple[bytes, ...]:
        """The bytes before which a backslash always stands within the value."""
        return (b'"', b"]") if self.escaped else (b'"',) if self.converted else ()

    @property
    def is_verbatim(self) -> bool:
        """Whether a value that is there stands as it is."""
        return not (self.escaped or self.json or self.converted or self.hexadecimal)

    def value(self, raw: bytes | None) -> bytes | None:
        """Give back the value; None where it is empty."""
        if (
            not raw
            or (raw == b"-" and self.dash and (self.hexadecimal or not self.quoted))
            or (raw == b"null" and self.json)
        ):
            return None
        if self.hexadecimal:
            return self._number(raw)
        value = self._text(raw)
        if self.converted:
            value = _from_json(b'"' + value + b'"')
            if self.converted == "bytes":
                value = value.decode("utf-8", "surrogateescape").encode("latin-1", "replace")
        return value or None

    def headers(self, raw: bytes) -> list[bytes]:
        """Divide captured headers; those that were not there are empty."""
        if not self.listed:
            return [*map(self._text, raw.split(b"|"))]
        if not raw:
            return []
        if self.json:
            return [b"" if header == b'"-"' else _from_json(header) for header in _JSON_STRING.findall(raw)]
        if self.quoted:
            return [*map(self._text, raw[1:-1].split(b'" "'))]
        return [b"" if header == b"-" else self._text(header) for header in raw.split(b" ")]

    def _number(self, raw: bytes) -> bytes:
        """Read what +X has written: IPv4 in 8 digits, IPv6 in 32, or a number."""
        number = int(raw, 16)
        if self.address:
            return str(IPv4Address(number) if len(raw) == _IPV4_DIGITS else IPv6Address(number)).encode()
        return b"%d" % number

    def _text(self, raw: bytes) -> bytes:
        if self.json:
            return _from_json(raw if raw.startswith(b'"') else b'"' + raw + b'"')
        return _BACKSLASHED.sub(rb"\1", raw) if self.escaped else raw


PLAIN = Notation()


def _from_json(raw: bytes) -> bytes:
    """Undo a string of JSON; HAProxy leaves control characters and bytes that are not UTF-8 as they are."""
    try:
        text = json.loads(raw.decode("utf-8", "surrogateescape"), strict=False)
        return str(text).encode("utf-8", "surrogateescape")
    except ValueError:
        return raw[1:-1]
