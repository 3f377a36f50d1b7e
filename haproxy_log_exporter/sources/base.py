"""What a source is to the service: something that hands over blocks of whole lines."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from haproxy_log_exporter.marks import Kept
from haproxy_log_exporter.metrics.shown import Condition


class Chunk(NamedTuple):
    """Whole lines, each ending in a newline, that are the next of a stream.

    `source` is what they count for, as the user gave it. `overlong` counts lines that were too long and are left out.
    With `last`, nothing follows in the stream; where that has no name, nothing follows from the source.
    """

    source: str
    lines: bytes
    overlong: int = 0
    stream: str = ""
    last: bool = False


class Source(Protocol):
    """Hands over whole lines. All methods belong to the service's thread."""

    @property
    def names(self) -> Sequence[str]:
        """What its lines may count for."""

    @property
    def one_sender(self) -> bool:
        """Whether all lines of a stream are of one sender, so that they may be parts of one another."""

    @property
    def can_wait(self) -> bool:
        """Whether what is not read stays where it is, for as long as it takes."""

    @property
    def is_behind(self) -> bool:
        """Whether there is more to read at once, though no lines may have come of it yet."""

    def start(self) -> None:
        """Open what is to be opened; OperationError where that cannot be."""

    def read(self) -> Sequence[Chunk]:
        """Take the next whole lines; none when there are none at hand."""

    def finish(self) -> Sequence[Chunk] | None:
        """Let senders end, and take what they have sent, in place of `read`; None when nothing more is to come."""

    def fileno(self) -> int | None:
        """What to wait on for more, where there is something."""

    def conditions(self) -> Mapping[str, Condition]:
        """Say how it stands, by name."""

    def kept(self) -> Mapping[str, Kept]:
        """Say up to where its lines have been handed over, for whoever reads it next."""

    def stop(self) -> None:
        """Close everything."""
