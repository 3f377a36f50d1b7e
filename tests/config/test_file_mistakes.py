import pytest

from haproxy_log_exporter.config.file import ConfigFile, LabelRules, MetricText, read_config_file
from haproxy_log_exporter.config.places import Text
from haproxy_log_exporter.labels.rules import Action, Rule, read_match
from tests.config.files import OPTIONS

METRIC_FORM = "{labels: [backend_name], buckets: [0.1, 1]}"
RULES_FORM = "http_request_path: [{match: REGEX, replace: TEXT}]"

BROKEN: dict[str, tuple[str, ...]] = {
    # The whole
    "x": ("1:1: a configuration file is a mapping, not a value: options by name, such as labels: [status_code]",),
    "- labels: x": (
        "1:1: a configuration file is a mapping, not a list: options by name, such as labels: [status_code]",
    ),
    # Keys
    "lables: [a]": ("1:1: there is no option 'lables'; did you mean 'labels'?",),
    "max_series: 1": ("1:1: there is no option 'max_series'; it is 'max-series'",),
    "--file: x": ("1:1: there is no option '--file'; it is 'file'",),
    "Labels: x": ("1:1: there is no option 'Labels'; it is 'labels'",),
    "static_labels: {a: b}": ("1:1: there is no option 'static_labels'; it is 'static-labels'",),
    "rule: x": ("1:1: there is no option 'rule'; did you mean 'rules'?",),
    "xyzzy: x": ("1:1: there is no option 'xyzzy'",),
    "web: {listen-address: x}": (
        "1:1: there is no option 'web'; did you mean 'web.listen-address' or 'web.telemetry-path'?",
    ),
    "config: x": ("1:1: 'config' names this file; it is an option of the command line alone",),
    "confg: x": ("1:1: there is no option 'confg'",),
    "# a file\nlabels: a\nfile: x\nlabels: b\n": ("4:1: 'labels' is here a second time; the first is in line 2",),
    "? [a]\n: b": ("1:3: a key is a name, not a list or mapping; text that begins with [ or { needs quotes",),
    "~: b": ("1:1: ~ is no key",),
    "?\n: b": ("1:2: there is no key before this ':'",),
    # Values
    "labels:\nfile: x": ("1:1: 'labels' has no value",),
    "labels: null": ("1:1: 'labels' has no value",),
    "labels: []": ("1:1: 'labels' has no value",),
    "labels:\n  - a\n  -\n  - [b]\n  - {c: d}\n": (
        "3:4: 'labels' has no value",
        "4:5: 'labels' takes one value, not a list",
        "5:5: 'labels' takes one value, not a mapping",
    ),
    "labels: {a: b}": ("1:9: 'labels' takes a value or a list of values, not a mapping",),
    "max-series: [1]": ("1:13: 'max-series' takes one value, not a list",),
    "max-series: {a: 1}": ("1:13: 'max-series' takes one value, not a mapping",),
    "stdin: 1": ("1:8: 'stdin' is true or false, not '1'",),
    "stdin: 'true'": ("1:8: 'stdin' is true or false, not 'true' in quotes",),
    "stdin: [true]": ("1:8: 'stdin' is true or false, not a list",),
    "max-label-values: {a: , b: [1]}": (
        "1:20: 'a' has no value",
        "1:28: 'b' of 'max-label-values' takes one value, not a list",
    ),
    'file: "\\0"': ("1:7: 'file' has a character U+0000",),
    "labels: [*a, b]": ("1:10: there is no &a before this *a; text that begins with * needs quotes",),
    "labels: !include x": ("1:9: the tag !include is not known; text that begins with ! needs quotes",),
    "stdin: *a\nmetrics: {a: *b}\nrules: *c\nstatic-labels: *d\nmax-label-values: {a: *e}": tuple(
        f"{line}:{column}: there is no &{name} before this *{name}; text that begins with * needs quotes"
        for line, column, name in ((1, 8, "a"), (2, 14, "b"), (3, 8, "c"), (4, 16, "d"), (5, 23, "e"))
    ),
    # Metrics
    "metrics: {}": ("1:1: 'metrics' has no value",),
    "metrics: [a, {b: , c: {}}]": (
        f"1:14: an item of 'metrics' is a name, or one metric as in response_duration_seconds: {METRIC_FORM}",
    ),
    "metrics: [a, [b], {c: }]": (
        f"1:14: an item of 'metrics' is a name, or one metric as in response_duration_seconds: {METRIC_FORM}",
    ),
    "metrics: [a, {a: }]": ("1:15: the metric 'a' is here a second time",),
    "metrics: [~, {a: }]": ("1:11: a metric's name has no value",),
    "metrics: {a: x, b: [x]}": (
        f"1:14: a metric has nothing, or {METRIC_FORM}, not a value",
        f"1:20: a metric has nothing, or {METRIC_FORM}, not a list",
    ),
    "metrics: {a: {label: x, help: y, labels: , buckets: }}": (
        "1:15: a metric has no 'label'; did you mean 'labels'?",
        "1:25: a metric has no 'help'; there are labels, buckets",
        "1:34: 'labels' has no value; [] is none",
        "1:44: 'buckets' has no value",
    ),
    "metrics: {a: {labels: {x: y}, buckets: [[1]]}}": (
        "1:23: 'labels' takes a value or a list of values, not a mapping",
        "1:41: 'buckets' takes one value, not a list",
    ),
    # Rules
    "rules: [a]": (f"1:8: 'rules' are a mapping of labels to their rules, not a list: {RULES_FORM}",),
    "rules:\n  p:\n": ("2:3: 'p' has no value",),
    "rules: {p: {match: a, replace: b}}": (
        "1:12: a label's rules are a list, not a mapping: - {match: REGEX, replace: TEXT}",
    ),
    "rules: {p: [a]}": ("1:13: a rule is a mapping, not a value: - {match: REGEX, replace: TEXT}",),
    "rules:\n  p:\n    - match: a\n      replace: b\n    - match: (\n      replace: $1\n": (
        "5:14: the regex '(' is broken: missing ), unterminated subpattern at position 0",
    ),
    "rules: {p: [{match: x, action: drop}, {match: /(a+)+, action: drop}]}": (
        "1:47: the regex '/(a+)+' may take forever: a repeat within a repeat; write (?>a+)+ or a++ (possessive)",
    ),
    "rules: {p: [{match: '(a)', replace: $3}]}": ("1:37: the regex '(a)' has no group 3",),
    "rules: {p: [{match: a, replace: $}]}": (
        "1:33: the $ at position 0 of '$' names no group; it is $1 or ${1}, and $$ a $",
    ),
    "rules: {p: [{replace: a}]}": ("1:13: this rule has no match: - {match: REGEX, replace: TEXT}",),
    "rules: {p: [{match: a}]}": (
        "1:13: this rule has neither replace nor action; it takes one of replace: TEXT, action: keep and action: drop",
    ),
    "rules: {p: [{match: a, replace: b, action: keep}]}": (
        "1:13: this rule has both replace and action; it takes one of replace: TEXT, action: keep and action: drop",
    ),
    "rules: {p: [{match: a, action: replace}, {match: a, action: hide}]}": (
        "1:32: an action is keep or drop, not 'replace'; replace: TEXT is itself one",
        "1:61: an action is keep or drop, not 'hide'",
    ),
    "rules: {p: [{regex: a, replacement: b, replce: c, target_label: d}]}": (
        "1:14: a rule has no 'regex'; it is 'match'",
        "1:24: a rule has no 'replacement'; it is 'replace'",
        "1:40: a rule has no 'replce'; did you mean 'replace'?",
        "1:51: a rule has no 'target_label'; there are match, replace, action",
    ),
    "rules: {p: [{match: , replace: }, {match: [a], action: {b: c}}]}": (
        "1:14: 'match' has no value; '' is the empty text",
        "1:23: 'replace' has no value; '' is the empty text",
        "1:43: 'match' takes one value, not a list",
        "1:56: 'action' takes one value, not a mapping",
    ),
    # Static labels
    "static-labels: [a]": ("1:16: 'static-labels' are a mapping, not a list: {site: berlin}",),
    "static-labels: {a-b: x, 1: x, __a: x, é: x}": tuple(
        f"1:{column}: {name!r} is no name for a label; it is like site_2, and does not begin with __"
        for column, name in ((17, "a-b"), (25, "1"), (31, "__a"), (39, "é"))
    ),
    "static-labels:\n  le: a\n  phase: a\n  kind: a\n  reason: a\n  quantile: a\n": tuple(
        f"{line}:3: the label {name!r} is taken; metrics have it of their own"
        for line, name in enumerate(("le", "phase", "kind", "reason", "quantile"), 2)
    ),
    "static-labels: {a: , b: '', c: [x]}": (
        "1:17: 'a' has no value",
        "1:25: 'b' is empty; to Prometheus that is no label at all",
        "1:32: 'c' takes one value, not a list",
    ),
    # All at once, in the order of the file
    "lables: a\nrules: {p: [{match: (, action: drop}]}\nmax-series: *x\nstdin: 3\nstatic-labels: {le: a}\nstdin: on": (
        "1:1: there is no option 'lables'; did you mean 'labels'?",
        "2:21: the regex '(' is broken: missing ), unterminated subpattern at position 0",
        "3:13: there is no &x before this *x; text that begins with * needs quotes",
        "4:8: 'stdin' is true or false, not '3'",
        "5:17: the label 'le' is taken; metrics have it of their own",
        "6:1: 'stdin' is here a second time; the first is in line 4",
    ),
    # What is no YAML hides the rest
    "lables: a\nlabels: [a\nfile: x": ("2:9: this [ is not closed, or has no comma between two of its items",),
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_mistake_is_told_with_its_place(text: str) -> None:
    """All of them, and nothing that only follows from another."""
    assert read_config_file(text, "c.yml", OPTIONS)[1] == [f"c.yml:{message}" for message in BROKEN[text]]


def test_what_is_right_beside_a_mistake_is_read() -> None:
    """So that it can be looked at as well."""
    text = "lables: a\nmax-series: 5\nmetrics: {a: 1}\nrules: {p: [{match: a}, {match: b, action: keep}]}\nfile: [a, ~]"
    config, mistakes = read_config_file(text, "c.yml", OPTIONS)
    assert len(mistakes) == 4
    assert config == ConfigFile(
        {"max-series": (Text("5", "c.yml:2:13"),), "file": (Text("a", "c.yml:5:8"),)},
        (MetricText(Text("a", "c.yml:3:11")),),
        (LabelRules(Text("p", "c.yml:4:9"), (Rule(read_match("b"), Action.KEEP),)),),
    )
