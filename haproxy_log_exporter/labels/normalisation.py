"""Paths as HAProxy wrote them, each in the one way in which equal paths are equal texts.

Strategy: paths come by the thousand, most need nothing, and a step of Python for each would cost more than all that
is done here. So they are joined, a line each, looked through once for bytes that are not plain, and changed by passes
over the whole. What is made is ASCII: other bytes are percent-encoded, from whatever format they come.
"""

import re

# What a normalised path may hold as it is; "%" begins what is encoded.
_PLAIN = bytes(byte for byte in range(0x21, 0x7F) if byte not in b'"#')
_SURELY_FINE = _PLAIN.replace(b"%", b"") + b"\n"
# encode_string() in HAProxy's src/log.c: bytes below 32, from 127 up, '"' and "#" are "#XX" in capitals. So "#23", or
# a "#" without two such digits, begins a fragment.
FRAGMENT = re.compile(rb"#(?:23|(?![0-9A-F]{2}))[^\n]*+")
_NOT_PLAIN = re.compile(rb"([^\n" + re.escape(_PLAIN) + rb"])")
# RFC 3986, section 2.1. One that follows a broken one directly stays as well: decoded, it might complete it.
_ENCODED = re.compile(rb"(%(?<!%%)(?<!%[0-9A-Fa-f]%)[0-9A-Fa-f]{2})")
# RFC 3986, section 2.3: these are the same whether encoded or not.
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# Section 6.2.2.3; "/../" is left: what it leads to is the server's to say.
_EMPTY_SEGMENTS = re.compile(rb"/(?=[/.])(?:(?:\.?/)++(?:\.(?=\n))?|\.(?=\n))")

_WRITTEN = {bytes([byte]): b"%%%02X" % byte for byte in range(256)}
_NORMAL = {
    f"%{high}{low}".encode(): bytes([code]) if (code := int(high + low, 16)) in _UNRESERVED else b"%%%02X" % code
    for high in "0123456789ABCDEFabcdef"
    for low in "0123456789ABCDEFabcdef"
}


def normalise(text: bytes) -> str:
    """Give the normal forms of paths that begin with "/", each with a newline behind it, here and there.

    Fragments are cut off, "#XX" of HAProxy and bytes that no path holds as they are become "%XX", unreserved
    characters are decoded, digits of others are capitals (RFC 3986, section 6.2.2), and empty segments and "." go.
    """
    if special := text.translate(None, _SURELY_FINE):
        text = _encode(text, special)
    return _EMPTY_SEGMENTS.sub(b"/", text).decode("ascii")


def normalise_one(path: str) -> str:
    """Give the normal form of one path that begins with "/"."""
    return normalise(path.encode().replace(b"\n", b"%0A") + b"\n")[:-1]


def _encode(text: bytes, special: bytes) -> bytes:
    """Write what is not plain; `special` are those of its bytes that are not surely fine."""
    if b"#" in special:
        text = FRAGMENT.sub(b"", text).replace(b"#", b"%")
    if special.translate(None, b"#%"):
        pieces = _NOT_PLAIN.split(text)
        pieces[1::2] = map(_WRITTEN.__getitem__, pieces[1::2])
        text = b"".join(pieces)
    if b"%" in text:
        pieces = _ENCODED.split(text)
        pieces[1::2] = map(_NORMAL.__getitem__, pieces[1::2])
        text = b"".join(pieces)
    return text
