import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.config.file import (
    ConfigFile,
    LabelRules,
    MetricText,
    StaticLabel,
    read_config_file,
)
from haproxy_log_exporter.config.places import Text
from haproxy_log_exporter.labels.rules import Action, Rule, read_match
from tests.config.files import OPTIONS


def read(text: str) -> ConfigFile:
    """Read a file without a mistake."""
    config, mistakes = read_config_file(text, "c.yml", OPTIONS)
    assert mistakes == []
    return config


def option(text: str, name: str) -> list[tuple[str, str]]:
    """Read an option's texts, each with its line and column."""
    return [(value.text, value.place.removeprefix("c.yml:")) for value in read(text).options[name]]


# --- Options ----------------------------------------------------------------------------------------------------------


def test_every_option_is_read_by_its_name() -> None:
    """Whatever it takes, as texts, each with its place."""
    config = read(
        """
# What is read
file: /var/log/haproxy.log
labels: [status_code, "backend_name"]
max-series: 5000
log.level: 'debug'
web.listen-address: :9129
stdin: false
metrics:
  - requests_total
  - bytes_total,response_duration_seconds
"""
    )
    assert {name: [value.text for value in values] for name, values in config.options.items()} == {
        "file": ["/var/log/haproxy.log"],
        "labels": ["status_code", "backend_name"],
        "max-series": ["5000"],
        "log.level": ["debug"],
        "web.listen-address": [":9129"],
        "stdin": ["false"],
        "metrics": ["requests_total", "bytes_total,response_duration_seconds"],
    }
    assert config.options["labels"][1] == Text("backend_name", "c.yml:4:23")
    assert config.metrics is None


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "--- ~\n", "{}", "\ufeff"])
def test_a_file_may_be_empty(text: str) -> None:
    """Then it says nothing."""
    assert read(text) == ConfigFile()


def test_a_value_stays_as_it_is_written() -> None:
    """Though YAML would make numbers and booleans of it."""
    wanted = ["0.10", "1e3", "010", "0x1F", "yes", "On", "12:30:00", "2026-01-01", "1_000", ".5", "=", "<<", "é", ""]
    assert [text for text, _ in option(f"labels: [{', '.join(wanted[:-1])}, '']", "labels")] == wanted


@pytest.mark.parametrize("written", ["true", "True", "TRUE", "yes", "Yes", "on", "ON"])
def test_a_switch_is_on(written: str) -> None:
    """In all the ways of YAML 1.1."""
    assert option(f"stdin: {written}", "stdin") == [("true", "1:8")]


@pytest.mark.parametrize("written", ["false", "False", "no", "NO", "off"])
def test_a_switch_is_off(written: str) -> None:
    """In all the ways of YAML 1.1."""
    assert option(f"stdin: {written}", "stdin") == [("false", "1:8")]


def test_a_keyed_option_may_be_a_mapping() -> None:
    """Each entry is the text that a command line would have, and stands where its key is."""
    assert option("max-label-values:\n  http_request_path: 2000\n  x: 0x10\n", "max-label-values") == [
        ("http_request_path=2000", "2:3"),
        ("x=0x10", "3:3"),
    ]
    assert option("max-label-values: [500, x=3]", "max-label-values") == [("500", "1:20"), ("x=3", "1:25")]
    assert option("max-label-values: 500", "max-label-values") == [("500", "1:19")]


def test_aliases_and_merges_are_those_of_yaml() -> None:
    """A value stands where the alias is, what it holds where it is written."""
    text = "labels: &these [a, b]\nmetrics:\n  x: &m {labels: *these}\n  y: {<<: *m, buckets: '1'}\n"
    assert read(text).metrics == (
        MetricText(Text("x", "c.yml:3:3"), (Text("a", "c.yml:1:17"), Text("b", "c.yml:1:20"))),
        MetricText(
            Text("y", "c.yml:4:3"),
            (Text("a", "c.yml:1:17"), Text("b", "c.yml:1:20")),
            (Text("1", "c.yml:4:24"),),
        ),
    )
    assert option("log.level: &level debug\nweb.telemetry-path: *level", "web.telemetry-path") == [("debug", "2:21")]


# --- Metrics ----------------------------------------------------------------------------------------------------------

METRICS = (
    MetricText(Text("a", "")),
    MetricText(Text("b", ""), labels=(Text("x", ""), Text("y", "")), buckets=(Text("0.10", ""), Text("1", ""))),
    MetricText(Text("c", ""), labels=()),
)


@pytest.mark.parametrize(
    "text",
    [
        "metrics: {a: , b: {labels: [x, y], buckets: [0.10, 1]}, c: {labels: []}}",
        "metrics: {a: ~, b: {labels: 'x, y', buckets: '0.10,1'}, c: {labels: ''}}",
        "metrics: {a: {}, b: {buckets: ['0.10,1'], labels: ['x,y']}, c: {labels: []}}",
        "metrics:\n- a\n- b: {labels: [x, y], buckets: [0.10, 1]}\n- c: {labels: []}\n",
    ],
)
def test_metrics_have_labels_and_buckets_of_their_own(text: str) -> None:
    """In a mapping or a list; nothing said is another thing than no labels."""

    def bare(texts: tuple[Text, ...] | None) -> tuple[Text, ...] | None:
        return None if texts is None else tuple(Text(value.text, "") for value in texts)

    config = read(text)
    assert config.metrics is not None
    metrics = [MetricText(Text(row.name.text, ""), bare(row.labels), bare(row.buckets)) for row in config.metrics]
    assert tuple(metrics) == METRICS
    assert config.options == {}


def test_a_metric_and_its_parts_have_their_places() -> None:
    """For who knows whether there are such metrics and labels."""
    config = read("metrics:\n  a:\n    labels:\n    - x\n    - y,z\n")
    (metric,) = config.metrics or ()
    assert metric.name.place == "c.yml:2:3"
    assert metric.labels == (Text("x", "c.yml:4:7"), Text("y", "c.yml:5:7"), Text("z", "c.yml:5:7"))


# --- Rules and static labels ------------------------------------------------------------------------------------------


def test_rules_are_read_in_order() -> None:
    """By label, each one of the three."""
    text = """
rules:
  http_request_path:
    - match: /api/(.*)
      replace: '/$1'
    - {match: '', replace: ''}
    - match: /health
      action: drop
  backend_name:
    - {match: 'shop_\\d+', action: keep}
"""
    assert read(text).rules == (
        LabelRules(
            Text("http_request_path", "c.yml:3:3"),
            (
                Rule(read_match("/api/(.*)"), Action.REPLACE, ("/", 1)),
                Rule(read_match(""), Action.REPLACE, ()),
                Rule(read_match("/health"), Action.DROP),
            ),
        ),
        LabelRules(Text("backend_name", "c.yml:9:3"), (Rule(read_match(r"shop_\d+"), Action.KEEP),)),
    )


def test_static_labels_are_texts() -> None:
    """As they are written, and with the places of both."""
    assert read("static-labels:\n  site: berlin\n  _1: 0.10\n  on: yes\n").static_labels == (
        StaticLabel(Text("site", "c.yml:2:3"), Text("berlin", "c.yml:2:9")),
        StaticLabel(Text("_1", "c.yml:3:3"), Text("0.10", "c.yml:3:7")),
        StaticLabel(Text("on", "c.yml:4:3"), Text("yes", "c.yml:4:7")),
    )


# --- Whatever is written ----------------------------------------------------------------------------------------------

_WORDS = st.sampled_from(
    [*OPTIONS, "rules", "static-labels", "match", "replace", "action", "keep", "buckets", "true", "~", "(", "$1", "a,b"]
)
_SHAPES = st.recursive(
    _WORDS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(_WORDS, inner), max_size=4).map(
            lambda entries: "{" + ", ".join(f"{key}: {value}" for key, value in entries) + "}"
        )
    ),
    max_leaves=20,
)


@given(st.text() | _SHAPES | st.lists(st.tuples(_WORDS, _SHAPES)).map(lambda rows: "\n".join(map(": ".join, rows))))
def test_any_text_gives_a_result_or_mistakes(text: str) -> None:
    """Never an exception; each mistake has a place, and they are in order."""
    _, mistakes = read_config_file(text, "c.yml", OPTIONS)
    places = [tuple(map(int, mistake.split(":", 3)[1:3])) for mistake in mistakes]
    assert places == sorted(places)


@given(st.dictionaries(st.sampled_from(["file", "labels", "metrics"]), st.lists(st.text(), min_size=1)))
def test_any_text_can_be_written_as_a_value(options: dict[str, list[str]]) -> None:
    """In double quotes, with YAML's escapes, every text but what no argument could be either."""

    def quote(text: str) -> str:
        return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'

    written = "\n".join(f"{name}: [{', '.join(map(quote, texts))}]" for name, texts in options.items())
    if any("\0" in text for texts in options.values() for text in texts):
        return
    assert {name: [value.text for value in values] for name, values in read(written).options.items()} == options
