"""Datagrams over UDP."""

import socket
from collections.abc import Iterator

import pytest

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.sources.datagram import MOST_AT_ONCE, DatagramSource
from haproxy_log_exporter.sources.listening import InternetListener


def udp(host: str, port: int = 0) -> InternetListener:
    """Listen for datagrams."""
    return InternetListener(Address(host, port), socket.SOCK_DGRAM)


@pytest.fixture
def source() -> Iterator[DatagramSource]:
    """A source on a port of its own."""
    source = DatagramSource("udp://127.0.0.1:0", udp("127.0.0.1"))
    source.start()
    yield source
    source.stop()


def _read(source: DatagramSource) -> bytes:
    return b"".join(chunk.lines for chunk in source.read())


def _dropped(source: DatagramSource) -> int:
    return source.conditions()[source.name].dropped or 0


def _send(source: DatagramSource, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for each in datagrams:
            sender.sendto(each, ("127.0.0.1", source.port))


def test_each_datagram_is_a_line(source: DatagramSource) -> None:
    """With HAProxy's newline or without one, one line or several."""
    _send(source, b"one\n", b"two", b"three\nfour\n", b"five\nsix")
    assert _read(source) == b"one\ntwo\nthree\nfour\nfive\nsix\n"
    assert _read(source) == b""


def test_large_datagrams(source: DatagramSource) -> None:
    """The largest datagram of IPv4 is taken whole."""
    _send(source, b"x" * 65_507)
    assert _read(source) == b"x" * 65_507 + b"\n"


def test_others_get_their_turn(source: DatagramSource) -> None:
    """At most so many are taken at once."""
    _send(source, *[b"line\n"] * (MOST_AT_ONCE + 10))
    taken = _read(source).count(b"\n")
    assert taken <= MOST_AT_ONCE
    assert taken + _read(source).count(b"\n") + _dropped(source) == MOST_AT_ONCE + 10


def test_what_the_kernel_drops_is_counted_exactly() -> None:
    """Sent = received + dropped, to the datagram."""
    source = DatagramSource("udp://127.0.0.1:0", udp("127.0.0.1"), receive_buffer=4096)
    source.start()
    _send(source, *[b"x" * 200] * 500)
    received = _read(source).count(b"\n")
    dropped = _dropped(source)
    source.stop()
    assert 0 < received < 500
    assert received + dropped == 500


def test_ipv6_and_dual_stack() -> None:
    """A literal IPv6 address serves itself, an empty host both families."""
    for host, targets in (("::1", ["::1"]), ("", ["::1", "127.0.0.1"])):
        source = DatagramSource("udp", udp(host))
        source.start()
        for target in targets:
            with socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(target.encode(), (target, source.port))
        assert sorted(_read(source).split()) == sorted(target.encode() for target in targets)
        source.stop()


def test_a_port_in_use_is_named(source: DatagramSource) -> None:
    """The message has the option, the URL and the reason."""
    name = f"udp://127.0.0.1:{source.port}"
    second = DatagramSource(name, udp("127.0.0.1", source.port))
    with pytest.raises(OperationError, match=f"--syslog: cannot listen on {name}: Address already in use"):
        second.start()
