"""Reading options from texts."""

import pytest

from haproxy_log_exporter.address import Address, read_address
from haproxy_log_exporter.settings import Settings, default_text, knobs, read_settings

NONE: dict[str, list[str]] = {name: [] for name in knobs()}  # every knob, none of them given


def test_defaults() -> None:
    """Without anything given, the contract's defaults hold."""
    settings, problems = read_settings(NONE, {})
    assert problems == []
    assert settings == Settings()
    assert settings.listen_address == Address("", 9129)
    assert str(settings.listen_address) == ":9129"
    assert default_text("labels") == "status_code,backend_name,server_name"
    assert settings.start == "end"


def test_repeated_and_divided_values() -> None:
    """Labels may be given in one text or several; each counts once, in their order."""
    settings, problems = read_settings({"labels": ["b,a", "c, a"], "files": ["/x/*.log", "/y,z.log"]}, {})
    assert problems == []
    assert settings.labels == ("b", "a", "c")
    assert settings.files == ("/x/*.log", "/y,z.log")


def test_the_environment_stands_in() -> None:
    """Each option has a variable; what is given on the command line goes first."""
    variables = {
        "HAPROXY_LOG_EXPORTER_LABELS": "status_code,server_name",
        "HAPROXY_LOG_EXPORTER_FORMAT": "%ci:%cp %ST\n%ci, %ST",
        "HAPROXY_LOG_EXPORTER_WEB_LISTEN_ADDRESS": "[::1]:9000",
        "HAPROXY_LOG_EXPORTER_START": "beginning",
    }
    settings, problems = read_settings({**NONE, "start": ["end"]}, variables)
    assert problems == []
    assert settings.labels == ("status_code", "server_name")
    assert settings.formats == ("%ci:%cp %ST", "%ci, %ST")
    assert settings.listen_address == Address("::1", 9000)
    assert str(settings.listen_address) == "[::1]:9000"
    assert settings.start == "end"


def test_every_mistake_is_told_with_its_place() -> None:
    """All of them at once, each naming the option or the variable."""
    given = {
        "buckets": ["0.1,x,-1,inf"],
        "syslog": ["http://h:1", "127.0.0.1:514", "udp://h"],
        "parser": ["regex"],
        "listen_address": ["9129"],
        "telemetry_path": ["metrics"],
    }
    _, problems = read_settings({**NONE, **given}, {"HAPROXY_LOG_EXPORTER_START": "middle"})
    places = [problem.partition(": ")[0] for problem in problems]
    assert sorted(places) == sorted(
        ["--buckets"] * 3
        + ["--syslog"] * 3
        + ["--parser", "--web.listen-address", "--web.telemetry-path", "HAPROXY_LOG_EXPORTER_START"]
    )
    assert "--buckets: 'x' is not a number of seconds above 0" in problems
    assert "HAPROXY_LOG_EXPORTER_START: 'middle' is not one of end, beginning" in problems


def test_what_concerns_haproxys_own_settings() -> None:
    """haproxy.cfg in one file or several, the facilities of syslog, and the weight of a sample."""
    given = {"haproxy_config": ["/etc/haproxy/haproxy.cfg", "/a,b.d"], "facilities": ["local0", "local1", "local0"]}
    settings, problems = read_settings({**NONE, **given, "sample_weight": ["10"]}, {})
    assert problems == []
    assert settings.haproxy_config == ("/etc/haproxy/haproxy.cfg", "/a,b.d")
    assert settings.facilities == ("local0", "local1")
    assert settings.sample_weight == 10
    assert (Settings().haproxy_config, Settings().facilities, Settings().sample_weight) == ((), (), 1)
    variables = {
        "HAPROXY_LOG_EXPORTER_HAPROXY_CONFIG": "/a\n/b c",
        "HAPROXY_LOG_EXPORTER_FACILITY": "local0\nlocal7",
        "HAPROXY_LOG_EXPORTER_SAMPLE_WEIGHT": "4",
    }
    settings, problems = read_settings(NONE, variables)
    assert problems == []
    assert (settings.haproxy_config, settings.facilities) == (("/a", "/b c"), ("local0", "local7"))
    assert settings.sample_weight == 4


@pytest.mark.parametrize("text", ["0", "-1", "+1", "1.5", "1e3", "", " 1", "01", "10000", "٣"])
def test_what_is_no_weight(text: str) -> None:
    """It is refused in words, and the default stands in its place."""
    settings, problems = read_settings({"sample_weight": [text]}, {})
    assert problems == [f"--sample-weight: {text!r} is not a whole number from 1 to 9999"]
    assert settings.sample_weight == 1


def test_what_is_no_facility() -> None:
    """Those that there are, are told."""
    _, problems = read_settings({"facilities": ["local0", "local8", "LOCAL0"]}, {})
    assert [problem.partition(" is not one of ")[0] for problem in problems] == [
        "--facility: 'local8'",
        "--facility: 'LOCAL0'",
    ]
    assert all("kern, user, " in problem and ", local7" in problem for problem in problems)


@pytest.mark.parametrize("bounds", ["1,0.5", "0.1,0.10"])
def test_buckets_ascend(bounds: str) -> None:
    """Equal bounds do not ascend either."""
    _, problems = read_settings({"buckets": [bounds]}, {})
    assert [problem.partition(" ")[0] for problem in problems] == ["--buckets:"]


@pytest.mark.parametrize("text", ["", "x", "host:", "h:1/x", "h:99999", "u@h:1", "[::1", "::1:80:80"])
def test_what_is_no_address(text: str) -> None:
    """It is refused in words."""
    with pytest.raises(ValueError, match="is no address"):
        read_address(text)


def test_variables_follow_the_options() -> None:
    """Upper case, with dots and dashes as underscores."""
    assert {knob.variable for knob in knobs().values()} >= {
        "HAPROXY_LOG_EXPORTER_FILE",
        "HAPROXY_LOG_EXPORTER_WEB_TELEMETRY_PATH",
        "HAPROXY_LOG_EXPORTER_LOG_LEVEL",
    }


def test_only_the_commands_own_knobs_are_read() -> None:
    """What is set for `serve` in the environment is no mistake of `parse`."""
    assert read_settings({"formats": []}, {"HAPROXY_LOG_EXPORTER_SYSLOG": "tcp://x"}) == (Settings(), [])
