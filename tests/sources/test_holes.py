"""NULs that truncation under an open writer leaves in plain files: holes, and others."""

import os
import time
from pathlib import Path

import pytest

from haproxy_log_exporter.sources.logfile import (
    find_progress,
    read_beginning,
    taken_up_to,
)
from haproxy_log_exporter.sources.progress import HEAD, TAIL
from tests.sources.opening import descriptor_of, opened, read_all
from tests.sources.tailing_files import append, numbered, numbers


def write_behind_hole(path: Path, position: int, data: bytes) -> None:
    """Write as one does who does not append, to a file that was truncated meanwhile."""
    with path.open("r+b") as writer:
        writer.seek(position)
        writer.write(data)


def test_a_hole_before_all_lines(log: Path) -> None:
    """NULs that a truncation left are gone past at once, however many; the file is known by what is behind them."""
    hole = 1 << 31
    os.truncate(log, 0)
    write_behind_hole(log, hole, numbered(*range(10)))
    with opened(log) as file:
        began = time.process_time()
        assert numbers(file.read().chunk) == [*range(10)]
        assert time.process_time() - began < 1
        progress = file.progress
        assert progress.head == numbered(*range(10))[:HEAD]
    assert (progress.origin, progress.position) == (hole, log.stat().st_size)
    with descriptor_of(log) as descriptor:
        assert find_progress(descriptor, progress.mark("", (0, 0))) == progress


@pytest.mark.parametrize("taken", [1, 10, 100])
def test_a_hole_behind_lines(log: Path, taken: int) -> None:
    """It is gone past at once too, and the file is known again afterwards, however much stood before it."""
    hole = 1 << 31
    log.write_bytes(numbered(*range(taken)))
    with opened(log) as file:
        assert numbers(file.read().chunk) == [*range(taken)]
        write_behind_hole(log, hole, numbered(200))
        began = time.process_time()
        assert numbers(file.read().chunk) == [200]
        assert time.process_time() - began < 1
        mark = file.progress.mark("", (0, 0))
    with descriptor_of(log) as descriptor:
        assert find_progress(descriptor, mark)


def test_nuls_that_are_no_hole(log: Path) -> None:
    """They are read, some megabytes at a time, and no line comes of them."""
    append(log, bytes(10_000_000) + numbered(10) + bytes(100) + numbered(11))
    found = b""
    with opened(log) as file:
        for _ in range(10):
            found += file.read().chunk
        assert numbers(found) == [*range(12)]
        assert file.rest() == b""


def test_where_data_begins_cannot_be_told(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that does not know, NULs are read one by one."""

    def refuse(*_: int) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("haproxy_log_exporter.sources.logfile.os.lseek", refuse)
    write_behind_hole(log, 3_000_000, numbered(10))
    with opened(log) as file:
        assert numbers(read_all(file)) == [*range(11)]


def test_nuls_without_a_line_behind_them(log: Path) -> None:
    """They are no rest that could become a line."""
    append(log, bytes(500))
    with opened(log) as file:
        assert numbers(read_all(file)) == [*range(10)]
        assert read_all(file) == b""
        assert (file.rest() or b"").strip(b"\0") == b""
        append(log, numbered(10))
        assert numbers(read_all(file)) == [10]


@pytest.mark.parametrize("nuls", [1, TAIL, 1 << 31])
def test_up_to_a_position_behind_nuls(log: Path, nuls: int) -> None:
    """The head is what stands behind them; they are not read where they are a hole."""
    os.truncate(log, 0)
    write_behind_hole(log, nuls, numbered(*range(10)))
    size = log.stat().st_size
    began = time.process_time()
    with opened(log) as file, descriptor_of(log) as descriptor:
        found = taken_up_to(descriptor, size)
        read_all(file)
        assert found == file.progress
        within = taken_up_to(descriptor, nuls)
    assert time.process_time() - began < 1
    assert (within.origin, within.position, within.head) == (nuls, nuls, b"")


def test_the_beginning_behind_a_hole(log: Path) -> None:
    """It is found at once, for it is asked for each time that something was rotated."""
    os.truncate(log, 0)
    write_behind_hole(log, 1 << 31, numbered(*range(20)))
    began = time.process_time()
    with descriptor_of(log) as descriptor:
        assert read_beginning(descriptor) == numbered(*range(20))[:HEAD]
    assert time.process_time() - began < 1


def test_nuls_that_are_still_to_come(log: Path) -> None:
    """As on a network file system, where a file may be seen to have grown before what was written is there."""
    size = log.stat().st_size
    os.truncate(log, size + 200)
    with opened(log) as file:
        assert numbers(read_all(file)) == [*range(10)]
        write_behind_hole(log, size, numbered(10, 11, 12))
        assert numbers(read_all(file)) == [10, 11, 12]
