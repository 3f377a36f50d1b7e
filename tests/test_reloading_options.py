"""Options read again on SIGHUP while lines come: as a whole, or not at all; no line counts twice, or never."""

import signal
from pathlib import Path

import pytest

from haproxy_log_exporter import reloading
from tests.integration.configured_site import Watch, send
from tests.reloads import BYTES, MANY, MOMENT, REFUSED, SUCCEEDED, TAKEN, Config, Reloading, Traffic, site, stopping
from tests.services import LINES, REQUESTS, append, line, times_said, wait_for
from tests.support import Exporter, serving, total, wait_until


def test_each_line_counts_once_whatever_changes(tmp_path: Path) -> None:
    """By one configuration or the other, of a file and of datagrams; what is counted as before never goes back."""
    with site(tmp_path, MANY[0], "--syslog", "udp://127.0.0.1:0") as served:
        traffic, watch = Traffic(served.log, served.exporter.syslog_port), Steady(served.exporter)
        with traffic.flowing():
            for config in (*MANY[1:], MANY[0]):
                served.reload(config)
                before = watch.look()
                wait_until(lambda: watch.look() > before, what="further lines")  # noqa: B023 -- waited for at once
        lines = traffic.written + traffic.sent
        samples = served.exporter.wait_for_lines(lines)
        assert total(samples, LINES) == lines
        filtered = total(samples, LINES, result="filtered")
        assert total(samples, LINES, result="counted") == lines - filtered
        assert 0 < filtered < lines
        assert total(samples, BYTES) == 228 * (lines - filtered)
        assert served.exporter.stop() == 0
    assert times_said(served.exporter, "Traceback") == 0


class Steady:
    """Looks at the metric that is counted by the same labels throughout."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._last = 0.0

    def look(self) -> float:
        """Give it; it is no less than the last time, and of the same moment as the lines counted."""
        samples = self._exporter.scrape()
        found = total(samples, BYTES)
        assert found >= self._last
        assert found == 228 * total(samples, LINES, result="counted")
        self._last = found
        return found


def test_facilities_of_datagrams(tmp_path: Path) -> None:
    """Lines of others count until they are asked for no more, and again afterwards."""
    with site(tmp_path, {}, "--syslog", "udp://127.0.0.1:0") as served:
        watch = Watch(served.exporter)
        for number, (facilities, counted) in enumerate((([], 1), (["local1"], 1), ([], 2)), start=1):
            served.reload({"facility": facilities} if facilities else {})
            send(served.exporter.syslog_port, b"<134>" + line())
            watch.wait_for(counted=counted, filtered=number - counted)


def test_twenty_in_a_row(tmp_path: Path) -> None:
    """However fast they come, the last configuration is what counts, and no line is lost."""
    with site(tmp_path, MANY[0]) as served:
        traffic, watch = Traffic(served.log, 0), Steady(served.exporter)
        with traffic.flowing():
            for turn in range(20):
                served.configure(MANY[(0, 2, 5)[turn % 3]])
                served.exporter.process.send_signal(signal.SIGHUP)
                watch.look()
        served.configure(MANY[0])
        for _ in range(2):  # the first that is told of may have begun before
            told = times_said(served.exporter, TAKEN)
            served.exporter.process.send_signal(signal.SIGHUP)
            wait_until(lambda told=told: times_said(served.exporter, TAKEN) > told, what=TAKEN)  # type: ignore[misc]
        samples = served.exporter.wait_for_lines(traffic.written)
        assert total(samples, BYTES) == 228 * traffic.written
        append(served.log, line(418))
        wait_for(served.exporter, lambda found: total(found, REQUESTS, status_code="418") == 1, "the last line")
        assert served.exporter.stop() == 0
    assert times_said(served.exporter, "Traceback") == 0


# What is wrong, and what is said of it, each behind the file's name.
BROKEN = (
    ("labels: [status_code\n", [":1:9: this [ is not closed"]),
    ("labels: [status_code]\nlabel: [x]\n", [":2:1: there is no option 'label'; did you mean 'labels'?"]),
    ("labels: [status_code, nonesuch]\n", [":1:23: labels: no format in use can fill 'nonesuch'; there are "]),
    ("labels: [backend_name]\nmax-series: none\n", [":2:13: max-series: 'none' is not a whole number from 1 to "]),
    ("rules:\n  server_name:\n    - {match: '(', action: drop}\n", [":3:15: the regex '(' is broken: missing ), "]),
    (
        "metrics:\n  requests_total: {labels: [x]}\n  y:\n",
        [":3:3: metrics: no format in use can fill 'y'", ":2:29: labels: no format in use can fill 'x'"],
    ),
    ("path-templates: /nonesuch\n", [":1:17: path-templates: cannot read /nonesuch: No such file or directory"]),
)


def test_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    """Every mistake is told with its place, a metric says that it was so, and lines count as before."""
    config = {"labels": ["status_code"], "metrics": ["requests_total"]}
    with site(tmp_path, config) as served:
        watch = Watch(served.exporter)
        append(served.log, line(200))
        moment = total(watch.wait_for(counted=1), MOMENT)
        for text, expected in BROKEN:
            begin = len(served.exporter.messages)
            served.config.write_text(text)
            served.hang_up(REFUSED, len(expected))
            told = [message for message in served.exporter.messages[begin:] if REFUSED in message]
            for message, part in zip(told, expected, strict=True):
                assert message.startswith(f"{REFUSED}{served.config}{part}")
            samples = watch.scrape()
            assert (total(samples, SUCCEEDED), total(samples, MOMENT)) == (0, moment)
        append(served.log, line(200), line(404))
        samples = watch.wait_for(counted=3)
        assert total(samples, REQUESTS, status_code="200") == 2
        assert total(samples, SUCCEEDED) == 0
        served.reload(config)
        samples = watch.scrape()
        assert total(samples, SUCCEEDED) == 1
        assert total(samples, MOMENT) > moment
        assert total(samples, REQUESTS, status_code="200") == 2
        assert not [message for message in served.exporter.messages if "dropped" in message]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("file", ["haproxy.log", "more.log"]),
        ("syslog", "udp://127.0.0.1:0"),
        ("state", "elsewhere"),
        ("start", "beginning"),
        ("haproxy-config", "haproxy.cfg"),
        ("web.listen-address", "127.0.0.1:1"),
        ("web.telemetry-path", "/elsewhere"),
    ],
)
def test_sources_and_addresses_take_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """That is told, and nothing else of such a file is taken over."""
    monkeypatch.chdir(tmp_path)
    Path("haproxy.cfg").write_text("frontend web\n    mode http\n    option httplog\n")
    config: Config = {"file": "haproxy.log", "labels": ["status_code"]}
    with stopping(Reloading(tmp_path, config, files=[])) as desk:
        desk.count(line(200))
        assert not desk.reload(config | {name: value, "labels": ["backend_name"]})
        desk.count(line(200))
        desk.flush()
        assert total(desk.shown(), REQUESTS, status_code="200") == 2
    assert caplog.messages == [f"{REFUSED}--{name}: it has changed, which takes a restart"]


def test_command_line_comes_first(tmp_path: Path) -> None:
    """What is given there has not changed, whatever the file says of it now."""
    with site(tmp_path, {"labels": ["backend_name"]}) as served:
        served.reload({"file": "/elsewhere", "web.listen-address": "127.0.0.1:1", "labels": ["status_code"]})
        append(served.log, line(200))
        wait_for(served.exporter, lambda found: total(found, REQUESTS, status_code="200") == 1, "a line")


def test_log_level_is_taken_over(tmp_path: Path) -> None:
    """What is less than it is not said from then on, and again when it is put back."""
    with site(tmp_path, {"log.level": "info"}) as served:
        served.configure({"log.level": "error"})
        before = total(served.exporter.scrape(), MOMENT)
        served.exporter.process.send_signal(signal.SIGHUP)
        wait_for(served.exporter, lambda found: total(found, MOMENT) > before, "the configuration")
        assert times_said(served.exporter, TAKEN) == 0
        served.config.write_text("nonesuch: 1\n")
        served.hang_up(REFUSED)
        served.reload({"log.level": "info"})


def test_haproxy_config_and_options_at_once(tmp_path: Path) -> None:
    """Lines of the new format count by the new labels; those of the one before, which come a while yet, too."""
    haproxy = tmp_path / "haproxy.cfg"
    text = 'frontend web\n    mode http\n    log-format "{} %b %ST"\n'
    haproxy.write_text(text.format("one"))
    with site(tmp_path, {"labels": ["status_code"]}, "--haproxy-config", haproxy) as served:
        append(served.log, b"one bk 200\n")
        served.exporter.wait_for_lines(1)
        haproxy.write_text(text.format("two"))
        served.reload({"labels": ["backend_name"]})
        append(served.log, b"one bk 200\n", b"two bk 200\n", b"three bk 200\n")
        samples = served.exporter.wait_for_lines(4)
        assert total(samples, REQUESTS, backend_name="bk") == total(samples, REQUESTS) == 2
        assert total(samples, LINES, result="rejected") == 1


def test_templates_alone(tmp_path: Path) -> None:
    """Their file is read again without a configuration file, and stays as it was where it is broken."""
    log, templates = tmp_path / "haproxy.log", tmp_path / "templates"
    log.touch()
    templates.write_text("/users/{name}\n")
    with serving("-f", log, "--path-templates", templates, "-l", "http_request_path") as exporter:
        assert exporter.port
        append(log, line(path="/users/ann"), line(path="/shops/x"))
        exporter.wait_for_lines(2)
        for text, said in (("/shops/{shop\n", REFUSED), ("/shops/{shop}\n", TAKEN)):
            templates.write_text(text)
            exporter.process.send_signal(signal.SIGHUP)
            wait_until(lambda: times_said(exporter, said) == 1, what=said)  # noqa: B023 -- waited for at once
        assert f"{REFUSED}{templates}:1: " in next(each for each in exporter.messages if REFUSED in each)
        append(log, line(path="/users/ann"), line(path="/shops/y"))
        samples = exporter.wait_for_lines(4)
    found = {dict(labels)["http_request_path"]: value for (name, labels), value in samples.items() if name == REQUESTS}
    assert found == {"/users/{name}": 1, "/shops/x": 1, "/users/ann": 1, "/shops/{shop}": 1}


# What is counted of a line before, of the same after, and what is shown of requests in the end, by one label.
OPTIONS: tuple[tuple[Config, Config, str, dict[str, float]], ...] = (
    ({}, {"sample-weight": 10}, "/a", {"/a": 11}),
    ({}, {"path-depth": 1}, "/a/b", {"/a/b": 1, "/a": 1}),
    ({}, {"path-ids": False}, "/1", {"/{id}": 1, "/1": 1}),
    ({}, {"path-template": ["/{x}"]}, "/a", {"/a": 1, "/{x}": 1}),
    ({}, {"rules": {"http_request_path": [{"match": "/(.)", "replace": "$1"}]}}, "/a", {"/a": 1, "a": 1}),
    ({}, {"rules": {"http_request_path": [{"match": "/a", "action": "drop"}]}}, "/a", {"/a": 1}),
    ({}, {"format": ["tcplog"], "labels": ["backend_name"], "metrics": ["sessions_total"]}, "/a", {}),
    ({}, {"static-labels": {"site": "berlin"}}, "/a", {"/a": 2}),
    ({}, {"max-series": 1}, "/a", {"/a": 2}),
    ({}, {"max-label-values": {"http_request_path": 1}}, "/a", {"/a": 2}),
    ({}, {"buckets": [1]}, "/a", {"/a": 2}),
    ({}, {"labels": ["http_request_path", "status_code"]}, "/a", {"/a": 1}),
    ({"series-idle": "1h"}, {"series-idle": "2h"}, "/a", {"/a": 2}),
)


@pytest.mark.parametrize(("before", "after", "path", "expected"), OPTIONS)
def test_each_option_takes_hold(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: Config,
    after: Config,
    path: str,
    expected: dict[str, float],
) -> None:
    """From the next line on; what was counted stays where labels are the same, also over a kill."""
    monkeypatch.setattr(reloading, "send_messages", lambda *_: None)
    common: Config = {"labels": ["http_request_path"], "format": ["httplog"]}
    with stopping(Reloading(tmp_path, common | before)) as desk:
        desk.count(line(path=path))
        assert desk.reload(common | after)
        desk.count(line(path=path))
        desk.flush()
        for _ in range(2):
            shown = desk.shown()
            found = {
                dict(labels)["http_request_path"]: value for (name, labels), value in shown.items() if name == REQUESTS
            }
            assert found == expected
            desk.kill()


def test_values_keep_their_places_under_a_lower_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that are there stay and count on, however many these are; new ones become other; counts of that go on."""
    monkeypatch.setattr(reloading, "send_messages", lambda *_: None)
    config: Config = {"labels": ["http_request_path"], "format": ["httplog"], "metrics": ["requests_total"]}
    limits = [{"max-label-values": {"http_request_path": most}} for most in (3, 1, 4)]
    with stopping(Reloading(tmp_path, config | limits[0])) as desk:
        desk.count(*(line(path=path) for path in ("/a", "/b", "/c", "/d")))
        desk.flush()
        assert desk.places["http_request_path"] == (3, 1)
        assert desk.reload(config | limits[1])
        desk.count(*(line(path=path) for path in ("/a", "/b", "/c", "/d")))
        desk.flush()
        assert desk.places["http_request_path"] == (3, 2)
        assert desk.reload(config | limits[2])
        desk.count(*(line(path=path) for path in ("/d", "/e")))
        desk.flush()
        assert desk.places["http_request_path"] == (4, 3)
        found = {dict(labels)["http_request_path"]: value for (name, labels), value in desk.shown().items()}
    assert found == {"/a": 2, "/b": 2, "/c": 2, "/d": 1, "other": 3}
