"""What is said of lines that are rejected."""

from pathlib import Path

import pytest

from haproxy_log_exporter.metrics.shown import Tally
from haproxy_log_exporter.pipeline import Intake
from haproxy_log_exporter.rejects import RejectsLog
from tests.services import append, line, times_said
from tests.support import serving


class Rejecting:
    """A log of rejected lines under a clock of the test's, and intakes that reject."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        """Begin at none."""
        self.now = 0.0
        self.log = RejectsLog(lambda: self.now)
        self._intakes: dict[str, Intake] = {}
        self._caplog = caplog

    def reject(self, source: str, *lines: bytes) -> list[str]:
        """Reject lines of a source, look at it, and give what is said then."""
        intake = self._intakes.setdefault(source, Intake(Tally()))
        intake.tally.rejected += len(lines)
        intake.rejects.extend(lines)
        self._caplog.clear()
        self.log.look_at(source, intake)
        return self._caplog.messages


def test_rejected_lines_are_named_at_most_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """How many they were since the last time, and the last of them; nothing where there are none."""
    log = Rejecting(caplog)
    assert log.reject("a") == []
    assert log.reject("a", b"x", b"y") == ["a: 2 lines rejected; the last: y"]
    log.now = 59.9
    assert log.reject("a", b"z") == []
    assert log.reject("a", b"\xff\n\x1b[2J") == []
    log.now = 60.0
    assert log.reject("a") == [r"a: 2 lines rejected; the last: \xff\n\x1b[2J"]
    log.now = 1000.0
    assert log.reject("a") == []
    assert log.reject("a", b"again") == ["a: 1 lines rejected; the last: again"]


def test_each_source_has_its_own_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A source that rejects much does not hide another one; and time may begin anywhere."""
    log = Rejecting(caplog)
    log.now = 10.0**6
    assert log.reject("a", b"x") == ["a: 1 lines rejected; the last: x"]
    assert log.reject("b", b"x") == ["b: 1 lines rejected; the last: x"]
    assert log.reject("a", b"x") == log.reject("b", b"x") == []


def test_lines_that_are_too_long_are_rejected_as_well(caplog: pytest.LogCaptureFixture) -> None:
    """There is nothing of them to be shown."""
    log = Rejecting(caplog)
    intake = Intake(Tally(rejected=3))
    log.log.look_at("a", intake)
    assert caplog.messages == ["a: 3 lines rejected; the last: too long to be kept"]


def test_a_service_names_rejected_lines(tmp_path: Path) -> None:
    """Once, however many flushes there are within the minute; no line breaks a message, and the page has more."""
    log = tmp_path / "haproxy.log"
    append(log, b"garbage\xff \x1b[2J\n", line())
    with serving("-f", log, "--start", "beginning") as exporter:
        exporter.wait_for_lines(2)
        for count in range(3, 6):
            append(log, b"more <garbage>\n")
            exporter.wait_for_lines(count)
        page = exporter.get("/")[0].decode()
        assert exporter.stop() == 0
    assert "more &lt;garbage&gt;" in page
    assert times_said(exporter, rf"{log}: 1 lines rejected; the last: garbage\xff \x1b[2J") == 1
    assert times_said(exporter, "lines rejected") == 1
