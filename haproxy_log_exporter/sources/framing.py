"""Whole lines out of blocks of bytes."""

from collections.abc import Sequence
from operator import methodcaller
from typing import NamedTuple

# The longest line that is read, its newline not counted. HAProxy's own limit for a message is 65,535 bytes.
LONGEST_LINE = 1 << 16

# How much is read at a time. Larger blocks are no faster, and the pieces of smaller ones stay in the cache.
BLOCK = 1 << 18


class Lines(NamedTuple):
    """Whole lines, and how many were longer than a line may be and left out."""

    chunk: bytes
    overlong: int


def drop_overlong(chunk: bytes) -> Lines:
    """Take lines that are too long out of whole lines."""
    start, overlong = 0, 0
    kept: list[bytes] = []
    position = 0
    while len(chunk) - position > LONGEST_LINE:
        newline = chunk.rfind(b"\n", position, position + LONGEST_LINE + 1)
        if newline < 0:
            overlong += 1
            kept.append(chunk[start:position])
            start = newline = chunk.index(b"\n", position) + 1
            position = start
        else:
            position = newline + 1
    return Lines(chunk, 0) if not overlong else Lines(b"".join(kept) + chunk[start:], overlong)


NO_LINES = Lines(b"", 0)


class LineBuffer:
    """Joins the blocks of a stream to whole lines, and keeps at most one line's worth of the last one's beginning."""

    def __init__(self) -> None:
        """Start at the beginning of a line."""
        self._begun = bytearray()
        self._skipping = False

    def feed(self, block: bytes) -> Lines:
        """Take a block; give the lines that are whole now."""
        if self._skipping:
            end = block.find(b"\n") + 1
            if not end:
                return NO_LINES
            self._skipping = False
            block = block[end:]
        end = block.rfind(b"\n") + 1
        lines = NO_LINES
        if end:
            lines = drop_overlong(bytes(self._begun) + block[:end])
            self._begun.clear()
        self._begun += block[end:]
        if len(self._begun) > LONGEST_LINE:
            self._begun.clear()
            self._skipping = True
            return Lines(lines.chunk, lines.overlong + 1)
        return lines

    def end(self) -> Lines:
        """Give the last line, which had no newline."""
        last = bytes(self._begun)
        self._begun.clear()
        return Lines(last + b"\n" if last else b"", 0)


_ends_in_newline = methodcaller("endswith", b"\n")


def join_messages(messages: Sequence[bytes]) -> bytes:
    """Make whole lines of messages of one or more lines each, whether they end in a newline or not.

    HAProxy ends each datagram with one, other senders do not. Nothing is lost with an empty line.
    """
    ended = all(map(_ends_in_newline, messages))
    chunk = b"".join(messages) if ended else b"\n".join((*messages, b""))
    # Where there is a newline for each message and none is empty: to count is faster than to look for two in a row.
    if messages and chunk.count(b"\n") == len(messages) and min(map(len, messages)) > 1:
        return chunk
    while b"\n\n" in chunk:
        chunk = chunk.replace(b"\n\n", b"\n")
    return chunk.removeprefix(b"\n")
