"""How far a file's lines are taken, and by what bytes it is known again."""

import re
from dataclasses import dataclass
from hashlib import blake2b

from haproxy_log_exporter.marks import Mark, Sample
from haproxy_log_exporter.sources.framing import LONGEST_LINE, Lines, drop_overlong

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

    def advance(self, block: bytes, start: int = 0, *, at_end: bool = False) -> Lines:
        """Take the whole lines of what stands at the position, in a block behind `start` bytes.

        What is left of the block then is the beginning of a line, and not too long for one. With `at_end`, nothing
        stands behind the block yet: NULs at its end may be what has a place already and is still to come.
        """
        chunk, overlong, at = b"", 0, start
        while at < len(block):
            if self.skipping:
                newline = block.find(b"\n", at)
                self.skipping = newline < 0
                end = len(block) if newline < 0 else newline + 1
            elif block.startswith(b"\0", at):
                end = len(block) - len(block[at:].lstrip(b"\0"))
                if end == len(block) and at_end:
                    break
                if self.position == self.origin:
                    self.jump(self.position + end - at)
                    at = end
                    continue
            elif end := block.rfind(b"\n", at) + 1:
                lines = drop_overlong(_without_nuls(block[at:end]))
                chunk, overlong = lines.chunk, overlong + lines.overlong
            elif len(block) - at > LONGEST_LINE:
                self.skipping = True
                overlong, end = overlong + 1, len(block)
            else:
                break
            self._take(block, at, end)
            at = end
        return Lines(chunk, overlong)

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
        """Leave out NULs up to a position; where no line was taken yet, the first one begins behind them."""
        if self.position == self.origin:
            self.origin = position
        self.tail = (self.tail + bytes(min(TAIL, position - self.position)))[-TAIL:]
        self.position = position

    def mark(self, path: str, identity: tuple[int, int]) -> Mark:
        """Say how the file is known again."""
        places = (self.origin, sample(self.head), self.position, sample(self.tail))
        return Mark(path, *identity, *places, skipping=self.skipping, continued=self.continued)

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
