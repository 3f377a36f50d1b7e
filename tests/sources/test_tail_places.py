"""Logs behind symbolic links, and directories that come, go and cannot be listed."""

import os
import shutil
from pathlib import Path

import pytest

from tests.sources.tailing_files import (
    ENDS,
    Tail,
    append,
    compress,
    numbered,
    numbers,
    rotate,
    shift,
    truncate_with_copy,
)


@pytest.fixture
def target(tail: Tail) -> Path:
    """Make the log a link to another file, elsewhere and with another name, of three lines."""
    target = tail.directory / "pods" / "uid" / "0.log"
    target.parent.mkdir(parents=True)
    append(target, numbered(0, 1, 2))
    tail.log.symlink_to(target)
    return target


def test_behind_a_link(tail: Tail, target: Path) -> None:
    """The file that it leads to is read."""
    tail.start(from_beginning=True)
    assert numbers(tail.read()) == [0, 1, 2]
    append(target, numbered(3))
    assert tail.counted() == [3]
    tail.restart()
    append(target, numbered(4))
    assert tail.counted() == [4]


def test_the_link_leads_elsewhere(tail: Tail, target: Path) -> None:
    """What it led to is read to its end, then what it leads to now; and so when it is turned back."""
    tail.start(from_beginning=True)
    other = target.with_name("1.log")
    append(other, numbered(3))
    tail.log.unlink()
    tail.log.symlink_to(other)
    append(target, numbered(4))
    assert tail.counted() == [0, 1, 2, 4, 3]
    append(other, numbered(5))
    assert tail.counted() == [5]
    tail.log.unlink()
    tail.log.symlink_to(target)
    append(target, numbered(6))
    assert tail.counted() == [6]
    tail.restart()
    assert tail.counted() == []


def test_the_link_leads_elsewhere_after_a_restart(tail: Tail, target: Path) -> None:
    """What it led to is read to its end all the same."""
    tail.start(from_beginning=True)
    assert numbers(tail.read()) == [0, 1, 2]
    tail.stop()
    append(target, numbered(3))
    other = target.with_name("1.log")
    append(other, numbered(4))
    tail.log.unlink()
    tail.log.symlink_to(other)
    tail.again()
    assert tail.counted() == [3, 4]


@ENDS
def test_the_link_leads_to_what_was_rotated_elsewhere(tail: Tail, target: Path, end: str) -> None:
    """All that was written there since it leads there is read, though nobody has seen any of it."""
    tail.start(from_beginning=True)
    assert numbers(tail.read()) == [0, 1, 2]
    tail.stop()
    other = target.parent.with_name("other") / target.name
    other.parent.mkdir()
    append(other, numbered(3))
    rotate(other, end=end)
    append(other, numbered(4))
    tail.log.unlink()
    tail.log.symlink_to(other)
    tail.again()
    assert tail.counted() == [3, 4]


@ENDS
def test_the_target_is_rotated(tail: Tail, target: Path, end: str) -> None:
    """Where it is, and under its own name, as kubelet does."""
    tail.start(from_beginning=True)
    for number in range(3, 7):
        rotated = target.rename(target.with_name(f"0.log.20261120-10564{number}"))
        if end:
            compress(rotated, end)
        append(target, numbered(number))
        found = tail.counted()
        assert found == ([0, 1, 2, 3] if number == 3 else [number])
    assert tail.condition.rotations == 4


@ENDS
def test_the_target_is_rotated_while_nobody_looks(tail: Tail, target: Path, end: str) -> None:
    """Twice: both files are found where it is."""
    tail.start(from_beginning=True)
    assert numbers(tail.read()) == [0, 1, 2]
    append(target, numbered(3))
    tail.stop()
    for number in (4, 5):
        rotated = target.rename(target.with_name(f"0.log.20261120-10564{number}"))
        if end:
            compress(rotated, end)
        append(target, numbered(number))
    tail.again()
    assert tail.counted() == [3, 4, 5]
    tail.restart()
    assert tail.counted() == []


@ENDS
def test_the_target_is_truncated(tail: Tail, target: Path, end: str) -> None:
    """The rest is in the copy beside it."""
    tail.start(from_beginning=True)
    assert numbers(tail.read()) == [0, 1, 2]
    append(target, numbered(3))
    truncate_with_copy(target, target.with_name("0.log.1"))
    if end:
        compress(target.with_name("0.log.1"), end)
    append(target, numbered(4))
    assert tail.counted() == [3, 4]


def test_old_files_beside_the_target(tail: Tail, target: Path) -> None:
    """They were there at the first start and never count."""
    append(target.with_name("0.log.20261119-000000"), numbered(10))
    compress(target.with_name("0.log.20261119-000000"))
    append(target.with_name("0.log.1"), numbered(11))
    tail.start(from_beginning=True)
    assert tail.counted() == [0, 1, 2]
    target.rename(target.with_name("0.log.2"))
    append(target, numbered(3))
    assert tail.counted() == [3]
    tail.restart()
    assert tail.counted() == []


def test_the_link_itself_is_renamed(tail: Tail, target: Path) -> None:
    """It is no rotated file of its own."""
    tail.start(from_beginning=True)
    assert numbers(tail.read()) == [0, 1, 2]
    tail.log.rename(tail.beside(".1"))
    tail.write(numbered(3))
    append(target, numbered(4))
    assert tail.counted() == [4, 3]


def test_a_link_that_leads_nowhere(tail: Tail, target: Path) -> None:
    """It is looked where it leads until there is something."""
    content = target.read_bytes()
    target.unlink()
    tail.start()
    assert tail.counted() == []
    assert tail.condition.errors
    target.write_bytes(content)
    assert tail.counted() == [0, 1, 2]


def test_a_link_and_its_target_are_both_named(tail: Tail) -> None:
    """Each line counts once, also when the link leads elsewhere."""
    days = [tail.directory / f"haproxy-2026112{day}.log" for day in range(4)]
    current = tail.directory / "current.log"
    tail.start("*.log", from_beginning=True)
    for number, day in enumerate(days):
        append(day, numbered(number))
        current.unlink(missing_ok=True)
        current.symlink_to(day)
        assert tail.counted() == [number]
        append(day, numbered(number + 10))
        assert tail.counted() == [number + 10]
    tail.restart()
    assert tail.counted() == []


def test_two_links_to_one_file(tail: Tail, target: Path) -> None:
    """It is read once, and gone on with when one of them goes."""
    first, second = tail.directory / "a.log", tail.directory / "b.log"
    first.symlink_to(target)
    second.symlink_to(target)
    tail.start("[ab].log", from_beginning=True)
    assert tail.counted() == [0, 1, 2]
    first.unlink()
    append(target, numbered(3))
    assert tail.counted() == [3]
    append(target, numbered(4))
    assert tail.counted() == [4]
    tail.restart()
    append(target, numbered(5))
    assert tail.counted() == [5]


def test_the_directory_is_a_link_that_leads_elsewhere(tail: Tail) -> None:
    """As with directories of each day: what was in the old one is read to its end, and it may be removed then."""
    current = tail.directory / "current"
    tail._patterns = [str(current / "haproxy.log")]
    number = 0
    for day in range(4):
        directory = tail.directory / f"2026112{day}"
        directory.mkdir()
        append(directory / "haproxy.log", numbered(number))
        if day:
            append(tail.directory / f"2026112{day - 1}" / "haproxy.log", numbered(number + 1))
            current.unlink()
        current.symlink_to(directory)
        if not day:
            tail._make(from_beginning=True, marks={}, since={})
        assert sorted(tail.counted()) == ([number, number + 1] if day else [number])
        number += 2
        if day > 1:
            shutil.rmtree(tail.directory / f"2026112{day - 2}")
            assert tail.counted() == []
    assert len(tail.descriptors()) == 1


def test_a_directory_that_does_not_exist_yet(tail: Tail) -> None:
    """What is in it when it comes is read whole."""
    log = tail.directory / "haproxy" / "haproxy.log"
    tail.start("haproxy/haproxy.log")
    assert tail.counted() == []
    log.parent.mkdir()
    assert tail.counted() == []
    append(log, numbered(1))
    assert tail.counted() == [1]
    shift(log)
    append(log, numbered(2))
    assert tail.counted() == [2]


def test_a_directory_of_a_pattern_that_does_not_exist_yet(tail: Tail) -> None:
    """The same with a pattern."""
    tail.start("*/haproxy*.log")
    assert tail.counted() == []
    for number, name in enumerate(("a", "b")):
        log = tail.directory / name / "haproxy-1.log"
        log.parent.mkdir()
        append(log, numbered(number))
        assert tail.counted() == [number]


def test_a_directory_that_goes_and_comes_back(tail: Tail) -> None:
    """As a file system that is not mounted for a while: nothing in it is read again."""
    log = tail.directory / "mount" / "haproxy.log"
    log.parent.mkdir()
    append(log, numbered(1))
    append(log.with_name("haproxy.log.1"), numbered(2))
    tail.start("mount/haproxy.log", from_beginning=True)
    assert numbers(tail.read()) == [1]
    tail.stop()
    append(log, numbered(3))
    away = log.parent.rename(tail.directory / "away")
    tail.again()
    assert numbers(tail.scan() + tail.scan()) == []
    away.rename(log.parent)
    assert tail.counted() == [3]


def test_an_olddir_that_is_removed(tail: Tail) -> None:
    """Rotation goes on without it."""
    old = tail.directory / "old"
    tail.write(numbered(0))
    tail.start()
    for number in range(1, 9, 2):
        old.mkdir()
        tail.write(numbered(number))
        tail.log.rename(old / "haproxy.log.1")
        tail.write(numbered(number + 1))
        assert tail.counted() == [number, number + 1]
        shutil.rmtree(old)
        assert tail.counted() == []
    tail.restart()
    assert tail.counted() == []


def test_hard_links(tail: Tail) -> None:
    """A second name of a log is no copy of it, and not read twice when it stays behind after the rotation."""
    tail.write(numbered(1))
    tail.start(from_beginning=True)
    assert tail.counted() == [1]
    os.link(tail.log, tail.beside(".1"))
    tail.write(numbered(2))
    assert tail.counted() == [2]
    tail.log.unlink()
    tail.write(numbered(3))
    assert tail.counted() == [3]
    tail.restart()
    assert tail.counted() == []
