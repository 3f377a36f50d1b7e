"""Permissions of logs, rotated files and directories that come and go."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.tailing_files import Tail, age, compress, numbered, numbers, shift, truncate_with_copy, unprivileged

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can write what it may not read as another user")


@pytest.fixture
def public() -> Iterator[Tail]:
    """A tail over a directory that every user may look into."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        tail = Tail(directory)
        yield tail
        directory.chmod(0o755)
        tail.source.stop()
        assert not tail.descriptors()


def counted(tail: Tail) -> list[int]:
    """Look as another user until nothing is expected any more."""
    with unprivileged():
        return tail.counted()


def start(tail: Tail, pattern: str = "haproxy.log", *, from_beginning: bool = False) -> None:
    """Start as another user."""
    with unprivileged():
        tail.start(pattern, from_beginning=from_beginning)


def test_a_log_that_cannot_be_read_yet(public: Tail) -> None:
    """What it held at the start is left out, what came since is read once it can be."""
    public.write(numbered(1))
    public.log.chmod(0)
    start(public)
    assert counted(public) == []
    assert public.condition.errors
    public.write(numbered(2))
    public.log.chmod(0o644)
    assert counted(public) == [2]


def test_old_files_beside_a_log_that_cannot_be_read_yet(public: Tail) -> None:
    """They were there at the start as well."""
    public.write(numbered(1), public.beside(".1"))
    age(public.beside(".1"), seconds=100)
    public.write(numbered(2))
    public.log.chmod(0)
    start(public)
    assert counted(public) == []
    public.log.chmod(0o644)
    assert counted(public) == []
    public.write(numbered(3))
    assert counted(public) == [3]


@pytest.mark.parametrize("end", ["", ".gz"])
def test_old_files_that_cannot_be_read_yet(public: Tail, end: str) -> None:
    """Whenever they can be, they were there at the start."""
    public.write(numbered(1), public.beside(".1"))
    rotated = compress(public.beside(".1"), end) if end else public.beside(".1")
    age(rotated, seconds=100)
    rotated.chmod(0)
    public.write(numbered(2))
    start(public)
    assert counted(public) == []
    rotated.chmod(0o644)
    assert counted(public) == []
    rotated.chmod(0)
    with unprivileged():
        public.restart()
    rotated.chmod(0o644)
    assert counted(public) == []


def test_a_log_that_is_read_goes_on(public: Tail) -> None:
    """Who has it open may read on."""
    public.write(numbered(1))
    start(public, from_beginning=True)
    assert counted(public) == [1]
    public.log.chmod(0)
    public.write(numbered(2))
    assert counted(public) == [2]


@pytest.mark.parametrize("seconds", [1, 30])
def test_the_new_log_cannot_be_read_at_first(public: Tail, seconds: int) -> None:
    """As while logrotate has made it and not given it away yet; then it is read whole."""
    public.write(numbered(1))
    start(public, from_beginning=True)
    for number in (2, 4):
        public.write(numbered(number))
        shift(public.log)
        public.write(numbered(number + 1))
        public.log.chmod(0)
        found: list[int] = []
        with unprivileged():
            for _ in range(seconds):
                found += numbers(public.scan())
        assert found == ([1, 2] if number == 2 else [number])
        public.log.chmod(0o644)
        assert counted(public) == [number + 1]


@pytest.mark.parametrize("end", ["", ".gz"])
def test_the_rotated_file_cannot_be_read_for_a_while(public: Tail, end: str) -> None:
    """Its rest is read when it can be, however long that takes; the log is not held up."""
    public.write(numbered(1))
    start(public, from_beginning=True)
    assert counted(public) == [1]
    public.stop()
    public.write(numbered(2))
    shift(public.log)
    rotated = compress(public.beside(".1"), end) if end else public.beside(".1")
    rotated.chmod(0)
    public.write(numbered(3))
    with unprivileged():
        public.again()
    assert counted(public) == [3]
    assert public.condition.errors
    with unprivileged():
        public.restart()
    assert counted(public) == []
    rotated.chmod(0o644)
    assert counted(public) == [2]


def test_a_log_that_cannot_be_read_after_a_restart(public: Tail) -> None:
    """It is gone on with when it can be; what was rotated meanwhile is read, too."""
    public.write(numbered(1))
    start(public, from_beginning=True)
    assert counted(public) == [1]
    public.stop()
    public.write(numbered(2))
    public.log.chmod(0)
    with unprivileged():
        public.again()
    assert counted(public) == []
    shift(public.log)
    public.write(numbered(3))
    public.log.chmod(0)
    assert counted(public) == []
    public.log.chmod(0o644)
    public.beside(".1").chmod(0o644)
    assert counted(public) == [2, 3]


@pytest.mark.parametrize("mode", [0o644, 0o711, 0])
@pytest.mark.parametrize("pattern", ["haproxy.log", "haproxy*.log", "haproxy.log*"])
def test_a_directory_without_permissions(public: Tail, mode: int, pattern: str) -> None:
    """It cannot be looked into, or not be listed: nothing is lost or counted twice when that is over."""
    public.write(numbered(1))
    start(public, pattern, from_beginning=True)
    assert counted(public) == [1]
    found: list[int] = []
    for number in (2, 4):
        public.write(numbered(number))
        public.directory.chmod(mode)
        found += counted(public)
        public.directory.chmod(0o755)
        shift(public.log)
        public.write(numbered(number + 1))
        public.directory.chmod(mode)
        found += counted(public)
        assert public.condition.errors
    public.directory.chmod(0o755)
    assert sorted(found + counted(public)) == [2, 3, 4, 5]
    assert public.condition.errors


def test_a_directory_that_can_never_be_listed(public: Tail) -> None:
    """The log is followed all the same, also after several rotations."""
    public.write(numbered(1))
    public.directory.chmod(0o711)
    start(public, from_beginning=True)
    assert counted(public) == [1]
    for number in range(2, 6):
        shift(public.log)
        public.write(numbered(number))
        assert counted(public) == [number]


def test_old_files_in_a_directory_that_cannot_be_listed_yet(public: Tail) -> None:
    """They were there at the start and never count."""
    public.write(numbered(1), public.beside(".1"))
    public.write(numbered(2))
    age(public.beside(".1"), public.log, seconds=100)
    public.directory.chmod(0o711)
    start(public)
    assert counted(public) == []
    public.directory.chmod(0o755)
    assert counted(public) == []
    public.write(numbered(3))
    assert counted(public) == [3]


def test_a_directory_that_cannot_be_listed_after_a_truncation(public: Tail) -> None:
    """The rest in the copy is read when it can be."""
    public.write(numbered(1))
    start(public, from_beginning=True)
    assert counted(public) == [1]
    public.write(numbered(2))
    truncate_with_copy(public.log, public.beside(".1"))
    public.write(numbered(3, 4))
    public.directory.chmod(0o711)
    assert counted(public) == [3, 4]
    public.directory.chmod(0o755)
    assert counted(public) == [2]
