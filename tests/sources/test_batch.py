"""Many datagrams by one call."""

import socket

import pytest

from haproxy_log_exporter.sources.batch import MOST, Batch

_LARGEST = 65_507  # of UDP over IPv4


def test_datagrams_come_whole_and_in_their_order() -> None:
    """Datagrams of any size, empty ones as well, are taken as they were sent, so many at a time."""
    sent = [b"", b"a", b"x" * 1472, b"y" * _LARGEST, *(b"%d" % number for number in range(MOST))]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker, socket.socket(socket.AF_INET, taker.type) as sender:
        taker.bind(("127.0.0.1", 0))
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for each in sent:
            sender.sendto(each, taker.getsockname())
        batch = Batch(1 << 16)
        first = batch.receive(taker.fileno())
        assert len(first) == MOST
        assert first + batch.receive(taker.fileno()) == sent


def test_no_datagram_is_no_wait() -> None:
    """Where there is none, it says so at once, of a socket that would wait as well; a closed one is an error."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker:
        taker.bind(("127.0.0.1", 0))
        with pytest.raises(BlockingIOError):
            Batch(1 << 16).receive(taker.fileno())
    with pytest.raises(OSError, match="Bad file descriptor"):
        Batch(1 << 16).receive(-1)
