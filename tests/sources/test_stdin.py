"""Standard input, whatever it is."""

import fcntl
import os
import pty
import select
import socket
import termios
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.sources.framing import BLOCK, LONGEST_LINE
from haproxy_log_exporter.sources.stdin import StandardInput
from tests.support import wait_until


class Ends:
    """Both ends of what is standard input; the reader's is closed after the test."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def write(self, data: bytes) -> None:
        """Write all of it, whatever there is room for."""
        written = 0
        while written < len(data):
            written += os.write(self.writer, data[written:])

    def end(self) -> None:
        """Write no more."""
        os.close(self.writer)
        self.writer = -1

    def close(self) -> None:
        """Close what is open."""
        for descriptor in (self.reader, self.writer):
            with suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Ends]:
    """A pipe."""
    ends = Ends()
    yield ends
    ends.close()


@pytest.fixture
def keep() -> Iterator[ExitStack]:
    """What is closed after the test."""
    with ExitStack() as stack:
        yield stack


def started(descriptor: int) -> StandardInput:
    """Make one that is ready to be read."""
    source = StandardInput(descriptor)
    source.start()
    return source


def lines(source: StandardInput) -> bytes:
    """Read what is there, once."""
    return b"".join(chunk.lines for chunk in source.read())


def rest(source: StandardInput) -> tuple[bytes, int]:
    """Read up to the end, which comes once: the lines, and how many were too long."""
    found: list[bytes] = []
    overlong = 0
    for _ in range(1000):
        chunks = source.read()
        found += [chunk.lines for chunk in chunks]
        overlong += sum(chunk.overlong for chunk in chunks)
        if any(chunk.last for chunk in chunks):
            assert [chunk.last for chunk in chunks] == [True]
            assert not source.is_behind
            assert source.read() == []
            assert source.finish() is None
            return b"".join(found), overlong
    return pytest.fail("it does not end")


def finished(source: StandardInput) -> bytes:
    """Take what is there when the service ends; it says when that is all."""
    found: list[bytes] = []
    for _ in range(1000):
        chunks = source.finish()
        if chunks is None:
            return b"".join(found)
        found += [chunk.lines for chunk in chunks]
    return pytest.fail("it does not finish")


def test_lines_are_whole(pipe: Ends) -> None:
    """However they are divided into writes; what is begun waits for its end."""
    source = started(pipe.reader)
    assert lines(source) == b""
    for data, whole in (
        (b"one\ntw", b"one\n"),
        (b"", b""),
        (b"o", b""),
        (b"\n\nthr", b"two\n\n"),
        (b"ee\n", b"three\n"),
    ):
        pipe.write(data)
        assert lines(source) == whole
    pipe.end()
    assert rest(source) == (b"", 0)


@pytest.mark.parametrize("last", [b"", b"last", b"last\n"])
def test_last_line_needs_no_newline(pipe: Ends, last: bytes) -> None:
    """It is whole at the end of the input."""
    pipe.write(b"one\n" + last)
    pipe.end()
    assert rest(started(pipe.reader)) == (b"one\n" + (last.rstrip() + b"\n" if last else b""), 0)


def test_every_way_to_divide(pipe: Ends) -> None:
    """At each byte."""
    data = b"one\n\ntwo three\nfour"
    source = started(pipe.reader)
    found = b""
    for byte in data:
        pipe.write(bytes([byte]))
        found += lines(source)
    pipe.end()
    assert found + rest(source)[0] == data + b"\n"


@pytest.mark.parametrize("size", [LONGEST_LINE + 1, 3 * BLOCK])
def test_lines_that_are_too_long(pipe: Ends, size: int) -> None:
    """They are counted and left out, also where they have no end; the longest that may be is whole."""
    source = started(pipe.reader)
    longest = b"y" * LONGEST_LINE + b"\n"
    data = b"one\n" + b"x" * size + b"\n" + longest + b"z" * size

    def write() -> None:
        pipe.write(data)
        pipe.end()

    writer = threading.Thread(target=write)
    writer.start()
    found: list[bytes] = []
    overlong = 0
    is_over = False
    while not is_over:
        select.select([pipe.reader], [], [], 10)
        for chunk in source.read():
            found.append(chunk.lines)
            overlong += chunk.overlong
            is_over = chunk.last
    writer.join()
    assert b"".join(found) == b"one\n" + longest
    assert overlong == 2


def test_at_most_a_block_at_a_time(pipe: Ends) -> None:
    """Other sources get their turn."""
    source = started(pipe.reader)
    data = b"x" * 99 + b"\n"
    pipe.write(data * 10_000)  # a pipe that was made larger holds it
    first = lines(source)
    assert 0 < len(first) < 2 * BLOCK
    pipe.end()
    assert first + rest(source)[0] == data * 10_000


def test_a_pipe_is_made_larger(pipe: Ends) -> None:
    """HAProxy drops what a pipe has no room for."""
    before = fcntl.fcntl(pipe.reader, fcntl.F_GETPIPE_SZ)
    started(pipe.reader)
    assert fcntl.fcntl(pipe.reader, fcntl.F_GETPIPE_SZ) == 1 << 20 > before


def test_a_pipe_that_may_not_be_made_larger(pipe: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read as it is."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    source = started(pipe.reader)
    pipe.write(b"one\n")
    assert lines(source) == b"one\n"


def test_a_writer_that_does_not_wait(pipe: Ends) -> None:
    """HAProxy writes as much as there is room for: all that was written is read."""
    os.set_blocking(pipe.writer, False)
    source = started(pipe.reader)
    written, found = 0, b""
    for _ in range(5):
        with suppress(BlockingIOError):
            while True:
                written += os.write(pipe.writer, b"x" * 199 + b"\n")
        found += lines(source)
    pipe.end()
    found += rest(source)[0]
    assert len(found) == written
    assert written > 1 << 20
    assert set(found.splitlines()) == {b"x" * 199}


def test_a_reader_that_does_not_wait(pipe: Ends) -> None:
    """Where the shell had it so, it is no error and no end that there is nothing."""
    os.set_blocking(pipe.reader, False)
    source = started(pipe.reader)
    assert lines(source) == b""
    pipe.write(b"one\n")
    assert lines(source) == b"one\n"
    assert source.conditions()["stdin"].errors == 0


def test_another_reader_has_taken_it(pipe: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there when it was looked at may be gone: nothing is waited for."""
    os.set_blocking(pipe.reader, False)
    source = started(pipe.reader)
    pipe.write(b"one\n")
    real = os.read

    def taken(descriptor: int, size: int) -> bytes:
        real(descriptor, size)
        return real(descriptor, size)

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", taken)
        assert lines(source) == b""
    pipe.write(b"two\n")
    assert lines(source) == b"two\n"


def test_a_fifo(tmp_path: Path, keep: ExitStack) -> None:
    """It ends when its last writer does."""
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    keep.callback(os.close, reader)
    writers = [os.open(tmp_path / "fifo", os.O_WRONLY) for _ in range(2)]
    source = started(reader)
    os.write(writers[0], b"one\n")
    os.close(writers[0])
    assert lines(source) == b"one\n"
    os.write(writers[1], b"two")
    os.close(writers[1])
    assert rest(source) == (b"two\n", 0)


def test_a_file(tmp_path: Path, keep: ExitStack) -> None:
    """It is read up to its end at once, from where the shell has it, and not waited for."""
    data = b"".join(b"%099d\n" % number for number in range(20_000))
    (tmp_path / "log").write_bytes(data + b"last")
    file = keep.enter_context((tmp_path / "log").open("rb"))
    os.lseek(file.fileno(), 100, os.SEEK_SET)
    source = started(file.fileno())
    assert source.fileno() is None
    assert source.is_behind
    assert rest(source) == (data[100:] + b"last\n", 0)


def test_a_file_at_the_services_end(tmp_path: Path, keep: ExitStack) -> None:
    """It stays where it is: the rest is not read for minutes."""
    (tmp_path / "log").write_bytes(b"one\n" * BLOCK)
    file = keep.enter_context((tmp_path / "log").open("rb"))
    source = started(file.fileno())
    assert 0 < len(lines(source)) < 4 * BLOCK
    assert finished(source) in (b"", b"one\n", b"o\n", b"on\n")


def test_nothing_at_all(keep: ExitStack) -> None:
    """/dev/null is at its end from the beginning."""
    null = os.open("/dev/null", os.O_RDONLY)
    keep.callback(os.close, null)
    source = started(null)
    assert source.is_behind
    assert rest(source) == (b"", 0)


def test_a_terminal(keep: ExitStack) -> None:
    """A line at a time, up to Control-D."""
    ours, theirs = pty.openpty()
    keep.callback(os.close, ours)
    keep.callback(os.close, theirs)
    source = started(theirs)
    assert source.fileno() == theirs
    assert not source.is_behind
    assert lines(source) == b""
    os.write(ours, b"one\ntwo\nbegun")
    found = b""

    def read() -> bool:
        nonlocal found
        found += lines(source)
        return found == b"one\ntwo\n"

    wait_until(read, what="the terminal's lines")
    os.write(ours, b"\n" + termios.tcgetattr(theirs)[6][termios.VEOF])
    assert rest(source) == (b"begun\n", 0)


def test_a_terminal_that_is_gone(keep: ExitStack) -> None:
    """It is the end."""
    ours, theirs = pty.openpty()
    keep.callback(os.close, theirs)
    source = started(theirs)
    os.close(ours)
    assert rest(source) == (b"", 0)


def test_a_socket(keep: ExitStack) -> None:
    """As inetd and rsyslog's omprog give it; an end by RST is an error and the end."""
    for resets in (False, True):
        server = keep.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = keep.enter_context(socket.create_connection(server.getsockname()))
        reader = keep.enter_context(server.accept()[0])
        source = started(reader.fileno())
        client.sendall(b"one\ntwo")
        select.select([reader], [], [], 10)
        assert lines(source) == b"one\n"
        if resets:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        select.select([reader], [], [], 10)
        assert rest(source) == (b"two\n", 0)
        assert source.conditions()["stdin"].errors == resets


def test_what_cannot_be_read(tmp_path: Path, pipe: Ends) -> None:
    """A directory, and what is closed."""
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OperationError, match=r"^--stdin: standard input is a directory$"):
        StandardInput(folder).start()
    os.close(folder)
    pipe.close()
    with pytest.raises(OperationError, match=r"^--stdin: cannot read standard input: Bad file descriptor$"):
        StandardInput(pipe.reader).start()


def test_the_end_of_a_pipe_that_cannot_be_read(pipe: Ends, caplog: pytest.LogCaptureFixture) -> None:
    """Only its writing end is there: it is an error, and over."""
    source = started(pipe.writer)
    os.close(pipe.reader)  # so that it is looked at
    assert rest(source) == (b"", 0)
    assert "standard input cannot be read any more: Bad file descriptor" in caplog.text


def test_what_is_in_the_pipe_at_the_services_end(pipe: Ends) -> None:
    """All of it is taken, the line too that was begun; the writer may still be there."""
    source = started(pipe.reader)
    pipe.write(b"one\ntw")
    assert lines(source) == b"one\n"
    data = b"o\n" + b"x" * 99 + b"\n"
    data += data * 9_000
    pipe.write(data + b"begun")
    assert finished(source) == b"tw" + data + b"begun\n"
    pipe.write(b"after\n")
    assert source.read() == []


@pytest.mark.parametrize("size", [LONGEST_LINE * 2, 3 * BLOCK])
def test_what_is_behind_a_line_that_is_too_long_at_the_end(pipe: Ends, size: int) -> None:
    """It is taken as well."""
    source = started(pipe.reader)
    pipe.write(b"x" * size + b"\none\n")
    assert finished(source) == b"one\n"


def test_it_can_be_waited_for_until_it_is_over(pipe: Ends) -> None:
    """Whoever waits for it has to give up the same descriptor that he was given."""
    source = started(pipe.reader)
    assert source.fileno() == pipe.reader
    assert not source.is_behind
    pipe.end()
    rest(source)
    assert source.fileno() == pipe.reader


def test_it_stays_open(pipe: Ends) -> None:
    """It is not this program's to close; nothing of it is kept."""
    source = started(pipe.reader)
    source.stop()
    os.fstat(pipe.reader)
    assert source.kept() == {}
    assert source.names == ("stdin",)
