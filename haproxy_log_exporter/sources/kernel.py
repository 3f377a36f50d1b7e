"""What the kernel holds for a socket of what is not read yet, and what it dropped for lack of room."""

import socket
import struct

# Bytes: as many datagrams as come in half a second, while something else has the interpreter.
RECEIVE_BUFFER = 64 << 20
MOST_RECEIVE_BUFFER = (1 << 30) - 1  # the kernel has twice of it in an int

# asm-generic/socket.h; all missing in Python's socket module.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_SO_COOKIE = 57
_MEMINFO = struct.Struct("9I")  # linux/sock_diag.h: the last, SK_MEMINFO_DROPS, is what the buffer could not hold
_COOKIE_SIZE = 8

# Cookies are counted from each boot on (random(4)).
_BOOT = "/proc/sys/kernel/random/boot_id"


def ask_for_buffer(sock: socket.socket, wanted: int) -> None:
    """Ask for a receive buffer of so many bytes, by privilege where there is any."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted)
    except OSError:  # without the privilege, or where there is no such thing
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)


def granted_buffer(sock: socket.socket) -> int:
    """Say how large the receive buffer is; the kernel says twice of it, for its own needs are in it (socket(7))."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def grow_buffer(sock: socket.socket, wanted: int) -> None:
    """Ask for a larger receive buffer, where less would not be granted than there is."""
    with socket.socket(sock.family, sock.type) as probe:
        ask_for_buffer(probe, wanted)
        granted = granted_buffer(probe)
    if granted > granted_buffer(sock):
        ask_for_buffer(sock, wanted)


class Drops:
    """Counts what the kernel drops for a socket, over all processes that have it one after the other."""

    def __init__(self, sock: socket.socket, before: str) -> None:
        """`before` is the place of the process that had the socket last, if it was this one.

        Raises:
            OSError: where the kernel does not count.
        """
        self._socket = sock
        cookie = int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE_SIZE), "little")
        self._identity = f"{_boot()} {cookie:x}"
        self._seen = 0
        identity, _, seen = before.rpartition(" ")
        if identity == self._identity and seen.isdecimal() and int(seen) <= self._count():
            self._seen = int(seen)

    @property
    def place(self) -> str:
        """Up to where they are counted, of which socket."""
        return f"{self._identity} {self._seen}"

    def take(self) -> int:
        """Say how many there were since the last time; the kernel's counter has 32 bits."""
        before, self._seen = self._seen, self._count()
        return (self._seen - before) & 0xFFFFFFFF

    def _count(self) -> int:
        return int(_MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[-1])


def _boot() -> str:
    try:
        with open(_BOOT, encoding="ascii") as file:
            return file.read().strip()
    except OSError:  # it may be hidden from services
        return ""
