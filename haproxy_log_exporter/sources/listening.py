"""Sockets to be sent to: opened here, or handed down by systemd."""

import errno
import os
import socket
import stat
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.errors import OperationError

# How many connections may wait to be taken; the kernel's own limit, net.core.somaxconn, is 4,096.
BACKLOG = 1024

# struct sockaddr_un in unix(7) has room for so many bytes, and a NUL.
LONGEST_SOCKET_PATH = 107

# Nobody can send to a new socket until its owner, group and mode are what they are to be.
_NOBODY = 0o777


class Listener(Protocol):
    """Has a socket to be sent to."""

    @property
    def outlives(self) -> bool:
        """Whether the socket stays when this process ends, so that what comes then waits for the next."""

    def open(self) -> socket.socket:
        """Give the socket, which does not block; OSError, or UnicodeError, where it cannot be had."""

    def close(self) -> None:
        """Close the socket, and remove what others would find it by."""


@dataclass
class InternetListener:
    """A port of this machine. All addresses, an empty host, means both families where there are both."""

    address: Address
    kind: socket.SocketKind
    outlives: ClassVar[bool] = False
    _socket: socket.socket | None = field(default=None, init=False)

    def open(self) -> socket.socket:
        """Bind; connections are listened for at once."""
        found = socket.getaddrinfo(
            self.address.host or None, self.address.port, type=self.kind, flags=socket.AI_PASSIVE
        )
        dual = not self.address.host and socket.has_dualstack_ipv6()
        preferred = socket.AF_INET6 if dual else socket.AF_INET
        family, kind, protocol, _, where = next((row for row in found if row[0] == preferred), found[0])
        self._socket = socket.socket(family, kind, protocol)
        if family == socket.AF_INET6:  # an IPv6 address that is named is for IPv6 alone, so IPv4 may be named beside it
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        if kind == socket.SOCK_STREAM:  # connections of a process that has ended may still be about
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(where)
        if kind == socket.SOCK_STREAM:
            self._socket.listen(BACKLOG)
        self._socket.settimeout(0)
        return self._socket

    def close(self) -> None:
        """Close the socket."""
        if self._socket:
            self._socket.close()
            self._socket = None


@dataclass
class UnixListener:
    """A path for datagrams. A socket that a process left there is replaced, one that is in use is not."""

    path: str
    mode: int
    group: int | None = None
    outlives: ClassVar[bool] = False
    _socket: socket.socket | None = field(default=None, init=False)
    _inode: tuple[int, int] = field(default=(0, 0), init=False)

    def open(self) -> socket.socket:
        """Make the socket, for nobody at first."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        before = os.umask(_NOBODY)
        try:
            self._bind(self._socket)
        finally:
            os.umask(before)
        self._open_to_senders()
        self._socket.settimeout(0)
        return self._socket

    def _open_to_senders(self) -> None:
        """Set group and mode, of the socket alone: others may be able to put something else at its path."""
        descriptor = os.open(self.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISSOCK(found.st_mode):
                message = "another process has put something else in its place"
                raise OperationError(message)
            self._inode = found.st_dev, found.st_ino
            path = f"/proc/self/fd/{descriptor}"
            if self.group is not None:
                _give_to_group(path, self.group)
            os.chmod(path, self.mode)
        finally:
            os.close(descriptor)

    def _bind(self, sock: socket.socket) -> None:
        try:
            sock.bind(self.path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not self._is_stale():
                raise
            os.unlink(self.path)
            sock.bind(self.path)

    def _is_stale(self) -> bool:
        """Tell whether nobody has the socket at the path any more.

        Raises:
            OperationError: where it is no socket.
        """
        if not stat.S_ISSOCK(os.lstat(self.path).st_mode):
            message = "it is there, and is no socket"
            raise OperationError(message)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(self.path)
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
        return False

    def close(self) -> None:
        """Close the socket, and remove its path unless another has taken it."""
        if not self._socket:
            return
        self._socket.close()
        self._socket = None
        try:
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino) == self._inode:
                os.unlink(self.path)
        except OSError:  # it is gone, or may not be removed
            return


@dataclass
class InheritedListener:
    """A socket that systemd keeps: what comes after this process waits for the next."""

    inherited: socket.socket
    outlives: ClassVar[bool] = True

    def open(self) -> socket.socket:
        """Give it."""
        self.inherited.settimeout(0)
        return self.inherited

    def close(self) -> None:
        """Close this process's end of it."""
        self.inherited.close()


def _give_to_group(path: str, group: int) -> None:
    try:
        os.chown(path, -1, group)
    except OSError as error:
        message = f"it cannot be given to the group {group}: {error.strerror}"
        raise OperationError(message) from error
