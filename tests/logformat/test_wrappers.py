"""Lines are taken out of their wrappers as they went in, and what is no wrapper is left as it is."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.logformat import wrappers
from haproxy_log_exporter.logformat.wrappers import Unwrapped, Unwrapper
from tests.logformat import ENVELOPES
from tests.support import FIXTURES, need, wait_until

LONGEST = 1 << 16
TIME = "2026-11-20T04:30:53.046904123Z"


def unwrap(*chunks: bytes, longest: int = LONGEST) -> Unwrapped:
    """Unwrap a finished log that comes in chunks."""
    unwrapper = Unwrapper(longest)
    found = [*map(unwrapper.unwrap, chunks), unwrapper.end()]
    return Unwrapped(
        b"".join(each.lines for each in found),
        [pair for each in found for pair in each.repeated],
        b"".join(each.rest for each in found),
        sum(each.overlong for each in found),
    )


def docker(text: str, stream: str = "stdout") -> bytes:
    """Write what Docker's json-file has for some bytes of a stream."""
    return b'{"log":%b,"stream":"%b","time":"%b"}\n' % (go(text), stream.encode(), TIME.encode())


def go(text: str) -> bytes:
    """Write a string as Docker does: HTML's characters and the two separators of lines are escaped."""
    escaped = {character: f"\\u{ord(character):04x}" for character in "\0\t\b\f\x1b<>&\u2028\u2029"}
    escaped |= {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}
    return ('"' + "".join(escaped.get(character, character) for character in text) + '"').encode()


def cri(text: bytes, tag: str = "F", stream: str = "stdout") -> bytes:
    """Write what containerd and CRI-O do for a line or a part of one."""
    return f"{TIME} {stream} {tag} ".encode() + text + b"\n"


def binary(name: str, value: bytes) -> bytes:
    """Write a field of the journal that is not printable."""
    return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


BARE = (FIXTURES / "wrapped" / "bare.log").read_bytes()


@pytest.mark.parametrize("name", ["docker.log", "cri.log", "fluentd.log", "fluent-bit.log"])
def test_containers_and_collectors(name: str) -> None:
    """The same lines come out of each."""
    assert unwrap((FIXTURES / "wrapped" / name).read_bytes()) == (BARE, [], b"", 0)


@pytest.mark.parametrize("name", ["journal.export", "journal.json"])
def test_what_journalctl_wrote(name: str) -> None:
    """The messages alone come out, whatever the fields hold: each entry has a binary SYSLOG_RAW, one a binary MESSAGE."""
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
    "a collector's lines without newlines": (b'{"log":"a","stream":"stdout","date":1}\n{"message":"b","stream":"stdout"}\n',
                                             b"a\nb\n"),
    "tags of CRI": (cri(b"a", "F:x") + cri(b"b", "P:y:z") + cri(b"c", "F:"), b"a\nbc\n"),
    "a zone": (b"2026-11-20T04:30:53-03:30 stderr F  a\n", b" a\n"),
    "fluentd's file": (b'2026-11-20T04:30:53+00:00 a.b {"log":"a"}\n1511156652,a,{"log":"b"}\n1511156652.25\t{"log":"c"}\n',
                       b"a\nb\nc\n"),
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


UNWRAPPED = (
    *(BARE.splitlines()),
    *(header + b"a" for header in ENVELOPES.values()),
    b'{"status":200,"path":"/","headers":{"log":"a","x":["message"]}}',
    b'{"status":200,"path":"/a","message":5,"log":null,"msg":["b"],"Payload":{}}',
    b'{"log":"a"',
    b'{"log":"a",}',
    b'{"log":"a" "b":1}',
    b'{"log":"a"}}',
    b'{"log":"a"},',
    b' {"log":"a"}',
    b'{"log":"a","b":[1}}',
    b'{"log":"a","b":01}',
    b'{"log":"a","b":[[[[[]]]]]}',
    rb'{"log":"a\"}',
    rb'{"log":"\x"}',
    rb'{"log":"\u12g4"}',
    b'{"log":a}',
    b'{"l\\u006fg":"a"}',
    b'{"MESSAGE":[1,256]}',
    b'{"MESSAGE":[1,,2]}',
    b'{"MESSAGE":null}',
    b"{}",
    b'a: [1.5, {"log":"a"}',
    b'a: [1, {"log":"a"}]',
    b'a {"log":"a"}',
    b'2026-11-20T04:30:53+00:00 a.b: [{"log":"a"}',
    b"2026-11-20T04:30:53Z stdout F",
    b"2026-11-20T04:30:53Z stdout X a",
    b"2026-11-20T04:30:53Z stdin F a",
    b"2026-11-20 04:30:53Z stdout F a",
    b"MESSAGE",
    b"PATH=/",
    b"Message=a",
    b"",
)


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
        assert unwrap(entry.replace(b"MESSAGE=x\n" * 2, b"") + ENTRY + b"__CURSOR=", longest=80).lines.endswith(b"{}\n")


@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
def test_repeated_lines(envelope: bytes) -> None:
    """They are told apart from the others, with their headers, also where they are wrapped or behind two blanks."""
    chunk = b"a\n" + envelope + b"message repeated 4 times: [ GET ] [/]\nb\n" + envelope + b"c\n"
    expected = [(4, envelope + b"GET ] [/\n")]
    assert unwrap(chunk) == (b"", expected, b"a\nb\n" + envelope + b"c\n", 0)
    assert unwrap(chunk.replace(b"message", b" message").replace(b"[ ", b"[")).repeated == expected
    wrapped = b"".join(docker(line.decode() + "\n") for line in chunk.splitlines())
    assert unwrap(wrapped) == (b"a\nb\n" + envelope + b"c\n", expected, b"", 0)


def test_repeated_lines_are_grouped() -> None:
    """Those that stand for as many are given together, whether they are in a wrapper or not."""
    repeated = b"message repeated %d times: [ %b]\n"
    chunk = repeated % (2, b"a") + cri(repeated[:-1] % (999999999, b"b")) + cri(repeated[:-1] % (2, b"c"))
    assert sorted(unwrap(chunk).repeated) == [(2, b"a\n"), (2, b"c\n"), (999999999, b"b\n")]
    assert Unwrapper(LONGEST).unwrap(repeated % (2, b"a") + repeated % (2, b"b")).repeated == [(2, b"a\nb\n")]


@pytest.mark.parametrize(
    "line",
    [
        b"message repeated 0 times: [ a]",
        b"message repeated 01 times: [ a]",
        b"message repeated 1000000000 times: [ a]",
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
        f'module(load="imuxsock" sysSock.use="off")\n$RepeatedMsgReduction on\ninput(type="imuxsock" socket="{tmp_path}/s")'
        f'\naction(type="omfile" file="{tmp_path}/log" template="RSYSLOG_FileFormat")\n'
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


# A piece of a log: what it looks like, and what comes out of it as lines and as rest.
Piece = tuple[bytes, bytes, bytes]

octets = st.binary(min_size=1, max_size=30).map(lambda line: line.replace(b"\n", b"\\") or b"a")
texts = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\n"), min_size=1, max_size=30)


def parted(line: "Sequence[int] | str", places: Iterable[int]) -> list[slice]:
    """Cut a line into parts that are not empty."""
    ends = sorted({place % len(line) for place in places} - {0})
    return [slice(begin, end) for begin, end in zip([0, *ends], [*ends, len(line)], strict=True)]


@st.composite
def containers(draw: st.DrawFn) -> Piece:
    """Draw lines of two streams, in parts that come one among the other."""
    is_cri = draw(st.booleans())
    places = st.lists(st.integers(0, 100), max_size=3)
    queues: dict[str, list[tuple[bytes, bytes]]] = {"stdout": [], "stderr": []}  # a part, and the line that it ends
    for stream, queue in queues.items():
        for _ in range(draw(st.integers(0, 3))):
            if is_cri:
                line = draw(octets)
                whole = [cri(line[part], "P", stream) for part in parted(line, draw(places))]
                whole[-1] = whole[-1].replace(f"{stream} P".encode(), f"{stream} F".encode(), 1)
            else:
                text = draw(texts) + "\n"
                line = text[:-1].encode()
                whole = [docker(text[part], stream) for part in parted(text, draw(places))]
            queue += [(part, b"") for part in whole[:-1]] + [(whole[-1], line + b"\n")]
    wrapped = lines = b""
    while any(queues.values()):
        stream = draw(st.sampled_from([stream for stream, queue in queues.items() if queue]))
        part, line = queues[stream].pop(0)
        wrapped, lines = wrapped + part, lines + line
    return wrapped, lines, b""


@st.composite
def entries(draw: st.DrawFn) -> Piece:
    """Draw an entry of the journal, in any of the forms of journalctl."""
    message = draw(st.binary(max_size=40))
    fields = draw(st.dictionaries(st.from_regex(r"_?[A-L][A-Z0-9_]{0,5}", fullmatch=True), st.binary(max_size=20)))
    names = draw(st.permutations([*fields, "MESSAGE"]))
    fields["MESSAGE"] = message
    if draw(st.booleans()):
        rows = [
            f"{name}={fields[name].decode()}\n".encode()
            if all(0x20 <= byte < 0x7F for byte in fields[name])
            else binary(name, fields[name])
            for name in names
        ]
        wrapped = b"__CURSOR=a\n" + b"".join(rows) + b"\n"
    else:
        separators = draw(st.sampled_from([None, (",", ":")]))
        values = {name: [*fields[name]] if fields[name] else "" for name in names}
        wrapped = json.dumps(values, separators=separators).encode() + b"\n"
    return wrapped, b"".join(line + b"\n" for line in message.split(b"\n") if line), b""


@st.composite
def records(draw: st.DrawFn) -> Piece:
    """Draw a record as JSON, from whatever writes it."""
    line = draw(texts)
    key = draw(st.sampled_from(["Payload", "log", "message", "msg", "MESSAGE"]))
    others = draw(st.dictionaries(texts.map("x".__add__), VALUES, max_size=3))
    pairs = draw(st.permutations([*others.items(), (key, line + draw(st.sampled_from(["", "\n"])))]))
    record = json.dumps(dict(pairs), ensure_ascii=draw(st.booleans()))
    form = draw(st.sampled_from(["%s", "2026-11-20T04:30:53Z\ta.b\t%s", "a.b: [1511148912.000000000, %s]"]))
    return (form % record + "\n").encode(), line.encode() + b"\n", b""


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda values: st.lists(values, max_size=2) | st.dictionaries(texts, values, max_size=2),
    max_leaves=4,
)
lefts = st.sampled_from([line for line in UNWRAPPED if not line.startswith(b"PATH=") and line != b"MESSAGE" and line])
PIECES = containers() | entries() | records() | lefts.map(lambda line: (line + b"\n", b"", line + b"\n"))


@settings(deadline=None, max_examples=300)
@given(st.data(), st.lists(PIECES, max_size=8))
def test_what_was_wrapped_comes_out(data: st.DataObject, pieces: list[Piece]) -> None:
    """In order, wherever chunks end, and what was not wrapped stays as it was."""
    log = b"".join(wrapped for wrapped, _, _ in pieces)
    ends = [match.end() for match in re.finditer(b"\n", log)]
    chosen = sorted(data.draw(st.sets(st.sampled_from(ends)))) if ends else []
    chunks = [log[begin:end] for begin, end in zip([0, *chosen], [*chosen, len(log)], strict=True)]
    expected = b"".join(lines for _, lines, _ in pieces), [], b"".join(rest for _, _, rest in pieces), 0
    assert unwrap(*chunks) == expected


def payload(line: bytes) -> bytes | None:
    """Tell with Python's own reader of JSON what line a record has; None where it is no record with one."""
    found: list[bytes] = []

    def take(pairs: list[tuple[str, object]]) -> dict[str, object]:
        strings = [value for key, value in pairs if key in {"Payload", "log", "message", "msg", "MESSAGE"}]
        found[:] = [value.encode() for value in strings if isinstance(value, str)][-1:]
        return dict(pairs)

    try:
        record = json.loads(line, strict=False, object_pairs_hook=take)
    except ValueError:
        return None
    return found[0] if isinstance(record, dict) and line.startswith(b"{") and found else None


@settings(deadline=None, max_examples=500)
@given(
    st.dictionaries(st.sampled_from(["log", "msg", "a"]), VALUES, max_size=3),
    st.integers(0, 200),
    st.integers(0, 2),
    st.sampled_from([b"", *(bytes([byte]) for byte in b'"\\{}[]:,1 nt\0')]),
)
def test_records_are_read_as_python_reads_them(values: dict[str, object], place: int, cut: int, put: bytes) -> None:
    """A record that is not quite right is left alone, any other is read."""
    line = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    place %= len(line)
    line = line[:place] + put + line[place + cut :]
    expected = payload(line) if b"N" not in line and b"I" not in line else None
    try:
        line.decode()
    except UnicodeDecodeError:
        return
    found = unwrap(line + b"\n")
    if expected is None:
        assert found == (b"", [], line + b"\n", 0)
    else:
        lines = b"".join(each + b"\n" for each in expected.split(b"\n") if each)
        assert found == (lines, [], b"", 0)


FRAGMENTS = st.sampled_from(
    [b'{"log":"', b'"}\n', b'","stream":"stdout"', b"\\", b"\n", b"__A=", b"MESSAGE", b"\0" * 7, b"\3", b"=", b'"', b"[",
     TIME.encode(), b" stdout ", b"P ", b"F ", b"message repeated 2 times: [", b"]\n", b'{"MESSAGE":[', b"1", b",", b"}"]
)  # fmt: skip


@settings(deadline=None, max_examples=500)
@given(st.lists(st.lists(FRAGMENTS | st.binary(max_size=9), max_size=12).map(b"".join), max_size=4), st.integers(1, 99))
def test_any_bytes(chunks: list[bytes], longest: int) -> None:
    """Whatever comes is taken; what is left are lines that came, in their order, and all that is given are lines."""
    chunks = [chunk.removesuffix(b"\n") + b"\n" for chunk in chunks]
    found = unwrap(*chunks, longest=longest)
    came = iter(b"".join(chunks).splitlines(keepends=True) if b"\r" not in b"".join(chunks) else [])
    if b"\r" not in b"".join(chunks):
        assert all(
            any(line == each for each in came) for line in found.rest.split(b"\n")[:-1] for line in [line + b"\n"]
        )
    for text in (found.lines, found.rest, *(text for _, text in found.repeated)):
        assert not text or text.endswith(b"\n")
    assert b"\n\n" not in found.lines
    assert not found.lines.startswith(b"\n")
