r"""The catalogue: what HAProxy's aliases are called here, what they mean, and how each is written in a line.

A field is one row of FIELDS; an alias that prints several fields at once has a row in COMPOSITES. Facts are from
HAProxy's configuration manual, chapters 8.2 (formats), 8.4 (timers), 8.5 (termination states) and 8.8 (captures).

Strategy: a fragment is a regular expression in which `$word`, `$text`, … stand for byte classes that end where the
value ends: at the quote that closes it or at the first byte of the literal behind it. The compiler fills them in,
since only it knows what follows. Every repeat is possessive and no class holds a newline, so no line can make a
match go back far, nor reach into the next line. Alternatives need no atomic group, which costs time, where at most
one of them leads on. Classes are written as what they hold, not as what they lack:
Python's engine tests a range in one step, a negated set in as many steps as it has members.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a field's text is, which decides its fragment and its JSON type."""

    WORD = "word"
    ADDRESS = "address"
    TEXT = "text"
    NUMBER = "number"
    COUNT = "count"
    PORT = "port"
    TIMER = "timer"
    SIZE = "size"
    DATE = "date"
    STATE = "state"
    FLAG = "flag"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Field:
    """A row of the catalogue: the field's name, the aliases that print it alone, and what it means."""

    name: str
    kind: Kind
    aliases: tuple[str, ...]
    meaning: str
    fragment: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a composite alias: a field by name, or bare syntax (no name)."""

    name: str
    pattern: "str | tuple[Part, ...]"


NUMBERS = frozenset({Kind.NUMBER, Kind.COUNT, Kind.PORT, Kind.TIMER, Kind.SIZE})

# The bytes of a class, before those that end the value are taken out: (lowest byte, bytes that are never in it).
CLASSES: dict[str, tuple[int, bytes]] = {
    "$word": (0x21, b""),  # no blank: names, cookies, addresses
    "$name": (0x21, b"~"),  # a frontend's name, which %ft follows with "~" for TLS
    "$label": (0x21, b":"),  # between the colons of an address
    "$text": (0x20, b""),  # blanks as well
    "$capture": (0x20, b"}"),  # within {a|b}: HAProxy writes "{", "|" and "}" as #XX there
    "$bind": (0x20, b":"),  # the name of a listener, up to the message
    "$version": (0x20, b"\\"),  # a backslash at the end is the quote's, as syslog-ng writes it
    "$quoted": (0x20, b'"'),  # each header of a list
    "$authority": (0x21, b"/?#"),  # RFC 3986, section 3.2
    "$path": (0x21, b"?"),  # RFC 3986, section 3.3; a fragment is cut off when the label is read
}

# Up to 19 digits: what 64 bits hold. "-1" is a phase never reached; "+" is a value logged early (option logasap).
FRAGMENTS: dict[Kind, str] = {
    Kind.WORD: r"$word++",
    # The last colon of the word divides address and port: "::1:53510", "unix:3"; an address has eight at the most
    # (RFC 4291, section 2.2). IPv4 is the first branch for speed.
    Kind.ADDRESS: r"(?:[0-9]++\.[0-9.]++|$label*+(?>(?::(?=$label*+:)$label*+){0,8}))",
    Kind.TEXT: r"$text*+",
    Kind.NUMBER: r"-?+[0-9]{1,19}+",
    Kind.COUNT: r"[0-9]{1,19}+",
    Kind.PORT: r"-?+[0-9]{0,19}+",  # "-" where there is no address
    Kind.TIMER: r"[-+]?+[0-9]{1,19}+",
    Kind.SIZE: r"[-+]?+[0-9]{1,19}+",
    Kind.DATE: r"[0-3][0-9]/.{21}",
}

# What remains of a value when the line was cut within it.
CUT_FRAGMENTS: dict[Kind, str] = {
    Kind.NUMBER: r"-?+[0-9]*+",
    Kind.COUNT: r"[0-9]*+",
    Kind.TIMER: r"[-+]?+[0-9]*+",
    Kind.SIZE: r"[-+]?+[0-9]*+",
}
CUT_ELSEWHERE = r"$word*+"

# "%t" and "%tr": local time without a zone, with milliseconds; the others: no milliseconds, a zone.
_ZONED_DATE = r"[0-3][0-9]/.{17} [-+][0-9]{4}"
_STATE_HTTP = r"[-A-Za-z]{4}"
_STATE_TCP = r"[-A-Za-z]{2}"

# In the order in which `parse` prints them.
FIELDS: tuple[Field, ...] = (
    Field("client_ip", Kind.ADDRESS, ("ci",), "address of the client"),
    Field("client_port", Kind.PORT, ("cp",), "port of the client; the listener's number for a unix socket"),
    Field("accept_date", Kind.DATE, ("t", "tr"), "when the connection or the request came in, in HAProxy's local time"),
    Field("accept_date", Kind.DATE, ("T", "Tl", "trg", "trl"), "the same with its zone", _ZONED_DATE),
    Field("accept_milliseconds", Kind.NUMBER, ("ms",), "milliseconds of the accept date"),
    Field("frontend_name", Kind.WORD, ("f",), "frontend that received the connection"),
    Field("ssl", Kind.FLAG, (), "whether the client's connection was TLS"),
    Field("bind_name", Kind.WORD, (), "name or number of the listener"),
    Field("backend_name", Kind.WORD, ("b",), "backend that was chosen; the frontend where none was"),
    Field("server_name", Kind.WORD, ("s",), "server that was chosen, <NOSRV> or an applet in <>"),
    Field("time_handshake", Kind.TIMER, ("Th",), "handshakes on the client's connection, TLS and PROXY"),
    Field("time_idle", Kind.TIMER, ("Ti",), "idle before the request on a kept-alive connection"),
    Field("time_request", Kind.TIMER, ("TR", "Tq"), "waiting for the client's full request"),
    Field("time_queue", Kind.TIMER, ("Tw",), "waiting in queues for a connection slot"),
    Field("time_connect", Kind.TIMER, ("Tc",), "connecting to the server, retries included"),
    Field("time_response", Kind.TIMER, ("Tr",), "from the request sent to the server to its response headers"),
    Field("time_data", Kind.TIMER, ("Td",), "transferring the response's payload"),
    Field("time_total", Kind.TIMER, ("Ta", "Tt", "Tu"), "the whole request or session"),
    Field("status_code", Kind.NUMBER, ("ST",), "HTTP status sent to the client"),
    Field("bytes_read", Kind.SIZE, ("B",), "bytes sent to the client"),
    Field("bytes_uploaded", Kind.SIZE, ("U",), "bytes received from the client"),
    Field("request_cookie", Kind.WORD, ("CC",), "captured request cookie"),
    Field("response_cookie", Kind.WORD, ("CS",), "captured response cookie"),
    Field("termination_state", Kind.STATE, ("tsc",), "who ended the session and in which phase", _STATE_HTTP),
    Field("termination_state", Kind.STATE, ("ts",), "who ended the session and in which phase", _STATE_TCP),
    Field("actconn", Kind.COUNT, ("ac",), "connections of the process when the line was written"),
    Field("feconn", Kind.COUNT, ("fc",), "connections of the frontend"),
    Field("beconn", Kind.COUNT, ("bc",), "connections of the backend"),
    Field("srv_conn", Kind.COUNT, ("sc",), "connections of the server"),
    Field("retries", Kind.COUNT, (), "connection retries"),
    Field("redispatched", Kind.FLAG, (), "whether the session was moved to another server"),
    Field("server_queue", Kind.COUNT, ("sq",), "requests that were ahead in the server's queue"),
    Field("backend_queue", Kind.COUNT, ("bq",), "requests that were ahead in the backend's queue"),
    Field("request_headers", Kind.LIST, (), "captured request headers"),
    Field("response_headers", Kind.LIST, (), "captured response headers"),
    Field("http_request_method", Kind.WORD, ("HM",), "method of the request"),
    Field("http_request_uri", Kind.WORD, (), "URI of the request, as written"),
    Field("http_request_path", Kind.WORD, (), "path of the request: no scheme, authority, query or fragment"),
    Field("http_version", Kind.WORD, ("HV",), "HTTP version of the request"),
    Field("ssl_sni", Kind.WORD, ("[ssl_fc_sni]",), "server name that the client asked for in TLS"),
    Field("ssl_version", Kind.WORD, ("sslv",), "TLS version of the client's connection"),
    Field("ssl_cipher", Kind.WORD, ("sslc",), "TLS cipher of the client's connection"),
    Field("fc_err", Kind.WORD, ("[fc_err]",), "error number of the client's connection"),
    Field("ssl_fc_err", Kind.WORD, ("[ssl_fc_err,hex]",), "TLS error of the client's connection"),
    Field("ssl_c_err", Kind.WORD, ("[ssl_c_err]",), "error of the client certificate's verification"),
    Field("ssl_c_ca_err", Kind.WORD, ("[ssl_c_ca_err]",), "error of its CA's verification"),
    Field("ssl_fc_is_resumed", Kind.WORD, ("[ssl_fc_is_resumed]",), "whether the TLS session was resumed"),
    Field("message", Kind.TEXT, (), "what HAProxy says"),
)

# The request line as HAProxy logs it: "METHOD URI VERSION", where the version is missing in HTTP/0.9 and when the line
# was cut at tune.http.logurilen; <BADREQ> where there was no valid request. The URI may be absolute (the normal case
# of HTTP/2), "*" or host:port. Bytes that must not stand in a log are written as #XX.
_REQUEST = (
    Part("", r"(?:<BADREQ>|"),
    Part("http_request_method", r"$word++"),
    Part("", r"(?: (?=$word)"),
    Part(
        "http_request_uri",
        (
            Part("", r"(?:[A-Za-z][-+.0-9A-Za-z]*+://$authority*+|)"),
            Part("http_request_path", r"$path*+"),
            Part("", r"$word*+"),
        ),
    ),
    Part("", r"(?: "),
    Part("http_version", r"$version*+"),
    Part("", r"|)|))"),
)

_LIST = r'"$quoted*+"(?>(?: "$quoted*+")*)'
_CUT_BLOCK = r"\{$capture*+\}?+"
_CUT_LIST = r'"$quoted*+(?>(?:"(?> "$quoted*+|))*)'


@dataclass(frozen=True, slots=True)
class Composite:
    """How an alias prints several fields, or one that no alias prints alone; `cut` as in CUT_FRAGMENTS."""

    parts: tuple[Part, ...]
    kind: Kind
    cut: str = CUT_ELSEWHERE
    optional: bool = False  # printed as nothing, the blank beside it included, where there is nothing to print


# What "Connect" lines tell of the two ends: addresses, or numbers of listeners where there are none.
_ENDS = (
    Part("", r"(?:from "),
    Part("client_ip", FRAGMENTS[Kind.ADDRESS]),
    Part("", r":"),
    Part("client_port", FRAGMENTS[Kind.PORT]),
    Part("", r" to $word++|to unix:[0-9]++|from unknown source to listener [0-9]++)"),
)

COMPOSITES: dict[str, Composite] = {
    "ft": Composite((Part("frontend_name", r"$name++"), Part("ssl", r"~?+")), Kind.WORD),
    "r": Composite(_REQUEST, Kind.TEXT),
    "rc": Composite((Part("redispatched", r"\+?+"), Part("retries", r"[0-9]{1,19}+")), Kind.NUMBER, r"\+?+[0-9]*+"),
    "hr": Composite(
        (Part("", r"\{"), Part("request_headers", r"$capture*+"), Part("", r"\}")), Kind.LIST, _CUT_BLOCK, optional=True
    ),
    "hs": Composite(
        (Part("", r"\{"), Part("response_headers", r"$capture*+"), Part("", r"\}")),
        Kind.LIST,
        _CUT_BLOCK,
        optional=True,
    ),
    "hrl": Composite((Part("request_headers", _LIST),), Kind.LIST, _CUT_LIST, optional=True),
    "hsl": Composite((Part("response_headers", _LIST),), Kind.LIST, _CUT_LIST, optional=True),
    # Not aliases of HAProxy's: they stand for what its fixed messages hold.
    "[bind_name]": Composite((Part("bind_name", r"$bind++(?>(?::(?! )$bind++){0,8})"),), Kind.WORD),
    "[mode]": Composite((Part("", r"(?:HTTP|TCP)"),), Kind.WORD),
    "[ends]": Composite(_ENDS, Kind.WORD),
    "[message]": Composite((Part("message", r"$text*+"),), Kind.TEXT),
}

# Values whose length the client chooses: this is what a cut line is cut in.
FREE_TEXT = frozenset({"r", "hr", "hs", "hrl", "hsl", "[message]", "[ssl_fc_sni]", "CC", "CS"})

# +Q leaves these alone: numbers and dates, and lists, whose members it has quoted already.
_UNQUOTED = NUMBERS | {Kind.DATE, Kind.STATE, Kind.LIST}


@dataclass(frozen=True, slots=True)
class Alias:
    """How an alias is written in a line: its parts, and what remains of it in a cut line."""

    name: str
    parts: tuple[Part, ...]
    kind: Kind
    cut: str
    optional: bool = False

    @property
    def quotable(self) -> bool:
        """Whether +Q puts it in quotes."""
        return self.kind not in _UNQUOTED

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that it prints, outer before inner."""
        return tuple(_names(self.parts))


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
        fragment = field.fragment or FRAGMENTS.get(field.kind, "")
        cut = CUT_FRAGMENTS.get(field.kind, CUT_ELSEWHERE)
        for name in field.aliases:
            found[name] = Alias(name, (Part(field.name, fragment),), field.kind, cut)
    for name, row in COMPOSITES.items():
        found[name] = Alias(name, row.parts, row.kind, row.cut, row.optional)
    return found


ALIASES: dict[str, Alias] = _aliases()
KINDS: dict[str, Kind] = {field.name: field.kind for field in FIELDS}
