"""What is known of files while they are followed, for how long, and when it is looked for others."""

import os
from pathlib import Path

import pytest

from haproxy_log_exporter.sources.logfile import open_descriptor
from tests.sources.tailing_files import (
    Tail,
    age,
    numbered,
    numbers,
    shift,
)


@pytest.fixture(autouse=True)
def _followed(tail: Tail) -> None:
    """Follow a log of three lines, of which two were read."""
    tail.begin()


def test_what_is_known_while_it_is_read(tail: Tail) -> None:
    """The files under their names of now, and how far each is read: who is stopped then loses nothing."""
    shift(tail.log)
    tail.write(numbered(3))
    assert numbers(tail.scan()) == [2, 3]
    rotated, log = tail.marks
    assert (rotated.path, rotated.position, rotated.done) == (str(tail.beside(".1")), len(numbered(0, 1, 2)), False)
    assert (log.path, log.position, log.done) == (str(tail.log), len(numbered(3)), False)


def test_marks_are_forgotten_with_their_files(tail: Tail, caplog: pytest.LogCaptureFixture) -> None:
    """However often a log is rotated, what is known of it is bounded by what is there, and that is no news."""
    found = []
    for number in range(3, 33):
        shift(tail.log)
        tail.beside(".4").unlink(missing_ok=True)
        tail.write(numbered(number))
        found += numbers(tail.scan(4))
    found += tail.counted()
    assert found == [*range(2, 33)]
    assert [os.path.basename(mark.path) for mark in tail.marks] == [
        "haproxy.log.3",
        "haproxy.log.2",
        "haproxy.log.1",
        "haproxy.log",
    ]
    assert tail.condition.rotations == 30
    assert "is gone" not in caplog.text


def test_marks_are_forgotten_in_a_quiet_directory(tail: Tail) -> None:
    """Where nothing changes any more after a file is gone, it is forgotten all the same."""
    shift(tail.log)
    assert tail.counted() == [2]
    tail.beside(".1").unlink()
    age(tail.directory)
    tail.scan()
    assert len(tail.marks) == 1
    assert tail.counted() == []
    assert not tail.source.marks()[str(tail.log)]


@pytest.mark.parametrize("times", [1, 2, 5])
def test_renamed_while_it_is_looked(tail: Tail, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its listing and its opening a file may get another name, and another file its name."""
    tail.stop()
    for number in (3, 4, 5):
        shift(tail.log)
        age(*tail.directory.glob("haproxy.log.*"), seconds=60)
        tail.write(numbered(number))
    left = [numbered(number) for number in range(10, 10 + times)]

    def open_late(path: str) -> int:
        if path == str(tail.beside(".2")) and left:
            shift(tail.log)
            age(*tail.directory.glob("haproxy.log.*"), seconds=60)
            tail.write(left.pop(0))
        return open_descriptor(path)

    monkeypatch.setattr("haproxy_log_exporter.sources.generations.open_descriptor", open_late)
    tail.again()
    assert sorted(tail.counted()) == [2, 3, 4, 5, *range(10, 10 + times - len(left))]
    assert len(left) < times
    assert tail.descriptors() == [str(tail.log)]


def test_a_quiet_directory_is_not_listed(tail: Tail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing has changed nothing is looked for; a change is noticed."""
    assert tail.counted() == [2]
    age(tail.directory)
    assert tail.counted() == []
    listed: list[str] = []
    real = os.scandir

    def scan(directory: str) -> object:
        listed.append(directory)
        return real(directory)

    monkeypatch.setattr("haproxy_log_exporter.sources.siblings.os.scandir", scan)
    tail.write(numbered(3))
    assert tail.counted() == [3]
    assert not listed
    shift(tail.log)
    age(tail.directory, seconds=100)
    tail.write(numbered(4), Path(tail.beside(".1")))
    assert tail.counted() == [4]
    assert listed
