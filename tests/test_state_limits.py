"""What a state keeps of metrics with labels and buckets of their own, and of limits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from haproxy_log_exporter.choice import Choice, MetricChoice
from haproxy_log_exporter.labels.limits import Limits
from haproxy_log_exporter.metrics.shown import Places
from tests.keeping import keeping, of
from tests.pipelines import HTTP, NOTICE
from tests.support import Samples, total

REQUESTS = "haproxy_log_requests_total"
RESPONSES = "response_duration_seconds"
LINES = (HTTP, HTTP.replace(b"/s1", b"/s2"), HTTP.replace(b" 200 ", b" 503 "), NOTICE)

# Three tables of traffic: by status, by server, and without labels.
OWN = Choice(
    ("status_code",),
    ("requests_total", "notices_total"),
    ("0.1", "1"),
    own=(
        MetricChoice(RESPONSES, ("server_name",), ("0.004", "2")),
        MetricChoice("total_duration_seconds", ("server_name",)),
        MetricChoice("bytes_read_total", ()),
    ),
)
BYTES = "bytes_read_total"


def with_own(*own: MetricChoice) -> Choice:
    """Let some metrics have labels and buckets of their own, and the others those of all."""
    return replace(OWN, own=own)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what was said of totals since the last look, and forget it."""
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return found


def by(label: str, samples: Samples, name: str = REQUESTS) -> dict[str, float]:
    """Give the samples of a metric by one label."""
    return {dict(labels)[label]: value for (each, labels), value in samples.items() if each == name}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Keep the totals of some lines; give the state."""
    with keeping(tmp_path / "state", OWN) as kept:
        kept.count(*LINES)
    return tmp_path / "state"


def test_metrics_with_labels_of_their_own_go_on(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each by its own labels and in its own buckets, start after start."""
    with keeping(path, OWN) as kept:
        before = kept.samples
        assert by("status_code", before) == {"200": 2, "503": 1}
        assert by("server_name", before, f"haproxy_log_{RESPONSES}_count") == {"s1": 2, "s2": 1}
        assert total(before, f"haproxy_log_{RESPONSES}_bucket", le="0.004") == 0
        assert total(before, "haproxy_log_bytes_read_total") == 3 * 228
        kept.count(*LINES)
        after = kept.samples
    assert after == {key: 2 * value for key, value in before.items()}
    with keeping(path, OWN) as kept:
        assert kept.samples == after
    assert warnings(caplog) == []


@pytest.mark.parametrize("exchanged", [False, True])
@pytest.mark.parametrize(
    ("own", "lost"),
    [
        (OWN.own[::-1], []),
        ((replace(OWN.own[0], buckets=("0.004", "3")), *OWN.own[1:]), [RESPONSES]),
        ((replace(OWN.own[0], labels=("server_name", "ssl")), *OWN.own[1:]), [RESPONSES]),
        ((replace(OWN.own[0], labels=("status_code",)), *OWN.own[1:]), [RESPONSES]),
        ((replace(OWN.own[0], labels=()), *OWN.own[1:]), [RESPONSES]),
        ((*OWN.own[:2], replace(OWN.own[2], labels=("server_name",))), [BYTES]),
        (OWN.own[:2], [BYTES]),
        ((MetricChoice("requests_total", ("server_name",)), *OWN.own), ["requests_total"]),
    ],
    ids=["order", "buckets", "labels", "another's", "none", "joined", "removed", "labels of all"],
)
def test_each_metric_stays_where_its_labels_and_buckets_do(
    path: Path,
    caplog: pytest.LogCaptureFixture,
    own: Sequence[MetricChoice],
    lost: list[str],
    exchanged: bool,  # noqa: FBT001 -- both ways
) -> None:
    """After a restart as after a reload: the others begin anew, and are named."""
    with keeping(path, OWN) as kept:
        before = kept.samples
        if exchanged:
            kept.exchange(with_own(*own))
            found = kept.samples
    if not exchanged:
        with keeping(path, with_own(*own)) as kept:
            found = kept.samples
    stay = [
        name for name in ("requests_total", RESPONSES, "total_duration", BYTES, "notices_total") if name not in lost
    ]
    assert of(found, *stay) == of(before, *stay)
    if lost != ["requests_total"]:  # others have counted the lines of each server
        assert of(found, *lost) == {}
    said = warnings(caplog)
    assert [name for name in lost if not any(name in each for each in said)] == [
        name for name in lost if name == "requests_total" and not said
    ]
    assert not [each for each in said if any(name in each for name in stay)]
    with keeping(path, with_own(*own)) as kept:
        assert kept.samples == found
        kept.count(*LINES)
        after = kept.samples
    assert of(after, *stay) == {key: 2 * value for key, value in of(before, *stay).items()}
    with keeping(path, with_own(*own)) as kept:
        assert kept.samples == after
    assert warnings(caplog) == []


def test_static_labels_may_change(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are no part of what is kept: all totals go on under the new ones."""
    with keeping(path, OWN) as kept:
        before = kept.samples
    static = (("site", "north"),)
    with keeping(path, replace(OWN, static=static)) as kept:
        assert kept.samples == {(name, labels | {*static}): value for (name, labels), value in before.items()}
    with keeping(path, OWN) as kept:
        assert kept.samples == before
    assert warnings(caplog) == []


def server(name: bytes, status: bytes = b"200", path: bytes = b"/a") -> bytes:
    """Write a line of a server."""
    line = HTTP.replace(b"bk/s1", b"bk/" + name).replace(b" 200 ", b" " + status + b" ")
    return line.replace(b"GET /a", b"GET " + path)


BY_SERVER = Choice(("server_name",), ("requests_total",), ("1",))
FEW_VALUES = replace(BY_SERVER, limits=Limits(values=2))
FEW_SERIES = replace(BY_SERVER, limits=Limits(series=2))
FIVE = tuple(server(b"s%d" % number) for number in range(5))


def test_values_keep_their_series_when_the_limit_is_lowered(tmp_path: Path) -> None:
    """After a restart, and those that come then have none; after the next one as well."""
    with keeping(tmp_path / "state", BY_SERVER) as kept:
        kept.count(*FIVE)
    for turn in (1, 2):
        with keeping(tmp_path / "state", FEW_VALUES) as kept:
            assert by("server_name", kept.samples)["s4"] == turn
            kept.count(*FIVE, server(b"new"))
            servers = {f"s{number}": turn + 1 for number in range(5)}
            assert by("server_name", kept.samples) == {**servers, "other": turn}
            assert kept.places["server_name"] == Places(5, 2, turn)


def test_label_sets_keep_their_series_when_the_limit_is_lowered(tmp_path: Path) -> None:
    """As values do."""
    with keeping(tmp_path / "state", BY_SERVER) as kept:
        kept.count(*FIVE)
    for turn in (1, 2):
        with keeping(tmp_path / "state", FEW_SERIES) as kept:
            kept.count(*FIVE, server(b"new"))
            servers = {f"s{number}": turn + 1 for number in range(5)}
            assert by("server_name", kept.samples) == {**servers, "other": turn}
            assert kept.capped == {"requests_total": turn}


@pytest.mark.parametrize("choice", [FEW_VALUES, FEW_SERIES], ids=["values", "series"])
@pytest.mark.parametrize("exchanged", [False, True])
def test_what_was_capped_goes_on(tmp_path: Path, choice: Choice, exchanged: bool) -> None:  # noqa: FBT001 -- both ways
    """Counters of lines without a place are no smaller after a restart or a reload, and are there before any line."""
    path, is_of_values = tmp_path / "state", choice is FEW_VALUES
    raised = replace(choice, limits=Limits(values=3) if is_of_values else Limits(series=3))
    more = (*FIVE[:3], server(b"other"), FIVE[4])
    with keeping(path, choice) as kept:
        kept.count(*FIVE)
        before = kept.places["server_name"].capped, kept.capped
        assert before == ((3, {}) if is_of_values else (0, {"requests_total": 3}))
        if exchanged:
            kept.exchange(raised)
            kept.count(*more)
    if not exchanged:
        with keeping(path, raised) as kept:
            assert (kept.places["server_name"].capped, kept.capped) == before
            kept.count(*more)
    with keeping(path, raised) as kept:
        after = kept.places["server_name"].capped, kept.capped
        assert after == ((4, {}) if is_of_values else (0, {"requests_total": 4}))
        assert by("server_name", kept.samples) == {"s0": 2, "s1": 2, "s2": 1, "other": 5}


def test_paths_that_were_admitted_are_known_after_a_restart(tmp_path: Path) -> None:
    """Also to requests that find nothing; others of these take no place then either."""
    choice = Choice(("http_request_path",), ("requests_total",), ("1",))
    with keeping(tmp_path / "state", choice) as kept:
        kept.count(server(b"s1", path=b"/real"), server(b"s1", b"404", b"/scan"))
    with keeping(tmp_path / "state", choice) as kept:
        kept.count(server(b"s1", b"404", b"/real"), server(b"s1", b"404", b"/scan"))
        assert by("http_request_path", kept.samples) == {"/real": 2, "other": 2}
        assert kept.places["http_request_path"] == Places(1, 1000, 0)
