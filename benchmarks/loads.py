"""Senders and writers of lines at a steady rate, each to be run in a process of its own."""

import ctypes
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.corpus import read_lines
from haproxy_log_exporter.sources.batch import Message, Vector

# What HAProxy puts before a line whose file has none: facility local0, severity info.
PRIORITY = b"<134>"

_DISTINCT = 100_000  # lines that are sent over and over, and so the most label sets
_AT_ONCE = 64  # datagrams handed to the kernel by one call
_TICK = 0.0005  # seconds between the calls of a paced load

_PATH = re.compile(rb'"GET \S+')
_TIMERS = re.compile(rb" [0-9]+/[0-9]+/[0-9]+/[0-9]+/[0-9]+ ")
_FOUND = re.compile(_TIMERS.pattern + b"200 ")
_LETTERS = bytes.maketrans(b"0123456789", b"ghijklmnop")


@dataclass(frozen=True, slots=True)
class Load:
    """What was sent, and how long that took."""

    count: int
    seconds: float

    @property
    def rate(self) -> float:
        """How much a second."""
        return self.count / self.seconds


def send_datagrams(corpus: str, port: int, count: int, rate: float, label_sets: int = 0) -> Load:
    """Send lines to a port of this machine, a datagram each, `rate` a second at most.

    They are of so many label sets, all of them equally often; else of those that the corpus has, as often as there.
    By sendmmsg(2), which Python's socket module has not: a call a line would be the limit, not the receiver.
    """
    lines = read_lines(corpus, _DISTINCT)
    datagrams = [PRIORITY + line for line in (_spread(lines, label_sets) if label_sets else lines)]
    vectors = (Vector * len(datagrams))(*(Vector(_address(datagram), len(datagram)) for datagram in datagrams))
    messages = (Message * len(datagrams))()
    for index, message in enumerate(messages):
        message.header.vectors = ctypes.pointer(vectors[index])
        message.header.vector_count = 1
    library = ctypes.CDLL(None, use_errno=True)
    size = ctypes.sizeof(Message)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        began = time.perf_counter()
        for start, end in _portions(count, rate):
            done = start
            while done < end:
                place = done % len(datagrams)
                most = min(end - done, _AT_ONCE, len(datagrams) - place)
                sent = library.sendmmsg(sock.fileno(), ctypes.byref(messages, place * size), most, 0)
                if sent < 0:
                    raise OSError(ctypes.get_errno(), "sendmmsg")
                done += sent
        return Load(count, time.perf_counter() - began)


def _spread(lines: Sequence[bytes], label_sets: int) -> Iterator[bytes]:
    """Give each of so many lines a path of its own; let the others be these again, with timers of their own.

    The paths have no digits, which might be taken for numbers of something, and each of them is found.
    """
    found = [line for line in lines if _FOUND.search(line)]
    owners = [
        _PATH.sub(b'"GET /books/%b.html' % (b"%06d" % number).translate(_LETTERS), found[number % len(found)])
        for number in range(label_sets)
    ]
    for number, line in enumerate(lines):
        timers = _TIMERS.search(line)
        assert timers, line
        yield _TIMERS.sub(timers[0], owners[number % label_sets], count=1)


def append_lines(corpus: str, path: str, count: int, rate: float) -> Load:
    """Append lines to a file, a write each, `rate` a second."""
    lines: Sequence[bytes] = read_lines(corpus, count)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    began = time.perf_counter()
    for start, end in _portions(count, rate):
        for line in lines[start:end]:
            os.write(descriptor, line)
    seconds = time.perf_counter() - began
    os.close(descriptor)
    return Load(count, seconds)


def _portions(count: int, rate: float) -> Iterator[tuple[int, int]]:
    """Divide a count so that each portion comes when it is due."""
    began = time.perf_counter()
    done = 0
    while done < count:
        due = min(count, int((time.perf_counter() - began) * rate) + 1)
        if due > done:
            yield done, due
            done = due
        time.sleep(_TICK)


def _address(octets: bytes) -> int | None:
    """Say where bytes are, which have to stay there."""
    return ctypes.cast(ctypes.c_char_p(octets), ctypes.c_void_p).value
