"""Files that logrotate or another has compressed: gzip, bzip2, xz, and zstd where Python has it."""

import bz2
import gzip
import importlib
import lzma
import zlib
from functools import cache
from typing import Any, BinaryIO, Protocol, cast

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")

_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"

# So much of zstd is decompressed at a time: a few bytes may stand for 128 KiB.
_PIECE = 1 << 10


class Readable(Protocol):
    """What is read from in order."""

    def read1(self, size: int, /) -> bytes:
        """Read at most so many bytes, in one go; none at the end."""


def is_compressed(beginning: bytes) -> bool:
    """Whether a file's first bytes are those of a compressed one."""
    return beginning.startswith((_GZIP, _BZIP2, _XZ, _ZSTD))


def decompress(raw: BinaryIO, beginning: bytes) -> Readable:
    """Read what is in a compressed file, which begins with these bytes and is read from its beginning.

    Raises:
        OSError: where this Python does not know the compression.
    """
    if beginning.startswith(_GZIP):
        return gzip.GzipFile(fileobj=raw)
    if beginning.startswith(_BZIP2):
        return bz2.BZ2File(raw)
    if beginning.startswith(_XZ):
        return lzma.LZMAFile(raw)
    if not beginning.startswith(_ZSTD):
        message = "is not compressed, as its name says"
        raise OSError(0, message)
    zstd = _zstd()
    if zstd is None:
        message = "zstd needs Python 3.14 or the package zstandard"
        raise OSError(0, message)
    if hasattr(zstd, "ZstdFile"):
        return cast("Readable", zstd.ZstdFile(raw))
    return _Frames(raw, zstd.ZstdDecompressor())


def read_block(stream: Readable, size: int) -> bytes:
    """Read at most so many bytes; none at the end.

    Raises:
        OSError: where it cannot be read, is broken, or its end is missing.
    """
    try:
        return stream.read1(size)
    except _damages() as error:
        raise OSError(0, f"is not whole: {error}") from error


class _Frames:
    """Reads zstd by the package zstandard, whose own readers take a cut file for a whole one."""

    def __init__(self, raw: BinaryIO, decompressor: Any) -> None:
        self._raw = raw
        self._decompressor = decompressor
        self._frame: Any = None
        self._begun = b""  # what was read of the next frame

    def read1(self, _size: int, /) -> bytes:
        """Read what a piece of input gives; EOFError where the end of a frame is missing."""
        while True:
            piece, self._begun = self._begun or self._raw.read(_PIECE), b""
            if not piece:
                if self._frame:
                    message = "its end is missing"
                    raise EOFError(message)
                return b""
            self._frame = self._frame or self._decompressor.decompressobj()
            found: bytes = self._frame.decompress(piece)
            if self._frame.eof:
                self._begun, self._frame = self._frame.unused_data, None
            if found:
                return found


@cache
def _zstd() -> Any:
    """Find Python 3.14's own module, or the package zstandard (Debian's python3-zstandard)."""
    for name in ("compression.zstd", "zstandard"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    return None


def _damages() -> tuple[type[Exception], ...]:
    """List what cut or broken files raise besides OSError."""
    zstd = _zstd()
    return (EOFError, zlib.error, lzma.LZMAError, *([zstd.ZstdError] if zstd else ()))
