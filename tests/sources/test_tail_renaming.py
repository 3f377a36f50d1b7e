"""Logs that are renamed when they are rotated, while they are followed."""

import pytest

from tests.sources.tailing_files import (
    COMPRESSORS,
    Tail,
    age,
    append,
    compress,
    numbered,
    numbers,
    shift,
)


@pytest.fixture(autouse=True)
def _followed(tail: Tail) -> None:
    """Follow a log of three lines, of which two were read."""
    tail.begin()


def test_create(tail: Tail) -> None:
    """The old file is read to its end, then the new one."""
    shift(tail.log)
    tail.write(numbered(3))
    assert tail.counted() == [2, 3]
    assert tail.condition.rotations == 1


def test_nocreate(tail: Tail) -> None:
    """The new file may come much later; nothing is said to be rotated before the old one is gone."""
    shift(tail.log)
    assert tail.counted() == [2]
    tail.write(numbered(3))
    assert tail.counted() == [3]
    assert tail.condition.rotations == 1


def test_a_writer_that_does_not_let_go(tail: Tail) -> None:
    """What it writes into the old file is read, though the new one is there already, each line once."""
    with tail.log.open("ab", buffering=0) as writer:
        shift(tail.log)
        tail.write(numbered(10))
        for number in range(3, 9):
            writer.write(numbered(number))
            assert numbers(tail.scan(4)) == ([2, number, 10] if number == 3 else [number])
    assert tail.counted() == []


def test_a_rotated_file_grows_after_it_was_closed(tail: Tail) -> None:
    """What was written to it after all is read, and so is what comes still later."""
    shift(tail.log)
    tail.write(numbered(3))
    assert tail.counted() == [2, 3]
    for number in (4, 5):
        age(tail.directory)
        assert tail.counted() == []
        tail.write(numbered(number), tail.beside(".1"))
        assert tail.counted() == [number]
        assert tail.descriptors() == [str(tail.log)]


def test_several_rotations_between_two_looks(tail: Tail) -> None:
    """Files that came and went unseen are read whole, the oldest first."""
    for number in (3, 4, 5):
        shift(tail.log)
        age(*tail.directory.glob("haproxy.log.*"), seconds=60)
        tail.write(numbered(number))
    assert tail.counted() == [2, 3, 4, 5]


@pytest.mark.parametrize("end", COMPRESSORS)
def test_compression_between_two_looks(tail: Tail, end: str) -> None:
    """The file is open still, and its archive is not read again."""
    shift(tail.log)
    compress(tail.beside(".1"), end)
    tail.write(numbered(3))
    assert tail.counted() == [2, 3]


@pytest.mark.parametrize("end", COMPRESSORS)
@pytest.mark.parametrize("delay", [0, 1])
def test_rotations_and_compression_between_two_looks(tail: Tail, end: str, delay: int) -> None:
    """Archives of what nobody saw are read, that of what is open is not."""
    for number in (3, 4, 5):
        shift(tail.log, ends=end)
        age(*tail.directory.glob("haproxy.log.*"), seconds=60)
        tail.write(numbered(number))
        if tail.beside(f".{1 + delay}").exists():
            compress(tail.beside(f".{1 + delay}"), end)
    assert tail.counted() == [2, 3, 4, 5]


@pytest.mark.parametrize("seconds", [0.5, 1, 4, 11, 30])
@pytest.mark.parametrize("delay", [0, 1])
def test_rotation_after_rotation(tail: Tail, seconds: float, delay: int) -> None:
    """However fast one follows the other, with compression: each line once, in order, and no file stays open."""
    found: list[int] = []
    for number in range(3, 20):
        shift(tail.log, ends=".gz")
        if tail.beside(f".{1 + delay}").exists():
            compress(tail.beside(f".{1 + delay}"))
        tail.write(numbered(number))
        found += numbers(tail.scan(seconds))
    assert found + tail.counted() == [*range(2, 20)]
    assert tail.descriptors() == [str(tail.log)]


def test_compression_goes_on_while_it_is_looked(tail: Tail) -> None:
    """An archive grows beside the file that it is made of, which goes when it is whole."""
    shift(tail.log)
    tail.write(numbered(3))
    rotated, archive = tail.beside(".1"), tail.beside(".1.gz")
    found = tail.settle()
    data = COMPRESSORS[".gz"](rotated.read_bytes())
    archive.touch()
    for at in range(len(data)):
        append(archive, data[at : at + 1])
        found += tail.scan()
    rotated.unlink()
    assert numbers(found + tail.settle()) == [2, 3]
    assert tail.condition.errors == 0


def test_the_archive_is_renamed_later(tail: Tail) -> None:
    """And is known under each of its names, also to one who starts anew."""
    shift(tail.log)
    tail.write(numbered(3))
    assert tail.counted() == [2, 3]
    compress(tail.beside(".1"))
    assert tail.counted() == []
    for number in (1, 2, 3):
        tail.beside(f".{number}.gz").rename(tail.beside(f".{number + 1}.gz"))
        age(tail.beside(f".{number + 1}.gz"), seconds=-60)
        assert tail.counted() == []
        tail.restart()
    assert tail.counted() == []


@pytest.mark.parametrize(
    "name", ["haproxy.log-20261120", "haproxy-20261120.log", "haproxy.log.2026-11-20", "haproxy.1.log", "old", "a.b.c"]
)
def test_names(tail: Tail, name: str) -> None:
    """While it is followed, a file is known whatever it is renamed to."""
    tail.log.rename(tail.directory / name)
    tail.write(numbered(3))
    assert tail.counted() == [2, 3]
    tail.write(numbered(4))
    assert tail.counted() == [4]


def test_another_directory(tail: Tail) -> None:
    """With olddir the file is gone from beside the log, and read to its end all the same."""
    (tail.directory / "old").mkdir()
    rotated = tail.log.rename(tail.directory / "old" / "haproxy.log.1")
    append(rotated, numbered(3))
    tail.write(numbered(4))
    assert numbers(tail.scan()) == [2, 3, 4]
    append(rotated, numbered(5))
    assert tail.counted() == [5]
    compress(rotated)
    tail.write(numbered(6))
    assert tail.counted() == [6]


def test_removed_and_made_anew(tail: Tail) -> None:
    """What was removed is read to its end first."""
    with tail.log.open("ab", buffering=0) as writer:
        tail.log.unlink()
        tail.write(numbered(4))
        writer.write(numbered(3))
        assert numbers(tail.scan()) == [2, 3, 4]
    assert tail.counted() == []
    assert tail.descriptors() == [str(tail.log)]


def test_replaced(tail: Tail) -> None:
    """As by an editor, or `mv`."""
    new = tail.directory / "new"
    append(new, numbered(3))
    new.rename(tail.log)
    assert tail.counted() == [2, 3]


def test_it_gets_its_name_back(tail: Tail) -> None:
    """A file that was renamed by mistake is gone on with."""
    shift(tail.log)
    assert numbers(tail.scan()) == [2]
    tail.beside(".1").rename(tail.log)
    tail.write(numbered(3))
    assert numbers(tail.scan()) == [3]
    shift(tail.log)
    assert tail.counted() == []
    tail.beside(".1").rename(tail.log)
    tail.write(numbered(4))
    assert tail.counted() == [4]


def test_the_last_line_has_no_newline(tail: Tail) -> None:
    """It is a line when nothing more is written for a while, and only then."""
    line = numbered(3)
    tail.write(line[:20])
    with tail.log.open("ab", buffering=0) as writer:
        shift(tail.log)
        tail.write(numbered(4))
        assert numbers(tail.scan()) == [2, 4]
        for octet in (line[20:30], line[30:40]):
            writer.write(octet)
            assert tail.scan(9) == b""
        writer.write(line[40:-1])
        assert tail.scan(9) == b""
    assert numbers(tail.settle()) == [3]
    tail.write(b"\n" + numbered(5), tail.beside(".1"))
    assert tail.settle() == b"\n" + numbered(5)


@pytest.mark.parametrize("end", ["", ".gz"])
def test_nuls_at_the_end(tail: Tail, end: str) -> None:
    """What a crash left behind the last line is no line."""
    tail.write(bytes(200_000))
    shift(tail.log)
    if end:
        tail.stop()
        compress(tail.beside(".1"))
        tail.again()
    tail.write(numbered(3))
    assert tail.counted() == [2, 3]


@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_line_at_the_end_that_is_too_long(tail: Tail, end: str) -> None:
    """It is none, whether its newline came or not."""
    tail.write(b"x" * 200_000)
    shift(tail.log)
    if end:
        tail.stop()
        compress(tail.beside(".1"))
        tail.again()
    tail.write(numbered(3))
    assert tail.counted() == [2, 3]
