"""A real HAProxy, a real rsyslogd, and clients that behave and clients that do not.

Listening sockets are made here, on ports of the kernel's choice, and handed down to HAProxy (`bind fd@N`). So no two
tests that run at the same time can take each other's ports, and a port is open before HAProxy is.
"""

import csv
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.support import wait_until

Row = dict[str, str]

# Closing a socket that lingers for no time sends RST in place of FIN.
_RESET = struct.pack("ii", 1, 0)

# UDP and not a unix socket: of that the kernel queues ten datagrams, and HAProxy drops what it cannot send at once.
_RSYSLOG = """\
global(workDirectory="{folder}" maxMessageSize="64k" net.enableDNS="off")
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="0" ruleset="haproxy" rcvbufSize="32m" rateLimit.interval="0")
ruleset(name="haproxy" queue.type="LinkedList" queue.size="200000" queue.workerThreads="1") {{
    action(type="omfile" file="{folder}/traditional.log" template="RSYSLOG_TraditionalFileFormat")
    action(type="omfile" file="{folder}/iso.log")
}}
"""

# What HAProxy's servers answer; a second HAProxy is faster at it than Python.
_APPLICATION = """\
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 10s
frontend application
    bind fd@{application.fd}
    http-request return status 404 content-type text/plain string "no such page" if {{ path_beg /404 }}
    http-request return status 500 content-type text/plain string "broken" if {{ path_beg /500 }}
    http-request return status 302 hdr location / if {{ path_beg /302 }}
    http-request return status 200 content-type text/plain string "hello"
"""

# abortonclose, so that a client that goes away is seen at once. No health checks but one, so that no server comes or
# goes; where servers refuse, a short time for connecting, which is also the pause before HAProxy tries again.
_CONFIG = """\
defaults
    log global
    mode http
    option abortonclose
    retries 2
    timeout client 60s
    timeout http-request 5s
    timeout server 60s
    timeout connect 10s
frontend web
    bind fd@{web4.fd}
    bind fd@{web6.fd}
    bind unix@{folder}/web.sock
    option httplog
    capture request header Host len 30
    stats uri /stats
    http-request deny if {{ path_beg /denied-in-front }}
    use_backend denied if {{ path_beg /denied-behind }}
    use_backend refused if {{ path_beg /refused }}
    use_backend flaky if {{ path_beg /flaky }}
    use_backend narrow if {{ path_beg /narrow }}
    use_backend mute if {{ path_beg /mute }}
    use_backend down if {{ path_beg /down }}
    default_backend app
frontend tls
    bind fd@{tls.fd} ssl crt {folder}/both.pem alpn h2,http/1.1
    option httpslog
    use_backend mute if {{ path_beg /mute }}
    default_backend app
frontend tcp
    mode tcp
    bind fd@{tcp.fd}
    option tcplog
    default_backend tcp-app
frontend tcp-no
    mode tcp
    bind fd@{tcp_refused.fd}
    option tcplog
    default_backend tcp-refused
backend app
    server a1 {application.place}
    server a2 {application.place}
backend narrow
    server a1 {application.place} maxconn 1
backend denied
    http-request deny
    server a1 {application.place}
backend flaky
    option redispatch
    timeout connect 100ms
    server gone {closed.place}
    server a1 {application.place}
backend refused
    timeout connect 100ms
    server gone {closed.place}
backend down
    server gone {closed.place} check inter 100ms fall 1
backend mute
    timeout server 2s
    server mute {silent.place}
backend tcp-app
    mode tcp
    server a1 {application.place}
backend tcp-refused
    mode tcp
    timeout connect 100ms
    server gone {closed.place}
"""


def number(row: Row, column: str) -> int:
    """Read a number of `show stat`; a column that the row does not have counts as 0."""
    return int(row[column] or 0)


class Door:
    """A socket bound to a port of the kernel's choice.

    Without listening it refuses connections, and nobody else can have its port.
    """

    def __init__(self, host: str = "127.0.0.1", *, listening: bool = True) -> None:
        """Open it."""
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.settimeout(30)
        self.socket.bind((host, 0))
        if listening:
            self.socket.listen(128)

    @property
    def fd(self) -> int:
        """Its descriptor, for a program that is to answer it."""
        return self.socket.fileno()

    @property
    def place(self) -> str:
        """Its address as host:port."""
        host, port, *_ = self.socket.getsockname()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def connect(self, *protocols: str) -> socket.socket:
        """Open a connection to it; with `protocols`, one of TLS that offers them (ALPN)."""
        client = socket.socket(self.socket.family)
        client.settimeout(30)
        client.connect(self.socket.getsockname())
        if not protocols:
            return client
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([*protocols])
        return context.wrap_socket(client)


Doors = dict[str, Door]


@contextmanager
def open_doors() -> Iterator[Doors]:
    """Open the doors of a site: HAProxy's own and its servers'; `silent` is answered by nobody but the test."""
    with ExitStack() as stack:
        doors = {name: Door() for name in ("web4", "tls", "tcp", "tcp_refused", "application", "silent")}
        doors |= {"web6": Door("::1" if _has_ipv6() else "127.0.0.1"), "closed": Door(listening=False)}
        for door in doors.values():
            stack.enter_context(door.socket)
        yield doors


def _has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe, suppress(OSError):
        probe.bind(("::1", 0))
        return True
    return False


class HAProxy:
    """A running HAProxy and its socket for commands."""

    def __init__(self, process: "subprocess.Popen[bytes]", commands: Path, messages: Path) -> None:
        """`messages` is where it writes what it has to say."""
        self.process = process
        self._commands = commands
        self._messages = messages

    def ask(self, command: str) -> str:
        """Give a command on the stats socket; take the answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self._commands))
            client.sendall(f"{command}\n".encode())
            return read_all(client).decode()

    def rows(self) -> list[Row]:
        """Read `show stat`: one row a frontend, backend and server."""
        return [*csv.DictReader(self.ask("show stat").removeprefix("# ").splitlines())]

    def info(self) -> Row:
        """Read `show info`."""
        pairs = (line.partition(": ") for line in self.ask("show info").splitlines())
        return {name: text for name, _, text in pairs}

    def answers(self) -> bool:
        """Tell whether it is up; fail when it never will be."""
        assert self.process.poll() is None, self._messages.read_text()
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return bool(self.ask("show info"))
        return False

    def is_idle(self) -> bool:
        """Tell whether all connections and sessions have ended, so that all of them are counted and logged."""
        return self.info()["CurrConns"] == "0" and not any(number(row, "scur") for row in self.rows())

    def stop(self) -> None:
        """Let it end by itself, which it says in its log; when it is gone, all that it logged has been sent."""
        self.process.send_signal(signal.SIGUSR1)
        self.process.wait(timeout=30)


@contextmanager
def running_haproxy(folder: Path, name: str, config: str, stdout: int | None = None) -> Iterator[HAProxy]:
    """Run HAProxy with a configuration that may bind doors by their descriptors, fd@N."""
    file, commands, messages = (folder / f"{name}.{kind}" for kind in ("cfg", "sock", "err"))
    file.write_text(f"global\n    maxconn 400\n    stats socket {commands} level admin\n{config}")
    with messages.open("wb") as output:
        process = subprocess.Popen(
            [_find("haproxy"), "-db", "-f", file],
            pass_fds=[*map(int, re.findall(r"fd@(\d+)", config))],
            stdout=output if stdout is None else stdout,
            stderr=output,
        )
    haproxy = HAProxy(process, commands, messages)
    try:
        wait_until(haproxy.answers, what=f"HAProxy {name}")
        yield haproxy
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def running_site(folder: Path, doors: Doors, log_ports: Iterable[int]) -> Iterator[HAProxy]:
    """Run HAProxy behind a site's doors, with an application behind it, logging to ports of 127.0.0.1."""
    make_certificate(folder)
    logs = "".join(f"    log 127.0.0.1:{port} local0\n" for port in log_ports)
    with (
        running_haproxy(folder, "application", _APPLICATION.format(**doors)),
        running_haproxy(folder, "haproxy", logs + _CONFIG.format(folder=folder, **doors)) as haproxy,
    ):
        yield haproxy


def udp_sockets(pid: int) -> list[list[str]]:
    """List a process's UDP sockets: the columns of proc(5), /proc/net/udp."""
    process = Path(f"/proc/{pid}")
    open_files = set()
    for descriptor in process.joinpath("fd").iterdir():
        with suppress(FileNotFoundError):
            open_files.add(os.readlink(descriptor))
    rows = (row.split() for row in process.joinpath("net/udp").read_text().splitlines())
    return [row for row in rows if f"socket:[{row[9]}]" in open_files]


class Rsyslog:
    """A running rsyslogd: UDP in, two files out, in Debian's format (`iso`) and in the traditional one."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        """Its files are in `folder`."""
        self.process = process
        self.iso = folder / "iso.log"
        self.traditional = folder / "traditional.log"

    def listens(self) -> bool:
        """Tell whether it is up; fail when it never will be."""
        assert self.process.poll() is None, "rsyslogd has ended"
        return bool(self._socket())

    @property
    def port(self) -> int:
        """Its port, which the kernel chose."""
        return int(self._socket()[1].rpartition(":")[2], 16)

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped for it."""
        return int(self._socket()[12])

    def _socket(self) -> list[str]:
        """Find its one UDP socket, or none."""
        return next(iter(udp_sockets(self.process.pid)), [])

    def stop(self) -> None:
        """End it; its files are complete then."""
        self.process.terminate()
        self.process.wait(timeout=30)


@contextmanager
def running_rsyslog(folder: Path) -> Iterator[Rsyslog]:
    """Run rsyslogd with a configuration and a work directory of its own."""
    config = folder / "rsyslog.conf"
    config.write_text(_RSYSLOG.format(folder=folder))
    rsyslog = Rsyslog(subprocess.Popen([_find("rsyslogd"), "-n", "-f", config, "-i", "NONE"]), folder)
    try:
        wait_until(rsyslog.listens, what="rsyslogd")
        yield rsyslog
    finally:
        rsyslog.stop()


def make_certificate(folder: Path) -> None:
    """Make a certificate for localhost; HAProxy wants its key in the same file, both.pem."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    options = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subprocess.run(
        ["openssl", "req", "-x509", *options, "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    folder.joinpath("both.pem").write_bytes(certificate.read_bytes() + key.read_bytes())


def hang_up(client: socket.socket, *, reset: bool) -> None:
    """Close a connection, by RST or by FIN."""
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()


def talk(client: socket.socket, data: bytes) -> bytes:
    """Send something, read until the other side has ended, and hang up."""
    with client:
        client.sendall(data)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """Read until the other side has ended."""
    answer = b""
    with suppress(ConnectionResetError, ssl.SSLError):
        while block := client.recv(1 << 16):
            answer += block
    return answer


def h2load(requests: int, clients: int, arguments: Sequence[str]) -> None:
    """Send requests over kept-alive connections; all must be answered, with whatever status."""
    finished = subprocess.run(
        ["h2load", f"--requests={requests}", f"--clients={clients}", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    answered = re.search(r"(\d+) done, .* (\d+) errored, (\d+) timeout", finished.stdout)
    assert answered
    assert [*map(int, answered.groups())] == [requests, 0, 0], finished.stdout


def _find(program: str) -> str:
    """Find a program that may be an administrator's, so not on a user's path."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or program
