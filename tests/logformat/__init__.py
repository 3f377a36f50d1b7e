"""Lines as HAProxy writes them: values are drawn, then rendered by its rules, and each field's place is kept.

What is here follows HAProxy's manual (chapter 8) and src/log.c, never the package: it is what the package is held
against.
"""

from dataclasses import dataclass, field

from hypothesis import strategies as st

# What a transport puts before a line: the eight kinds of `log … format`, and the two forms of rsyslog's files.
ENVELOPES: dict[str, bytes] = {
    "local": b"<134>Nov 20 04:30:53 haproxy[25192]: ",
    "rfc3164": b"<134>Nov 20 04:30:53 localhost haproxy[25192]: ",
    "rfc5424": b"<134>1 2026-11-20T04:30:53.046768+00:00 - haproxy 25192 - - ",
    "rfc5424 with structured data": rb'<134>1 2026-11-20T04:30:53.046768+00:00 h haproxy 25192 - [a b="c] \"d\\"][e] ',
    "priority": b"<134>",
    "short": b"<6>",
    "timed": b"<6>2026-11-20T04:30:53.046904+00:00 ",
    "iso": b"2026-11-20T04:30:53.046904+00:00 ",
    "raw": b"",
    "rsyslog's traditional file": b"Nov  5 04:30:53 host.example haproxy[1]: ",
    "rsyslog's file": b"2026-11-20T04:30:53.046+00:00 host.example haproxy[1]: ",
}

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass
class Line:
    """A line under construction: its format, its bytes, and from where to where each field stands."""

    format: str
    text: bytes = b""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Add what belongs to no field."""
        self.text += text.encode("latin-1")

    def put(self, name: str, text: str) -> None:
        """Add a field's value."""
        start = len(self.text)
        self.add(text)
        self.places[name] = (start, len(self.text))

    def value(self, name: str) -> bytes | None:
        """Give a field's bytes; None where the line has no such field."""
        place = self.places.get(name)
        return None if place is None else self.text[slice(*place)]


def encode(octets: bytes, specials: bytes) -> str:
    """Write bytes as HAProxy's log does: control characters, bytes from 127 up and the special ones as #XX."""
    return "".join(
        f"#{octet:02X}" if octet < 0x20 or octet >= 0x7F or octet in specials else chr(octet) for octet in octets
    )


def _in_request(octets: bytes) -> str:
    return encode(octets, b'"#')


def _in_capture(octets: bytes) -> str:
    return encode(octets, b'"#{|}')


def _padded(width: int, least: int, most: int) -> st.SearchStrategy[str]:
    return st.integers(least, most).map(lambda number: f"{number:0{width}d}")


_ALNUM = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
NAMES = st.text(_ALNUM + "_.:-", min_size=1, max_size=12)
SERVERS = NAMES | st.sampled_from(["<NOSRV>", "<STATS>", "<PROMEX>", "<LUA_TCP>"])
CLIENTS = st.sampled_from(
    [("127.0.0.1", "59616"), ("::1", "53510"), ("::", "1"), ("fe80::1:2", "65535"), ("unix", "3"), ("-", "-")]
)
DATES = st.builds(
    "{}/{}/{}:{}:{}:{}.{}".format,
    _padded(2, 1, 31),
    st.sampled_from(_MONTHS),
    _padded(4, 1970, 2100),
    _padded(2, 0, 23),
    _padded(2, 0, 59),
    _padded(2, 0, 60),
    _padded(3, 0, 999),
)
TIMERS = st.just("-1") | st.integers(0, 10**12).map(str)
COUNTS = st.integers(0, 99999).map(str)
STATUSES = st.sampled_from(["-1", "0", "000", "200", "404"]) | st.integers(100, 599).map(str)
COOKIES = st.just("-") | st.text(_ALNUM + "=%;+/", min_size=1, max_size=12)
HTTP_STATES = st.builds(
    "{}{}{}{}".format,
    *map(st.sampled_from, ("-LcCsSPRIDKU", "-RCHDLQT", "-NIDVEUO", "-NPDIRU")),
)
TCP_STATES = st.builds("{}{}".format, st.sampled_from("-LcCsSPRIDKU"), st.sampled_from("-RCHDLQT"))
HEADERS = st.lists(st.binary(max_size=12).map(_in_capture), min_size=1, max_size=3).map("|".join)

METHODS = st.sampled_from(["GET", "POST", "M-SEARCH", "PROPFIND"]) | st.text(_ALNUM + "!$%&'*+-.^_`|~", min_size=1)
AUTHORITIES = st.sampled_from(["abs.example", "127.0.0.1:28443", "[::1]:80", "user@h", "h:443"])
_SEGMENTS = st.binary(max_size=20).map(lambda octets: octets.translate(None, b" ?#"))
PATHS = _SEGMENTS.map(lambda octets: _in_request(b"/" + octets))
TAILS = st.sampled_from(["", "?", "?x=1", "#23top", "?a/b?c#23d", "#23?x", "?#C3#A9 "[:-1]])
VERSIONS = st.sampled_from(["HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"])


def _request(line: Line, draw: st.DrawFn) -> None:
    """`%{+Q}r`: METHOD URI VERSION in quotes, or <BADREQ>."""
    line.add('"')
    shape = draw(st.sampled_from(["origin", "absolute", "authority", "bare authority", "asterisk", "bad"]))
    if shape == "bad":
        line.add('<BADREQ>"')
        return
    line.put("http_request_method", draw(METHODS))
    line.add(" ")
    start = len(line.text)
    if shape in ("absolute", "bare authority"):
        line.add(draw(st.sampled_from(["http", "https", "x+y-z.1"])) + "://" + draw(AUTHORITIES))
    path = {"asterisk": st.just("*"), "authority": AUTHORITIES, "bare authority": st.just("")}.get(shape, PATHS)
    line.put("http_request_path", draw(path))
    if shape not in ("asterisk", "authority"):
        line.add(draw(TAILS))
    line.places["http_request_uri"] = (start, len(line.text))
    if draw(st.booleans()):
        line.add(" ")
        line.put("http_version", draw(VERSIONS))
    line.add('"')


def _beginning(line: Line, draw: st.DrawFn) -> None:
    """`%ci:%cp [%tr] %ft %b/%s `."""
    client, port = draw(CLIENTS)
    line.put("client_ip", client)
    line.add(":")
    line.put("client_port", port)
    line.add(" [")
    line.put("accept_date", draw(DATES))
    line.add("] ")
    line.put("frontend_name", draw(NAMES))
    line.put("ssl", draw(st.sampled_from(["", "~"])))
    line.add(" ")
    line.put("backend_name", draw(NAMES))
    line.add("/")
    line.put("server_name", draw(SERVERS))
    line.add(" ")


def _timers(line: Line, draw: st.DrawFn, names: tuple[str, ...]) -> str:
    """Timers, the total last; gives the sign of what was logged early (option logasap)."""
    sign = draw(st.sampled_from(["", "+"]))
    for name in names:
        line.put(name, draw(TIMERS))
        line.add("/")
    line.put("time_total", sign + draw(COUNTS))
    line.add(" ")
    return sign


def _counts(line: Line, draw: st.DrawFn) -> None:
    """`%ac/%fc/%bc/%sc/%rc %sq/%bq`."""
    for name in ("actconn", "feconn", "beconn", "srv_conn"):
        line.put(name, draw(COUNTS))
        line.add("/")
    line.put("redispatched", draw(st.sampled_from(["", "+"])))
    line.put("retries", draw(COUNTS))
    line.add(" ")
    line.put("server_queue", draw(COUNTS))
    line.add("/")
    line.put("backend_queue", draw(COUNTS))


@st.composite
def http_lines(draw: st.DrawFn, format_: str = "httplog") -> Line:
    """Lines of httplog: `%TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc … %hr %hs %{+Q}r` behind what all have."""
    line = Line(format_)
    _beginning(line, draw)
    sign = _timers(line, draw, ("time_request", "time_queue", "time_connect", "time_response"))
    line.put("status_code", draw(STATUSES))
    line.add(" ")
    line.put("bytes_read", sign + draw(st.integers(0, 2**63 - 1).map(str)))
    for name, values in (("request_cookie", COOKIES), ("response_cookie", COOKIES), ("termination_state", HTTP_STATES)):
        line.add(" ")
        line.put(name, draw(values))
    line.add(" ")
    _counts(line, draw)
    line.add(" ")
    # Where there is one block, nothing tells whether it is the request's or the response's: it is taken as the first.
    for name in draw(st.sampled_from([(), ("request_headers",), ("request_headers", "response_headers")])):
        line.add("{")
        line.put(name, draw(HEADERS))
        line.add("} ")
    _request(line, draw)
    return line


@st.composite
def https_lines(draw: st.DrawFn) -> Line:
    """Lines of httpslog: httplog with `%[fc_err]/… %[ssl_fc_sni]/%sslv/%sslc` behind."""
    line = draw(http_lines("httpslog"))
    errors = ("fc_err", "ssl_fc_err", "ssl_c_err", "ssl_c_ca_err", "ssl_fc_is_resumed")
    for name, separator in zip(errors, (" ", "/", "/", "/", "/"), strict=True):
        line.add(separator)
        line.put(name, draw(st.sampled_from(["0", "-", "0000000000000000", "1"])))
    names = st.sampled_from(["-", "localhost", "a.example"])
    versions, ciphers = st.sampled_from(["-", "TLSv1.3"]), st.sampled_from(["-", "TLS_AES_256_GCM_SHA384", "(NONE)"])
    for name, separator, values in (
        ("ssl_sni", " ", names),
        ("ssl_version", "/", versions),
        ("ssl_cipher", "/", ciphers),
    ):
        line.add(separator)
        line.put(name, draw(values))
    return line


@st.composite
def tcp_lines(draw: st.DrawFn) -> Line:
    """Lines of tcplog: `%Tw/%Tc/%Tt %B %ts` behind what all have, and the counts."""
    line = Line("tcplog")
    _beginning(line, draw)
    sign = _timers(line, draw, ("time_queue", "time_connect"))
    line.put("bytes_read", sign + draw(COUNTS))
    line.add(" ")
    line.put("termination_state", draw(TCP_STATES))
    line.add(" ")
    _counts(line, draw)
    return line


LINES: st.SearchStrategy[Line] = st.one_of(http_lines(), https_lines(), tcp_lines())
