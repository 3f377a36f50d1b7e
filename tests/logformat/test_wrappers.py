"""Lines are taken out of their wrappers as they went in, and what is no wrapper is left as it is."""

import importlib
import os
import re
import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from haproxy_log_exporter.logformat import wrappers
from haproxy_log_exporter.logformat.envelopes import ENVELOPE
from haproxy_log_exporter.logformat.wrappers import Unwrapper
from tests.logformat import ENVELOPES
from tests.logformat.wrapping import BARE, LONGEST, UNWRAPPED, binary, cri, docker, unwrap
from tests.support import FIXTURES, need, wait_until


@pytest.mark.parametrize("name", ["docker.log", "cri.log", "fluentd.log", "fluent-bit.log"])
def test_containers_and_collectors(name: str) -> None:
    """The same lines come out of each."""
    assert unwrap((FIXTURES / "wrapped" / name).read_bytes()) == (BARE, [], b"", 0)


@pytest.mark.parametrize("name", ["journal.export", "journal.json"])
def test_what_journalctl_wrote(name: str) -> None:
    """The messages alone come out. Each entry in the export format has a binary SYSLOG_RAW, one a binary MESSAGE."""
    assert unwrap((FIXTURES / "wrapped" / name).read_bytes()) == (BARE + b"MESSAGE\n= \xff\x1b\n", [], b"", 0)


WRAPPED: dict[str, tuple[bytes, bytes]] = {
    "keys in any order": (b'{"time":"x","stream":"stderr","log":"a\\n"}\n', b"a\n"),
    "attributes": (b'{"log":"a\\n","stream":"stdout","attrs":{"tag":"b","c":[1,{}]},"time":"x"}\n', b"a\n"),
    "every escape": (rb'{"log":"\"\\\/\b\f\n\r\t\u003C\u0000\u001b\u00e9\ufffd\n"}' + b"\n",
                     b'"\\/\b\f\n\r\t<\0\x1b\xc3\xa9\xef\xbf\xbd\n'),
    "backslashes": (rb'{"log":"\\n\\\\\\\"\\u0041\\"}' + b"\n", b'\\n\\\\\\"\\u0041\\\n'),
    "surrogates": (rb'{"log":"\ud83d\ude00 \ude00\ud83d \ud83d\u0041"}' + b"\n",
                   "\U0001f600 \ufffd\ufffd \ufffdA\n".encode()),
    "what is no UTF-8": (b'{"log":"\xff\\"\xfe"}\n', b'\xff"\xfe\n'),
    "several lines": (b'{"log":"\\na\\n\\nb\\u000a\\u000ac\\n\\n"}\n{"log":"d"}\n', b"a\nb\nc\nd\n"),
    "nothing": (b'{"log":"\\n"}\n{"log":""}\n' + cri(b"") + cri(b"", "P") + b"MESSAGE=\n\n", b""),
    "what is wrapped twice": (docker(docker("a\n").decode()), docker("a\n")),
    "what looks wrapped in CRI": (cri(docker("a\n").removesuffix(b"\n")), docker("a\n")),
    "blanks": (b'{ "log" : "a" ,\t"stream" : "b" , "x" : { "y" : [ 1 , { } ] } } \r\n', b"a\n"),
    "values of all kinds": (b'{"a":-1.5e+7,"b":null,"c":true,"d":[],"e":{},"":"","msg":"f","g":[[[[]]]]}\n', b"f\n"),
    "Google's": (b'{"Payload":"a"}\n', b"a\n"),
    "a key that holds no string": (b'{"message":{"log":"b"},"msg":1,"log":"a"}\n', b"a\n"),
    "several keys": (b'{"log":"a","message":"b"}\n', b"b\n"),
    "bytes": (b'{"MESSAGE":[ 255, 10,0 ,9],"a":1}\n{"MESSAGE":[]}\n', b"\xff\n\0\t\n"),
    "a collector's, without newlines": (b'{"log":"a","stream":"stdout","date":1}\n{"msg":"b","stream":"stdout"}\n',
                                        b"a\nb\n"),
    "tags of CRI": (cri(b"a", "F:x") + cri(b"b", "P:y:z") + cri(b"c", "F:"), b"a\nbc\n"),
    "a zone": (b"2026-11-20T04:30:53-03:30 stderr F  a\n", b" a\n"),
    "fluentd's file": (b'2026-11-20T04:30:53+00:00 a.b {"log":"a"}\n1511156652,a,{"log":"b"}\n', b"a\nb\n"),
    "fluentd's file without tags": (b'1511156652.25\t{"log":"a"}\n', b"a\n"),
    "fluentd's output": (b'2017-11-28 11:43:13.814351757 +0900 a.b: {"log":"a"}\n', b"a\n"),
    "an entry without journalctl's own fields": (b"MESSAGE=a\n_PID=1\n\nB=c\nMESSAGE=d\n", b"a\nd\n"),
    "several messages": (b"__CURSOR=a\nMESSAGE=b\nMESSAGE=c\n", b"b\nc\n"),
    "one after the other": (docker("a\n") + cri(b"b") + b"__CURSOR=x\nMESSAGE=c\n\n" + docker("d\n") + cri(b"e"),
                            b"a\nb\nc\nd\ne\n"),
}  # fmt: skip


@pytest.mark.parametrize(("wrapped", "lines"), WRAPPED.values(), ids=WRAPPED)
def test_wrapped_lines(wrapped: bytes, lines: bytes) -> None:
    """What was wrapped comes out."""
    rest = b'{"MESSAGE":[]}\n' if b"[]}\n" in wrapped and b"MESSAGE" in wrapped else b""
    assert unwrap(wrapped) == (lines, [], rest, 0)


@pytest.mark.parametrize("line", UNWRAPPED)
def test_what_is_in_no_wrapper_is_left(line: bytes) -> None:
    """It stays as it is, where it is, also among wrapped lines."""
    assert unwrap(line + b"\n") == (b"", [], line + b"\n", 0)
    assert unwrap(docker("a\n") + line + b"\n" + docker("b\n")) == (b"a\nb\n", [], line + b"\n", 0)
    assert unwrap(cri(b"a") + line + b"\n" + cri(b"b")) == (b"a\nb\n", [], line + b"\n", 0)


def test_a_chunk_without_wrappers_is_given_back() -> None:
    """It is not even copied."""
    chunk = b"".join(line + b"\n" for line in UNWRAPPED[:5])
    assert Unwrapper(LONGEST).unwrap(chunk).rest is chunk


def test_parts_are_joined() -> None:
    """Each stream's for itself, and from one chunk to the next; a line is given when its last part has come."""
    unwrapper = Unwrapper(LONGEST)
    assert unwrapper.unwrap(docker("a") + docker("1", "stderr") + b"x\n") == (b"", [], b"x\n", 0)
    assert unwrapper.unwrap(docker("b")) == (b"", [], b"", 0)
    assert unwrapper.unwrap(docker("c\n") + docker("d\ne")) == (b"abc\nd\n", [], b"", 0)
    assert unwrapper.unwrap(cri(b"2", "P", "stderr") + cri(b"3", "F", "stderr")) == (b"123\n", [], b"", 0)
    assert unwrapper.end() == (b"e\n", [], b"", 0)
    assert unwrapper.end() == (b"", [], b"", 0)


def test_a_collectors_lines_are_no_parts() -> None:
    """Also not between parts: where there are other keys than Docker's, a line needs no newline to be whole."""
    others = b'{"log":"x","stream":"stdout","date":1}\n{"message":"y","stream":"stdout"}\n{"log":"z"}\n'
    assert unwrap(docker("a") + others + docker("b\n")) == (b"x\ny\nz\nab\n", [], b"", 0)


def test_whole_lines_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line takes a step of its own where none comes in parts."""
    monkeypatch.delattr(Unwrapper, "_read_one")
    for chunk in (docker("a\n") + b"x\n" + docker("b\n", "stderr"), cri(b"a") + b"x\n" + cri(b"b", "F:y", "stderr")):
        assert unwrap(chunk) == (b"a\nb\n", [], b"x\n", 0)


def test_joined_lines_are_no_longer_than_a_line_may_be() -> None:
    """One of the limit is kept, a longer one is left out and counted once, however it comes; what follows is read."""
    longest = docker("a" * 6) + docker("b" * 4 + "\n")
    assert unwrap(longest, longest=10) == (b"aaaaaabbbb\n", [], b"", 0)
    for overlong in (
        docker("a" * 6) + docker("b" * 5 + "\n"),
        docker("a" * 11) + docker("b" * 11) + docker("\n"),
        docker("a" * 6) + docker("b" * 6) + docker("c\n"),
        cri(b"a" * 6, "P") + cri(b"b" * 6, "P") + cri(b"", "F"),
    ):
        assert unwrap(docker("x\n") + overlong + docker("y\n"), longest=10) == (b"x\ny\n", [], b"", 1)
    assert unwrap(docker("a" * 11), longest=10) == (b"", [], b"", 1)


def test_what_is_kept_is_bounded() -> None:
    """Parts without an end, and fields of the journal, take no more memory than a line."""
    unwrapper = Unwrapper(1000)
    for stream in ("stdout", "stderr") * 100:
        unwrapper.unwrap(docker("a" * 99, stream))
        assert sum(len(begun or b"") for begun in unwrapper._parts.begun.values()) <= 2000
    unwrapper.unwrap(b"__CURSOR=a\nMESSAGE\n" + (10**6).to_bytes(8, "little") + b"\n")
    for _ in range(100):
        unwrapper.unwrap(b"a" * 99 + b"\n")
        assert not unwrapper._field


ENTRY = (
    b"__CURSOR=a\n_COMM=haproxy\n"
    + binary("BEFORE", b"\n\n__CURSOR=b\nMESSAGE=c\n\n")
    + binary("MESSAGE", b"\xff\n\nMESSAGE=d\n{}\n")
    + binary("_AFTER", b"")
    + b"_PID=1\n\n"
)


def test_binary_fields_may_come_in_pieces() -> None:
    """Wherever a chunk ends, also within the eight bytes of a length that holds a newline."""
    entry = ENTRY + binary("A", b"b" * 10) + binary("MESSAGE", b"e" * 0x0A0A) + b"\nMESSAGE=f\n\n"
    expected = b"\xff\nMESSAGE=d\n{}\n" + b"e" * 0x0A0A + b"\nf\n"
    ends = [match.end() for match in re.finditer(b"\n", entry)]
    for middle in ends:
        assert unwrap(entry[:middle], entry[middle:]) == (expected, [], b"", 0)
    assert unwrap(*(entry[begin:end] for begin, end in zip([0, *ends], ends, strict=False))) == (expected, [], b"", 0)


def test_a_field_that_is_cut_off() -> None:
    """At the end of a log the begun message is given; what may be no field at all is left as it is."""
    whole = b"__CURSOR=a\n" + binary("MESSAGE", b"a\nb")
    assert unwrap(whole[:-2]) == (b"a\n", [], b"", 0)
    assert unwrap(b"__CURSOR=a\n" + binary("OTHER", b"a\nb")[:-2]) == (b"", [], b"", 0)
    assert unwrap(b"__CURSOR=a\nOTHER\nabc\n") == (b"", [], b"OTHER\nabc\n", 0)


@pytest.mark.parametrize(
    "line", [b"A LINE", b"NAME\n_PID=12345", b"NAME\n\1\0\0\0\0\0\0\0ab", b"NAME\n\1\0\0\0\0\0\0\0"]
)
def test_what_is_no_field_ends_an_entry(line: bytes) -> None:
    """From there on nothing is dropped, up to the next entry."""
    chunk = b"__CURSOR=a\nMESSAGE=b\n" + line + b"\nPATH=/\n"
    assert unwrap(chunk + b"__CURSOR=a\nMESSAGE=c\n") == (b"b\nc\n", [], line + b"\nPATH=/\n", 0)


def test_long_fields_are_skipped() -> None:
    """Where the source left lines out of one, so that its length is wrong, the next entry is found all the same."""
    for name, overlong in (("MESSAGE", 1), ("COREDUMP", 0)):
        entry = b"__CURSOR=a\n" + binary(name, b"MESSAGE=x\n" * 9) + b"_PID=1\nMESSAGE=b\n\n"
        ends = [match.end() for match in re.finditer(b"\n", entry)]
        chunks = [entry[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
        for pieces in (chunks, [entry]):
            assert unwrap(*pieces, longest=80) == (b"b\n", [], b"", overlong)
        for left_out in range(1, 9):
            short = entry.replace(b"MESSAGE=x\n" * left_out, b"") + b"__CURSOR=c\nMESSAGE=d\n\n"
            assert unwrap(short, longest=80).lines.removeprefix(b"b\n") == b"d\n"


@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
def test_repeated_lines(envelope: bytes) -> None:
    """They are told apart from the others, with their headers, also where they are wrapped or behind two blanks."""
    chunk = b"a\n" + envelope + b"message repeated 4 times: [ GET ] [/]\nb\n" + envelope + b"c\n"
    expected = [(4, envelope + b"GET ] [/\n")]
    assert unwrap(chunk) == (b"", expected, b"a\nb\n" + envelope + b"c\n", 0)
    ((times, line),) = unwrap(chunk.replace(b"message", b" message").replace(b"[ ", b"[")).repeated
    assert [(times, line.replace(b" GET", b"GET") if b"  GET" in line else line)] == expected
    wrapped = b"".join(docker(line.decode() + "\n") for line in chunk.splitlines())
    assert unwrap(wrapped) == (b"a\nb\n" + envelope + b"c\n", expected, b"", 0)


def test_repeated_lines_are_grouped() -> None:
    """Those that stand for as many are given together, whether they are in a wrapper or not."""
    repeated = b"message repeated %d times: [ %b]\n"
    chunk = repeated % (2, b"a") + cri(repeated[:-1] % (999999, b"b")) + cri(repeated[:-1] % (2, b"c"))
    assert sorted(unwrap(chunk).repeated) == [(2, b"c\na\n"), (999999, b"b\n")]
    assert Unwrapper(LONGEST).unwrap(repeated % (2, b"a") + repeated % (2, b"b")).repeated == [(2, b"a\nb\n")]


@pytest.mark.parametrize(
    "line",
    [
        b"message repeated 0 times: [ a]",
        b"message repeated 01 times: [ a]",
        b"message repeated 1000000 times: [ a]",
        b"message repeated 2 times: [ a",
        b"message repeated 2 times: [ ]",
        b"message repeated 2 times: a]",
        b"x message repeated 2 times: [ a]",
        b"last message repeated 2 times",
    ],
)
def test_what_is_not_repeated(line: bytes) -> None:
    """A line that only looks so is one line."""
    assert unwrap(line + b"\n") == (b"", [], line + b"\n", 0)


def test_what_rsyslog_wrote() -> None:
    """The fixture is rsyslog's: of 5, 1, 2, 3, 4, 10 and 1 equal lines in a row, one of them longer than it repeats."""
    found = unwrap((FIXTURES / "wrapped" / "repeated.log").read_bytes())
    assert [times for times, _ in found.repeated] == [4, 2, 3, 9]
    assert found.rest.count(b"\n") == 8
    assert all(b" host haproxy[24562]: " in lines for _, lines in found.repeated)
    assert (
        len(found.repeated[1][1].split(b"]: ", 1)[1]) == 800
    )  # the blank that is before it in rsyslog's is the newline


def test_lines_that_rsyslog_leaves_out(tmp_path: Path) -> None:
    """Of what is sent to a real rsyslogd that reduces repeated messages, every line is counted."""
    need("rsyslogd")
    lines = [*BARE.splitlines(), BARE.splitlines()[0].replace(b"/a?", b"/a?" + b"b" * 900)]
    sent = [line for times in (5, 1, 2, 13) for line in lines for _ in range(times)]
    configuration = tmp_path / "conf"
    configuration.write_text(
        'module(load="imuxsock" sysSock.use="off")\n$RepeatedMsgReduction on\n'
        f'input(type="imuxsock" socket="{tmp_path}/s")\n'
        f'action(type="omfile" file="{tmp_path}/log" template="RSYSLOG_FileFormat")\n'
    )
    rsyslogd = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    process = subprocess.Popen([str(rsyslogd), "-n", "-f", str(configuration), "-i", str(tmp_path / "pid")])
    try:
        wait_until((tmp_path / "s").exists)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.connect(str(tmp_path / "s"))
            for line in (*sent, b"end"):
                client.send(b"<134>Nov 20 04:30:53 haproxy[1]: " + line + b"\n")
        log = tmp_path / "log"
        wait_until(lambda: log.exists() and b"]: end\n" in log.read_bytes())
    finally:
        process.terminate()
        process.wait(timeout=30)
    found = unwrap(log.read_bytes())
    counted: Counter[bytes] = Counter()
    for times, text in ((1, found.rest), *found.repeated):
        for line in text.splitlines():
            counted[line.partition(b" haproxy[1]: ")[2][:700]] += times
    assert counted == Counter(line[:700] for line in (*sent, b"end"))
    assert found.repeated


PATTERNS: dict[str, str | bytes] = {
    "json": wrappers._json(),
    "cri": wrappers._CRI,
    "repeated": wrappers._REPEATED.replace(ENVELOPE, ""),
    **{name: value.pattern for name, value in vars(wrappers).items() if isinstance(value, re.Pattern)},
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_no_expression_backtracks(pattern: str | bytes) -> None:
    """So no line is slow: what is repeated is a class of bytes, possessively, or alone within an atomic group."""
    parser = importlib.import_module("re._parser")
    check_repeats(parser.parse(pattern), alone=False)


def check_repeats(items: Any, *, alone: bool) -> None:
    """Look at all repeats within a part of an expression; `alone` in an atomic group one may be of anything."""
    for operation, argument in items:
        match str(operation):
            case "POSSESSIVE_REPEAT":
                assert [str(each[0]) for each in argument[2]] in (["IN"], ["ANY"], ["LITERAL"])
            case "MAX_REPEAT" | "MIN_REPEAT":
                low, high, repeated = argument
                assert low == high or str(high) == "1" or alone
                check_repeats(repeated, alone=False)
            case "ATOMIC_GROUP":
                check_repeats(argument, alone=len(argument) == 1)
            case "SUBPATTERN":
                check_repeats(argument[-1], alone=False)
            case "BRANCH" | "ASSERT" | "ASSERT_NOT" | "GROUPREF_EXISTS":
                for each in argument[1] if isinstance(argument[1], list) else argument[1:]:
                    check_repeats(each or (), alone=False)
