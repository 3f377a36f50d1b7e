"""What `check` shows of lines that are rejected: where they stop, why, and nothing that a terminal would obey."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haproxy_log_exporter import checking
from haproxy_log_exporter.sources.framing import LONGEST_LINE
from tests.findings import (
    HEADER,
    LINE,
    accounted,
    find,
    is_printable,
    is_under,
    read_findings,
    read_summary,
    show,
    tell,
    write,
)
from tests.support import run


def _broken(place: int) -> bytes:
    """Break the line at a byte."""
    return LINE[:place] + b"\x01" + LINE[place + 1 :]


def test_rejected_lines_are_grouped_by_where_they_stop(tmp_path: Path) -> None:
    """The largest group first, each with a line, the field that is expected, and a caret under the byte."""
    status, timer = LINE.index(b"200"), LINE.index(b"/5/6") + 1
    lines = [HEADER + _broken(timer), b"<6>" + _broken(status), *[_broken(status)] * 3, LINE, HEADER + _broken(timer)]
    findings = find(write(tmp_path / "a.log", *lines), "httplog")
    assert [(each.count, each.format, each.expected) for each in findings] == [
        (4, "httplog", "%ST (status_code)"),
        (2, "httplog", "%Tr (time_response)"),
    ]
    for finding, line, place in zip(findings, (lines[1], lines[0]), (3 + status, len(HEADER) + timer), strict=True):
        [example] = finding.examples
        assert [example.text, example.position] == [show(line), place]
        assert example.column == place
        assert example.cause == ""


def test_a_group_shows_a_line_for_each_cause(tmp_path: Path) -> None:
    """Not a hundred of one, and none of a cause that is rare."""
    tcp = LINE.replace(b"0/0/1/5/6 200 228 - - ----", b"1/0/7 229 --").partition(b' "')[0]
    lines = [*[b"garbage"] * 9, b'{"a":1}', b"more garbage", tcp[: tcp.index(b"[")]]
    findings = find(write(tmp_path / "a.log", *lines), "httplog")
    causes = {example.cause for finding in findings for example in finding.examples}
    assert {cause[:12] for cause in causes} == {"", "this is JSON"}
    findings = find(write(tmp_path / "b.log", tcp, tcp, LINE[:-60]), "httplog-clf")
    assert {example.cause for finding in findings for example in finding.examples} >= {
        "this looks like option tcplog; --format has only httplog-clf"
    }


@pytest.mark.parametrize(
    ("line", "formats", "cause"),
    [
        (LINE, ("tcplog",), "this looks like option httplog; --format has only tcplog"),
        (b'{"status":200}', (), "this is JSON: give the log-format that writes it with --format, or --haproxy-config"),
        (
            b"pod \xc3\xa9\x1b " + LINE,
            (),
            "the rest reads as httplog but for what is before it, which is no known header: 'pod é\\x1b '",
        ),
        (
            LINE[: LINE.index(b" 200")],
            (),
            "the line ends here: it was cut; give HAProxy's log line a larger len, as in len 8192",
        ),
        (
            b'192.0.2.7 - - [20/Nov/2026:04:30:33 +0000] "GET / HTTP/1.1" 200 228 "-" "curl/7"',
            (),
            "this looks like a web server's own access log, not HAProxy's",
        ),
        (b"garbage", (), ""),
    ],
)
def test_a_known_cause_is_told(line: bytes, formats: Sequence[str], cause: str, tmp_path: Path) -> None:
    """Below the line, also where that came in a wrapper."""
    wrapped = json.dumps({"log": line.decode() + "\n", "stream": "stdout", "time": "2026-11-20T04:30:53Z"}).encode()
    for written in (line, wrapped):
        told = tell(write(tmp_path / "a.log", written), formats=formats)
        [finding] = read_findings(told)
        [example] = finding.examples
        assert example.cause == cause
        assert example.text == show(line)
        assert is_printable(told)


_FREE = "%{+Q,+E}[var(txn.a)] %ST"

CARETS = (
    (b"garbage", ""),
    (b"", ""),
    (b"192.0.2.7:5 [20/Nov/2026:04:30:27.864] web \xc3\xa9/s1 0/0/0/1/1 x", "httplog"),
    (b"192.0.2.7:5 [20/Nov/2026:04:30:27.864] web \xc2\x9b31m\x7f\xff\xc3/s1 0/0/0/1/1 x", "httplog"),
    (b"\0\x1b[2J\x07", "httplog"),
    ('"é\x1b[31m\t\0\u202e\u2028\u00a0" x'.encode(), _FREE),
    (b'"\xff\xc3\x28\xed\xa0\x80\xf0\x9f\x98" x', _FREE),
    ('"日本語, 中文" x'.encode(), _FREE),
    ('"e\u0301a\u0308" x'.encode(), _FREE),
    (b'"' + b"a" * 3_000 + b'" x', _FREE),
    (b'"' + "é".encode() * 700 + b'" x', _FREE),
    (b'"' + "é".encode() * 700 + b'"  x' + b"z" * 700, _FREE),
    (b'"' + "日".encode() * 700 + b'" x', _FREE),
    (b'"' + b"\0" * 700 + b'" x' + b"\x1b" * 700, _FREE),
    (b"192.0.2.7:5 [20/" + b"x" * 20 + "é web".encode(), "httplog"),  # it stops within a character
)


@pytest.mark.parametrize(("line", "format_"), CARETS, ids=[ascii(line[:24]) for line, _ in CARETS])
def test_the_caret_is_under_the_byte(line: bytes, format_: str, tmp_path: Path) -> None:
    """Whatever is before it and behind it, of a long line in the part that is shown."""
    told = tell(write(tmp_path / "a.log", line), formats=[format_] if format_ else [])
    [finding] = read_findings(told)
    [example] = finding.examples
    assert is_printable(told)
    assert is_under(example, line), told
    if format_ == _FREE:
        assert line[example.position :].lstrip(b" ").startswith(b"x")


def _stops(count: int) -> list[bytes]:
    """Break the line at the beginnings of as many numbers."""
    numbers = re.compile(rb"(?<=[ /])[0-9]").finditer(LINE, LINE.index(b" app/s1"))
    return [_broken(match.start()) for _, match in zip(range(count), numbers, strict=False)]


def test_ten_groups_are_shown(tmp_path: Path) -> None:
    """The largest; the others are added up."""
    lines = [line for times, line in enumerate(_stops(14), start=1) for _ in range(times)]
    told = tell(write(tmp_path / "a.log", *lines), formats=["httplog"])
    assert [each.count for each in read_findings(told)] == [*range(14, 4, -1)]
    assert told.rstrip().endswith("10 more in 4 smaller groups")
    assert accounted(told) == len(lines) == 105


def test_so_many_lines_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are counted and nothing else, so that a log of all else than HAProxy's takes no hour."""
    monkeypatch.setattr(checking, "MOST_DIAGNOSED", 50)
    lines = [line for line in _stops(12) for _ in range(10)]
    told = tell(write(tmp_path / "a.log", *lines), formats=["httplog"])
    assert [each.count for each in read_findings(told)] == [10] * 5
    assert "70 more were rejected and not looked at" in told
    assert accounted(told) == 120
    assert read_summary(told)["rejected"] == 120


def test_every_rejected_line_is_told_of(tmp_path: Path) -> None:
    """Those as well that were too long to be kept, and those that stand for several."""
    lines = [
        b"x" * (LONGEST_LINE + 1),
        b"garbage",
        HEADER + b"message repeated 4 times: [ garbage]",
        *[b"2026-11-20T04:30:53.0Z stdout P " + b"x" * 60_000] * 2,
        b"2026-11-20T04:30:53.0Z stdout F x",
        b"2026-11-20T04:30:53.0Z stdout P garbage without an end",
    ]
    told = tell(write(tmp_path / "a.log", *lines))
    assert [each.count for each in read_findings(told)] == [6]
    assert accounted(told) == read_summary(told)["rejected"] == 8


_HOSTILE = (
    LINE, HEADER, b"\x1b[2J\x1b]0;title\x07", b"\0" * 300, b"\xff\xfe", b"\xc2\x9b31m", "é日\u202e".encode(),
    b"\r", b"\x0b\x0c", b'{"log":"', b'\\n","stream":"stdout"}', b"message repeated 9 times: [ ", b"(", b"%", b'"',
    b"2026-11-20T04:30:53.0Z stdout P ", b"MESSAGE\n\xff\0\0\0\0\0\0\0", b"__CURSOR=s\n", b"\x1f\x8b",
)  # fmt: skip
_LONG = (b"a/" * 32_768, b" :" * 30_000, b"\xff" * 70_000)


def _hostile(seed: int) -> bytes:
    """Make a log that nobody would write."""
    random = Random(seed)
    pieces = [random.choice((*_HOSTILE, *_LONG)) for _ in range(60)]
    cut = [piece[: random.randint(1, len(piece))] for piece in pieces]
    return b"x" + b"".join(piece + random.choice([b"\n", b" ", b"", b"\x80"]) for piece in cut)


@pytest.mark.parametrize("seed", range(4))
def test_a_hostile_log_is_only_rejected(seed: int, tmp_path: Path) -> None:
    """Nothing is raised, nothing is left out, and nothing of it does anything to a terminal."""
    log = write(tmp_path / "a.log", _hostile(seed))
    told = tell(log)
    assert is_printable(told)
    found = json.loads(tell(log, as_json=True))
    assert found["lines"] == found["parsed"] + found["notices"] + found["rejected"] > 0
    assert found["rejected"] > 0


@pytest.mark.parametrize(("encoding", "options"), [("utf-8:strict", ["--json"]), ("ascii", []), ("latin-1", [])])
def test_no_terminal_is_too_old(
    encoding: str, options: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its encoding has not is written in another way, whatever is in a log and in haproxy.cfg."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    log = write(tmp_path / "a.log", _hostile(1).replace(b"\n", b" "), "é日本".encode())
    config = write(tmp_path / "a.cfg", b"frontend \xc3\xa9", b"    mode http", b'    log-format "%ci \xe9 %ST"')
    done = run("check", *options, "--haproxy-config", config, log)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    assert is_printable(done.stdout.decode(encoding.partition(":")[0]))


_LOG = st.lists(st.sampled_from([*_HOSTILE, *_LONG, b"\n", b"Stopping x"]) | st.binary(max_size=20), max_size=12)
_FORMATS = st.sampled_from([("httplog",), ("tcplog", "%ci %OG %B"), ("%ci %{+Q}[var(txn.a)]",), ("error",), ()])


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(_LOG.map(b"".join), _FORMATS)
def test_any_bytes_are_read(tmp_path_factory: pytest.TempPathFactory, log: bytes, formats: tuple[str, ...]) -> None:
    """All lines are parsed, notices, rejected or left out, and nothing is raised."""
    path = tmp_path_factory.getbasetemp() / "any.log"
    path.write_bytes(b"x" + log)
    told = tell(path, formats=formats)
    found = json.loads(tell(path, formats=formats, as_json=True))
    left_out = found["lines"] - found["parsed"] - found["notices"] - found["rejected"]
    assert left_out == 0 or (left_out > 0 and any("%OG" in each for each in formats))
    assert sum(found["formats"].values()) == found["parsed"] >= found["truncated"] >= 0
    assert is_printable(told)
    summary = read_summary(told)
    assert [summary.get(key, 0) for key in ("lines", "parsed", "rejected", "notices")] == [
        found[key] for key in ("lines", "parsed", "rejected", "notices")
    ]
