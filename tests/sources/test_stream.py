"""Connections: many at a time, broken ones, and each its share."""

import logging
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.sources.framing import BLOCK, LONGEST_LINE
from haproxy_log_exporter.sources.listening import InternetListener
from haproxy_log_exporter.sources.stream import Limits, StreamSource
from tests.sources.streams import Open, has_ended, reset


def counted(message: bytes) -> bytes:
    """Frame a message by its length."""
    return b"%d %b" % (len(message), message)


def test_many_connections_of_both_framings(receive: Open) -> None:
    """Each tells by itself how it is framed; lines of one are in order, and none is mixed with another's."""
    receiver = receive()
    clients = [receiver.connect() for _ in range(200)]
    expected = []
    for turn in range(3):
        for number, client in enumerate(clients):
            line = b"<134>connection %d, line %d" % (number, turn)
            expected.append(line + b"\n")
            framed = line + b"\n" if number % 2 else counted(line)
            client.sendall(framed[: turn * 5])
            receiver.turn()
            client.sendall(framed[turn * 5 :])
    receiver.until(lambda: len(receiver.lines) == sum(map(len, expected)), "all lines")
    got = receiver.lines.splitlines(keepends=True)
    assert sorted(got) == sorted(expected)
    for number in range(200):
        own = b"<134>connection %d," % number
        assert [each for each in got if each.startswith(own)] == [each for each in expected if each.startswith(own)]
    assert receiver.open == 200
    for client in clients:
        client.close()
    receiver.until(lambda: not receiver.open, "all have ended")
    assert receiver.refused == {}
    assert receiver.is_quiet


def test_a_last_line_without_newline(receive: Open) -> None:
    """A connection's end ends its line too."""
    receiver = receive()
    client = receiver.connect()
    client.sendall(b"one\ntwo")
    receiver.wait_for(b"one\n")
    client.close()
    receiver.wait_for(b"two\n")
    receiver.until(lambda: not receiver.open)
    assert receiver.refused == {}


@pytest.mark.parametrize("close", [socket.socket.close, reset])
def test_a_message_that_is_not_whole_at_the_end(close: Callable[[socket.socket], None], receive: Open) -> None:
    """Of a counted message it is known that something is missing; it is not a line, and the connection is counted."""
    receiver = receive()
    client = receiver.connect()
    client.sendall(b"8 <134>one8 <134>")
    receiver.wait_for(b"<134>one\n")
    close(client)
    receiver.until(lambda: not receiver.open)
    assert receiver.refused == {"incomplete": 1}
    assert receiver.lines == b""


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("rest", [b"", b"thr"])
def test_a_reset_in_the_middle_of_a_line(turns: int, rest: bytes, receive: Open) -> None:
    """What has come before the reset counts, though nothing of it was read yet; a line that is begun is none."""
    receiver = receive()
    client = receiver.connect()
    for _ in range(turns):
        receiver.turn()
    client.sendall(b"one\ntwo\n" + rest)
    reset(client)
    receiver.wait_for(b"one\ntwo\n")
    receiver.until(lambda: not receiver.open)
    assert receiver.lines == b""
    assert receiver.refused == ({"incomplete": 1} if rest else {})


FAULTS = {
    b"8 <134>one1000000000000 x": "oversized",
    b"8 <134>one65537 ": "oversized",
    b"8 <134>one" + b"9" * 30: "oversized",
    b"8 <134>one<134>two\n": "malformed",
    b"8 <134>one-5 two": "malformed",
    b"<134>one\n" + b"x" * (LONGEST_LINE + 1): "oversized",
}


@pytest.mark.parametrize(("stream", "reason"), FAULTS.items(), ids=lambda each: str(each)[:30])
def test_what_is_framed_wrongly_is_closed(stream: bytes, reason: str, receive: Open) -> None:
    """What came before counts, the connection is closed and counted, and others go on."""
    receiver = receive()
    other, client = receiver.connect(), receiver.connect()
    other.sendall(b"be")
    client.sendall(stream)
    receiver.until(lambda: receiver.refused, reason)
    assert receiver.lines == b"<134>one\n"
    assert receiver.refused == {reason: 1}
    assert receiver.overlong == (reason == "oversized")
    assert has_ended(client)
    other.sendall(b"gun\n")
    receiver.lines = b""
    receiver.wait_for(b"begun\n")
    assert receiver.open == 1


def test_a_message_that_nothing_follows(receive: Open) -> None:
    """Without a priority it is read when the connection has been silent for a second."""
    receiver = receive()
    client = receiver.connect()
    client.sendall(b"11 hello world")
    receiver.until(lambda: receiver.open == 1)
    receiver.until(lambda: receiver.is_quiet)
    assert receiver.lines == b""
    receiver.look(1.1)
    receiver.wait_for(b"hello world\n")


@contextmanager
def few_descriptors(spare: int) -> Iterator[None]:
    """Let this process open only so many descriptors more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probes = [socket.socket() for _ in range(spare + 1)]
    lowest = probes[-1].fileno()
    for probe in probes:
        probe.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_running_out_of_descriptors(receive: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Taking connections pauses and is tried again each second; nothing spins, open connections go on, none is lost."""
    receiver = receive()
    first = receiver.connect()
    receiver.until(lambda: receiver.open == 1)
    waiting = [receiver.connect() for _ in range(5)]
    for client in waiting:
        client.sendall(b"waited\n")
    caplog.set_level(logging.ERROR)
    with few_descriptors(2):
        receiver.until(lambda: receiver.errors == 1)
        receiver.until(lambda: receiver.is_quiet)
        assert receiver.open == 3
        assert receiver.lines == b"waited\n" * 2
        first.sendall(b"first\n")
        receiver.until(lambda: receiver.lines.endswith(b"first\n"))
        assert receiver.errors == 1
        receiver.look(1.1)
        receiver.until(lambda: receiver.errors == 2)
        assert receiver.is_quiet
    assert [record.getMessage() for record in caplog.records] == [
        "tcp://127.0.0.1:0: connections cannot be taken: Too many open files"
    ]
    receiver.look(1.1)
    receiver.until(lambda: receiver.open == 6)
    receiver.wait_for(b"waited\n" * 2 + b"first\n" + b"waited\n" * 3)
    assert receiver.refused == {}


def test_a_flood_takes_its_share(receive: Open) -> None:
    """A read ends after a block, and within it whoever has something to say has had a turn."""
    receiver = receive()
    floods = [receiver.connect() for _ in range(2)]
    client = receiver.connect()
    receiver.until(lambda: receiver.open == 3)
    block = (b"x" * 99 + b"\n") * 10_000
    for flood in floods:
        flood.settimeout(0)
    for turn in range(20):
        for flood in floods:
            with suppress(BlockingIOError):
                while True:
                    flood.send(block)
        client.sendall(b"honest %d\n" % turn)
        receiver.lines = b""
        assert receiver.turn() <= BLOCK + (1 << 17)
        receiver.turn()
        assert b"honest %d\n" % turn in receiver.lines


def test_connections_opened_and_closed_take_their_share(receive: Open) -> None:
    """Of connections that say nothing, a read takes no more than some; who sends has a turn between them."""
    receiver = receive(limits=Limits(connections=10))
    client = receiver.connect()
    client.sendall(b"begin\n")
    receiver.wait_for(b"begin\n")
    for _ in range(600):
        receiver.connect().close()
    client.sendall(b"honest\n")
    receiver.turn()
    assert sum(receiver.refused.values()) + receiver.open <= BLOCK >> 10
    receiver.until(lambda: receiver.is_quiet)
    assert receiver.lines == b"honest\n"
    assert receiver.open == 1
    assert {*receiver.refused} <= {"limit"}


def test_a_port_in_use_is_named(receive: Open) -> None:
    """The message has the option, the URL and the reason."""
    receiver = receive()
    name = f"tcp://127.0.0.1:{receiver.port}"
    listener = InternetListener(Address("127.0.0.1", receiver.port), socket.SOCK_STREAM)
    second = StreamSource(name, listener, None, Limits())
    with pytest.raises(OperationError, match=f"--syslog: cannot listen on {name}: Address already in use"):
        second.start()


def test_short_lines_take_their_share(receive: Open) -> None:
    """Lines cost time beside their bytes, so of short ones a read takes fewer bytes, and not many at a time."""
    taken: dict[int, int] = {}
    for size in (2, 1000):
        receiver = receive()
        client = receiver.connect()
        receiver.until(lambda: receiver.open == 1)  # noqa: B023 -- called at once
        client.settimeout(0)
        block = (b"x" * (size - 1) + b"\n") * (100_000 // size)
        with suppress(BlockingIOError):
            while True:
                client.send(block)
        taken[size] = receiver.turn()
    assert 0 < taken[2] < 25_000
    assert taken[1000] > 2 * taken[2]
