"""What is in compressed files, and how their damage shows."""

import io
import random
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest

from haproxy_log_exporter.sources import compressed
from haproxy_log_exporter.sources.compressed import SUFFIXES, decompress, is_compressed, read_block
from tests.sources.tailing_files import COMPRESSORS

CONTENT = random.Random(1).randbytes(300_000)


@pytest.fixture(autouse=True)
def _modules_anew() -> Iterator[None]:
    """Let each test find the modules that there are."""
    compressed._zstd.cache_clear()
    yield
    compressed._zstd.cache_clear()


def read(data: bytes, size: int = 100_000) -> bytes:
    """Read a compressed file to its end."""
    stream = decompress(io.BytesIO(data), data[:100])
    found = b""
    while block := read_block(stream, size):
        assert len(block) <= size
        found += block
    assert read_block(stream, size) == b"", "the end stays the end"
    return found


@pytest.mark.parametrize("end", COMPRESSORS)
@pytest.mark.parametrize("size", [1000, 1 << 18])
def test_what_was_compressed_is_read(end: str, size: int) -> None:
    """In blocks of any size."""
    data = COMPRESSORS[end](CONTENT)
    assert is_compressed(data)
    assert end in SUFFIXES
    assert read(data, size) == CONTENT


@pytest.mark.parametrize("end", COMPRESSORS)
def test_files_that_were_put_together(end: str) -> None:
    """One behind the other, as `cat a.gz b.gz` does, they are read as one."""
    compress = COMPRESSORS[end]
    assert read(compress(CONTENT) + compress(b"") + compress(b"more")) == CONTENT + b"more"


@pytest.mark.parametrize("end", COMPRESSORS)
def test_nothing_was_compressed(end: str) -> None:
    """That is no damage."""
    assert read(COMPRESSORS[end](b"")) == b""


@pytest.mark.parametrize("end", COMPRESSORS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_file_that_is_cut(end: str, share: float) -> None:
    """It is not whole, and says so; what is there may be read before."""
    data = COMPRESSORS[end](CONTENT)
    with pytest.raises(OSError, match="not whole"):
        read(data[: int(len(data) * share)])


@pytest.mark.parametrize("end", COMPRESSORS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_is_broken(end: str, share: float) -> None:
    """Each way in which a decompressor refuses is an OSError."""
    data = bytearray(COMPRESSORS[end](CONTENT))
    place = int(len(data) * share)
    data[place : place + 8] = bytes(byte ^ 0xFF for byte in data[place : place + 8])
    with pytest.raises(OSError, match=r"\w") as caught:
        read(bytes(data))
    assert caught.value.strerror or str(caught.value)


@pytest.mark.parametrize("end", COMPRESSORS)
@pytest.mark.parametrize("kept", range(4, 40))
def test_a_file_that_has_hardly_begun(end: str, kept: int) -> None:
    """Cut anywhere in its header, it is not whole; nothing else is raised."""
    with pytest.raises(OSError, match=r"\w"):
        read(COMPRESSORS[end](CONTENT[:1000])[:kept])


@pytest.mark.parametrize("end", COMPRESSORS)
def test_random_damage_is_an_error_or_none(end: str) -> None:
    """Whatever byte is another, there is no other kind of error."""
    data = COMPRESSORS[end](b"a line\n" * 50)
    damaged = 0
    for place in range(8, len(data)):
        for bit in (0x01, 0x80):
            broken = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
            try:
                read(broken)
            except OSError:
                damaged += 1
    assert damaged > len(data)


def test_zeros_behind_a_gzip_file() -> None:
    """They are what tapes and block devices leave there."""
    assert read(COMPRESSORS[".gz"](CONTENT) + bytes(1000)) == CONTENT


@pytest.mark.parametrize("beginning", [b"", b"\x1f", b"Nov 20 ", b"\0\0\0\0", b"PK\3\4", b"\x04\x22\x4d\x18"])
def test_what_is_not_compressed(beginning: bytes) -> None:
    """Plain lines, NULs, and what this does not know are not taken for compressed."""
    assert not is_compressed(beginning)


def test_zstd_with_the_package() -> None:
    """Where the package zstandard is installed, zstd files are read like the others."""
    zstandard = pytest.importorskip("zstandard")
    data = zstandard.ZstdCompressor(write_checksum=True).compress(CONTENT)
    assert is_compressed(data)
    assert read(data) == CONTENT
    assert read(data + data) == CONTENT * 2
    for cut in (9, 100, 100_000, len(data) - 4, len(data) + 100, 2 * len(data) - 5):
        with pytest.raises(OSError, match="not whole"):
            read((data + data)[:cut])
    with pytest.raises(OSError, match="not whole"):
        read(data[:50] + b"\xff\xff\xff" + data[53:])


def test_zstd_with_pythons_own_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken before the package, and its errors are damage, too."""

    class ZstdError(Exception):
        """What the module raises."""

        def __str__(self) -> str:
            """Say what is wrong."""
            return "Data corruption detected"

    class Broken(io.BytesIO):
        """A file that is broken behind its first bytes."""

        def read1(self, size: int | None = -1, /) -> bytes:
            if block := super().read1(size):
                return block
            raise ZstdError

    own = SimpleNamespace(ZstdError=ZstdError, ZstdFile=lambda raw: Broken(raw.read()[4:]))
    monkeypatch.setitem(sys.modules, "compression.zstd", cast("ModuleType", own))
    stream = decompress(io.BytesIO(b"\x28\xb5\x2f\xfdline\n"), b"\x28\xb5\x2f\xfdline\n")
    assert read_block(stream, 100) == b"line\n"
    with pytest.raises(OSError, match="is not whole: Data corruption detected"):
        read_block(stream, 100)


def test_zstd_where_nothing_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what is missing; other compressions are read all the same."""
    for name in ("compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(OSError, match=r"zstd needs Python 3[.]14 or the package zstandard"):
        decompress(io.BytesIO(b"\x28\xb5\x2f\xfd"), b"\x28\xb5\x2f\xfd")
    assert read(COMPRESSORS[".gz"](CONTENT)) == CONTENT
    with pytest.raises(OSError, match="not whole"):
        read(COMPRESSORS[".gz"](CONTENT)[:-9])


@pytest.mark.parametrize("beginning", [b"", b"Nov 20 04:30:27"])
def test_what_only_its_name_calls_compressed(beginning: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that it is not compressed, and nothing of zstd."""
    for name in ("compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(OSError, match="compressed"):
        read(beginning)
