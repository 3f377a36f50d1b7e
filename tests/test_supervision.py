"""What systemd is told, by a service with a clock of its own."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from haproxy_log_exporter.supervision import Supervisor
from tests.support import wait_until
from tests.systemd import NotifySocket, listening_to, nobody_reading

PROCESS = 4711
Environment = dict[str, str]


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Say what time it is."""
        return self.now


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    """Somebody who is told."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@haproxy-log-exporter-{os.getpid()}"
    with listening_to(address) as heard:
        yield heard


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


def supervised(address: str, clock: Clock, **variables: str) -> Supervisor:
    """Make one that knows where to tell."""
    return Supervisor({"NOTIFY_SOCKET": address, **variables}, PROCESS, clock)


def hear(systemd: NotifySocket, *messages: str) -> None:
    """Wait until just this was heard."""
    wait_until(lambda: len(systemd.heard) >= len(messages), what=str(messages))
    assert systemd.messages() == [*messages]


def test_states_are_told(systemd: NotifySocket, clock: Clock) -> None:
    """Ready, reloading with its time in microseconds, as Type=notify-reload wants it, ready again, and stopping."""
    supervisor = supervised(systemd.address, clock)
    before = time.monotonic_ns() // 1000
    supervisor.ready()
    supervisor.reloading()
    supervisor.ready()
    supervisor.stopping()
    systemd.wait_for("STOPPING=1")
    first, reloading, *rest = systemd.messages()
    assert [first, *rest] == ["READY=1", "READY=1", "STOPPING=1"]
    word, _, moment = reloading.partition("\nMONOTONIC_USEC=")
    assert word == "RELOADING=1"
    assert before <= int(moment) <= time.monotonic_ns() // 1000


def test_beats_at_half_the_interval(systemd: NotifySocket, clock: Clock) -> None:
    """However often the loop goes round; and it is to wait no longer than until the next beat."""
    supervisor = supervised(systemd.address, clock, WATCHDOG_USEC="3000000", WATCHDOG_PID=str(PROCESS))
    beats = 0
    for turn in range(100):
        clock.now = 1000 + turn * 0.125
        supervisor.beat(lambda: "fine")
        beats += turn * 0.125 % 1.5 == 0
        assert supervisor.wait_seconds(60) == pytest.approx(1.5 - turn * 0.125 % 1.5)
        assert supervisor.wait_seconds(0.01) == 0.01
    supervisor.stopping()
    systemd.wait_for("STOPPING=1")
    assert len(systemd.times("WATCHDOG=1")) == beats == 9
    clock.now += 100
    assert supervisor.wait_seconds(60) == 0


def test_status_is_told_from_time_to_time(systemd: NotifySocket, clock: Clock) -> None:
    """At once, then every ten seconds; it is not made where nobody hears it. Without a watchdog nothing beats."""
    supervisor = supervised(systemd.address, clock)
    made = iter("abcdef")
    for seconds in (0, 1, 9.9, 10, 19, 20.5):
        clock.now = 1000 + seconds
        supervisor.beat(lambda: next(made))
        assert supervisor.wait_seconds(60) == 60
    hear(systemd, "STATUS=a", "STATUS=b", "STATUS=c")


def test_status_is_text(systemd: NotifySocket, clock: Clock) -> None:
    """Whatever a path's name holds."""
    supervised(systemd.address, clock).beat(lambda: "é \udcff …")
    hear(systemd, "STATUS=é ? …")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": ""},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "1s"},
        {"WATCHDOG_PID": str(PROCESS)},
    ],
)
def test_no_watchdog(systemd: NotifySocket, clock: Clock, variables: Environment) -> None:
    """It is not wanted, or of another process."""
    supervisor = supervised(systemd.address, clock, **variables)
    supervisor.beat(lambda: "fine")
    assert supervisor.wait_seconds(60) == 60
    hear(systemd, "STATUS=fine")


def test_watchdog_without_a_process(systemd: NotifySocket, clock: Clock) -> None:
    """Where WATCHDOG_PID is not set, it is for whoever reads it."""
    supervised(systemd.address, clock, WATCHDOG_USEC="1000000").beat(lambda: "fine")
    hear(systemd, "WATCHDOG=1", "STATUS=fine")


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@haproxy-log-exporter-nobody", "/" + "x" * 200])
def test_nobody_hears(address: str, clock: Clock) -> None:
    """It goes on without; nor is there anything to wait for where there is no address."""
    supervisor = supervised(address, clock, WATCHDOG_USEC="1000000")
    supervisor.ready()
    supervisor.beat(lambda: "fine")
    supervisor.reloading()
    supervisor.stopping()
    assert supervisor.wait_seconds(60) == (0.5 if address else 60)


def test_not_asked_to_tell(clock: Clock) -> None:
    """Without a socket's address no status is made."""
    supervisor = Supervisor({"WATCHDOG_USEC": "1000000"}, PROCESS, clock)
    supervisor.beat(lambda: pytest.fail("made for nobody"))


def test_nobody_reads(tmp_path: Path, clock: Clock) -> None:
    """Where the socket is full, each message is given up after a second at the most."""
    with nobody_reading(tmp_path / "notify"):
        began = time.monotonic()
        supervised(str(tmp_path / "notify"), clock).ready()
        assert time.monotonic() - began < 3
