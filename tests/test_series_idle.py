"""Series without traffic, in a real `serve`: gone after `--series-idle`, their places free for others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services import REQUESTS, append, line, wait_for
from tests.support import Exporter, Samples, serving, total

VALUES = "haproxy_log_exporter_label_values"
CAPPED = "haproxy_log_exporter_label_values_capped_total"
SERIES = "haproxy_log_exporter_series"
EXPIRED = "haproxy_log_exporter_series_expired_total"
OBSERVED = "haproxy_log_response_duration_seconds_count"


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Path:
    log = tmp_path / "haproxy.log"
    log.touch()
    return log


@contextmanager
def forgetting(log: Path, *options: str | Path) -> Iterator[Exporter]:
    """Serve a log by path; series are dropped after a second."""
    with serving("-f", log, "--start", "beginning", "-l", "http_request_path", *options) as exporter:
        yield exporter


def paths(samples: Samples, name: str = REQUESTS) -> dict[str, float]:
    """Tell the values of a metric by path."""
    return {dict(labels)["http_request_path"]: value for (each, labels), value in samples.items() if each == name}


def count(exporter: Exporter, log: Path, path: str, **expected: float) -> Samples:
    """Write a line, and wait until the counts by path are as expected."""
    append(log, line(path=path))
    wanted = {f"/{name}" if name != "other" else name: value for name, value in expected.items()}
    return wait_for(exporter, lambda samples: paths(samples) == wanted, f"{wanted}")


def test_a_series_is_gone_and_begins_anew(log: Path) -> None:
    """From all metrics that share its labels, and the gauge of series; what comes back counts from 1."""
    with forgetting(log, "--series-idle", "1s") as exporter:
        samples = count(exporter, log, "/a", a=1)
        assert total(samples, SERIES, metric="requests_total") == 1
        samples = wait_for(exporter, lambda found: not paths(found), "the end of the series")
        assert not paths(samples, OBSERVED)
        assert total(samples, SERIES, metric="requests_total") == 0
        assert total(samples, VALUES, label="http_request_path") == 0
        assert total(samples, "haproxy_log_exporter_lines_total") == 1
        count(exporter, log, "/a", a=1)
        assert exporter.stop() == 0


def test_a_series_with_traffic_stays(log: Path) -> None:
    """While another one goes, and it loses nothing."""
    with forgetting(log, "--series-idle", "1s") as exporter:
        append(log, line(path="/idle"))
        written = 0

        def only_busy(samples: Samples) -> bool:
            nonlocal written
            assert paths(samples).get("/busy", 0) <= written
            append(log, line(path="/busy"))
            written += 1
            return written > 20 and {*paths(samples)} == {"/busy"}

        wait_for(exporter, only_busy, "the end of the other series")
        last = exporter.wait_for_lines(written + 1)
        assert paths(last) == {"/busy": written}


def test_its_place_is_free(log: Path) -> None:
    """With one value for the label, the next path has it when the first one is gone."""
    options = ("--series-idle", "1s", "--max-label-values", "http_request_path=1")
    with forgetting(log, *options) as exporter:
        append(log, line(path="/a"))
        samples = count(exporter, log, "/b", a=1, other=1)
        assert total(samples, CAPPED, label="http_request_path") == 1
        wait_for(exporter, lambda found: not paths(found), "the end of the series")
        samples = count(exporter, log, "/b", b=1)
        assert total(samples, VALUES, label="http_request_path") == 1
        assert total(samples, CAPPED, label="http_request_path") == 1


def test_the_state_forgets_it(log: Path, tmp_path: Path) -> None:
    """What was dropped does not come back by a restart, and has no place; what was not, does."""
    state = tmp_path / "state"
    limit = ("--max-label-values", "http_request_path=1", "--state", state)
    with forgetting(log, "--series-idle", "1s", *limit) as exporter:
        count(exporter, log, "/a", a=1)
        wait_for(exporter, lambda found: not paths(found), "the end of the series")
        assert exporter.stop() == 0
    with forgetting(log, *limit) as exporter:
        assert not paths(exporter.scrape())
        count(exporter, log, "/b", b=1)
        assert exporter.stop() == 0
    with forgetting(log, *limit) as exporter:
        assert paths(exporter.scrape()) == {"/b": 1}
        count(exporter, log, "/c", b=1, other=1)


def test_the_state_knows_how_long_it_was_idle(log: Path, tmp_path: Path) -> None:
    """Being down is no traffic either: a series that was idle for so long goes at the first look."""
    state = tmp_path / "state"
    with forgetting(log, "--state", state) as exporter:
        count(exporter, log, "/a", a=1)
        assert exporter.stop() == 0
    with forgetting(log, "--state", state, "--series-idle", "1h") as exporter:
        assert paths(exporter.scrape()) == {"/a": 1}
        assert exporter.stop() == 0
    with forgetting(log, "--state", state, "--series-idle", "1s") as exporter:
        wait_for(exporter, lambda found: not paths(found), "the end of the series")
        count(exporter, log, "/a", a=1)


def test_without_it_all_stay(log: Path) -> None:
    """A series is there after flushes of other lines alone, for longer than the others' second."""
    with forgetting(log) as exporter:
        first = total(count(exporter, log, "/a", a=1), "haproxy_log_exporter_flush_duration_seconds_count")

        def flushed(samples: Samples) -> bool:
            append(log, line(path="/b"))
            return total(samples, "haproxy_log_exporter_flush_duration_seconds_count") >= first + 2

        assert paths(wait_for(exporter, flushed, "two flushes"))["/a"] == 1


def test_what_has_expired_is_told(log: Path, tmp_path: Path) -> None:
    """By metric, 0 before there was any, and on and on over a restart."""
    state = tmp_path / "state"
    with forgetting(log, "--series-idle", "1s", "--state", state) as exporter:
        samples = exporter.scrape()
        shown = {dict(labels)["metric"]: value for (name, labels), value in samples.items() if name == EXPIRED}
        assert shown["requests_total"] == shown["response_duration_seconds"] == 0
        count(exporter, log, "/a", a=1)
        samples = wait_for(exporter, lambda found: total(found, EXPIRED, metric="requests_total") == 1, "the end")
        assert not paths(samples)
        append(log, line(path="/a"))
        wait_for(exporter, lambda found: total(found, EXPIRED, metric="requests_total") == 2, "the end once more")
        assert exporter.stop() == 0
    with forgetting(log, "--state", state) as exporter:
        assert total(exporter.scrape(), EXPIRED, metric="requests_total") == 2
