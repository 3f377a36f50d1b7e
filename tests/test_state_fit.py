"""What becomes of totals that were kept under other labels, metrics or buckets."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from haproxy_log_exporter.choice import Choice
from tests.keeping import Kept, of
from tests.keeping import keeping as keeping_choice
from tests.pipelines import CONNECT, ERROR, HTTP, HTTPS, NOTICE, TCP
from tests.support import total

LABELS = ("status_code", "server_name")
METRICS = (
    *("requests_total", "sessions_total", "response_duration_seconds", "total_duration_seconds", "bytes_read_total"),
    *("server_queue_length", "aborts_total", "connection_errors_total", "notices_total"),
)
BUCKETS = ("0.004", "1")
OTHER_BUCKETS = ("0.004", "0.1", "1")

ABORTED = HTTP.replace(b"0/0/0/5/6 200", b"0/0/-1/-1/6 503")
LINES = (HTTP, HTTP, HTTPS, ABORTED, TCP, ERROR, CONNECT, NOTICE)


@contextmanager
def keeping(
    path: Path, labels: Sequence[str] = LABELS, metrics: Sequence[str] = METRICS, buckets: Sequence[str] = BUCKETS
) -> Iterator[Kept]:
    """Go on with a state."""
    with keeping_choice(path, Choice(tuple(labels), tuple(metrics), tuple(buckets))) as kept:
        yield kept


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what was said of totals since the last look, and forget it."""
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Keep the totals of some lines; give the state."""
    with keeping(tmp_path / "state") as kept:
        kept.count(*LINES)
    return tmp_path / "state"


def test_same_choice_goes_on(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Everything is as it was, and grows from there, and nothing is said."""
    with keeping(path) as kept:
        before = kept.samples
        assert of(before, "requests_total") == {
            ("haproxy_log_requests_total", frozenset({("status_code", code), ("server_name", "s1")})): count
            for code, count in (("200", 3), ("503", 1))
        }
        kept.count(*LINES)
        after = kept.samples
    assert after == {key: 2 * value for key, value in before.items()}
    with keeping(path) as kept:
        assert kept.samples == after
    assert warnings(caplog) == []


@pytest.mark.parametrize("labels", [("status_code",), ("status_code", "server_name", "ssl"), ("backend_name",), ()])
def test_other_labels_drop_the_totals_of_traffic(
    path: Path, caplog: pytest.LogCaptureFixture, labels: tuple[str, ...]
) -> None:
    """The metrics are named, and the labels that they had; errors and notices have labels of their own, and stay."""
    with keeping(path) as kept:
        before = kept.samples
    others = ("connection_errors_total", "notices_total")
    with keeping(path, labels or ("frontend_name",)) as kept:
        assert kept.samples == of(before, *others)
        [said] = warnings(caplog)
        assert said == (
            f"state: the totals of {', '.join(METRICS[:7])} are dropped, for their labels were status_code, server_name"
        )
        kept.count(*LINES)
        after = kept.samples
        assert total(after, "haproxy_log_requests_total") == 4
        assert of(after, *others) == {key: 2 * value for key, value in of(before, *others).items()}
    with keeping(path, labels or ("frontend_name",)) as kept:
        assert kept.samples == after
    assert warnings(caplog) == []


def test_dropped_totals_do_not_come_back(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever returns to the labels of before begins anew with them."""
    with keeping(path, ["backend_name"]):
        pass
    assert len(warnings(caplog)) == 1
    with keeping(path) as kept:
        assert of(kept.samples, *METRICS[:7]) == {}
    assert warnings(caplog) == []  # nothing was counted meanwhile


def test_labels_in_another_order_are_the_same(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each value stays with its label, and grows there, now and after the next start."""
    with keeping(path) as kept:
        before = kept.samples
    for labels in (LABELS[::-1], LABELS[::-1], LABELS):
        with keeping(path, labels) as kept:
            assert kept.samples == before
    with keeping(path, LABELS[::-1]) as kept:
        kept.count(*LINES)
        after = kept.samples
    assert after == {key: 2 * value for key, value in before.items()}
    with keeping(path) as kept:
        assert kept.samples == after
    assert warnings(caplog) == []


@pytest.mark.parametrize("metric", METRICS)
def test_removed_metric_leaves_the_others(path: Path, caplog: pytest.LogCaptureFixture, metric: str) -> None:
    """Those that stay have what they had; the one that goes is named, unless others count the same lines."""
    with keeping(path) as kept:
        before = kept.samples
    others = [name for name in METRICS if name != metric]
    for _ in range(2):
        with keeping(path, metrics=others) as kept:
            assert kept.samples == of(before, *others)
    why = "for their metrics or buckets have changed"
    expected = (
        [] if metric in ("requests_total", "sessions_total") else [f"state: the totals of {metric} are dropped, {why}"]
    )
    assert [said.partition(";")[0] for said in warnings(caplog)] == expected
    with keeping(path, metrics=others) as kept:
        kept.count(*LINES)
        after = kept.samples
        assert after == {key: 2 * value for key, value in of(before, *others).items()}
    with keeping(path, metrics=others) as kept:
        assert kept.samples == after


@pytest.mark.parametrize("metric", METRICS)
def test_added_metric_leaves_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture, metric: str) -> None:
    """Those that were there have what they had, and nothing is said; a new one begins to grow."""
    path, others = tmp_path / "state", [name for name in METRICS if name != metric]
    with keeping(path, metrics=others) as kept:
        kept.count(*LINES)
        before = kept.samples
    with keeping(path, metrics=METRICS) as kept:
        assert of(kept.samples, *others) == before
        kept.count(*LINES)
        after = kept.samples
        assert of(after, *others) == {key: 2 * value for key, value in before.items()}
        assert of(after, metric)
    with keeping(path, metrics=METRICS) as kept:
        assert kept.samples == after
    assert warnings(caplog) == []


def test_count_of_lines_returns_with_those_that_others_counted(path: Path) -> None:
    """Requests that were counted while they were not asked for are in their total once they are."""
    with keeping(path, metrics=["response_duration_seconds"]) as kept:
        kept.count(*LINES)
    with keeping(path) as kept:
        assert total(kept.samples, "haproxy_log_requests_total") == 8
        assert total(kept.samples, "haproxy_log_response_duration_seconds_count") == 6
        assert total(kept.samples, "haproxy_log_sessions_total") == 0


def test_other_buckets_drop_what_has_them(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Histograms of durations begin anew; counters, and histograms with buckets of their own, stay."""
    with keeping(path) as kept:
        before = kept.samples
    durations = ("response_duration_seconds", "total_duration_seconds")
    others = [name for name in METRICS if name not in durations]
    with keeping(path, buckets=OTHER_BUCKETS) as kept:
        assert kept.samples == of(before, *others)
        [said] = warnings(caplog)
        assert said.startswith(f"state: the totals of {', '.join(durations)} are dropped")
        kept.count(*LINES)
        after = kept.samples
        assert total(after, "haproxy_log_response_duration_seconds_count") == 3
        assert of(after, *others) == {key: 2 * value for key, value in of(before, *others).items()}
    with keeping(path, buckets=OTHER_BUCKETS) as kept:
        assert kept.samples == after
    assert warnings(caplog) == []


def test_buckets_written_in_another_way_are_the_same(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """0.004 and 4e-3 are one bound."""
    with keeping(path) as kept:
        before = kept.samples
    with keeping(path, buckets=("4e-3", "1.000")) as kept:
        after = kept.samples
    assert of(after, "response_duration_seconds_count") == of(before, "response_duration_seconds_count")
    assert of(after, "total_duration_seconds_sum") == of(before, "total_duration_seconds_sum")
    assert warnings(caplog) == []


def test_all_at_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Order of labels, metrics and buckets may change together; what is left of each still fits."""
    with keeping(path) as kept:
        before = kept.samples
    metrics = ("notices_total", "retries_total", "bytes_read_total", "response_duration_seconds", "requests_total")
    with keeping(path, LABELS[::-1], metrics, OTHER_BUCKETS) as kept:
        assert kept.samples == of(before, "notices_total", "bytes_read_total", "requests_total")
        kept.count(*LINES)
        after = kept.samples
    with keeping(path, LABELS[::-1], metrics, OTHER_BUCKETS) as kept:
        assert kept.samples == after
    said = warnings(caplog)
    assert len(said) == 2, "of traffic and of errors"
    assert "connection_errors_total" in said[1]


def test_nothing_is_said_where_nothing_was_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A state without totals fits any choice."""
    for labels, metrics, buckets in (
        (LABELS, METRICS, BUCKETS),
        (("ssl",), METRICS, BUCKETS),
        (("ssl",), METRICS[:2], OTHER_BUCKETS),
    ):
        with keeping(tmp_path / "state", labels, metrics, buckets):
            pass
    assert warnings(caplog) == []
