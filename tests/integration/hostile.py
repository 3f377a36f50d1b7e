"""Senders that send what they should, at a steady rate, and senders that do not."""

import random
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread

from tests.services import line

LINES_A_SECOND = 2_000
_LINES_AT_ONCE = 20

_LINES_A_BLOCK = 500

# Between two rounds in which each of the trickling connections sends a byte.
_TRICKLE_SECONDS = 0.01

Connect = Callable[[], socket.socket]


def message(path: str) -> bytes:
    """Write a line as HAProxy's ring does, without its newline."""
    return b"<134>Nov 20 04:30:27 haproxy[1]: " + line(path=path).rstrip(b"\n")


def framed(*messages: bytes) -> bytes:
    """Frame messages by their lengths."""
    return b"".join(b"%d %b" % (len(each), each) for each in messages)


class Honest(Thread):
    """Sends lines at a steady rate until it is told to stop; `paths` are what it asks for, in turn."""

    def __init__(self, name: str, send: Callable[[list[bytes]], object]) -> None:
        """`send` sends messages."""
        super().__init__(name=name)
        self.paths = [f"/{name}/{number}" for number in range(_LINES_AT_ONCE)]
        self.rounds = 0
        self.error: OSError | None = None
        self._send = send
        self._over = Event()

    def run(self) -> None:
        """Send each path once a round."""
        messages = [message(path) for path in self.paths]
        due = time.monotonic()
        try:
            while not self._over.wait(max(0.0, due - time.monotonic())):
                self._send(messages)
                self.rounds += 1
                due += _LINES_AT_ONCE / LINES_A_SECOND
        except OSError as error:
            self.error = error

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self.join()


class Trickle(Thread):
    """Sends a message over each of some connections, byte by byte, in turn; then they stay open."""

    def __init__(self, path: str, clients: Sequence[socket.socket]) -> None:
        """The connections are the attacker's."""
        super().__init__(name="trickle")
        self._message = framed(message(path))
        self._clients = clients

    def run(self) -> None:
        """Send a byte over each."""
        for index in range(len(self._message)):
            for client in self._clients:
                client.sendall(self._message[index : index + 1])
            time.sleep(_TRICKLE_SECONDS)


class Flood(Thread):
    """Sends messages over a connection as fast as they are taken, until it is told to stop."""

    def __init__(self, path: str, client: socket.socket) -> None:
        """The connection is the attacker's."""
        super().__init__(name="flood")
        self.sent = 0
        self._block = framed(message(path)) * _LINES_A_BLOCK
        self._client = client
        self._over = Event()

    def run(self) -> None:
        """Send."""
        while not self._over.is_set():
            self._client.sendall(self._block)
            self.sent += _LINES_A_BLOCK

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self.join()


@dataclass
class Attacker:
    """Opens connections to a port, and misuses them."""

    port: int
    random: random.Random
    clients: list[socket.socket] = field(default_factory=list)
    opened: int = 0

    def connect(self) -> socket.socket:
        """Open a connection."""
        self.opened += 1
        return socket.create_connection(("127.0.0.1", self.port), 30)

    def hold(self, count: int, data: bytes = b"") -> list[socket.socket]:
        """Open connections that stay open, and may say something at first."""
        clients = [self.connect() for _ in range(count)]
        for client in clients:
            if data:
                client.sendall(data)
        self.clients += clients
        return clients

    def say(self, count: int, data: bytes) -> None:
        """Say something over each of some connections, and end them."""
        for _ in range(count):
            with self.connect() as client:
                with suppress(OSError):  # it may be closed after the first bytes of it
                    client.sendall(data)
                    client.shutdown(socket.SHUT_WR)
                self._wait_for_the_end(client)

    def say_until_closed(self, count: int, data: bytes) -> None:
        """Say something over and over, until the other side has had enough."""
        for _ in range(count):
            with self.connect() as client:
                with suppress(OSError):
                    while True:
                        client.sendall(data)
                self._wait_for_the_end(client)

    def say_garbage(self, count: int, size: int) -> None:
        """Say random bytes, and end."""
        for _ in range(count):
            with self.connect() as client, suppress(ConnectionError):
                client.sendall(self.random.randbytes(size))

    def open_and_close(self, count: int) -> None:
        """Open connections, many at a time, and let each be closed by the other side."""
        while count > 0:
            clients = [self.connect() for _ in range(min(count, 500))]
            count -= len(clients)
            for client in clients:
                self._wait_for_the_end(client)
                client.close()

    def release(self) -> None:
        """Close what stays open."""
        for client in self.clients:
            client.close()
        self.clients.clear()

    @staticmethod
    def _wait_for_the_end(client: socket.socket) -> None:
        with suppress(ConnectionError):
            while client.recv(1 << 16):  # of TLS an alert
                pass


def garble(client: socket.socket, garbage: bytes) -> None:
    """Send over a connection of TLS what is not ciphered."""
    with socket.socket(fileno=client.detach()) as bare:
        bare.settimeout(30)
        with suppress(ConnectionError):
            bare.sendall(garbage)
            while bare.recv(1 << 16):
                pass
