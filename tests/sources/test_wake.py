"""Waking the service."""

import os
import select
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from haproxy_log_exporter.sources.wake import Wake
from tests.sources.tailing_files import unprivileged
from tests.sources.watching import Refusing, Unstartable, instances


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


@pytest.mark.parametrize("kind", [Refusing, Unstartable])
@pytest.mark.parametrize(
    "error",
    [OSError(24, "inotify instance limit reached"), OSError(38, "not here"), RuntimeError("can't start new thread")],
)
def test_whatever_refuses_leaves_nothing_behind(
    wake: Wake, tmp_path: Path, kind: type[Refusing], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are polled then, and it is not tried again."""
    monkeypatch.setattr(Refusing, "error", error)
    monkeypatch.setattr("haproxy_log_exporter.sources.wake.Observer", kind)
    before = threading.active_count(), instances()
    assert not wake.watch([str(tmp_path)])
    assert (threading.active_count(), instances()) == before
    monkeypatch.undo()
    assert not wake.watch([str(tmp_path)])


def test_nothing_is_left_of_watches(wake: Wake, tmp_path: Path) -> None:
    """Neither threads nor inotify instances, whether files are there still or not."""
    logs = [tmp_path / name for name in ("a.log", "b.log")]
    before = threading.active_count(), instances()
    for _ in range(3):
        for log in logs:
            log.touch()
        assert wake.watch([*map(str, logs)])
        assert instances() > before[1]
        logs[0].rename(tmp_path / "a.log.1")
        logs[1].unlink()
        assert _awake(wake, 30)
        wake.unwatch()
        wake.clear()
        assert (threading.active_count(), instances()) == before


def test_a_file_that_may_not_be_read_for_a_while(wake: Wake) -> None:
    """Is not watched; that is no reason never to watch again, nor to leave anything behind."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "haproxy.log"
        log.touch()
        log.parent.chmod(0o755)
        log.chmod(0)
        before = threading.active_count(), instances()
        with unprivileged():
            for _ in range(3):
                assert not wake.watch([str(log)])
        assert (threading.active_count(), instances()) == before
        log.chmod(0o644)
        with unprivileged():
            assert wake.watch([str(log)])
        wake.unwatch()


@pytest.mark.parametrize("size", [0, None])
def test_rotation_wakes(wake: Wake, tmp_path: Path, size: int | None) -> None:
    """A file that is truncated or removed is looked at at once."""
    log = tmp_path / "haproxy.log"
    log.write_text("line\n")
    assert wake.watch([str(log)])
    if size is None:
        log.unlink()
    else:
        os.truncate(log, size)
    assert _awake(wake, 30)
