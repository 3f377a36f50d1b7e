"""Stopping with a state: what was read is kept, within its time, and impatience is heard."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from haproxy_log_exporter import service as service_module
from haproxy_log_exporter.state import State
from tests.services import LINES, REQUESTS, append, line, make_service, running, times_said
from tests.states import opened
from tests.support import Exporter, serving, total, wait_until

# It takes about one; a busy machine may take longer.
MOST_SECONDS = 5.0


@contextmanager
def writing(log: Path) -> Iterator[list[int]]:
    """Write lines to a log all the time; how many is told when it is over."""
    written = [0]
    over = threading.Event()

    def write() -> None:
        with log.open("ab", buffering=0) as file:
            while not over.wait(0.001):
                file.write(line() * 20)
                written[0] += 20

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        over.set()
        thread.join()


def stop_in_time(exporter: Exporter, number: int) -> int:
    """End it by a signal; give its exit status."""
    began = time.monotonic()
    status = exporter.stop(number)
    assert time.monotonic() - began < MOST_SECONDS
    return status


def test_stop_under_traffic_keeps_what_was_read(tmp_path: Path) -> None:
    """It ends with 0 within its time; all lines up to the position are in the totals, and no other."""
    log, path = tmp_path / "haproxy.log", tmp_path / "state"
    options = ("-f", log, "--state", path, "--start", "beginning")
    with writing(log) as written:
        for _ in range(3):
            with serving(*options) as exporter:
                shown = total(exporter.scrape(), LINES)
                exporter.wait_for_lines(int(shown) + 500)
                assert stop_in_time(exporter, signal.SIGTERM) == 0
            assert times_said(exporter, "Traceback") == 0
            state = State(str(path))
            state.start()
            counted = state.counters["counted", str(log)]
            [mark] = state.streams[str(log)].marks
            state.stop()
            assert counted * len(line()) == mark.position
            assert counted >= shown + 500
    with serving(*options) as exporter:
        samples = exporter.wait_for_lines(written[0])
        assert total(samples, REQUESTS) == total(samples, LINES) == written[0]
        before = {key: value for key, value in samples.items() if key[0].startswith("haproxy_log_requests")}
        assert stop_in_time(exporter, signal.SIGTERM) == 0
    with serving(*options) as exporter:
        samples = exporter.scrape()
        assert before.items() <= samples.items()
        assert total(samples, LINES) == written[0]


def test_last_lines_are_kept_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that wait for their flush are in the state once the service has ended."""
    monkeypatch.setattr(service_module, "FLUSH_SECONDS", 3_600.0)
    log, path = tmp_path / "haproxy.log", tmp_path / "state"
    log.touch()
    service = make_service(files=[str(log)], start=["beginning"], state=[str(path)])
    with running(service):
        append(log, *[line()] * 5)
        wait_until(lambda: service.pipeline.pending == 5, what="the lines")
    with opened(path) as book:
        assert book.state.counters["counted", str(log)] == 5
        assert book.state.streams[str(log)].marks[-1].position == log.stat().st_size


# A `serve` whose commits hang as long as a file is there, and which says so on standard error.
HANGING = """
import os, sys, time
from haproxy_log_exporter import cli, service, state

hangs, seconds = sys.argv.pop(1), float(sys.argv.pop(1))

class Hanging(state.State):
    def commit(self, commit):
        while os.path.exists(hangs):
            print("the commit hangs", file=sys.stderr, flush=True)
            time.sleep(0.05)
        super().commit(commit)

service.State = Hanging
service._LAST_SECONDS = seconds
cli.main()
"""


@contextmanager
def serving_on_a_disk_that_hangs(tmp_path: Path, seconds: float) -> Iterator[Exporter]:
    """Run a `serve` that has read a line, shown it, read another one, and hangs in its commit."""
    log, hangs = tmp_path / "haproxy.log", tmp_path / "hangs"
    append(log, line())
    options = ["-f", log, "--state", tmp_path / "state", "--start", "beginning", "--web.listen-address", "127.0.0.1:0"]
    arguments = [sys.executable, "-c", HANGING, hangs, str(seconds), "serve", "--log.format", "json", *options]
    exporter = Exporter(subprocess.Popen([*map(str, arguments)], stderr=subprocess.PIPE, text=True))
    try:
        exporter.wait_for_lines(1)
        hangs.touch()
        append(log, line())
        wait_until(lambda: times_said(exporter, "the commit hangs"), what="the commit")
        yield exporter
    finally:
        exporter.stop(signal.SIGKILL)


def test_scrapes_are_answered_while_a_commit_hangs(tmp_path: Path) -> None:
    """They show what was committed before; with the disk back, all goes on."""
    with serving_on_a_disk_that_hangs(tmp_path, 60) as exporter:
        assert total(exporter.scrape(), LINES) == 1
        assert exporter.get("/-/ready")
        append(tmp_path / "haproxy.log", line())
        (tmp_path / "hangs").unlink()
        assert total(exporter.wait_for_lines(3), REQUESTS) == 3
        assert exporter.stop() == 0


def test_last_commit_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """The end comes in time, with 1 and the reason; the lines are read again by the next one."""
    with serving_on_a_disk_that_hangs(tmp_path, service_module._LAST_SECONDS) as exporter:
        assert stop_in_time(exporter, signal.SIGTERM) == 1
        told = [message for message in exporter.messages if message != "the commit hangs"]
        path = tmp_path / "state"
        assert told[-1] == (
            "haproxy-log-exporter: --state: what was read since the last commit is not in the state: "
            f"{path} takes too long to write"
        )
    with serving("-f", tmp_path / "haproxy.log", "--state", path) as exporter:
        assert total(exporter.wait_for_lines(2), REQUESTS) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_stops_at_once(tmp_path: Path, number: int) -> None:
    """While the last commit hangs, with 128 and the signal; what was not committed is read again."""
    with serving_on_a_disk_that_hangs(tmp_path, 600) as exporter:
        exporter.process.send_signal(number)
        time.sleep(2 * service_module._TWICE_SECONDS)
        assert exporter.process.poll() is None
        assert stop_in_time(exporter, number) == 128 + number
    with serving("-f", tmp_path / "haproxy.log", "--state", tmp_path / "state") as exporter:
        assert total(exporter.wait_for_lines(2), REQUESTS) == 2


def test_two_signals_at_once_are_one(tmp_path: Path) -> None:
    """timeout(1) sends it to the process and to its group: only what comes later is impatience."""
    service = make_service(files=[str(tmp_path / "haproxy.log")])
    with pytest.MonkeyPatch.context() as patch:
        statuses: list[int] = []
        patch.setattr(os, "_exit", statuses.append)
        for moment in (100.0, 100.01, 100.09):
            patch.setattr(time, "monotonic", lambda moment=moment: moment)
            service._on_signal(signal.SIGTERM, None)
            assert statuses == []
        patch.setattr(time, "monotonic", lambda: 100.2)
        service._on_signal(signal.SIGINT, None)
        assert statuses == [130]
    service.run()  # it was asked to stop
