"""Options read again while a state is kept: kills at any moment, disks that are full, and disks that are slow."""

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from haproxy_log_exporter import reloading
from haproxy_log_exporter import service as service_module
from haproxy_log_exporter.state import Commit, State
from tests.reloads import BYTES, MANY, SUCCEEDED, TAKEN, Site, Traffic, site
from tests.services import LINES, REQUESTS, append, line, make_service, running, shown, times_said, wait_for
from tests.states import fill, small_disk
from tests.support import Exporter, Samples, serving, total, wait_until

PUT_OFF = "the configuration is read again once the state can be written: "
FULL = "database or disk is full"
FLUSHES = "haproxy_log_exporter_flush_duration_seconds_count"
WRITABLE = "haproxy_log_exporter_state_writable"


@contextmanager
def again(served: Site, state: Path) -> Iterator[Exporter]:
    """Run `serve` once more, by the configuration that is there now."""
    with serving("-f", served.log, "--config", served.config, "--state", state) as exporter:
        yield exporter


def requests(samples: Samples, label: str) -> dict[str, float]:
    """Count requests by a label; none where they are not counted by it."""
    return {dict(labels).get(label, ""): value for (name, labels), value in samples.items() if name == REQUESTS}


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_right_after_it(tmp_path: Path, seed: int) -> None:
    """Whatever was just taken over, the next process goes on by it: each line counts once."""
    state, chance = tmp_path / "state", random.Random(seed)
    with site(tmp_path, MANY[0], "--start", "beginning", "--state", state) as served:
        served.exporter.stop()
    traffic, seen = Traffic(served.log, 0), 0.0
    with traffic.flowing():
        for config in chance.sample(MANY[1:], 2):
            with again(served, state) as exporter:
                samples = wait_for(exporter, lambda found: total(found, BYTES) > seen, "more")  # noqa: B023 -- waited for
                seen = total(samples, BYTES)
                served.configure(config)
                exporter.process.send_signal(signal.SIGHUP)
                if chance.random() < 0.5:  # else at any moment of it
                    wait_until(lambda: times_said(exporter, TAKEN), what="the reload")
                exporter.stop(signal.SIGKILL)
            with again(served, state) as exporter:
                assert total(exporter.scrape(), BYTES) >= seen
    with again(served, state) as exporter:
        samples = exporter.wait_for_lines(traffic.written)
    counted = traffic.written - total(samples, LINES, result="filtered")
    assert total(samples, LINES) == traffic.written
    assert total(samples, LINES, result="counted") == counted
    assert total(samples, BYTES) == 228 * counted


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 600) as disk:
        yield disk


OLD = {"labels": ["status_code"], "metrics": ["requests_total"]}
NEW = {"labels": ["backend_name"], "metrics": ["requests_total"]}


def test_reload_without_traffic_waits_for_room(tmp_path: Path, disk: Path) -> None:
    """It is told once; what was read before counts until there is room, and then the reload happens by itself."""
    with site(tmp_path, OLD, "--state", disk / "state") as served:
        exporter = served.exporter
        append(served.log, line(200))
        # How long a flush took is kept with the next one; after that there is nothing to be kept.
        wait_for(exporter, lambda found: total(found, FLUSHES) == 1, "the end of writing")
        room = fill(disk)
        served.configure(NEW)
        message = served.hang_up(PUT_OFF)
        assert message.endswith(f"cannot write {disk / 'state'}: {FULL}")
        samples = exporter.scrape()
        assert requests(samples, "status_code") == {"200": 1}
        assert total(samples, SUCCEEDED) == 1
        room.unlink()
        wait_until(lambda: times_said(exporter, TAKEN), what="the reload")
        append(served.log, line(200))
        wait_for(exporter, lambda found: requests(found, "backend_name") == {"bk": 1}, "the next line")
        assert (times_said(exporter, PUT_OFF), times_said(exporter, TAKEN)) == (1, 1)
        assert exporter.stop() == 0
    with again(served, disk / "state") as exporter:
        assert requests(exporter.scrape(), "backend_name") == {"bk": 1}


def test_reload_under_traffic_waits_for_room(tmp_path: Path, disk: Path) -> None:
    """Lines that could not be kept count by what was read before; none is lost, none counts twice."""
    with site(tmp_path, OLD, "--state", disk / "state") as served:
        exporter = served.exporter
        append(served.log, line(200))
        exporter.wait_for_lines(1)
        room = fill(disk)
        append(served.log, *[line(404)] * 20)
        wait_for(exporter, lambda found: total(found, WRITABLE) == 0, "the failure")
        append(served.log, *[line(404)] * 30)
        served.configure(NEW)
        served.hang_up(PUT_OFF)
        assert times_said(exporter, TAKEN) == 0
        room.unlink()
        wait_until(lambda: times_said(exporter, TAKEN), what="the reload")
        append(served.log, line(503))
        samples = exporter.wait_for_lines(52)
        assert total(samples, LINES, result="counted") == total(samples, LINES) == 52
        assert requests(samples, "backend_name").keys() == {"bk"}
        assert times_said(exporter, "the totals of requests_total are dropped, for their labels were status_code") == 1
        assert exporter.stop() == 0
    assert times_said(exporter, "Traceback") == 0


def test_kill_while_it_waits(tmp_path: Path, disk: Path) -> None:
    """The next process reads the new configuration, and all lines that were not kept."""
    config = OLD | {"metrics": ["requests_total", "bytes_read_total"]}
    own = {"requests_total": {"labels": ["backend_name"]}, "bytes_read_total": None}
    with site(tmp_path, config, "--state", disk / "state") as served:
        append(served.log, line(200))
        served.exporter.wait_for_lines(1)
        room = fill(disk)
        append(served.log, *[line(200)] * 20)
        served.configure({"labels": ["status_code"], "metrics": own})
        served.hang_up(PUT_OFF)
        served.exporter.stop(signal.SIGKILL)
    room.unlink()
    with again(served, disk / "state") as exporter:
        samples = exporter.wait_for_lines(21)
    assert total(samples, BYTES, status_code="200") == 228 * 21
    assert requests(samples, "backend_name") == {"bk": 20}


class _SlowDisk:
    """Lets each commit take its time: until it is let go, or for so long."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self.commits = 0
        self._turn = threading.Event()
        commit = State.commit

        def take_time(state: State, given: Commit) -> None:
            self.commits += 1
            self._turn.wait(self.seconds)
            commit(state, given)

        monkeypatch.setattr(State, "commit", take_time)


@pytest.fixture(name="slow")
def _slow(monkeypatch: pytest.MonkeyPatch) -> _SlowDisk:
    monkeypatch.setattr(service_module, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(reloading, "send_messages", lambda *_: None)
    return _SlowDisk(monkeypatch)


@pytest.mark.parametrize("patience", [0.05, 5.0])
def test_commits_that_take_longer_than_flushes(
    tmp_path: Path, slow: _SlowDisk, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """A reload is never in the way of one, however many are asked for, and comes to its turn under traffic."""
    monkeypatch.setattr(service_module, "_RELOAD_SECONDS", patience)
    log, config = tmp_path / "haproxy.log", tmp_path / "config.yml"
    log.touch()
    config.write_text("labels: [status_code]\n")
    service = make_service(files=[str(log)], config=[str(config)], state=[str(tmp_path / "state")])
    hang_up = service._on_reload
    with running(service):
        slow.seconds = 0.1
        config.write_text("labels: [backend_name]\n")
        number = 15
        for _ in range(number):
            append(log, line())
            hang_up(signal.SIGHUP, None)
            before = slow.commits
            wait_until(lambda: slow.commits > before, what="a commit")  # noqa: B023 -- waited for at once
        if patience < slow.seconds:
            slow.seconds = 0.0

        def is_new() -> bool:
            nonlocal number
            append(log, line())
            number += 1
            return total(shown(service), REQUESTS, backend_name="bk") > 0

        wait_until(is_new, what="the configuration")
        wait_until(lambda: _counted(service) == number, what="all lines")


def _counted(service: service_module.Service) -> int:
    (tally,) = service.pipeline.shown().tallies.values()
    return tally.counted
