"""How far a file's lines are taken, and by what bytes it is known again."""

import re
from dataclasses import dataclass
from hashlib import blake2b

from haproxy_log_exporter.marks import Mark, Sample
from haproxy_log_exporter.sources.framing import LONGEST_LINE, NO_LINES, Lines, drop_overlong

# So many bytes tell a file from all others: its first lines have times, addresses and ports of their own. The tail is
# what HAProxy writes for a line or two.
HEAD = 1024
TAIL = 256

_NULS = re.compile(rb"(?m)^\0++")


@dataclass(slots=True)
class Progress:
    """Where the next line begins, and the bytes that were taken first and last.

    Bytes are taken only as parts of whole lines, or to be left out. NULs before a line are no part of it: truncating a
    file under a writer that does not append leaves as many as the file had bytes, and so may a crash.
    """

    origin: int = 0
    head: bytes = b""
    position: int = 0
    tail: bytes = b""
    skipping: bool = False
    continued: bool = False

    def advance(self, block: bytes, start: int = 0) -> Lines:
        """Take the whole lines of what stands at the position, in a block behind `start` bytes."""
        begin, overlong, end = start, 0, block.rfind(b"\n") + 1
        if self.skipping:
            begin = block.find(b"\n", start) + 1 or len(block)
            self.skipping = begin == len(block) and not block.endswith(b"\n")
        elif block.startswith(b"\0", start):
            begin = len(block) - len(block[start:].lstrip(b"\0"))
            self._leave_out(block, start, begin)
            start = begin
        lines = NO_LINES
        if end > begin:
            lines = drop_overlong(_without_nuls(block[begin:end]))
        elif len(block) - begin > LONGEST_LINE:
            self.skipping = True
            overlong, end = 1, len(block)
        else:
            end = begin
        self._take(block, start, end)
        return Lines(lines.chunk, lines.overlong + overlong)

    def _leave_out(self, block: bytes, start: int, end: int) -> None:
        """Take NULs; where no line was taken yet, the first one begins behind them."""
        if self.position == self.origin:
            self.origin = self.position = self.position + end - start
            self.tail = block[max(start, end - TAIL) : end]
        else:
            self._take(block, start, end)

    def _take(self, block: bytes, start: int, end: int) -> None:
        if len(self.head) < HEAD:
            self.head += block[start : min(end, start + HEAD - len(self.head))]
        size = min(end - start, TAIL)
        self.tail = (self.tail[size - TAIL :] if size < TAIL else b"") + block[end - size : end]
        self.position += end - start

    def pass_over(self, block: bytes) -> None:
        """Take bytes that were taken before."""
        self._take(block, 0, len(block))

    def end(self, rest: bytes) -> None:
        """Take what stands behind the last newline."""
        self._take(rest, 0, len(rest))
        self.skipping = False

    def jump(self, position: int) -> None:
        """Leave out a hole that reaches up to a position."""
        if self.position == self.origin:
            self.origin = position
        self.position, self.tail = position, bytes(min(TAIL, position - self.position))

    def mark(self, path: str, identity: tuple[int, int], *, done: bool = False) -> Mark:
        """Say how the file is known again."""
        head, tail = sample(self.head), sample(self.tail)
        return Mark(path, *identity, self.origin, head, self.position, tail, done, self.skipping, self.continued)

    def fits(self, mark: Mark) -> bool:
        """Whether what was taken is what was taken of a file by the time of a mark."""
        head, tail = self.head[: mark.head.size], self.tail[len(self.tail) - mark.tail.size :]
        return (sample(head), self.position, sample(tail)) == (mark.head, mark.position, mark.tail)


def sample(octets: bytes) -> Sample:
    """Digest some bytes."""
    return Sample(len(octets), blake2b(octets, digest_size=16).digest()) if octets else Sample()


def _without_nuls(lines: bytes) -> bytes:
    if b"\0" not in lines:
        return lines
    return _NULS.sub(b"", lines)
