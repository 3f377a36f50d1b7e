"""What the program answers to shells that complete its command line."""

import os
import subprocess
import sys

import pytest

from haproxy_log_exporter.labels.catalogue import is_ever_a_label
from haproxy_log_exporter.logformat.envelopes import FACILITIES
from haproxy_log_exporter.logformat.presets import PRESETS
from haproxy_log_exporter.metrics.catalogue import METRICS
from haproxy_log_exporter.settings import knobs
from tests.support import command, run

COMMANDS = ["check", "count", "demo", "explain", "parse", "serve"]
VARIABLE = "_HAPROXY_LOG_EXPORTER_COMPLETE"


def ask(line: str, **environment: str) -> list[str]:
    """Ask as the scripts do for what may stand at the end of a line."""
    asked = {VARIABLE: "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": line}
    answer = subprocess.run(
        command(), env={**os.environ, **environment, **asked}, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.stderr == ""
    return [row.partition("\t")[0] for row in answer.stdout.splitlines() if row]


def test_commands_and_options() -> None:
    """Commands stand behind the name, the options of a command behind it."""
    assert sorted(ask("x ")) == COMMANDS
    assert ask("x c") in (["check", "count"], ["count", "check"])
    assert {*ask("x serve --syslog")} == {knob.option for knob in knobs().values() if "--syslog" in knob.option}
    assert {*ask("x check --")} >= {"--json", "--suggest-templates", "--labels", "--path-ids", "--no-path-ids"}
    assert "--file" not in ask("x count --")


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("x serve --start ", ["end", "beginning"]),
        ("x serve --start=b", ["beginning"]),
        ("x count --parser ", ["compiled", "haproxy-log-analysis"]),
        ("x serve --log.level ", ["debug", "info", "warning", "error"]),
        ("x serve --log.format ", ["logfmt", "json"]),
        ("x serve --facility ", [*FACILITIES]),
        ("x serve --facility local0 --facility local", [f"local{number}" for number in range(1, 8)]),
        ("x parse --format ", [preset.name for preset in PRESETS]),
        ("x explain http", ["httplog", "httpslog", "httplog-clf"]),
        ("x explain httplog --json http", ["httpslog", "httplog-clf"]),
        ("x serve --syslog ", ["udp://", "tcp://", "tls://", "unix:///"]),
        ("x serve --syslog tcp://:1 --syslog t", ["tcp://", "tls://"]),
        ("x serve --metric ", [metric.name for metric in METRICS]),
        ("x serve --metrics no", ["notices_total"]),
        ("x serve -l status", ["status_code", "status_class"]),
        ("x serve --labels ssl,status", ["ssl,status_code", "ssl,status_class"]),
        ("x serve --labels=status_code,ssl,status", ["status_code,ssl,status_class"]),
        ("x serve -l ssl,status_code -l status", ["status_class"]),
        ("x serve --labels request_header_host,status_cl", ["request_header_host,status_class"]),
        # What is wrong before it does not matter.
        ("x serve --nonsense 1 --start nowhere --labels status_cl", ["status_class"]),
        ("x --version serve --labels status_cl", ["status_class"]),
        ("x serve --help --labels status_cl", ["status_class"]),
        ("x 'serve' --file 'two words' --start e", ["end"]),
        # Where there is nothing to choose from, shells give the names of files.
        *((f"x {line}", []) for line in ("serve ", "count ", "count a.log ", "serve --state /")),
        *((f"x serve {knob.option} ", []) for knob in knobs().values() if knob.metavar in ("PATH", "FILE", "GLOB")),
        ("x serve --start middle", []),
        ("x serve --labels ssl,,s", []),
        ("x serve --labels '$(reboot),s", []),
        ("x serve --labels 'ssl ssl,s", []),
    ],
)
def test_values(line: str, answers: list[str]) -> None:
    """An option of few values completes these, one of several the last, and none that is there already."""
    assert ask(line) == answers


def test_all_that_is_offered_is_a_value() -> None:
    """Each reads as it stands, and labels are those that HAProxy's own formats can fill."""
    for knob in knobs().values():
        for choice in knob.choices:
            knob.read(
                {"udp://": "udp://:514", "unix:///": "unix:///run/log"}.get(choice, choice.replace("://", "://:1"))
            )
    assert all(map(is_ever_a_label, knobs()["labels"].choices))
    assert {"status_code", "status_class", "http_request_path"} <= {*knobs()["labels"].choices}


def test_the_environment_is_left_alone() -> None:
    """Nonsense in variables, a terminal of few columns, and warnings: all the same, and no traceback."""
    environment = {
        "HAPROXY_LOG_EXPORTER_LABELS": ",,$(nonsense)\n\t",
        "HAPROXY_LOG_EXPORTER_CONFIG": "/nonexistent",
        "HAPROXY_LOG_EXPORTER_START": "middle",
    }
    assert ask("x serve --start ", PYTHONWARNINGS="error", **environment) == ["end", "beginning"]
    assert all(answer.startswith("--") for answer in ask("x serve --", COLUMNS="20"))


def test_help_says_nothing_of_it() -> None:
    """There are no options for it."""
    assert b"complet" not in run("--help").stdout


def test_it_imports_no_more_of_the_package_than_help_does() -> None:
    """A TAB is to be fast."""

    def imported(*arguments: str, **environment: str) -> set[str]:
        code = [sys.executable, "-X", "importtime", "-m", "haproxy_log_exporter", *arguments]
        answer = subprocess.run(code, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
        names = (row.rpartition("|")[2].strip() for row in answer.stderr.splitlines())
        return {name for name in names if name.startswith("haproxy_log_exporter")}

    asked = {
        VARIABLE: "complete_fish",
        "_TYPER_COMPLETE_ARGS": "x serve -l ",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    assert imported(**asked) == imported("--help")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_typers_own_scripts_are_printed_too(shell: str) -> None:
    """Who has the program without the package may ask it for one."""
    answer = subprocess.run(
        command(), env={**os.environ, VARIABLE: f"source_{shell}"}, capture_output=True, text=True, check=True
    )
    assert f"{VARIABLE}=complete_{shell}" in answer.stdout
    assert answer.stderr == ""
