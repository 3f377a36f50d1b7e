"""The straight line: chunks of whole lines in, committed totals out.

    chunk -> readers, in the order of their success -> feeds -> fold -> batch -> tables

A batch is what was counted since the last one. Where a state is kept, it is committed there before it is shown.

Each reader takes its lines out of the chunk and hands on the rest. What all leave is taken out of the wrappers of
containers and journals and tried again; then blanks are let be in cookies; then come HAProxy's own messages, and lines
cut before their end. What is left then is rejected. Only where the last chunk was of containers alone, and this one is
too, are wrappers opened first: no format reads such lines, and all would try. So for each source, at any flush:
lines = counted + notices + filtered + rejected.
"""

import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from haproxy_log_exporter.labels.limits import Admissions, Limits
from haproxy_log_exporter.logformat.reader import Extent, Reader
from haproxy_log_exporter.logformat.wrappers import Unwrapped, Unwrapper
from haproxy_log_exporter.metrics.account import Account
from haproxy_log_exporter.metrics.pending import Tabulator
from haproxy_log_exporter.metrics.shown import Condition, Places, Shown, Tally
from haproxy_log_exporter.metrics.totals import Change, Series, Table
from haproxy_log_exporter.sources.framing import LONGEST_LINE

# A flush is due when so many lines wait for it: eight megabytes of references.
MOST_PENDING = 1 << 20

# The rejected lines that are kept of each source, the last ones, and how many bytes of each.
MOST_REJECTS = 8
LONGEST_REJECT = 256

# What a ring announces: how many messages it had no room for.
_DROPPED = re.compile(rb"([0-9]++) events? dropped\n\Z")


@dataclass(frozen=True, slots=True)
class Stage:
    """A reader and what takes its rows; of a reader of `steps`, the lines are left out as filtered."""

    reader: Reader
    tabulator: Tabulator = field(default_factory=Tabulator)
    steps: bool = False


@dataclass(frozen=True, slots=True)
class NoticeKind:
    """One kind of HAProxy's own messages, and its pattern, as a whole line; whether they say how many were dropped."""

    kind: str
    pattern: re.Pattern[bytes]
    says_dropped: bool = False


@dataclass(slots=True)
class Stream:
    """Lines that follow one another: the wrappers they come in."""

    unwrapper: Unwrapper
    wrapped: bool = False  # the last chunk was in wrappers that end with the line, which are opened first then


@dataclass(slots=True)
class Intake:
    """What is known of one source's lines: their tally, its streams, and the last lines that were rejected.

    Only where all lines of a stream are of one sender, as `one_sender` says, may they be parts of one another.
    `facilities` gives the lines of the syslog facilities to be read, where not all are. `watch` is handed all lines
    that are rejected, and for how many each stands.
    """

    tally: Tally
    facilities: re.Pattern[bytes] | None = None
    one_sender: bool = True
    watch: Callable[[bytes, int], None] | None = None
    streams: dict[str, Stream] = field(default_factory=dict)
    rejects: deque[bytes] = field(default_factory=lambda: deque(maxlen=MOST_REJECTS))

    def stream(self, name: str) -> Stream:
        """Find or begin a stream."""
        stream = self.streams.get(name)
        if stream is None:
            stream = self.streams[name] = Stream(Unwrapper(LONGEST_LINE, joins=self.one_sender))
        return stream


class Batch(NamedTuple):
    """What is shown next: what the totals are to grow by, and all that is shown beside them, of one moment."""

    changes: Sequence[Change]
    tallies: Mapping[str, Tally]
    parsed: Counter[str]
    conditions: Mapping[str, Condition]
    rejects: Mapping[str, tuple[bytes, ...]]
    labels: Mapping[str, Places] = {}
    series: Mapping[str, Series] = {}


@dataclass
class Pipeline:
    """Stages, and what was counted since the last batch.

    All belongs to one thread, but for `shown`, which may be called from any. Each notice stands for `weight` of them;
    lines have theirs in their feeds.
    """

    stages: list[Stage] = field(default_factory=list)
    account: Account = field(default_factory=lambda: Account((), Admissions(Limits())))
    notices: Sequence[NoticeKind] = ()
    notices_table: Table | None = None
    reorder: bool = True
    weight: int = 1
    pending: int = 0
    _parsed: Counter[str] = field(default_factory=Counter)
    _recent: Counter[str] = field(default_factory=Counter)
    _noticed: Counter[str] = field(default_factory=Counter)
    _intakes: dict[str, Intake] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _shown: Batch = field(default_factory=lambda: Batch((), {}, Counter(), {}, {}))

    def intake(self, source: str, facilities: re.Pattern[bytes] | None = None, *, one_sender: bool = True) -> Intake:
        """Give a source's intake, whose tally appears in what is shown from the next batch on."""
        return self._intakes.setdefault(source, Intake(Tally(), facilities, one_sender))

    def restore(
        self,
        tallies: Mapping[str, Tally],
        parsed: Mapping[str, int],
        capped: Mapping[str, int],
        series: Mapping[str, Series],
    ) -> None:
        """Go on from what was counted before, of sources that are read no more as well.

        `capped` are lines by label, `series` what became of label sets by metric.
        """
        for source, tally in tallies.items():
            self.intake(source).tally = tally
        self._parsed.update(parsed)
        self.account.restore(capped, series)

    def take(self, chunk: bytes, intake: Intake, name: str = "") -> None:
        """Count a chunk of whole lines, each ending in a newline, that are the next of the named stream."""
        intake.tally.bytes_read += len(chunk)
        if intake.facilities:
            kept = b"".join(intake.facilities.findall(chunk))
            intake.tally.filtered += chunk.count(b"\n") - kept.count(b"\n")
            chunk = kept
        stream = intake.stream(name)
        if stream.wrapped and _is_of_containers(chunk):
            found = stream.unwrapper.unwrap(chunk)
            stream.wrapped = bool(found.lines)
            found = found._replace(rest=self._read(found.rest, intake))
        else:
            rest = self._read(chunk, intake)
            if not rest:
                return
            found = stream.unwrapper.unwrap(rest)
            stream.wrapped = bool(found.lines) and rest == chunk
        self._unwrapped(found, intake)

    def end(self, intake: Intake, name: str = "") -> None:
        """Count what a finished stream left of a line in parts."""
        if stream := intake.streams.pop(name, None):
            self._unwrapped(stream.unwrapper.end(), intake)

    def _unwrapped(self, found: Unwrapped, intake: Intake) -> None:
        """Count what was in wrappers, and what was in none and is no whole line."""
        self._settle(found.rest, intake)
        self._settle(self._read(found.lines, intake), intake)
        for times, lines in found.repeated:
            self._settle(self._read(lines, intake, times=times), intake, times)
        intake.tally.rejected += found.overlong

    def _settle(self, chunk: bytes, intake: Intake, times: int = 1) -> None:
        """Read what no format takes as it is."""
        rest = self._read(chunk, intake, Extent.LOOSE, times)
        if rest:
            rest = self._classify(rest, intake.tally, times)
        if rest:
            rest = self._read(rest, intake, Extent.CUT, times)
        if rest:
            intake.tally.rejected += rest.count(b"\n") * times
            last = rest[:-1].rsplit(b"\n", MOST_REJECTS)[-MOST_REJECTS:]
            intake.rejects.extend(line[:LONGEST_REJECT] for line in last)
            if intake.watch:
                intake.watch(rest, times)

    def _read(self, chunk: bytes, intake: Intake, extent: Extent = Extent.WHOLE, times: int = 1) -> bytes:
        tally, given, counted = intake.tally, chunk, intake.tally.counted
        # A cut line may have lost what tells that it is a step; then it counts.
        stages = self.stages if extent is not Extent.CUT else sorted(self.stages, key=lambda stage: stage.steps)
        for stage in stages:
            if not chunk:
                break
            rows = stage.reader.read(chunk, extent)
            if rows.lines:
                dropped = rows.lines * times if stage.steps else stage.tabulator.take(rows, times)
                tally.filtered += dropped
                lines = rows.lines * times - dropped
                if not stage.steps:
                    tally.counted += lines
                    tally.truncated += lines if extent is Extent.CUT else 0
                    self._parsed[stage.reader.name] += lines
                self._recent[stage.reader.name] += lines + dropped
                self.pending += rows.lines
            chunk = rows.rest
        if tally.counted > counted and extent is not Extent.CUT:
            tally.newest = _last_but(given, chunk)
        return chunk

    def _classify(self, chunk: bytes, tally: Tally, times: int) -> bytes:
        """Count HAProxy's own messages; give the lines that are none."""
        for notice in self.notices:
            if notice.says_dropped and b" dropped\n" in chunk:
                announced = (match[0] for match in notice.pattern.finditer(chunk) if match[1] is None)
                tally.lost += times * sum(int(number) for line in announced for number in _DROPPED.findall(line))
            pieces = notice.pattern.split(chunk)
            chunk, lines = b"".join(filter(None, pieces[1::2])), len(pieces) // 2
            found = (lines - chunk.count(b"\n")) * times
            tally.notices += found
            self._noticed[notice.kind] += found
            if not chunk:
                break
        return chunk

    def exchange(self, stages: list[Stage]) -> None:
        """Read lines by other stages from now on, whose feeds fill the same tables."""
        self.fold()
        self.stages = stages

    def adopt(self, other: "Pipeline") -> None:
        """Count from now on as another pipeline would, into its tables; all that was counted has to be shown before."""
        other.account.restore(self.account.capped(), self.account.series())
        with self._lock:
            self.stages, self.account, self.notices_table = other.stages, other.account, other.notices_table
            self.reorder, self.weight = other.reorder, other.weight

    def fold(self) -> None:
        """Fold the lines that have gathered into what the totals are to grow by."""
        for stage in self.stages:
            for feed in stage.tabulator.feeds:
                self.account.grow(feed.table, feed.fold())
        if self.notices_table is not None:
            table, one = self.notices_table, self.notices_table.layout.line("notice") * self.weight
            grown = {table.position((kind,)): one * count for kind, count in self._noticed.items() if count}
            self.account.grow(table, grown)
        self._noticed.clear()
        self.pending = 0
        if self.reorder:
            # What was matched most lately comes first; old success fades.
            self.stages.sort(key=lambda stage: -self._recent[stage.reader.name])
            for name in self._recent:
                self._recent[name] //= 2

    def batch(self, conditions: Mapping[str, Condition] | None = None, now: float = 0.0) -> Batch:
        """Take all that was counted. `conditions` tells how the sources stand at this moment.

        It has to be shown, or given back, before there is another. `now` is in seconds for which lines were counted.
        """
        self.fold()
        if self.account.drop_idle(now):
            for stage in self.stages:
                stage.tabulator.forget()
        return self._with(self.account.take_changes(now), conditions or {})

    def show_restored(self, conditions: Mapping[str, Condition]) -> None:
        """Show what was counted before; what has become of the tables since is left to the next batch."""
        self.show(self._with([], conditions))

    def _with(self, changes: Sequence[Change], conditions: Mapping[str, Condition]) -> Batch:
        """Put changes together with all else that is shown."""
        return Batch(
            changes,
            {source: replace(intake.tally) for source, intake in self._intakes.items()},
            self._parsed.copy(),
            conditions,
            {source: tuple(intake.rejects) for source, intake in self._intakes.items()},
            self.account.places(),
            self.account.series(),
        )

    def give_back(self, batch: Batch) -> None:
        """Let what could not be kept be part of the next batch."""
        self.account.give_back(batch.changes)

    def show(self, batch: Batch) -> None:
        """Let the totals grow, all of them at one moment for whoever looks at them."""
        with self._lock:
            for change in batch.changes:
                change.table.apply(change)
            self._shown = batch._replace(changes=())

    def flush(self, conditions: Mapping[str, Condition] | None = None, now: float = 0.0) -> None:
        """Show all that was counted; `now` is in seconds for which lines were counted."""
        self.show(self.batch(conditions, now))

    def shown(self) -> Shown:
        """Copy the references to all that is shown."""
        with self._lock:
            tables = [(table.layout, table.snapshot()) for table in self.account.tables]
            shown = self._shown
        return Shown(tables, shown.tallies, shown.parsed, shown.conditions, shown.rejects, shown.labels, shown.series)


def _is_of_containers(chunk: bytes) -> bool:
    """Whether wrappers may be opened before formats are tried: there are only such as no format of HAProxy's writes.

    Other JSON may be a log-format's own. Entries of the journal say how long they are, and might say so of lines that
    belong to others.
    """
    docker = chunk.startswith(b'{"log":"') + chunk.count(b'\n{"log":"')
    objects = chunk.startswith(b"{") + chunk.count(b"\n{")
    journal = chunk.startswith((b"MESSAGE=", b"__")) or b"\nMESSAGE=" in chunk or b"\n__" in chunk
    return objects == docker <= chunk.count(b'"stream":"std') and not journal


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
