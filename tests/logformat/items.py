"""The items that formats are composed of: HAProxy's aliases and samples, their fields, and values as they may be.

Values are what users and clients can bring into a line; more often than not they hold what HAProxy's notation or a
format's literals are made of. From HAProxy's manual, chapters 8.2.6 and 7.3, and src/log.c.
"""

import re

from hypothesis import strategies as st

from tests.logformat import AUTHORITIES, DATES, HTTP_STATES, METHODS, NAMES, SERVERS, TCP_STATES, VERSIONS, encode
from tests.logformat.reading import PIECES
from tests.logformat.writing import Form, Item, Value

_SPICE = st.sampled_from(
    [
        *"\"\\][{}|,/:;-=+%' \t\x01<>09aZ?#&",
        "  ",
        '","',
        "#22",
        "--",
        " - ",
        "é",
        "\x7f",
        "null",
        "true",
        "<BADREQ>",
        " 200",
    ]
).map(str.encode)
_OCTETS = st.binary(max_size=4).map(lambda octets: octets.translate(None, b"\n\0"))
RAW = st.lists(_SPICE | _OCTETS, max_size=7).map(b"".join)
_TEXTS = st.text("\"\\/\b\t\f\r\x01\x7fé€ｱ a{}|]'-,u0", max_size=8)
_ENCODED_PATHS = RAW.map(lambda octets: encode(octets.translate(None, b"? \t"), b'"#').encode())
_PATHS = _ENCODED_PATHS.map(lambda path: b"/" + path)
_QUERIES = st.just(b"") | _ENCODED_PATHS.map(lambda query: b"?" + query)
_URIS = (
    st.builds(bytes.__add__, _PATHS, _QUERIES)
    | st.builds("{}://{}".format, st.sampled_from(["http", "x+y-z.1"]), AUTHORITIES).map(str.encode)
    | st.builds(
        lambda host, path: b"https://" + host.encode() + path, AUTHORITIES, st.builds(bytes.__add__, _PATHS, _QUERIES)
    )
    | st.sampled_from([b"*", b"h:443"])
)
_BAD = st.just(b"<BADREQ>")
_METHODS = METHODS.map(str.encode)
_VERSIONS = VERSIONS.map(str.encode)
_HEADERS = st.none() | st.lists(RAW.map(lambda octets: encode(octets, b'"#{|}').encode()), min_size=1, max_size=3)
_ADDRESSES = st.sampled_from(
    [None, "unix", "127.0.0.1", "255.255.255.255", "::1", "::", "fe80::1:2", "2001:db8::ff00:42:8329"]
)
_PORTS = st.none() | st.integers(0, 65535)
_TIMERS = st.just(-1) | st.integers(0, 10**12)
_COUNTS = st.integers(0, 2**31 - 1)
_SIZES = st.integers(0, 2**63 - 1)
_PARTIAL = st.tuples(st.booleans(), _SIZES)
_LOCAL_DATES = DATES.map(str.encode)
_ZONED_DATES = DATES.map(lambda date: date[:20].encode() + b" +0130")
_REQUESTS = st.builds(lambda *words: b" ".join(filter(None, words)), _METHODS, _URIS, _VERSIONS | st.just(b""))
_WORDS = NAMES.map(str.encode)

_ALIASES: dict[Form, dict[str, tuple[str, st.SearchStrategy[Value]]]] = {
    Form.ADDRESS: {
        "ci": ("client_ip", _ADDRESSES),
        "fi": ("frontend_ip", _ADDRESSES),
        "bi": ("backend_source_ip", _ADDRESSES),
        "si": ("server_ip", _ADDRESSES),
    },
    Form.PORT: {
        "cp": ("client_port", _PORTS),
        "fp": ("frontend_port", _PORTS),
        "bp": ("backend_source_port", _PORTS),
        "sp": ("server_port", _PORTS),
    },
    Form.NUMBER: {
        "Th": ("time_handshake", _TIMERS),
        "Ti": ("time_idle", _TIMERS),
        "TR": ("time_request", _TIMERS),
        "Tq": ("time_request", _TIMERS),
        "Tw": ("time_queue", _TIMERS),
        "Tc": ("time_connect", _TIMERS),
        "Tr": ("time_response", _TIMERS),
        "Td": ("time_data", _TIMERS),
        "ST": ("status_code", st.sampled_from([-1, 0, 200, 503])),
        "U": ("bytes_uploaded", _SIZES),
        "ac": ("actconn", _COUNTS),
        "fc": ("feconn", _COUNTS),
        "bc": ("beconn", _COUNTS),
        "sc": ("srv_conn", _COUNTS),
        "sq": ("server_queue", _COUNTS),
        "bq": ("backend_queue", _COUNTS),
    },
    Form.COUNTER: {
        "Ts": ("timestamp", st.integers(0, 2**32 - 1)),
        "ms": ("accept_milliseconds", st.integers(0, 999)),
        "rt": ("request_counter", st.integers(0, 2**32 - 1)),
        "lc": ("log_counter", _COUNTS),
        "pid": ("process_id", _COUNTS),
    },
    Form.PARTIAL: {
        "Ta": ("time_total", _PARTIAL),
        "Tt": ("time_total", _PARTIAL),
        "Tu": ("time_user", _PARTIAL),
        "B": ("bytes_read", _PARTIAL),
        "rc": ("retries", _PARTIAL),
    },
    Form.FIXED: {
        **dict.fromkeys(("t", "tr"), ("accept_date", _LOCAL_DATES)),
        **dict.fromkeys(("T", "Tl", "trg", "trl"), ("accept_date", _ZONED_DATES)),
        "ts": ("termination_state", TCP_STATES.map(str.encode)),
        "tsc": ("termination_state", HTTP_STATES.map(str.encode)),
    },
    Form.TEXT: {
        "f": ("frontend_name", _WORDS),
        "b": ("backend_name", _WORDS),
        "s": ("server_name", SERVERS.map(str.encode)),
        "H": ("hostname", _WORDS),
        "CC": ("request_cookie", RAW),
        "CS": ("response_cookie", RAW),
        "ID": ("unique_id", RAW),
        "sslv": ("ssl_version", st.sampled_from([b"", b"TLSv1.3"])),
        "sslc": ("ssl_cipher", st.sampled_from([b"", b"(NONE)", b"TLS_AES_256_GCM_SHA384"])),
        "OG": ("log_origin", st.sampled_from([b"txn_close", b"sess_error"])),
    },
    Form.FRONTEND: {"ft": ("frontend_name", st.tuples(_WORDS, st.booleans()))},
    Form.BLOCK: {"hr": ("request_headers", _HEADERS), "hs": ("response_headers", _HEADERS)},
    Form.LIST: {"hrl": ("request_headers", _HEADERS), "hsl": ("response_headers", _HEADERS)},
    Form.PIECE: {
        "r": ("", _BAD | _REQUESTS),
        "HM": ("", _BAD | _METHODS),
        "HU": ("", _BAD | _URIS),
        "HP": ("", _BAD | _URIS.map(lambda uri: uri.partition(b"?")[0])),
        "HPO": ("", _BAD | _PATHS | st.just(b"")),
        "HQ": ("", _BAD | _QUERIES),
        "HV": ("", _BAD | _VERSIONS),
    },
}  # fmt: skip
ALIASES: tuple[Item, ...] = tuple(
    Item(name, form, values, PIECES.get(name) or (field,))
    for form, rows in _ALIASES.items()
    for name, (field, values) in rows.items()
)

STATUS = next(alias for alias in ALIASES if alias.name == "ST")

# Samples that the manual names as the equals of aliases.
EQUALS: tuple[Item, ...] = (
    *(
        Item(f"[{name}]", Form.SAMPLED_NUMBER, st.none() | _TIMERS, (field,))
        for name, field in (
            ("txn.timer.total", "time_total"),
            ("res.timer.hdr", "time_response"),
            ("bc.timer.connect", "time_connect"),
            ("req.timer.queue", "time_queue"),
            ("src_port", "client_port"),
        )
    ),
    Item("[ssl_fc]", Form.SAMPLED_FLAG, st.integers(0, 1), ("ssl",)),
    Item("[ssl_fc_sni]", Form.TEXT, st.sampled_from([b"", b"a.example"]), ("ssl_sni",)),
    Item("[be_name]", Form.TEXT, _WORDS, ("backend_name",)),
)

_ARGUMENTS = ("", "txn.a", '"a b"', "'x]y'", "[a]", "a]b", '"a)b"', "{%}", 'it"s a"', "24,64", "%[src]", "a\\]b")
_FETCHES = ("var", "req.fhdr", "str", "env")
_CONVERTERS = (("lower", False), ("upper", False), ("hex", False), ("concat", True), ("regsub", True), ("field", True))


_CALLS = st.sampled_from(
    (
        ("capture.req.hdr(0)", "request_header_1"),
        ("capture.res.hdr(11)", "response_header_12"),
        ("src,ipmask(24)", ""),
        ("uuid", ""),
        ("", ""),
    )
)
_FETCH = st.sampled_from(_FETCHES)
_ARGUMENT = st.sampled_from(_ARGUMENTS)
_CONVERSIONS = st.lists(st.sampled_from(_CONVERTERS), max_size=2)
_FORMS = st.sampled_from([Form.TEXT] * 4 + [Form.SAMPLED_NUMBER, Form.SAMPLED_FLAG])
_JSON = st.sampled_from((None, None, None, "", "ascii", "utf8s"))
_BOOLEANS = st.booleans()
_SAMPLED = {
    Form.TEXT: RAW,
    Form.SAMPLED_NUMBER: st.none() | st.integers(-9, 10**9),
    Form.SAMPLED_FLAG: st.integers(0, 1),
}
_CONVERTED = _TEXTS.map(str.encode)


@st.composite
def samples(draw: st.DrawFn) -> Item:
    """Draw samples that equal no alias. Their one field is named after the expression."""
    call, field = draw(_CALLS)
    calls = [call or f"{draw(_FETCH)}({draw(_ARGUMENT)})"]
    if not field:
        calls += [f"{name}({draw(_ARGUMENT)})" if takes else name for name, takes in draw(_CONVERSIONS)]
        field = re.sub(r"[^a-z0-9]+", "_", ",".join(calls).lower()).strip("_")
    form = draw(_FORMS)
    converter = draw(_JSON) if form is Form.TEXT else None
    if converter is not None:
        calls.append(f"json({converter})" if converter or draw(_BOOLEANS) else "json")
    values = _SAMPLED[form] if converter is None else _CONVERTED
    return Item(f"[{','.join(calls)}]", form, values, (field,), own=True, converter=converter)
