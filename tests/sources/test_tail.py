"""Following files through growth, rotation and truncation."""

import os
from pathlib import Path

import pytest

from haproxy_log_exporter.sources.framing import LONGEST_LINE
from tests.sources.tailing_files import Tail


def test_what_is_there_at_the_start_is_left_out(tail: Tail) -> None:
    """From the end: lines that are whole are not read, one that is being written is read whole."""
    tail.write(b"old\nolder\nbeg")
    tail.start()
    tail.write(b"un\nnew\n")
    assert tail.read() == b"begun\nnew\n"


def test_from_the_beginning(tail: Tail) -> None:
    """From the beginning all is read."""
    tail.write(b"old\n")
    tail.start(from_beginning=True)
    assert tail.read() == b"old\n"


def test_a_line_completed_later(tail: Tail) -> None:
    """A line comes once it is whole, and comes once."""
    tail.write(b"")
    tail.start()
    for piece in (b"a", b"b", b"", b"c"):
        tail.write(piece)
        assert tail.read() == b""
    tail.write(b"\nd")
    assert tail.read() == b"abc\n"
    tail.write(b"\n")
    assert tail.read() == b"d\n"


def test_files_that_appear_later_are_read_whole(tail: Tail) -> None:
    """A new file that matches is found by the next scan."""
    tail.start("haproxy*.log")
    assert tail.read() == b""
    tail.write(b"one\n", tail.directory / "haproxy-a.log")
    tail.write(b"two\n", tail.directory / "haproxy-b.log")
    tail.write(b"other\n", tail.directory / "nginx.log")
    assert sorted(tail.scan().split()) == [b"one", b"two"]


def test_renaming(tail: Tail) -> None:
    """The old file is read to its end, though its writer goes on for a while, and so is its successor."""
    before = len(os.listdir("/proc/self/fd")) + 1
    tail.write(b"")
    tail.start()
    with tail.log.open("ab", buffering=0) as writer:
        writer.write(b"one\n")
        rotated = tail.log.rename(tail.directory / "haproxy.log.1")
        writer.write(b"two\n")
        assert tail.read() == b"one\ntwo\n"
        tail.write(b"three\n")
        writer.write(b"four\n")
        assert sorted(tail.scan().split()) == [b"four", b"three"]
        assert tail.condition.rotations == 1
        for _ in range(5):
            tail.scan(4)
            writer.write(b"late\n")
            assert tail.read() == b"late\n"
    tail.write(b"last words", rotated)
    assert tail.scan(4) == b""
    assert tail.scan(11) == b"last words\n"
    assert len(os.listdir("/proc/self/fd")) == before


def test_renaming_within_the_pattern(tail: Tail) -> None:
    """A file that is renamed to another name that matches is not read again."""
    tail.write(b"one\n")
    tail.start("haproxy.log*", from_beginning=True)
    assert tail.read() == b"one\n"
    tail.log.rename(tail.directory / "haproxy.log.1")
    tail.write(b"two\n")
    assert tail.scan() == b"two\n"
    assert tail.condition.rotations == 1


def test_compressed_siblings_are_not_followed(tail: Tail) -> None:
    """A pattern that also matches what logrotate compressed does not read garbage."""
    tail.write(b"\x1f\x8b\n", tail.directory / "haproxy.log.2.gz")
    tail.start("haproxy.log*", from_beginning=True)
    assert tail.read() == b""


def test_copytruncate(tail: Tail) -> None:
    """A truncated file is read from its beginning."""
    tail.write(b"")
    tail.start()
    tail.write(b"one\ntwo\n")
    assert tail.read() == b"one\ntwo\n"
    os.truncate(tail.log, 0)
    assert tail.read() == b""
    tail.write(b"new\n")
    assert tail.read() == b"new\n"
    assert tail.condition.rotations == 1


def test_overlong_lines_are_counted_and_not_kept(tail: Tail) -> None:
    """A line beyond the limit is reported once however it arrives, and the next one is whole."""
    tail.write(b"")
    tail.start()
    overlong = 0
    for piece in (b"x" * LONGEST_LINE, b"x" * LONGEST_LINE, b"x" * 5 * LONGEST_LINE, b"\nnext\n"):
        tail.write(piece)
        found = tail.source.read()
        overlong += sum(chunk.overlong for chunk in found)
    assert overlong == 1
    assert b"".join(chunk.lines for chunk in found) + tail.read() == b"next\n"


def test_what_cannot_be_read_is_named_once_counted_and_retried(tail: Tail, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is not there is looked for at each scan while the others go on."""
    tail.start()
    tail.scan()
    tail.scan()
    assert tail.condition.errors == 3
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"cannot read {tail.log}, trying again every second: No such file or directory"
    ]
    tail.write(b"there\n")
    assert tail.scan() == b"there\n"
    assert tail.condition.errors == 3


def test_a_directory_is_no_log(tail: Tail, caplog: pytest.LogCaptureFixture) -> None:
    """What is no regular file is named, and not opened."""
    tail.log.mkdir()
    tail.start()
    assert "is not a regular file" in caplog.text


def test_position_and_size(tail: Tail) -> None:
    """They tell how far behind the source is."""
    tail.write(b"one\n")
    tail.start(from_beginning=True)
    assert (tail.condition.position_bytes, tail.condition.size_bytes) == (0, 4)
    tail.write(b"tw")
    tail.read()
    assert (tail.condition.position_bytes, tail.condition.size_bytes) == (4, 6)


def test_files_take_turns(tail: Tail) -> None:
    """A long file does not keep the others waiting."""
    for name in ("a", "b"):
        tail.write((name.encode() * 99 + b"\n") * 10_000, tail.directory / f"haproxy-{name}.log")
    tail.start("haproxy-*.log", from_beginning=True)
    assert {tail.take()[:1] for _ in range(2)} == {b"a", b"b"}


def test_overlapping_patterns_read_a_file_once(tail: Tail) -> None:
    """The first pattern that names a file has it."""
    tail.write(b"one\n")
    tail.follow("haproxy.log", "*.log", from_beginning=True)
    assert [(chunk.source, chunk.lines) for chunk in tail.source.read()] == [(str(tail.log), b"one\n")]


def test_a_rotated_file_is_not_closed_before_it_is_read(tail: Tail) -> None:
    """However long nobody looked."""
    tail.write(b"")
    tail.start()
    rotated = tail.log.rename(tail.directory / "haproxy.log.1")
    tail.scan()
    lines = b"line of a writer that went on\n" * 20_000
    tail.write(lines, rotated)
    assert tail.scan(60) + tail.scan() + tail.scan() == lines


def test_many_files_are_read_in_one_turn(tail: Tail) -> None:
    """A line in each of many files does not take a turn each."""
    for number in range(300):
        tail.write(b"%d\n" % number, tail.directory / f"haproxy-{number}.log")
    tail.start("haproxy-*.log", from_beginning=True)
    assert sorted(map(int, tail.take().split())) == [*range(300)]


def test_a_name_that_is_not_utf_8_can_be_shown(tail: Tail) -> None:
    """The file is read, and its name is text."""
    path = os.fsdecode(os.fsencode(tail.directory) + b"/\xff.log")
    tail.write(b"one\n", Path(path))
    tail.start("\udcff.log", from_beginning=True)
    assert tail.source.names[0].endswith("/\ufffd.log")
    assert tail.read() == b"one\n"


def test_a_file_that_is_done_is_not_read_again_by_another_pattern(tail: Tail) -> None:
    """After its rotation too, one of two overlapping patterns has read it."""
    tail.write(b"one\ntwo\n")
    tail.follow("haproxy.log", "haproxy.log*", from_beginning=True)
    found = tail.read().split()
    tail.log.rename(tail.directory / "haproxy.log.1")
    tail.write(b"three\n")
    for _ in range(10):
        found += tail.scan(4).split()
    assert sorted(found) == [b"one", b"three", b"two"]
