"""Connections that may not be: too many, others' senders, and those that say nothing."""

import socket
from contextlib import suppress
from functools import partial

import pytest

from haproxy_log_exporter.sources import stream
from haproxy_log_exporter.sources.stream import Limits
from tests.sources.streams import Open, Receiver, has_ended, has_ipv6


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
    """One that has not said anything lately is asked to end: a new one is taken at once, and what it still says too."""
    receiver = receive(limits=Limits(connections=2, patience=10, spoken=60))
    first, second = receiver.connect(), receiver.connect()
    for client in (first, second):
        client.sendall(b"line\n")
        receiver.wait_for(b"line\n")
        receiver.look(30)
    third = _connected(receiver)
    assert has_ended(first)
    assert (receiver.refused, receiver.open) == ({"idle": 1}, 3)
    for client in (first, second, third):
        client.sendall(b"late\n")
        receiver.wait_for(b"late\n")
    first.close()
    receiver.until(lambda: receiver.open == 2)
    assert has_ended(_connected(receiver))
    assert receiver.refused == {"idle": 1, "limit": 1}


def test_who_is_refused_does_not_storm(receive: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many, others have to wait to be refused, or taken, until the next look; nothing is lost by it."""
    monkeypatch.setattr(stream, "_MOST_REFUSED", 3)
    receiver = receive(allow=["127.0.0.2"])
    receiver.look(1)
    refused = [_connected(receiver) for _ in range(3)]
    assert all(map(has_ended, refused))
    waiting, allowed = receiver.connect(), receiver.connect(sender="127.0.0.2")
    allowed.sendall(b"line\n")
    receiver.turn()
    assert (receiver.refused, receiver.lines, receiver.open) == ({"sender": 3}, b"", 0)
    receiver.look(1)
    receiver.wait_for(b"line\n")
    assert has_ended(waiting)
    assert receiver.refused == {"sender": 4}


def test_a_young_connection_holds_nobody_up(receive: Open) -> None:
    """Who has to go first goes first, whether or not it has said anything, though another has only just come."""
    receiver = receive(limits=Limits(connections=3, patience=10, spoken=60))
    first, second = receiver.connect(), receiver.connect()
    for client in (first, second):
        client.sendall(b"line\n")
        receiver.wait_for(b"line\n")
        receiver.look(5)
    receiver.look(54)
    for turn, client in enumerate((first, second), 1):
        young = _connected(receiver)
        receiver.look(5)
        new = _connected(receiver)
        assert has_ended(client)
        assert receiver.refused == {"idle": turn}
        new.sendall(b"new\n")
        receiver.wait_for(b"new\n")
        client.close()
        young.close()
        receiver.until(lambda: receiver.open == 2)


def test_places_of_those_who_were_asked_to_end(receive: Open) -> None:
    """They are free at once: where another has left besides, nobody has to go for who comes next."""
    receiver = receive(limits=Limits(connections=3, patience=10, spoken=60))
    spoken = [_connected(receiver) for _ in range(3)]
    for client in spoken:
        client.sendall(b"line\n")
    receiver.wait_for(b"line\n" * 3)
    receiver.look(60)
    _connected(receiver)
    assert receiver.refused == {"idle": 1}
    spoken[2].close()
    receiver.until(lambda: receiver.open == 3)
    _connected(receiver).sendall(b"next\n")
    receiver.wait_for(b"next\n")
    assert (receiver.refused, receiver.open) == ({"idle": 1}, 4)


def test_never_more_than_twice_the_limit(receive: Open) -> None:
    """Those who were asked to end have two seconds, in which what they say counts; then they are cut off."""
    receiver = receive(limits=Limits(connections=4, patience=10, spoken=60))
    before = [_connected(receiver) for _ in range(4)]
    for turn in range(1, 4):
        for client in before:
            client.sendall(b"line\n")
        receiver.wait_for(b"line\n" * 4)
        receiver.look(60)
        after = [_connected(receiver) for _ in range(20)]
        assert receiver.open == 8
        assert receiver.refused == {"idle": 4 * turn, "limit": 16 * turn}
        for client in (*before, *after[:4]):
            client.sendall(b"late\n")
        receiver.wait_for(b"late\n" * 8)
        assert all(map(has_ended, (*before, *after[4:])))
        receiver.look(1)
        assert receiver.open == 8
        receiver.look(1)
        assert receiver.open == 4
        before = after[:4]


def _connected(receiver: Receiver) -> socket.socket:
    """Connect, and let the connection be taken or refused."""
    client = receiver.connect()
    receiver.until(lambda: receiver.is_quiet)
    return client
