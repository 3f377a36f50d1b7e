"""Whatever is wrapped comes out as it went in, and whatever is not is left as it is."""

import json
import re
from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logformat.wrapping import TIME, UNWRAPPED, binary, cri, docker, unwrap

# A piece of a log: what it looks like, and what comes out of it as lines and as rest.
Piece = tuple[bytes, bytes, bytes]

octets = st.binary(min_size=1, max_size=30).map(lambda line: line.replace(b"\n", b"\\") or b"a")
characters = st.characters(max_codepoint=0xD7FF) | st.characters(min_codepoint=0xE000)  # all but surrogates
texts = st.text(characters, min_size=1, max_size=30).map(lambda text: text.replace("\n", "\\"))


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
            queue.extend([*((part, b"") for part in whole[:-1]), (whole[-1], line + b"\n")])
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
    """In order, wherever chunks end, and what was not wrapped stays as it was; a terminal's line ends are ours."""
    log = b"".join(wrapped for wrapped, _, _ in pieces)
    ends = [match.end() for match in re.finditer(b"\n", log)]
    chosen = sorted(data.draw(st.sets(st.sampled_from(ends)))) if ends else []
    chunks = [log[begin:end] for begin, end in zip([0, *chosen], [*chosen, len(log)], strict=True)]
    lines, rest = b"".join(lines for _, lines, _ in pieces), b"".join(rest for _, _, rest in pieces)
    assert unwrap(*chunks) == (re.sub(rb"(?m)^\n", b"", lines.replace(b"\r\n", b"\n")), [], rest, 0)


def payload(line: bytes) -> bytes | None:
    """Tell with Python's own reader of JSON what line a record has; None where it is no record with one."""
    found: list[bytes] = []

    def take(pairs: list[tuple[str, object]]) -> dict[str, object]:
        payloads = [value for key, value in pairs if key in {"Payload", "log", "message", "msg", "MESSAGE"}]
        found[:] = [value.encode(errors="surrogateescape") for value in payloads if isinstance(value, str)][-1:]
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(constant)  # NaN and Infinity are Python's own

    try:
        text = line.decode(errors="surrogateescape")
        record = json.loads(text, strict=False, object_pairs_hook=take, parse_constant=refuse)
    except ValueError:
        return None
    return found[0] if isinstance(record, dict) and text.startswith("{") and found else None


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
    expected = payload(line)
    if expected is None:
        assert unwrap(line + b"\n") == (b"", [], line + b"\n", 0)
    else:
        lines = b"".join(each + b"\n" for each in expected.split(b"\n") if each)
        assert unwrap(line + b"\n") == (lines, [], b"", 0)


FRAGMENTS = st.sampled_from(
    [b'{"log":"', b'"}\n', b'","stream":"stdout"', b"\\", b"\n", b'"', b'{"MESSAGE":[', b"1", b",", b"}",
     b"__A=", b"MESSAGE", b"=", b"\0" * 7, b"\3",
     TIME.encode(), b" stdout ", b"P ", b"F ", b"message repeated 2 times: [", b"]\n"]
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
