"""The systemd journal: the entries of one unit.

Strategy: the journal gives each entry a cursor, by which it is found again. The one of the last entry that was handed
over is kept in the state together with what was counted, so each entry counts exactly once, as a line of a file does.
"""

import errno
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from haproxy_log_exporter.errors import OperationError, UsageError
from haproxy_log_exporter.marks import Kept
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.base import Chunk
from haproxy_log_exporter.sources.framing import LONGEST_LINE, drop_overlong, join_messages

logger = logging.getLogger(__name__)

# What is taken at a time, in entries and bytes, so that other sources get their turn: some ten milliseconds.
_MOST_AT_ONCE = 2_000
_MOST_BYTES = 1 << 20

# As much of a field is read, its name too: enough to see that a line is too long.
_LONGEST_FIELD = LONGEST_LINE + 64

# So many seconds pass between two looks for new entries, at least.
_LOOK_SECONDS = 0.25

# SD_MESSAGE_JOURNAL_DROPPED in systemd's sd-messages.h: the unit logged faster than LogRateLimitBurst= allows.
_SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"

# The entry's file has gone, or there is no memory: not what an entry itself can be the reason of.
_LOST = (errno.EADDRNOTAVAIL, errno.ESTALE, errno.ENOMEM)

# Where nothing was in the journal yet: whatever comes, comes later.
_NOTHING = "nothing"


def load_binding() -> Any:
    """Import systemd's Python binding.

    Raises:
        UsageError: where it is not installed.
    """
    try:
        from systemd import journal  # noqa: PLC0415 -- an extra
    except ImportError as error:
        message = (
            f"--journal: systemd's Python binding is missing ({error}); "
            "pip install 'haproxy-log-exporter[journal]', or Debian's python3-systemd for Debian's own python3"
        )
        raise UsageError(message) from error
    return journal


class JournalSource:
    """The entries of a unit, in the journal of this machine or in a directory."""

    can_wait = True
    one_sender = False

    def __init__(
        self,
        unit: str,
        *,
        directory: str = "",
        from_beginning: bool = False,
        place: str = "",
        with_facility: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`place` is what was kept by the last one who read it; without it, `from_beginning` says where to begin.

        `with_facility` puts the syslog facility before a line that came with one, which journald takes off.
        """
        self.name = f"journal:{unit}"
        self.names = (self.name,)
        self.is_behind = False
        self._unit = unit
        self._directory = directory
        self._from_beginning = from_beginning
        self._place = place
        self._with_facility = with_facility
        self._now = now
        self._next_look = 0.0
        self._reader: Any = None
        self._inode: tuple[int, int] | None = None
        self._told: int | None = None
        self._is_lost = True  # the reader is not where reading goes on
        self._condition = Condition()

    def start(self) -> None:
        """Open the journal, and find where to begin."""
        where = f"the journal in {self._directory}" if self._directory else "this machine's journal"
        try:
            self._open()
            if not self._place:
                self._reader.flush_matches()
                self._find_beginning()
                self._match(self._reader)
            self._seek()
        except (OSError, ValueError) as error:
            self.stop()
            message = f"--journal: cannot read {where}: {getattr(error, 'strerror', None) or error}"
            raise OperationError(message) from error
        logger.info("reading %s of %s", self._unit, where)
        if not self._reader.get_usage():
            logger.warning("%s: no file of %s can be read; the group systemd-journal may read them", self.name, where)

    def _open(self) -> None:
        inode, reader = _inode(self._directory), load_binding().Reader(path=self._directory or None)
        reader.data_threshold = _LONGEST_FIELD
        reader.fileno()  # from now on it sees what changes
        reader.process()
        self._match(reader)
        if self._reader is not None:
            self._reader.close()
        self._reader, self._inode, self._is_lost = reader, inode, True

    def _match(self, reader: Any) -> None:
        """Choose the unit's entries, and what journald itself says of the unit's: how many it had to drop."""
        reader.add_match(_SYSTEMD_UNIT=self._unit)
        reader.add_disjunction()
        reader.add_match(OBJECT_SYSTEMD_UNIT=self._unit)
        reader.add_match(MESSAGE_ID=_SUPPRESSED)
        reader.add_match(_TRANSPORT="driver")

    def _find_beginning(self) -> None:
        """Take the newest entry of all units for the one after which to begin."""
        has_files = self._reader.has_persistent_files() or self._reader.has_runtime_files()
        if not (has_files or self._directory):  # there will be some, or there are, and are not for this user
            return
        self._place = _NOTHING
        if not self._from_beginning:
            self._reader.seek_tail()
            if self._reader._previous():  # noqa: SLF001 -- see _take
                self._place = self._reader._get_cursor()  # noqa: SLF001

    def _seek(self) -> bool:
        """Go to where reading goes on; tell whether the entry there has not been handed over."""
        if self._place in ("", _NOTHING):
            self._reader.seek_head()
            return False
        self._reader.seek_cursor(self._place)
        # The entry itself, where it is there and this unit's; else the one after it, which has not been read.
        return self._reader._next() and not self._reader.test_cursor(self._place)  # noqa: SLF001

    def fileno(self) -> int | None:
        """Say that it is looked at from time to time: as long as it has to wait, a descriptor would wake in vain."""
        return None

    def read(self) -> list[Chunk]:
        """Take the next entries."""
        messages: list[bytes] = []
        size = 0
        if not self.is_behind and self._now() < self._next_look:
            return []
        self._next_look = self._now() + _LOOK_SECONDS
        try:
            # The reader sees the directory that it has opened alone, whatever comes to its place.
            if self._directory and _inode(self._directory) not in (None, self._inode):
                self._open()
            self._reader.process()
            # Files may have gone, and with them the place where the reader was.
            is_unread, self._is_lost = self._is_lost and self._seek(), False
            while _has_room(messages, size) and (is_unread or self._reader._next()):  # noqa: SLF001
                is_unread = False
                place = self._reader._get_cursor()  # noqa: SLF001
                messages.append(self._take())
                size += len(messages[-1])
                self._place = place
        except OSError as error:
            self._is_lost = True
            self._tell(error)
        self.is_behind = not _has_room(messages, size)
        lines = drop_overlong(join_messages(messages))
        return [Chunk(self.name, *lines)] if lines.chunk or lines.overlong else []

    def _tell(self, error: OSError) -> None:
        """Count a failure; name it once."""
        self._condition.errors += 1
        if error.errno != self._told:
            logger.error("%s: %s", self.name, error.strerror or error)
        self._told = error.errno

    def _take(self) -> bytes:
        """Take what an entry says. The binding's own way to an entry is to read and convert all of its fields."""
        message = self._field("MESSAGE")
        if message.startswith(b"Suppressed ") and (dropped := self._field("N_DROPPED")).isdigit():
            return b"%b events dropped" % dropped  # as HAProxy's ring says it
        if not self._with_facility:
            return message
        facility = self._field("SYSLOG_FACILITY")
        if not facility.isdigit():
            return message
        priority = self._field("PRIORITY")
        return b"<%d>%b" % (int(facility) * 8 + (int(priority) if priority.isdigit() else 6), message)

    def _field(self, name: str) -> bytes:
        try:
            return bytes(self._reader._get(name))  # noqa: SLF001
        except KeyError:
            return b""
        except OSError as error:
            if error.errno in _LOST:
                raise
            self._tell(error)  # the entry is damaged, or of a kind that this system cannot read
            return b""

    def finish(self) -> None:
        """Take nothing: it stays."""

    def conditions(self) -> Mapping[str, Condition]:
        """Say whether it failed."""
        return {self.name: replace(self._condition)}

    def kept(self) -> Mapping[str, Kept]:
        """Give the cursor of the last entry that was handed over."""
        return {self.name: Kept(place=self._place)} if self._place else {}

    def stop(self) -> None:
        """Close the journal."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _has_room(messages: Sequence[bytes], size: int) -> bool:
    return len(messages) < _MOST_AT_ONCE and size < _MOST_BYTES


def _inode(directory: str) -> tuple[int, int] | None:
    try:
        found = os.stat(directory)
    except OSError:
        return None
    return found.st_dev, found.st_ino
