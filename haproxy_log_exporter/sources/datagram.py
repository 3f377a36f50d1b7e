"""HAProxy's syslog target: datagrams, over UDP or to a path."""

import logging
import socket
import struct
from collections.abc import Mapping
from dataclasses import replace

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.base import Chunk
from haproxy_log_exporter.sources.batch import MOST, Batch
from haproxy_log_exporter.sources.framing import LONGEST_LINE, drop_overlong, join_messages
from haproxy_log_exporter.sources.listening import Listener
from haproxy_log_exporter.sources.senders import Senders

logger = logging.getLogger(__name__)

# What may be taken at a time, so that other sources get their turn.
MOST_AT_ONCE = 8 * MOST
_LARGEST_DATAGRAM = LONGEST_LINE + 2  # a path takes larger ones than UDP: of these enough to see that they are

# Bytes: as many datagrams as come in some tenths of a second, while something else has the interpreter.
RECEIVE_BUFFER = 32 << 20
MOST_RECEIVE_BUFFER = (1 << 30) - 1  # the kernel has twice of it in an int

# asm-generic/socket.h; all missing in Python's socket module.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_SO_COOKIE = 57
_MEMINFO = struct.Struct("9I")  # linux/sock_diag.h: the last, SK_MEMINFO_DROPS, is what the buffer could not hold
_COOKIE_SIZE = 8

# How many datagrams may wait at a path; senders that do not wait lose what comes then.
_QUEUE = "/proc/sys/net/unix/max_dgram_qlen"
_ENOUGH = 512  # what systemd sets


class DatagramSource:
    """A socket for datagrams, and what the kernel dropped for it."""

    can_wait = False
    is_behind = False

    def __init__(
        self,
        name: str,
        listener: Listener,
        senders: Senders | None = None,
        *,
        receive_buffer: int = RECEIVE_BUFFER,
        drops_before: str | None = None,
    ) -> None:
        """`name` is the URL as the user gave it. Of `senders`, where given, some may send.

        `receive_buffer` is in bytes. `drops_before` is what was kept of a socket that processes hand on.
        """
        self.name = name
        self.names = (name,)
        self._listener = listener
        self._senders = senders
        self._receive_buffer = receive_buffer
        self._drops_before = drops_before
        self._socket: socket.socket | None = None
        self._batch: Batch | None = None
        self._condition = Condition()
        self._others: int | None = None  # datagrams of senders that may not send, where not all may
        self._drops_seen = 0
        self._cookie = 0

    def start(self) -> None:
        """Open, with the largest receive buffer that the system grants."""
        try:
            self._socket = self._listener.open()
        except (OSError, UnicodeError, OperationError) as error:
            self.stop()
            message = f"--syslog: cannot listen on {self.name}: {getattr(error, 'strerror', None) or error}"
            raise OperationError(message) from error
        if self._senders and not self._senders.are_all:
            self._others = 0
        else:
            self._batch = Batch(_LARGEST_DATAGRAM)
        if self._socket.family == socket.AF_UNIX:
            logger.info("listening on %s", self.name)
            self._tell_queue()
            return
        self._condition.dropped = 0
        self._condition.receive_buffer_bytes = self._grow_buffer(self._socket)
        if self._drops_before is not None:
            self._find_drops_seen(self._socket, self._drops_before)
        granted = self._condition.receive_buffer_bytes
        logger.info("listening on %s, port %d, with a receive buffer of %d bytes", self.name, self.port, granted)
        if granted < self._receive_buffer:
            logger.warning(
                "%s: the receive buffer has %d bytes of the %d asked for; sysctl net.core.rmem_max=%d, or the "
                "capability CAP_NET_ADMIN, would give them all",
                self.name, granted, self._receive_buffer, self._receive_buffer,
            )  # fmt: skip

    def _grow_buffer(self, sock: socket.socket) -> int:
        """Ask for the buffer; the kernel says twice of what it gives, the rest being for its own needs (socket(7)).

        A socket that was handed down keeps what it has, where less would be granted.
        """
        with socket.socket(sock.family, sock.type) as probe:
            granted = self._ask_for_buffer(probe)
        if self._drops_before is None or granted > _granted(sock):
            self._ask_for_buffer(sock)
        return _granted(sock)

    def _ask_for_buffer(self, sock: socket.socket) -> int:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, self._receive_buffer)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        return _granted(sock)

    def _tell_queue(self) -> None:
        try:
            with open(_QUEUE, encoding="ascii") as file:
                most = int(file.read())
        except (OSError, ValueError):
            return
        if most < _ENOUGH:
            logger.warning(
                "%s: %d datagrams may wait there, and HAProxy drops what comes then (DroppedLogs in its `show info`); "
                "with sysctl net.unix.max_dgram_qlen=%d, set before the start, more may",
                self.name, most, _ENOUGH,
            )  # fmt: skip

    @property
    def port(self) -> int:
        """The port that it is bound to; 0 where it is a path."""
        assert self._socket
        return 0 if self._socket.family == socket.AF_UNIX else int(self._socket.getsockname()[1])

    def fileno(self) -> int | None:
        """What to wait on."""
        return self._socket.fileno() if self._socket else None

    def read(self) -> list[Chunk]:
        """Take the datagrams that are there, each of one or more lines."""
        assert self._socket
        datagrams = self._receive(self._socket) if self._others is None else self._receive_some(self._socket)
        if not datagrams:
            return []
        return [Chunk(self.name, *drop_overlong(join_messages(datagrams)))]

    def _receive(self, sock: socket.socket) -> list[bytes]:
        assert self._batch
        datagrams: list[bytes] = []
        try:
            while len(datagrams) < MOST_AT_ONCE:
                found = self._batch.receive(sock.fileno())
                datagrams += found
                if len(found) < MOST:
                    break
        except BlockingIOError:
            pass
        except OSError as error:
            self._fail(error)
        return datagrams

    def _receive_some(self, sock: socket.socket) -> list[bytes]:
        """Take the datagrams of the senders that may send."""
        assert self._senders
        assert self._others is not None
        datagrams: list[bytes] = []
        try:
            for _ in range(MOST_AT_ONCE):
                datagram, sender = sock.recvfrom(_LARGEST_DATAGRAM)
                if self._senders.allow(sender[0]):
                    datagrams.append(datagram)
                else:
                    self._others += 1
        except BlockingIOError:
            pass
        except OSError as error:
            self._fail(error)
        return datagrams

    def _fail(self, error: OSError) -> None:
        """Count what the kernel reports of an earlier datagram, an ICMP error."""
        self._condition.errors += 1
        logger.debug("%s: %s", self.name, error)

    def finish(self) -> list[Chunk] | None:
        """Take what is in the receive buffer."""
        return self.read() or None

    def conditions(self) -> dict[str, Condition]:
        """Ask the kernel what it dropped; its counter has 32 bits."""
        assert self._socket
        condition = self._condition
        if condition.dropped is not None:
            drops = _drops(self._socket)
            condition.dropped += (drops - self._drops_seen) & 0xFFFFFFFF
            self._drops_seen = drops
        return {self.name: replace(condition, refused=None if self._others is None else {"sender": self._others})}

    def kept(self) -> Mapping[str, Kept]:
        """Say up to where the kernel's drops are counted, where the next process has the same socket."""
        return {self.name: Kept(place=f"{self._cookie:x} {self._drops_seen}")} if self._cookie else {}

    def _find_drops_seen(self, sock: socket.socket, kept: str) -> None:
        cookie = sock.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE_SIZE)
        self._cookie = int.from_bytes(cookie, "little")
        before, _, drops = kept.partition(" ")
        if before == f"{self._cookie:x}" and drops.isdecimal():
            self._drops_seen = int(drops)

    def stop(self) -> None:
        """Close the socket."""
        self._socket = self._batch = None
        self._listener.close()


def _drops(sock: socket.socket) -> int:
    return int(_MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[-1])


def _granted(sock: socket.socket) -> int:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
