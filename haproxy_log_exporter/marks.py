"""What is kept of files and streams, so that whoever reads them next goes on where the last one left off."""

from collections.abc import Mapping
from typing import NamedTuple


class Sample(NamedTuple):
    """Some bytes of a file: how many, and their digest."""

    size: int = 0
    digest: bytes = b""


class Mark(NamedTuple):
    """How a file is known again, and up to where its lines are counted.

    Positions are in bytes of what the file holds, uncompressed. `head` is of the first bytes that were counted, from
    `origin` on, where the first line begins; `tail` is of the last ones, up to `position`.
    """

    path: str
    device: int
    inode: int
    origin: int = 0
    head: Sample = Sample()
    position: int = 0
    tail: Sample = Sample()
    done: bool = False  # it was rotated away and read to its end
    skipping: bool = False  # the position is within a line that is too long
    continued: bool = False  # what it has behind its last newline goes on in the file that came after it

    @property
    def is_telling(self) -> bool:
        """Whether a file can be known by it."""
        return self.head.size > 0

    @property
    def is_copy(self) -> bool:
        """Whether nothing is to be read of it, for it was copied from a log that is there."""
        return self.done and self.continued


class Kept(NamedTuple):
    """What is kept of a stream: its files, the oldest first, and lines begun in wrappers, as these write them.

    A source that is no file has a place of its own in place of files.
    """

    marks: tuple[Mark, ...] = ()
    held: str = ""
    place: str = ""


# By stream: the path that is followed, or the name of a source that is no file.
Streams = Mapping[str, Kept]
