"""What a scrape shows besides the totals: what became of the lines, and how their sources stand."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.totals import Series, Snapshot


@dataclass(slots=True)
class Tally:
    """What became of one source's lines."""

    bytes_read: int = 0
    counted: int = 0
    notices: int = 0
    filtered: int = 0
    rejected: int = 0
    truncated: int = 0
    lost: int = 0  # what HAProxy says that it had to drop
    newest: bytes = b""  # the last line that was counted and not cut
    newest_time: float | None = None  # when it was written, in seconds since the epoch

    @property
    def lines(self) -> int:
        """Lines read."""
        return self.counted + self.notices + self.filtered + self.rejected


@dataclass(slots=True)
class Condition:
    """How a source stands; None where a source has no such thing."""

    position_bytes: int | None = None
    size_bytes: int | None = None
    rotations: int | None = None
    dropped: int | None = None
    errors: int = 0
    receive_buffer_bytes: int | None = None
    connections: int | None = None
    refused: Mapping[str, int] | None = None  # datagrams and connections, by reason


class Reloads(NamedTuple):
    """How reading the configuration stands: when it last succeeded, in seconds since the epoch, and whether it has."""

    moment: float
    succeeded: bool = True


class Places(NamedTuple):
    """The places of a label's values: how many are taken, and how many lines had values that have none."""

    taken: int
    most: int
    capped: int


class Shown(NamedTuple):
    """All that a scrape shows of the lines, of one moment."""

    tables: list[tuple[Layout, Snapshot]]
    tallies: Mapping[str, Tally]
    parsed: Counter[str]
    conditions: Mapping[str, Condition]
    rejects: Mapping[str, tuple[bytes, ...]] = {}  # the last lines rejected, of each source
    labels: Mapping[str, Places] = {}
    series: Mapping[str, Series] = {}
