"""Configuration read again where haproxy.cfg has another thing to say: captures that go, series that are certain."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.given import Source
from haproxy_log_exporter.reloading import Reloader
from tests.pipelines import HTTP, samples_of, take
from tests.reloads import REFUSED, Config, Reloading, stopping
from tests.support import total

REQUESTS = "haproxy_log_requests_total"
WEB = "frontend web\n    mode http\n    option httplog\n"
HOST = "    capture request header Host len 50\n"
EMPTY = "the label request_header_host is empty from now on: no format in use can fill it"
LEFT_OUT = (
    "{} series that haproxy.cfg makes certain are not shown at 0: they would take more than half of the places"
    " of --max-series or --max-label-values"
)
ARMS = "".join(f".if feature(X{number})\n    capture request header A{number} len 5\n.endif\n" for number in range(5))
WORTH_TELLING = "the arms of its .if make more than 16 combinations"
READ_AGAIN = "haproxy.cfg was read again: 2 formats"


@pytest.fixture(autouse=True)
def _hear(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO):
        yield


@pytest.fixture(name="haproxy")
def _haproxy(tmp_path: Path) -> Path:
    return tmp_path / "haproxy.cfg"


def frontends(count: int, more: str = "") -> str:
    """Write so many frontends, f0 and on."""
    return "".join(WEB.replace("web", f"f{number}") + more for number in range(count))


def make_reloader(haproxy: Path, *labels: str, **texts: list[str]) -> Reloader:
    """Begin to count by haproxy.cfg, without a configuration file."""
    given = {"formats": [], "files": ["haproxy.log"], "haproxy_config": [str(haproxy)], "labels": [*labels]}
    source = Source(given | texts, {})
    reloader = Reloader(source.read(), source.read, None)
    reloader.start()
    reloader.pipeline.flush()
    return reloader


def count_host(reloader: Reloader) -> float:
    """Count a request to a host; tell how many there were."""
    take(reloader.pipeline, HTTP.replace(b"{a} {b}", b"{example.org}"))
    return total(samples_of(reloader.pipeline), REQUESTS, request_header_host="example.org")


# --- A capture that goes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("also", [{}, {"series-idle": "1h"}], ids=["formats alone", "other options as well"])
def test_a_capture_that_goes_with_a_reload_leaves_the_label_empty(
    tmp_path: Path, haproxy: Path, caplog: pytest.LogCaptureFixture, also: Config
) -> None:
    """As where haproxy.cfg alone is looked at: it may be filled by lines that are on their way, and it is told."""
    haproxy.write_text(WEB + HOST)
    config: Config = {"labels": ["request_header_host"]}
    with stopping(Reloading(tmp_path, config, haproxy_config=[str(haproxy)])) as desk:
        haproxy.write_text(WEB + 'frontend more\n    mode http\n    log-format "%ci %ST"\n')
        assert desk.reload(config | also)
        assert REFUSED not in caplog.text
        assert caplog.messages.count(EMPTY) == 1
        desk.count(HTTP + b"\n")
        desk.flush()
        assert total(desk.shown(), REQUESTS, request_header_host="") == 1
        assert desk.reload(config | also | {"max-series": 9}), "and again, while lines of before may come"


def test_a_capture_that_came_with_a_reload_may_go_with_the_next(tmp_path: Path, haproxy: Path) -> None:
    """What is in use now counts, not what was before it."""
    haproxy.write_text(WEB)
    with stopping(Reloading(tmp_path, {"labels": ["status_code"]}, haproxy_config=[str(haproxy)])) as desk:
        for captures in (HOST, ""):
            haproxy.write_text(WEB + captures)
            assert desk.reload({"labels": ["request_header_host"], "max-series": 9 + len(captures)})


def test_a_label_that_nothing_can_fill_takes_no_reload(
    tmp_path: Path, haproxy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither what is written now nor what was written before."""
    haproxy.write_text(WEB)
    with stopping(Reloading(tmp_path, {"labels": ["status_code"]}, haproxy_config=[str(haproxy)])) as desk:
        assert not desk.reload({"labels": ["status_code", "request_header_host"]})
    (told,) = [message for message in caplog.messages if message.startswith(REFUSED)]
    assert "labels: no format in use can fill 'request_header_host'" in told


def test_options_are_read_with_the_formats_that_lines_may_come_in(haproxy: Path) -> None:
    """They help a label, and are no part of what is read; mistakes are found all the same."""
    haproxy.write_text(WEB + HOST)
    texts = {"formats": [], "haproxy_config": [str(haproxy)], "labels": ["request_header_host"]}
    former = Source(texts, {}).read().choice.configured
    haproxy.write_text(WEB.replace("httplog", "tcplog"))
    with pytest.raises(UsageError, match="no format in use can fill 'request_header_host'"):
        Source(texts, {}).read()
    given = Source(texts, {}).read(former)
    assert [each.name for each in given.choice.configured] == ["tcplog", "error"]
    with pytest.raises(UsageError) as caught:
        Source({**texts, "labels": ["request_header_host,nonesuch"]}, {}).read(former)
    assert len(caught.value.messages) == 1
    haproxy.write_text("frontend\n")
    with pytest.raises(UsageError) as caught:
        Source(texts, {}).read(former)
    assert all(str(haproxy) in message for message in caught.value.messages)


def test_lines_of_two_configurations_are_read(haproxy: Path) -> None:
    """Those of today's haproxy.cfg and of the one before, not of the one before that."""
    text = 'frontend web\n    mode http\n    log-format "{} %ST"\n'
    haproxy.write_text(text.format("one"))
    reloader = make_reloader(haproxy, "status_code")
    for name in ("two", "three"):
        haproxy.write_text(text.format(name))
        assert reloader.has_changed()
        reloader.read_haproxy_config()
        assert not reloader.has_changed()
    counts = [take(reloader.pipeline, name + b" 200").counted for name in (b"one", b"two", b"three")]
    assert counts == [0, 1, 2]


# --- What is worth saying ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("also", [{}, {"series-idle": "1h"}], ids=["formats alone", "other options as well"])
def test_warnings_are_told_with_a_reload(
    tmp_path: Path, haproxy: Path, caplog: pytest.LogCaptureFixture, also: Config
) -> None:
    """Whatever it changes: those of haproxy.cfg, and how many series are not there."""
    haproxy.write_text(WEB)
    config: Config = {"labels": ["frontend_name"], "max-series": 4}
    with stopping(Reloading(tmp_path, config, haproxy_config=[str(haproxy)])) as desk:
        assert LEFT_OUT.format(1) not in caplog.messages
        haproxy.write_text(WEB + ARMS + frontends(2))
        caplog.clear()
        assert desk.reload(config | also)
        assert sum(WORTH_TELLING in message for message in caplog.messages) == 1
        assert caplog.messages.count(LEFT_OUT.format(1)) == 1


def test_series_that_are_left_out_are_told_at_the_start(haproxy: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And again when haproxy.cfg has others, not when all are there."""
    haproxy.write_text(frontends(5))
    reloader = make_reloader(haproxy, "frontend_name", most_series=["6"])
    assert caplog.messages == [LEFT_OUT.format(2)]
    for count, told in ((9, [LEFT_OUT.format(6), READ_AGAIN]), (3, [READ_AGAIN])):
        caplog.clear()
        haproxy.write_text(frontends(count))
        reloader.read_haproxy_config()
        assert caplog.messages == told


def test_a_start_with_all_that_is_certain_says_nothing(haproxy: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its series are there with the first batch."""
    haproxy.write_text(frontends(3, HOST))
    reloader = make_reloader(haproxy, "frontend_name")
    assert caplog.messages == []
    samples = samples_of(reloader.pipeline)
    assert {dict(labels)["frontend_name"] for name, labels in samples if name == REQUESTS} == {"f0", "f1", "f2"}
    assert count_host(make_reloader(haproxy, "request_header_host", "frontend_name")) == 0, "web captures nothing"


def test_a_broken_haproxy_config_says_nothing_else(haproxy: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is certain stays as it was."""
    haproxy.write_text(frontends(2))
    reloader = make_reloader(haproxy, "frontend_name")
    before = reloader.assembly.certain
    haproxy.write_text("frontend x\n    log-format %nonesuch\n")
    reloader.read_haproxy_config()
    assert reloader.assembly.certain == before == {"requests_total": 2, "response_duration_seconds": 2}
    (told,) = caplog.messages
    assert told.startswith("haproxy.cfg is not taken over, what was read before stays: ")
