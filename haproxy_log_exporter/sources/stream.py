"""HAProxy's ring, and whoever else sends syslog over TCP or TLS.

Strategy: all connections are in one epoll, which is itself what the service waits on. It gives those that are ready one
by one, each in its turn, so one that sends without end takes no more than its share; and a read of the source takes no
more than so many bytes, so others get theirs.
"""

import logging
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.base import Chunk
from haproxy_log_exporter.sources.connection import Connection
from haproxy_log_exporter.sources.frames import Fault
from haproxy_log_exporter.sources.framing import BLOCK, Lines
from haproxy_log_exporter.sources.listening import BACKLOG, Listener
from haproxy_log_exporter.sources.refusals import Refusals
from haproxy_log_exporter.sources.senders import Senders
from haproxy_log_exporter.sources.tls import Certificates

logger = logging.getLogger(__name__)

# A read takes a block; what costs time beside it counts as so many bytes.
_EVENT_COST = 1 << 10
_HANDSHAKE_COST = 1 << 15
_LINE_COST = 1 << 7

# Why connections are refused or closed.
_REASONS = ("sender", "limit", "idle", "handshake", *(fault.value for fault in Fault))

# So many are refused between two looks, and others have to wait to be taken: a HAProxy that is refused tries again at
# once, thousands of times a second.
_MOST_REFUSED = 512

# Connections are looked over so often, in seconds; after as long without a descriptor, taking new ones is tried again.
_LOOK_SECONDS = 1.0

# A connection that was asked to end has so many seconds.
_ENDING_SECONDS = 2.0


class Limits(NamedTuple):
    """What connections may do: how many there are, and for how many seconds they may say nothing.

    A HAProxy without traffic is silent, so silence is cheap: but when all places are taken, who has been silent for
    `patience`, or for `spoken` where it has said anything whole, has to make room.
    """

    connections: int = 256
    idle: float = 3600.0
    handshake: float = 30.0
    patience: float = 10.0
    spoken: float = 60.0


class StreamSource:
    """A port for connections, and the connections."""

    can_wait = False
    is_behind = False
    one_sender = False

    def __init__(
        self,
        name: str,
        listener: Listener,
        senders: Senders | None = None,
        limits: Limits = Limits(),  # noqa: B008 -- it is a constant
        certificates: Certificates | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name` is the URL as the user gave it. Only `senders` may connect, where they are given.

        With `certificates`, whose context may be exchanged meanwhile, connections are TLS.
        """
        self.name = name
        self.names = (name,)
        self._listener = listener
        self._senders = senders
        self._limits = limits
        self._certificates = certificates
        self._now = now
        self._socket: socket.socket | None = None
        self._epoll: select.epoll | None = None
        self._connections: dict[int, Connection] = {}
        self._refusals = Refusals(name, *_REASONS, now=now)
        self._refused_lately = 0
        self._condition = Condition()
        self._next_look = 0.0
        self._is_listening = False
        self._cannot_accept = ""
        self._pieces: list[bytes] = []
        self._overlong = 0

    def start(self) -> None:
        """Open the port."""
        try:
            self._socket = self._listener.open()
            self._epoll = select.epoll()
            self._listen(on=True)
        except (OSError, UnicodeError) as error:
            self.stop()
            message = f"--syslog: cannot listen on {self.name}: {getattr(error, 'strerror', None) or error}"
            raise OperationError(message) from error
        logger.info("listening on %s, port %d", self.name, self.port)

    @property
    def port(self) -> int:
        """The port that it is bound to."""
        assert self._socket
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int | None:
        """What to wait on."""
        return self._epoll.fileno() if self._epoll else None

    def read(self) -> list[Chunk]:
        """Take what connections have sent; lines of all of them are in one chunk."""
        assert self._epoll
        taken = 0
        while taken < BLOCK and (events := self._epoll.poll(0, 1)):
            [(descriptor, _)] = events
            if connection := self._connections.get(descriptor):
                taken += self._serve(connection)
            elif self._socket:
                self._accept(self._socket)
                taken += _EVENT_COST
        if self._now() >= self._next_look:
            self._next_look = self._now() + _LOOK_SECONDS
            self._look()
        chunk, overlong = b"".join(self._pieces), self._overlong
        self._pieces.clear()
        self._overlong = 0
        return [Chunk(self.name, chunk, overlong)] if chunk or overlong else []

    def _listen(self, *, on: bool) -> None:
        assert self._socket
        assert self._epoll
        if on and not self._is_listening:
            self._epoll.register(self._socket.fileno(), select.EPOLLIN)
        elif self._is_listening and not on:
            self._epoll.unregister(self._socket.fileno())
        self._is_listening = on

    def _accept(self, listening: socket.socket) -> bool:
        """Take a connection, if it may be taken; tell whether there was one."""
        try:
            accepted, sender = listening.accept()
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        except OSError as error:  # accept(2): there are no descriptors left, or no memory
            self._pause(error)
            return False
        self._cannot_accept = ""
        accepted.settimeout(0)
        connection = Connection(accepted, sender[0], self._now(), self._now())
        if self._senders and not self._senders.allow(sender[0]):
            self._refuse(connection, "sender")
        elif self._is_full() and not self._make_room():
            self._refuse(connection, "limit")
        else:
            self._begin(connection)
        return True

    def _pause(self, error: OSError) -> None:
        """Take no connections until the next look."""
        self._condition.errors += 1
        reason = error.strerror or str(error)
        if reason != self._cannot_accept:
            logger.error("%s: connections cannot be taken: %s", self.name, reason)
        self._cannot_accept = reason
        self._listen(on=False)

    def _begin(self, connection: Connection) -> None:
        assert self._epoll
        try:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a machine that is gone is silent
            if self._certificates:
                connection.secure(self._certificates.context)
            self._epoll.register(connection.socket.fileno(), select.EPOLLIN)
        except OSError as error:  # it has ended already, or epoll(7) has no more room
            self._refuse(connection, "handshake" if self._certificates else "limit", error)
            return
        self._connections[connection.socket.fileno()] = connection

    def _is_full(self) -> bool:
        """Whether all places are taken; those who were asked to end have left theirs."""
        most = self._limits.connections
        return len(self._connections) >= most <= sum(each.asked_to_end is None for each in self._connections.values())

    def _make_room(self) -> bool:
        """Let the connection go that has been silent for too long, if there is one.

        A sender that has said something may be about to say more, so it is asked to end.
        """
        staying = (each for each in self._connections.values() if each.asked_to_end is None)
        eldest = min(staying, key=self._goes_at)
        if self._now() < self._goes_at(eldest):
            return False
        self._count(eldest, "idle")
        if eldest.has_lines:
            eldest.ask_to_end(self._now())
        else:
            self._close(eldest, cut=True)
        return True

    def _goes_at(self, connection: Connection) -> float:
        return connection.last_line + (self._limits.spoken if connection.has_lines else self._limits.patience)

    def _serve(self, connection: Connection) -> int:
        """Take what a connection has sent; say what it cost, in bytes."""
        try:
            if not connection.is_secure:
                connection.shake_hands()
                self._wait_for(connection, select.EPOLLIN)
                return _HANDSHAKE_COST
            block = connection.receive()
        except BlockingIOError:
            return _EVENT_COST
        except ssl.SSLWantReadError:
            self._wait_for(connection, select.EPOLLIN)
            return _EVENT_COST
        except ssl.SSLWantWriteError:
            self._wait_for(connection, select.EPOLLOUT)
            return _EVENT_COST
        except OSError as error:
            self._break_off(connection, error)
            return _HANDSHAKE_COST
        if not block:
            self._close(connection)
            return _EVENT_COST
        connection.last_bytes = self._now()
        lines = connection.frames.feed(block)
        self._give(connection, lines)
        if connection.frames.fault:
            self._close(connection)
        return len(block) + _EVENT_COST + lines.chunk.count(b"\n") * _LINE_COST

    def _wait_for(self, connection: Connection, events: int) -> None:
        assert self._epoll
        self._epoll.modify(connection.socket.fileno(), events)

    def _give(self, connection: Connection, lines: Lines) -> None:
        self._pieces.append(lines.chunk)
        self._overlong += lines.overlong
        if lines.chunk:
            connection.last_line, connection.has_lines = self._now(), True

    def _break_off(self, connection: Connection, error: OSError) -> None:
        """Close a connection that was reset, or whose TLS went wrong; a line that it had begun is not whole."""
        if not connection.is_secure:
            self._count(connection, "handshake", error)
        elif isinstance(error, ssl.SSLError) and connection.asked_to_end is None:  # else it misses TLS's own end
            self._count(connection, Fault.MALFORMED.value, error)
        self._close(connection, cut=True)

    def _close(self, connection: Connection, *, cut: bool = False) -> None:
        """Close a connection, and take the last line that it has sent, unless it was cut."""
        assert self._epoll
        self._give(connection, connection.frames.end(cut=cut))
        if fault := connection.frames.fault:
            self._count(connection, fault.value)
        del self._connections[connection.socket.fileno()]
        self._epoll.unregister(connection.socket.fileno())
        connection.socket.close()

    def _refuse(self, connection: Connection, reason: str, error: Exception | None = None) -> None:
        self._count(connection, reason, error)
        connection.socket.close()

    def _count(self, connection: Connection, reason: str, error: Exception | None = None) -> None:
        """Count a connection that is refused or closed, once."""
        if not connection.is_refused:
            connection.is_refused = True
            self._refusals.add(reason, connection.sender, error)
            self._refused_lately += 1
            if self._refused_lately >= _MOST_REFUSED and self._socket:
                self._listen(on=False)

    def _look(self) -> None:
        """Look over connections that say nothing."""
        now = self._now()
        self._refused_lately = 0
        if self._socket:
            self._listen(on=True)
        for connection in [*self._connections.values()]:
            silent = now - connection.last_line
            if connection.asked_to_end is not None:
                if self._socket and now - connection.asked_to_end >= _ENDING_SECONDS:
                    self._close(connection, cut=True)
            elif not connection.is_secure and silent >= self._limits.handshake:
                self._count(connection, "handshake")
                self._close(connection)
            elif silent >= self._limits.idle:
                self._count(connection, "idle")
                connection.ask_to_end(now)
            elif now - connection.last_bytes >= _LOOK_SECONDS:
                self._give(connection, connection.frames.settle())

    def finish(self) -> list[Chunk] | None:
        """Take no new connections, and let the senders of those that are open end: so nothing is lost under way."""
        if self._socket:
            if not self._listener.outlives:
                self._take_waiting(self._socket)
            self._listen(on=False)
            self._socket = None
            self._listener.close()
            for connection in self._connections.values():
                connection.ask_to_end(self._now())
        for connection in self._connections.values():  # what may be whole is not waited with any more
            self._give(connection, connection.frames.settle())
        return self.read() or ([] if self._connections else None)

    def _take_waiting(self, listening: socket.socket) -> None:
        """Take the connections that the kernel has made already; their senders believe that they are heard."""
        for _ in range(BACKLOG):
            if not self._accept(listening):
                return

    def conditions(self) -> Mapping[str, Condition]:
        """Count connections."""
        return {
            self.name: replace(self._condition, connections=len(self._connections), refused={**self._refusals.counts})
        }

    def kept(self) -> Mapping[str, Kept]:
        """Keep nothing: what was not read is gone with its connection."""
        return {}

    def stop(self) -> None:
        """Close the port and all connections."""
        for connection in self._connections.values():
            connection.socket.close()
        self._connections.clear()
        if self._epoll:
            self._epoll.close()
            self._epoll = None
        self._socket = None
        self._listener.close()
