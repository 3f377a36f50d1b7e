"""HAProxy's syslog target: datagrams over UDP."""

import logging
import socket
import struct
from dataclasses import replace

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.base import Chunk
from haproxy_log_exporter.sources.framing import drop_overlong

logger = logging.getLogger(__name__)

# What may be taken at a time, so that other sources get their turn.
MOST_AT_ONCE = 2_000
_LARGEST_DATAGRAM = 1 << 16
_RECEIVE_BUFFER = 32 << 20

# asm-generic/socket.h; both missing in Python's socket module.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")  # linux/sock_diag.h: the last, SK_MEMINFO_DROPS, is what the buffer could not hold


class DatagramSource:
    """A UDP socket, and what the kernel dropped for it."""

    def __init__(self, name: str, address: Address) -> None:
        """`name` is the URL as the user gave it."""
        self.name = name
        self.names = (name,)
        self._address = address
        self._socket: socket.socket | None = None
        self._condition = Condition(dropped=0)
        self._drops_seen = 0

    def start(self) -> None:
        """Bind, with the largest receive buffer that the system grants."""
        try:
            found = socket.getaddrinfo(
                self._address.host or None, self._address.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
            )
            # All addresses means both families, which an IPv6 socket serves where there is IPv6.
            dual = not self._address.host and socket.has_dualstack_ipv6()
            preferred = socket.AF_INET6 if dual else socket.AF_INET
            family, kind, protocol, _, where = next((row for row in found if row[0] == preferred), found[0])
            self._socket = socket.socket(family, kind, protocol)
            if dual:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._grow_buffer(self._socket)
            self._socket.bind(where)
        except (OSError, UnicodeError) as error:
            self.stop()
            message = f"--syslog: cannot listen on {self.name}: {getattr(error, 'strerror', None) or error}"
            raise OperationError(message) from error
        self._socket.settimeout(0)
        logger.info("listening on %s, port %d", self.name, self.port)

    @staticmethod
    def _grow_buffer(sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    @property
    def port(self) -> int:
        """The port that it is bound to."""
        assert self._socket
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int | None:
        """What to wait on."""
        return self._socket.fileno() if self._socket else None

    def read(self) -> list[Chunk]:
        """Take the datagrams that are there, each of one or more lines."""
        assert self._socket
        receive = self._socket.recv
        datagrams: list[bytes] = []
        try:
            for _ in range(MOST_AT_ONCE):
                datagrams.append(receive(_LARGEST_DATAGRAM))  # noqa: PERF401 -- what came before an error counts
        except BlockingIOError:
            pass
        except OSError as error:  # what the kernel reports of an earlier datagram, an ICMP error
            self._condition.errors += 1
            logger.debug("%s: %s", self.name, error)
        if not datagrams:
            return []
        datagrams.append(b"")
        # HAProxy ends each datagram with a newline, other senders do not. Nothing is lost with an empty line.
        chunk = b"\n".join(datagrams)
        while b"\n\n" in chunk:
            chunk = chunk.replace(b"\n\n", b"\n")
        return [Chunk(self.name, *drop_overlong(chunk.removeprefix(b"\n")))]

    def conditions(self) -> dict[str, Condition]:
        """Ask the kernel what it dropped; its counter has 32 bits."""
        assert self._socket
        assert self._condition.dropped is not None
        drops = _MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[-1]
        self._condition.dropped += (drops - self._drops_seen) & 0xFFFFFFFF
        self._drops_seen = drops
        return {self.name: replace(self._condition)}

    def stop(self) -> None:
        """Close the socket."""
        if self._socket:
            self._socket.close()
            self._socket = None
