"""Logs that are copied when they are rotated: with copytruncate, or with copy alone; and copies that people make."""

import os

import pytest

from tests.sources.tailing_files import (
    COMPRESSORS,
    ENDS,
    Tail,
    append,
    compress,
    numbered,
    numbers,
    rotate_by_copy,
)


@pytest.fixture(autouse=True)
def _followed(tail: Tail) -> None:
    """Follow a log of three lines, of which two were read."""
    tail.begin()


@ENDS
def test_the_rest_is_in_the_copy(tail: Tail, end: str) -> None:
    """What was not read before the log was truncated is read there, and nothing else of it."""
    rotate_by_copy(tail.log, end)
    tail.write(numbered(3))
    assert tail.counted() == [2, 3]
    assert tail.condition.rotations == 1
    assert tail.descriptors() == [str(tail.log)]


@ENDS
def test_all_was_read_before(tail: Tail, end: str) -> None:
    """Nothing of the copy is read then."""
    assert numbers(tail.read()) == [2]
    rotate_by_copy(tail.log, end)
    assert numbers(tail.scan()) == []
    tail.write(numbered(3))
    assert tail.counted() == [3]


@ENDS
@pytest.mark.parametrize("lines", [3, 100])
def test_the_log_has_grown_past_what_was_read(tail: Tail, end: str, lines: int) -> None:
    """It is noticed that it does not hold what was read of it."""
    rotate_by_copy(tail.log, end)
    tail.write(numbered(*range(10, 10 + lines)))
    assert tail.counted() == [2, *range(10, 10 + lines)]


def test_the_log_has_grown_to_the_same_size(tail: Tail) -> None:
    """The directory tells that something was rotated."""
    assert numbers(tail.read()) == [2]
    rotate_by_copy(tail.log)
    tail.write(numbered(3, 4, 5))
    assert tail.counted() == [3, 4, 5]


def test_truncated_without_a_copy(tail: Tail, caplog: pytest.LogCaptureFixture) -> None:
    """What was not read is lost, which is said; what comes then is read."""
    os.truncate(tail.log, 0)
    tail.write(numbered(3))
    assert tail.counted() == [3]
    assert "is gone: what it had behind byte" in caplog.text
    assert len(tail.marks) == 1


@ENDS
def test_a_line_over_both(tail: Tail, end: str) -> None:
    """What was written of a line before and after the truncation is one line."""
    line = numbered(3)
    tail.write(line[:30])
    assert numbers(tail.read()) == [2]
    rotate_by_copy(tail.log, end)
    assert tail.scan() == b""
    assert tail.settle() == b""
    tail.write(line[30:] + numbered(4))
    assert tail.counted() == [3, 4]
    assert tail.descriptors() == [str(tail.log)]
    tail.restart()
    assert tail.counted() == []


@ENDS
def test_a_line_over_both_that_was_not_seen(tail: Tail, end: str) -> None:
    """It is one line, too, where only the copy has its beginning."""
    line = numbered(3)
    tail.write(line[:30])
    rotate_by_copy(tail.log, end)
    tail.write(line[30:] + numbered(4))
    assert tail.counted() == [2, 3, 4]


@ENDS
def test_a_line_over_both_and_a_restart(tail: Tail, end: str) -> None:
    """It is one line for one who starts while it is half written, too."""
    line = numbered(3)
    tail.write(line[:30])
    tail.stop()
    rotate_by_copy(tail.log, end)
    tail.again()
    assert tail.settle() == numbered(2)
    tail.restart()
    tail.write(line[30:] + numbered(4))
    assert tail.counted() == [3, 4]


@ENDS
def test_the_first_line_over_both(tail: Tail, end: str) -> None:
    """Where nothing was read of the log yet, it is known all the same that it was truncated."""
    tail.read()
    rotate_by_copy(tail.log)
    tail.settle()
    line = numbered(3)
    tail.write(line[:30])
    assert tail.scan() == b""
    rotate_by_copy(tail.log, end)
    assert tail.scan() == b""
    tail.write(line[30:] + numbered(4))
    assert tail.counted() == [3, 4]


@ENDS
def test_several_rotations_between_two_looks(tail: Tail, end: str) -> None:
    """Copies that nobody saw being made are read whole, the oldest first."""
    for number in (3, 4, 5):
        rotate_by_copy(tail.log, end)
        tail.write(numbered(number))
    assert tail.counted() == [2, 3, 4, 5]


@ENDS
@pytest.mark.parametrize("seconds", [0.5, 1, 4, 11])
def test_rotation_after_rotation(tail: Tail, end: str, seconds: float) -> None:
    """However fast one follows the other: each line once, in order."""
    found: list[int] = []
    for number in range(3, 20):
        rotate_by_copy(tail.log, end)
        tail.write(numbered(number))
        found += numbers(tail.scan(seconds))
    assert found + tail.counted() == [*range(2, 20)]
    assert tail.descriptors() == [str(tail.log)]


def test_compression_later(tail: Tail) -> None:
    """As with delaycompress: copies that were read are not read again as archives."""
    found: list[int] = []
    for number in range(3, 12):
        rotate_by_copy(tail.log)
        if tail.beside(".2").exists():
            compress(tail.beside(".2")).rename(tail.beside(f"-2026112{number}.gz"))
        tail.write(numbered(number))
        found += numbers(tail.scan(4))
    assert found + tail.counted() == [*range(2, 12)]
    tail.restart()
    assert tail.counted() == []


def test_the_copy_takes_its_time(tail: Tail) -> None:
    """It is not read while it grows, for the log is still there; then it is truncated."""
    tail.write(numbered(*range(3, 50)))
    data = tail.log.read_bytes()
    found = b""
    for at in range(0, len(data), 700):
        append(tail.beside(".1"), data[at : at + 700])
        found += tail.scan()
    assert numbers(found) == [*range(2, 50)]
    os.truncate(tail.log, 0)
    tail.write(numbered(50))
    assert tail.counted() == [50]


def test_what_was_written_while_it_was_copied(tail: Tail) -> None:
    """The copy is compared with what was read by the time of the truncation: what both have is not read twice."""
    tail.write(numbered(*range(3, 20)))
    copy = tail.log.read_bytes()
    tail.beside(".1").write_bytes(copy[:500])
    assert numbers(tail.scan()) == [*range(2, 20)]
    tail.write(numbered(20))
    tail.beside(".1").write_bytes(copy + numbered(20))
    os.truncate(tail.log, 0)
    tail.write(numbered(21))
    assert tail.counted() == [20, 21]


def test_a_writer_that_does_not_append(tail: Tail) -> None:
    """After the truncation it goes on where it was: NULs come before its lines, more with each rotation."""
    tail.stop()
    tail.log.unlink()
    with tail.log.open("wb", buffering=0) as writer:
        tail.again()
        found: list[int] = []
        number = 10
        for _ in range(5):
            for _ in range(40):
                writer.write(numbered(number))
                number += 1
            found += numbers(tail.scan())
            writer.write(numbered(number))
            number += 1
            rotate_by_copy(tail.log)
        writer.write(numbered(number))
        assert tail.log.read_bytes().startswith(b"\0")
        found += tail.counted()
        assert found == [*range(10, number + 1)]
        tail.restart()
        writer.write(numbered(number + 1))
        assert tail.counted() == [number + 1]


@pytest.mark.parametrize("end", COMPRESSORS)
def test_inode_reuse(tail: Tail, end: str) -> None:
    """With delaycompress, the new copy has the inode of the last one, which was compressed just before."""
    found: list[int] = []
    copy = tail.beside(".1")
    for number in range(3, 9):
        if copy.exists():
            tail.beside(f".{20 - number}{end}").write_bytes(COMPRESSORS[end](copy.read_bytes()))
        copy.write_bytes(tail.log.read_bytes())
        os.truncate(tail.log, 0)
        tail.write(numbered(number))
        found += numbers(tail.settle())
    assert found == [*range(2, 9)]
    tail.restart()
    assert tail.counted() == []
