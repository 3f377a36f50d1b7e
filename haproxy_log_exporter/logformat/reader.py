"""What every way of reading lines gives: rows of raw fields, and the lines that it left."""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from haproxy_log_exporter.logformat.notation import Notation

Column = Sequence[bytes | None]  # None where the line has no such field


class Extent(Enum):
    """How much of a line must be as the format says."""

    WHOLE = "all of it, in which blanks end what hardly ever holds one"
    LOOSE = "all of it, in which blanks may be part of what hardly ever holds one"
    CUT = "the beginning, as far as a count needs it"


class Rows(NamedTuple):
    """What was found in a chunk: how many lines, a column for each group, and the lines that were left."""

    lines: int
    columns: Sequence[Column]
    rest: bytes


class Reader(Protocol):
    """Reads lines of one format.

    `groups` holds the fields of each column: one, or those of a run of timers, which the group's splitter tells apart.
    """

    @property
    def name(self) -> str:
        """The format's name, as in `parsed_total{format}`."""

    @property
    def kind(self) -> str:
        """The kind of its lines: http, tcp, connect or error."""

    @property
    def fields(self) -> frozenset[str]:
        """All fields that its lines have."""

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The fields of each column."""

    @property
    def splitters(self) -> Mapping[tuple[str, ...], re.Pattern[bytes]]:
        """What tells the fields of a group apart, for groups of several."""

    @property
    def notations(self) -> Mapping[str, Notation]:
        """How fields stand in the lines; as they are where nothing is said."""

    @property
    def names(self) -> Mapping[str, str]:
        """Further names of fields, as the format gives them."""

    def read(self, chunk: bytes, extent: Extent = Extent.WHOLE) -> Rows:
        """Read a chunk of whole lines, each ending in a newline, as far as `extent` asks."""
