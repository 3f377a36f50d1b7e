"""Reading a plain file that grows, is truncated, and has holes."""

import os
from pathlib import Path

import pytest

from haproxy_log_exporter.marks import Mark
from haproxy_log_exporter.sources.framing import BLOCK, LONGEST_LINE, NO_LINES
from haproxy_log_exporter.sources.logfile import (
    ChangedError,
    find_progress,
    read_beginning,
    start_at,
    taken_up_to,
)
from haproxy_log_exporter.sources.progress import HEAD, Progress
from tests.sources.opening import descriptor_of, opened, read_all
from tests.sources.tailing_files import COMPRESSORS, append, numbered, numbers


def mark_of(path: Path, position: int) -> Mark:
    """Mark a file as taken up to a position."""
    with descriptor_of(path) as descriptor:
        return taken_up_to(descriptor, position).mark(str(path), (1, 2))


def test_growth(log: Path) -> None:
    """Lines come once, when they are whole, and the file tells how much of it was taken."""
    with opened(log) as file:
        assert numbers(read_all(file)) == [*range(10)]
        assert file.read() == NO_LINES
        line = numbered(10)
        append(log, line[:20])
        assert read_all(file) == b""
        assert (file.taken, file.size, file.rest()) == (len(numbered(*range(10))), file.taken + 20, line[:20])
        append(log, line[20:])
        assert file.rest() is None, "there is more than was read"
        assert read_all(file) == line
        assert (file.taken, file.rest()) == (file.size, b"")


def test_a_large_file_comes_in_blocks(log: Path) -> None:
    """Whatever the lines' lengths are, each is whole."""
    more = b"".join(numbered(number, size=number * 17 % 4000) for number in range(10, 1000))
    append(log, more)
    with opened(log) as file:
        assert numbers(read_all(file)) == [*range(1000)]


def test_a_file_that_has_shrunk(log: Path) -> None:
    """It says so as long as it is shorter than what was seen of it, and is read from its beginning then."""
    with opened(log) as file:
        append(log, b"begun")
        read_all(file)
        os.truncate(log, file.size - 1)
        assert file.is_truncated()
        with pytest.raises(ChangedError):
            file.read()
        os.truncate(log, 0)
        append(log, numbered(10))
        with pytest.raises(ChangedError):
            file.read()
        file.restart()
        assert not file.is_truncated()
        assert numbers(read_all(file)) == [10]


@pytest.mark.parametrize("lines", [11, 100])
def test_a_file_that_has_grown_past_what_was_taken(log: Path, lines: int) -> None:
    """It was truncated and is longer again: it does not hold what was taken last."""
    with opened(log) as file:
        read_all(file)
        log.write_bytes(numbered(*range(50, 50 + lines)))
        assert file.is_truncated()
        with pytest.raises(ChangedError):
            file.read()
        file.restart()
        assert numbers(read_all(file)) == [*range(50, 50 + lines)]


def test_a_file_that_has_grown_to_the_same_size(log: Path) -> None:
    """Whoever asks is told so; and a reader learns of it with the next line."""
    with opened(log) as file:
        read_all(file)
        log.write_bytes(numbered(*range(9, -1, -1)))
        assert file.size == log.stat().st_size
        assert file.is_truncated()
        append(log, numbered(10))
        with pytest.raises(ChangedError):
            file.read()


def test_a_line_that_is_too_long(log: Path) -> None:
    """It is counted once, while it is written, and its rest is no rest."""
    with opened(log) as file:
        read_all(file)
        overlong = 0
        for piece in (b"x" * LONGEST_LINE, b"x" * 2 * BLOCK, b"x"):
            append(log, piece)
            overlong += file.read().overlong
            overlong += file.read().overlong
        assert (overlong, file.rest(), file.taken) == (1, b"", file.size)
        append(log, b"\n" + numbered(10))
        assert numbers(read_all(file)) == [10]


def test_the_beginning_of_a_file(log: Path) -> None:
    """It is told before anything is taken and afterwards, without NULs."""
    lines = log.read_bytes()
    log.write_bytes(bytes(700) + lines)
    with opened(log) as file:
        before = file.beginning()
        assert lines.startswith(before)
        assert before
        read_all(file)
        assert file.beginning() == lines[:HEAD]


def test_up_to_a_position(log: Path) -> None:
    """What is taken is known by the bytes there, as if it had been read."""
    size = log.stat().st_size
    with opened(log) as file, descriptor_of(log) as descriptor:
        read_all(file)
        assert taken_up_to(descriptor, size) == file.progress
        assert taken_up_to(descriptor, 0) == Progress()
        short = taken_up_to(descriptor, 100)
    assert (short.position, short.head) == (100, log.read_bytes()[:100])
    assert len(short.tail) == 100


def test_what_a_file_held_is_left_out(log: Path) -> None:
    """But for a line that was being written then."""
    held = log.stat().st_size
    for begun in (0, 1, 80):
        with descriptor_of(log) as descriptor:
            assert start_at(descriptor, held + begun).position == held
        os.truncate(log, held)
        append(log, numbered(10)[: begun + 1])
    with descriptor_of(log) as descriptor:
        assert start_at(descriptor, 0).position == 0
        assert start_at(descriptor, 1 << 30).position == held, "it is shorter by now"


def test_a_long_line_that_was_being_written_is_no_line(log: Path) -> None:
    """Where it began cannot be told, so it counts as what it is: too long."""
    append(log, b"x" * 3 * LONGEST_LINE)
    with descriptor_of(log) as descriptor:
        progress = start_at(descriptor, log.stat().st_size)
    append(log, b"xx\n" + numbered(10))
    with opened(log, progress) as file:
        lines = file.read()
    assert lines.overlong == 1
    assert numbers(lines.chunk) == [10]


@pytest.mark.parametrize("position", [0, 3, 10])
def test_a_file_that_is_known(log: Path, position: int) -> None:
    """It is gone on with where the mark says, with all that is known of it."""
    mark = mark_of(log, len(numbered(*range(position))))._replace(skipping=True, continued=True)
    append(log, numbered(10))
    with descriptor_of(log) as descriptor:
        progress = find_progress(descriptor, mark)
    assert progress
    assert (progress.skipping, progress.continued) == (True, True)
    progress.skipping = False
    with opened(log, progress) as file:
        assert numbers(read_all(file)) == [*range(position, 11)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        numbered(*range(9)),
        numbered(*range(9), 8),
        numbered(1, *range(1, 10)),
        bytes(1) + numbered(*range(10)),
        numbered(*range(10))[:-1] + b"x",
    ],
    ids=["empty", "shorter", "another end", "another beginning", "moved", "another byte"],
)
def test_a_file_that_is_another_one(log: Path, content: bytes) -> None:
    """It does not fit the mark: it is shorter, or the bytes are not those."""
    mark = mark_of(log, log.stat().st_size)
    log.write_bytes(content)
    with descriptor_of(log) as descriptor:
        assert find_progress(descriptor, mark) is None


def test_the_beginning_of_what_is_compressed(log: Path) -> None:
    """It is that of what was compressed, whatever the file is called."""
    for content in (numbered(*range(20)), numbered(1), b""):
        for compress in COMPRESSORS.values():
            log.write_bytes(compress(bytes(1_000_000) + content))
            with descriptor_of(log) as descriptor:
                assert read_beginning(descriptor) == content[:HEAD]
