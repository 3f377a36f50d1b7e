"""Files that cannot be read on: broken, or on a file system that fails for a while."""

import errno
import gzip
import os
import random
from collections.abc import Callable

import pytest

from tests.sources.tailing_files import Tail, age, compress, numbered, numbers, rotate, shift


def _failing(name: str, number: int, paths: Callable[[str], bool]) -> Callable[..., object]:
    """Make a function of os that fails for descriptors of some files."""
    real = getattr(os, name)

    def call(descriptor: int, *arguments: object) -> object:
        if paths(os.readlink(f"/proc/self/fd/{descriptor}")):
            raise OSError(number, os.strerror(number))
        return real(descriptor, *arguments)

    return call


@pytest.mark.parametrize("name", ["pread", "fstat"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_log_that_cannot_be_read_on(
    tail: Tail, name: str, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a file system over a network that is gone for a while: it is named once, counted, and gone on with."""
    tail.write(numbered(1))
    tail.start(from_beginning=True)
    assert tail.counted() == [1]
    tail.write(numbered(2))
    with monkeypatch.context() as patch:
        patch.setattr(os, name, _failing(name, number, lambda path: path == str(tail.log)))
        assert tail.counted() == []
        assert tail.condition.errors > 20
        assert len(tail.descriptors()) <= 1
    assert caplog.text.count(os.strerror(number)) in (1, 2)
    assert tail.counted() == [2]
    tail.restart()
    assert tail.counted() == []


def test_a_log_that_cannot_be_read_on_and_is_rotated(tail: Tail, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is read under its new name."""
    tail.write(numbered(1))
    tail.start(from_beginning=True)
    assert tail.counted() == [1]
    tail.write(numbered(2))
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", _failing("pread", errno.EIO, lambda path: path == str(tail.log)))
        assert tail.counted() == []
        shift(tail.log)
        tail.write(numbered(3))
        assert tail.counted() == [2]
    assert tail.counted() == [3]


def test_an_archive_that_cannot_be_read_on(tail: Tail, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is gone on with when it can be read, and the others are not held up."""
    tail.write(numbered(1))
    tail.start(from_beginning=True)
    assert tail.counted() == [1]
    tail.stop()
    tail.write(numbered(*range(10, 9000)))
    shift(tail.log)
    compress(tail.beside(".1"))
    tail.write(numbered(2))
    tail.again()
    found = tail.take()
    with monkeypatch.context() as patch:

        def fail(*_: object) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        patch.setattr("haproxy_log_exporter.sources.logfile.read_block", fail)
        found += tail.settle()
        tail.restart()
        found += tail.settle()
    tail.restart()
    assert sorted(numbers(found + tail.settle())) == [2, *range(10, 9000)]


def test_no_descriptors_are_left(tail: Tail, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is opened when there are some again; no rotation is missed."""
    tail.write(numbered(1))
    tail.start(from_beginning=True)
    assert tail.counted() == [1]
    tail.write(numbered(2))
    real = os.open

    def refuse(path: str, *arguments: int) -> int:
        if str(path).startswith(str(tail.directory)):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        for number in (3, 4):
            shift(tail.log)
            with tail.log.open("wb") as file:
                file.write(numbered(number))
            assert tail.counted() == ([2] if number == 3 else [])
    assert tail.counted() == [3, 4]


def test_a_broken_archive_among_others(tail: Tail, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once what is wrong; what comes after it is read."""
    tail.write(numbered(1))
    tail.start(from_beginning=True)
    assert tail.counted() == [1]
    tail.stop()
    tail.log.unlink()
    for number in (4, 3, 2):
        path = tail.beside(f".{number}.gz")
        path.write_bytes(gzip.compress(numbered(number)))
        age(path, seconds=number * 100 - 1000)
    tail.beside(".3.gz").write_bytes(tail.beside(".3.gz").read_bytes()[:20])
    tail.again()
    assert sorted(tail.counted()) == [2, 4]
    assert caplog.text.count("haproxy.log.3.gz, trying again") == 1


def test_a_broken_archive(tail: Tail, caplog: pytest.LogCaptureFixture) -> None:
    """What can be read of it is read once, over all restarts, and what is wrong is said; others are not held up."""
    tail.begin()
    tail.stop()
    lines = [random.Random(1).randrange(1 << 60) for _ in range(9000)]
    tail.write(numbered(*lines))
    rotate(tail.log, end=".gz")
    data = tail.beside(".1.gz").read_bytes()
    tail.beside(".1.gz").write_bytes(data[: len(data) * 2 // 3])
    tail.write(numbered(7))
    tail.again()
    found = tail.counted()
    assert "is not whole" in caplog.text
    assert tail.condition.errors == 1, "it is not tried again before it has changed"
    assert found[0] == 2
    assert found[1:-1] == lines[: len(found) - 2]
    assert found[-1] == 7
    for _ in range(2):
        tail.restart()
        assert tail.counted() == []
        os.utime(tail.beside(".1.gz"))
        assert tail.counted() == []
    tail.beside(".1.gz").write_bytes(data)
    assert tail.counted() in ([], lines[len(found) - 2 :])


def test_an_archive_that_cannot_be_read_here(tail: Tail, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is missing; the log is followed, and the archive is read once it can be."""
    tail.begin()
    tail.stop()
    zstandard = pytest.importorskip("zstandard")
    rotate(tail.log)
    content = tail.beside(".1").read_bytes()
    tail.beside(".1").unlink()
    tail.beside(".1.zst").write_bytes(zstandard.ZstdCompressor().compress(content))
    tail.write(numbered(3))
    with monkeypatch.context() as patch:
        patch.setattr("haproxy_log_exporter.sources.compressed._zstd", lambda: None)
        tail.again()
        assert tail.counted() == [3]
        assert tail.condition.errors
    assert tail.counted() == [2]
