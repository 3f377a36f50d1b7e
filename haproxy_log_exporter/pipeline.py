"""The straight line: chunks of whole lines in, committed totals out.

    chunk -> readers, in the order of their success -> feeds -> flush -> tables

Each reader takes its lines out of the chunk and hands on the rest. What all leave is tried as HAProxy's own messages,
then as lines cut before their end; what is left then is rejected. So for each source, at any flush:
lines = counted + notices + filtered + rejected.
"""

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from haproxy_log_exporter.logformat.reader import Reader
from haproxy_log_exporter.metrics.pending import Feed
from haproxy_log_exporter.metrics.shown import Condition, Shown, Tally
from haproxy_log_exporter.metrics.totals import Table

# A flush is due when so many lines wait for it: eight megabytes of references.
MOST_PENDING = 1 << 20


@dataclass(frozen=True, slots=True)
class Stage:
    """A reader and the feeds that take its rows."""

    reader: Reader
    feeds: tuple[Feed, ...]


@dataclass(frozen=True, slots=True)
class NoticeKind:
    """One kind of HAProxy's own messages: its pattern, as a whole line, and its place in the table, if counted."""

    kind: str
    pattern: re.Pattern[bytes]
    place: int | None


@dataclass
class Pipeline:
    """Stages and tables, and what was counted since the last flush.

    `take` and `flush` belong to one thread; `shown` may be called from any.
    """

    stages: list[Stage]
    tables: Sequence[Table]
    notices: Sequence[NoticeKind] = ()
    notices_table: Table | None = None
    reorder: bool = True
    pending: int = 0
    _parsed: Counter[str] = field(default_factory=Counter)
    _recent: Counter[str] = field(default_factory=Counter)
    _noticed: Counter[int] = field(default_factory=Counter)
    _tallies: dict[str, Tally] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _shown_tallies: dict[str, Tally] = field(default_factory=dict)
    _shown_parsed: Counter[str] = field(default_factory=Counter)
    _conditions: Mapping[str, Condition] = field(default_factory=dict)

    def tally(self, source: str) -> Tally:
        """Give a source's tally, which appears in what is shown from the next flush on."""
        return self._tallies.setdefault(source, Tally())

    def take(self, chunk: bytes, tally: Tally) -> None:
        """Count a chunk of whole lines, each ending in a newline."""
        tally.bytes_read += len(chunk)
        counted = tally.counted
        rest = self._read(chunk, tally)
        if tally.counted > counted:
            tally.newest = _last_but(chunk, rest)
        if rest:
            rest = self._classify(rest, tally)
        if rest:
            rest = self._read(rest, tally, cut=True)
        tally.rejected += rest.count(b"\n")

    def _read(self, chunk: bytes, tally: Tally, *, cut: bool = False) -> bytes:
        for stage in self.stages:
            rows = stage.reader.read_cut(chunk) if cut else stage.reader.read(chunk)
            if rows.lines:
                for feed in stage.feeds:
                    feed.take(rows)
                tally.counted += rows.lines
                tally.truncated += rows.lines if cut else 0
                self._parsed[stage.reader.name] += rows.lines
                self._recent[stage.reader.name] += rows.lines
                self.pending += rows.lines
            chunk = rows.rest
            if not chunk:
                break
        return chunk

    def _classify(self, chunk: bytes, tally: Tally) -> bytes:
        """Count HAProxy's own messages; give the lines that are none."""
        for notice in self.notices:
            pieces = notice.pattern.split(chunk)
            chunk, lines = b"".join(filter(None, pieces[1::2])), len(pieces) // 2
            found = lines - chunk.count(b"\n")
            tally.notices += found
            if found and notice.place is not None:
                self._noticed[notice.place] += found
            if not chunk:
                break
        return chunk

    def flush(self, conditions: Mapping[str, Condition] | None = None) -> None:
        """Fold what has gathered into the totals, all of it at one moment for whoever looks at them.

        `conditions` tells how the sources stand at that moment.
        """
        changes = [(feed.table, feed.fold()) for stage in self.stages for feed in stage.feeds]
        if self.notices_table is not None:
            one = self.notices_table.layout.line("notice")
            changes.append((self.notices_table, {place: one * count for place, count in self._noticed.items()}))
        with self._lock:
            for table, change in changes:
                table.add(change)
            self._shown_tallies = {source: replace(tally) for source, tally in self._tallies.items()}
            self._shown_parsed = self._parsed.copy()
            self._conditions = conditions or {}
        self._noticed.clear()
        self.pending = 0
        if self.reorder:
            # What was matched most lately comes first; old success fades.
            self.stages.sort(key=lambda stage: -self._recent[stage.reader.name])
            for name in self._recent:
                self._recent[name] //= 2

    def shown(self) -> Shown:
        """Copy the references to all that was flushed."""
        with self._lock:
            tables = [(table.layout, table.snapshot()) for table in self.tables]
            return Shown(tables, self._shown_tallies, self._shown_parsed, self._conditions)


def _last_but(chunk: bytes, rest: bytes) -> bytes:
    """Give the last line of a chunk that is not in its rest, which is in the same order."""
    end, left = len(chunk), len(rest)
    while True:
        start = chunk.rfind(b"\n", 0, end - 1) + 1
        line = chunk[start:end]
        begin = left - len(line)
        if begin < 0 or rest[begin:left] != line or rest[begin - 1 : begin] not in (b"", b"\n"):
            return line
        end, left = start, begin
