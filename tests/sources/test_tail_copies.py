"""Copies of logs that are no rotation: of logrotate with copy, and of people."""

import os
import shutil

import pytest

from tests.sources.tailing_files import (
    ENDS,
    Tail,
    age,
    append,
    compress,
    numbered,
    numbers,
    rotate_by_copy,
    shift,
)


@pytest.fixture(autouse=True)
def _followed(tail: Tail) -> None:
    """Follow a log of three lines, of which two were read."""
    tail.begin()


@ENDS
def test_a_copy_is_no_rotation(tail: Tail, end: str) -> None:
    """With copy alone the log goes on, and no line is counted twice, whatever becomes of log and copies then."""
    found: list[int] = []
    for number in range(3, 9):
        shutil.copyfile(tail.log, tail.beside(f".{number}"))
        if end:
            compress(tail.beside(f".{number}"), end)
        tail.write(numbered(number))
        found += numbers(tail.scan(4))
    assert found + tail.counted() == [*range(2, 9)]
    assert tail.condition.rotations == 0
    tail.restart()
    assert tail.counted() == []
    shift(tail.log)
    tail.write(numbered(20))
    assert tail.counted() == [20]
    os.truncate(tail.log, 0)
    tail.write(numbered(21))
    assert tail.counted() == [21]
    tail.restart()
    assert tail.counted() == []


@ENDS
def test_a_copy_and_then_a_truncation(tail: Tail, end: str) -> None:
    """Older copies of a log that is truncated later are not read."""
    for number in (4, 3):
        shutil.copyfile(tail.log, tail.beside(f".{number}"))
        if end:
            compress(tail.beside(f".{number}"), end)
        age(tail.beside(f".{number}{end}"), seconds=number * 10)
        tail.write(numbered(13 - number))
        tail.settle()
    rotate_by_copy(tail.log, end)
    tail.write(numbered(20))
    assert tail.counted() == [20]


def test_a_copy_of_what_was_rotated(tail: Tail) -> None:
    """A backup of it is not read, whether it was read to its end or not, nor when the original goes."""
    tail.write(numbered(3, 4, 5))
    shift(tail.log)
    tail.write(numbered(6))
    shutil.copy(tail.beside(".1"), tail.beside(".8"))
    assert tail.counted() == [2, 3, 4, 5, 6]
    shutil.copy(tail.beside(".1"), tail.beside(".9"))
    assert tail.counted() == []
    tail.beside(".1").unlink()
    assert tail.counted() == []
    tail.restart()
    tail.beside(".9").unlink()
    assert tail.counted() == []


def test_a_copy_of_what_was_rotated_takes_its_time(tail: Tail) -> None:
    """As with renamecopy: the log is renamed, then copied, and what it was renamed to goes."""
    tail.write(numbered(*range(3, 50)))
    data = tail.log.read_bytes()
    tail.log.rename(tail.beside(".tmp"))
    tail.write(numbered(50))
    found = b""
    for at in range(0, len(data), 700):
        append(tail.beside(".1"), data[at : at + 700])
        found += tail.scan()
    tail.beside(".tmp").unlink()
    assert numbers(found + tail.settle()) == [*range(2, 51)]


def test_a_log_that_is_made_anew_with_the_same_bytes(tail: Tail) -> None:
    """It is another one: what was there before has been counted, and what is there now is counted as well."""
    assert numbers(tail.read()) == [2]
    before = tail.log.read_bytes()
    tail.log.unlink()
    assert numbers(tail.scan()) == []
    tail.write(before + numbered(3))
    assert tail.counted() == [0, 1, 2, 3]
