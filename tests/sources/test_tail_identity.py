"""How files are known again after a restart: inodes, devices and bytes that are the same, or not."""

import shutil

import pytest

from haproxy_log_exporter.marks import Mark
from tests.sources.tailing_files import (
    ENDS,
    Tail,
    append,
    compress,
    numbered,
    rotate,
)


@pytest.fixture(autouse=True)
def _stopped(tail: Tail) -> None:
    """Follow a log of three lines, of which two were read, and stop."""
    tail.begin()
    tail.stop()


@ENDS
def test_inode_reuse(tail: Tail, end: str) -> None:
    """A new file that has the inode of the old one is told by its bytes."""
    rotate(tail.log)
    shutil.copy2(tail.beside(".1"), tail.beside(".2"))  # the old content under an inode of its own
    reused = tail.beside(".1").rename(tail.log)
    tail.beside(".2").rename(tail.beside(".1"))
    reused.write_bytes(numbered(10))
    if end:
        compress(tail.beside(".1"), end)
    tail.again()
    assert tail.log.stat().st_ino == next(mark.inode for mark in tail.kept[str(tail.log)] if not mark.done)
    assert tail.counted() == [2, 10]


def test_inode_reuse_by_another_archive(tail: Tail) -> None:
    """Inodes of archives may be those of files that were read before."""
    tail.again()
    assert tail.counted() == [2]
    rotate(tail.log)
    tail.write(numbered(3))
    assert tail.counted() == [3]
    rotate(tail.log, end=".gz", delay=1)
    tail.write(numbered(4))
    assert tail.counted() == [4]
    tail.stop()
    archive = tail.beside(".2.gz").read_bytes()
    inodes = {mark.inode for mark in tail.kept[str(tail.log)]}
    tail.beside(".1").write_bytes(b"")
    tail.beside(".1").rename(tail.beside(".2.gz"))
    tail.beside(".2.gz").write_bytes(archive)
    assert tail.beside(".2.gz").stat().st_ino in inodes
    tail.again()
    assert tail.counted() == []


def test_the_device_has_another_number(tail: Tail) -> None:
    """As after a restart of the machine."""

    def change(mark: Mark) -> Mark:
        return mark._replace(device=mark.device + 1)

    rotate(tail.log)
    tail.write(numbered(3))
    tail.again(change)
    assert tail.counted() == [2, 3]
    tail.stop()
    tail.write(numbered(4))
    tail.again(change)
    assert tail.counted() == [4]


def test_all_was_copied_elsewhere(tail: Tail) -> None:
    """As by a restored backup or a new disk: no inode is the same, the bytes are."""
    tail.again()
    tail.settle()
    for number in (3, 4, 5):
        rotate(tail.log, end=".gz", delay=1)
        tail.write(numbered(number))
        assert tail.counted() == [number]
    tail.stop()
    tail.write(numbered(6))
    for path in [*tail.directory.iterdir()]:
        copy = path.with_name("new")
        shutil.copy2(path, copy)
        copy.rename(path)
    tail.again(lambda mark: mark._replace(inode=mark.inode + 1_000_000))
    assert tail.counted() == [6]
    tail.restart()
    assert tail.counted() == []


def test_the_log_was_replaced(tail: Tail) -> None:
    """One that holds what was read of the other is the other; what was added is read."""
    content = tail.log.read_bytes()
    new = tail.directory / "new"
    append(new, content + numbered(3))
    new.rename(tail.log)
    tail.again()
    assert tail.counted() == [2, 3]


def test_the_log_was_removed_and_made_anew(tail: Tail, caplog: pytest.LogCaptureFixture) -> None:
    """What it had is lost, which is said; what is there now is read."""
    tail.log.unlink()
    tail.write(numbered(*range(10, 20)))
    tail.again()
    assert tail.counted() == [*range(10, 20)]
    assert f"{tail.log} is gone: what it had behind byte" in caplog.text


def test_an_empty_log_was_rotated(tail: Tail) -> None:
    """It is known by its inode alone, and what came into it is read, once."""
    tail.again()
    assert tail.counted() == [2]
    rotate(tail.log)
    tail.log.touch()
    assert tail.counted() == []
    tail.stop()
    tail.write(numbered(3))
    rotate(tail.log)
    tail.write(numbered(4))
    tail.again()
    assert tail.counted() == [3, 4]
    tail.restart()
    assert tail.counted() == []
