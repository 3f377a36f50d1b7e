"""The ways that HAProxy's log takes to the exporter: what each needs of either side, for all eight formats at once."""

import grp
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.haproxy import Doors, HAProxy, Row, number, running_haproxy
from tests.support import Exporter, Samples, total

# `log … format`, and of a ring `format`: the ring's own is what counts, whatever a log line that names it says.
FORMATS = ("local", "rfc3164", "rfc5424", "priority", "short", "timed", "iso", "raw")

METRICS = "requests_total,sessions_total,bytes_read_total,response_duration_seconds"
LABELS = "status_class,status_code,frontend_name,backend_name,server_name"
COUNTING = ("--labels", LABELS, "--metrics", METRICS)

_RING = """\
ring {name}
    format {format}
    maxlen 2048
    size {size}
    timeout connect 5s
    timeout server 10s
    server exporter {target}
"""

# Three frontends' worth of traffic: answers of servers, answers of HAProxy itself, and a proxy that knows TCP alone.
_SITE = """\
defaults
{logs}    mode http
    retries 0
    timeout client 20s
    timeout server 20s
    timeout connect 2s
frontend web
    bind fd@{web.fd}
    option httplog
    use_backend gone if {{ path_beg /503 }}
    default_backend app
frontend tcp
    mode tcp
    bind fd@{tcp.fd}
    option tcplog
    default_backend tcp-app
backend app
    server a1 {application.place}
    server a2 {application.place}
backend gone
    server gone {closed.place}
backend tcp-app
    mode tcp
    server a1 {application.place}
"""
_APPLICATION = """\
defaults
    mode http
    timeout client 60s
    timeout server 60s
frontend application
    bind fd@{application.fd}
    http-request return status 404 content-type text/plain string "no such page" if {{ path_beg /404 }}
    http-request return status 200 content-type text/plain string "hello"
"""


@dataclass(frozen=True, slots=True)
class Transport:
    """One way, as the exporter and as HAProxy have it in their options."""

    name: str
    url: str  # `--syslog`; {number} is one of each format's own, {folder} a directory for sockets
    target: str  # what HAProxy sends to
    is_ring: bool = False
    is_gentle: bool = False  # HAProxy drops what is not read at once
    options: tuple[str, ...] = ()  # of the exporter
    server: str = ""  # of the server in a ring
    settings: str = ""  # of HAProxy


_TLS = "ssl verify required ca-file {folder}/authority.pem verifyhost localhost crt {folder}/client.both"
_TLS_OPTIONS = (
    "--syslog-tls-certificate", "{folder}/server.pem",
    "--syslog-tls-key", "{folder}/server.key",
    "--syslog-tls-client-ca", "{folder}/authority.pem",
)  # fmt: skip
_COUNTED = "log-proto octet-count"

UDP = Transport("udp", "udp://127.0.0.{number}:0", "{host}:{port}")
NEWLINE = Transport("newline", "tcp://127.0.0.{number}:0", "{host}:{port}", is_ring=True)
OCTETS = Transport("octets", "tcp://127.0.0.{number}:0", "{host}:{port}", is_ring=True, server=_COUNTED)
TLS = Transport("tls", "tls://127.0.0.{number}:0", "{host}:{port}", is_ring=True, options=_TLS_OPTIONS, server=_TLS)
TLS_OCTETS = Transport(
    "tls-octets", TLS.url, TLS.target, is_ring=True, options=_TLS_OPTIONS, server=f"{_TLS} {_COUNTED}"
)
UNIX = Transport("unix", "unix://{folder}/{format}", "{folder}/{format}", is_gentle=True)
JAIL = Transport(
    "jail",
    "unix://{folder}/jail/{format}",
    "/{format}",
    is_gentle=True,
    options=("--syslog-unix-mode", "0660", "--syslog-unix-group", "{group}"),
    settings="    chroot {folder}/jail\n    {user}\n",
)
TRANSPORTS = (UDP, NEWLINE, OCTETS, TLS, TLS_OCTETS, UNIX, JAIL)


class Route:
    """A transport between one exporter and one HAProxy, whose files are in `folder`."""

    def __init__(self, transport: Transport, folder: Path) -> None:
        """Make the directory that HAProxy is to be confined to, and certificates."""
        self.transport = transport
        self._folder = folder
        jail = folder / "jail"
        jail.mkdir(parents=True)
        jail.chmod(0o755)
        if transport.options is _TLS_OPTIONS:
            make_certificates(folder)

    def fill(self, text: str, format_: str = "") -> str:
        """Fill in what a transport leaves open, for a format."""
        group, user = _haproxys_own()
        where = FORMATS.index(format_) + 1 if format_ else 0
        return text.format(folder=self._folder, format=format_, number=where, group=group, user=user)

    @property
    def sources(self) -> dict[str, str]:
        """The exporter's sources, by the format that is sent to each."""
        return {format_: self.fill(self.transport.url, format_) for format_ in FORMATS}

    @property
    def options(self) -> list[str]:
        """The exporter's options."""
        options = [text for url in self.sources.values() for text in ("--syslog", url)]
        return [*options, *(self.fill(text) for text in self.transport.options)]

    def target(self, exporter: Exporter, format_: str) -> str:
        """Say where HAProxy sends a format."""
        url = self.sources[format_]
        if url.startswith("unix:"):
            return self.fill(self.transport.target, format_)
        return f"{url.removesuffix(':0').rpartition('/')[2]}:{listening_port(exporter, url)}"

    def configure(self, exporter: Exporter, doors: Doors) -> str:
        """Write HAProxy's configuration, but for what it begins with."""
        targets = {format_: self.target(exporter, format_) for format_ in FORMATS}
        if self.transport.is_ring:
            server = self.fill(self.transport.server)
            rings = "".join(ring(format_, format_, f"{target} {server}") for format_, target in targets.items())
            logs = "".join(f"    log ring@{format_} len 2048 local0\n" for format_ in FORMATS)
        else:
            rings = ""
            logs = "".join(f"    log {target} format {format_} local0\n" for format_, target in targets.items())
        return self.fill(self.transport.settings) + rings + site(doors, logs)


class Rings:
    """Rings, each of a transport and for an address of an exporter that may come and go."""

    def __init__(
        self, folder: Path, transports: Sequence[Transport], places: Sequence[str], size: int = 8 << 20
    ) -> None:
        """`size` is a ring's, in bytes; `places` are addresses as host:port."""
        self._routes = {transport.name: Route(transport, folder / transport.name) for transport in transports}
        self._places = dict(zip(self._routes, places, strict=True))
        self._size = size

    @property
    def urls(self) -> list[str]:
        """The exporter's sources."""
        routes = self._routes.items()
        return [f"{route.transport.url.partition(':')[0]}://{self._places[name]}" for name, route in routes]

    @property
    def options(self) -> list[str]:
        """The exporter's options."""
        sources = [text for url in self.urls for text in ("--syslog", url)]
        return sources + [route.fill(text) for route in self._routes.values() for text in route.transport.options]

    def configure(self, doors: Doors, format_: str) -> str:
        """Write HAProxy's configuration: all of its log goes to each of the rings."""
        rings = [
            ring(name, format_, f"{self._places[name]} {route.fill(route.transport.server)}", self._size)
            for name, route in self._routes.items()
        ]
        return "".join(rings) + site(doors, "".join(f"    log ring@{name} len 2048 local0\n" for name in self._routes))


def listening_port(exporter: Exporter, url: str) -> int:
    """Find the port of one of several sources."""
    return exporter._port(rf"listening on {re.escape(url)}, port (\d+)")


def ring(name: str, format_: str, target: str, size: int = 1 << 20) -> str:
    """Configure a ring, which sends what is logged to it in a format to a server."""
    return _RING.format(name=name, format=format_, target=target, size=size)


def site(doors: Doors, logs: str) -> str:
    """Configure the site's proxies."""
    return _SITE.format(logs=logs, **doors)


@contextmanager
def running_site(folder: Path, doors: Doors, config: str, stdout: int | None = None) -> Iterator[HAProxy]:
    """Run HAProxy with an application behind it; its standard output goes where `stdout` says."""
    with ExitStack() as stack:
        stack.enter_context(running_haproxy(folder, "application", _APPLICATION.format(**doors)))
        yield stack.enter_context(running_haproxy(folder, "haproxy", config, stdout))


def count_lines(samples: Samples, source: str) -> dict[str, float]:
    """Count the lines of a source by what became of them, but for what did not happen."""
    name = "haproxy_log_exporter_lines_total"
    results = ("counted", "notice", "filtered", "rejected")
    counts = {result: total(samples, name, source=source, result=result) for result in results}
    return {result: count for result, count in counts.items() if count}


def logged(rows: list[Row]) -> int:
    """Say how many lines HAProxy has logged: one a request, or in TCP mode a session."""
    frontends = [row for row in rows if row["svname"] == "FRONTEND"]
    return sum(number(row, "req_tot" if row["mode"] == "http" else "stot") for row in frontends)


def differences(rows: list[Row], samples: Samples, times: int) -> dict[str, tuple[float, float]]:
    """Hold each number of `show stat` against the log's, which came so many times; give those that differ."""
    found: dict[str, tuple[float, float]] = {}
    for row in rows:
        side = {"FRONTEND": "frontend_name", "BACKEND": "backend_name"}.get(row["svname"])
        mine = {side: row["pxname"]} if side else {"backend_name": row["pxname"], "server_name": row["svname"]}
        for column, metric, labels in _columns(row, is_server=not side):
            pair = times * number(row, column), total(samples, f"haproxy_log_{metric}", **mine, **labels)
            if pair[0] != pair[1]:
                found[f"{row['pxname']}/{row['svname']} {column}"] = pair
    return found


def _columns(row: Row, *, is_server: bool) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give columns of `show stat`, and the log's metric and labels that are to be the same."""
    if row["mode"] == "tcp":
        yield "stot", "sessions_total", {}
        yield "bout", "bytes_read_total", {}
        return
    if is_server:  # what HAProxy answered in its place is not the server's
        yield "req_tot", "response_duration_seconds_count", {}
        if row["svname"] == "gone":
            return
    else:
        yield "req_tot", "requests_total", {}
        yield "bout", "bytes_read_total", {}
    for digit in "12345":
        yield f"hrsp_{digit}xx", "requests_total", {"status_class": f"{digit}xx"}


def queued(folder: Path) -> bool:
    """Tell whether a datagram waits in a unix socket of a directory; ss(8) gives the first one's length."""
    listed = subprocess.run(["ss", "-xanH"], capture_output=True, text=True, check=True).stdout
    rows = [row.split() for row in listed.splitlines() if f" {folder}/" in row and row.startswith("u_dgr")]
    assert rows
    return any(row[2] != "0" for row in rows)


def _haproxys_own() -> tuple[str, str]:
    """Give a group that HAProxy can have, and the lines by which it takes it: Debian's own where that is there."""
    try:
        grp.getgrnam("haproxy")
    except KeyError:
        return str(os.getgid()), "uid 65534"
    return "haproxy", "user haproxy\n    group haproxy"


def make_certificates(folder: Path) -> None:
    """Make two authorities, a certificate for localhost, one for a client, and one for a client by the other authority.

    NAME.pem is a certificate, NAME.key its key; HAProxy wants both in one file, NAME.both.
    """
    for authority in ("authority", "stranger"):
        _openssl(folder, "req", "-x509", *_KEY, "-days", "2", *_subject(authority), "-out", f"{authority}.pem")
    for name, authority in (("server", "authority"), ("client", "authority"), ("foreign", "stranger")):
        names = ("-addext", "subjectAltName=DNS:localhost")
        _openssl(folder, "req", *_KEY, *_subject(name), *names, "-out", f"{name}.csr")
        by = ("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial", "-copy_extensions", "copy")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *by, "-days", "2", "-out", f"{name}.pem")
    for name in ("client", "foreign"):
        parts = [folder.joinpath(f"{name}.{kind}").read_bytes() for kind in ("pem", "key")]
        folder.joinpath(f"{name}.both").write_bytes(b"".join(parts))


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _subject(name: str) -> tuple[str, ...]:
    return "-subj", f"/CN={name}", "-keyout", f"{name}.key"


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
