"""The end: what has reached the source is read, and senders that wait for it are told."""

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from haproxy_log_exporter.sources.stream import Limits
from haproxy_log_exporter.sources.tls import Certificates
from tests.certificates import Pair, client_context, make_pair
from tests.sources.streams import Open, Receiver, has_ended, reset
from tests.support import wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate that has signed itself."""
    return make_pair(tmp_path_factory.mktemp("certificates"), "authority")


class Sender(threading.Thread):
    """Sends lines without end, until the other side has ended the connection, as HAProxy does."""

    def __init__(self, number: int, client: socket.socket) -> None:
        """`client` is connected; `number` says which framing it uses."""
        super().__init__()
        self._number = number
        self._client = client
        self.sent: list[bytes] = []
        self.failed = ""

    def run(self) -> None:
        """Send."""
        poll = select.poll()
        poll.register(self._client, select.POLLRDHUP)
        try:
            while not poll.poll(0):
                line = b"<134>sender %d, line %d" % (self._number, len(self.sent))
                self._client.sendall(line + b"\n" if self._number % 2 else b"%d %b" % (len(line), line))
                self.sent.append(line)
        except OSError as error:
            self.failed = str(error)
        with suppress(OSError):
            self._client.recv(1)  # a session's tickets: closing with something unread would be a reset
        self._client.close()


def finish_under_load(receiver: Receiver, connect: Callable[[], socket.socket]) -> None:
    """Let ten senders send, and end after a while: what they have sent was read."""
    senders = [Sender(number, connect()) for number in range(10)]
    for sender in senders:
        sender.start()
    receiver.until(lambda: len(receiver.lines) > 300_000, "lines")
    receiver.finish()
    for sender in senders:
        sender.join(30)
        assert not sender.is_alive()
        assert sender.failed == ""
    got = receiver.lines.splitlines()
    for number, sender in enumerate(senders):
        own = b"<134>sender %d," % number
        assert [line for line in got if line.startswith(own)] == sender.sent
    assert len(got) == sum(len(sender.sent) for sender in senders)
    assert receiver.refused == {}


def test_nothing_is_lost_at_the_end(receive: Open) -> None:
    """Senders in full flow are told to end, and all that they have sent until then is read, with both framings."""
    receiver = receive()
    finish_under_load(receiver, receiver.connect)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_nothing_is_lost_at_the_end_of_tls(version: ssl.TLSVersion, receive: Open, authority: Pair) -> None:
    """The same holds of TLS."""
    certificates = Certificates(str(authority.certificate), str(authority.key))
    certificates.load()
    receiver = receive(certificates=certificates)
    trusting = client_context(authority)
    trusting.maximum_version = version

    def connect() -> socket.socket:
        client = trusting.wrap_socket(receiver.connect(), server_hostname="localhost", do_handshake_on_connect=False)
        shaking = threading.Thread(target=client.do_handshake)
        shaking.start()
        receiver.until(lambda: not shaking.is_alive(), "the handshake")
        shaking.join()
        return client

    finish_under_load(receiver, connect)


@pytest.mark.parametrize("close", [socket.socket.close, reset, None])
@pytest.mark.parametrize("framing", [b"%(line)b\n", b"%(size)d %(line)b"])
def test_connections_that_wait_to_be_taken(
    framing: bytes, close: Callable[[socket.socket], None] | None, receive: Open
) -> None:
    """Their senders believe that they are heard: whether they go on, have ended, or have been reset."""
    receiver = receive()
    clients = [receiver.connect() for _ in range(50)]
    expected = []
    for number, client in enumerate(clients):
        line = b"<134>waiting %d" % number
        client.sendall(framing % {b"line": line, b"size": len(line)})
        expected.append(line)
        if close:
            close(client)
    if close:
        receiver.finish()
    else:
        ending = [threading.Thread(target=_end, args=(client,)) for client in clients]
        for each in ending:
            each.start()
        receiver.finish()
        for each in ending:
            each.join()
    assert sorted(receiver.lines.splitlines()) == sorted(expected)
    assert receiver.refused == {}


def _end(client: socket.socket) -> None:
    """Close a connection when the other side has ended it."""
    assert has_ended(client)
    client.close()


@pytest.mark.parametrize("close", [socket.socket.close, reset])
def test_connections_that_have_ended_already(close: Callable[[socket.socket], None], receive: Open) -> None:
    """What they have sent before they were closed or reset is read, though it was not known yet that they were."""
    receiver = receive()
    clients = [receiver.connect() for _ in range(3)]
    receiver.until(lambda: receiver.open == 3)
    for client in clients:
        client.sendall(b"one\ntwo\nthree\n")
        close(client)
    receiver.finish()
    assert receiver.lines == b"one\ntwo\nthree\n" * 3
    assert receiver.open == 0


def test_more_wait_than_there_is_room_for(receive: Open) -> None:
    """The limit holds to the end, and what it costs is counted."""
    receiver = receive(limits=Limits(connections=3))
    for _ in range(5):
        client = receiver.connect()
        client.sendall(b"line\n")
        client.close()
    receiver.finish()
    assert receiver.lines == b"line\n" * 3
    assert receiver.refused == {"limit": 2}


def test_nobody_can_connect_any_more(receive: Open) -> None:
    """From the first moment of the end the port is closed, though a look falls into it."""
    receiver = receive()
    client = receiver.connect()
    receiver.until(lambda: receiver.open == 1)
    assert receiver.source.finish() == []
    with pytest.raises(ConnectionRefusedError):
        receiver.connect()
    receiver.now += 60
    assert receiver.source.finish() == []
    with pytest.raises(ConnectionRefusedError):
        receiver.connect()
    assert has_ended(client)
    client.sendall(b"last")
    client.close()
    receiver.finish()
    assert receiver.lines == b"last\n"


def test_who_does_not_end_holds_nothing_up(receive: Open) -> None:
    """What has come is handed over; whoever waits for the end decides how long."""
    receiver = receive()
    client = receiver.connect()
    client.sendall(b"line\nbegun")
    chunks = receiver.source.finish()
    assert chunks is not None
    assert b"".join(chunk.lines for chunk in chunks) == b"line\n"
    for _ in range(3):
        assert receiver.source.finish() == []
    receiver.source.stop()
    assert has_ended(client)


@pytest.mark.parametrize("is_read", [True, False])
def test_a_message_that_nothing_follows_at_the_end(receive: Open, is_read: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """A counted message without a priority is read too, though its sender goes on as if it had not been asked to end.

    It is whole, and its sender believes that it was heard.
    """
    receiver = receive()
    client = receiver.connect()
    client.sendall(b"11 hello world")
    if is_read:
        receiver.until(lambda: receiver.open == 1)
        receiver.until(lambda: receiver.is_quiet)
    assert receiver.lines == b""
    found: list[bytes] = []

    def look() -> bool:
        chunks = receiver.source.finish()
        assert chunks is not None
        found.extend(chunk.lines for chunk in chunks)
        return bool(found)

    wait_until(look, what="the message")
    assert found == [b"hello world\n"]
    assert receiver.open == 1


def test_connections_that_wait_for_the_next_process(receive: Open) -> None:
    """Where the port stays open when this process ends, who was not taken yet is the next one's, with all he says."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        receiver = receive(inherited=listening)
        taken = receiver.connect()
        taken.sendall(b"taken\n")
        receiver.wait_for(b"taken\n")
        waiting = [receiver.connect() for _ in range(3)]
        for client in waiting:
            client.sendall(b"waiting\n")
        taken.close()
        receiver.finish()
        assert receiver.lines == b""
        receiver.source.stop()
        following = receive(inherited=listening)
        following.wait_for(b"waiting\n" * 3)
        for client in waiting:
            client.sendall(b"more\n")
        following.wait_for(b"more\n" * 3)
        assert following.refused == {}


def test_without_connections_there_is_nothing_to_wait_for(receive: Open) -> None:
    """The end is over at once."""
    assert receive().source.finish() is None
