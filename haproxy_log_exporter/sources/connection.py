"""One connection of a sender, over TCP or TLS."""

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field

from haproxy_log_exporter.sources.frames import Frames

# What is taken at a time, in bytes: a record of TLS (RFC 8446, section 5.1), of which nothing stays behind.
_AT_ONCE = 1 << 14


@dataclass(slots=True, eq=False)
class Connection:
    """A socket, the frames that came of it, and when; times are of a monotonic clock, in seconds."""

    socket: socket.socket
    sender: str
    last_bytes: float
    last_line: float  # or the beginning
    frames: Frames = field(default_factory=Frames)
    has_lines: bool = False
    is_secure: bool = True  # no TLS, or its handshake is done
    asked_to_end: float | None = None
    is_refused: bool = False  # and counted as such

    def secure(self, context: ssl.SSLContext) -> None:
        """Let TLS begin.

        Raises:
            OSError: where it has ended already.
        """
        self.socket.getpeername()  # of one that was reset, wrap_socket would leave the socket open
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.is_secure = False

    def shake_hands(self) -> None:
        """Go on with TLS's handshake.

        Raises:
            ssl.SSLWantReadError, ssl.SSLWantWriteError: where the other side has to do something first.
            OSError: where it failed.
        """
        assert isinstance(self.socket, ssl.SSLSocket)
        self.socket.do_handshake()
        self.is_secure = True

    def receive(self) -> bytes:
        """Take what is at hand.

        Raises:
            BlockingIOError, ssl.SSLWantReadError: where there is nothing.
            OSError: where it was reset, or TLS went wrong.
        """
        return self.socket.recv(_AT_ONCE)

    def ask_to_end(self, now: float) -> None:
        """Say that nothing more will be said: HAProxy and relays end then, after what they have begun to send."""
        self.asked_to_end = now
        with suppress(OSError):  # it was reset; what came before that is still to be taken
            socket.socket.shutdown(self.socket, socket.SHUT_WR)  # SSLSocket's own would forget its keys
