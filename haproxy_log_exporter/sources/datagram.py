"""HAProxy's syslog target: datagrams, over UDP or to a path."""

import logging
import operator
import socket
from collections.abc import Mapping
from dataclasses import replace
from itertools import compress

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.base import Chunk
from haproxy_log_exporter.sources.batch import MOST, Batch
from haproxy_log_exporter.sources.framing import LONGEST_LINE, drop_overlong, join_messages
from haproxy_log_exporter.sources.kernel import RECEIVE_BUFFER, Drops, ask_for_buffer, granted_buffer, grow_buffer
from haproxy_log_exporter.sources.listening import Listener
from haproxy_log_exporter.sources.refusals import Refusals
from haproxy_log_exporter.sources.senders import Senders

logger = logging.getLogger(__name__)

# What may be taken at a time, in datagrams and bytes, so that other sources get their turn.
MOST_AT_ONCE = 32 * MOST
_MOST_BYTES = 1 << 20
_LARGEST_DATAGRAM = LONGEST_LINE + 2  # a path takes larger ones than UDP: of these enough to see that they are

# How many datagrams may wait at a path; senders that do not wait lose what comes then.
_QUEUE = "/proc/sys/net/unix/max_dgram_qlen"
_ENOUGH = 512  # what systemd sets


class DatagramSource:
    """A socket for datagrams, and what the kernel dropped for it."""

    can_wait = False
    one_sender = False

    def __init__(
        self,
        name: str,
        listener: Listener,
        senders: Senders | None = None,
        *,
        receive_buffer: int = RECEIVE_BUFFER,
        place: str = "",
    ) -> None:
        """`name` is the URL as the user gave it. Only `senders` may send, where they are given.

        `receive_buffer` is in bytes, `place` what was kept of the last one of that name, who may have had this socket.
        """
        self.name = name
        self.names = (name,)
        self.is_behind = False
        self._listener = listener
        self._senders = senders
        self._receive_buffer = receive_buffer
        self._place = place
        self._socket: socket.socket | None = None
        self._batch = Batch(_LARGEST_DATAGRAM, with_senders=senders is not None)
        self._drops: Drops | None = None
        self._condition = Condition()
        self._refusals = Refusals(name, "sender")

    def start(self) -> None:
        """Open, with the largest receive buffer that the system grants."""
        try:
            self._socket = self._listener.open()
        except (OSError, UnicodeError, OperationError) as error:
            self.stop()
            message = f"--syslog: cannot listen on {self.name}: {getattr(error, 'strerror', None) or error}"
            raise OperationError(message) from error
        if self._socket.family == socket.AF_UNIX:
            logger.info("listening on %s", self.name)
            self._tell_queue()
        else:
            self._start_counting(self._socket)
            self._ask_for_buffer(self._socket)

    def _start_counting(self, sock: socket.socket) -> None:
        try:
            self._drops = Drops(sock, self._place)
        except OSError as error:
            logger.warning("%s: the kernel does not tell what it drops: %s", self.name, error.strerror)
        else:
            self._condition.dropped = 0

    def _ask_for_buffer(self, sock: socket.socket) -> None:
        (grow_buffer if self._listener.outlives else ask_for_buffer)(sock, self._receive_buffer)
        granted = self._condition.receive_buffer_bytes = granted_buffer(sock)
        logger.info("listening on %s, port %d, with a receive buffer of %d bytes", self.name, self.port, granted)
        if granted < self._receive_buffer:
            logger.warning(
                "%s: the receive buffer has %d bytes of the %d asked for; sysctl net.core.rmem_max=%d, or the "
                "capability CAP_NET_ADMIN, would give them all",
                self.name, granted, self._receive_buffer, self._receive_buffer,
            )  # fmt: skip

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
        datagrams = self._receive(self._socket)
        return [Chunk(self.name, *drop_overlong(join_messages(datagrams)))] if datagrams else []

    def _receive(self, sock: socket.socket) -> list[bytes]:
        datagrams: list[bytes] = []
        taken, size, found = 0, 0, MOST
        try:
            while found == MOST and taken < MOST_AT_ONCE and size < _MOST_BYTES:
                batch = self._batch.receive(sock.fileno())
                found = len(batch)
                taken += found
                size += sum(map(len, batch))
                datagrams += self._select(batch) if self._senders else batch
        except BlockingIOError:
            pass
        except OSError as error:  # what the kernel reports in place of a datagram
            self._condition.errors += 1
            logger.debug("%s: %s", self.name, error)
        self.is_behind = found == MOST and taken > 0
        return datagrams

    def _select(self, batch: list[bytes]) -> list[bytes]:
        """Take the datagrams of those who may send."""
        assert self._senders
        hosts = self._batch.hosts(len(batch))
        allowed = [*map(self._senders.allow, hosts)]
        if others := [*compress(hosts, map(operator.not_, allowed))]:
            self._refusals.add("sender", others[-1], number=len(others))
        return [*compress(batch, allowed)]

    def finish(self) -> list[Chunk] | None:
        """Take what is in the receive buffer."""
        return self.read() or ([] if self.is_behind else None)

    def conditions(self) -> dict[str, Condition]:
        """Say what was dropped and refused."""
        if self._drops:
            assert self._condition.dropped is not None
            self._condition.dropped += self._drops.take()
        return {self.name: replace(self._condition, refused={**self._refusals.counts} if self._senders else None)}

    def kept(self) -> Mapping[str, Kept]:
        """Say up to where the kernel's drops are counted, where others will have the same socket."""
        return {self.name: Kept(place=self._drops.place)} if self._drops and self._listener.outlives else {}

    def stop(self) -> None:
        """Close the socket."""
        self._socket = self._drops = None
        self._listener.close()
