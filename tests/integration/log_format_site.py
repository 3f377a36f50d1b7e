r"""One HAProxy with a frontend for each log-format, and the same requests made to each of them.

The last two frontends are references: they write every value bare, with a byte between them that no value holds, so
that a split is all it takes to read them. What depends on the session, HAProxy tells the client in a header.
"""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.integration.haproxy import Door, _find, _has_ipv6, make_certificate, read_all, running_haproxy
from tests.integration.log_format_rows import Row

SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, through which door: "four", "six", "unix" or "tls"."""

    name: str
    data: bytes
    door: str = "four"


class Exchange(NamedTuple):
    """A request that was made, its line, and what the client knows of it; text is latin-1."""

    request: str
    place: int  # among those of its frontend
    line: str
    client_ip: str
    client_port: int  # 0 where there is none
    door_ip: str
    door_port: int
    told: str  # what HAProxy said of the session, separated by "|"
    source_port: int  # from which HAProxy connected to the application, as that says
    began: float
    ended: float


Played = dict[str, list[Exchange]]


def _request(start: str, *headers: str, body: str = "") -> bytes:
    return "\r\n".join((start, *headers, "Connection: close", "", body)).encode("latin-1")


_PLAIN = ("Host: shop.example:8080", "User-Agent: curl/7.88", "Cookie: sid=abc=1; other=2")
_UMLAUT = "\xc3\xa4"  # as latin-1, so that it is sent as UTF-8

REQUESTS = (
    Request("get", _request("GET /shop/item?id=7&x=%20 HTTP/1.1", *_PLAIN)),
    Request("post", _request("POST /404/%7Eform? HTTP/1.1", *_PLAIN, "Content-Length: 5", body="hello")),
    Request("bare", b"GET / HTTP/1.0\r\n\r\n"),
    Request("denied", _request("GET /denied HTTP/1.1", *_PLAIN)),
    Request("empty", _request("GET /empty HTTP/1.1", *_PLAIN)),
    Request("bad", b"garbage\r\n\r\n"),
    Request("absolute", _request("GET http://user@ex.org:81/abs?y=2&u=http://z/ HTTP/1.1", "Host: ex.org:81")),
    Request("authority", _request("GET http://ex.org HTTP/1.1", "Host: ex.org")),
    Request("asterisk", _request("OPTIONS * HTTP/1.1", "Host: x", "User-Agent: x")),
    Request(
        "blanks", _request("PUT //a//b HTTP/1.1", "Host: x", "User-Agent: Mozilla/5.0 (X11; U) Gecko", "Cookie: sid=")
    ),
    Request("cookie", _request("PATCH /cookie?; HTTP/1.1", "Host: x", "Cookie: a=b; sid=a b ; c=d")),
    Request(
        "hostile",
        _request(
            r'GET /h?q="x"&p={}|\]~[a]%% HTTP/1.1',
            "Host: a b",
            rf'User-Agent: ua "q" {{a|b}} c\d]e  200,"b":1 {_UMLAUT} ' + "two\tt end",
            'Cookie: sid=v"q\\]{|}\xff',
        ),
    ),
    Request("long", _request(f"GET /long?{'long' * 300} HTTP/1.1", *_PLAIN)),
    Request("slow", _request("F!O-O /slow HTTP/1.1", *_PLAIN)),
    Request("moved", _request("GET /moved HTTP/1.1", *_PLAIN)),
    Request("six", _request("GET /six?q HTTP/1.1", *_PLAIN), door="six"),
    Request("unix", _request("GET /unix HTTP/1.1", *_PLAIN), door="unix"),
    Request("tls", _request("GET /tls HTTP/1.1", *_PLAIN), door="tls"),
)
_IN_TCP = ("get", "six", "unix", "tls")

# What the session's own value is told by, in a header of the response; most by the alias that the field is of.
TOLD = {
    "client_ip": "%ci", "client_port": "%cp", "frontend_ip": "%fi", "frontend_port": "%fp",
    "backend_source_port": "%bp", "src": "%[src]", "src_port": "%[src_port]", "dst": "%[dst]",
    "dst_port": "%[dst_port]",
    "accept_date": "%t", "tr": "%tr", "T": "%T", "Tl": "%Tl", "trg": "%trg", "trl": "%trl", "timestamp": "%Ts",
    "accept_milliseconds": "%ms", "time_handshake": "%Th", "time_idle": "%Ti", "time_request": "%TR", "Tq": "%Tq",
    "time_queue": "%Tw", "time_connect": "%Tc", "time_response": "%Tr", "request_counter": "%rt", "unique_id": "%ID",
    "src_hex": "%[src,hex]", "src_ipmask_24": "%[src,ipmask(24)]", "src_ipmask_24_64": "%[src,ipmask(24,64)]",
}  # fmt: skip

# What must be the same for the same request whichever frontend it is made to.
_SAME_IN_TCP = {
    "bytes_read": "%B", "bytes_uploaded": "%U", "ts": "%ts", "redispatches": "%rc", "server_queue": "%sq",
    "backend_queue": "%bq", "hostname": "%H", "backend": "%b", "server_name": "%s", "backend_source_ip": "%bi",
    "server_ip": "%si", "server_port": "%sp", "ssl_version": "%sslv", "ssl_cipher": "%sslc", "unique_id": "%ID",
    "time_handshake": "%Th", "time_queue": "%Tw", "time_connect": "%Tc", "time_data": "%Td", "frontend": "%ft",
    "src": "%[src]", "src_ipmask_24": "%[src,ipmask(24)]",
}  # fmt: skip
_SAME = _SAME_IN_TCP | {
    "status_code": "%ST", "termination_state": "%tsc", "request_cookie": "%CC", "response_cookie": "%CS",
    "request_block": "%hr", "response_block": "%hs", "http_request_method": "%HM", "http_request_uri": "%HU",
    "HPO": "%HPO", "http_request_query": "%HQ", "http_version": "%HV", "time_idle": "%Ti", "time_request": "%TR",
    "Tq": "%Tq", "time_response": "%Tr", "be_name": "%[be_name]", "srv_name": "%[srv_name]",
    "fc_err": "%[fc_err]", "ssl_fc_err": "%[ssl_fc_err,hex]", "ssl_c_err": "%[ssl_c_err]",
    "ssl_c_ca_err": "%[ssl_c_ca_err]", "ssl_fc_is_resumed": "%[ssl_fc_is_resumed]", "ssl_sni": "%[ssl_fc_sni]",
    "src_hex": "%[src,hex]", "src_ipmask_24_64": "%[src,ipmask(24,64)]",
    "request_header_1": "%[capture.req.hdr(0)]", "request_header_2": "%[capture.req.hdr(1)]",
    "response_header_1": "%[capture.res.hdr(0)]", "bool_true": "%[bool(true)]", "int_5": "%[int(-5)]",
    "str_length": "%[str(),length]", "str_x_y_upper": "%[str('x]y'),upper]", "str_a": "%[str([a])]",
    "str_a_b_c": '%[str("a)b] c")]', "var_txn_host": "%[var(txn.host)]", "var_txn_path": "%[var(txn.path)]",
    "var_txn_none": "%[var(txn.none)]", "var_txn_agent": "%[var(txn.agent)]", "var_txn_foo": "%[var(txn.foo)]",
    "var_txn_host_regsub_g": '%[var(txn.host),regsub("[.]","-",g)]',
    "var_txn_host_concat_a_b_txn_path": '%[var(txn.host),concat(" a,b) ]",txn.path,)]',
    "var_txn_host_field_1_lower": "%[var(txn.host),field(1,:),lower]",
    "var_txn_agent_field_1": '%[var(txn.agent),field(-1," ")]',
    "capture_req_hdr_1_base64": "%[capture.req.hdr(1),base64]", "nbsrv_none": "%[nbsrv(none)]",
    "queue_none": "%[queue(none)]", "stopping": "%[stopping]", "capture_uri": "%[capture.req.uri]",
    "capture_version": "%[capture.req.ver]", "fc_err_str": "%[fc_err_str]",
}  # fmt: skip
SAME = {"http": _SAME, "tcp": _SAME_IN_TCP}

_DEFAULTS = """\
    nbthread 1
defaults
    log 127.0.0.1:{port} len 8192 local0
    timeout client 20s
    timeout server 20s
    timeout connect 2s
    timeout tarpit 20ms
    retries 1
frontend application
    mode http
    no log
    bind fd@{application.fd}
    http-request return status 404 content-type text/plain hdr X-Source %cp string "no such page" if {{ path_beg /404 }}
    http-request return status 200 content-type text/plain hdr X-Source %cp hdr X-Foo 'r "s" {{t|u}}\\x' \
hdr Set-Cookie 'sid="n\\]{{|}}' string hello if {{ path /h }}
    http-request return status 200 content-type text/plain hdr X-Source %cp hdr X-Foo foo \
hdr Set-Cookie sid=new string hello
backend bk.a-b:1_
    mode http
    server s-1.x:2 {application.place}
backend none
    mode http
backend moving
    mode http
    balance first
    option redispatch 1
    server gone {closed.place}
    server s-1.x:2 {application.place}
backend bk-tcp
    mode tcp
    server s-1.x:2 {application.place}
"""

_HTTP = """\
    mode http
    http-request set-var(txn.host) req.hdr(host)
    http-request set-var(txn.agent) req.fhdr(user-agent)
    http-request set-var(txn.path) path
    http-response set-var(txn.foo) res.hdr(x-foo)
    http-after-response set-header X-Told {told}
    http-request deny if {{ path /denied }}
    http-request tarpit if {{ path /slow }}
    use_backend none if {{ path /empty }}
    use_backend moving if {{ path /moved }}
    default_backend bk.a-b:1_
"""
_CAPTURES = {
    "": "",
    "request": """\
    capture request header Host len 63
    capture request header User-Agent len 127
    capture cookie sid len 63
""",
}
_CAPTURES["both"] = f"{_CAPTURES['request']}    capture response header X-Foo len 63\n"
_TCP = """\
    mode tcp
    default_backend bk-tcp
"""


def references() -> dict[str, Row]:
    """Give the reference frontends, by their modes."""
    return {mode: Row(SEPARATOR.join(items.values()), "", mode=mode, tls=True) for mode, items in SAME.items()}


def requests_for(row: Row) -> list[Request]:
    """Choose the requests that are made to a format's frontend."""
    return [
        request
        for request in REQUESTS
        if (row.mode == "http" or request.name in _IN_TCP)
        and request.name not in row.without
        and request.door in {"unix", *_hosts(row)}
    ]


def play(folder: Path, rows: dict[str, Row]) -> Played:
    """Make all requests to all frontends, one after the other; HAProxy is gone when they are done."""
    with ExitStack() as stack:
        logs = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        logs.bind(("127.0.0.1", 0))
        logs.settimeout(30)
        doors = {name: stack.enter_context(_open_doors(row)) for name, row in rows.items()}
        application = stack.enter_context(_door())
        closed = stack.enter_context(_door(listening=False))
        make_certificate(folder)
        config = _DEFAULTS.format(port=logs.getsockname()[1], application=application, closed=closed)
        config += "".join(_frontend(name, row, doors[name], folder) for name, row in rows.items())
        stack.enter_context(running_haproxy(folder, "formats", config))
        played: Played = {name: [] for name in rows}
        for name, row in rows.items():
            for place, request in enumerate(requests_for(row)):
                played[name].append(_exchange(request, place, doors[name], folder / f"{name}.sock", logs))
        return played


@contextmanager
def _door(host: str = "127.0.0.1", *, listening: bool = True) -> Iterator[Door]:
    door = Door(host, listening=listening)
    with door.socket:
        yield door


@contextmanager
def _open_doors(row: Row) -> Iterator[dict[str, Door]]:
    with ExitStack() as stack:
        yield {kind: stack.enter_context(_door(host)) for kind, host in _hosts(row).items()}


def _hosts(row: Row) -> dict[str, str]:
    """Give the addresses of a frontend's doors but for the unix socket."""
    six = {"six": "::1"} if _has_ipv6() else {}
    return {"four": "127.0.0.1"} | six | ({"tls": "127.0.0.1"} if row.tls else {})


def quote(text: str) -> str:
    """Put a text into the double quotes of haproxy.cfg (chapter 2.2)."""
    escaped = re.sub(r'[\\"$]', r"\\\g<0>", text)
    return '"' + escaped.replace(SEPARATOR, r"\x1f").replace("\t", r"\t") + '"'


def _frontend(name: str, row: Row, doors: dict[str, Door], folder: Path) -> str:
    lines = [f"frontend {name}", f"    bind unix@{folder}/{name}.sock"]
    for kind, door in doors.items():
        lines.append(f"    bind fd@{door.fd}" + (f" ssl crt {folder}/both.pem" if kind == "tls" else ""))
    if row.unique_id:
        lines.append(r"    unique-id-format %{+X}o\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid")
    if row.option:
        lines.append(f"    option {row.option}")
    lines.append(f"    log-format {row.written or quote(row.format)}")
    common = _HTTP.format(told=quote("|".join(TOLD.values()))) if row.mode == "http" else _TCP
    captures = _CAPTURES[row.captures] if row.mode == "http" else ""
    return "\n".join(lines) + "\n" + captures + common


def _exchange(request: Request, place: int, doors: dict[str, Door], path: Path, logs: socket.socket) -> Exchange:
    """Make a request, and take the line that HAProxy logs for it."""
    began = time.time()
    with _connect(request, doors, path) as client:
        ends = (("unix", 0), ("unix", 0))
        if request.door != "unix":
            ends = (client.getsockname()[:2], client.getpeername()[:2])
        client.sendall(request.data)
        answer = read_all(client).decode("latin-1")
    line = logs.recv(1 << 16).decode("latin-1")
    told, source = (re.search(rf"(?m)^{header}: ([^\r]*)", answer) for header in ("x-told", "x-source"))
    return Exchange(
        request.name,
        place,
        line,
        *ends[0],
        *ends[1],
        told[1] if told else "",
        int(source[1]) if source else 0,
        began,
        time.time(),
    )


def _connect(request: Request, doors: dict[str, Door], path: Path) -> socket.socket:
    if request.door == "unix":
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        client.connect(str(path))
        return client
    return doors[request.door].connect(*(["http/1.1"] if request.door == "tls" else []))


def is_refused(folder: Path, source: str) -> bool:
    """Ask HAProxy whether it refuses a log-format."""
    file = folder / "refused.cfg"
    file.write_text(
        "defaults\n    mode http\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\n"
        f"listen one\n    bind 127.0.0.1:1\n    log 127.0.0.1:1 local0\n    log-format {quote(source)}\n"
    )
    checked = subprocess.run([_find("haproxy"), "-c", "-f", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0 or "log-format" in checked.stderr, checked.stderr
    return checked.returncode != 0
