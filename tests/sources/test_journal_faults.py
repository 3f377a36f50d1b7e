"""The journal when it fails: entries that cannot be read, files that are gone, and none that may be read."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from haproxy_log_exporter.sources import journal
from haproxy_log_exporter.sources.journal import JournalSource

UNIT = "haproxy.service"
NAME = f"journal:{UNIT}"


@dataclass
class Entry:
    """One of a journal: its message, or what reading it fails with, each time until there is no such any more."""

    message: bytes
    errors: list[int] = field(default_factory=list)
    unit: str = UNIT


@dataclass
class FakeJournal:
    """What readers read."""

    entries: Sequence[Entry]
    has_files: bool = True
    match_errors: list[int] = field(default_factory=list)


class FakeReader:
    """Does what systemd's own reader does, as far as it is used."""

    def __init__(self, fake: FakeJournal) -> None:
        """Stand before the first entry."""
        self.data_threshold = 0
        self._fake = fake
        self._matches: dict[str, str] = {}
        self._at = -1

    def fileno(self) -> int:
        """Begin to watch."""
        return -1

    def process(self) -> None:
        """See what has changed."""

    def close(self) -> None:
        """Read no more."""

    def flush_matches(self) -> None:
        """Want all entries."""
        self._matches.clear()

    def add_match(self, **fields: str) -> None:
        """Want some entries."""
        _fail(self._fake.match_errors)
        self._matches |= fields

    def add_disjunction(self) -> None:
        """Want others besides."""

    def has_persistent_files(self) -> bool:
        """Say whether there is anything."""
        return self._fake.has_files

    def has_runtime_files(self) -> bool:
        """Say whether there is anything else."""
        return False

    def get_usage(self) -> int:
        """Say how many bytes of files can be read."""
        return 4096 * self._fake.has_files

    def seek_head(self) -> None:
        """Go before the first."""
        self._at = -1

    def seek_tail(self) -> None:
        """Go behind the last."""
        self._at = len(self._fake.entries)

    def seek_cursor(self, cursor: str) -> None:
        """Go before an entry."""
        self._at = int(cursor) - 1

    def test_cursor(self, cursor: str) -> bool:
        """Tell whether this is the entry."""
        return cursor == self._get_cursor()

    def _next(self) -> bool:
        return self._go(range(self._at + 1, len(self._fake.entries)))

    def _previous(self) -> bool:
        return self._go(range(self._at - 1, -1, -1))

    def _go(self, places: range) -> bool:
        unit = self._matches.get("_SYSTEMD_UNIT")
        found = next((place for place in places if unit in (None, self._fake.entries[place].unit)), None)
        self._at = self._at if found is None else found
        return found is not None

    def _get_cursor(self) -> str:
        return str(self._at)

    def _get(self, name: str) -> bytes:
        entry = self._fake.entries[self._at]
        if name != "MESSAGE":
            raise KeyError(name)
        _fail(entry.errors)
        return entry.message


def _fail(errors: list[int]) -> None:
    if errors:
        number = errors.pop(0)
        raise OSError(number, os.strerror(number))


class Follower:
    """A source at work on a journal that is none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fake: FakeJournal, directory: Path | None = None) -> None:
        """Start it, from the beginning."""
        binding = SimpleNamespace(Reader=lambda path: FakeReader(fake))  # noqa: ARG005 -- the reader's own name for it
        monkeypatch.setattr(journal, "load_binding", lambda: binding)
        self._now = 0.0
        self.source = JournalSource(UNIT, directory=str(directory or ""), from_beginning=True, now=lambda: self._now)
        self.source.start()

    def read(self) -> list[bytes]:
        """Have one look at it."""
        self._now += 1
        return [line for chunk in self.source.read() for line in chunk.lines.splitlines()]

    @property
    def errors(self) -> int:
        """How often it failed."""
        return self.source.conditions()[NAME].errors

    @property
    def place(self) -> str:
        """What is to be kept; nothing where nothing is."""
        kept = self.source.kept()
        return kept[NAME].place if kept else ""


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what was said of what is wrong."""
    return [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.mark.parametrize("number", [errno.EBADMSG, errno.EPROTONOSUPPORT, errno.E2BIG])
def test_entries_that_cannot_be_read_are_left_out(
    number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading goes on with the next one. Each is counted, and what is wrong is named once."""
    damaged = [Entry(b"x", [number] * 100) for _ in range(3)]
    fake = FakeJournal([Entry(b"a"), *damaged[:2], Entry(b"b"), damaged[2], Entry(b"c")])
    follower = Follower(monkeypatch, fake)
    assert follower.read() == [b"a", b"b", b"c"]
    assert follower.read() == []
    assert follower.place == "5"
    assert follower.errors == 3
    assert said(caplog) == [f"{NAME}: {os.strerror(number)}"]


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ENOMEM, errno.EADDRNOTAVAIL])
def test_entries_that_cannot_be_read_for_now(
    number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That is not the entry's own fault, so it is looked for again, and nothing is left out."""
    fake = FakeJournal([Entry(b"a"), Entry(b"b", [number, number]), Entry(b"c")])
    follower = Follower(monkeypatch, fake)
    assert [follower.read() for _ in range(4)] == [[b"a"], [], [b"b", b"c"], []]
    assert follower.errors == 2
    assert said(caplog) == [f"{NAME}: {os.strerror(number)}"]


def test_no_journal_that_may_be_read(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It may be there, and for others alone: that is said, and nothing is kept, lest all of it is new one day."""
    follower = Follower(monkeypatch, FakeJournal([], has_files=False))
    assert follower.read() == []
    assert follower.place == ""
    assert said(caplog) == [
        f"{NAME}: no file of this machine's journal can be read; the group systemd-journal may read them"
    ]


def test_a_directory_without_a_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That is said too; but whatever comes there, comes later, and is read by the next process as well."""
    follower = Follower(monkeypatch, FakeJournal([], has_files=False), tmp_path)
    assert follower.read() == []
    assert follower.place != ""
    assert said(caplog) == [
        f"{NAME}: no file of the journal in {tmp_path} can be read; the group systemd-journal may read them"
    ]


def test_a_new_directory_of_which_nothing_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where choosing the unit's entries fails, none are read until it does not; others' never count as the unit's."""
    folder = tmp_path / "journal"
    folder.mkdir()
    fake = FakeJournal([Entry(b"a"), Entry(b"x", unit="other.service")])
    follower = Follower(monkeypatch, fake, folder)
    assert follower.read() == [b"a"]
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    fake.entries = [*fake.entries, Entry(b"b"), Entry(b"y", unit="other.service"), Entry(b"c")]
    fake.match_errors = [errno.ENOMEM] * 2
    assert [follower.read() for _ in range(4)] == [[], [], [b"b", b"c"], []]
    assert follower.errors == 2
