"""A source of connections for tests, its clock, and clients."""

import select
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_network

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.sources.listening import InheritedListener, InternetListener, Listener
from haproxy_log_exporter.sources.senders import Senders
from haproxy_log_exporter.sources.stream import Limits, StreamSource
from haproxy_log_exporter.sources.tls import Certificates
from tests.support import wait_until

# Closing a socket that lingers for no time sends RST in place of FIN.
_RESET = struct.pack("ii", 1, 0)


class Receiver:
    """A source on a port of its own, what it has read, and its clock."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        allow: Sequence[str] = (),
        limits: Limits | None = None,
        certificates: Certificates | None = None,
        inherited: socket.socket | None = None,
    ) -> None:
        """Open it, or have what is inherited; that stays open."""
        self.now = 1000.0
        self.lines = b""
        self.overlong = 0
        senders = Senders([*map(ip_network, allow)]) if allow else None
        listener: Listener = InternetListener(Address(host, 0), socket.SOCK_STREAM)
        if inherited:
            listener = InheritedListener(inherited.dup())
        name = f"{'tls' if certificates else 'tcp'}://{host}:0"
        self.source = StreamSource(name, listener, senders, limits or Limits(), certificates, lambda: self.now)
        self.source.start()
        self.port = self.source.port
        self._clients: list[socket.socket] = []

    def connect(self, host: str = "127.0.0.1", *, sender: str = "") -> socket.socket:
        """Connect to it, from an address where it matters."""
        client = socket.create_connection((host, self.port), 30, (sender, 0) if sender else None)
        self._clients.append(client)
        return client

    def turn(self) -> int:
        """Read once; tell how many bytes came."""
        before = len(self.lines)
        for chunk in self.source.read():
            self.lines += chunk.lines
            self.overlong += chunk.overlong
        return len(self.lines) - before

    def until(self, holds: Callable[[], object], what: str = "") -> None:
        """Read until a condition holds."""

        def there() -> object:
            while self.turn() and not holds():
                pass
            return holds()

        wait_until(there, what=what)

    def wait_for(self, lines: bytes) -> None:
        """Read until exactly these lines have come since the last time."""
        self.until(lambda: len(self.lines) >= len(lines), f"{lines!r}, not {self.lines!r}")
        assert self.lines == lines
        self.lines = b""

    def look(self, seconds: float) -> None:
        """Let so much time go by, and look over all connections."""
        self.now += seconds
        self.turn()

    def finish(self) -> None:
        """Let it end, as long as it says that there may be more."""

        def over() -> bool:
            while chunks := self.source.finish():
                self.lines += b"".join(chunk.lines for chunk in chunks)
            return chunks is None

        wait_until(over, what="the end of all connections")

    @property
    def is_quiet(self) -> bool:
        """Whether whoever waits on it sleeps."""
        descriptor = self.source.fileno()
        assert descriptor is not None
        return not select.select([descriptor], [], [], 0)[0]

    @property
    def open(self) -> int:
        """How many connections there are."""
        return self.source.conditions()[self.source.name].connections or 0

    @property
    def errors(self) -> int:
        """How often taking a connection failed."""
        return self.source.conditions()[self.source.name].errors

    @property
    def refused(self) -> dict[str, int]:
        """What was refused, by reason, where anything was."""
        refused = self.source.conditions()[self.source.name].refused or {}
        return {reason: count for reason, count in refused.items() if count}

    def close(self) -> None:
        """Close it and its clients."""
        self.source.stop()
        for client in self._clients:
            client.close()


Open = Callable[..., Receiver]


def reset(client: socket.socket) -> None:
    """Close a connection by RST."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()


def has_ended(client: socket.socket) -> bool:
    """Tell whether the other side has ended the connection, waiting for that up to the client's timeout."""
    with suppress(ConnectionResetError):
        return client.recv(1) == b""
    return True


def has_ipv6() -> bool:
    """Tell whether this machine has IPv6."""
    with socket.socket(socket.AF_INET6) as probe, suppress(OSError):
        probe.bind(("::1", 0))
        return True
    return False
