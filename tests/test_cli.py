"""The commands as a user runs them."""

import gzip
import json
import os
import pty
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import haproxy_log_exporter
from haproxy_log_exporter.settings import knobs
from tests.support import FIXTURES, command, read_samples, run, total

COMMANDS = ("serve", "count", "parse", "check", "explain", "demo")

LINE = (
    "127.0.0.1:59616 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/12/13 200 228 - - ---- 1/1/0/0/0 0/0 "
    '"GET /a?x=1 HTTP/1.1"\n'
)


def test_help_and_version() -> None:
    """Both go to standard output and are no failure."""
    assert run("--version").stdout.decode() == f"haproxy-log-exporter {haproxy_log_exporter.__version__}\n"
    for arguments in (("--help",), ("serve", "--help"), ("count", "-h"), ("parse", "-h"), ("demo", "-h")):
        told = run(*arguments)
        assert told.returncode == 0
        assert told.stdout.startswith(b"Usage:") or b"Usage:" in told.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_cuts_nothing_on_a_narrow_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option and each variable stands there whole, at 80 columns and in plain text."""
    monkeypatch.setenv("COLUMNS", "80")
    told = run(command, "--help").stdout.decode()
    assert told.startswith("Usage: ")
    assert max(map(len, told.splitlines())) <= 80
    words = set(re.split(r"[\s,]+", told))
    listed = {knob.option: knob for knob in knobs().values() if knob.option in words}
    assert len(listed) == told.count("[HAPROXY_LOG_EXPORTER_")
    assert {f"[{knob.variable}]" for knob in listed.values()} <= words


def test_wrong_usage_is_2() -> None:
    """An unknown option, a missing argument and nothing to read."""
    for arguments in (("serve", "--blah"), ("count",), ("serve",), ("blah",)):
        assert run(*arguments).returncode == 2


def test_count_adds_up_files_plain_and_gzip_and_standard_input(tmp_path: Path) -> None:
    """Three times the same line, each from elsewhere."""
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_text(LINE)
    packed.write_bytes(gzip.compress(LINE.encode()))
    told = run("count", plain, packed, "-", stdin=LINE.encode())
    assert told.returncode == 0
    assert told.stderr == b""
    assert total(read_samples(told.stdout.decode()), "haproxy_log_requests_total", server_name="s1") == 3


def test_pipes_are_read_as_files_are(tmp_path: Path) -> None:
    """Compressed or not, named or standard input."""
    packed = gzip.compress(LINE.encode() * 3)
    for path in ("-", "/dev/stdin"):
        for data in (packed, LINE.encode() * 3):
            told = run("count", path, stdin=data)
            assert total(read_samples(told.stdout.decode()), "haproxy_log_requests_total") == 3, told.stderr
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"".join(LINE.encode() for _ in range(1000)))[:-12])
    told = run("count", tmp_path / "cut.gz")
    assert total(read_samples(told.stdout.decode()), "haproxy_log_requests_total") >= 990, told.stderr
    assert told.returncode == 1


@pytest.mark.parametrize("name", ["count", "parse"])
def test_a_full_disk_is_told(name: str, tmp_path: Path) -> None:
    """The output could not be written, the log could be read."""
    (tmp_path / "a.log").write_text(LINE)
    with open("/dev/full", "wb") as full:
        told = subprocess.run(command(name, tmp_path / "a.log"), stdout=full, stderr=subprocess.PIPE, check=False)
    assert told.returncode == 1
    assert told.stderr.decode() == "haproxy-log-exporter: cannot write the output: No space left on device\n"


def test_formats_that_cannot_be_meant_are_refused() -> None:
    """Several names in one text, no value at all, and a format for an engine that has its own."""
    for arguments in (("--format", "httplog,tcplog"), ("--format", "100 %%"), ("--format", " ")):
        assert run("count", *arguments, "-").returncode == 2
    assert run("count", "--parser", "haproxy-log-analysis", "--format", "tcplog", "-").returncode == 2
    assert run("count", "--parser", "haproxy-log-analysis", "--format", "httplog", "-").returncode == 0


def test_a_last_line_without_its_newline_counts() -> None:
    """A finished log is finished."""
    told = run("count", "-", stdin=LINE.encode().rstrip())
    assert total(read_samples(told.stdout.decode()), "haproxy_log_requests_total") == 1


def test_what_cannot_be_read_is_named_and_the_rest_counted(tmp_path: Path) -> None:
    """Exit 1, with the metrics of what could be read."""
    (tmp_path / "a.log").write_text(LINE)
    broken = tmp_path / "cut.gz"
    broken.write_bytes(gzip.compress(LINE.encode() * 9)[:-12])
    told = run("count", tmp_path / "none.log", tmp_path / "a.log", broken, tmp_path)
    assert told.returncode == 1
    problems = told.stderr.decode()
    assert f"cannot read {tmp_path}/none.log: No such file or directory" in problems
    assert f"cannot read {broken}: " in problems
    assert f"cannot read {tmp_path}: Is a directory" in problems
    assert total(read_samples(told.stdout.decode()), "haproxy_log_requests_total") >= 1


def test_count_says_what_it_did_not_count() -> None:
    """Rejected and cut lines are told on standard error, never on standard output."""
    told = run("count", "-", stdin=(LINE + "garbage\n" + LINE[:-12] + "\n").encode())
    assert told.stderr.decode() == (
        "haproxy-log-exporter: -: 3 lines, 2 counted (1 of them cut), 0 notices, 1 rejected\n"
        "haproxy-log-exporter: `haproxy-log-exporter check -` tells why\n"
    )
    assert b"garbage" not in told.stdout
    told = run("count", "-", stdin=(LINE + LINE[:-12] + "\n").encode())
    assert told.stderr.decode() == (
        "haproxy-log-exporter: -: 2 lines, 2 counted (1 of them cut), 0 notices, 0 rejected\n"
    )


def test_every_mistake_at_once() -> None:
    """Options, labels and metrics in one go; unknown labels list those there are."""
    told = run(
        "count", "-l", "status_code,statuscode", "--metrics", "x", "--buckets", "2,1", "--format", "%ST %B %q", "-"
    )
    problems = told.stderr.decode()
    assert told.returncode == 2
    assert told.stdout == b""
    assert "--buckets: 2,1 does not ascend" in problems
    assert "log-format: unknown item %q" in problems
    told = run("count", "-l", "status_code,statuscode", "--metrics", "x", "-")
    problems = told.stderr.decode()
    assert (
        "--labels: no format in use can fill 'statuscode' (did you mean 'status_code'?); there are client_ip,"
        in problems
    )
    assert "--metrics: no format in use can fill 'x'; there are requests_total," in problems


def test_a_log_format_that_is_refused_shows_where() -> None:
    """A caret stands under the place."""
    told = run("parse", "--format", "%ci %{+Q}STX", "-")
    lines = told.stderr.decode().splitlines()
    assert told.returncode == 2
    assert lines[1].strip() == "%ci %{+Q}STX"
    assert lines[2].index("^") - lines[1].index("%ci") == "%ci %{+Q}STX".index("%{")


CONFIG = """\
defaults
    mode http
    option httplog
frontend web
    capture request header Host len 50
frontend api
    log-format "%ci %f %ST %[capture.req.hdr(0)]"
    capture request header Accept len 50
    capture request header Host len 50
"""


def test_haproxy_config_gives_formats_and_names_of_headers(tmp_path: Path) -> None:
    """As a file or a directory, alone or with formats that are named."""
    (tmp_path / "h.cfg").write_text(CONFIG)
    log = LINE.replace('0/0 "GET', '0/0 {h} "GET') + "1.2.3.4 api 404 text/html\n"
    for path in (tmp_path, tmp_path / "h.cfg"):
        told = run("count", "--haproxy-config", path, "-l", "request_header_host,status_code", "-", stdin=log.encode())
        assert (told.returncode, told.stderr) == (0, b"")
        samples = read_samples(told.stdout.decode())
        assert total(samples, "haproxy_log_requests_total", request_header_host="h", status_code="200") == 1
        assert total(samples, "haproxy_log_requests_total", request_header_host="", status_code="404") == 1
    told = run("parse", "--haproxy-config", tmp_path, "--format", "%b own", "-", stdin=log.encode() + b"x own\n")
    assert [json.loads(line)["format"] for line in told.stdout.splitlines()] == ["httplog", "3", "1"]


def test_mistakes_in_haproxy_config_are_told_with_the_others(tmp_path: Path) -> None:
    """By file and line, and before anything is read; what is worth telling but stops nothing is told as well."""
    path = tmp_path / "h.cfg"
    path.write_text(CONFIG.replace("%ci %f", "%ci%f"))
    for command_ in ("count", "parse"):
        told = run(command_, "--haproxy-config", path, "--haproxy-config", tmp_path / "none", "--parser", "perl", "-")
        assert (told.returncode, told.stdout) == (2, b"")
        assert f"--haproxy-config: cannot read {tmp_path}/none: No such file or directory" in told.stderr.decode()
        assert "--parser: 'perl' is not one of compiled, haproxy-log-analysis" in told.stderr.decode()
        told = run(command_, "--haproxy-config", path, "-")
        assert (told.returncode, told.stdout) == (2, b"")
        assert f"haproxy-log-exporter: {path}:7: log-format: nothing tells where %ci ends" in told.stderr.decode()
    arms = "".join(
        f".if feature(X{number})\n    capture request header A{number} len 5\n.endif\n" for number in range(5)
    )
    path.write_text(f"frontend web\n    mode http\n    option httplog\n{arms}")
    told = run("count", "--haproxy-config", path, "-", stdin=LINE.encode())
    assert told.returncode == 0
    assert told.stderr.decode().startswith("haproxy-log-exporter: frontend web: the arms of its .if make more than 16 ")


def test_formats_that_are_wrong_are_told_whatever_haproxy_config_is(tmp_path: Path) -> None:
    """What a string or a name of a preset means does not depend on it, so nobody must start twice to learn that."""
    told = run("count", "--haproxy-config", tmp_path / "none", "--format", "nonesuch", "--format", "%zz", "-")
    assert told.returncode == 2
    for problem in ("cannot read", "no preset is named 'nonesuch'", "unknown item %zz"):
        assert problem in told.stderr.decode()


def test_lines_of_a_sample_are_weighed() -> None:
    """`log … sample 1:10` writes one of ten; a weight that is none is a mistake."""
    told = run("count", "--sample-weight", "10", "-", stdin=LINE.encode() * 2)
    assert total(read_samples(told.stdout.decode()), "haproxy_log_requests_total") == 20
    for text in ("0", "-1", "1.5", "x", ""):
        told = run("count", "--sample-weight", text, "-")
        assert told.returncode == 2
        assert told.stderr.decode().startswith("haproxy-log-exporter: --sample-weight: ")


def test_parse_prints_a_json_object_a_line() -> None:
    """In the lines' order, whatever they are."""
    told = run("parse", "-", stdin=(LINE + "garbage\nProxy web started.\n" + LINE).encode())
    objects = [json.loads(line) for line in told.stdout.splitlines()]
    assert [each["kind"] for each in objects] == ["http", "rejected", "notice", "http"]
    assert objects[0]["http_request_path"] == "/a"
    assert objects[1]["line"] == "garbage"


def test_an_output_that_closes_early_is_no_traceback(tmp_path: Path) -> None:
    """As in `… | head -1`."""
    log = tmp_path / "a.log"
    log.write_text(LINE * 20_000)
    process = subprocess.Popen(command("parse", log), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait(timeout=30) == 1


def test_count_shows_its_progress_on_a_terminal(tmp_path: Path) -> None:
    """A bar on standard error, nothing of it on standard output."""
    log = tmp_path / "a.log"
    log.write_text(LINE * 1000)
    primary, secondary = pty.openpty()
    done = subprocess.run(
        command("count", log),
        stdout=subprocess.PIPE,
        stderr=secondary,
        check=True,
        timeout=60,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(secondary)
    shown = os.read(primary, 1 << 16).decode()
    os.close(primary)
    assert "100%" in shown or "kB" in shown
    assert "\x1b" not in done.stdout.decode()


def test_the_reference_engine_keeps_standard_output_clean() -> None:
    """The library prints what it cannot read; the metrics do not hold it."""
    absolute = LINE.replace("GET /a?x=1", "GET https://example.net/a")
    told = run("count", "--parser", "haproxy-log-analysis", "-l", "http_request_path", "-", stdin=absolute.encode())
    assert b"Could not process" not in told.stdout
    samples = read_samples(told.stdout.decode())
    # Its version 2.0 gives no path, later ones this.
    assert total(samples, "haproxy_log_requests_total") == 1
    assert {dict(labels)["http_request_path"] for name, labels in samples if name.endswith("requests_total")} <= {
        "",
        "invalid",
    }


@pytest.mark.parametrize("parser", ["compiled", "haproxy-log-analysis"])
def test_the_library_is_loaded_only_when_asked_for(parser: str) -> None:
    """Nobody pays for the engine that is not used."""
    script = (
        "import sys; from haproxy_log_exporter.choice import Choice;"
        "from haproxy_log_exporter.engine import build_pipeline;"
        "build_pipeline(Choice((), (), ('1',), (), sys.argv[1])); print('haproxy.line' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script, parser], capture_output=True, check=True, timeout=60)
    assert told.stdout.strip() == str(parser == "haproxy-log-analysis").encode()


def test_dependencies_are_those_of_the_package() -> None:
    """What the package imports, pyproject.toml asks for."""
    project = tomllib.loads((FIXTURES.parent / "pyproject.toml").read_text())["project"]
    names = {dependency.partition(">")[0] for dependency in project["dependencies"]}
    assert names == {"haproxy_log_analysis", "prometheus_client", "PyYAML", "rich", "typer", "watchdog"}
