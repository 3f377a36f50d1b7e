"""The catalogue: what HAProxy's aliases are called here, what they mean, and what kind of value they print.

An alias is a name as in `%ci`, or in brackets the sample expression that prints the same. Facts are from HAProxy's
configuration manual, chapters 7.3 (samples), 8.2 (formats), 8.4 (timers), 8.5 (termination states) and 8.8 (captures).
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
    BLOCK = "block"
    LIST = "list"


class Holds(Enum):
    """Which bytes a value may hold, so whether the byte behind it tells its end by itself."""

    NAME = "letters, digits and a few signs"
    URL = "anything but blanks and quotes"
    WORD = "anything a client sends, hardly ever a blank"
    TEXT = "anything"


@dataclass(frozen=True, slots=True)
class Field:
    """A row of the catalogue: the field's name, the aliases that print it alone, what it means, and an example."""

    name: str
    kind: Kind
    aliases: tuple[str, ...]
    meaning: str
    example: str
    fragment: str = ""
    holds: Holds = Holds.NAME


NUMBERS = frozenset({Kind.NUMBER, Kind.COUNT, Kind.PORT, Kind.TIMER, Kind.SIZE})

# "%t" and "%tr": local time without a zone, with milliseconds; the others: no milliseconds, a zone.
_ZONED_DATE = r"[0-3][0-9]/.{17} ?+[-+][0-9]{4}"
_STATE_HTTP = r"[-A-Za-z]{4}"
_STATE_TCP = r"[-A-Za-z]{2}"

_LOCAL = "accept_date(ms),ms_ltime(%d/%b/%Y:%H:%M:%S.%3N)"
_REQUEST_LOCAL = "request_date(ms),ms_ltime(%d/%b/%Y:%H:%M:%S.%3N)"
_ZONED = tuple(
    f"[{date},{time}(%d/%b/%Y:%H:%M:%S%z)]" for date in ("accept_date", "request_date") for time in ("utime", "ltime")
)
_PATH_AND_MORE = "path of the request: no scheme, authority, query or fragment"

# In the order in which `parse` prints them. Some aliases of HAProxy 1.5 had other names (%Ci, %st, …).
# Samples stand without quotes, blanks and empty arguments.
FIELDS: tuple[Field, ...] = (
    Field("client_ip", Kind.ADDRESS, ("ci", "Ci", "[src]"), "address of the client", "192.0.2.7"),
    Field(
        "client_port",
        Kind.PORT,
        ("cp", "Cp", "[src_port]"),
        "port of the client; the listener's number for a unix socket",
        "59616",
    ),
    Field(
        "accept_date",
        Kind.DATE,
        ("t", "tr", f"[{_LOCAL}]", f"[{_REQUEST_LOCAL}]"),
        "when the connection or the request came in, in HAProxy's local time",
        "20/Nov/2026:04:30:53.045",
    ),
    Field(
        "accept_date",
        Kind.DATE,
        ("T", "Tl", "trg", "trl", *_ZONED),
        "the same with its zone",
        "20/Nov/2026:04:30:53 +0000",
        _ZONED_DATE,
    ),
    Field(
        "accept_milliseconds",
        Kind.COUNT,
        ("ms", "[accept_date(ms),ms_utime(%3N)]"),
        "milliseconds of the accept date",
        "045",
        r"[0-9]{3}",
    ),
    Field("timestamp", Kind.COUNT, ("Ts", "[accept_date]"), "the accept date in seconds since 1970", "1795149053"),
    Field("frontend_name", Kind.WORD, ("f", "[fe_name]"), "frontend that received the connection", "web"),
    Field("ssl", Kind.FLAG, ("[ssl_fc]",), "whether the client's connection was TLS", "1", r"(?:[01]|true|false|-|)"),
    Field("frontend_ip", Kind.ADDRESS, ("fi", "Fi", "[dst]"), "address that the client connected to", "192.0.2.1"),
    Field("frontend_port", Kind.PORT, ("fp", "Fp", "[dst_port]"), "port that the client connected to", "443"),
    Field("bind_name", Kind.WORD, (), "name or number of the listener", "1"),
    Field("backend_name", Kind.WORD, ("b", "[be_name]"), "backend that was chosen; the frontend where none was", "app"),
    Field(
        "backend_source_ip", Kind.ADDRESS, ("bi", "Bi", "[bc_src]"), "address that HAProxy connected from", "192.0.2.1"
    ),
    Field("backend_source_port", Kind.PORT, ("bp", "Bp", "[bc_src_port]"), "port that HAProxy connected from", "41022"),
    Field("server_name", Kind.WORD, ("s", "[srv_name]"), "server that was chosen, <NOSRV> or an applet in <>", "app1"),
    Field("server_ip", Kind.ADDRESS, ("si", "Si", "[bc_dst]"), "address of the server", "192.0.2.33"),
    Field("server_port", Kind.PORT, ("sp", "Sp", "[bc_dst_port]"), "port of the server", "8080"),
    Field(
        "time_handshake",
        Kind.TIMER,
        ("Th", "[fc.timer.handshake]"),
        "handshakes on the client's connection, TLS and PROXY",
        "12",
    ),
    Field(
        "time_idle", Kind.TIMER, ("Ti", "[req.timer.idle]"), "idle before the request on a kept-alive connection", "0"
    ),
    Field(
        "time_request",
        Kind.TIMER,
        ("TR", "Tq", "[req.timer.hdr]", "[req.timer.tq]"),
        "waiting for the client's full request",
        "0",
    ),
    Field("time_queue", Kind.TIMER, ("Tw", "[req.timer.queue]"), "waiting in queues for a connection slot", "0"),
    Field("time_connect", Kind.TIMER, ("Tc", "[bc.timer.connect]"), "connecting to the server, retries included", "3"),
    Field(
        "time_response",
        Kind.TIMER,
        ("Tr", "[res.timer.hdr]"),
        "from the request sent to the server to its response headers",
        "27",
    ),
    Field("time_data", Kind.TIMER, ("Td", "[res.timer.data]"), "transferring the response's payload", "1"),
    Field(
        "time_total",
        Kind.TIMER,
        ("Ta", "Tt", "[txn.timer.total]", "[fc.timer.total]"),
        "the whole of the request (Ta) or of the session (Tt)",
        "31",
    ),
    Field("time_user", Kind.TIMER, ("Tu", "[txn.timer.user]"), "the whole as the user saw it: without idling", "31"),
    Field(
        "status_code", Kind.NUMBER, ("ST", "st", "[txn.status]", "[status]"), "HTTP status sent to the client", "200"
    ),
    Field("bytes_read", Kind.SIZE, ("B",), "bytes sent to the client", "5120"),
    Field("bytes_uploaded", Kind.SIZE, ("U",), "bytes received from the client", "312"),
    Field("request_cookie", Kind.WORD, ("CC", "cc"), "captured request cookie", "sid=a1", holds=Holds.WORD),
    Field("response_cookie", Kind.WORD, ("CS", "cs"), "captured response cookie", "sid=b2", holds=Holds.WORD),
    Field("termination_state", Kind.STATE, ("tsc",), "who ended the session and in which phase", "----", _STATE_HTTP),
    Field(
        "termination_state",
        Kind.STATE,
        ("ts", "[txn.sess_term_state]"),
        "who ended the session and in which phase",
        "--",
        _STATE_TCP,
    ),
    Field("actconn", Kind.COUNT, ("ac", "[act_conn]"), "connections of the process when the line was written", "9"),
    Field("feconn", Kind.COUNT, ("fc", "[fe_conn]"), "connections of the frontend", "7"),
    Field("beconn", Kind.COUNT, ("bc", "[be_conn]"), "connections of the backend", "3"),
    Field("srv_conn", Kind.COUNT, ("sc", "[srv_conn]"), "connections of the server", "1"),
    Field("retries", Kind.COUNT, ("[txn.conn_retries]",), "connection retries", "0"),
    Field("redispatched", Kind.FLAG, (), "whether the session was moved to another server", "+"),
    Field("server_queue", Kind.COUNT, ("sq", "[bc_srv_queue]"), "requests that were ahead in the server's queue", "0"),
    Field("backend_queue", Kind.COUNT, ("bq", "[bc_be_queue]"), "requests that were ahead in the backend's queue", "0"),
    Field("request_headers", Kind.LIST, (), "captured request headers", "{example.org|curl/8.0}"),
    Field("response_headers", Kind.LIST, (), "captured response headers", "{text/html}"),
    Field("http_request_method", Kind.WORD, (), "method of the request", "GET", holds=Holds.URL),
    Field("http_request_uri", Kind.WORD, (), "URI of the request, as written", "/search?q=a", holds=Holds.URL),
    Field("http_request_path", Kind.WORD, (), _PATH_AND_MORE, "/search", holds=Holds.URL),
    Field(
        "http_request_query", Kind.WORD, ("[query]",), "query of the request, without its ?", "q=a", holds=Holds.WORD
    ),
    Field("http_version", Kind.WORD, (), "HTTP version of the request", "HTTP/1.1", holds=Holds.URL),
    Field(
        "ssl_sni",
        Kind.WORD,
        ("[ssl_fc_sni]",),
        "server name that the client asked for in TLS",
        "example.org",
        holds=Holds.WORD,
    ),
    Field("ssl_version", Kind.WORD, ("sslv", "[ssl_fc_protocol]"), "TLS version of the client's connection", "TLSv1.3"),
    Field(
        "ssl_cipher",
        Kind.WORD,
        ("sslc", "[ssl_fc_cipher]"),
        "TLS cipher of the client's connection",
        "TLS_AES_256_GCM_SHA384",
    ),
    Field("fc_err", Kind.WORD, ("[fc_err]",), "error number of the client's connection", "0"),
    Field("ssl_fc_err", Kind.WORD, ("[ssl_fc_err,hex]",), "TLS error of the client's connection", "0000000000000000"),
    Field("ssl_c_err", Kind.WORD, ("[ssl_c_err]",), "error of the client certificate's verification", "0"),
    Field("ssl_c_ca_err", Kind.WORD, ("[ssl_c_ca_err]",), "error of its CA's verification", "0"),
    Field("ssl_fc_is_resumed", Kind.WORD, ("[ssl_fc_is_resumed]",), "whether the TLS session was resumed", "0"),
    Field("unique_id", Kind.WORD, ("ID", "[unique-id]"), "the text of unique-id-format", "A1:2", holds=Holds.WORD),
    Field("hostname", Kind.WORD, ("H", "[hostname]"), "name of HAProxy's host", "lb1"),
    Field("process_id", Kind.COUNT, ("pid", "[pid]"), "HAProxy's process", "25192"),
    Field("log_counter", Kind.COUNT, ("lc",), "lines that the frontend logged before", "815"),
    Field("request_counter", Kind.COUNT, ("rt", "[txn.id32]"), "requests that HAProxy had before", "4711"),
    Field("log_origin", Kind.WORD, ("OG",), "the step at which the line was written", "txn_close"),
    Field("message", Kind.TEXT, ("[fc_err_str]",), "what HAProxy says", "SSL handshake failure", holds=Holds.TEXT),
)

KINDS: dict[str, Kind] = {field.name: field.kind for field in FIELDS}
