"""Sockets that systemd opens and `serve` takes, by systemd's own program and over restarts."""

import os
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.integration.haproxy import make_certificate
from tests.services import LINES, REQUESTS, line, wait_for
from tests.support import Exporter, Samples, command, free_port, need, total, wait_until
from tests.systemd import ON_ANY_PORT, SERVE, activated, refused

ACTIVATE = "systemd-socket-activate"
DROPPED = "haproxy_log_exporter_datagrams_dropped_total"


@contextmanager
def by_systemd(*arguments: str | Path) -> Iterator[Exporter]:
    """Run systemd's program: its options, then `--`, then those of `serve`. It waits for what comes to its sockets."""
    need(ACTIVATE)
    where = arguments.index("--")
    environment = [f"-E{name}" for name in ("PYTHONPATH", "LANG") if name in os.environ]
    options = [ACTIVATE, *environment, *map(str, arguments[:where])]
    process = subprocess.Popen([*options, *command(*SERVE, *arguments[where + 1 :])], stderr=subprocess.PIPE, text=True)
    exporter = Exporter(process)
    try:
        wait_until(lambda: any("Listening on" in said for said in exporter.messages), what=ACTIVATE)
        yield exporter
    finally:
        exporter.stop()


def send(address: str | tuple[str, int], *datagrams: bytes) -> None:
    """Send datagrams to a path or to an address."""
    internet = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    family = socket.AF_UNIX if isinstance(address, str) else internet
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for each in datagrams:
            sender.sendto(each, address)


def stream(address: tuple[str, int], *lines: bytes) -> socket.socket:
    """Connect, and send lines."""
    client = socket.create_connection(address)
    client.sendall(b"".join(lines))
    return client


def test_datagrams(tmp_path: Path) -> None:
    """An option that names an address has its socket, the others are sources of their own; no datagram is lost."""
    udp, other, six, path = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM), 0, tmp_path / "log"
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        six = probe.getsockname()[1]
    where = [f"127.0.0.1:{udp}", f"127.0.0.1:{other}", f"[::1]:{six}", str(path)]
    listen = [f"--listen={each}" for each in where]
    with by_systemd("-d", *listen, "--", *ON_ANY_PORT, "--syslog", f"udp://localhost:{udp}") as exporter:
        addresses: list[str | tuple[str, int]] = [("127.0.0.1", udp), ("127.0.0.1", other), ("::1", six), str(path)]
        for count, address in enumerate(addresses, 1):
            send(address, *[line()] * count)
        samples = exporter.wait_for_lines(1 + 2 + 3 + 4)
        urls = [f"udp://localhost:{udp}", *(f"udp://{each}" for each in where[1:3]), f"unix://{path}"]
        assert [total(samples, LINES, source=url, result="counted") for url in urls] == [1, 2, 3, 4]
        assert len({labels for name, labels in samples if name == "haproxy_log_exporter_source_errors_total"}) == 4
        assert [total(samples, DROPPED, source=url) for url in urls] == [0, 0, 0, 0]
        assert exporter.stop() == 0
    assert path.is_socket(), "it is systemd's, which goes on to have it"


def test_streams_and_the_metrics(tmp_path: Path) -> None:
    """TCP, TLS and the metrics, on three sockets at once; a scrape may be what starts the exporter."""
    need("openssl")
    make_certificate(tmp_path)
    web, tcp, tls = (free_port() for _ in range(3))
    listen = [f"--listen=127.0.0.1:{port}" for port in (web, tcp, tls)]
    secure = f"tls://127.0.0.1:{tls}"
    options = ("--syslog", secure, "--syslog-tls-certificate", tmp_path / "both.pem")
    with by_systemd(*listen, "--", "--web.listen-address", f"127.0.0.1:{web}", *options) as exporter:
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/-/ready", timeout=30) as answer:
            assert answer.read() == b"ready\n"
        assert exporter.port == web
        trusted = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
        with (
            stream(("127.0.0.1", tcp), line(), line()),
            socket.create_connection(("127.0.0.1", tls)) as plain,
            trusted.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(line() * 3)
            samples = exporter.wait_for_lines(5)
        assert total(samples, LINES, source=f"tcp://127.0.0.1:{tcp}", result="counted") == 2
        assert total(samples, LINES, source=secure, result="counted") == 3
        assert exporter.stop() == 0


def test_one_for_each_connection_is_refused() -> None:
    """With Accept=yes systemd starts a process for each connection; it says why it does not run."""
    tcp = free_port()
    with (
        by_systemd("--accept", f"--listen=127.0.0.1:{tcp}", "--", *ON_ANY_PORT) as exporter,
        stream(("127.0.0.1", tcp), line()),
    ):
        wanted = (
            "haproxy-log-exporter: systemd's socket 1 cannot be read from: it is one connection; Accept=no lets this "
            "process take all of them"
        )
        wait_until(lambda: wanted in exporter.messages, what="the refusal")


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    """All of them are told at once, with status 2."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as netlink,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as streams,
    ):
        packets.bind(str(tmp_path / "packets"))
        packets.listen()
        udp.bind(("127.0.0.1", 0))
        streams.bind(str(tmp_path / "streams"))
        streams.listen()
        status, messages = refused([packets, udp, netlink, streams])
    assert status == 2
    assert messages == [
        f"systemd's socket {number} cannot be read from: it is neither for datagrams nor for TCP"
        for number in (1, 3, 4)
    ]


@contextmanager
def udp_socket(*, buffer: int = 0, port: int = 0) -> Iterator[socket.socket]:
    """Have a UDP socket as systemd would."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.bind(("127.0.0.1", port))
        yield sock


def test_sockets_of_another_process_are_not_taken() -> None:
    """They are for whom LISTEN_PID names; without any other source there is nothing to read."""
    with udp_socket() as udp:
        with activated([udp], "--syslog", "udp://127.0.0.1:0", process="1") as exporter:
            send(udp.getsockname(), line())
            send(("127.0.0.1", exporter.syslog_port), line())
            samples = exporter.wait_for_lines(1)
            assert {dict(labels)["source"] for name, labels in samples if name == LINES} == {"udp://127.0.0.1:0"}
        with activated([udp], process="1") as exporter:
            assert exporter.process.wait(timeout=30) == 2
            wait_until(lambda: exporter.messages, what="the message")
            assert "nothing to read" in exporter.messages[0]


@pytest.mark.parametrize("keeps", [True, False], ids=["state", "no state"])
def test_nothing_is_lost_between_processes(tmp_path: Path, *, keeps: bool) -> None:
    """What comes while none runs waits for the next one: datagrams, lines at a path, and connections."""
    options = ("--state", tmp_path / "state") if keeps else ()
    with (
        udp_socket() as udp,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix,
    ):
        path = str(tmp_path / "log")
        unix.bind(path)
        counted = 0
        for count in (3, 4, 5):
            send(udp.getsockname(), *[line()] * count)
            send(path, *[line()] * count)
            with stream(tcp.getsockname(), *[line()] * count):
                pass
            counted = counted + 3 * count if keeps else 3 * count
            with activated([udp, tcp, unix], *options) as exporter:
                assert total(exporter.wait_for_lines(counted), REQUESTS) == counted
                assert exporter.stop() == 0
        assert os.path.exists(path)


def add_up(exporter: Exporter, sent: int) -> Samples:
    """Wait until as many datagrams are counted or dropped as were sent: neither more nor less."""
    samples = wait_for(exporter, lambda found: total(found, LINES) + total(found, DROPPED) >= sent, "all datagrams")
    assert total(samples, LINES) + total(samples, DROPPED) == sent
    assert total(samples, LINES) == total(samples, REQUESTS)
    return samples


@pytest.mark.parametrize("keeps", [True, False], ids=["state", "no state"])
def test_drops_are_counted_once_over_restarts(tmp_path: Path, *, keeps: bool) -> None:
    """Sent = counted + dropped to the datagram, those too that came between processes.

    Without a state lines begin at 0; what was dropped of a socket since its beginning does not.
    """
    options = ("--state", tmp_path / "state") if keeps else ()
    sent, before = 0, 0.0
    with udp_socket(buffer=4096) as udp:
        for count in (100, 300, 0):
            send(udp.getsockname(), *[line()] * count)
            sent += count
            with activated([udp], "--syslog-receive-buffer", "4096", *options) as exporter:
                samples = add_up(exporter, sent - int(before))
                before += 0 if keeps else total(samples, LINES)
        assert total(samples, DROPPED) > 300


class Traffic:
    """Sends datagrams, and lines over a connection as HAProxy's ring does: made anew whenever it has ended."""

    def __init__(self, udp: tuple[str, int], tcp: tuple[str, int]) -> None:
        """Begin."""
        self.sent = 0
        self.connections = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, args=(udp, tcp))
        self._thread.start()

    def _send(self, udp: tuple[str, int], tcp: tuple[str, int]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            while not self._over.is_set():
                with socket.create_connection(tcp) as client:
                    self.connections += 1
                    while not (self._over.is_set() or has_ended(client)):
                        datagrams.sendto(line(), udp)
                        client.sendall(line())
                        self.sent += 2
                        time.sleep(0.0005)

    def end(self) -> None:
        """Send no more."""
        self._over.set()
        self._thread.join()


def has_ended(client: socket.socket) -> bool:
    """Look whether the other end has said that it takes no more."""
    with suppress(BlockingIOError):
        return client.recv(1, socket.MSG_DONTWAIT) == b""
    return False


def test_restarts_under_traffic_lose_nothing(tmp_path: Path) -> None:
    """However many processes have had the sockets: each line is counted once, or was dropped and is known to be."""
    with udp_socket() as udp, socket.create_server(("127.0.0.1", 0)) as tcp:
        traffic = Traffic(udp.getsockname(), tcp.getsockname())
        try:
            counted = 0
            for _ in range(4):
                with activated([udp, tcp], "--state", tmp_path / "state") as exporter:
                    counted += 1_000
                    counted = int(total(exporter.wait_for_lines(counted), LINES))
                    assert exporter.stop() == 0
        finally:
            traffic.end()
        with activated([udp, tcp], "--state", tmp_path / "state") as exporter:
            samples = add_up(exporter, traffic.sent)
            assert total(samples, LINES, source=f"tcp://127.0.0.1:{tcp.getsockname()[1]}") == traffic.sent / 2
        assert traffic.connections >= 4


def test_another_socket_begins_anew(tmp_path: Path) -> None:
    """What was seen of one socket is not taken off what another one, at the same address, has dropped."""
    options = ("--syslog-receive-buffer", "4096", "--state", tmp_path / "state")
    with udp_socket(buffer=4096) as udp:
        address = udp.getsockname()
        send(address, *[line()] * 200)
        with activated([udp], *options) as exporter:
            add_up(exporter, 200)
    with udp_socket(buffer=4096, port=address[1]) as udp:
        send(address, *[line()] * 300)
        with activated([udp], *options) as exporter:
            add_up(exporter, 500)


def test_a_larger_buffer_is_not_taken_away() -> None:
    """With ReceiveBuffer= systemd gives what this process may not be granted: it stays."""
    need("setpriv")
    with udp_socket() as udp:
        if os.geteuid():
            pytest.skip("only root grants such a buffer")
        udp.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        for before in (["setpriv", "--bounding-set=-net_admin"], []):
            with activated([udp], before=before) as exporter:
                samples = exporter.scrape()
                assert total(samples, "haproxy_log_exporter_receive_buffer_bytes") == 64 << 20
                assert not any("net.core.rmem_max" in said for said in exporter.messages)
            assert udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * 64 << 20


def test_children_have_none_of_them() -> None:
    """Their numbers are closed in whatever the process would start."""
    with udp_socket() as udp, activated([udp]) as exporter:
        assert exporter.port
        inode = os.readlink(f"/proc/self/fd/{udp.fileno()}")
        folder = Path(f"/proc/{exporter.process.pid}")
        held = [each.name for each in (folder / "fd").iterdir() if os.readlink(each) == inode]
        flags = [re.search(r"flags:\s*(\d+)", (folder / "fdinfo" / name).read_text()) for name in held]
        assert held
        assert all(flag and int(flag[1], 8) & os.O_CLOEXEC for flag in flags), held
