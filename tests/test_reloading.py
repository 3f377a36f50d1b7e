"""haproxy.cfg while the service runs: taken over when it has changed, and left as it was when it is broken."""

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from haproxy_log_exporter import service as service_module
from haproxy_log_exporter.service import Service
from tests.services import REQUESTS, append, make_service, running, shown, times_said, wait_for
from tests.support import serving, total, wait_until

REFUSED = "haproxy.cfg is not taken over, what was read before stays: "


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let a service look at haproxy.cfg fifty times a second, and hear all that it says."""
    monkeypatch.setattr(service_module, "FLUSH_SECONDS", 0.02)
    with caplog.at_level(logging.INFO):
        yield


class Site:
    """A haproxy.cfg, a log, and a service that reads both."""

    def __init__(self, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Begin without a service."""
        self.config = directory / "haproxy.cfg"
        self.log = directory / "haproxy.log"
        self.log.touch()
        self._caplog = caplog

    def configure(self, *formats: str, more: str = "") -> None:
        """Write a frontend for each format, all at once as editors and deployments do."""
        new = self.config.with_suffix(".new")
        new.write_text(
            "defaults\n    mode http\n"
            + "".join(f'frontend f{number}\n    log-format "{text}"\n' for number, text in enumerate(formats))
            + more
        )
        new.rename(self.config)

    def service(self, *labels: str) -> Service:
        """Make the service."""
        return make_service(files=[str(self.log)], haproxy_config=[str(self.config)], labels=[*labels])

    def said(self, text: str) -> int:
        """Count the messages that hold a text."""
        return sum(text in message for message in self._caplog.messages)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until something was said so often."""
        wait_until(lambda: self.said(text) >= times, what=f"{text!r}; {self._caplog.messages}")


@pytest.fixture(name="site")
def _site(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Site:
    return Site(tmp_path, caplog)


def accounted(service: Service) -> tuple[int, int]:
    """Tell how many lines were counted and rejected."""
    (tally,) = service.pipeline.shown().tallies.values()
    return tally.counted, tally.rejected


def test_other_formats_are_taken_over(site: Site) -> None:
    """Lines of the new ones count from then on, in the same series; labels and totals stay."""
    site.configure("old %ci %ST")
    service = site.service("status_code")
    with running(service):
        append(site.log, b"old ::1 200\n", b"new 200 ::1\n")
        wait_until(lambda: accounted(service) == (1, 1), what="the first lines")
        site.configure("new %ST %ci")
        site.wait_for("haproxy.cfg was read again: 2 formats")
        append(site.log, b"new 200 ::1\n", b"new 404 ::1\n")
        wait_until(lambda: accounted(service) == (3, 1), what="the lines of the new format")
    assert total(shown(service), REQUESTS, status_code="200") == 2
    assert total(shown(service), REQUESTS, status_code="404") == 1


def test_lines_of_the_formats_before_are_still_read(site: Site) -> None:
    """HAProxy's old process writes them until its last connection ends; but not those before these."""
    site.configure("one %ST")
    service = site.service("status_code")
    with running(service):
        site.configure("two %ST")
        site.wait_for("was read again", 1)
        append(site.log, b"one 200\n", b"two 200\n")
        wait_until(lambda: accounted(service) == (2, 0), what="old and new lines")
        site.configure("three %ST")
        site.wait_for("was read again", 2)
        append(site.log, b"one 200\n", b"one 200\n", b"two 200\n", b"three 200\n")
        wait_until(lambda: accounted(service) == (4, 2), what="lines of the last two")


def test_nothing_is_read_again_without_a_change(site: Site) -> None:
    """Files are looked at, not read."""
    site.configure("%ST")
    service = site.service()
    with running(service):
        for number in range(1, 4):
            append(site.log, b"200\n")
            wait_until(lambda: accounted(service) == (number, 0), what="a line")  # noqa: B023 -- waited for at once
    assert site.said("was read again") == 0


def test_headers_are_read_where_they_are_captured_now(site: Site) -> None:
    """By name they keep their label, wherever they move."""
    frontend = "frontend web\n    option httplog\n"
    slots = [f"    capture request header {name} len 50\n" for name in ("Host", "Referer")]
    request = (
        '1.2.3.4:5 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/3/4 200 228 - - ---- 1/1/0/0/0 0/0 {} "GET / HTTP/1.1"\n'
    )
    site.configure(more=frontend + "".join(slots))
    service = site.service("request_header_host")
    with running(service):
        append(site.log, request.format("{h|r}").encode())
        wait_until(lambda: accounted(service) == (1, 0), what="a line")
        site.configure(more=frontend + "".join(reversed(slots)))
        site.wait_for("was read again")
        append(site.log, request.format("{r|h}").encode())
        wait_until(lambda: accounted(service) == (2, 0), what="another line")
    assert total(shown(service), REQUESTS, request_header_host="h") == 2


def test_the_newest_lines_time_is_read_by_the_new_formats(site: Site) -> None:
    """How far behind a source is does not stop to be told."""
    site.configure("old %ST")
    service = site.service()
    with running(service):
        site.configure("new %T %ST")
        site.wait_for("was read again")
        append(site.log, b"new 20/Nov/2026:04:30:58 +0000 200\n")
        wait_until(lambda: accounted(service) == (1, 0), what="a line")
    (tally,) = service.pipeline.shown().tallies.values()
    assert tally.newest_time == 1795149058.0


def test_a_broken_one_is_told_once_and_changes_nothing(site: Site) -> None:
    """What was read before stays until it is mended, and each new version of it is looked at."""
    site.configure("old %ST")
    service = site.service("status_code")
    with running(service):
        before = [*service.pipeline.stages]
        site.configure("%ci%cp", "%nonesuch")
        site.wait_for(REFUSED, 2)
        append(site.log, b"old 200\n")
        wait_until(lambda: accounted(service) == (1, 0), what="a line")
        assert {*map(id, service.pipeline.stages)} == {*map(id, before)}
        site.configure("%ci%cp")
        site.wait_for(REFUSED, 3)
        site.configure("mended %ST")
        site.wait_for("was read again")
        append(site.log, b"mended 200\n")
        wait_until(lambda: accounted(service) == (2, 0), what="a line")
    place = f"{REFUSED}{site.config}"
    assert site.said(f"{place}:4: log-format: nothing tells where %ci ends and %cp begins") == 2
    assert site.said(f"{place}:6: log-format: unknown item %nonesuch") == 1
    assert (site.said(REFUSED), site.said("was read again")) == (3, 1)
    assert total(shown(service), REQUESTS, status_code="200") == 2


def test_a_label_that_becomes_empty_is_told(site: Site) -> None:
    """Who counts by a header learns that it is not captured any more; the lines are counted all the same."""
    frontend = "frontend web\n    option httplog\n"
    site.configure(more=frontend + "    capture request header Host len 50\n")
    service = site.service("request_header_host")
    with running(service):
        site.configure(more=frontend)
        site.wait_for("haproxy.cfg was read again")
    assert site.said("the label request_header_host is empty from now on: no format in use can fill it") == 1
    assert site.said(REFUSED) == 0


def test_one_that_is_gone_is_told_once(site: Site) -> None:
    """It may be on its way; when it is there again it is read."""
    site.configure("old %ST")
    service = site.service()
    with running(service):
        site.config.unlink()
        site.wait_for(f"{REFUSED}--haproxy-config: cannot read {site.config}: No such file or directory")
        append(site.log, b"old 200\n")
        wait_until(lambda: accounted(service) == (1, 0), what="a line")
        site.configure("new %ST")
        site.wait_for("was read again")
    assert site.said(REFUSED) == 1


def test_what_is_worth_telling_is_told_again(site: Site) -> None:
    """It may be another thing now."""
    site.configure("%ST")
    arms = "".join(
        f".if feature(X{number})\n    capture request header A{number} len 5\n.endif\n" for number in range(5)
    )
    with running(site.service()):
        site.configure("%ST", more=f"frontend arms\n    option httplog\n{arms}")
        site.wait_for("frontend arms: the arms of its .if make more than 16 combinations")


def test_sighup_reads_it_again(tmp_path: Path) -> None:
    """Also where nothing has changed; lines are read as before."""
    config, log = tmp_path / "haproxy.cfg", tmp_path / "haproxy.log"
    config.write_text('frontend web\n    mode http\n    log-format "one %ST"\n')
    with serving("-f", log, "--haproxy-config", config, "--start", "beginning") as exporter:
        assert exporter.port

        def read_again() -> int:
            return times_said(exporter, "haproxy.cfg was read again: 2 formats")

        exporter.process.send_signal(signal.SIGHUP)
        wait_until(lambda: read_again() == 1, what="the first reading")
        exporter.process.send_signal(signal.SIGHUP)
        wait_until(lambda: read_again() == 2, what="the second reading")
        append(log, b"one 200\n")
        wait_for(exporter, lambda found: total(found, REQUESTS) == 1, "a line")
        assert exporter.stop() == 0


def test_sighup_is_harmless_without_one(tmp_path: Path) -> None:
    """Whoever sends it to all that follows logs does not end this."""
    log = tmp_path / "haproxy.log"
    with serving("-f", log) as exporter:
        assert exporter.port
        for _ in range(3):
            exporter.process.send_signal(signal.SIGHUP)
        append(log, b"garbage\n")
        exporter.wait_for_lines(1)
        assert exporter.stop() == 0
    assert times_said(exporter, "Traceback") == 0
