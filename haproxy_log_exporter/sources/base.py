"""What a source is to the service: something that hands over blocks of whole lines."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from haproxy_log_exporter.metrics.shown import Condition


class Chunk(NamedTuple):
    """Whole lines, each ending in a newline, that are the next of a stream.

    `source` is what they count for, as the user gave it. `overlong` counts lines that were too long and are left out.
    With `last`, nothing follows in the stream.
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

    def start(self) -> None:
        """Open what is to be opened; OperationError where that cannot be."""

    def read(self) -> Sequence[Chunk]:
        """Take the next whole lines; none when there are none at hand."""

    def fileno(self) -> int | None:
        """What to wait on for more, where there is something."""

    def conditions(self) -> Mapping[str, Condition]:
        """Say how it stands, by name."""

    def stop(self) -> None:
        """Close everything."""
