"""Connections: many, too many, silent, broken."""

import logging
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.sources.framing import BLOCK, LONGEST_LINE
from haproxy_log_exporter.sources.listening import InternetListener
from haproxy_log_exporter.sources.stream import Limits, StreamSource
from tests.sources.streams import Receiver, has_ended, has_ipv6, reset

Open = Callable[..., Receiver]


@pytest.fixture
def receive() -> Iterator[Open]:
    """Open receivers, and close them at the end."""
    receivers: list[Receiver] = []

    def make(*args: str, **options: object) -> Receiver:
        receivers.append(Receiver(*args, **options))  # type: ignore[arg-type] # as they were given
        return receivers[-1]

    yield make
    for receiver in receivers:
        receiver.close()


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


def test_too_many_connections(receive: Open) -> None:
    """What is above the limit is closed at once and counted; when one has ended there is room again."""
    receiver = receive(limits=Limits(connections=3))
    clients = [receiver.connect() for _ in range(3)]
    receiver.until(lambda: receiver.open == 3)
    others = [receiver.connect() for _ in range(5)]
    receiver.until(lambda: receiver.refused == {"limit": 5})
    assert all(map(has_ended, others))
    clients[0].close()
    receiver.until(lambda: receiver.open == 2)
    another = receiver.connect()
    another.sendall(b"another\n")
    clients[1].sendall(b"one\n")
    receiver.until(lambda: len(receiver.lines) == 12)
    assert receiver.refused == {"limit": 5}


# Listening at; the sender's address; who is allowed; whether the sender is.
SENDERS = [
    ("127.0.0.1", "127.0.0.1", ["127.0.0.1/32"], True),
    ("127.0.0.1", "127.0.0.2", ["127.0.0.1/32"], False),
    ("127.0.0.1", "127.0.0.2", ["10.0.0.0/8", "127.0.0.0/30"], True),
    ("127.0.0.1", "127.0.0.4", ["10.0.0.0/8", "127.0.0.0/30"], False),
    ("127.0.0.1", "127.0.0.1", ["::/0"], False),
    ("::1", "::1", ["::1/128"], True),
    ("::1", "::1", ["fd00::/8"], False),
    ("::1", "::1", ["0.0.0.0/0"], False),
    ("", "127.0.0.3", ["127.0.0.3/32"], True),
    ("", "127.0.0.2", ["127.0.0.3/32"], False),
    ("", "127.0.0.2", ["::1/128"], False),
    ("", "127.0.0.2", ["::/0"], False),
    ("", "::1", ["::1/128"], True),
    ("", "::1", ["127.0.0.0/8"], False),
    ("", "::1", [], True),
    ("", "127.0.0.1", [], True),
]


@pytest.mark.parametrize(("host", "sender", "allow", "allowed"), SENDERS)
def test_who_may_send(host: str, sender: str, allow: list[str], *, allowed: bool, receive: Open) -> None:
    """Others are closed before anything of them is read; over a socket for both families IPv4 is IPv4."""
    if (":" in sender or not host) and not has_ipv6():
        pytest.skip("there is no IPv6")
    receiver = receive(host, allow=allow)
    client = receiver.connect("::1" if ":" in sender else "127.0.0.1", sender=sender)
    with suppress(ConnectionError):
        client.sendall(b"line\n")
    if allowed:
        receiver.wait_for(b"line\n")
        assert receiver.refused == {}
        return
    receiver.until(lambda: receiver.refused == {"sender": 1})
    assert has_ended(client)
    assert receiver.lines == b""
    assert receiver.open == 0


def test_idle_connections_are_asked_to_end(receive: Open) -> None:
    """After the time a FIN is sent; what the other side has begun to send counts; whoever goes on is cut off."""
    receiver = receive(limits=Limits(idle=100))
    polite, rude = receiver.connect(), receiver.connect()
    for client in (polite, rude):
        client.sendall(b"line\n")
    receiver.wait_for(b"line\n" * 2)
    receiver.look(99)
    assert receiver.refused == {}
    receiver.look(1)
    assert receiver.refused == {"idle": 2}
    assert has_ended(polite)
    polite.sendall(b"late\n")
    polite.close()
    receiver.wait_for(b"late\n")
    receiver.until(lambda: receiver.open == 1)
    rude.sendall(b"later\n")
    receiver.wait_for(b"later\n")
    receiver.look(1)
    assert receiver.open == 1
    receiver.look(1)
    assert receiver.open == 0
    assert receiver.refused == {"idle": 2}


def test_who_speaks_is_not_idle(receive: Open) -> None:
    """A line starts the time anew; bytes without a line do not."""
    receiver = receive(limits=Limits(idle=100))
    client, trickling = receiver.connect(), receiver.connect()
    receiver.until(lambda: receiver.open == 2)
    for turn in range(1, 6):
        client.sendall(b"line\n")
        if turn < 3:
            trickling.sendall(b"x")
        receiver.until(partial(_has_lines, receiver, turn))
        receiver.look(60)
    receiver.look(2)
    assert receiver.refused == {"idle": 1}
    assert has_ended(trickling)
    assert receiver.open == 1


def _has_lines(receiver: Receiver, count: int) -> bool:
    return receiver.lines.count(b"line\n") == count


def test_a_connection_is_refused_for_one_reason(receive: Open) -> None:
    """One that was idle within a message, and ends then, is counted once."""
    receiver = receive(limits=Limits(idle=100))
    client = receiver.connect()
    client.sendall(b"100 <134>begun")
    receiver.until(lambda: receiver.open == 1)
    receiver.look(100)
    client.close()
    receiver.until(lambda: receiver.open == 0)
    assert receiver.refused == {"idle": 1}


def test_silent_connections_make_room(receive: Open) -> None:
    """When all places are taken, who has not said a line for long enough goes, the eldest first."""
    receiver = receive(limits=Limits(connections=3, patience=10, spoken=60))
    speaking = receiver.connect()
    speaking.sendall(b"line\n")
    receiver.wait_for(b"line\n")
    silent = receiver.connect()
    receiver.until(lambda: receiver.open == 2)
    receiver.look(5)
    trickling = receiver.connect()
    trickling.sendall(b"x")
    receiver.until(lambda: receiver.open == 3)
    receiver.look(4.9)
    assert has_ended(_connected(receiver))
    assert receiver.refused == {"limit": 1}
    receiver.look(0.1)
    first = _connected(receiver)
    assert has_ended(silent)
    assert receiver.refused == {"limit": 1, "idle": 1}
    receiver.look(5)
    second = _connected(receiver)
    assert has_ended(trickling)
    assert receiver.refused == {"limit": 1, "idle": 2}
    receiver.lines = b""
    for client in (speaking, first, second):
        client.sendall(b"line\n")
    receiver.wait_for(b"line\n" * 3)
    receiver.look(59)
    assert has_ended(_connected(receiver))
    assert receiver.refused == {"limit": 2, "idle": 2}


def test_connections_that_were_silent_for_long_make_room(receive: Open) -> None:
    """When all others have said something lately, one that has not is asked to end; its place is free when it has."""
    receiver = receive(limits=Limits(connections=2, patience=10, spoken=60))
    first, second = receiver.connect(), receiver.connect()
    for client in (first, second):
        client.sendall(b"line\n")
        receiver.wait_for(b"line\n")
        receiver.look(30)
    assert has_ended(_connected(receiver))
    assert receiver.refused == {"limit": 1, "idle": 1}
    assert has_ended(first)
    first.sendall(b"late\n")
    receiver.wait_for(b"late\n")
    first.close()
    receiver.until(lambda: receiver.open == 1)
    for client in (_connected(receiver), second):
        client.sendall(b"line\n")
        receiver.wait_for(b"line\n")
    assert receiver.refused == {"limit": 1, "idle": 1}


def _connected(receiver: Receiver) -> socket.socket:
    """Connect, and let the connection be taken or refused."""
    client = receiver.connect()
    receiver.until(lambda: receiver.is_quiet)
    return client


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
