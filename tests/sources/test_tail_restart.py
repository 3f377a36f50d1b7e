"""Logs that are rotated while nobody looks: another source goes on from the marks of the first."""

import pytest

from haproxy_log_exporter.sources.tail import FileSource
from tests.sources.tailing_files import (
    COMPRESSORS,
    ENDS,
    Tail,
    age,
    compress,
    numbered,
    numbers,
    rotate,
    rotate_by_copy,
)


@pytest.fixture(autouse=True)
def _stopped(tail: Tail) -> None:
    """Follow a log of three lines, of which two were read, and stop."""
    tail.begin()
    tail.stop()


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
        rotate(tail.log, end=end, delay=delay)
        tail.write(numbered(number))
    tail.again()
    assert tail.counted() == [*range(2, 3 + rotations)]
    assert tail.descriptors() == [str(tail.log)]
    tail.restart()
    assert tail.counted() == []


@ENDS
def test_the_log_is_not_there_yet(tail: Tail, end: str) -> None:
    """With nocreate, what was rotated is read all the same; the new log later."""
    rotate(tail.log, end=end)
    tail.again()
    assert tail.counted() == [2]
    tail.restart()
    assert tail.counted() == []
    tail.write(numbered(3))
    assert tail.counted() == [3]


@ENDS
@pytest.mark.parametrize(
    "name", ["haproxy.log-20261120", "haproxy-20261120.log", "haproxy.log.2026-11-20", "haproxy.1.log"]
)
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
        rotate_by_copy(tail.log, end)
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
    rotate_by_copy(tail.log, end)
    tail.write(line[30:] + numbered(4))
    tail.again()
    assert tail.counted() == [2, 3, 4]


@ENDS
def test_a_line_over_each_of_several_copies(tail: Tail, end: str) -> None:
    """Each is one line."""
    lines = [numbered(number) for number in range(3, 7)]
    tail.write(lines[0][:30])
    for number, line in enumerate(lines):
        rotate_by_copy(tail.log, end)
        tail.write(line[30:])
        if number + 1 < len(lines):
            tail.write(lines[number + 1][:30])
    tail.again()
    assert tail.counted() == [2, 3, 4, 5, 6]


def test_the_last_line_of_what_was_rotated(tail: Tail) -> None:
    """Without its newline it is a line in an archive at once, in a plain file after a while."""
    tail.write(numbered(3)[:-1])
    rotate(tail.log)
    tail.write(numbered(4))
    tail.again()
    assert tail.counted() == [2, 4, 3]
    tail.write(numbered(5)[:-1])
    tail.stop()
    rotate(tail.log, end=".gz")
    tail.again()
    assert numbers(tail.read()) == [5]


def test_all_was_read(tail: Tail) -> None:
    """What was rotated then is not read again, nor are files that were read before."""
    tail.again()
    assert tail.counted() == [2]
    for number in range(3, 9):
        tail.stop()
        rotate(tail.log, end=".gz", delay=1)
        tail.again()
        assert tail.counted() == []
        tail.write(numbered(number))
        assert tail.counted() == [number]


def test_stopped_while_what_was_rotated_is_read(tail: Tail) -> None:
    """It is gone on with, whatever it is called and compressed to meanwhile."""
    more = range(3, 6000)
    tail.write(numbered(*more))
    rotate(tail.log, end=".gz")
    tail.again()
    found = tail.take()
    for number in range(10_000, 10_003):
        found += tail.take()
        tail.stop()
        tail.write(numbered(number))
        rotate(tail.log, end=".gz")
        tail.again()
    assert numbers(found + tail.settle()) == [2, *more, *range(10_000, 10_003)]


def test_stopped_at_each_turn(tail: Tail) -> None:
    """However short each source lives, it gets on."""
    for number in range(3, 6):
        tail.write(numbered(*range(number * 10_000, number * 10_000 + 4000)))
        rotate(tail.log, end=".gz", delay=1)
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
    rotate(tail.log)
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
