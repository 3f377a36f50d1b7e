"""Sockets to be sent to: paths and ports, and what others have of them."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.sources.datagram import DatagramSource
from haproxy_log_exporter.sources.listening import (
    LONGEST_SOCKET_PATH,
    InheritedListener,
    InternetListener,
    Listener,
    UnixListener,
)

Stopped = Callable[[Listener], socket.socket]


@pytest.fixture
def opened() -> Iterator[Stopped]:
    """Open listeners, which are closed after the test; the mask of modes is what it was."""
    before = os.umask(0o022)
    with ExitStack() as stack:

        def open_(listener: Listener) -> socket.socket:
            stack.callback(listener.close)
            return listener.open()

        yield open_
    assert os.umask(before) == 0o022


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the socket is to be."""
    return tmp_path / "log"


def send(path: Path, datagram: bytes = b"x") -> None:
    """Send as HAProxy does: by the path, each time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram, str(path))


def refusal(listener: Listener, name: str = "unix:///log") -> str:
    """Tell why a source cannot listen; it leaves nothing open."""
    before = os.listdir("/proc/self/fd")
    source = DatagramSource(name, listener)
    with pytest.raises(OperationError) as raised:
        source.start()
    assert source.fileno() is None
    assert os.listdir("/proc/self/fd") == before
    beginning = f"--syslog: cannot listen on {name}: "
    assert str(raised.value).startswith(beginning)
    return str(raised.value).removeprefix(beginning)


@pytest.mark.parametrize("mode", [0o666, 0o660, 0o600, 0o000, 0o777])
def test_mode_is_the_one_asked_for(path: Path, mode: int, opened: Stopped) -> None:
    """Whatever the mask is; the group stays that of the process."""
    sock = opened(UnixListener(str(path), mode))
    found = path.lstat()
    assert stat.S_IMODE(found.st_mode) == mode
    assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())
    if mode & 0o200:
        send(path, b"hello")
        assert sock.recv(10) == b"hello"
    with pytest.raises(BlockingIOError):
        sock.recv(10)


def test_group(path: Path, opened: Stopped) -> None:
    """It is the one asked for."""
    group = 12345 if not os.geteuid() else os.getegid()
    opened(UnixListener(str(path), 0o660, group))
    assert path.lstat().st_gid == group


def test_nobody_can_send_before_all_is_as_it_should_be(
    path: Path, opened: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each step the mode is none at all, until it is the one asked for with the group that it is for."""
    seen: list[tuple[str, int]] = []

    def watch(name: str) -> None:
        real = getattr(os, name)

        def watched(*arguments: object, **named: object) -> None:
            seen.append((name, stat.S_IMODE(path.lstat().st_mode)))
            real(*arguments, **named)

        monkeypatch.setattr(os, name, watched)

    watch("chown")
    watch("chmod")
    opened(UnixListener(str(path), 0o666, os.getegid()))
    assert [mode for _, mode in seen] == [0, 0]
    assert [name for name, _ in seen] == ["chown", "chmod"]


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_others_put_there_meanwhile(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write to the folder cannot have the mode of another file changed by it."""
    other = path.with_name("shadow")
    other.write_text("secret")
    other.chmod(0o600)
    real = os.open

    def open_(where: str, flags: int) -> int:
        path.unlink()
        if kind == "link":
            path.symlink_to("shadow")
        else:
            os.link(other, path)
        return real(where, flags)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_)
        assert refusal(UnixListener(str(path), 0o666, os.getegid())) == (
            "another process has put something else in its place"
        )
    assert stat.S_IMODE(other.stat().st_mode) == 0o600
    assert os.path.lexists(path), "it is another's"


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_one_that_was_left_is_replaced(path: Path, kind: socket.SocketKind, opened: Stopped) -> None:
    """A process that was killed leaves its socket there, of whatever kind, and nobody has it."""
    with socket.socket(socket.AF_UNIX, kind) as left:
        left.bind(str(path))
    path.chmod(0o600)
    sock = opened(UnixListener(str(path), 0o666))
    send(path, b"hello")
    assert sock.recv(10) == b"hello"
    assert stat.S_IMODE(path.lstat().st_mode) == 0o666


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_one_that_is_in_use_is_refused(path: Path, kind: socket.SocketKind) -> None:
    """It stays as it was, and goes on to be sent to."""
    with socket.socket(socket.AF_UNIX, kind) as used:
        used.bind(str(path))
        if kind != socket.SOCK_DGRAM:
            used.listen()
        before = path.lstat()
        assert refusal(UnixListener(str(path), 0o600)) == "Address already in use"
        assert path.lstat() == before
        if kind == socket.SOCK_DGRAM:
            send(path, b"still")
            assert used.recv(10) == b"still"


def test_one_that_has_a_sender_alone_is_refused(path: Path) -> None:
    """Who is connected to it may not be told apart from who may not send: it is in use."""
    other = path.with_name("other")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as used, socket.socket(used.family, used.type) as peer:
        used.bind(str(path))
        peer.bind(str(other))
        used.connect(str(other))
        assert refusal(UnixListener(str(path), 0o600)) == "Address already in use"
        assert path.is_socket()


@contextmanager
def something(path: Path, kind: str) -> Iterator[None]:
    """Have something there that is no socket."""
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "link to nothing":
            path.symlink_to("nowhere")
        case "link to a file":
            path.with_name("file").write_text("precious")
            path.symlink_to("file")
    yield


@pytest.mark.parametrize("kind", ["file", "directory", "fifo", "link to nothing", "link to a file"])
def test_what_is_no_socket_is_refused(path: Path, kind: str) -> None:
    """It is left as it is."""
    with something(path, kind):
        before = path.lstat()
        assert refusal(UnixListener(str(path), 0o666)) == "it is there, and is no socket"
        assert path.lstat() == before
        assert not path.is_file() or path.read_text() == "precious"
        assert not path.with_name("nowhere").exists()


def test_link_to_a_socket_that_was_left(path: Path) -> None:
    """A link is somebody's: it is refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(path.with_name("left")))
    path.symlink_to("left")
    assert refusal(UnixListener(str(path), 0o666)) == "it is there, and is no socket"
    assert path.is_symlink()


def test_it_is_removed_at_the_end(path: Path) -> None:
    """And may be closed again, or never have been open."""
    listener = UnixListener(str(path), 0o666)
    listener.close()
    listener.open()
    listener.close()
    assert not os.path.lexists(path)
    listener.close()
    listener.open()
    path.unlink()
    listener.close()


@pytest.mark.parametrize("kind", ["socket", "file"])
def test_what_another_has_put_there_stays(path: Path, kind: str) -> None:
    """Another process may have taken the path meanwhile."""
    listener = UnixListener(str(path), 0o666)
    listener.open()
    path.rename(path.with_name("before"))  # its inode stays in use, so no other has it
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        if kind == "socket":
            other.bind(str(path))
        else:
            path.write_text("")
        listener.close()
        assert path.exists()


def test_a_path_that_is_too_long(tmp_path: Path, opened: Stopped) -> None:
    """The longest can be sent to, one more is refused."""
    longest = str(tmp_path / "x").ljust(LONGEST_SOCKET_PATH, "x")
    opened(UnixListener(longest, 0o666))
    send(Path(longest))
    assert refusal(UnixListener(longest + "xx", 0o666)) == "AF_UNIX path too long"


def test_places_where_it_cannot_be(tmp_path: Path) -> None:
    """The reason is the system's."""
    (tmp_path / "file").touch()
    assert refusal(UnixListener(str(tmp_path / "none" / "log"), 0o666)) == "No such file or directory"
    assert refusal(UnixListener(str(tmp_path / "file" / "log"), 0o666)) == "Not a directory"


# As nobody, who may write to the folder of the second path alone: what is said of each.
_AS_NOBODY = """
import os, sys
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.sources.datagram import DatagramSource
from haproxy_log_exporter.sources.listening import UnixListener
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for path, group in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        DatagramSource("unix://X", UnixListener(path, 0o666, int(group) if group else None)).start()
    except OperationError as error:
        print(error, os.path.exists(path))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone becomes nobody")
def test_no_permission() -> None:
    """To write there, to look who has a socket, or to give it to a group: what was made is removed."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        _check_without_permission(Path(folder))


def _check_without_permission(closed: Path) -> None:
    theirs = closed / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as used:
        used.bind(str(theirs / "used"))
        (theirs / "used").chmod(0o600)
        paths = [str(closed / "log"), "", str(theirs / "used"), "", str(theirs / "log"), "0"]
        told = subprocess.run([sys.executable, "-c", _AS_NOBODY, *paths], capture_output=True, text=True, check=False)
    beginning = "--syslog: cannot listen on unix://X: "
    assert told.stdout.splitlines() == [
        f"{beginning}Permission denied False",
        f"{beginning}Address already in use True",
        f"{beginning}it cannot be given to the group 0: Operation not permitted False",
    ], told.stderr


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_each_family_for_itself(kind: socket.SocketKind, opened: Stopped) -> None:
    """Both may be named side by side on one port, in either order."""
    for hosts in (("0.0.0.0", "::"), ("::1", "127.0.0.1")):
        assert any(_stand_side_by_side(hosts, kind, opened) for _ in range(20))


def _stand_side_by_side(hosts: tuple[str, str], kind: socket.SocketKind, opened: Stopped) -> bool:
    """Listen on one port by both hosts; tell whether nobody else had it for the second one."""
    first = InternetListener(Address(hosts[0], 0), kind)
    port = opened(first).getsockname()[1]
    second = InternetListener(Address(hosts[1], port), kind)
    try:
        assert opened(second).getsockname()[1] == port
    except OSError:
        return False
    else:
        return True
    finally:
        first.close()
        second.close()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "127.0.0.1", "::1", "localhost"])
def test_families_of_a_host(host: str, kind: socket.SocketKind, opened: Stopped) -> None:
    """An empty host is both families; others are what they are."""
    sock = opened(InternetListener(Address(host, 0), kind))
    reached = set()
    for family, target in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, kind) as sender:
            try:
                sender.connect((target, sock.getsockname()[1]))
                sender.send(b"x")
                sender.send(b"x")  # of a datagram that nobody took, the kernel tells at the next one
            except ConnectionRefusedError:
                continue
            reached.add(target)
    assert reached == {"": {"127.0.0.1", "::1"}, "0.0.0.0": {"127.0.0.1"}, "::": {"::1"}}.get(
        host, {"127.0.0.1" if host == "localhost" else host}
    )


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_ports_that_cannot_be_had(kind: socket.SocketKind, opened: Stopped) -> None:
    """In use, of a host that is not this one, or that nobody knows."""
    port = opened(InternetListener(Address("", 0), kind)).getsockname()[1]
    for host in ("", "127.0.0.1", "::1"):
        assert refusal(InternetListener(Address(host, port), kind), "x") == "Address already in use"
    assert refusal(InternetListener(Address("192.0.2.1", 0), kind), "x") == "Cannot assign requested address"
    told = refusal(InternetListener(Address("nowhere.invalid", 0), kind), "x")
    assert "not known" in told or "name resolution" in told  # the latter without a network
    assert refusal(InternetListener(Address("x" * 64, 0), kind), "x")


def test_a_port_is_had_again_at_once(opened: Stopped) -> None:
    """Connections of the process before may still be about."""
    listener = InternetListener(Address("127.0.0.1", 0), socket.SOCK_STREAM)
    sock = listener.open()
    address = sock.getsockname()
    with socket.create_connection(address):
        sock.settimeout(10)
        sock.accept()[0].close()
        listener.close()
        opened(InternetListener(Address(*address), socket.SOCK_STREAM))


def test_an_inherited_one_is_systemds(path: Path) -> None:
    """It does not block here; its path stays, and what comes later is still there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemds:
        systemds.bind(str(path))
        listener = InheritedListener(systemds.dup())
        with pytest.raises(BlockingIOError):
            listener.open().recv(10)
        listener.close()
        send(path, b"later")
        assert systemds.recv(10) == b"later"
        assert path.is_socket()
