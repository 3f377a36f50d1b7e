"""Files are followed where nothing tells of writes: inotify refuses, or it is silent as on network file systems."""

import threading
from pathlib import Path

import pytest

from tests.services import REQUESTS, append, line, make_service, running, shown
from tests.sources.tailing_files import open_below, truncate_with_copy
from tests.sources.watching import Refusing, Silent, instances
from tests.support import total, wait_until


@pytest.mark.parametrize("kind", [Refusing, Silent, None])
def test_a_log_is_followed_through_rotation(
    tmp_path: Path, kind: type[Silent] | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Quiet or not, renamed and truncated, each line counts within a moment, and nothing stays open at the end."""
    if kind:
        monkeypatch.setattr("haproxy_log_exporter.sources.wake.Observer", kind)
    monkeypatch.setattr("haproxy_log_exporter.service._QUIET_SECONDS", 0.05)
    monkeypatch.setattr("haproxy_log_exporter.service.FLUSH_SECONDS", 0.05)
    before = threading.active_count(), instances()
    log = tmp_path / "haproxy.log"
    append(log, line())
    service = make_service(files=[str(log)], start=["beginning"])

    def counted(count: int) -> None:
        wait_until(lambda: total(shown(service), REQUESTS) >= count, what=f"{count} lines")
        assert total(shown(service), REQUESTS) == count

    with running(service):
        counted(1)
        assert service._wake
        if kind is not Refusing:
            wait_until(lambda: service._wake and service._wake._observer, what="the watch")
        append(log, line())
        counted(2)
        log.rename(tmp_path / "haproxy.log.1")
        append(tmp_path / "haproxy.log.1", line())
        append(log, line())
        counted(4)
        truncate_with_copy(log, tmp_path / "haproxy.log.2")
        append(log, line(404), line(404))
        counted(6)
    wait_until(lambda: (threading.active_count(), instances()) == before, what="the end of threads and watches")
    assert not open_below(tmp_path)
    assert caplog.text.count("inotify refuses") == (1 if kind is Refusing else 0)
