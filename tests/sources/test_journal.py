"""The journal, read from directories of real journal files."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from haproxy_log_exporter.errors import OperationError, UsageError
from haproxy_log_exporter.settings import read_settings
from haproxy_log_exporter.sources.framing import LONGEST_LINE
from haproxy_log_exporter.sources.journal import JournalSource, load_binding
from tests.sources.journals import UNIT, Journal, need_journals, of_stdout, of_syslog

NAME = f"journal:{UNIT}"


@pytest.fixture(autouse=True)
def _programs() -> None:
    need_journals()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Give a journal in which nothing is yet."""
    (tmp_path / "journal").mkdir()
    return Journal(tmp_path / "journal")


class Follower:
    """A source at work, its clock, and all that it has read."""

    def __init__(self, source: JournalSource, clock: list[float]) -> None:
        """It is started already."""
        self.source = source
        self.overlong = 0
        self._clock = clock

    def read(self) -> list[bytes]:
        """Read until there is no more; give the lines."""
        lines: list[bytes] = []
        for _ in range(1_000):
            self._clock[0] += 1
            chunks = self.source.read()
            assert all(chunk.source == NAME and chunk.lines[-1:] in (b"\n", b"") for chunk in chunks)
            lines += [line for chunk in chunks for line in chunk.lines.splitlines()]
            self.overlong += sum(chunk.overlong for chunk in chunks)
            if not chunks and not self.source.is_behind:
                return lines
        pytest.fail("it reads without end")

    @property
    def place(self) -> str:
        """What is to be kept."""
        kept = self.source.kept()
        return kept[NAME].place if kept else ""


@contextmanager
def following(
    journal: Journal, place: str = "", *, from_beginning: bool = False, with_facility: bool = False
) -> Iterator[Follower]:
    """Follow a journal, from its end if not said otherwise."""
    clock = [0.0]
    source = JournalSource(
        UNIT,
        directory=str(journal.folder),
        from_beginning=from_beginning,
        place=place,
        with_facility=with_facility,
        now=lambda: clock[0],
    )
    source.start()
    try:
        yield Follower(source, clock)
    finally:
        source.stop()


def test_from_the_beginning_of_one_unit(journal: Journal) -> None:
    """All entries of the unit in their order, by whatever way they came; none of others."""
    journal.append(
        of_stdout(b"a"), of_stdout(b"x", "other.service"), of_syslog(b"b"), of_syslog(b"y", "haproxy@1.service")
    )
    journal.rotate()
    journal.append(of_stdout(b"z", "haproxy.servic"), of_stdout(b"c"), {"MESSAGE": b"of no unit"})
    with following(journal, from_beginning=True) as follower:
        assert follower.read() == [b"a", b"b", b"c"]
        assert follower.read() == []
        journal.append(of_syslog(b"d"), of_stdout(b"x", "other.service"))
        assert follower.read() == [b"d"]


@pytest.mark.parametrize("before", [(), (UNIT,), ("other.service",), (UNIT, "other.service"), ("other.service", UNIT)])
def test_from_the_end(journal: Journal, before: tuple[str, ...]) -> None:
    """What is there already is not read, whoever wrote last; all that comes is."""
    for unit in before:
        journal.append(of_stdout(b"old", unit), of_stdout(b"old", unit))
        journal.rotate()
    with following(journal) as follower:
        assert follower.read() == []
        journal.append(of_stdout(b"x", "other.service"))
        assert follower.read() == []
        journal.append(of_stdout(b"a"), of_stdout(b"b"))
        assert follower.read() == [b"a", b"b"]


@pytest.mark.parametrize("before", [(), (UNIT,), ("other.service",)])
@pytest.mark.parametrize("from_beginning", [True, False])
def test_what_came_between_two_runs_is_read(journal: Journal, before: tuple[str, ...], from_beginning: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """Where the first run found nothing to read too, and whether or not it began at the end."""
    journal.append(*(of_stdout(b"old", unit) for unit in before))
    with following(journal, from_beginning=from_beginning) as follower:
        assert follower.read() == ([b"old"] if from_beginning and UNIT in before else [])
        place = follower.place
    journal.append(of_stdout(b"x", "other.service"), of_stdout(b"a"))
    for _ in range(2):
        with following(journal, place) as follower:
            assert follower.read() == [b"a"]
    with following(journal, follower.place) as follower:
        assert follower.read() == []
        journal.append(of_stdout(b"b"))
        assert follower.read() == [b"b"]


def test_rotation_while_it_is_followed(journal: Journal) -> None:
    """Nothing is lost or read again when files are renamed, begun and deleted."""
    with following(journal) as follower:
        for number in range(6):
            journal.append(of_stdout(b"%d a" % number))
            journal.rotate()
            journal.append(of_stdout(b"%d b" % number))
            assert follower.read() == [b"%d a" % number, b"%d b" % number]
            if number % 2:
                journal.vacuum(1)
                assert follower.read() == []


def test_rotation_while_nobody_follows(journal: Journal) -> None:
    """What is in archives that came meanwhile is read first."""
    journal.append(of_stdout(b"a"))
    with following(journal, from_beginning=True) as follower:
        assert follower.read() == [b"a"]
    for text in (b"b", b"c"):
        journal.append(of_stdout(text))
        journal.rotate()
    journal.append(of_stdout(b"d"))
    with following(journal, follower.place) as follower:
        assert follower.read() == [b"b", b"c", b"d"]


def test_rotation_between_start_and_the_first_read(journal: Journal) -> None:
    """Where the entry read last is deleted, the one after it is read, though its file has another name by then."""
    journal.append(of_stdout(b"a"))
    with following(journal, from_beginning=True) as follower:
        assert follower.read() == [b"a"]
    journal.rotate()
    journal.append(of_stdout(b"b"), of_stdout(b"c"))
    journal.vacuum(1)
    with following(journal, follower.place) as follower:
        journal.rotate()
        journal.append(of_stdout(b"d"))
        assert follower.read() == [b"b", b"c", b"d"]
        assert not follower.source.conditions()[NAME].errors


def test_the_last_entry_is_deleted(journal: Journal) -> None:
    """With the entry that was read last vacuumed away, what follows it is read, the first one of it too."""
    journal.append(of_stdout(b"a"), of_stdout(b"b"))
    with following(journal, from_beginning=True) as follower:
        assert follower.read() == [b"a", b"b"]
    journal.append(of_stdout(b"c is lost"))
    journal.rotate()
    journal.append(of_stdout(b"x", "other.service"), of_stdout(b"d"), of_stdout(b"e"))
    journal.vacuum(1)
    with following(journal, follower.place) as follower:
        assert follower.read() == [b"d", b"e"]


def test_another_journal(journal: Journal) -> None:
    """Where all was deleted and a new journal begun, all of that is read; where nothing is there yet, what comes."""
    journal.append(of_stdout(b"a"))
    with following(journal, from_beginning=True) as follower:
        assert follower.read() == [b"a"]
        place = follower.place
    journal.clear()
    with following(journal, place) as follower:
        assert follower.read() == []
        journal.append(of_stdout(b"b"))
        assert follower.read() == [b"b"]
    with following(journal, place) as follower:
        assert follower.read() == [b"b"]


def test_more_than_is_taken_at_once(journal: Journal) -> None:
    """Others get their turn, and there is no waiting in between."""
    journal.append(*(of_stdout(b"%d" % number) for number in range(4_500)))
    with following(journal, from_beginning=True) as follower:
        follower._clock[0] += 1
        sizes = []
        while chunks := follower.source.read():
            sizes.append(sum(chunk.lines.count(b"\n") for chunk in chunks))
            assert follower.source.is_behind == (sum(sizes) < 4_500)
        assert sum(sizes) == 4_500
        assert len(sizes) > 1


def test_large_entries_are_taken_in_parts(journal: Journal) -> None:
    """However large they are, some MiB are in memory at a time."""
    journal.append(*(of_stdout(b"%d " % number + b"x" * 60_000) for number in range(100)))
    with following(journal, from_beginning=True) as follower:
        follower._clock[0] += 1
        numbers: list[int] = []
        while chunks := follower.source.read():
            assert sum(len(chunk.lines) for chunk in chunks) < (1 << 20) + 61_000
            numbers += [int(line.split()[0]) for chunk in chunks for line in chunk.lines.splitlines()]
            assert follower.source.is_behind == (len(numbers) < 100)
        assert numbers == [*range(100)]


def test_what_messages_may_be(journal: Journal) -> None:
    """Any bytes are a line, several lines are several, none is none, and one that is too long is counted."""
    journal.append(
        of_stdout(b"\x00\xff\x1b binary"),
        of_stdout(b"two\nlines\n"),
        of_stdout(b""),
        of_stdout(None),
        of_stdout(b"a" * LONGEST_LINE),
        of_stdout(b"b" * (LONGEST_LINE + 1)),
        of_stdout(b"c" * 1_000_000),
        of_stdout("é".encode()),
    )
    with following(journal, from_beginning=True) as follower:
        assert follower.read() == [b"\x00\xff\x1b binary", b"two", b"lines", b"a" * LONGEST_LINE, "é".encode()]
        assert follower.overlong == 2


def test_entries_without_a_line_are_done(journal: Journal) -> None:
    """They are behind the place too, so they are not looked at again."""
    journal.append(of_stdout(b"a"), of_stdout(None), of_stdout(b""))
    with following(journal, from_beginning=True) as follower:
        assert follower.read() == [b"a"]
        place = follower.place
        journal.append(of_stdout(None))
        assert follower.read() == []
        assert follower.place != place


def test_facilities(journal: Journal) -> None:
    """A line that came by syslog gets the facility back that journald took off; others have none."""
    journal.append(
        of_syslog(b"a"),
        of_syslog(b"b", facility=17),
        of_stdout(b"c"),
        of_stdout(b"d", SYSLOG_FACILITY=b"nonsense"),
        {**of_syslog(b"e"), "PRIORITY": None},
    )
    with following(journal, from_beginning=True, with_facility=True) as follower:
        assert follower.read() == [b"<134>a", b"<142>b", b"c", b"d", b"<134>e"]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_each_entry_is_read_once(journal: Journal, seed: int) -> None:
    """However it is written, rotated, vacuumed of what was read, and the reader killed and restarted."""
    random = Random(seed)
    taken: list[bytes] = []
    journal.append(of_stdout(b"x", "other.service"))
    place, number = "", 0
    while number < 60:
        with following(journal, place, from_beginning=True) as follower:
            for _ in range(random.randrange(1, 6)):
                match random.choice(("write", "write", "rotate", "vacuum", "read", "kill")):
                    case "write":
                        texts = [b"%d" % (number + each) for each in range(random.randrange(4))]
                        number += len(texts)
                        journal.append(*(of_stdout(text) for text in texts), of_stdout(b"x", "other.service"))
                    case "rotate":
                        journal.rotate()
                    case "vacuum":
                        taken += follower.read()
                        place = follower.place
                        journal.vacuum(1)
                    case "read":
                        taken += follower.read()
                        place = follower.place
                    case "kill":
                        follower.read()
                        break
    with following(journal, place, from_beginning=True) as follower:
        taken += follower.read()
    assert taken == [b"%d" % each for each in range(number)]


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_no_directory(tmp_path: Path, kind: str) -> None:
    """It is told which one cannot be read, and nothing is left open."""
    folder = tmp_path / "journal"
    if kind == "file":
        folder.touch()
    with (
        pytest.raises(OperationError, match=rf"--journal: cannot read .*{folder}") as caught,
        following(Journal(folder)),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_a_place_that_is_none(journal: Journal) -> None:
    """A cursor that systemd does not know is an error, not a beginning."""
    journal.append(of_stdout(b"a"))
    with pytest.raises(OperationError, match="--journal: cannot read"), following(journal, "nonsense"):
        pass


def test_a_directory_that_was_made_anew(journal: Journal) -> None:
    """Reading goes on in it, behind what was read before."""
    journal.append(of_stdout(b"a"))
    with following(journal, from_beginning=True) as follower:
        assert follower.read() == [b"a"]
        moved = journal.folder.rename(journal.folder.with_name("moved"))
        assert follower.read() == []
        shutil.copytree(moved, journal.folder)
        journal.append(of_stdout(b"b"))
        assert follower.read() == [b"b"]
        assert follower.source.conditions()[NAME].errors == 0


def test_what_journald_dropped(journal: Journal) -> None:
    """It says how much, of the unit alone; anyone may say the same, and is not believed."""
    said = {"_SYSTEMD_UNIT": b"systemd-journald.service", "MESSAGE_ID": b"a596d6fe7bfa4994828e72309e95d61e"}
    suppressed = [
        {
            **said,
            "_TRANSPORT": transport,
            "MESSAGE": b"Suppressed %d messages from %b" % (number, unit),
            "N_DROPPED": b"%d" % number,
            "OBJECT_SYSTEMD_UNIT": unit,
        }
        for number, unit, transport in (
            (7, UNIT.encode(), b"driver"),
            (9, b"other.service", b"driver"),
            (5, UNIT.encode(), b"journal"),
        )
    ]
    journal.append(of_stdout(b"a"), *suppressed, of_stdout(b"b"))
    with following(journal, from_beginning=True) as follower:
        assert follower.read() == [b"a", b"7 events dropped", b"b"]


def test_without_the_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said how to get it."""
    monkeypatch.setitem(sys.modules, "systemd", None)
    with pytest.raises(UsageError, match=r"--journal: .*haproxy-log-exporter\[journal\].*python3-systemd"):
        load_binding()


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("haproxy", "haproxy.service"),
        ("haproxy.service", "haproxy.service"),
        ("haproxy@a.b", "haproxy@a.b.service"),
        ("x.scope", "x.scope"),
        ("docker-1.2", "docker-1.2.service"),
    ],
)
def test_names_of_units(text: str, unit: str) -> None:
    """They may be given without their kind, as to systemctl."""
    settings, problems = read_settings({"journal": [text]}, {})
    assert (settings.journal, problems) == ((unit,), [])
