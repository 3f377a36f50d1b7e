"""`check`: how much of a log is read, what haproxy.cfg's frontends write, and what goes wrong."""

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from haproxy_log_exporter.checking import check
from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.configuration import ConfigFiles
from haproxy_log_exporter.counting import count_files
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.formats import configured_formats, find_formats
from haproxy_log_exporter.given import Given
from haproxy_log_exporter.settings import Settings
from tests.findings import LINE, accounted, read_summary, tell, write
from tests.support import FIXTURES, command, read_samples, run, serving, total

LOG_KEYS = ["lines", "parsed", "formats", "rejected", "notices", "truncated"]
PROXY_KEYS = ["name", "section", "formats", "labels"]
LOGS = sorted(path.relative_to(FIXTURES) for path in [*FIXTURES.glob("*.log"), *FIXTURES.glob("wrapped/*")])
CONFIGS = sorted(path.relative_to(FIXTURES) for path in FIXTURES.glob("haproxy-cfg/*.cfg"))
METRICS = ("requests_total", "sessions_total", "connection_errors_total", "notices_total")


def test_json_has_the_contracts_keys() -> None:
    """For logs, and for haproxy.cfg and logs, and nothing else on standard output."""
    log = FIXTURES / "mixed.log"
    told = run("check", "--json", log)
    assert (told.returncode, told.stderr, told.stdout.count(b"\n")) == (0, b"", 1)
    found = json.loads(told.stdout)
    assert [*found] == LOG_KEYS
    assert found == {
        "lines": 10, "parsed": 7, "rejected": 2, "notices": 1, "truncated": 0,
        "formats": {"httplog": 2, "httpslog": 1, "tcplog": 1, "httplog-clf": 1, "connect": 1, "error": 1},
    }  # fmt: skip
    told = run("check", "--json", "--haproxy-config", FIXTURES / "haproxy-2.6.cfg", log)
    assert (told.returncode, told.stderr, told.stdout.count(b"\n")) == (0, b"", 1)
    found = json.loads(told.stdout)
    assert [*found] == ["proxies", *LOG_KEYS]
    assert [[*proxy] for proxy in found["proxies"]] == [PROXY_KEYS] * 7
    assert [found["lines"], found["parsed"], found["formats"]["httplog"]] == [10, 7, 2]


def test_without_a_log_the_options_are_checked() -> None:
    """What would be read, and which labels there are."""
    found = json.loads(tell(as_json=True))
    assert [*found] == ["formats", "labels"]
    assert found["formats"] == [each.name for each in find_formats((), ())]
    assert {"status_code", "status_class", "request_header_1, …", "ssl_sni"} <= {*found["labels"]}
    lines = tell(formats=["httplog", "%ci %[var(txn.a)]"]).splitlines()
    assert lines[0] == "formats: httplog, 2"
    assert lines[1].startswith("labels: client_ip, ")
    assert lines[1].endswith(", var_txn_a")


def _counted(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Count a log: what is shown by kind, and what is reported on standard error."""
    capsys.readouterr()
    count_files(Choice((), METRICS, ()), [str(path)])
    told = capsys.readouterr()
    samples = read_samples(told.out)
    found: dict[str, Any] = {metric: total(samples, f"haproxy_log_{metric}") for metric in METRICS}
    numbers = r"(\d+) lines, (\d+) counted \((\d+) of them cut\), (\d+) notices, (\d+) rejected"
    report = re.search(numbers, told.err)
    return found | {"report": [*map(int, report.groups())] if report else None}


@pytest.mark.parametrize("name", LOGS, ids=str)
def test_counts_are_those_of_count(name: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `count` shows of each kind of line, and what it reports where not all was whole."""
    found = json.loads(tell(FIXTURES / name, as_json=True))
    counted = _counted(FIXTURES / name, capsys)
    formats = Counter(found["formats"])
    assert formats.total() == found["parsed"]
    assert found["lines"] == found["parsed"] + found["notices"] + found["rejected"]
    assert [counted[metric] for metric in METRICS] == [
        formats["httplog"] + formats["httpslog"] + formats["httplog-clf"],
        formats["tcplog"] + formats["tcplog-clf"],
        formats["error"],
        found["notices"],
    ]
    numbers = [found[key] for key in ("lines", "parsed", "truncated", "notices", "rejected")]
    assert counted["report"] == (numbers if found["rejected"] or found["truncated"] else None)


def test_counts_are_those_of_serve(tmp_path: Path) -> None:
    """The exporter's own metrics give the same of each file, and of all by format."""
    paths = [Path(shutil.copy(FIXTURES / name, tmp_path)) for name in LOGS if name.suffix == ".log"]
    each = [json.loads(tell(path, as_json=True)) for path in paths]
    files = [argument for path in paths for argument in ("--file", str(path))]
    with serving("--start", "beginning", *files) as exporter:
        samples = exporter.wait_for_lines(sum(found["lines"] for found in each))
    for path, found in zip(paths, each, strict=True):
        mine = {"source": str(path)}
        lines = {
            result: total(samples, "haproxy_log_exporter_lines_total", result=result, **mine)
            for result in ("counted", "notice", "rejected", "filtered")
        }
        assert lines == {
            "counted": found["parsed"],
            "notice": found["notices"],
            "rejected": found["rejected"],
            "filtered": 0,
        }
        assert total(samples, "haproxy_log_exporter_lines_truncated_total", **mine) == found["truncated"]
    # Cut lines of httplog and httpslog begin alike: they are read as the one that was seen last.
    for names in (["httplog", "httpslog"], ["tcplog"], ["httplog-clf"], ["tcplog-clf"], ["connect"], ["error"]):
        parsed = [found["formats"].get(name, 0) for found in each for name in names]
        shown = [total(samples, "haproxy_log_exporter_parsed_total", format=name) for name in names]
        assert sum(shown) == sum(parsed) > 0


def test_files_gzip_and_standard_input_are_added_up(tmp_path: Path) -> None:
    """In one go, whatever they come in."""
    plain = write(tmp_path / "a.log", LINE, b"garbage")
    packed = tmp_path / "b.log.gz"
    packed.write_bytes(gzip.compress(LINE + b"\nProxy web started.\n"))
    wrapped = FIXTURES / "wrapped" / "docker.log"
    done = run("check", "--json", plain, packed, "-", wrapped, stdin=LINE[:-12] + b"\nmore garbage")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == {
        "lines": 11, "parsed": 7, "formats": {"httplog": 6, "tcplog": 1}, "rejected": 2, "notices": 2, "truncated": 1,
    }  # fmt: skip
    told = tell(plain, packed, wrapped)
    assert read_summary(told) == {
        "lines": 9, "parsed": 6, "httplog": 5, "tcplog": 1, "truncated": 0, "notices": 2, "rejected": 1,
    }  # fmt: skip
    assert accounted(told) == 1


def test_shares_are_of_all_lines(tmp_path: Path) -> None:
    """And of no lines there is none."""
    told = tell(write(tmp_path / "a.log", LINE, LINE, b"garbage"))
    assert re.search(r"(?m)^rejected +1 +33\.33%$", told)
    assert re.search(r"(?m)^  httplog +2 +66\.67%$", told)
    assert "%" not in tell(write(tmp_path / "empty.log"))
    assert json.loads(tell(tmp_path / "empty.log", as_json=True)) == dict.fromkeys(LOG_KEYS, 0) | {"formats": {}}


def test_lines_of_earlier_steps_are_lines_too(tmp_path: Path) -> None:
    """What `log-steps` writes before the last line of a request is left out of the other counts."""
    lines = [*[b"192.0.2.7 txn_request 0"] * 3, b"192.0.2.7 txn_close 228", b"192.0.2.7"]
    found = json.loads(tell(write(tmp_path / "a.log", *lines), formats=["%ci %OG %B"], as_json=True))
    assert found == {"lines": 5, "parsed": 1, "formats": {"1": 1}, "rejected": 1, "notices": 0, "truncated": 0}


def test_what_cannot_be_read_is_named_and_the_rest_checked(tmp_path: Path) -> None:
    """Exit 1, with the numbers of what could be read."""
    log, broken = write(tmp_path / "a.log", LINE, b"garbage"), tmp_path / "cut.gz"
    broken.write_bytes(gzip.compress(LINE * 9 + b"\n")[:-12])
    done = run("check", "--json", tmp_path / "none.log", broken, tmp_path, log)
    assert done.returncode == 1
    problems = done.stderr.decode()
    assert "Traceback" not in problems
    assert f"cannot read {tmp_path}/none.log: No such file or directory" in problems
    assert f"cannot read {broken}: " in problems
    assert f"cannot read {tmp_path}: Is a directory" in problems
    found = json.loads(done.stdout)
    assert [found["formats"]["httplog"], found["parsed"]] == [1, 1]


def test_people_are_told_of_the_rest_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers stand there before the failure is raised."""
    paths = [str(tmp_path / "none.log"), str(write(tmp_path / "a.log", LINE))]
    with pytest.raises(OperationError, match=r"none\.log: No such file"):
        check(Given(Settings(), Choice((), (), ())), paths, as_json=False)
    assert read_summary(capsys.readouterr().out)["parsed"] == 1


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        ("--format '%ci %zz' --sample-weight 0 -", ["log-format: unknown item %zz; ", "--sample-weight: '0' is not "]),
        ("--format tcplog -l status_code,x --metrics y -", ["can fill 'status_code'", "can fill 'x'", "can fill 'y'"]),
        ("--haproxy-config 'no file' --format zz -", ["cannot read no file: No such file", "no preset is named 'zz'"]),
        ("--haproxy-config refused.cfg", ["refused.cfg:3: log-format: unknown item %zz; "]),
    ],
)
def test_wrong_options_are_wrong_usage(
    arguments: str, problems: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2, with every mistake, and nothing is read."""
    monkeypatch.setenv("PYTHONPATH", str(FIXTURES.parent))
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "refused.cfg", b"frontend web", b"    mode http", b"    log-format %zz")
    done = run("check", *shlex.split(arguments), stdin=LINE)
    assert (done.returncode, done.stdout) == (2, b"")
    assert [problem for problem in problems if problem not in done.stderr.decode()] == []


@pytest.mark.parametrize("arguments", [("check", FIXTURES / "httplog.log"), ("explain", "httplog")])
def test_a_full_disk_is_told(arguments: Sequence[str]) -> None:
    """The output could not be written, and that is no bug."""
    with open("/dev/full", "wb") as full:
        told = subprocess.run(command(*arguments), stdout=full, stderr=subprocess.PIPE, check=False)
    assert told.returncode == 1
    assert told.stderr.decode() == "haproxy-log-exporter: cannot write the output: No space left on device\n"


def test_an_output_that_closes_early_is_no_traceback() -> None:
    """As in `… | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as closed:
        told = subprocess.run(command("check"), stdout=closed, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (told.returncode, told.stderr) == (1, b"")


@pytest.mark.parametrize("name", CONFIGS, ids=str)
def test_a_configuration_is_told_proxy_by_proxy(name: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What each frontend writes, as --format takes it, and which labels it has; to people as to programs."""
    config = ConfigFiles([str(FIXTURES / name)]).read()
    choice = Choice((), (), (), configured=configured_formats(config))
    told = []
    for as_json in (True, False):
        capsys.readouterr()
        check(Given(Settings(), choice, config=config), [], as_json=as_json)
        told.append(capsys.readouterr().out)
    proxies = json.loads(told[0])["proxies"]
    assert [(each["name"], each["section"]) for each in proxies] == [
        (each.name, each.section) for each in config.proxies
    ]
    *blocks, certain = told[1].rstrip("\n").split("\n\n")
    assert certain.startswith("series at 0 from the start: ")
    for proxy, block in zip(proxies, blocks, strict=True):
        assert [*proxy] == PROXY_KEYS
        assert len(find_formats([each for each in proxy["formats"] if each], ())) == len(proxy["formats"])
        assert block.split("\n") == [
            f"{proxy['section']} {proxy['name']}",
            *(f"  writes {each}" for each in proxy["formats"]),
            f"  labels {', '.join(proxy['labels']) or 'none'}",
        ]


def test_captured_headers_are_told_by_name() -> None:
    """Of the frontend that captures them, and of no other."""
    done = run("check", "--json", "--haproxy-config", FIXTURES / "haproxy-2.6.cfg")
    found = json.loads(done.stdout)
    assert [*found] == ["proxies"]
    labels = {proxy["name"]: {*proxy["labels"]} for proxy in found["proxies"]}
    named = {"request_header_host", "request_header_user_agent", "response_header_x_foo"}
    assert {name: each & named for name, each in labels.items()} == {
        "web": named, "clf": {"request_header_host"}, "tls": set(), "plainhttps": set(), "asap": set(), "tcp": set(),
        "deflog": set(),
    }  # fmt: skip


def test_steps_that_are_left_out_are_told(tmp_path: Path) -> None:
    """To people: what is parsed, noticed, filtered and rejected is all lines."""
    log = write(tmp_path / "steps.log", b"txn_close 200 5", b"txn_accept 0 0", b"x")
    told = run("check", "--format", "%OG %ST %B", log).stdout.decode().splitlines()
    assert [line.split()[1] for line in told if line.startswith(("lines", "parsed", "filtered"))] == ["3", "1", "1"]


CERTAIN = "series at 0 from the start: "


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ("-l", "frontend_name,status_class"),
            "5 of requests_total, 1 of sessions_total, 5 of response_duration_seconds",
        ),
        (
            ("-l", "frontend_name,status_code", "--metric", "requests_total:backend_name"),
            "2 of requests_total",
        ),
        (
            ("-l", "frontend_name,status_code"),
            "none, for that takes labels which are all among frontend_name, backend_name, server_name, status_class",
        ),
    ],
)
def test_series_that_are_certain_are_told(tmp_path: Path, options: Sequence[str], expected: str) -> None:
    """How many of each metric, or why there are none; with a log, what its lines bring does not count."""
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        "frontend web\n    mode http\n    option httplog\n    default_backend app\n"
        "backend app\n    mode http\nfrontend tcp\n    mode tcp\n    option tcplog\n"
    )
    for logs in ((), (write(tmp_path / "a.log", LINE),)):
        told = run("check", "--haproxy-config", config, *options, *logs)
        assert told.returncode == 0
        lines = told.stdout.decode().splitlines()
        assert [line for line in lines if line.startswith(CERTAIN)] == [CERTAIN + expected]
    told = run("check", *options, tmp_path / "a.log")
    assert CERTAIN not in told.stdout.decode(), "without haproxy.cfg nothing is"
