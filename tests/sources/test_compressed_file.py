"""Reading a log that was compressed when it was rotated, from its beginning or from where the plain file was left."""

import gzip
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from haproxy_log_exporter.marks import Mark
from haproxy_log_exporter.sources.framing import BLOCK, LONGEST_LINE
from haproxy_log_exporter.sources.logfile import ChangedError, CompressedFile, open_descriptor
from haproxy_log_exporter.sources.progress import HEAD, Progress
from tests.sources.tailing_files import COMPRESSORS, numbered, numbers, open_below

LINES = 9000  # more than one block of them


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Path]:
    """Name a compressed log; nothing is left open."""
    yield tmp_path / "haproxy.log.2.gz"
    assert not open_below(tmp_path)


@contextmanager
def opened(path: Path, mark: Mark | None = None) -> Iterator[CompressedFile]:
    """Open a file for a while."""
    descriptor = open_descriptor(str(path))
    try:
        file = CompressedFile(str(path), descriptor, mark)
    except OSError:
        os.close(descriptor)
        raise
    try:
        yield file
    finally:
        file.close()


def read_all(file: CompressedFile) -> bytes:
    """Read up to the end."""
    found = b""
    while file.rest() is None:
        lines = file.read()
        assert len(lines.chunk) <= BLOCK + LONGEST_LINE
        assert not lines.overlong
        found += lines.chunk
    return found


def take(content: bytes, size: int) -> Progress:
    """Take the whole lines of the first bytes of a file."""
    progress = Progress()
    before = -1
    while progress.position > before:
        before, known = progress.position, len(progress.tail)
        progress.advance(content[before - known : min(size, before + BLOCK)], known)
    return progress


def mark_of(content: bytes, size: int) -> Mark:
    """Mark what was taken of a file's first bytes before it was compressed."""
    return take(content, size).mark("haproxy.log.1", (1, 2))


compressions = pytest.mark.parametrize("compress", COMPRESSORS.values(), ids=COMPRESSORS)


@compressions
def test_from_the_beginning(archive: Path, compress: Callable[[bytes], bytes]) -> None:
    """All lines come, in blocks, and the file is known by what it holds, not by what it is on the disk."""
    content = numbered(*range(LINES))
    archive.write_bytes(compress(content))
    with opened(archive) as file:
        assert (file.taken < file.size, file.rest()) == (True, None)
        assert numbers(read_all(file)) == [*range(LINES)]
        assert file.rest() == b""
        assert file.taken == file.size == archive.stat().st_size
        assert file.beginning() == content[:HEAD]
        assert file.progress == take(content, len(content))
        assert file.identity == (archive.stat().st_dev, archive.stat().st_ino)


@compressions
@pytest.mark.parametrize("taken", [0, 1, 3, 13, LINES - 1, LINES])
def test_from_a_mark(archive: Path, compress: Callable[[bytes], bytes], taken: int) -> None:
    """What was counted before it was compressed is passed over; the rest comes."""
    content = numbered(*range(LINES))
    mark = mark_of(content, len(numbered(*range(taken))))
    archive.write_bytes(compress(content))
    with opened(archive, mark) as file:
        assert numbers(read_all(file)) == [*range(taken, LINES)]
        assert file.progress.fits(mark_of(content, len(content)))


def test_from_a_mark_in_zstd(tmp_path: Path) -> None:
    """With the package zstandard, zstd is like the others."""
    zstandard = pytest.importorskip("zstandard")
    content = numbered(*range(LINES))
    archive = tmp_path / "haproxy.log.2.zst"
    archive.write_bytes(zstandard.ZstdCompressor().compress(content))
    with opened(archive, mark_of(content, len(content) // 2)) as file:
        found = numbers(read_all(file))
    assert found == [*range(LINES)][-len(found) :]
    assert 0 < len(found) < LINES


def test_a_mark_within_a_line(archive: Path) -> None:
    """The line comes whole."""
    content = numbered(*range(20))
    archive.write_bytes(gzip.compress(content))
    with opened(archive, mark_of(content, len(numbered(*range(7))) + 30)) as file:
        assert numbers(read_all(file)) == [*range(7, 20)]


def test_several_members(archive: Path) -> None:
    """Files that were compressed and put together are one; a line may go over their border."""
    content = numbered(*range(100))
    archive.write_bytes(b"".join(gzip.compress(content[at : at + 1000]) for at in range(0, len(content), 1000)))
    with opened(archive, mark_of(content, 5000)) as file:
        assert numbers(read_all(file)) == [*range(100)][len(numbers(content[: content.rindex(b"\n", 0, 5000) + 1])) :]


def test_the_last_line_has_no_newline(archive: Path) -> None:
    """It is the rest, which is told at the end."""
    archive.write_bytes(gzip.compress(numbered(*range(10)) + b"last words"))
    with opened(archive) as file:
        assert numbers(read_all(file)) == [*range(10)]
        assert file.rest() == b"last words"


@pytest.mark.parametrize("nuls", [1, 300, BLOCK - 1, BLOCK, BLOCK + 100, 3 * BLOCK + 255, 3_000_000])
@pytest.mark.parametrize("taken", [0, 1, 50])
def test_nuls_at_the_beginning(archive: Path, nuls: int, taken: int) -> None:
    """They were left out before, and are left out again, however many there are."""
    content = bytes(nuls) + numbered(*range(100))
    mark = mark_of(content, nuls + len(numbered(*range(taken))))
    archive.write_bytes(gzip.compress(content))
    with opened(archive, mark) as file:
        assert numbers(read_all(file)) == [*range(taken, 100)]
    with opened(archive) as file:
        assert numbers(read_all(file)) == [*range(100)]
        assert file.beginning() == numbered(*range(20))[:HEAD]


@pytest.mark.parametrize("size", [1, 100, 1000])
def test_blocks_of_any_size(archive: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little the decompressor gives at a time, what was marked is known again."""
    content = bytes(999) + numbered(*range(5))
    mark = mark_of(content, 999 + len(numbered(0)))
    archive.write_bytes(gzip.compress(content))
    monkeypatch.setattr("haproxy_log_exporter.sources.logfile.BLOCK", size)
    with opened(archive, mark) as file:
        assert numbers(read_all(file)) == [1, 2, 3, 4]


def test_nuls_between_lines(archive: Path) -> None:
    """They are known like any other bytes, and no part of a line."""
    content = numbered(*range(5)) + bytes(2 * BLOCK) + numbered(*range(5, 10))
    archive.write_bytes(gzip.compress(content))
    for taken in (len(numbered(*range(5))), len(content) - len(numbered(9))):
        with opened(archive, mark_of(content, taken)) as file:
            assert numbers(read_all(file)) == [*range(5 if taken < BLOCK else 9, 10)]


def test_a_line_that_is_too_long(archive: Path) -> None:
    """It is counted once, and not again where the mark is within it."""
    content = numbered(0) + b"x" * 3 * BLOCK + b"\n" + numbered(1)
    archive.write_bytes(gzip.compress(content))
    with opened(archive) as file:
        found = [file.read() for _ in range(9)]
        assert numbers(b"".join(lines.chunk for lines in found)) == [0, 1]
        assert sum(lines.overlong for lines in found) == 1
    mark = mark_of(content, BLOCK)
    assert mark.skipping
    with opened(archive, mark) as file:
        assert numbers(read_all(file)) == [1]


def test_what_goes_on_in_another_file(archive: Path) -> None:
    """Is known of a file that was copied and truncated, and then compressed."""
    content = numbered(*range(10)) + b"begun"
    archive.write_bytes(gzip.compress(content))
    with opened(archive, mark_of(content, len(content))._replace(continued=True)) as file:
        assert read_all(file) == b""
        assert (file.progress.continued, file.rest()) == (True, b"begun")


@pytest.mark.parametrize("share", [0.0001, 0.3, 0.9, 0.9999])
@compressions
def test_a_file_that_is_cut(archive: Path, compress: Callable[[bytes], bytes], share: float) -> None:
    """Its end is missing, and it says so, once what is there was given; no line is torn."""
    rng = random.Random(1)
    content = numbered(*(rng.randrange(1 << 60) for _ in range(LINES)))
    data = compress(content)
    archive.write_bytes(data[: max(20, int(len(data) * share))])
    found: list[bytes] = []
    with opened(archive) as file:
        with pytest.raises(OSError, match="not whole"):
            found.extend(iter(lambda: file.read().chunk, None))
        assert file.rest() is None
    assert content.startswith(b"".join(found))
    numbers(b"".join(found))


def test_a_mark_that_does_not_fit(archive: Path) -> None:
    """Where other bytes stand before the mark, or too few, it is another file."""
    content = numbered(*range(LINES))
    for other in (
        numbered(1, *range(1, LINES)),
        numbered(*range(LINES - 1)),
        numbered(*range(LINES - 2), 0, LINES - 1),
        b"",
    ):
        archive.write_bytes(gzip.compress(other))
        with opened(archive, mark_of(content, len(content))) as file, pytest.raises(ChangedError):
            read_all(file)


def test_what_is_not_compressed(archive: Path) -> None:
    """It is refused, and what was opened is the caller's still."""
    archive.write_bytes(numbered(*range(10)))
    with pytest.raises(OSError, match=r"\w"), opened(archive) as file:
        read_all(file)


def test_the_mark_stays_until_all_was_passed_over(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is stopped while what was read before is gone through once more has read no less than before."""
    content = numbered(*range(100))
    mark = mark_of(content, 5000)
    archive.write_bytes(gzip.compress(content))
    monkeypatch.setattr("haproxy_log_exporter.sources.logfile.BLOCK", 1000)
    monkeypatch.setattr("haproxy_log_exporter.sources.logfile._STEPS", 1)
    with opened(archive, mark) as file:
        device, inode = file.identity
        for _ in range(mark.position // 1000):
            assert file.mark() == mark._replace(path=str(archive), device=device, inode=inode)
            assert file.read().chunk == b""
            assert file.rest() is None
        while file.rest() is None:
            file.read()
        assert file.mark().position == len(content)
