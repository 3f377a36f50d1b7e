"""The journal followed by a real `serve`: killed, restarted, held up, and with a real journald behind HAProxy."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.integration.configured_site import BEGIN, get, open_doors
from tests.integration.haproxy import Door, HAProxy, number
from tests.integration.journald import Journald, running_as, running_journald
from tests.services import LINES, REQUESTS, line, times_said, wait_for
from tests.sources.journals import UNIT, Journal, Writer, need_journals, of_stdout, of_syslog
from tests.states import fill, small_disk
from tests.support import EACH_PATH, Exporter, Samples, need, run, serving, total, wait_until

_SOURCE = f"journal:{UNIT}"
_PATHS = "http_request_path"


@pytest.fixture(autouse=True)
def _programs() -> None:
    need_journals()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Give a journal in which nothing is yet."""
    (tmp_path / "journal").mkdir()
    return Journal(tmp_path / "journal")


@contextmanager
def _following(journal: Journal, *options: str | Path) -> Iterator[Exporter]:
    places = ("--journal", UNIT, "--journal-directory", journal.folder)
    with serving(*places, "--labels", _PATHS, *EACH_PATH, *options) as exporter:
        assert exporter.port
        yield exporter


def _line(path: str) -> bytes:
    return line(path=path).rstrip(b"\n")


def _counts(samples: Samples) -> dict[str, float]:
    return {dict(labels)[_PATHS]: value for (name, labels), value in samples.items() if name == REQUESTS}


def _wait_for_counts(exporter: Exporter, expected: dict[str, float]) -> Samples:
    return wait_for(exporter, lambda samples: _counts(samples) == expected, f"{expected}")


def test_from_the_end_and_from_the_beginning(journal: Journal, tmp_path: Path) -> None:
    """What was there counts for whoever asks for it; what comes, for all; of other units nothing."""
    journal.append(of_stdout(_line("/old")), of_syslog(_line("/old")), of_stdout(_line("/other"), "nginx.service"))
    with (
        _following(journal) as end,
        _following(journal, "--start", "beginning") as beginning,
        _following(journal, "--start", "beginning", "--state", tmp_path / "state") as keeping,
    ):
        journal.append(of_stdout(_line("/other"), "nginx.service"), of_stdout(_line("/new")), of_syslog(_line("/new")))
        for exporter in (beginning, keeping):
            samples = _wait_for_counts(exporter, {"/old": 2, "/new": 2})
            assert total(samples, LINES, result="counted", source=_SOURCE) == total(samples, LINES) == 4
        _wait_for_counts(end, {"/new": 2})


def test_what_messages_may_be(journal: Journal) -> None:
    """Whatever an entry holds, it is accounted for, and what follows it counts."""
    journal.append(
        of_stdout(b"\x00\xff\x1b"),
        of_stdout(_line("/a") + b"\n" + _line("/b") + b"\n"),
        of_stdout(b""),
        of_stdout(None),
        of_stdout(_line("/" + "c" * 70_000)),
        of_stdout(b"<134>Nov 20 04:30:27 haproxy[1]: " + _line("/d")),
        of_syslog(_line("/e")),
    )
    with _following(journal, "--start", "beginning") as exporter:
        samples = _wait_for_counts(exporter, {"/a": 1, "/b": 1, "/d": 1, "/e": 1})
    assert total(samples, LINES, result="counted") == 4
    assert total(samples, LINES, result="rejected") == 2


def test_facility(journal: Journal) -> None:
    """Of two loggers one is read, though journald takes off what tells them apart."""
    journal.append(of_syslog(_line("/a")), of_syslog(_line("/b"), facility=17), of_stdout(_line("/c")))
    with _following(journal, "--start", "beginning", "--facility", "local0") as exporter:
        samples = _wait_for_counts(exporter, {"/a": 1, "/c": 1})
    assert total(samples, LINES, result="filtered") == 1


def test_each_entry_counts_once_over_restarts(journal: Journal, tmp_path: Path) -> None:
    """Also those of while it was down, in files that were rotated; with the last one read vacuumed away, the next."""
    state = tmp_path / "state"
    with _following(journal, "--state", state) as exporter:
        _wait_for_counts(exporter, {})
        assert exporter.stop() == 0
    journal.append(of_stdout(_line("/a")))
    with _following(journal, "--state", state) as exporter:
        _wait_for_counts(exporter, {"/a": 1})
        journal.append(of_stdout(_line("/b")))
        _wait_for_counts(exporter, {"/a": 1, "/b": 1})
        assert exporter.stop() == 0
    for path in ("/c", "/d"):
        journal.append(of_stdout(_line(path)))
        journal.rotate()
    with _following(journal, "--state", state) as exporter:
        _wait_for_counts(exporter, {"/a": 1, "/b": 1, "/c": 1, "/d": 1})
        assert exporter.stop() == 0
    journal.append(of_stdout(b"nobody reads this"))
    journal.rotate()
    journal.append(of_stdout(_line("/e")), of_stdout(_line("/f")))
    journal.vacuum(1)
    with _following(journal, "--state", state) as exporter:
        samples = _wait_for_counts(exporter, dict.fromkeys(("/a", "/b", "/c", "/d", "/e", "/f"), 1))
    assert total(samples, LINES) == 6


def _write_on(journal: Journal, stop: threading.Event, written: list[int]) -> None:
    """Write entries to a journal, and rotate it now and then, until told to stop."""
    random = Random(1)
    while not stop.is_set():
        with journal.writing() as writer:
            for _ in range(random.randrange(20, 60)):
                _write_some(writer, written, random.randrange(1, 20))
                stop.wait(0.01)
        journal.rotate()


def _write_some(writer: Writer, written: list[int], count: int) -> None:
    start = len(written)
    writer.append(*(of_stdout(_line(f"/{each % 50}")) for each in range(start, start + count)))
    written.extend(range(start, start + count))


def test_each_entry_counts_once_however_often_it_is_killed(journal: Journal, tmp_path: Path) -> None:
    """At any moment, while entries are written and files rotated; what was shown is never taken back."""
    random = Random(7)
    written: list[int] = []
    stop = threading.Event()
    journal.append(of_stdout(b"it begins", "other.service"))
    writer = threading.Thread(target=_write_on, args=(journal, stop, written))
    writer.start()
    shown = 0.0
    try:
        for _ in range(6):
            with _following(journal, "--state", tmp_path / "state", "--start", "beginning") as exporter:
                deadline = time.monotonic() + random.uniform(0.1, 2.0)
                while time.monotonic() < deadline:
                    now = total(exporter.scrape(), REQUESTS)
                    assert now >= shown
                    shown = now
                exporter.process.kill()
                exporter.process.wait()
    finally:
        stop.set()
        writer.join(30)
    assert shown > 0
    with _following(journal, "--state", tmp_path / "state", "--start", "beginning") as exporter:
        expected = {f"/{path}": float(len(range(path, len(written), 50))) for path in range(50)}
        samples = _wait_for_counts(exporter, expected)
    assert total(samples, LINES) == len(written)


def _open_files(exporter: Exporter) -> set[Path]:
    """Tell which files it has open; of a journal, those that it has seen."""
    links = Path(f"/proc/{exporter.process.pid}/fd").iterdir()
    return {link.resolve() for link in links}


def test_a_state_that_cannot_be_written(journal: Journal, tmp_path: Path) -> None:
    """Nothing is read meanwhile, and nothing is lost: with room, each entry counts once."""
    with (
        small_disk(tmp_path / "disk", 600) as disk,
        _following(journal, "--state", disk / "state", "--start", "beginning") as exporter,
    ):
        journal.append(*(of_stdout(_line("/before")) for _ in range(10)))
        _wait_for_counts(exporter, {"/before": 10})
        room = fill(disk)
        journal.append(of_stdout(_line("/first")))
        wait_for(exporter, lambda samples: total(samples, "haproxy_log_exporter_state_writable") == 0, "the failure")
        journal.append(*(of_stdout(_line("/later")) for _ in range(9_000)))
        journal.rotate()
        for _ in range(10):
            assert _counts(exporter.scrape()) == {"/before": 10}
            assert journal.folder / "system.journal" not in _open_files(exporter)
            time.sleep(0.1)
        room.unlink()
        samples = _wait_for_counts(exporter, {"/before": 10, "/first": 1, "/later": 9_000})
        assert journal.folder / "system.journal" in _open_files(exporter)
        assert total(samples, LINES) == 9_011
        wait_until(lambda: times_said(exporter, "the state can be written again"), what="the message")


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A directory that is not there ends it at once, and says which."""
    done = run(
        "serve", "--web.listen-address", "127.0.0.1:0", "-j", "haproxy", "--journal-directory", tmp_path / "none"
    )
    assert done.returncode == 1
    assert b"--journal" in done.stderr
    assert str(tmp_path / "none").encode() in done.stderr
    assert b"Traceback" not in done.stderr


def test_without_the_binding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is wrong usage, told with how to get it; all else works without."""
    (tmp_path / "systemd.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    done = run("serve", "--journal", "haproxy")
    assert done.returncode == 2
    assert b"python3-systemd" in done.stderr
    assert b"Traceback" not in done.stderr
    with serving("--syslog", "udp://127.0.0.1:0") as exporter:
        assert exporter.syslog_port


_SITE = """\
    option httplog
frontend web
    bind fd@{web.fd}
    http-request return status 404 content-type text/plain string "not here" if {{ path_beg /404 }}
    http-request return status 200 content-type text/plain string hello
"""


def _dropped(haproxy: HAProxy) -> int:
    """Say how much HAProxy could not hand to journald at once, which it does not wait for."""
    return int(haproxy.info()["DroppedLogs"])


def _wait_for_requests(exporter: Exporter, haproxy: HAProxy, count: int) -> Samples:
    def there(samples: Samples) -> bool:
        return total(samples, REQUESTS) + _dropped(haproxy) == count

    return wait_for(exporter, there, f"{count} requests")


def _follow_a_rotation(door: Door, haproxy: HAProxy, journald: Journald, goal: int, *options: str | Path) -> None:
    """Make requests, the last of them after a rotation, and wait until all have been counted."""
    with serving("-j", "haproxy", *options) as exporter:
        assert exporter.port  # from now on it reads what comes
        for behind in (5, 1):  # no more at a time than the kernel queues of datagrams to a path, ten
            for path in ("/", "/404") * 2:
                get(door, path)
            _wait_for_requests(exporter, haproxy, goal - behind)
        journald.rotate()
        get(door, "/404")
        _wait_for_requests(exporter, haproxy, goal)
        assert exporter.stop() == 0


@pytest.mark.parametrize("way", ["syslog", "stdout"])
def test_haproxy_as_a_service(tmp_path: Path, way: str) -> None:
    """What journald keeps of HAProxy's log, by /dev/log or by its standard output, is what HAProxy has sent."""
    need("haproxy")
    with running_journald() as journald, open_doors("web") as doors:
        log = f"{journald.syslog} local0" if way == "syslog" else "stdout format raw local0"
        config = tmp_path / "haproxy.cfg"
        begin = BEGIN.replace('"127.0.0.1:${{LOG_PORT}}" len 8192 local0', log)
        config.write_text((begin + _SITE).format(folder=tmp_path, **doors))
        options = ("--journal-directory", journald.directory, "--state", tmp_path / "state", "-l", "status_code")
        with running_as(UNIT, config, doors, journald) as haproxy:
            for goal in (9, 18):
                _follow_a_rotation(doors["web"], haproxy, journald, goal, *options)
                journald.rotate()
            for path in ("/", "/404"):
                get(doors["web"], path)
            wait_until(haproxy.is_idle, what="HAProxy's last session")
            [row] = [row for row in haproxy.rows() if row["svname"] == "FRONTEND"]
            dropped = _dropped(haproxy)
            with serving("-j", "haproxy", *options) as exporter:
                samples = _wait_for_requests(exporter, haproxy, 20)
    by_status = {status: total(samples, REQUESTS, status_code=status) for status in ("200", "404")}
    assert (number(row, "hrsp_2xx"), number(row, "hrsp_4xx")) == (9, 11)
    assert sum(by_status.values()) == 20 - dropped
    assert by_status["200"] <= 9
    assert by_status["404"] <= 11
    assert total(samples, LINES, result="rejected") == 0
