"""Sockets that systemd hands down."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from haproxy_log_exporter import sockets
from haproxy_log_exporter.address import Address
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.sockets import InheritedSockets, are_inherited, inherit_sockets

Environment = dict[str, str]


class Given:
    """What systemd gives: sockets at numbers in a row, and the variables that say so."""

    def __init__(self, stack: ExitStack, first: int) -> None:
        self._stack = stack
        self._first = first
        self._count = 0
        self.names = "x"

    def keep(self, sock: socket.socket) -> socket.socket:
        """Close a socket at the test's end."""
        return self._stack.enter_context(sock)

    def make(self, kind: tuple[int, int], where: object = None, *, listens: bool = False) -> socket.socket:
        """Make a socket, and give it."""
        sock = self.keep(socket.socket(*kind))
        if kind[0] == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if where is not None:
            sock.bind(where)  # type: ignore[arg-type]  # each family has its own
        if listens:
            sock.listen()
        self.give(sock.fileno())
        return sock

    def give(self, descriptor: int) -> None:
        """Put it where the next one is looked for."""
        os.dup2(descriptor, self._first + self._count)
        self._count += 1

    def environment(self) -> Environment:
        """Give the variables."""
        return {
            "LISTEN_FDS": str(self._count),
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDNAMES": self.names,
            "HOME": "/",
        }

    def inherit(self) -> InheritedSockets:
        """Take them over; they are closed at the test's end."""
        inherited = inherit_sockets(self.environment())
        self._stack.callback(inherited.close)
        return inherited

    def refuse(self) -> tuple[str, ...]:
        """Take them over, which is refused with these messages, and leaves none of them open."""
        with pytest.raises(UsageError) as raised:
            inherit_sockets(self.environment())
        for descriptor in range(self._first, self._first + self._count):
            with suppress(OSError):
                assert not stat.S_ISSOCK(os.fstat(descriptor).st_mode), descriptor
                os.close(descriptor)
        return raised.value.messages


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[Given]:
    """Have numbers in a row that nobody uses, in place of 3 and those after it."""
    monkeypatch.setattr(sockets, "_FIRST", 500)
    with ExitStack() as stack:
        yield Given(stack, 500)


UDP = socket.AF_INET, socket.SOCK_DGRAM
UDP6 = socket.AF_INET6, socket.SOCK_DGRAM
TCP = socket.AF_INET, socket.SOCK_STREAM
TCP6 = socket.AF_INET6, socket.SOCK_STREAM
UNIX = socket.AF_UNIX, socket.SOCK_DGRAM


def port(sock: socket.socket) -> int:
    """Say where a socket is bound."""
    return int(sock.getsockname()[1])


def test_each_is_named_by_its_url(given: Given, tmp_path: Path) -> None:
    """As an option would ask for it, in the order in which they were given."""
    path = str(tmp_path / "log")
    made = [
        given.make(UDP, ("127.0.0.1", 0)),
        given.make(UDP6, ("::1", 0)),
        given.make(TCP, ("0.0.0.0", 0), listens=True),
        given.make(TCP6, ("::", 0), listens=True),
    ]
    given.make(UNIX, path)
    hosts = ("udp://127.0.0.1", "udp://[::1]", "tcp://0.0.0.0", "tcp://[::]")
    urls = [f"{host}:{port(sock)}" for host, sock in zip(hosts, made, strict=True)]
    rest = given.inherit().rest()
    assert [each.url for each in rest] == [*urls, f"unix://{path}"]
    for each in rest:
        each.socket.close()


def test_names_that_are_no_text(given: Given, tmp_path: Path) -> None:
    """An abstract name is written as systemd does; what is no UTF-8 can be shown in a label."""
    path = os.fsencode(tmp_path) + b"/\xff"
    given.make(UNIX, b"\0haproxy-log-\xff")
    given.make(UNIX, path)
    inherited = given.inherit()
    taken = inherited.take("unix", Address("", 0), os.fsdecode(path))
    assert taken is not None
    taken.close()
    [each] = inherited.rest()
    assert each.url == r"unix://@haproxy-log-\xff"
    each.socket.close()


def test_options_take_what_they_name(given: Given, tmp_path: Path) -> None:
    """By kind and address; each once; the rest is left."""
    path = str(tmp_path / "log")
    udp = given.make(UDP, ("127.0.0.1", 0))
    tcp = given.make(TCP, ("127.0.0.1", 0), listens=True)
    unix = given.make(UNIX, path)
    by_port = {sock: Address("127.0.0.1", port(sock)) for sock in (udp, tcp)}
    inherited = given.inherit()
    assert port(tcp) == port(udp) or inherited.take("udp", by_port[tcp]) is None
    assert inherited.take("udp", Address("127.0.0.2", port(udp))) is None
    assert inherited.take("udp", Address("127.0.0.1", port(udp) ^ 1)) is None
    assert inherited.take("unix", Address("", 0), f"{path}x") is None
    assert inherited.take("udp", Address("", port(udp))) is None, "one address is not all of them"
    for scheme, place, sock in (("udp", "", udp), ("tcp", "", tcp), ("unix", path, unix)):
        taken = inherited.take(scheme, by_port.get(sock, Address("", 0)), place)
        assert taken is not None
        assert taken.getsockname() == sock.getsockname()
        assert taken.type == sock.type
        taken.close()
        assert inherited.take(scheme, by_port.get(sock, Address("", 0)), place) is None
    assert inherited.rest() == []


@pytest.mark.parametrize("scheme", ["tcp", "tls", "http"])
def test_what_is_spoken_over_tcp(given: Given, scheme: str) -> None:
    """TLS and the metrics come over TCP, so they take its sockets."""
    sock = given.make(TCP, ("127.0.0.1", 0), listens=True)
    taken = given.inherit().take(scheme, Address("localhost", port(sock)))
    assert taken is not None
    assert taken.getsockname() == sock.getsockname()
    taken.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses(given: Given, host: str) -> None:
    """An empty host takes a socket for all addresses, whichever family it is bound in."""
    sock = given.make(UDP if host == "0.0.0.0" else UDP6, (host, 0))
    taken = given.inherit().take("udp", Address("", port(sock)))
    assert taken is not None
    taken.close()


def test_the_one_for_the_metrics_is_no_source(given: Given) -> None:
    """The socket that is named so is taken by its address, or refused by that of the option."""
    given.make(TCP, ("127.0.0.1", 0), listens=True)
    web = given.make(TCP, ("127.0.0.1", 0), listens=True)
    given.names = "x:web"
    inherited = given.inherit()
    with pytest.raises(UsageError) as refused:
        inherited.take("http", Address("", 9129))
    place = f"127.0.0.1:{port(web)}"
    message = f"--web.listen-address: :9129 is not where systemd's socket web listens, {place}"
    assert refused.value.messages == (message,)
    taken = inherited.take("http", Address("127.0.0.1", port(web)))
    assert taken
    given.keep(taken)
    assert port(taken) == port(web)
    assert inherited.take("http", Address("", 9129)) is None


def test_a_host_that_is_unknown(given: Given) -> None:
    """It is not for this part to say so; nothing is taken."""
    sock = given.make(UDP, ("127.0.0.1", 0))
    inherited = given.inherit()
    assert inherited.take("udp", Address("nowhere.invalid", port(sock))) is None
    assert inherited.take("udp", Address("x" * 70, port(sock))) is None


def test_children_have_none(given: Given) -> None:
    """Neither the descriptors nor the variables; other variables stay."""
    given.make(UDP, ("127.0.0.1", 0))
    environment = given.environment()
    [each] = inherit_sockets(environment).rest()
    assert not each.socket.get_inheritable()
    assert environment == {"HOME": "/"}
    each.socket.close()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": ""},
        {"LISTEN_FDS": "one", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "-1", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_what_is_for_others(variables: Environment, given: Given) -> None:
    """What is not for this process is let be, and nobody is told of it."""
    sock = given.make(UDP, ("127.0.0.1", 0))
    assert not are_inherited({**variables}) or variables["LISTEN_FDS"] == "0"
    assert inherit_sockets(variables).rest() == []
    assert variables == {}
    os.fstat(500)
    assert os.get_inheritable(500)
    os.close(500)
    assert sock.fileno() >= 0


def test_what_cannot_be_read_from_is_refused(given: Given, tmp_path: Path) -> None:
    """Each of them, by its number and why; and nothing is left open."""
    made = given.make(TCP, ("127.0.0.1", 0), listens=True)
    client = given.keep(socket.create_connection(made.getsockname()))
    given.give(client.fileno())
    given.make((socket.AF_UNIX, socket.SOCK_STREAM), str(tmp_path / "stream"), listens=True)
    given.make((socket.AF_UNIX, socket.SOCK_SEQPACKET), str(tmp_path / "seqpacket"), listens=True)
    given.make((socket.AF_NETLINK, socket.SOCK_RAW))
    given.make(TCP, ("127.0.0.1", 0))
    with (tmp_path / "file").open("w") as file:
        given.give(file.fileno())
    reader, writer = os.pipe()
    given.give(reader)
    os.close(reader)
    os.close(writer)
    given.make(UDP, ("127.0.0.1", 0))
    neither = "it is neither for datagrams nor for TCP"
    connection = "it is one connection; Accept=no lets this process take all of them"
    reasons = {2: connection, 3: neither, 4: neither, 5: neither, 6: connection}
    reasons |= dict.fromkeys((7, 8), "Socket operation on non-socket")
    assert given.refuse() == tuple(f"systemd's socket {n} cannot be read from: {why}" for n, why in reasons.items())


def test_one_that_is_not_there(given: Given) -> None:
    """More were said to be there than are."""
    given.make(UDP, ("127.0.0.1", 0))
    given._count += 1
    assert given.refuse() == ("systemd's socket 2 cannot be read from: Bad file descriptor",)
