"""Logs that are rotated while nobody looks: another source goes on from the marks of the first."""

import os
import random
import shutil

import pytest

from haproxy_log_exporter.marks import Mark
from haproxy_log_exporter.sources.tail import FileSource
from tests.sources.tailing_files import (
    COMPRESSORS,
    Tail,
    age,
    append,
    compress,
    numbered,
    numbers,
    shift,
    truncate_with_copy,
)

ENDS = pytest.mark.parametrize("end", ["", *COMPRESSORS])


@pytest.fixture(autouse=True)
def _stopped(tail: Tail) -> None:
    """Follow a log of three lines, of which two were read, and stop."""
    tail.write(numbered(0, 1))
    tail.start(from_beginning=True)
    assert numbers(tail.read()) == [0, 1]
    tail.write(numbered(2))
    tail.stop()


def rotate(tail: Tail, *, end: str = "", delay: int = 0) -> None:
    """Rename the log and its older files, and compress one; each is older than the next."""
    shift(tail.log, ends=end)
    age(*tail.directory.glob("haproxy.log.*"), seconds=60)
    if end and tail.beside(f".{1 + delay}").exists():
        compress(tail.beside(f".{1 + delay}"), end)


def test_nothing_has_happened(tail: Tail) -> None:
    """It is gone on with where the first one left off; what comes then is read."""
    tail.again()
    assert numbers(tail.read()) == [2]
    tail.write(numbered(3))
    assert tail.counted() == [3]
    tail.restart()
    assert tail.counted() == []


def test_in_the_middle_of_a_line(tail: Tail) -> None:
    """It is read whole by the second one."""
    line = numbered(3)
    tail.write(line[:30])
    tail.again()
    assert numbers(tail.read()) == [2]
    tail.restart()
    tail.write(line[30:])
    assert tail.counted() == [3]


@ENDS
@pytest.mark.parametrize("rotations", [1, 2, 3, 5])
@pytest.mark.parametrize("delay", [0, 1])
def test_rotations(tail: Tail, end: str, rotations: int, delay: int) -> None:
    """All are found, compressed or not, and read in order."""
    for number in range(3, 3 + rotations):
        rotate(tail, end=end, delay=delay)
        tail.write(numbered(number))
    tail.again()
    assert tail.counted() == [*range(2, 3 + rotations)]
    assert tail.descriptors() == [str(tail.log)]
    tail.restart()
    assert tail.counted() == []


@ENDS
def test_the_log_is_not_there_yet(tail: Tail, end: str) -> None:
    """With nocreate, what was rotated is read all the same; the new log later."""
    rotate(tail, end=end)
    tail.again()
    assert tail.counted() == [2]
    tail.restart()
    assert tail.counted() == []
    tail.write(numbered(3))
    assert tail.counted() == [3]


@ENDS
@pytest.mark.parametrize("name", ["haproxy.log-20261120", "haproxy-20261120.log", "haproxy.log.2026-11-20", "haproxy.1.log"])
def test_names(tail: Tail, end: str, name: str) -> None:
    """With dateext, dateformat and extension, and two rotations."""
    first = tail.log.rename(tail.directory / name)
    tail.write(numbered(3))
    second = tail.log.rename(tail.directory / name.replace("20", "21").replace("1.", "2."))
    age(first, seconds=60)
    if end:
        compress(first, end)
        compress(second, end)
    tail.write(numbered(4))
    tail.again()
    assert tail.counted() == [2, 3, 4]


@ENDS
@pytest.mark.parametrize("rotations", [1, 2, 3])
def test_copies_and_truncations(tail: Tail, end: str, rotations: int) -> None:
    """What was not read is in the copies."""
    for number in range(3, 3 + rotations):
        for older in range(9, 0, -1):
            if (path := tail.beside(f".{older}{end}")).exists():
                path.rename(tail.beside(f".{older + 1}{end}"))
        truncate_with_copy(tail.log, tail.beside(".1"))
        if end:
            compress(tail.beside(".1"), end)
        age(*tail.directory.glob("haproxy.log.*"), seconds=60)
        tail.write(numbered(number))
    tail.again()
    assert tail.counted() == [*range(2, 3 + rotations)]
    tail.restart()
    assert tail.counted() == []


@ENDS
def test_a_line_over_a_copy_and_the_log(tail: Tail, end: str) -> None:
    """What was written of a line before and after a truncation that nobody saw is one line."""
    line = numbered(3)
    tail.write(line[:30])
    truncate_with_copy(tail.log, tail.beside(".1"))
    if end:
        compress(tail.beside(".1"), end)
    tail.write(line[30:] + numbered(4))
    tail.again()
    assert tail.counted() == [2, 3, 4]


@ENDS
def test_a_line_over_each_of_several_copies(tail: Tail, end: str) -> None:
    """Each is one line."""
    lines = [numbered(number) for number in range(3, 7)]
    tail.write(lines[0][:30])
    for number, line in enumerate(lines):
        for older in (2, 1):
            if (path := tail.beside(f".{older}{end}")).exists():
                path.rename(tail.beside(f".{older + 1}{end}"))
        truncate_with_copy(tail.log, tail.beside(".1"))
        if end:
            compress(tail.beside(".1"), end)
        age(*tail.directory.glob("haproxy.log.*"), seconds=60)
        tail.write(line[30:])
        if number + 1 < len(lines):
            tail.write(lines[number + 1][:30])
    tail.again()
    assert tail.counted() == [2, 3, 4, 5, 6]


def test_the_last_line_of_what_was_rotated(tail: Tail) -> None:
    """Without its newline it is a line in an archive at once, in a plain file after a while."""
    tail.write(numbered(3)[:-1])
    rotate(tail)
    tail.write(numbered(4))
    tail.again()
    assert tail.counted() == [2, 4, 3]
    tail.write(numbered(5)[:-1])
    tail.stop()
    rotate(tail, end=".gz")
    tail.again()
    assert numbers(tail.read()) == [5]


def test_all_was_read(tail: Tail) -> None:
    """What was rotated then is not read again, nor are files that were read before."""
    tail.again()
    assert tail.counted() == [2]
    for number in range(3, 9):
        tail.stop()
        rotate(tail, end=".gz", delay=1)
        tail.again()
        assert tail.counted() == []
        tail.write(numbered(number))
        assert tail.counted() == [number]


def test_stopped_while_what_was_rotated_is_read(tail: Tail) -> None:
    """It is gone on with, whatever it is called and compressed to meanwhile."""
    more = range(3, 6000)
    tail.write(numbered(*more))
    rotate(tail, end=".gz")
    tail.again()
    found = tail.take()
    for number in range(10_000, 10_003):
        found += tail.take()
        tail.stop()
        tail.write(numbered(number))
        rotate(tail, end=".gz")
        tail.again()
    assert numbers(found + tail.settle()) == [2, *more, *range(10_000, 10_003)]


def test_stopped_at_each_turn(tail: Tail) -> None:
    """However short each source lives, it gets on."""
    for number in range(3, 6):
        tail.write(numbered(*range(number * 10_000, number * 10_000 + 4000)))
        rotate(tail, end=".gz", delay=1)
    tail.write(numbered(9))
    found = b""
    for _ in range(40):
        tail.again()
        found += tail.take()
        tail.stop()
    expected = [2, *(each * 10_000 + line for each in range(3, 6) for line in range(4000)), 9]
    assert numbers(found) == expected
    tail.again()


def test_an_archive_that_grows(tail: Tail) -> None:
    """While the file is compressed that nobody saw being rotated, the plain one is read; the archive never."""
    rotate(tail)
    data = COMPRESSORS[".gz"](tail.beside(".1").read_bytes())
    tail.beside(".1.gz").write_bytes(data[:40])
    tail.write(numbered(3))
    tail.again()
    assert tail.counted() == [2, 3]
    tail.beside(".1.gz").write_bytes(data)
    tail.beside(".1").unlink()
    assert tail.counted() == []
    tail.restart()
    assert tail.counted() == []


@ENDS
def test_inode_reuse(tail: Tail, end: str) -> None:
    """A new file that has the inode of the old one is told by its bytes."""
    rotate(tail)
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
    rotate(tail)
    tail.write(numbered(3))
    assert tail.counted() == [3]
    rotate(tail, end=".gz", delay=1)
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

    rotate(tail)
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
        rotate(tail, end=".gz", delay=1)
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
    rotate(tail)
    tail.log.touch()
    assert tail.counted() == []
    tail.stop()
    tail.write(numbered(3))
    rotate(tail)
    tail.write(numbered(4))
    tail.again()
    assert tail.counted() == [3, 4]
    tail.restart()
    assert tail.counted() == []


def test_a_broken_archive(tail: Tail, caplog: pytest.LogCaptureFixture) -> None:
    """What can be read of it is read once, over all restarts, and what is wrong is said; others are not held up."""
    lines = [random.Random(1).randrange(1 << 60) for _ in range(9000)]
    tail.write(numbered(*lines))
    rotate(tail, end=".gz")
    data = tail.beside(".1.gz").read_bytes()
    tail.beside(".1.gz").write_bytes(data[: len(data) * 2 // 3])
    tail.write(numbered(7))
    tail.again()
    found = tail.counted()
    assert "is not whole" in caplog.text
    assert tail.condition.errors
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
    zstandard = pytest.importorskip("zstandard")
    rotate(tail)
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


def test_files_that_no_pattern_names_any_more(tail: Tail) -> None:
    """What is known of them is kept, for they may be named again."""
    kept = tail.kept[str(tail.log)]
    for pattern in ("other.log", "*.txt"):
        source = FileSource([str(tail.directory / pattern)], from_beginning=False, marks=tail.kept, now=tail.clock)
        source.start()
        assert source.marks()[str(tail.log)] == kept
        source.stop()
    tail.again()
    assert tail.counted() == [2]
