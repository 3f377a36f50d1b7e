"""Many datagrams by one call: recvmmsg(2), which Python's socket module has not.

Strategy: each call of a socket's method lets go of the interpreter, and gets it back only once the thread that writes a
scrape has had its time, a datagram each millisecond. This call keeps it, for it never waits; so reading and writing
share the time.
"""

import ctypes
import errno
import mmap
import os
import socket
import sys

MOST = 64  # datagrams of a call; so many of the largest size are 4 MB

_NAME_SIZE = 28  # struct sockaddr_in6: see ipv6(7); sockaddr_in is shorter

_DONTWAIT = 0x40  # MSG_DONTWAIT, of linux/socket.h


class Vector(ctypes.Structure):
    """struct iovec: see readv(2)."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Header(ctypes.Structure):
    """struct msghdr: see recvmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Message(ctypes.Structure):
    """struct mmsghdr: see recvmmsg(2)."""

    _fields_ = (("header", Header), ("length", ctypes.c_uint))


class Batch:
    """Room for the datagrams of one call; only what is used of it takes memory."""

    def __init__(self, largest: int, *, with_senders: bool = False) -> None:
        """Of larger datagrams the beginning is taken."""
        self._memory = mmap.mmap(-1, largest * MOST)
        self._starts = range(0, largest * MOST, largest)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._vectors = (Vector * MOST)(*(Vector(base + start, largest) for start in self._starts))
        self._messages = (Message * MOST)()
        for message, vector in zip(self._messages, self._vectors, strict=True):
            message.header.vectors = ctypes.pointer(vector)
            message.header.vector_count = 1
        self._names = (ctypes.c_char * _NAME_SIZE * MOST)()
        if with_senders:
            for message, name in zip(self._messages, self._names, strict=True):
                message.header.name, message.header.name_length = ctypes.addressof(name), _NAME_SIZE
        numbers = memoryview(self._messages).cast("B").cast("I")
        number = ctypes.sizeof(ctypes.c_uint)
        self._lengths = numbers[Message.length.offset // number :: ctypes.sizeof(Message) // number]
        self._call = ctypes.PyDLL(None, use_errno=True).recvmmsg

    def receive(self, descriptor: int) -> list[bytes]:
        """Take the datagrams that are there, MOST at the most.

        Raises:
            OSError: as recv(2) has it, BlockingIOError where there are none.
        """
        found = self._call(descriptor, self._messages, MOST, _DONTWAIT, None)
        if found < 0:
            number = ctypes.get_errno()
            if number == errno.EINTR:
                return []
            raise OSError(number, os.strerror(number))
        memory = self._memory
        lengths = self._lengths[:found].tolist()
        return [memory[start : start + length] for start, length in zip(self._starts, lengths, strict=False)]

    def hosts(self, count: int) -> list[str]:
        """Say by which addresses the datagrams of the last call came, which were so many."""
        return [_host(name.raw) for name in self._names[:count]]


def _host(name: bytes) -> str:
    """Name = family port address, and of IPv6 flow information before the address: ip(7), ipv6(7)."""
    if int.from_bytes(name[:2], sys.byteorder) == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, name[4:8])
    return socket.inet_ntop(socket.AF_INET6, name[8:24])
