"""`check --config` with files that are wrong, as a user runs it."""

from pathlib import Path

import pytest

from tests.config.files import FORMATS
from tests.support import run

LABELS = "frontend_name, ssl, backend_name, time_response, status_code, status_class, http_request_path"
METRICS = "requests_total, response_duration_seconds, aborts_total, connection_errors_total, notices_total"
RULE = "it takes one of replace: TEXT, action: keep and action: drop"
RULES = "http_request_path: [{match: REGEX, replace: TEXT}]"
COLON = "a ':' cannot stand here; a value with ': ' in it needs quotes, and keys of one mapping stand in one column"
DURATION = "response_duration_seconds"

# Without the file's name, which is before all that begins with a digit.
BROKEN: dict[str, tuple[str, ...]] = {
    # No YAML
    "labels: [ssl\nmetrics: x\n": ("1:9: this [ is not closed, or has no comma between two of its items",),
    "metrics: {requests_total: {labels: [ssl]}\n": (
        "1:10: this { is not closed, or has no comma between two of its entries",
    ),
    "labels: 'ssl\nfile: x\n": ("1:9: this quote is not closed",),
    "labels:\n\t- ssl\n": ("2:1: a tab cannot indent; blanks can",),
    "file: x: y\n": (f"1:8: {COLON}",),
    "labels:\n  - ssl\n - backend_name\n": ("3:2: this does not fit what is above it; is it indented rightly?",),
    "file: @x\n": ("1:7: text that begins with @ needs quotes",),
    "file: *.log\n": ("1:7: text that begins with * or & needs quotes",),
    'rules: {ssl: [{match: "\\d", action: drop}]}\n': (
        "1:24: this is no escape in double quotes; in single quotes a backslash is itself",
    ),
    "labels: ssl\n---\nlabels: ssl\n": ("2:1: a second document begins here; there can be one only",),
    "labels: ssl\nlabels: ssl\n": ("2:1: 'labels' is here a second time; the first is in line 1",),
    "- labels\n": (
        "1:1: a configuration file is a mapping, not a list: options by name, such as labels: [status_code]",
    ),
    # Keys that there are not
    "max_series: 5\n": ("1:1: there is no option 'max_series'; it is 'max-series'",),
    "config: d.yml\n": ("1:1: 'config' names this file; it is an option of the command line alone",),
    "suggest-templates: true\n": (
        "1:1: there is no option 'suggest-templates'; did you mean 'path-templates' or 'path-template'?",
    ),
    "metrics:\n  requests_total:\n    lables: [ssl]\n": ("3:5: a metric has no 'lables'; did you mean 'labels'?",),
    "rules:\n  ssl:\n    - {regex: a, replacement: b, note: c}\n": (
        "3:8: a rule has no 'regex'; it is 'match'",
        "3:18: a rule has no 'replacement'; it is 'replace'",
        "3:34: a rule has no 'note'; there are match, replace, action",
    ),
    # What is of the wrong type
    "path-depth: [1]\n": ("1:13: 'path-depth' takes one value, not a list",),
    "path-ids: 'no'\n": ("1:11: 'path-ids' is true or false, not 'no'",),
    "series-idle:\n": ("1:1: 'series-idle' has no value",),
    "labels: {ssl: true}\n": ("1:9: 'labels' takes a value or a list of values, not a mapping",),
    "metrics: {requests_total: [ssl]}\n": (
        "1:27: a metric has nothing, or {labels: [backend_name], buckets: [0.1, 1]}, not a list",
    ),
    "rules: [{match: a}]\n": (f"1:8: 'rules' are a mapping of labels to their rules, not a list: {RULES}",),
    "static-labels: [site]\n": ("1:16: 'static-labels' are a mapping, not a list: {site: berlin}",),
    f"metrics: {{{DURATION}: {{buckets: [[1]]}}}}\n": ("1:49: 'buckets' takes one value, not a list",),
    # Values of each kind
    "path-depth: 0\n": ("1:13: path-depth: '0' is not a whole number from 1 to 1000",),
    "max-series: 1e6\n": ("1:13: max-series: '1e6' is not a whole number from 1 to 100000000",),
    "max-label-values: {ssl: none}\n": ("1:20: max-label-values: 'none' is not a whole number from 1 to 10000000",),
    "series-idle: 7 days\n": ("1:14: series-idle: '7 days' is not a duration above 0; it is 90s, 30m, 12h, 7d or 2w",),
    "path-template:\n  - /users/{id}\n  - /users/{}\n": ("3:5: path-template: '{}': a parameter has a name, as {id}",),
    "parser: regex\n": ("1:9: parser: 'regex' is not one of compiled, haproxy-log-analysis",),
    "log.level: loud\n": ("1:12: log.level: 'loud' is not one of debug, info, warning, error",),
    "web.listen-address: localhost\n": (
        "1:21: web.listen-address: 'localhost' is no address; it is HOST:PORT, :PORT for all addresses, or [::1]:PORT",
    ),
    "syslog-unix-mode: rw\n": ("1:19: syslog-unix-mode: 'rw' is no mode; it is three octal digits, such as 0660",),
    "buckets: [0.1, 0, one]\n": (
        "1:16: buckets: '0' is not a number of seconds above 0",
        "1:19: buckets: 'one' is not a number of seconds above 0",
    ),
    "buckets: [1, 0.5]\n": ("1:11: buckets: 1,0.5 does not ascend",),
    "file: ''\n": ("1:7: file: is empty",),
    # What does not fit together
    "syslog: tls://127.0.0.1:6514\n": ("1:9: syslog: tls:// needs --syslog-tls-certificate PATH",),
    "journal-directory: /j\n": ("1:20: journal-directory: there is no --journal UNIT",),
    # Labels and metrics
    "labels:\n  - ssl\n  - host\n": (f"3:5: labels: no format in use can fill 'host'; there are {LABELS}",),
    "metrics: [requests_total, sessions_total]\n": (
        f"1:27: metrics: no format in use can fill 'sessions_total'; there are {METRICS}",
    ),
    "metrics:\n  requests_total:\n    labels: [host]\n": (
        f"3:14: labels: no format in use can fill 'host'; there are {LABELS}",
    ),
    "metrics: {connection_errors_total: {labels: [ssl]}}\n": (
        "1:11: metrics: connection_errors_total has labels of its own, and no others",
    ),
    "metrics: {requests_total: {buckets: [1]}}\n": ("1:11: metrics: requests_total is a counter, and has no buckets",),
    f"metrics:\n  {DURATION}:\n    buckets: [1, 2, 2.0]\n": ("3:21: buckets: 1,2,2.0 does not ascend",),
    f"metrics: [{DURATION}, {{{DURATION}: {{}}}}]\n": (f"1:39: the metric '{DURATION}' is here a second time",),
    "metric: [requests_total:host]\n": (f"1:10: metric: no format in use can fill 'host'; there are {LABELS}",),
    # Rules
    "rules:\n  ssl:\n    - {match: '(a', replace: b}\n": (
        "3:15: the regex '(a' is broken: missing ), unterminated subpattern at position 0",
    ),
    "rules:\n  ssl:\n    - {match: '(a)', replace: $2}\n": ("3:31: the regex '(a)' has no group 2",),
    "rules:\n  ssl:\n    - {match: a}\n": (f"3:7: this rule has neither replace nor action; {RULE}",),
    "rules:\n  ssl:\n    - {match: a, action: hide}\n": ("3:26: an action is keep or drop, not 'hide'",),
    "rules: {host: [{match: a, action: keep}]}\n": (
        f"1:9: rules: no format in use can fill 'host'; there are {LABELS}",
    ),
    # Static labels and limits
    "static-labels: {status_code: '200'}\n": (f"1:17: static-labels: status_code is a label of {DURATION} already",),
    "static-labels: {le: x, a-b: y, c: ''}\n": (
        "1:17: the label 'le' is taken; metrics have it of their own",
        "1:24: 'a-b' is no name for a label; it is like site_2, and does not begin with __",
        "1:35: 'c' is empty; to Prometheus that is no label at all",
    ),
    "metrics: [connection_errors_total]\nstatic-labels: {frontend_name: x}\n": (
        "2:17: static-labels: frontend_name is a label of connection_errors_total already",
    ),
    "max-label-values: {ssx: 5}\n": (f"1:20: max-label-values: no format in use can fill 'ssx'; there are {LABELS}",),
    # Files that it names
    "haproxy-config: none.cfg\n": ("--haproxy-config: cannot read none.cfg: No such file or directory",),
    # Several at once
    "lables: ssl\npath-depth: deep\nlabels: [host]\nrules: {ssl: [{match: '[', action: drop}]}\n": (
        "1:1: there is no option 'lables'; did you mean 'labels'?",
        "4:23: the regex '[' is broken: unterminated character set at position 0",
        "2:13: path-depth: 'deep' is not a whole number from 1 to 1000",
        f"3:10: labels: no format in use can fill 'host'; there are {LABELS}",
    ),
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file_is_told_with_each_mistake_and_its_place(text: str, tmp_path: Path) -> None:
    """Nothing else is told, nothing is printed, and the exit status is that of wrong usage."""
    (tmp_path / "c.yml").write_text(text)
    formats = [f"--format={each}" for each in FORMATS]
    told = run("check", "--config", tmp_path / "c.yml", *formats)
    messages = [line.removeprefix("haproxy-log-exporter: ") for line in told.stderr.decode().splitlines()]
    wanted = [f"{tmp_path}/c.yml:{message}" if message[0].isdigit() else message for message in BROKEN[text]]
    assert sorted(messages) == sorted(wanted)
    assert (told.returncode, told.stdout) == (2, b"")


@pytest.mark.parametrize("arguments", [("check",), ("count", "-"), ("serve", "--stdin"), ("parse", "-")])
def test_every_command_tells_the_same(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """And none begins with what is right of it."""
    (tmp_path / "c.yml").write_text("path-depth: 0\nlabels: [host]\nmetrics: {requests_total: {buckets: [1]}}\n")
    formats = [f"--format={each}" for each in FORMATS]
    told = run(*arguments, "--config", tmp_path / "c.yml", *formats)
    assert (told.returncode, told.stdout) == (2, b"")
    assert told.stderr.decode().replace(f"{tmp_path}/", "").splitlines() == [
        "haproxy-log-exporter: c.yml:1:13: path-depth: '0' is not a whole number from 1 to 1000",
        f"haproxy-log-exporter: c.yml:2:10: labels: no format in use can fill 'host'; there are {LABELS}",
        "haproxy-log-exporter: c.yml:3:11: metrics: requests_total is a counter, and has no buckets",
    ]


def test_what_a_variable_names_is_read_by_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But by those that take no configuration file."""
    (tmp_path / "c.yml").write_text("path-depth: 0\n")
    monkeypatch.setenv("HAPROXY_LOG_EXPORTER_CONFIG", str(tmp_path / "c.yml"))
    for arguments in (("check",), ("count", "-"), ("serve", "--stdin"), ("parse", "-")):
        assert run(*arguments).returncode == 2
    assert run("explain", "httplog").returncode == 0
