"""What systemd is told, by a service with a clock of its own."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
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


Supervised = Callable[..., Supervisor]


@pytest.fixture
def supervised(clock: Clock) -> Iterator[Supervised]:
    """Make those who know where to tell; they are stopped after the test."""
    with ExitStack() as stack:

        def make(address: str, **variables: str) -> Supervisor:
            supervisor = Supervisor({"NOTIFY_SOCKET": address, **variables}, PROCESS, clock)
            stack.callback(supervisor.stop)
            return supervisor

        yield make


def hear(systemd: NotifySocket, *messages: str) -> None:
    """Wait until just this was heard."""
    wait_until(lambda: len(systemd.heard) >= len(messages), what=str(messages))
    assert systemd.messages() == [*messages]


def test_states_are_told(systemd: NotifySocket, supervised: Supervised) -> None:
    """Ready, reloading with its time in microseconds, as Type=notify-reload wants it, ready again, and stopping."""
    supervisor = supervised(systemd.address)
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


def test_beats_at_half_the_interval(systemd: NotifySocket, supervised: Supervised, clock: Clock) -> None:
    """However often the loop goes round; and it is to wait no longer than until the next beat."""
    supervisor = supervised(systemd.address, WATCHDOG_USEC="3000000", WATCHDOG_PID=str(PROCESS))
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


def test_status_is_told_from_time_to_time(systemd: NotifySocket, supervised: Supervised, clock: Clock) -> None:
    """At once, then every ten seconds; it is not made where nobody hears it. Without a watchdog nothing beats."""
    supervisor = supervised(systemd.address)
    made = iter("abcdef")
    for seconds in (0, 1, 9.9, 10, 19, 20.5):
        clock.now = 1000 + seconds
        supervisor.beat(lambda: next(made))
        assert supervisor.wait_seconds(60) == 60
    hear(systemd, "STATUS=a", "STATUS=b", "STATUS=c")


def test_status_is_text(systemd: NotifySocket, supervised: Supervised) -> None:
    """Whatever a path's name holds."""
    supervised(systemd.address).beat(lambda: "é \udcff …")
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
def test_no_watchdog(systemd: NotifySocket, supervised: Supervised, variables: Environment) -> None:
    """It is not wanted, or of another process."""
    supervisor = supervised(systemd.address, **variables)
    supervisor.beat(lambda: "fine")
    assert supervisor.wait_seconds(60) == 60
    hear(systemd, "STATUS=fine")


def test_watchdog_without_a_process(systemd: NotifySocket, supervised: Supervised) -> None:
    """Where WATCHDOG_PID is not set, it is for whoever reads it."""
    supervised(systemd.address, WATCHDOG_USEC="1000000").beat(lambda: "fine")
    hear(systemd, "WATCHDOG=1", "STATUS=fine")


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@haproxy-log-exporter-nobody", "/" + "x" * 200])
def test_nobody_hears(address: str, supervised: Supervised) -> None:
    """It goes on without; nor is there anything to wait for where there is no address."""
    supervisor = supervised(address, WATCHDOG_USEC="9000000")
    supervisor.ready()
    supervisor.beat(lambda: "fine")
    supervisor.reloading()
    supervisor.stopping()
    assert supervisor.wait_seconds(60) == (0.5 if address else 60)


def test_not_asked_to_tell(clock: Clock) -> None:
    """Without a socket's address no status is made."""
    supervisor = Supervisor({"WATCHDOG_USEC": "1000000"}, PROCESS, clock)
    supervisor.beat(lambda: pytest.fail("made for nobody"))


def test_nobody_reads(tmp_path: Path, supervised: Supervised) -> None:
    """Where the socket is full, what is told once waits for a second at the most; beats and status hardly."""
    with nobody_reading(tmp_path / "notify"):
        supervisor = supervised(str(tmp_path / "notify"), WATCHDOG_USEC="9000000")
        began = time.monotonic()
        supervisor.beat(lambda: "fine")
        assert time.monotonic() - began < 0.5
        assert supervisor.wait_seconds(60) == 0.5, "a beat that nobody heard is tried again soon"
        began = time.monotonic()
        supervisor.ready()
        assert 0.5 < time.monotonic() - began < 3


def test_a_socket_that_is_full_for_a_moment(tmp_path: Path, supervised: Supervised) -> None:
    """That it is ready is told once, so it is not lost."""
    path = tmp_path / "notify"
    supervisor = supervised(str(path))
    with nobody_reading(path) as full:
        reader = threading.Timer(0.2, full.recv, (10,))
        reader.start()
        supervisor.ready()
        reader.join()
        heard = [full.recv(10)]
        full.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                heard.append(full.recv(10))
        assert heard[-1] == b"READY=1"
