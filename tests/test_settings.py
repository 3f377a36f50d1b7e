"""Reading options from texts."""

from dataclasses import replace
from itertools import product
from typing import NamedTuple

import pytest

from haproxy_log_exporter.address import Address, read_address
from haproxy_log_exporter.choice import MetricChoice
from haproxy_log_exporter.config.places import Text
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


# --- Where values come from -------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Texts in one place, and what they mean."""

    texts: tuple[str, ...]
    value: object


# Of each option: what is on the command line, in the environment and in the file.
PLACES: dict[str, tuple[Place, Place, Place]] = {
    "path_templates": (
        Place(("/a/{id}", "/b,c", "/a/{id}"), ("/a/{id}", "/b,c")),
        Place(("/d/*", "/e/{f}.json"), ("/d/*", "/e/{f}.json")),
        Place(("/g",), ("/g",)),
    ),
    "path_template_files": (
        Place(("a,b.txt", "c d.yaml"), ("a,b.txt", "c d.yaml")),
        Place(("/e", "/f"), ("/e", "/f")),
        Place(("g", "h"), ("g", "h")),
    ),
    "path_ids": (Place(("true", "false"), value=False), Place(("true",), value=True), Place(("false",), value=False)),
    "path_depth": (Place(("1", "2"), 2), Place(("1000",), 1000), Place(("4",), 4)),
    "most_values": (
        Place(("5", "a=6", "a=7"), (("", 5), ("a", 6), ("a", 7))),
        Place(("b=8", "9"), (("b", 8), ("", 9))),
        Place(("c=10",), (("c", 10),)),
    ),
    "most_series": (Place(("1", "2"), 2), Place(("100000000",), 100_000_000), Place(("4",), 4)),
    "series_idle": (Place(("1h", "7d"), 604_800.0), Place(("12h",), 43_200.0), Place(("1h30m",), 5400.0)),
    "own_metrics": (
        Place(("a:b,c:1,2", "d"), (MetricChoice("a", ("b", "c"), ("1", "2")), MetricChoice("d"))),
        Place(("e::1", "f:g"), (MetricChoice("e", None, ("1",)), MetricChoice("f", ("g",)))),
        Place(("h",), (MetricChoice("h"),)),
    ),
    "labels": (Place(("a,b", "c"), ("a", "b", "c")), Place(("d", "e,d"), ("d", "e")), Place(("f",), ("f",))),
    "metrics": (Place(("a,b", "c"), ("a", "b", "c")), Place(("d", "e,d"), ("d", "e")), Place(("f",), ("f",))),
    "buckets": (Place(("1,2", "3"), ("1", "2", "3")), Place(("4", "5,6"), ("4", "5", "6")), Place(("7",), ("7",))),
}


@pytest.mark.parametrize("there", [*product((True, False), repeat=3)])
@pytest.mark.parametrize("name", PLACES)
def test_the_command_line_comes_before_the_environment_and_that_before_the_file(
    name: str, there: tuple[bool, bool, bool]
) -> None:
    """All of an option is from one place, and nothing is added up; without any it is the default."""
    knob = knobs()[name]
    given, environment, file = (
        place.texts if is_there else () for place, is_there in zip(PLACES[name], there, strict=True)
    )
    settings, problems = read_settings(
        {**NONE, name: given},
        {knob.variable: "\n".join(environment)},
        {knob.name: [Text(text, "c.yml:1:1") for text in file]},
    )
    assert problems == []
    wanted = [place.value for place, is_there in zip(PLACES[name], there, strict=True) if is_there]
    assert getattr(settings, name) == [*wanted, getattr(Settings(), name)][0]
    assert replace(settings, **{name: getattr(Settings(), name)}) == Settings()


def test_the_last_of_equal_keys_counts_though_it_was_there_before() -> None:
    """Of what is keyed nothing is left out: 5, 6 and 5 again is 5."""
    settings, _ = read_settings({**NONE, "most_values": ["a=5", "5", "a=6", "6", "a=5", "5"]}, {})
    assert dict(settings.most_values) == {"a": 5, "": 5}


def test_defaults_of_what_bounds_labels() -> None:
    """Paths lose their ids, series stay, and the limits are those of the contract."""
    settings = Settings()
    assert (settings.path_ids, settings.path_depth, settings.series_idle) == (True, 0, 0.0)
    assert (settings.most_values, settings.most_series) == ((), 50_000)
    assert default_text("path_ids") == "on"
    assert default_text("stdin") == ""
    assert default_text("path_depth") == default_text("series_idle") == default_text("path_templates") == ""
    assert default_text("most_values") == "1000,http_request_method=20"
    assert default_text("most_series") == "50000"


def test_the_configuration_file_is_named_by_option_or_variable() -> None:
    """The command line comes first."""
    variables = {"HAPROXY_LOG_EXPORTER_CONFIG": "/e"}
    assert read_settings(NONE, variables)[0].config == "/e"
    assert read_settings({**NONE, "config": ["/a", "/b"]}, variables)[0].config == "/b"


# --- Mistakes in each place -------------------------------------------------------------------------------------------

SEGMENT = "a parameter is a name in braces within one segment, as {id}"
MISTAKES: tuple[tuple[str, str, str], ...] = (
    ("config", " ", "is empty"),
    ("path_templates", "users", "a template begins with '/', as /users"),
    ("path_templates", "/{a", f"'{{a': {SEGMENT}"),
    ("path_templates", "/a b", "a template has no blank in it: write %20"),
    ("path_templates", "/*/a", "'*' takes the rest of a path: nothing comes behind it"),
    ("path_template_files", " ", "is empty"),
    ("path_ids", "on", "'on' is neither true nor false"),
    ("path_depth", "0", "'0' is not a whole number from 1 to 1000"),
    ("path_depth", "1001", "'1001' is not a whole number from 1 to 1000"),
    ("most_values", "a=", "'' is not a whole number from 1 to 10000000"),
    ("most_values", "a-b=1", "'a-b' is no label; it is N, or LABEL=N"),
    ("most_series", "0", "'0' is not a whole number from 1 to 100000000"),
    ("most_series", "100000001", "'100000001' is not a whole number from 1 to 100000000"),
    ("series_idle", "7", "'7' is not a duration above 0; it is 90s, 30m, 12h, 7d or 2w"),
    ("own_metrics", "a::2,1", "2,1 does not ascend"),
    ("own_metrics", "a:b,", "'a:b,' has a label without a name"),
    ("labels", "a,,b", "is empty"),
    ("metrics", "a,", "is empty"),
    ("buckets", "1,0", "'0' is not a number of seconds above 0"),
    ("buckets", "2,1", "2,1 does not ascend"),
)


@pytest.mark.parametrize(("name", "text", "message"), MISTAKES)
def test_a_mistake_is_told_with_the_place_that_it_is_in(name: str, text: str, message: str) -> None:
    """The option, the variable, or the place in the file with the option's name there; its default stands."""
    knob = knobs()[name]
    for found, place in (
        (read_settings({**NONE, name: [text]}, {}), f"--{knob.name}"),
        (read_settings(NONE, {knob.variable: text}), f"HAPROXY_LOG_EXPORTER_{knob.name.upper().replace('-', '_')}"),
        (read_settings(NONE, {}, {knob.name: [Text(text, "c.yml:3:5")]}), f"c.yml:3:5: {knob.name}"),
    ):
        assert found[1] == [f"{place}: {message}"]
        assert name in ("labels", "metrics", "buckets") or found[0] == Settings()


def test_mistakes_are_told_at_their_own_texts() -> None:
    """Of a list in the file, and of a variable's lines, what is right stays."""
    texts = [Text("/a", "c.yml:1:2"), Text("b", "c.yml:2:4"), Text("/c", "c.yml:3:4"), Text("", "c.yml:4:4")]
    settings, problems = read_settings(NONE, {"HAPROXY_LOG_EXPORTER_METRIC": "a\n:\nb:c"}, {"path-template": texts})
    form = "it is NAME, NAME:LABELS or NAME:LABELS:BUCKETS, with commas within these"
    assert problems == [
        f"HAPROXY_LOG_EXPORTER_METRIC: ':' is no metric; {form}",
        "c.yml:2:4: path-template: a template begins with '/', as /b",
        "c.yml:4:4: path-template: a template begins with '/', as /users/{id}",
    ]
    assert settings.path_templates == ("/a", "/c")
    assert settings.own_metrics == (MetricChoice("a"), MetricChoice("b", ("c",)))
