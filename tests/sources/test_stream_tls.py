"""Connections secured by TLS."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from haproxy_log_exporter.sources.stream import Limits
from haproxy_log_exporter.sources.tls import Certificates
from tests.certificates import Pair, client_context, make_pair
from tests.sources.streams import Receiver, has_ended, reset

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass(frozen=True, slots=True)
class Pairs:
    """An authority, two servers and a client that it vouches for, and a client that another does."""

    authority: Pair
    server: Pair
    second: Pair
    client: Pair
    stranger: Pair


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    """Make all certificates."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, other = make_pair(folder, "authority"), make_pair(folder, "other")
    server, second, client = (make_pair(folder, name, authority) for name in ("server", "second", "client"))
    return Pairs(authority, server, second, client, make_pair(folder, "stranger", other))


class Site:
    """A receiver, and what its clients trust."""

    def __init__(self, pairs: Pairs) -> None:
        """Open it; the server's side may be exchanged."""
        self.pairs = pairs
        self._certificates = Certificates("")
        self.use(pairs.server)
        self.receiver = Receiver(limits=Limits(handshake=30, idle=3600), certificates=self._certificates)

    def use(self, pair: Pair, *, asking: bool = False) -> None:
        """Use a certificate from now on, and ask clients for theirs or not."""
        self._certificates.certificate, self._certificates.key = str(pair.certificate), str(pair.key)
        self._certificates.client_ca = str(self.pairs.authority.certificate) if asking else ""
        self._certificates.load()

    def connect(self, own: Pair | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLSocket:
        """Connect, and shake hands."""
        context = client_context(self.pairs.authority, own)
        context.maximum_version = version or context.maximum_version
        bare = self.receiver.connect()
        client = context.wrap_socket(bare, server_hostname="localhost", do_handshake_on_connect=False)
        self._clients.append(client)
        failed: list[OSError] = []

        def shake() -> None:
            try:
                client.do_handshake()
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=shake)
        thread.start()
        self.receiver.until(lambda: not thread.is_alive(), "the handshake")
        thread.join()
        if failed:
            raise failed[0]
        return client

    @property
    def _clients(self) -> list[socket.socket]:
        return self.receiver._clients


@pytest.fixture
def site(pairs: Pairs) -> Iterator[Site]:
    """A site on a port of its own."""
    site = Site(pairs)
    yield site
    site.receiver.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_lines_of_both_framings(version: ssl.TLSVersion, site: Site) -> None:
    """TLS 1.2 and 1.3, single bytes and more than a record holds."""
    lines, counts = site.connect(version=version), site.connect(version=version)
    assert lines.version() == version.name.replace("_", ".")
    for byte in b"<134>one\n":
        lines.sendall(bytes([byte]))
        site.receiver.turn()
    site.receiver.wait_for(b"<134>one\n")
    message = b"<134>" + b"x" * 65_000
    sending = threading.Thread(target=counts.sendall, args=((b"%d %b" % (len(message), message)) * 20,))
    sending.start()
    site.receiver.wait_for((message + b"\n") * 20)
    sending.join()
    assert site.receiver.open == 2
    assert site.receiver.refused == {}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("politely", [True, False])
def test_the_end_of_a_connection(version: ssl.TLSVersion, site: Site, *, politely: bool) -> None:
    """With TLS's own end or without it, a last line counts, and nothing is refused."""
    client = site.connect(version=version)
    client.sendall(b"one\ntwo")
    if politely:
        client.settimeout(0)
        with suppress(ssl.SSLWantReadError):
            client.unwrap()
    else:
        client.shutdown(socket.SHUT_WR)
    site.receiver.wait_for(b"one\ntwo\n")
    site.receiver.until(lambda: not site.receiver.open)
    assert site.receiver.refused == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_clients_show_a_certificate(version: ssl.TLSVersion, site: Site) -> None:
    """Where it is asked for, only clients that the authority vouches for are heard."""
    site.use(site.pairs.server, asking=True)
    for number, own in enumerate((None, site.pairs.stranger), 1):
        with suppress(OSError):  # of TLS 1.3 the client learns it later
            client = site.connect(own, version)
            client.sendall(b"unheard\n")
        site.receiver.until(lambda number=number: site.receiver.refused == {"handshake": number})  # type: ignore[misc]
    known = site.connect(site.pairs.client, version)
    known.sendall(b"heard\n")
    site.receiver.wait_for(b"heard\n")
    assert site.receiver.open == 1


def test_a_certificate_is_exchanged(site: Site) -> None:
    """New connections have the new one; those that are there go on."""
    before = site.connect()
    site.use(site.pairs.second)
    after = site.connect()
    assert "server" in str(before.getpeercert())
    assert "second" in str(after.getpeercert())
    before.sendall(b"line\n")
    after.sendall(b"line\n")
    site.receiver.wait_for(b"line\n" * 2)


GARBAGE = {
    "a request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "lines": b"<134>one\n<134>two\n",
    "zeros": bytes(1000),
    "another version": b"\x16\x03\x00\x00\x2d\x01\x00\x00\x29\x03\x00" + bytes(33) + b"\x00\x02\x00\x2f\x01\x00",
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_tls(garbage: bytes, site: Site) -> None:
    """The connection is closed and counted, and nothing of it is a line."""
    client = site.receiver.connect()
    client.sendall(garbage)
    site.receiver.until(lambda: site.receiver.refused)
    assert site.receiver.refused == {"handshake": 1}
    assert site.receiver.open == 0
    with suppress(ConnectionError):
        while client.recv(1 << 16):
            pass
    assert site.receiver.lines == b""


@pytest.mark.parametrize("close", [socket.socket.close, reset])
@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_clients_that_go_away_within_the_handshake(
    hello: bytes, close: Callable[[socket.socket], None], site: Site
) -> None:
    """Before they are taken, and after."""
    clients = [site.receiver.connect() for _ in range(2)]
    clients[0].sendall(hello)
    close(clients[0])
    site.receiver.until(lambda: site.receiver.refused == {"handshake": 1} and site.receiver.open == 1)
    clients[1].sendall(hello)
    close(clients[1])
    site.receiver.until(lambda: site.receiver.refused == {"handshake": 2} and site.receiver.open == 0)


def test_a_handshake_that_never_ends(site: Site) -> None:
    """After its time the connection is closed, though bytes trickle in; those that are secured may be silent."""
    client = site.connect()
    silent, trickling = site.receiver.connect(), site.receiver.connect()
    site.receiver.until(lambda: site.receiver.open == 3)
    for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03":
        trickling.sendall(bytes([byte]))
        site.receiver.look(2.9)
    assert site.receiver.refused == {}
    site.receiver.look(1)
    assert site.receiver.refused == {"handshake": 2}
    assert has_ended(silent)
    assert has_ended(trickling)
    client.sendall(b"line\n")
    site.receiver.wait_for(b"line\n")


def test_a_secured_connection_that_goes_wrong(site: Site) -> None:
    """What is not ciphered is malformed; what came before it counts."""
    client = site.connect()
    client.sendall(b"line\n")
    bare = socket.socket(fileno=client.detach())
    bare.settimeout(30)
    bare.sendall(b"<134>not ciphered\n" * 10)
    site.receiver.until(lambda: site.receiver.refused)
    bare.close()
    assert site.receiver.lines == b"line\n"
    assert site.receiver.refused == {"malformed": 1}


def test_a_message_cut_within_tls(site: Site) -> None:
    """A counted message that is not whole at the end is told from one that is."""
    client = site.connect()
    client.sendall(b"8 <134>one8 <134>t")
    client.shutdown(socket.SHUT_WR)
    site.receiver.until(lambda: site.receiver.refused == {"incomplete": 1})
    assert site.receiver.lines == b"<134>one\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_being_asked_to_end(version: ssl.TLSVersion, site: Site) -> None:
    """A client that complains that TLS was not ended has sent all it had: nothing is refused for it."""
    client = site.connect(version=version)
    client.sendall(b"line\n")

    def end() -> None:
        with suppress(OSError):
            client.recv(1)
        client.close()

    ending = threading.Thread(target=end)
    ending.start()
    site.receiver.finish()
    ending.join()
    assert site.receiver.lines == b"line\n"
    assert site.receiver.refused == {}
