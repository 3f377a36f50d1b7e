"""What counts of files that are there at the first start, and of those that come later."""

import pytest

from tests.sources.tailing_files import (
    COMPRESSORS,
    Tail,
    age,
    append,
    compress,
    numbered,
    shift,
    truncate_with_copy,
)


def put_old(tail: Tail) -> None:
    """Put a log there with three rotated files, plain and compressed."""
    tail.write(numbered(1), tail.beside(".3"))
    compress(tail.beside(".3"))
    tail.write(numbered(2), tail.beside("-20261119"))
    tail.write(numbered(3), tail.beside(".1"))
    tail.write(numbered(4))
    age(*tail.directory.iterdir(), seconds=600)


@pytest.mark.parametrize("from_beginning", [False, True])
def test_old_files(tail: Tail, *, from_beginning: bool) -> None:
    """Files beside a log that were rotated before the first start never count, whatever becomes of them."""
    put_old(tail)
    tail.start(from_beginning=from_beginning)
    assert tail.counted() == ([4] if from_beginning else [])
    tail.restart()
    assert tail.counted() == []
    tail.beside(".3.gz").rename(tail.beside(".4.gz"))
    compress(tail.beside("-20261119"))
    assert tail.counted() == []
    shift(tail.log, ends=".gz")
    tail.write(numbered(5))
    assert tail.counted() == [5]
    tail.stop()
    shift(tail.log, ends=".gz")
    compress(tail.beside(".2"))
    tail.write(numbered(6))
    tail.again()
    assert tail.counted() == [6]


def test_old_files_that_grow(tail: Tail) -> None:
    """A writer that has not let go of one may add to it: that counts."""
    put_old(tail)
    tail.start()
    assert tail.counted() == []
    tail.write(numbered(10), tail.beside(".1"))
    assert tail.counted() == [10]


@pytest.mark.parametrize("from_beginning", [False, True])
def test_a_pattern_that_names_rotated_files(tail: Tail, *, from_beginning: bool) -> None:
    """From the beginning, plain ones count, once; after that only what is new."""
    put_old(tail)
    tail.start("haproxy.log*", from_beginning=from_beginning)
    assert tail.source.paths() == [str(tail.log)]
    assert sorted(tail.counted()) == ([2, 3, 4] if from_beginning else [])
    for number in range(5, 9):
        shift(tail.log, ends=".gz")
        if number > 6:
            compress(tail.beside(".2"))
        tail.write(numbered(number))
        assert tail.counted() == [number]
        tail.restart()
    assert tail.counted() == []
    assert tail.source.paths() == [str(tail.log)]


def test_a_pattern_that_names_a_rotated_file_alone(tail: Tail) -> None:
    """While the log is not there, it is read for what it is; when the log comes, nothing counts twice."""
    tail.write(numbered(1), tail.beside(".1"))
    tail.start("haproxy.log*", from_beginning=True)
    assert tail.counted() == [1]
    for number in range(2, 6):
        tail.write(numbered(number))
        assert tail.counted() == [number]
        shift(tail.log, ends=".gz")
        if number > 3:
            compress(tail.beside(".3"))
        assert tail.counted() == []
    tail.restart()
    assert tail.counted() == []


@pytest.mark.parametrize("pattern", ["haproxy.log", "haproxy.log*", "*.log"])
def test_the_log_comes_later(tail: Tail, pattern: str) -> None:
    """It is read whole; files that were rotated from it since the start are, too, older ones are not."""
    tail.write(numbered(1), tail.beside(".2"))
    age(tail.beside(".2"))
    tail.start(pattern, from_beginning=False)
    assert tail.counted() == []
    tail.write(numbered(2))
    shift(tail.log)
    tail.write(numbered(3))
    assert tail.counted() == [2, 3]
    tail.restart()
    assert tail.counted() == []


def test_another_log_comes_later(tail: Tail) -> None:
    """With the files that were rotated from it since the start, but not with older ones."""
    tail.start("*.log")
    later = tail.directory / "later.log"
    append(tail.directory / "later.log.2", numbered(1))
    age(tail.directory / "later.log.2")
    append(tail.directory / "later.log.1", numbered(2))
    append(later, numbered(3))
    assert tail.counted() == [2, 3]


def test_a_log_that_came_while_nobody_looked(tail: Tail) -> None:
    """It was not there at the start: all of it counts; but not what it held before the pattern was first followed."""
    tail.write(numbered(1))
    tail.start("*.log")
    tail.stop()
    append(tail.directory / "later.log", numbered(2))
    append(tail.directory / "later.log.1", numbered(3))
    append(tail.directory / "later.log.2", numbered(4))
    age(tail.directory / "later.log.2")
    tail.again()
    assert sorted(tail.counted()) == [2, 3]
    tail.restart()
    assert tail.counted() == []


def test_a_pattern_that_is_new(tail: Tail) -> None:
    """What its files held is left out, though other patterns were followed before."""
    other = tail.directory / "other.log"
    tail.write(numbered(1))
    tail.start()
    append(other, numbered(2))
    append(tail.directory / "other.log.1", numbered(3))
    tail.stop()
    tail.write(numbered(4))
    tail._patterns = [*tail._patterns, str(other)]
    tail.again()
    assert tail.counted() == [4]
    append(other, numbered(5))
    assert tail.counted() == [5]


def test_a_pattern_is_followed_again(tail: Tail) -> None:
    """What is known of its files was kept while it was not followed: it is gone on with there."""
    other = tail.directory / "other.log"
    tail.write(numbered(1))
    append(other, numbered(2))
    tail.follow("haproxy.log", "other.log", from_beginning=True)
    assert sorted(tail.counted()) == [1, 2]
    both = tail._patterns
    tail._patterns = both[:1]
    tail.restart()
    append(other, numbered(3))
    assert tail.counted() == []
    shift(other)
    append(other, numbered(4))
    tail._patterns = both
    tail.restart()
    assert tail.counted() == [3, 4]


def test_first_started_while_it_was_rotated(tail: Tail) -> None:
    """What was rotated is left out like the rest, though it comes to be seen a moment later."""
    put_old(tail)
    shift(tail.log, ends=".gz")
    tail.start()
    assert tail.counted() == []
    tail.write(numbered(5))
    assert tail.counted() == [5]


@pytest.mark.parametrize("end", ["", *COMPRESSORS])
def test_the_first_rotation(tail: Tail, end: str) -> None:
    """Of a log that was followed from its end, what came since is in the rotated file."""
    tail.write(numbered(1, 2))
    tail.start()
    tail.write(numbered(3))
    tail.stop()
    shift(tail.log)
    if end:
        compress(tail.beside(".1"), end)
    tail.write(numbered(4))
    tail.again()
    assert tail.counted() == [3, 4]


def test_the_first_truncation(tail: Tail) -> None:
    """Of a log that was followed from its end, what came since is in the copy."""
    tail.write(numbered(1, 2))
    tail.start()
    tail.write(numbered(3))
    truncate_with_copy(tail.log, tail.beside(".1"))
    tail.write(numbered(4))
    assert tail.counted() == [3, 4]


def test_inode_reuse_of_what_was_there(tail: Tail) -> None:
    """What the log held at the start is left out of that file, not of a later one with its inode."""
    tail.write(numbered(1, 2, 3))
    tail.start()
    tail.write(numbered(4))
    shift(tail.log)
    tail.write(numbered(5))
    assert tail.counted() == [4, 5]
    first = tail.beside(".1").rename(tail.directory / "kept")
    assert tail.counted() == []
    shift(tail.log)
    first.write_bytes(numbered(6, 7))
    first.rename(tail.log)
    assert tail.counted() == [6, 7]
