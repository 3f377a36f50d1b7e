"""Datagrams: at a path, of some senders alone, and what is kept of a socket that processes hand on."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.sources import kernel
from haproxy_log_exporter.sources.batch import MOST
from haproxy_log_exporter.sources.datagram import DatagramSource
from haproxy_log_exporter.sources.framing import LONGEST_LINE
from haproxy_log_exporter.sources.listening import InheritedListener, InternetListener, UnixListener
from haproxy_log_exporter.sources.senders import Senders

Started = Callable[[DatagramSource], DatagramSource]


@pytest.fixture
def started() -> Iterator[Started]:
    """Start sources, which are stopped after the test."""
    with ExitStack() as stack:

        def start(source: DatagramSource) -> DatagramSource:
            stack.callback(source.stop)
            source.start()
            return source

        yield start


def senders(*networks: str) -> Senders:
    """Allow these networks alone."""
    return Senders([*map(ip_network, networks)])


def lines(source: DatagramSource) -> list[bytes]:
    """Read what is there."""
    return b"".join(chunk.lines for chunk in source.read()).splitlines()


def send(address: str | tuple[str, int], *datagrams: bytes, source: str = "") -> None:
    """Send to a path or to an address, of which `source` may be the sender's."""
    internet = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    family = socket.AF_UNIX if isinstance(address, str) else internet
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        if source:
            sender.bind((source, 0))
        for each in datagrams:
            sender.sendto(each, address)


def refused(source: DatagramSource) -> int:
    """Say how many were of others."""
    counts = source.conditions()[source.name].refused
    assert counts is not None
    return counts["sender"]


def test_a_path(tmp_path: Path, started: Started, caplog: pytest.LogCaptureFixture) -> None:
    """Lines come as over UDP; there is no port, no receive buffer and nothing that the kernel drops unseen."""
    caplog.set_level("INFO")
    path = str(tmp_path / "log")
    source = started(DatagramSource(f"unix://{path}", UnixListener(path, 0o666)))
    send(path, b"one\n", b"two", b"", b"\n", b"three\nfour\n")
    assert lines(source) == [b"one", b"two", b"three", b"four"]
    assert source.read() == []
    assert source.port == 0
    condition = source.conditions()[source.name]
    assert (condition.dropped, condition.receive_buffer_bytes, condition.refused) == (None, None, None)
    assert source.kept() == {}
    assert f"listening on unix://{path}" in caplog.text
    source.stop()
    assert not os.path.lexists(path)


def test_few_may_wait_at_a_path(tmp_path: Path, started: Started) -> None:
    """A sender that does not wait is told so, and loses none that it was not told of."""
    path = str(tmp_path / "log")
    source = started(DatagramSource(f"unix://{path}", UnixListener(path, 0o666)))
    sent, taken = 0, 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0)
        for _ in range(5):
            with suppress(BlockingIOError):
                while sender.sendto(b"line\n", path):
                    sent += 1
            taken += len(lines(source))
    assert taken == sent > 5


@pytest.mark.parametrize("size", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 2 * LONGEST_LINE])
def test_large_datagrams_at_a_path(tmp_path: Path, started: Started, size: int) -> None:
    """The longest line is taken, longer ones are counted; those about them are not harmed."""
    path = str(tmp_path / "log")
    source = started(DatagramSource(f"unix://{path}", UnixListener(path, 0o666)))
    for datagram in (b"one\n", b"x" * size + b"\n", b"two", b"y" * size, b"three\n"):
        send(path, datagram)  # each of another sender, who is held up by what he has sent
    [chunk] = source.read()
    found = chunk.lines.splitlines()
    assert [line for line in found if len(line) < 10] == [b"one", b"two", b"three"]
    fits = size <= LONGEST_LINE
    assert [len(line) for line in found if len(line) > 10] == [size, size] * fits
    assert chunk.overlong == (0 if fits else 2)


@pytest.mark.parametrize(
    ("host", "target", "networks", "may"),
    [
        ("127.0.0.1", "127.0.0.1", ["127.0.0.1"], True),
        ("127.0.0.1", "127.0.0.1", ["10.0.0.0/8", "127.0.0.0/8"], True),
        ("127.0.0.1", "127.0.0.1", ["127.0.0.2/31", "::/0"], False),
        ("127.0.0.1", "127.0.0.1", ["0.0.0.0/0"], True),
        ("::1", "::1", ["::1"], True),
        ("::1", "::1", ["127.0.0.0/8", "0.0.0.0/0", "fd00::/8"], False),
        ("", "127.0.0.1", ["127.0.0.0/8"], True),
        ("", "127.0.0.1", ["::/0"], False),
        ("", "::1", ["127.0.0.0/8"], False),
        ("", "::1", ["::1"], True),
    ],
)
def test_some_senders(host: str, target: str, networks: list[str], started: Started, *, may: bool) -> None:
    """By the address that they have in their own family, also where the socket is for both."""
    listener = InternetListener(Address(host, 0), socket.SOCK_DGRAM)
    source = started(DatagramSource("udp", listener, senders(*networks)))
    send((target, source.port), *[b"line\n"] * 3)
    assert lines(source) == [b"line"] * 3 * may
    assert refused(source) == (0 if may else 3)
    assert source.conditions()["udp"].dropped == 0


def test_senders_mixed(started: Started) -> None:
    """Each datagram is its own sender's, over many calls, in the order in which they came."""
    listener = InternetListener(Address("", 0), socket.SOCK_DGRAM)
    source = started(DatagramSource("udp", listener, senders("127.0.0.2", "::1")))
    for number in range(300):
        send(("127.0.0.1", source.port), b"%d a" % number, source="127.0.0.2" if number % 3 else "127.0.0.3")
        send(("::1", source.port), b"%d b" % number)
    found: list[bytes] = []
    while len(found) + refused(source) < 600:  # what is sent over loopback is there at once
        found += lines(source)
    assert found == [
        line for number in range(300) for line in (*([b"%d a" % number] if number % 3 else []), b"%d b" % number)
    ]
    assert refused(source) == 100


def test_many_senders() -> None:
    """Forged addresses do not make it grow, and nobody is taken for another."""
    known = senders("10.0.0.0/9")
    for number in range(30_000):
        host = f"10.{number & 255}.{number >> 8 & 255}.1"
        assert known.allow(host) == (number & 255 < 128)
        assert known.allow("10.0.0.1")
        assert len(known._known) <= 10_000


def test_senders_over_links_of_their_own() -> None:
    """An address of a link comes with the link's name; one of IPv4 may come as IPv6."""
    known = senders("fe80::/64", "192.0.2.0/24")
    assert known.allow("fe80::1%eth0")
    assert not known.allow("fe80:1::1%eth0")
    assert known.allow("::ffff:192.0.2.1")
    assert not known.allow("::ffff:192.0.3.1")


def inherited(sock: socket.socket, place: str = "") -> DatagramSource:
    """Have a socket that systemd keeps; its receive buffer stays as it is."""
    return DatagramSource("udp", InheritedListener(sock.dup()), receive_buffer=4096, place=place)


def dropped(source: DatagramSource) -> int:
    """Say how many the kernel dropped, which has to be asked before what is kept."""
    count = source.conditions()[source.name].dropped
    assert count is not None
    return count


@pytest.fixture
def systemds() -> Iterator[socket.socket]:
    """A socket with little room, which processes hand on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind(("127.0.0.1", 0))
        yield sock


def test_drops_go_on_with_the_socket(systemds: socket.socket, started: Started) -> None:
    """Each is counted by one process; those that came between two by the later one."""
    place, counted, sent, read = "", 0, 0, 0
    for count in (100, 0, 200):
        send(systemds.getsockname(), *[b"x" * 200] * count)
        sent += count
        source = started(inherited(systemds, place))
        read += len(lines(source))
        send(systemds.getsockname(), *[b"x" * 200] * 50)
        sent += 50
        read += len(lines(source))
        counted += dropped(source)
        place = source.kept()["udp"].place
        source.stop()
        assert read + counted == sent
    assert counted > 200


@pytest.mark.parametrize("place", ["", "x", " ", "1 2", "1 2 3", "-1", "\u0663 \u0663"])
def test_what_was_kept_of_another_socket(systemds: socket.socket, started: Started, place: str) -> None:
    """It is of another one, or of nothing: all drops since this socket's beginning count."""
    send(systemds.getsockname(), *[b"x" * 200] * 100)
    source = started(inherited(systemds, place))
    assert dropped(source) + len(lines(source)) == 100
    assert dropped(source) > 50


def test_nothing_is_kept_of_a_socket_of_its_own(started: Started) -> None:
    """The next process has another one."""
    source = started(DatagramSource("udp", InternetListener(Address("127.0.0.1", 0), socket.SOCK_DGRAM)))
    assert source.kept() == {}


def count_all(systemds: socket.socket, started: Started) -> list[str]:
    """Let a process count the drops of a socket; give what is kept: boot, cookie and number."""
    send(systemds.getsockname(), *[b"x" * 200] * 100)
    source = started(inherited(systemds))
    assert dropped(source) + len(lines(source)) == 100
    place = source.kept()["udp"].place
    source.stop()
    return place.split(" ")


def test_the_same_cookie_of_another_boot(systemds: socket.socket, started: Started) -> None:
    """Cookies begin anew with each boot, so it was another socket: all drops since this one's beginning count."""
    boot, cookie, count = count_all(systemds, started)
    source = started(inherited(systemds, f"{boot[::-1]} {cookie} {count}"))
    assert dropped(source) == int(count) > 50


@pytest.mark.parametrize("more", [1, 1000, 1 << 31])
def test_more_than_the_kernel_has_counted(systemds: socket.socket, started: Started, more: int) -> None:
    """It is no count of this socket: its drops since its beginning count, and not nearly 2^32."""
    boot, cookie, count = count_all(systemds, started)
    source = started(inherited(systemds, f"{boot} {cookie} {int(count) + more}"))
    assert dropped(source) == int(count) > 50


def test_where_the_boot_is_hidden(systemds: socket.socket, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """Services may not be let see it; drops are counted all the same, each once."""
    monkeypatch.setattr(kernel, "_BOOT", "/nowhere/boot_id")
    boot, cookie, count = count_all(systemds, started)
    assert boot == ""
    assert int(count) > 50
    source = started(inherited(systemds, f" {cookie} {count}"))
    assert dropped(source) == 0


@pytest.mark.parametrize("refusals", [2 * MOST, 3 * MOST, 4 * MOST + 1])
def test_honest_ones_behind_refused_ones_at_the_end(
    refusals: int, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read may find nothing but what it refuses; that is not the end."""
    monkeypatch.setattr("haproxy_log_exporter.sources.datagram.MOST_AT_ONCE", 2 * MOST)
    listener = InternetListener(Address("127.0.0.1", 0), socket.SOCK_DGRAM)
    source = started(DatagramSource("udp", listener, senders("127.0.0.1")))
    send(("127.0.0.1", source.port), *[b"other\n"] * refusals, source="127.0.0.2")
    send(("127.0.0.1", source.port), *[b"honest\n"] * 5)
    found = b""
    for _ in range(10):
        chunks = source.finish()
        if chunks is None:
            break
        found += b"".join(chunk.lines for chunk in chunks)
    assert chunks is None
    assert found == b"honest\n" * 5
    assert refused(source) == refusals
