"""Waking the service."""

import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from haproxy_log_exporter.sources.wake import Wake


@pytest.fixture
def wake() -> Iterator[Wake]:
    """A wake that is closed after the test."""
    wake = Wake()
    yield wake
    wake.close()


def _awake(wake: Wake, seconds: float) -> bool:
    return bool(select.select([wake], [], [], seconds)[0])


def test_it_can_be_set_and_cleared(wake: Wake) -> None:
    """Setting it twice wakes once."""
    assert not _awake(wake, 0)
    wake.set()
    wake.set()
    assert _awake(wake, 0)
    wake.clear()
    wake.clear()
    assert not _awake(wake, 0)


def test_a_watched_file_wakes(wake: Wake, tmp_path: Path) -> None:
    """A write to a file wakes while it is watched, and no more afterwards."""
    log = tmp_path / "haproxy.log"
    log.touch()
    assert wake.watch([str(log)])
    with log.open("a") as file:
        file.write("line\n")
    assert _awake(wake, 30)
    wake.unwatch()
    wake.clear()
    with log.open("a") as file:
        file.write("line\n")
    assert not _awake(wake, 0.1)


def test_a_file_that_is_gone_is_no_reason_to_stop_watching(wake: Wake, tmp_path: Path) -> None:
    """It was renamed meanwhile; the next scan finds its successor."""
    assert not wake.watch([str(tmp_path / "gone.log")])
    (tmp_path / "haproxy.log").touch()
    assert wake.watch([str(tmp_path / "haproxy.log")])
    assert not wake.watch([str(tmp_path / "haproxy.log")]), "it is watched already"


def test_many_files_are_not_watched(wake: Wake, tmp_path: Path) -> None:
    """Each would take a thread; they are polled."""
    logs = [tmp_path / f"{number}.log" for number in range(17)]
    for log in logs:
        log.touch()
    assert not wake.watch([*map(str, logs)])
    assert wake.watch([*map(str, logs[:16])])


def test_refused_watches_are_said_once(
    wake: Wake, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where inotify has no watches left, files are polled."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("haproxy_log_exporter.sources.wake.Observer.schedule", refuse)
    for _ in range(3):
        assert not wake.watch([str(tmp_path)])
    assert caplog.text.count("inotify refuses") == 1
