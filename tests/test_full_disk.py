"""A real `serve` whose state cannot be written for a while."""

import os
import shutil
import signal
import socket
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services import LINES, REQUESTS, append, line, times_said, wait_for
from tests.states import fill, small_disk
from tests.support import Exporter, Samples, run, serving, total, wait_until

POSITION = "haproxy_log_exporter_source_position_bytes"
WRITABLE = "haproxy_log_exporter_state_writable"
FULL = "database or disk is full"

# So long it is watched that nothing happens: some flushes.
WATCHED_SECONDS = 2.2


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Give a log of ten lines."""
    append(tmp_path / "haproxy.log", *[line(path="/before")] * 10)
    return tmp_path / "haproxy.log"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a small disk."""
    with small_disk(tmp_path / "disk", 600) as disk:
        yield disk


@contextmanager
def keeping(log: Path, state: Path) -> Iterator[Exporter]:
    """Serve a log and datagrams with a state."""
    options = ("--syslog", "udp://127.0.0.1:0", "--start", "beginning", "-l", "http_request_path")
    with serving("-f", log, "--state", state, *options) as exporter:
        yield exporter


def send(exporter: Exporter, count: int, path: str) -> None:
    """Send datagrams."""
    port = exporter.syslog_port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(line(path=path), ("127.0.0.1", port))


def readiness(exporter: Exporter) -> tuple[int, str]:
    """Ask whether it is ready."""
    try:
        return 200, exporter.get("/-/ready")[0].decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def counts(samples: Samples) -> dict[str, float]:
    """Tell how many requests there were to each path."""
    return {dict(labels)["http_request_path"]: value for (name, labels), value in samples.items() if name == REQUESTS}


def log_metrics(samples: Samples) -> Samples:
    """Choose what was counted of lines."""
    return {
        key: value
        for key, value in samples.items()
        if (key[0].startswith("haproxy_log_") and not key[0].startswith("haproxy_log_exporter_")) or key[0] == LINES
    }


def wait_until_held_up(exporter: Exporter, state: Path, reason: str) -> None:
    """Wait until it says that it cannot write, everywhere where it should."""
    wait_for(exporter, lambda samples: total(samples, WRITABLE) == 0, "the failure")
    status, body = readiness(exporter)
    assert status == 503
    assert str(state) in body
    assert reason in body
    assert exporter.get("/-/healthy")
    text = "nothing more is read from files and the journal until the state can be written"
    wait_until(lambda: times_said(exporter, text), what="the message")
    assert times_said(exporter, text) == 1


def wait_until_written(exporter: Exporter) -> None:
    """Wait until it says that all is well again."""
    wait_until(lambda: readiness(exporter)[0] == 200, what="the state")
    assert total(exporter.scrape(), WRITABLE) == 1
    wait_until(lambda: times_said(exporter, "the state can be written again"), what="the message")
    assert times_said(exporter, "the state can be written again") == 1


def bytes_read(exporter: Exporter) -> int:
    """Tell how much the process has read by now, of whatever."""
    text = Path(f"/proc/{exporter.process.pid}/io").read_text()
    return int(text.partition("rchar: ")[2].split()[0])


def watch(exporter: Exporter, expected: Samples) -> None:
    """Make sure for a while that what is shown stays as it is."""
    deadline = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < deadline:
        samples = exporter.scrape()
        assert log_metrics(samples) == log_metrics(expected)
        assert total(samples, POSITION) == total(expected, POSITION)
        assert total(samples, WRITABLE) == 0
        time.sleep(0.1)


def test_full_disk_holds_up_and_loses_nothing(log: Path, disk: Path) -> None:
    """Files wait, datagrams are kept, nothing is shown; with room all goes on, and each line counts once."""
    state = disk / "state"
    with keeping(log, state) as exporter:
        exporter.wait_for_lines(10)
        room = fill(disk)
        before = exporter.scrape()
        append(log, line(path="/first"))
        send(exporter, 20, "/datagram")
        wait_until_held_up(exporter, state, FULL)
        taken = bytes_read(exporter)
        with log.open("ab") as file:
            file.write(line(path="/later") * 50_000)
        size = log.stat().st_size
        send(exporter, 30, "/datagram")
        watch(exporter, before)
        assert bytes_read(exporter) - taken < size // 4, "the log is read on"
        room.unlink()
        wait_until_written(exporter)
        expected = {"/before": 10, "/first": 1, "/later": 50_000, "/datagram": 50}
        wait_for(exporter, lambda samples: counts(samples) == expected, "all lines")
        samples = exporter.scrape()
        assert total(samples, LINES, result="counted") == total(samples, LINES) == 50_061
        assert total(samples, POSITION) == size
        assert exporter.stop() == 0
    with keeping(log, state) as exporter:
        assert counts(exporter.scrape()) == expected
        append(log, line(path="/first"))
        wait_for(exporter, lambda samples: counts(samples) == expected | {"/first": 2}, "the next line")


def test_kill_on_a_full_disk_loses_nothing_of_a_file(log: Path, disk: Path) -> None:
    """What was read and not shown is read again; datagrams that were not shown went with the process."""
    state = disk / "state"
    with keeping(log, state) as exporter:
        exporter.wait_for_lines(10)
        room = fill(disk)
        append(log, *[line(path="/after")] * 30)
        send(exporter, 5, "/datagram")
        wait_until_held_up(exporter, state, FULL)
        exporter.stop(signal.SIGKILL)
    append(log, *[line(path="/down")] * 7)
    room.unlink()
    expected = {"/before": 10, "/after": 30, "/down": 7}
    for _ in range(2):
        with keeping(log, state) as exporter:
            wait_for(exporter, lambda samples: counts(samples) == expected, "all lines")
            exporter.stop(signal.SIGKILL)


def test_start_on_a_full_disk_shows_what_was_kept(log: Path, disk: Path) -> None:
    """The totals of before are served, files wait, and with room all goes on; however often it is killed there."""
    state = disk / "state"
    with keeping(log, state) as exporter:
        before = exporter.wait_for_lines(10)
        assert exporter.stop() == 0
    room = fill(disk)
    append(log, *[line(path="/after")] * 30)
    for number in (signal.SIGKILL, signal.SIGKILL):
        with keeping(log, state) as exporter:
            assert log_metrics(exporter.scrape()) == log_metrics(before)
            wait_until_held_up(exporter, state, FULL)
            assert log_metrics(exporter.scrape()) == log_metrics(before)
            exporter.stop(number)
    with keeping(log, state) as exporter:
        wait_until_held_up(exporter, state, FULL)
        room.unlink()
        wait_until_written(exporter)
        wait_for(exporter, lambda samples: counts(samples) == {"/before": 10, "/after": 30}, "all lines")


def test_stop_on_a_full_disk_tells_what_is_missing(log: Path, disk: Path) -> None:
    """It ends with 1 and a line that says why; what was not kept is read by the next one."""
    state = disk / "state"
    with keeping(log, state) as exporter:
        exporter.wait_for_lines(10)
        room = fill(disk)
        append(log, line(path="/after"))
        wait_until_held_up(exporter, state, FULL)
        assert exporter.stop() == 1
        assert exporter.messages[-1] == (
            "haproxy-log-exporter: --state: what was read since the last commit is not in the state: "
            f"cannot write {state}: {FULL}"
        )
    assert times_said(exporter, "Traceback") == 0
    room.unlink()
    with keeping(log, state) as exporter:
        wait_for(exporter, lambda samples: counts(samples) == {"/before": 10, "/after": 1}, "all lines")


def test_new_state_on_a_full_disk_ends_with_1(log: Path, disk: Path) -> None:
    """One line says why, and nothing is left of it."""
    fill(disk)
    done = run("serve", "-f", log, "--state", disk / "state", "--web.listen-address", "127.0.0.1:0")
    assert done.returncode == 1
    [message] = done.stderr.decode().splitlines()
    assert message == f"haproxy-log-exporter: --state: cannot use {disk / 'state'}: {FULL}"
    assert os.listdir(disk) == ["fill"]


def test_state_that_is_gone_holds_up(tmp_path: Path, log: Path) -> None:
    """Nothing more is read or shown while the file is away; once it is back, all goes on."""
    state, aside = tmp_path / "state", tmp_path / "aside"
    with keeping(log, state) as exporter:
        before = exporter.wait_for_lines(10)
        state.rename(aside)
        append(log, *[line(path="/after")] * 30)
        send(exporter, 5, "/datagram")
        wait_until_held_up(exporter, state, "No such file or directory")
        watch(exporter, before)
        aside.rename(state)
        wait_until_written(exporter)
        expected = {"/before": 10, "/after": 30, "/datagram": 5}
        wait_for(exporter, lambda samples: counts(samples) == expected, "all lines")
        assert exporter.stop() == 0
    with keeping(log, state) as exporter:
        assert counts(exporter.scrape()) == expected


def test_state_that_was_replaced_holds_up(tmp_path: Path, log: Path) -> None:
    """Only a restart goes on with the other file; the process does not write to it, and ends with 1."""
    state, other = tmp_path / "state", tmp_path / "other"
    with keeping(log, state) as exporter:
        exporter.wait_for_lines(10)
        exporter.stop()
    shutil.copyfile(state, other)
    with keeping(log, state) as exporter:
        before = exporter.scrape()
        os.replace(other, state)
        append(log, *[line(path="/after")] * 30)
        wait_until_held_up(exporter, state, "it was replaced by another file; only a restart goes on with that")
        watch(exporter, before)
        assert exporter.stop() == 1
    with keeping(log, state) as exporter:
        wait_for(exporter, lambda samples: counts(samples) == {"/before": 10, "/after": 30}, "all lines")
