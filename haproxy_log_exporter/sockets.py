"""Sockets that systemd has opened and hands down (sd_listen_fds(3)), and the options that they are meant by."""

import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace

from haproxy_log_exporter.address import Address, readable
from haproxy_log_exporter.errors import UsageError

_FIRST = 3  # SD_LISTEN_FDS_START
_WEB = "web"  # FileDescriptorName= of a socket that is for the metrics, and never a source

_SCHEMES = {
    (socket.AF_INET, socket.SOCK_DGRAM): "udp",
    (socket.AF_INET6, socket.SOCK_DGRAM): "udp",
    (socket.AF_INET, socket.SOCK_STREAM): "tcp",
    (socket.AF_INET6, socket.SOCK_STREAM): "tcp",
    (socket.AF_UNIX, socket.SOCK_DGRAM): "unix",
}

_ANY = ("0.0.0.0", "::")  # noqa: S104 -- what getsockname() says, not what is bound


@dataclass(frozen=True, slots=True)
class Inherited:
    """A socket, what it is as a URL, its address or path, and the name that its unit gives it."""

    socket: socket.socket
    scheme: str
    address: Address
    path: str = ""
    name: str = ""

    @property
    def url(self) -> str:
        """What it would be asked for by."""
        return readable(f"{self.scheme}://{self.path or self.address}")


class InheritedSockets:
    """Hands out each socket once."""

    def __init__(self, sockets: list[Inherited]) -> None:
        """Keep them until they are asked for."""
        self._left = sockets

    def take(self, scheme: str, address: Address, path: str = "") -> socket.socket | None:
        """Give the socket that is bound where an option asks for it; an empty host asks for all addresses.

        Raises:
            UsageError: where another one than `http` asks for is named as the one for the metrics.
        """
        if not self._left:
            return None
        kind = "tcp" if scheme in ("tls", "http") else scheme
        hosts = _hosts(address)
        for each in self._left:
            is_there = each.path == path if kind == "unix" else each.address.port == address.port
            if each.scheme == kind and is_there and (kind == "unix" or each.address.host in hosts):
                self._left.remove(each)
                return each.socket
        if named := next((each for each in self._left if scheme == "http" and each.name == _WEB), None):
            message = f"--web.listen-address: {address} is not where systemd's socket {_WEB} listens, {named.address}"
            raise UsageError(message)
        return None

    def rest(self) -> list[Inherited]:
        """Give those that no option asks for."""
        rest, self._left = self._left, []
        return rest

    def close(self) -> None:
        """Close those that nobody took."""
        for each in self.rest():
            each.socket.close()


def are_inherited(environment: Mapping[str, str]) -> bool:
    """Whether this process was given sockets."""
    return environment.get("LISTEN_PID", "") == str(os.getpid()) and environment.get("LISTEN_FDS", "").isdecimal()


def inherit_sockets(environment: MutableMapping[str, str]) -> InheritedSockets:
    """Take over the sockets that this process was given, if it was; no child shall take them for its own.

    Raises:
        UsageError: where one of them is nothing to be sent to.
    """
    count = int(environment["LISTEN_FDS"]) if are_inherited(environment) else 0
    names = [*environment.get("LISTEN_FDNAMES", "").split(":"), *[""] * count]
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        environment.pop(name, None)
    found, problems = [], []
    for descriptor, name in enumerate(names[:count], start=_FIRST):
        try:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 -- os's
            found.append(replace(_look_at(descriptor), name=name))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            problems.append(f"systemd's socket {descriptor - _FIRST + 1} cannot be read from: {reason}")
    inherited = InheritedSockets(found)
    if problems:
        inherited.close()
        raise UsageError(*problems)
    return inherited


def _look_at(descriptor: int) -> Inherited:
    sock = socket.socket(fileno=descriptor)
    try:
        return _name(sock)
    except (OSError, ValueError):
        sock.close()
        raise


def _name(sock: socket.socket) -> Inherited:
    scheme = _SCHEMES.get((sock.family, sock.type))
    if scheme is None:
        message = "it is neither for datagrams nor for TCP"
        raise ValueError(message)
    if scheme == "tcp" and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        message = "it is one connection; Accept=no lets this process take all of them"
        raise ValueError(message)
    name = sock.getsockname()
    if scheme == "unix":
        return Inherited(sock, scheme, Address("", 0), _read_path(name))
    return Inherited(sock, scheme, Address(name[0], name[1]))


def _read_path(name: str | bytes) -> str:
    """Read a name of unix(7): an abstract one comes as bytes, and has "@" where its NUL is, as systemd writes it."""
    return name if isinstance(name, str) else os.fsdecode(name.replace(b"\0", b"@"))


def _hosts(address: Address) -> set[str]:
    """Find how a socket that is bound to an address may name its host."""
    if not address.host:
        return {*_ANY}
    try:
        return {str(row[4][0]) for row in socket.getaddrinfo(address.host, address.port)}
    except (OSError, UnicodeError):  # whoever opens it will say so
        return set()
