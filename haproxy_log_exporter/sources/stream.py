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
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.base import Chunk
from haproxy_log_exporter.sources.frames import Frames
from haproxy_log_exporter.sources.framing import BLOCK, Lines
from haproxy_log_exporter.sources.listening import Listener
from haproxy_log_exporter.sources.senders import Senders

logger = logging.getLogger(__name__)

# What is taken of a connection at a time, in bytes: what a pipe or a socket has at hand, mostly.
_AT_ONCE = 1 << 16

# A read takes a block; what costs time without giving bytes counts as so many.
_EVENT_COST = 1 << 10
_HANDSHAKE_COST = 1 << 15

# Connections that break off are told apart by what of them is wrong.
_REFUSALS = ("sender", "limit", "idle", "oversized", "malformed", "incomplete", "handshake")

# Connections are looked over so often, in seconds; after as long without a descriptor, taking new ones is tried again.
_LOOK_SECONDS = 1.0

# A connection that is asked to end, and has nothing more to send, has so many seconds to do so.
_ENDING_SECONDS = 2.0

# How many connections may wait to be taken, at the most.
_BACKLOG = 4096


class Limits(NamedTuple):
    """What connections may do: how many there are, and for how many seconds they may say nothing.

    A HAProxy without traffic is silent, so silence is cheap: but when all places are taken, a connection that has not
    said anything whole for `patience` since it began makes room for a new one.
    """

    connections: int = 256
    idle: float = 3600.0
    handshake: float = 30.0
    patience: float = 10.0


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    heard: float  # when the last bytes came
    spoken: float  # when the last whole line came
    frames: Frames = field(default_factory=Frames)
    has_spoken: bool = False  # a whole line came
    ending: float = 0.0  # when it was asked to end, if it was
    is_secure: bool = True  # no TLS, or its handshake is done


class StreamSource:
    """A port for connections, and the connections."""

    can_wait = False
    is_behind = False

    def __init__(
        self,
        name: str,
        listener: Listener,
        senders: Senders,
        limits: Limits,
        tls: Callable[[], ssl.SSLContext] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name` is the URL as the user gave it. `tls` gives what a new connection is secured by, where it is."""
        self.name = name
        self.names = (name,)
        self._listener = listener
        self._senders = senders
        self._limits = limits
        self._tls = tls
        self._now = now
        self._socket: socket.socket | None = None
        self._epoll: select.epoll | None = None
        self._connections: dict[int, _Connection] = {}
        self._refused = dict.fromkeys(_REFUSALS, 0)
        self._condition = Condition()
        self._next_look = 0.0
        self._is_listening = False
        self._pieces: list[bytes] = []
        self._overlong = 0

    def start(self) -> None:
        """Open the port."""
        try:
            self._socket = self._listener.open()
        except (OSError, UnicodeError) as error:
            self.stop()
            message = f"--syslog: cannot listen on {self.name}: {getattr(error, 'strerror', None) or error}"
            raise OperationError(message) from error
        self._epoll = select.epoll()
        self._listen(on=True)
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
        return self._chunks()

    def _chunks(self) -> list[Chunk]:
        chunk, overlong = Chunk(self.name, b"".join(self._pieces), self._overlong), self._overlong
        self._pieces.clear()
        self._overlong = 0
        return [chunk] if chunk.lines or overlong else []

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
            self._condition.errors += 1
            logger.error("%s: no connection can be taken: %s", self.name, error.strerror)  # noqa: TRY400 -- no bug
            self._listen(on=False)
            return False
        accepted.settimeout(0)
        if not self._senders.allow(sender[0]):
            self._refuse(accepted, "sender")
        elif len(self._connections) >= self._limits.connections and not self._make_room():
            self._refuse(accepted, "limit")
        else:
            self._begin(accepted)
        return True

    def _begin(self, accepted: socket.socket) -> None:
        assert self._epoll
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a machine that is gone says nothing
        connection = _Connection(accepted, self._now(), self._now())
        if self._tls:
            try:
                connection.socket = self._tls().wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
            except OSError as error:  # it has ended already
                self._refuse(accepted, "handshake", error)
                return
            connection.is_secure = False
        self._connections[connection.socket.fileno()] = connection
        self._epoll.register(connection.socket.fileno(), select.EPOLLIN)

    def _make_room(self) -> bool:
        """Close the connection that has been silent for longest from its beginning, if there is one."""
        eldest = min(
            (each for each in self._connections.values() if not each.has_spoken),
            key=lambda each: each.spoken,
            default=None,
        )
        if eldest is None or self._now() - eldest.spoken < self._limits.patience:
            return False
        self._close(eldest, "idle")
        return True

    def _refuse(self, refused: socket.socket, reason: str, error: Exception | None = None) -> None:
        self._count(reason, error)
        refused.close()

    def _serve(self, connection: _Connection) -> int:
        """Take what a connection has sent; say what it cost, in bytes."""
        try:
            if not connection.is_secure:
                self._shake_hands(connection)
                return _HANDSHAKE_COST
            block = _receive(connection.socket)
        except BlockingIOError:
            return _EVENT_COST
        except ssl.SSLWantReadError:
            self._wait_for(connection, select.EPOLLIN)
            return _EVENT_COST
        except ssl.SSLWantWriteError:
            self._wait_for(connection, select.EPOLLOUT)
            return _EVENT_COST
        except OSError as error:  # it was reset, or TLS went wrong
            if not connection.is_secure:
                self._close(connection, "handshake", error)
            else:
                self._close(connection, "malformed" if isinstance(error, ssl.SSLError) else "", error)
            return _HANDSHAKE_COST
        if block:
            self._take(connection, block)
        else:
            self._close(connection)
        return len(block) + _EVENT_COST

    def _shake_hands(self, connection: _Connection) -> None:
        assert isinstance(connection.socket, ssl.SSLSocket)
        connection.socket.do_handshake()
        connection.is_secure = True
        self._wait_for(connection, select.EPOLLIN)

    def _wait_for(self, connection: _Connection, events: int) -> None:
        assert self._epoll
        self._epoll.modify(connection.socket.fileno(), events)

    def _take(self, connection: _Connection, block: bytes) -> None:
        connection.heard = self._now()
        self._give(connection, connection.frames.feed(block))
        if fault := connection.frames.fault:
            self._close(connection, fault.value)

    def _give(self, connection: _Connection, lines: Lines) -> None:
        self._pieces.append(lines.chunk)
        self._overlong += lines.overlong
        if lines.chunk:
            connection.spoken, connection.has_spoken = self._now(), True

    def _close(self, connection: _Connection, reason: str = "", error: Exception | None = None) -> None:
        """Close a connection, and take the last line that it has sent."""
        assert self._epoll
        if not connection.frames.fault:
            self._give(connection, connection.frames.end())
        fault = connection.frames.fault
        if fault and not reason:
            reason = fault.value
        if reason:
            self._count(reason, error)
        del self._connections[connection.socket.fileno()]
        self._epoll.unregister(connection.socket.fileno())
        connection.socket.close()

    def _count(self, reason: str, error: Exception | None = None) -> None:
        self._refused[reason] += 1
        logger.debug("%s: a connection is closed: %s%s", self.name, reason, f" ({error})" if error else "")

    def _look(self) -> None:
        """Look over connections that say nothing."""
        now = self._now()
        if self._socket:
            self._listen(on=True)
        for connection in [*self._connections.values()]:
            quiet = now - connection.spoken
            if connection.ending:
                if self._socket and now - connection.ending >= _ENDING_SECONDS:
                    self._close(connection)
            elif not connection.is_secure and quiet >= self._limits.handshake:
                self._close(connection, "handshake")
            elif quiet >= self._limits.idle:
                self._count("idle")
                self._ask_to_end(connection)
            elif now - connection.heard >= _LOOK_SECONDS:
                self._give(connection, connection.frames.settle())

    def finish(self) -> list[Chunk] | None:
        """Take no new connections, and let the senders of those that are open end: so nothing is lost under way."""
        if self._socket:
            self._take_waiting(self._socket)
            self._listen(on=False)
            self._socket = None
            self._listener.close()
            for connection in [*self._connections.values()]:
                self._ask_to_end(connection)
        if not self._connections:
            return None
        return self.read()

    def _take_waiting(self, listening: socket.socket) -> None:
        """Take the connections that the kernel has made already; their senders believe that they are heard."""
        for _ in range(_BACKLOG):
            if not self._accept(listening):
                return

    def _ask_to_end(self, connection: _Connection) -> None:
        """Say that nothing more will be said: HAProxy and relays end then, after what they have begun to send."""
        connection.ending = self._now()
        try:
            socket.socket.shutdown(connection.socket, socket.SHUT_WR)  # SSLSocket's own would forget its keys
        except OSError as error:
            self._close(connection, error=error)

    def conditions(self) -> Mapping[str, Condition]:
        """Count connections."""
        self._condition.connections = len(self._connections)
        return {self.name: replace(self._condition, refused={**self._refused})}

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


def _receive(sock: socket.socket) -> bytes:
    """Take what is at hand; of TLS all that is deciphered, for epoll tells of the rest alone."""
    block = sock.recv(_AT_ONCE)
    if isinstance(sock, ssl.SSLSocket):
        with suppress(ssl.SSLError):  # it will come again
            while sock.pending():
                block += sock.recv(_AT_ONCE)
    return block
