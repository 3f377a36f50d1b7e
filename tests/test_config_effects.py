"""What right configuration files come to: in `check --config`, `count` and `serve`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import FIXTURES, read_samples, run, serving

SHOP = FIXTURES / "config" / "shop.yml"
LOG = SHOP.with_suffix(".log")


def effects(*arguments: str | Path) -> dict[str, Any]:
    """Read what `check --config --json` tells of the configuration."""
    told = run("check", "--json", *arguments)
    assert (told.returncode, told.stderr) == (0, b"")
    found: dict[str, Any] = json.loads(told.stdout)["config"]
    return found


# --- The golden one ---------------------------------------------------------------------------------------------------


def test_check_tells_people_what_a_file_means() -> None:
    """Metrics with their labels and buckets, limits, paths, rules, static labels, and other options."""
    told = run("check", "--config", SHOP)
    assert (told.returncode, told.stderr) == (0, b"")
    assert told.stdout.decode().replace(f"{SHOP.parent}/", "") == SHOP.with_suffix(".txt").read_text()


def test_check_tells_programs_what_a_file_means() -> None:
    """The same as one JSON object, on one line."""
    told = run("check", "--json", "--config", SHOP)
    assert (told.returncode, told.stderr, told.stdout.count(b"\n")) == (0, b"", 1)
    assert json.loads(told.stdout) == json.loads(SHOP.with_suffix(".json").read_text())


def test_check_reads_a_log_by_the_file() -> None:
    """What rules leave out is told."""
    found = json.loads(run("check", "--json", "--config", SHOP, LOG).stdout)
    assert (found["lines"], found["rejected"], found["notices"]) == (26, 0, 0)
    lines = run("check", "--config", SHOP, LOG).stdout.decode().splitlines()
    assert [line.split()[1] for line in lines if line.startswith(("lines", "parsed", "filtered"))] == ["26", "22", "4"]


def test_count_counts_by_the_file() -> None:
    """Rules, static labels, templates, limits, and labels and buckets of each metric."""
    told = run("count", "--config", SHOP, LOG)
    assert told.returncode == 0
    assert told.stdout.decode() == SHOP.with_suffix(".prom").read_text()
    warning, capped = told.stderr.decode().splitlines()
    assert "--max-label-values: http_request_path has 5 of 5 values" in warning
    assert capped.endswith("--max-label-values: 5 lines count as other, for their http_request_path had no place")


def test_serve_counts_by_the_file() -> None:
    """The same as `count`."""
    wanted = read_samples(SHOP.with_suffix(".prom").read_text())
    with serving("--config", SHOP, "--file", LOG, "--start", "beginning") as exporter:
        found = exporter.wait_for_lines(26)
        own = ("haproxy_log_exporter_", "process_", "python_")
        assert {key: value for key, value in found.items() if not key[0].startswith(own)} == wanted
        assert exporter.stop() == 0


def test_parse_takes_the_files_formats(tmp_path: Path) -> None:
    """Labels and rules are not for lines that are printed as they are."""
    (tmp_path / "c.yml").write_text("format: '%ST %b'\nrules: {backend_name: [{match: a, action: drop}]}\n")
    told = run("parse", "--config", tmp_path / "c.yml", "-", stdin=b"200 a\n")
    assert [json.loads(line) for line in told.stdout.splitlines()] == [
        {"kind": "http", "format": "1", "status_code": 200, "backend_name": "a"}
    ]


# --- Others -----------------------------------------------------------------------------------------------------------

DEFAULTS = {
    "options": {},
    "limits": {
        "label_values": 1000,
        "label_values_of": {"http_request_method": 20},
        "series": 50_000,
        "series_idle_seconds": None,
    },
    "paths": {"templates": 0, "ids": True, "depth": None},
    "rules": {},
    "static_labels": {},
}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n...\n"])
def test_an_empty_file_means_the_defaults(text: str, tmp_path: Path) -> None:
    """As no file does."""
    (tmp_path / "c.yml").write_text(text)
    found = effects("--config", tmp_path / "c.yml")
    metrics = found.pop("metrics")
    assert found == DEFAULTS
    assert [metric["name"] for metric in metrics] == [
        "haproxy_log_requests_total",
        "haproxy_log_sessions_total",
        "haproxy_log_response_duration_seconds",
    ]
    assert {tuple(metric["labels"]) for metric in metrics} == {("status_code", "backend_name", "server_name")}
    assert len(metrics[2]["buckets"]) == 14


def test_the_command_line_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the environment between them, for options of each kind."""
    (tmp_path / "c.yml").write_text(
        "path-ids: true\npath-depth: 3\nmax-series: 5\nmax-label-values: {status_code: 3}\nseries-idle: 1h\n"
        "path-template: [/a, /b]\nlabels: ssl\nlog.level: error\nlog.format: json\n"
    )
    monkeypatch.setenv("HAPROXY_LOG_EXPORTER_PATH_DEPTH", "4")
    monkeypatch.setenv("HAPROXY_LOG_EXPORTER_MAX_SERIES", "6")
    options = ("--no-path-ids", "--max-series", "7", "--max-label-values", "9", "--max-label-values", "status_class=8")
    more = ("--series-idle", "2h", "--path-template", "/c", "-l", "status_class", "--log.level", "warning")
    found = effects("--config", tmp_path / "c.yml", *options, *more)
    assert found["paths"] == {"templates": 1, "ids": False, "depth": 4}
    assert found["limits"] == {
        "label_values": 9,
        "label_values_of": {"http_request_method": 20, "status_class": 8},
        "series": 7,
        "series_idle_seconds": 7200.0,
    }
    assert {tuple(metric["labels"]) for metric in found["metrics"]} == {("status_class",)}
    assert found["options"] == {"log.level": "warning", "log.format": "json"}


def test_each_option_that_is_no_default_is_shown_as_it_was_given(tmp_path: Path) -> None:
    """Those of sources, too, which `check` itself does not take."""
    (tmp_path / "c.yml").write_text(
        "syslog: [udp://127.0.0.1:5514, unix:///run/h.sock]\nsyslog-allow: 10.0.0.0/8\nfile: [/x/*.log, /y.log]\n"
        "stdin: true\nstate: /s\nweb.listen-address: '[::1]:9000'\nsample-weight: 10\nfacility: local0\n"
        "syslog-receive-buffer: 4096\njournal: haproxy\n"
    )
    assert effects("--config", tmp_path / "c.yml")["options"] == {
        "syslog": ["udp://127.0.0.1:5514", "unix:///run/h.sock"],
        "syslog-allow": ["10.0.0.0/8"],
        "file": ["/x/*.log", "/y.log"],
        "stdin": True,
        "state": "/s",
        "web.listen-address": "[::1]:9000",
        "sample-weight": 10,
        "facility": ["local0"],
        "syslog-receive-buffer": 4096,
        "journal": ["haproxy.service"],
    }
    lines = run("check", "--config", tmp_path / "c.yml").stdout.decode().splitlines()
    assert "  syslog: udp://127.0.0.1:5514, unix:///run/h.sock" in lines
    assert "  stdin: true" in lines


def test_keep_and_empty_replacements_are_told_in_words(tmp_path: Path) -> None:
    """What a rule does to the line, or to the value."""
    (tmp_path / "c.yml").write_text(
        "rules:\n  server_name:\n    - {match: a.*, action: keep}\n    - {match: b, action: drop}\n"
        "    - {match: c, replace: ''}\n    - {match: '(?P<x>d)', replace: $x-$$}\n"
    )
    lines = run("check", "--config", tmp_path / "c.yml").stdout.decode().splitlines()
    start = lines.index("rules for server_name, in order")
    assert lines[start + 1 : start + 6] == [
        "  all lines but those with a.* are left out",
        "  b: the line is left out",
        "  c becomes empty",
        "  (?P<x>d) becomes ${1}-$$",
        "",
    ]


def test_a_name_that_no_terminal_should_see_is_shown_in_print(tmp_path: Path) -> None:
    """The file's name may be anything."""
    path = tmp_path / "a\x1b[31m\n.yml"
    path.write_text("")
    first = run("check", "--config", path).stdout.splitlines()[0]
    assert b"\x1b" not in first
    assert first.endswith(b" is right")
