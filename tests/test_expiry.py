"""Series without traffic: they are dropped when that was asked for, and what they took is free."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from haproxy_log_exporter.choice import Choice, MetricChoice
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.labels.limits import Limits
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.metrics.shown import Places
from haproxy_log_exporter.state import Commit
from tests.keeping import Kept, keeping
from tests.pipelines import ERROR, HTTP, NOTICE, exposition
from tests.support import total

REQUESTS = "haproxy_log_requests_total"
IDLE = 100.0
START = 4_000_000_000.0  # behind what any clock says: a start looks for idle ones, too


def by_path(limits: Limits, *own: MetricChoice) -> Choice:
    """Count requests by path."""
    metrics = ("requests_total", "connection_errors_total", "notices_total")
    return Choice(("http_request_path",), metrics, ("1",), own=own, limits=limits)


CHOICE = by_path(Limits(idle=IDLE))


def ask(*paths: str, status: str = "200") -> Iterable[bytes]:
    """Write lines of these paths."""
    line = HTTP.replace(b" 200 ", f" {status} ".encode())
    return [line.replace(b"GET /a", f"GET {path}".encode()) for path in paths]


def shown(kept: Kept) -> dict[str, float]:
    """Give the requests that are shown, by path."""
    samples = kept.samples
    return {dict(labels)["http_request_path"]: count for (name, labels), count in samples.items() if name == REQUESTS}


def rows_of(path: Path) -> tuple[int, int]:
    """Count the label sets and the totals that a closed state has."""
    with closing(sqlite3.connect(path)) as connection:
        [(label_sets,)] = connection.execute("SELECT count(*) FROM label_sets")
        [(totals,)] = connection.execute("SELECT count(*) FROM totals")
        return label_sets, totals


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a path for a state."""
    return tmp_path / "state"


def test_series_stay_unless_it_was_asked_for(path: Path) -> None:
    """However long they have no traffic."""
    with keeping(path, by_path(Limits())) as kept:
        kept.take(*ask("/a"))
        kept.flush(START)
        kept.flush(START + 1e9)
        assert shown(kept) == {"/a": 1}
    assert rows_of(path) == (1, 1)


def test_series_without_traffic_vanish(path: Path) -> None:
    """From the exposition, in all metrics, and from the state; the others stay as they are, with all their labels."""
    with keeping(path, CHOICE) as kept:
        kept.take(*ask("/idle", "/busy", "/busy"), ERROR, NOTICE)
        kept.flush(START)
        kept.take(*ask("/busy"))
        kept.flush(START + IDLE)
        assert shown(kept) == {"/idle": 1, "/busy": 3}, "it has to be idle for longer"
        kept.flush(START + IDLE + 2)
        assert shown(kept) == {"/busy": 3}
        assert total(kept.samples, "haproxy_log_connection_errors_total") == 0
        assert total(kept.samples, "haproxy_log_notices_total") == 0
        assert "/idle" not in exposition(kept.pipeline)
        assert [line for line in exposition(kept.pipeline).splitlines() if not line.startswith("#")] == [
            'haproxy_log_requests_total{http_request_path="/busy"} 3'
        ]
    assert rows_of(path) == (1, 1)
    with keeping(path, CHOICE) as kept:
        assert shown(kept) == {"/busy": 3}


def test_series_stay_while_there_is_traffic(path: Path) -> None:
    """Also where it comes with the very flush that looks for idle ones."""
    with keeping(path, CHOICE) as kept:
        for turn in range(20):
            kept.take(*ask("/a", "/b"))
            kept.flush(START + turn * IDLE * (1 if turn % 2 else 3))
            assert shown(kept) == {"/a": turn + 1, "/b": turn + 1}


def test_what_comes_back_begins_anew(path: Path) -> None:
    """With what was counted since then, in the exposition and in the state, however often."""
    with keeping(path, CHOICE) as kept:
        for turn in range(4):
            kept.take(*ask("/a", "/a", "/a"), NOTICE)
            kept.flush(START + turn * 10 * IDLE)
            kept.take(*ask("/a"))
            kept.flush(START + turn * 10 * IDLE + 1)
            assert shown(kept) == {"/a": 4}
            assert total(kept.samples, "haproxy_log_notices_total") == 1
            kept.flush(START + turn * 10 * IDLE + 2 * IDLE)
            assert shown(kept) == {}
        kept.take(*ask("/b", "/a"))
        kept.flush(START + 50 * IDLE)
        assert shown(kept) == {"/a": 1, "/b": 1}
    with keeping(path, CHOICE) as kept:
        assert shown(kept) == {"/a": 1, "/b": 1}


def test_places_of_values_are_taken_again(path: Path) -> None:
    """By what had none, and what was dropped may have none then; how many are taken is told."""
    with keeping(path, by_path(Limits(values=2, idle=IDLE))) as kept:
        kept.take(*ask("/a", "/b", "/c"))
        kept.flush(START)
        assert shown(kept) == {"/a": 1, "/b": 1, "other": 1}
        kept.take(*ask("/b", "/c"))
        kept.flush(START + IDLE + 1)
        assert shown(kept) == {"/b": 2, "other": 2}
        assert kept.places["http_request_path"] == Places(1, 2, 2)
        kept.take(*ask("/c", "/a", "/b"))
        kept.flush(START + IDLE + 2)
        assert shown(kept) == {"/b": 3, "/c": 1, "other": 3}
        assert kept.places["http_request_path"] == Places(2, 2, 3)


def test_places_of_label_sets_are_taken_again(path: Path) -> None:
    """As those of values are."""
    with keeping(path, by_path(Limits(series=2, idle=IDLE))) as kept:
        kept.take(*ask("/a", "/b", "/c"))
        kept.flush(START)
        assert shown(kept) == {"/a": 1, "/b": 1, "other": 1}
        kept.take(*ask("/b", "/c"))
        kept.flush(START + IDLE + 1)
        assert shown(kept) == {"/b": 2, "other": 2}
        kept.take(*ask("/c", "/a", "/b"))
        kept.flush(START + IDLE + 2)
        assert shown(kept) == {"/b": 3, "/c": 1, "other": 3}
        assert kept.capped == {"requests_total": 3}


def test_path_that_was_dropped_is_unknown(path: Path) -> None:
    """A request that finds nothing does not bring it back."""
    with keeping(path, CHOICE) as kept:
        kept.take(*ask("/a"))
        kept.flush(START)
        kept.take(*ask("/a", status="404"))
        kept.flush(START + 1)
        assert shown(kept) == {"/a": 2}
        kept.flush(START + 2 * IDLE)
        kept.take(*ask("/a", status="404"))
        kept.flush(START + 2 * IDLE + 1)
        assert shown(kept) == {"other": 1}


def test_value_that_another_series_has_keeps_its_place(path: Path) -> None:
    """A path that one metric has no series of any more may have one in another."""
    choice = by_path(
        Limits(values=1, idle=IDLE), MetricChoice("bytes_read_total", ("http_request_path", "status_code"))
    )
    with keeping(path, choice) as kept:
        kept.take(*ask("/a"), *ask("/a", status="503"))
        kept.flush(START)
        kept.take(*ask("/a"))
        kept.flush(START + IDLE)
        kept.take(*ask("/b"))
        kept.flush(START + IDLE + 2)
        found = {
            (dict(labels)["http_request_path"], dict(labels)["status_code"])
            for name, labels in kept.samples
            if name == "haproxy_log_bytes_read_total"
        }
        assert found == {("/a", "200"), ("other", "200")}
        assert shown(kept) == {"/a": 3, "other": 1}
        assert kept.places["status_code"].taken == 1


def test_age_of_series_goes_on_after_a_restart(path: Path) -> None:
    """It is when they grew last, not when they were read."""
    with keeping(path, CHOICE) as kept:
        kept.take(*ask("/old"))
        kept.flush(START)
        kept.take(*ask("/new"))
        kept.flush(START + 50)
    with keeping(path, CHOICE) as kept:
        kept.flush(START + IDLE + 1)
        assert shown(kept) == {"/new": 1}
    with keeping(path, CHOICE) as kept:
        kept.flush(START + IDLE + 51)
        assert shown(kept) == {}
    assert rows_of(path) == (0, 0)


def test_places_that_are_free_stay_so_after_a_restart(path: Path) -> None:
    """What comes then takes them, and nothing is mixed up."""
    with keeping(path, CHOICE) as kept:
        kept.take(*ask("/a", "/b", "/c"))
        kept.flush(START)
        kept.take(*ask("/b"))
        kept.flush(START + IDLE + 1)
        assert shown(kept) == {"/b": 2}
    for turn in range(1, 4):
        with keeping(path, CHOICE) as kept:
            kept.take(*ask("/b", "/d", f"/e{'x' * turn}"))
            kept.flush(START + IDLE + 1 + turn)
            expected = {"/b": 2 + turn, "/d": turn, **{f"/e{'x' * each}": 1 for each in range(1, turn + 1)}}
            assert shown(kept) == expected
    assert rows_of(path) == (5, 5)


def test_series_are_shown_until_it_is_kept_that_they_are_gone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written is part of the next flush; what comes back meanwhile counts once, from then on."""

    def refuse(_: Commit) -> None:
        message = "the disk is full"
        raise OperationError(message)

    with keeping(path, CHOICE) as kept:
        kept.take(*ask("/a", "/b"))
        kept.flush(START)
        with monkeypatch.context() as patch:
            patch.setattr(kept._state, "commit", refuse)
            for turn in range(3):
                batch = kept.pipeline.batch({}, START + 2 * IDLE + turn)
                with pytest.raises(OperationError):
                    kept._state.commit(Commit(batch.changes, {}, {}))
                kept.pipeline.give_back(batch)
                assert shown(kept) == {"/a": 1, "/b": 1}
                kept.take(*ask("/a"))
        kept.flush(START + 2 * IDLE + 9)
        assert shown(kept) == {"/a": 3}
    with keeping(path, CHOICE) as kept:
        assert shown(kept) == {"/a": 3}
    assert rows_of(path) == (1, 1)


@pytest.mark.parametrize("open_metrics", [False, True])
def test_what_a_scrape_began_with_stays_whole(path: Path, open_metrics: bool) -> None:  # noqa: FBT001 -- both ways
    """A text that is on its way shows what was there when it began, though places are dropped and taken again."""
    with keeping(path, CHOICE) as kept:
        kept.take(*ask("/a", "/b"))
        kept.flush(START)
        tables = kept.pipeline.shown().tables
        before = b"".join(render(tables, open_metrics=open_metrics))
        kept.flush(START + 2 * IDLE)
        kept.take(*ask("/c", "/d"))
        kept.flush(START + 2 * IDLE + 1)
        assert shown(kept) == {"/c": 1, "/d": 1}
        assert b"".join(render(tables, open_metrics=open_metrics)) == before


def test_idle_ones_are_looked_for_now_and_then(path: Path) -> None:
    """Not with each flush: a hundred times within the time that they may be idle, and once a second at most."""
    with keeping(path, by_path(Limits(idle=1000.0))) as kept:
        kept.take(*ask("/a"))
        kept.flush(START)
        kept.take(*ask("/b"))
        kept.flush(START + 995)
        kept.flush(START + 1001)
        assert shown(kept) == {"/a": 1, "/b": 1}
        kept.flush(START + 1005)
        assert shown(kept) == {"/b": 1}


def test_what_has_expired_is_counted_over_restarts_and_reloads(path: Path) -> None:
    """By metric, from 0 on, whether the metric keeps its label sets or not; the state has what was shown."""
    metrics = ("requests_total", "connection_errors_total", "notices_total")

    def expired(kept: Kept) -> dict[str, int]:
        return {name: series.expired for name, series in kept.pipeline.shown().series.items()}

    with keeping(path, CHOICE) as kept:
        assert expired(kept) == dict.fromkeys(metrics, 0)
        kept.take(*ask("/a", "/b"), ERROR)
        kept.count()
        kept.flush(IDLE)  # what is there was counted at 0
        kept.take(*ask("/c"))
        kept.flush(IDLE + 2)
        assert expired(kept) == {"requests_total": 2, "connection_errors_total": 1, "notices_total": 0}
        kept.take(*ask("/c"))
        kept.count()
    with keeping(path, CHOICE) as kept:
        assert expired(kept) == {"requests_total": 2, "connection_errors_total": 1, "notices_total": 0}
        kept.exchange(by_path(Limits(series=7), MetricChoice("requests_total", ("status_code",))))
        kept.count(*ask("/d"))
        assert expired(kept) == {"requests_total": 2, "connection_errors_total": 1, "notices_total": 0}
        assert {series.most for series in kept.pipeline.shown().series.values()} == {7}
    with keeping(path, by_path(Limits(idle=IDLE))) as kept:
        assert expired(kept)["requests_total"] == 2
