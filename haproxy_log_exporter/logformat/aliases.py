r"""How each alias is written in a line: fragments of regular expressions, and the aliases that print several fields.

Facts are from HAProxy's configuration manual, chapters 8.2 and 8.6, and src/log.c.

Strategy: a fragment is a regular expression in which `$word`, `$text`, … stand for byte classes that end where the
value ends: at the quote that closes it or at the first byte of the literal behind it. The compiler fills them in,
since only it knows what follows. Every repeat is possessive and no class holds a newline, so no line can make a
match go back far, nor reach into the next line. Alternatives need no atomic group, which costs time, where at most
one of them leads on. Classes are written as what they hold, not as what they lack:
Python's engine tests a range in one step, a negated set in as many steps as it has members.
"""

from dataclasses import dataclass, replace

from haproxy_log_exporter.logformat.fields import FIELDS, KINDS, NUMBERS, Field, Holds, Kind


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a composite alias: a field by name, or bare syntax (no name)."""

    name: str
    pattern: "str | tuple[Part, ...]"


# The bytes of a class, before those that end the value are taken out: (lowest byte, bytes that are never in it).
CLASSES: dict[str, tuple[int, bytes]] = {
    "$word": (0x21, b""),  # no blank: names, cookies, addresses
    "$name": (0x21, b"~"),  # a frontend's name, which %ft follows with "~" for TLS
    "$text": (0x00, b"\n"),  # blanks as well; samples print control characters as they are
    "$capture": (0x20, b"}"),  # within {a|b}: HAProxy writes "{", "|" and "}" as #XX there
    "$bind": (0x20, b":"),  # the name of a listener, up to the message
    "$version": (0x20, b"\\"),  # a backslash at the end is the quote's, as syslog-ng writes it
    "$quoted": (0x20, b'"'),  # each header of a list
    "$escaped": (0x00, b"\n\\"),  # between backslashes
    "$authority": (0x21, b"/?#"),  # RFC 3986, section 3.2
    "$path": (0x21, b"?"),  # RFC 3986, section 3.3; a fragment is cut off when the label is read
    "$query": (0x21, b"?"),  # its first byte, behind the question mark that HAProxy keeps
}

# Between the colons of an address: also "unix", "-", and an interface behind a percent sign.
_LABEL = r"[-.%_0-9A-Za-z]"

# Up to 19 digits: what 64 bits hold. "-1" is a phase never reached; "+" is a value logged early (option logasap).
FRAGMENTS: dict[Kind, str] = {
    Kind.WORD: r"$word++",
    # The last colon of the word divides address and port: "::1:53510", "unix:3"; an address has eight at the most
    # (RFC 4291, section 2.2). IPv4 is the first branch for speed.
    Kind.ADDRESS: rf"(?:[0-9]++\.[0-9.]++|{_LABEL}*+(?>(?::(?={_LABEL}*+:){_LABEL}*+){{0,8}}))",
    Kind.TEXT: r"$text*+",
    Kind.NUMBER: r"-?+[0-9]{1,19}+",
    Kind.COUNT: r"[0-9]{1,19}+",
    Kind.PORT: r"-?+[0-9]{0,19}+",  # "-" where there is no address
    Kind.TIMER: r"[-+]?+[0-9]{1,19}+",
    Kind.SIZE: r"[-+]?+[0-9]{1,19}+",
    Kind.DATE: r"[0-3][0-9]/.{21}",
}
# An address before a port with another colon behind it: a colon divides where `$rest` fits.
ADDRESS_BEFORE = rf"{_LABEL}*+(?>(?::(?!$rest){_LABEL}*+){{0,8}})"

# What a sample prints that is a number, or "-" where it has none; and what +X makes of addresses, ports and counters.
SAMPLED_NUMBER = r"(?:[-+]?+[0-9]{1,19}+|-?+)"
HEXADECIMAL = r"(?:-|[0-9A-F]{1,32}+)"

# What remains of a value when the line was cut within it.
CUT_FRAGMENTS: dict[Kind, str] = {
    Kind.NUMBER: r"-?+[0-9]*+",
    Kind.COUNT: r"[0-9]*+",
    Kind.TIMER: r"[-+]?+[0-9]*+",
    Kind.SIZE: r"[-+]?+[0-9]*+",
    Kind.TEXT: r".*+",
}
CUT_ELSEWHERE = r"$word*+"

_PATH = (
    Part("", r"(?:[A-Za-z][-+.0-9A-Za-z]*+://$authority*+|)"),
    Part("http_request_path", r"$path*+"),
)
_URI = Part("http_request_uri", (*_PATH, Part("", r"$word*+")))

# The request line as HAProxy logs it: "METHOD URI VERSION", where the version is missing in HTTP/0.9 and when the line
# was cut at tune.http.logurilen; <BADREQ> where there was no valid request. The URI may be absolute (the normal case
# of HTTP/2), "*" or host:port. Bytes that must not stand in a log are written as #XX.
_REQUEST = (
    Part("", r"(?:<BADREQ>|"),
    Part("http_request_method", r"$word++"),
    Part("", r"(?: (?=$word)"),
    _URI,
    Part("", r"(?: "),
    Part("http_version", r"$version*+"),
    Part("", r"|)|))"),
)

# Every piece of a request that was not valid is <BADREQ> too.
_OR_BAD = Part("", r"(?:<BADREQ>|")
_END = Part("", r")")

_LIST = r'"$quoted*+"(?>(?: "$quoted*+")*)'
# Before something else in quotes a list may have to give back what it took for a header.
LIST_BEFORE_QUOTES = r'"$quoted*+"(?: "$quoted*+"){0,64}'
_CUT_BLOCK = r"\{$capture*+\}?+"
_CUT_LIST = r'"$quoted*+(?>(?:"(?> "$quoted*+|))*)'


@dataclass(frozen=True, slots=True)
class Composite:
    """How an alias prints several fields, or one that no alias prints alone; `cut` as in CUT_FRAGMENTS."""

    parts: tuple[Part, ...]
    kind: Kind
    cut: str = CUT_ELSEWHERE
    optional: bool = False  # printed as nothing where there is nothing to print, and a blank beside it may vanish too
    holds: Holds = Holds.NAME
    example: str = ""  # where it is not that of its field


# What "Connect" lines tell of the two ends: addresses, or numbers of listeners where there are none.
_ENDS = (
    Part("", r"(?:from "),
    Part("client_ip", FRAGMENTS[Kind.ADDRESS]),
    Part("", r":"),
    Part("client_port", FRAGMENTS[Kind.PORT]),
    Part("", r" to $word++|to unix:[0-9]++|from unknown source to listener [0-9]++)"),
)


def _block(field: str) -> Composite:
    parts = (Part("", r"\{"), Part(field, r"$capture*+"), Part("", r"\}"))
    return Composite(parts, Kind.BLOCK, _CUT_BLOCK, optional=True, holds=Holds.TEXT)


def _list(field: str) -> Composite:
    return Composite((Part(field, _LIST),), Kind.LIST, _CUT_LIST, optional=True, holds=Holds.TEXT)


def _word(*parts: Part, optional: bool = False) -> Composite:
    return Composite((_OR_BAD, *parts, _END), Kind.WORD, optional=optional, holds=Holds.URL)


def _sample(*parts: Part) -> Composite:
    return Composite((Part("", r"(?:(?=$word)"), *parts, Part("", "|)")), Kind.WORD, holds=Holds.WORD)


_METHOD = Part("http_request_method", r"$word++")
_VERSION = Part("http_version", r"$word++")

COMPOSITES: dict[str, Composite] = {
    "ft": Composite((Part("frontend_name", r"$name++"), Part("ssl", r"~?+")), Kind.WORD, example="web~"),
    "r": Composite(_REQUEST, Kind.TEXT, holds=Holds.URL, example="GET /search?q=a HTTP/1.1"),
    "HM": _word(_METHOD),
    "HU": _word(_URI),
    "HP": _word(*_PATH),
    "HPO": _word(Part("http_request_path", r"$path++"), optional=True),
    "HQ": replace(_word(Part("", r"\?"), Part("http_request_query", r"$word*+"), optional=True), example="?q=a"),
    "HV": _word(_VERSION),
    "[method]": _sample(_METHOD),
    "[capture.req.method]": _sample(_METHOD),
    "[path]": _sample(*_PATH),
    "[url]": _sample(_URI),
    "[capture.req.uri]": _sample(_URI),
    "[capture.req.ver]": _sample(_VERSION),
    "rc": Composite((Part("redispatched", r"\+?+"), Part("retries", r"[0-9]{1,19}+")), Kind.NUMBER, r"\+?+[0-9]*+"),
    "hr": _block("request_headers"),
    "hs": _block("response_headers"),
    "hrl": _list("request_headers"),
    "hsl": _list("response_headers"),
    # Not aliases of HAProxy's: they stand for what its fixed messages hold.
    "[bind_name]": Composite((Part("bind_name", r"$bind++(?>(?::(?! )$bind++){0,8})"),), Kind.WORD),
    "[mode]": Composite((Part("", r"(?:HTTP|TCP)"),), Kind.WORD),
    "[ends]": Composite(_ENDS, Kind.WORD),
    "[message]": Composite((Part("message", r"$text*+"),), Kind.TEXT, holds=Holds.TEXT),
}

# +Q leaves these alone: numbers and dates, and lists, whose members it has quoted already.
_UNQUOTED = NUMBERS | {Kind.DATE, Kind.STATE, Kind.LIST}

# +X changes these alone.
HEXADECIMAL_ALIASES = frozenset({"ci", "cp", "fi", "fp", "bi", "bp", "si", "sp", "Ts", "ms", "pid", "lc", "rt"})
HEXADECIMAL_ALIASES |= {"Ci", "Cp", "Fi", "Fp", "Bi", "Bp", "Si", "Sp"}


@dataclass(frozen=True, slots=True)
class Alias:
    """How an alias is written in a line: its parts, and what remains of it in a cut line."""

    name: str
    parts: tuple[Part, ...]
    kind: Kind
    cut: str
    optional: bool = False
    holds: Holds = Holds.NAME

    @property
    def quotable(self) -> bool:
        """Whether +Q puts it in quotes. What a sample gives is text to HAProxy, numbers too."""
        return self.kind not in _UNQUOTED or self.is_sample

    @property
    def is_sample(self) -> bool:
        """Whether it is a sample expression."""
        return is_sample(self.name)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that it prints, outer before inner."""
        return tuple(_names(self.parts))

    @property
    def main_field(self) -> str:
        """The field that it is there for; "" where all that it prints is told elsewhere."""
        fields = self.fields
        return next((name for name in fields if KINDS.get(name) is not Kind.FLAG), fields[0] if fields else "")


def is_sample(name: str) -> bool:
    """Whether the name of an item or alias is a sample expression in its brackets."""
    return name.startswith("[")


def _names(parts: tuple[Part, ...]) -> list[str]:
    names: list[str] = []
    for part in parts:
        if part.name:
            names.append(part.name)
        if not isinstance(part.pattern, str):
            names += _names(part.pattern)
    return names


def _aliases() -> dict[str, Alias]:
    found = {}
    for field in FIELDS:
        for name in field.aliases:
            found[name] = field_alias(field, name)
    for name, row in COMPOSITES.items():
        found[name] = Alias(name, row.parts, row.kind, row.cut, row.optional, row.holds)
    return found


def field_alias(field: Field, name: str) -> Alias:
    """Say how an alias is written that prints one field alone."""
    fragment = field.fragment or FRAGMENTS.get(field.kind, "")
    if is_sample(name) and field.kind in NUMBERS:
        fragment = SAMPLED_NUMBER
    cut = CUT_FRAGMENTS.get(field.kind, CUT_ELSEWHERE)
    return Alias(name, (Part(field.name, fragment),), field.kind, cut, holds=field.holds)


ALIASES: dict[str, Alias] = _aliases()
