"""A real `serve` tells systemd how it stands."""

import itertools
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import append, line
from tests.support import serving, wait_until
from tests.systemd import NotifySocket, listening_to, nobody_reading

# Seconds that a loop under load may be late. systemd waits twice as long as the time between beats.
LATE = 0.5


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotifySocket]:
    """Somebody whom all services of a test tell."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@haproxy-log-exporter-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with listening_to(address) as heard:
        yield heard


def test_from_start_to_end(systemd: NotifySocket, tmp_path: Path) -> None:
    """Ready once all is open, its status, a reload, and its end."""
    log = tmp_path / "haproxy.log"
    append(log, line(), b"garbage\n")
    with serving("-f", log, "--start", "beginning", "--syslog", "udp://127.0.0.1:0") as exporter:
        systemd.wait_for("READY=1")
        assert exporter.get("/-/ready")[0] == b"ready\n"
        assert exporter.get("/metrics")[0]
        systemd.wait_for("STATUS=")
        exporter.process.send_signal(signal.SIGHUP)
        systemd.wait_for("READY=1", 2)
        assert exporter.stop() == 0
    systemd.wait_for("STOPPING=1")
    words = [message.partition("=")[0] for message in systemd.messages() if not message.startswith("STATUS=")]
    assert words == ["READY", "RELOADING", "READY", "STOPPING"]
    assert f"lines read from {log}, udp://127.0.0.1:0; " in next(filter(lambda x: "STATUS" in x, systemd.messages()))


def test_not_ready_before_all_is_open(systemd: NotifySocket, tmp_path: Path) -> None:
    """One that cannot open what it needs never says that it is ready."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        serving("--syslog", f"tcp://127.0.0.1:{taken.getsockname()[1]}") as exporter,
    ):
        assert exporter.process.wait(timeout=30) == 1
    assert systemd.messages() == []
    with serving("-f", tmp_path / "log", "--state", tmp_path / "none" / "state") as exporter:
        assert exporter.process.wait(timeout=30) == 1
    assert systemd.messages() == []


@pytest.mark.parametrize("microseconds", [600_000, 2_000_000])
@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
def test_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, microseconds: int, *, is_busy: bool) -> None:
    """At half the interval, while idle and while there is much to read; and no longer when the loop stands still."""
    monkeypatch.setenv("WATCHDOG_USEC", str(microseconds))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    half = microseconds / 2e6
    with listening_to(tmp_path / "notify") as systemd, serving("--syslog", "udp://127.0.0.1:0") as exporter:
        systemd.wait_for("READY=1")
        where = "127.0.0.1", exporter.syslog_port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

            def beaten() -> bool:
                for _ in range(500 if is_busy else 0):
                    sender.sendto(line(), where)
                return len(systemd.times("WATCHDOG=1")) >= 5

            wait_until(beaten, what="beats")
        beats = systemd.times("WATCHDOG=1")
        apart = [later - sooner for sooner, later in itertools.pairwise(beats)]
        assert min(apart) > 0.8 * half
        assert sorted(apart)[len(apart) // 2] < half + LATE / 2
        assert max(apart) < half + LATE
        exporter.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: "T" in Path(f"/proc/{exporter.process.pid}/stat").read_text().rpartition(")")[2], what="T")
        heard = len(systemd.heard)
        time.sleep(2 * half)
        assert len(systemd.heard) == heard
        exporter.process.send_signal(signal.SIGCONT)
        systemd.wait_for("WATCHDOG=1", len(beats) + 1)


def test_watchdog_of_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not this one's to beat."""
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with listening_to(tmp_path / "notify") as systemd:
        with serving("-f", tmp_path / "log"):
            systemd.wait_for("STATUS=")
        systemd.wait_for("STOPPING=1")
        assert not systemd.times("WATCHDOG=1")


def test_nobody_to_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who is not there, has gone meanwhile, or does not listen, keeps the service from nothing."""
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    with serving("--syslog", "udp://127.0.0.1:0") as exporter:
        assert exporter.get("/-/ready")[0] == b"ready\n"
        assert exporter.stop() == 0
    with listening_to(path) as systemd, serving("-f", tmp_path / "log") as exporter:
        systemd.wait_for("READY=1")
        path.rename(tmp_path / "gone")
        assert exporter.stop() == 0
        (tmp_path / "gone").rename(path)
    with (
        nobody_reading(path),
        serving("--syslog", "udp://127.0.0.1:0") as exporter,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as haproxy,
    ):
        for _ in range(100):
            haproxy.sendto(line(), ("127.0.0.1", exporter.syslog_port))
        exporter.wait_for_lines(100)
        assert exporter.stop() == 0
