"""Directories of real journal files: written by systemd-journal-remote, rotated as journald does it, vacuumed.

Strategy: what journald writes and what systemd-journal-remote writes are the same files, by the same code. To rotate,
journald renames system.journal to system@ID-SEQNUM-TIME.journal, and gives the next file the same identifier and the
sequence number to go on from (systemd's src/shared/managed-journal-file.c). Here two places of the header say so
(https://systemd.io/JOURNAL_FILE_FORMAT/).
"""

import itertools
import os
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.sources.journal import load_binding
from tests.support import need

UNIT = "haproxy.service"
REMOTE = "/lib/systemd/systemd-journal-remote"

# Of the header: seqnum_id, and tail_entry_seqnum, head_entry_seqnum, … and head_entry_realtime after those.
_SEQNUM_ID = slice(72, 88)
_TAIL_SEQNUM = 160
_HEAD_SEQNUM = 168
_HEAD_REALTIME = 184
_NUMBER = struct.Struct("<Q")

# Entries of other boots are told apart by the clock alone; all of these are of one boot, as journald's mostly are.
_BOOT = "5ca1ab1e" * 4
_later = itertools.count(time.time_ns() // 1000)

Entry = Mapping[str, bytes | None]


def need_journals() -> None:
    """Skip the test where journals cannot be written or read; fail it where REQUIRE_PROGRAMS is set."""
    need(REMOTE, "journalctl")
    try:
        load_binding()
    except UsageError:
        if os.environ.get("REQUIRE_PROGRAMS"):
            raise
        pytest.skip("systemd's Python binding is not installed")


def of_stdout(message: bytes | None, unit: str = UNIT, **fields: bytes) -> Entry:
    """Give the fields of a line that a service wrote to its standard output; without a message at all for None."""
    own = {"_SYSTEMD_UNIT": unit.encode(), "_TRANSPORT": b"stdout", "PRIORITY": b"6", "SYSLOG_IDENTIFIER": b"haproxy"}
    return {**own, "MESSAGE": message, **fields}


def of_syslog(message: bytes, unit: str = UNIT, facility: int = 16) -> Entry:
    """Give the fields that journald makes of a datagram to /dev/log: the header is taken off."""
    raw = b"<%d>Nov 20 04:30:27 haproxy[1234]: %s\n" % (facility * 8 + 6, message)
    syslog = {"SYSLOG_FACILITY": b"%d" % facility, "SYSLOG_PID": b"1234", "SYSLOG_TIMESTAMP": b"Nov 20 04:30:27 "}
    return {**of_stdout(message, unit), **syslog, "_TRANSPORT": b"syslog", "SYSLOG_RAW": raw}


def export(entry: Entry) -> bytes:
    """Write an entry in the journal's export format, stamped later than all before it."""
    now = next(_later)
    head = {"__REALTIME_TIMESTAMP": str(now), "__MONOTONIC_TIMESTAMP": str(now % 10**12), "_BOOT_ID": _BOOT}
    lines = [f"{name}={text}\n".encode() for name, text in head.items()]
    return b"".join(
        (*lines, *(_field(name.encode(), value) for name, value in entry.items() if value is not None), b"\n")
    )


def _field(name: bytes, value: bytes) -> bytes:
    if value.isascii() and value.decode().isprintable():
        return b"%s=%s\n" % (name, value)
    return b"%s\n%s%s\n" % (name, _NUMBER.pack(len(value)), value)


class Place(NamedTuple):
    """What the header of a journal file says of its entries."""

    identifier: bytes
    tail: int
    head: int
    time: int


class Journal:
    """A directory of journal files, of which system.journal is written to."""

    def __init__(self, folder: Path) -> None:
        """The folder is made when something is written."""
        self.folder = folder
        self._active = folder / "system.journal"

    def append(self, *entries: Entry) -> None:
        """Write entries; they are there afterwards."""
        self.folder.mkdir(exist_ok=True)
        _write(self._active, entries)

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        """Keep one writer running, as journald does; it is gone afterwards, and all is written."""
        self.folder.mkdir(exist_ok=True)
        process = subprocess.Popen([REMOTE, f"--output={self._active}", "-"], stdin=-1, stderr=subprocess.DEVNULL)
        try:
            yield Writer(process)
        finally:
            process.communicate(timeout=30)
        assert process.returncode == 0

    def rotate(self) -> None:
        """Archive the file that is written to, and begin the next."""
        place = _place(self._active)
        archive = f"system@{place.identifier.hex()}-{place.head:016x}-{place.time:016x}.journal"
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as aside:
            empty = Path(aside, "empty.journal")
            _write(empty, ())
            with empty.open("r+b") as file:
                file.seek(_SEQNUM_ID.start)
                file.write(place.identifier)
                file.seek(_TAIL_SEQNUM)
                file.write(_NUMBER.pack(place.tail))
            self._active.rename(self.folder / archive)
            empty.rename(self._active)

    def vacuum(self, keep: int = 1) -> None:
        """Delete the oldest archives until so many files are left, the one that is written to among them."""
        command = ["journalctl", "--directory", str(self.folder), f"--vacuum-files={keep}"]
        subprocess.run(command, check=True, capture_output=True)
        assert len(self.files()) == keep

    def clear(self) -> None:
        """Delete all of it: what is written next is a new journal."""
        for file in self.files():
            file.unlink()

    def files(self) -> list[Path]:
        """List the files."""
        return sorted(self.folder.glob("*.journal"))


class Writer:
    """What a journal is written by while it is read."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        """Write to its standard input."""
        self._process = process

    def append(self, *entries: Entry) -> None:
        """Hand entries over; they are written soon."""
        assert self._process.stdin
        self._process.stdin.write(b"".join(map(export, entries)))
        self._process.stdin.flush()


def _place(file: Path) -> Place:
    with file.open("rb") as opened:
        header = opened.read(_HEAD_REALTIME + _NUMBER.size)
    tail, head, moment = (
        _NUMBER.unpack_from(header, offset)[0] for offset in (_TAIL_SEQNUM, _HEAD_SEQNUM, _HEAD_REALTIME)
    )
    return Place(header[_SEQNUM_ID], tail, head, moment)


def _write(file: Path, entries: Iterable[Entry]) -> None:
    command = [REMOTE, f"--output={file}", "-"]
    subprocess.run(command, input=b"".join(map(export, entries)), check=True, capture_output=True)
