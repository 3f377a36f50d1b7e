r"""Lines out of what containers, collectors and the journal wrap them in.

Strategy: the starts of lines tell what kind of wrapper stands where, so a chunk without any is only searched for
newlines, and one of a single kind is read in one piece: `pattern.split` over whole lines, as formats are read, gives
the payloads and the lines that are none as columns. The payloads are joined, and then unescaped all at once.

Only what is rare takes a step of Python for each line: lines that come in parts, messages as lists of numbers, fields
of the journal that hold control bytes, and lines that rsyslog says to have left out.

No line is slow: repeats are possessive or within atomic groups (not "(?:…)*+": CPython before 3.11.5 matches those
wrongly, gh-106052), what can be tried in two ways begins differently, and values may be nested to a fixed depth.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from haproxy_log_exporter.logformat.envelopes import ENVELOPE
from haproxy_log_exporter.logformat.parts import Parts


class Unwrapped(NamedTuple):
    """What was in a chunk, all of it as whole lines in their order.

    `lines` were in wrappers, and have none now. `repeated` are lines that stand for several: how many, and all lines
    that do so for as many. `rest` are the lines in no wrapper. `overlong` were too long when their parts were joined,
    and are left out.
    """

    lines: bytes
    repeated: Sequence[tuple[int, bytes]]
    rest: bytes
    overlong: int


# RFC 8259. Control bytes within strings are let pass: some that write JSON do not escape them.
_BLANKS = r"[ \t\r]*+"
_COLON = f"{_BLANKS}:{_BLANKS}"
_ESCAPE = r'(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_REST_OF_STRING = rf'[^"\\\n]*+(?:"|(?>(?:\\{_ESCAPE}[^"\\\n]*+)+)")'
_STRING = f'"{_REST_OF_STRING}'
_NUMBER = r"-?(?>0|[1-9][0-9]*+)(?>\.[0-9]++|)(?>[eE][-+]?[0-9]++|)"
_SCALAR = f"(?>{_STRING}|{_NUMBER}|true|false|null)"

# How deep values may be nested beside the payload: a line with deeper ones is in no wrapper. Fluent Bit's "kubernetes"
# has labels and annotations, so two.
_DEPTH = 4


def _value(depth: int) -> str:
    """Value = scalar / "{" [ string ":" value *( "," string ":" value ) ] "}" / "[" [ value *( "," value ) ] "]"."""
    if not depth:
        return _SCALAR
    value = _value(depth - 1)
    members = rf"(?>(?:{_STRING}{_COLON}{value}{_next_or('}')})*)"
    elements = rf"(?>(?:{value}{_next_or(']')})*)"
    return rf"(?>{_SCALAR}|\{{{_BLANKS}{members}\}}|\[{_BLANKS}{elements}\])"


def _next_or(closing: str) -> str:
    """Write what follows a member: a comma and something behind it, or the end."""
    return rf"{_BLANKS}(?>,{_BLANKS}(?![\]}}])|(?=\{closing}))"


# Where the payload stands: Docker's json-file has "log", `journalctl -o json` "MESSAGE", fluentd and Fluent Bit what
# their sources call it. A newline at its end is no part of it.
_KEY = "(?:log|(?P<key>Payload|message|msg|MESSAGE))"
_BODY = rf'(?P<body>[^"\\\n]*+(?>(?:\\(?!n"){_ESCAPE}[^"\\\n]*+)*))(?:\\n"|(?P<unended>"))'

# journalctl writes a message that is not printable as a list of its bytes.
_BYTE = r"(?>25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_BYTES = rf"(?P<numbers>\[{_BLANKS}(?>(?:{_BYTE}{_BLANKS}(?>,{_BLANKS}(?=[0-9])|(?=\])))+)\])"

# A "log" of Docker's that does not end in a newline is a part. Docker's own lines have "stream", "time" and "attrs"
# beside it and no other keys: a collector's that have are whole.
_PART = r"(?(other)|(?(key)|(?(stream)(?(unended)(?=(?P<part>\}))))))"

# What fluentd writes before a record: formatter_stdout, and formatter_out_file, which has a tab, a blank or a comma
# behind the time and the tag. Fluent Bit's out_file puts the record with its time into a list.
_TAG = r"[!-+\--z|-\xff]{1,255}+"
_TIME = r"[0-9][-+0-9T:.Z]{8,40}+"
_FLUENTD = rf"{_TIME}(?> [0-9:.]{{8,18}}+ [-+][0-9]{{4}} {_TAG}(?<=:) |[\t ,](?:{_TAG}[\t ,]|))"
_FLUENT_BIT = rf"{_TAG}(?<=:) \[[0-9]{{1,12}}+\.[0-9]{{1,9}}+, "

# pkg/cri/io/logger.go of containerd, conmon of CRI-O: the first of the tags tells parts from lines.
_CRI_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?>\.[0-9]{1,9}+|)(?>Z|[-+][0-9:]{5})"
_CRI = rf"{_CRI_TIME} (?P<stream>std(?:out|err)) (?>F|(?P<part>P))(?>:[!-\xff]{{0,255}}+|) (?P<body>.*+)\n"

# systemd's "Journal Export Formats": fields, each a line or binary, entries divided by an empty line. journalctl
# begins each with those that have two underscores. As HAProxy ends what it sends in a newline, journald keeps a binary
# SYSLOG_RAW of each line.
_FIELD = r"[A-Z_][A-Z0-9_]{0,63}+"
_LENGTH = r"(?s:.{8}|.{0,7}+\Z)"
_FIELDS = re.compile(rf"(?>(?:{_FIELD}=.*+\n|\n){{0,1000}})(?>({_FIELD})\n({_LENGTH})|)".encode())
_MESSAGE = re.compile(rb"\nMESSAGE=(.++)")
_NEXT_ENTRY = b"\n\n__CURSOR="

# No field is longer (DATA_SIZE_MAX in systemd's journal-file.c); text that is taken for a length always is.
_LONGEST_FIELD = 1 << 30

# ratelimit.c of rsyslog: the line is cut at 800 bytes, and the number does not count the one that was written before.
_REPEATED = rf"({ENVELOPE}) ?message repeated ([1-9][0-9]{{0,5}}+) times: \[ ?+(?!\]\n)(.++)(?<=\])\n"

_STARTS = {
    "json": rf"(?:\{{|(?>{_FLUENTD}|{_FLUENT_BIT})\{{)",
    "cri": f"{_CRI_TIME} std(?:out|err) [FP]",
    "journal": r"(?:__[A-Z_]{1,62}+|MESSAGE)=.*+\n",
}


def _starts(*kinds: str) -> bytes:
    return "|".join(f"(?P<{kind}>{_STARTS[kind]})" for kind in kinds).encode("latin-1")


_START = re.compile(_starts(*_STARTS))
_NEXT_START = re.compile(b"\n(?:%b)" % _starts(*_STARTS))
_NEXT_OTHER = {
    "json": re.compile(b"\n(?:%b)" % _starts("cri", "journal")),
    "cri": re.compile(b"\n(?:%b)" % _starts("json", "journal")),
    "journal": re.compile(b"\n(?:%b)" % _starts("json", "cri")),
}


@cache
def _compile(line: str) -> re.Pattern[bytes]:
    """Compile an expression for whole lines: those of a kind, or what is left."""
    return re.compile(rf"(?>{line}|(?P<left>.*+\n))".encode("latin-1"))


@cache
def _json() -> str:
    """Line = [ time and tag ] "{" [ member *( "," member ) ] "}": with a payload, the last where there are several."""
    payload = rf'{_KEY}"{_COLON}"{_BODY}|MESSAGE"{_COLON}{_BYTES}'
    docker = rf'stream"{_COLON}"(?P<stream>std(?:out|err))"|time"{_COLON}{_STRING}'
    other = rf'(?:attrs"|(?P<other>{_REST_OF_STRING})){_COLON}{_value(_DEPTH)}'
    member = rf'"(?>{payload}|{docker}|{other}){_next_or("}")}'
    members = rf"(?>(?:{member})*)(?(body)|(?(numbers)|(?!))){_PART}"
    return rf"(?:(?=\{{)|{_FLUENTD}|(?P<list>{_FLUENT_BIT}))\{{{_BLANKS}{members}\}}(?(list)\]){_BLANKS}\n"


_ESCAPES = re.compile(rb"\\(?:u....(?>(?:\\u....)*)|.)")
_FREQUENT = {
    rb"\\": b"\\",
    rb"\n": b"\n",
    rb"\u003c": b"<",
    rb"\u003e": b">",
    rb"\u0026": b"&",
    rb"\/": b"/",
    rb"\t": b"\t",
    rb"\r": b"\r",
    rb"\b": b"\b",
    rb"\f": b"\f",
}
_EMPTY_LINES = re.compile(rb"\n\n++")


def _unescape(text: bytes) -> bytes:
    """Undo the escapes of JSON strings, all of which are valid.

    Each quote within a string has its own backslash before it, so quotes can come first.
    """
    text = text.replace(rb"\"", b'"')
    return _ESCAPES.sub(_decode, text) if b"\\" in text else text


def _decode(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    # Several \u together may be a pair of surrogates; a lone one stands for nothing.
    return (
        _FREQUENT.get(escape)
        or bytes.fromhex(escape.replace(rb"\u", b"").decode()).decode("utf-16-be", "replace").encode()
    )


class Unwrapper:
    """Takes the lines of one source out of their wrappers."""

    def __init__(self, longest_line: int, *, joins: bool = True) -> None:
        """Begin with nothing. No line that is put together is longer than `longest_line`, its newline not counted.

        Without `joins`, lines may be of several senders: nothing is made of more than one, nor read over several.
        """
        self._parts = Parts(longest_line)
        self._joins = joins
        self._lines: list[bytes] = []
        self._rest: list[bytes] = []
        self._in_journal = False
        self._field = bytearray()  # a binary field of which so many bytes are needed to go on
        self._needed = 0
        self._skipped = 0  # so many bytes are left of a field that is too long

    def unwrap(self, chunk: bytes) -> Unwrapped:
        """Take whole lines, each ending in a newline. What is only begun is kept until the next ones."""
        if self._field:
            self._field += chunk
            chunk = b""
            if len(self._field) >= self._needed:
                chunk, self._field = bytes(self._field), bytearray()
        position = 0
        while position < len(chunk):
            if self._skipped:
                position = self._skip(chunk, position)
            elif self._in_journal:
                position = self._read_fields(chunk, position)
            else:
                position = self._read_lines(chunk, position)
        return self._give()

    def end(self) -> Unwrapped:
        """Give what is left over when nothing will come any more: lines without their last part."""
        field, self._field = bytes(self._field), bytearray()
        name, _, value = field.partition(b"\n")
        if len(value) < 8:  # noqa: PLR2004 -- bytes of a length, so no field yet
            self._rest.append(field)
        elif name == b"MESSAGE":
            self._lines.append(value[8:])
        self._lines.append(self._parts.end())
        self._in_journal, self._skipped = False, 0
        return self._give()

    def held(self) -> str:
        """Write down what is kept of lines that were only begun; nothing, where none is."""
        if not (self._parts.begun or self._field or self._in_journal or self._skipped):
            return ""
        field = self._field.decode("latin-1")
        return json.dumps([self._parts.held(), self._in_journal, field, self._needed, self._skipped])

    def hold(self, held: str) -> None:
        """Go on where another left off, as it was written down.

        Raises:
            ValueError: where it is nothing of the kind.
        """
        match json.loads(held):
            case [dict() as begun, bool() as in_journal, str() as field, int() as needed, int() as skipped]:
                self._parts.hold(begun)
                self._in_journal, self._needed, self._skipped = in_journal, needed, skipped
                self._field = bytearray(field, "latin-1")
            case _:
                message = "no lines that were begun"
                raise ValueError(message)

    def _give(self) -> Unwrapped:
        repeated: dict[int, list[bytes]] = {}
        unwrapped = b"".join(self._lines).replace(b"\r\n", b"\n")  # a container with a terminal ends its lines so
        lines = _take_repeated(_EMPTY_LINES.sub(b"\n", unwrapped).removeprefix(b"\n"), repeated)
        rest = _take_repeated(b"".join(self._rest), repeated)
        overlong, self._parts.overlong = self._parts.overlong, 0
        self._lines.clear()
        self._rest.clear()
        return Unwrapped(lines, [(times, b"".join(found)) for times, found in repeated.items()], rest, overlong)

    def _read_lines(self, chunk: bytes, position: int) -> int:
        """Read up to where another kind of wrapper begins."""
        start = _START.match(chunk, position) or _NEXT_START.search(chunk, position)
        kind = start.lastgroup if start else None
        if start is None or kind is None:
            self._rest.append(chunk[position:])
            return len(chunk)
        if kind == "journal" and not self._joins:
            following = _NEXT_OTHER[kind].search(chunk, start.start(kind))
            stop = following.start() + 1 if following else len(chunk)
            self._rest.append(chunk[position:stop])
            return stop
        if kind == "journal":
            begin = start.start(kind)
            self._rest.append(chunk[position:begin])
            self._in_journal = True
            return begin
        end = _NEXT_OTHER[kind].search(chunk, start.start(kind))
        stop = end.start() + 1 if end else len(chunk)
        self._read_wrapped(_compile(_CRI) if kind == "cri" else _compile(_json()), chunk[position:stop])
        return stop

    def _read_wrapped(self, pattern: re.Pattern[bytes], text: bytes) -> None:
        """Read lines in JSON or of CRI, and those between them."""
        pieces = pattern.split(text)
        columns = {name: pieces[group :: pattern.groups + 1] for name, group in pattern.groupindex.items()}
        self._rest.append(b"".join(filter(None, columns["left"])))
        if self._parts.begun or any(columns["part"]) or any(columns.get("numbers", ())):
            self._lines += [self._read_one(match) for match in pattern.finditer(text)]
            return
        bodies = b"\n".join(filter(None, columns["body"])) + b"\n"
        self._lines.append(_unescape(bodies) if "key" in columns else bodies)

    def _read_one(self, match: re.Match[bytes]) -> bytes:
        """Read a line that may be a part."""
        found = match.groupdict()
        if found["left"]:
            return b""
        if numbers := found.get("numbers"):
            return bytes(map(int, numbers[1:-1].split(b","))) + b"\n"
        if not self._joins:
            return (_unescape(found["body"]) if "key" in found else found["body"]) + b"\n"
        if "key" not in found:
            return self._parts.add(found["stream"], found["body"] + (b"" if found["part"] else b"\n"))
        line = _unescape(found["body"])
        if not found["stream"] or found["key"] or found["other"]:
            return line + b"\n"
        return self._parts.add(found["stream"], line + (b"" if found["unended"] else b"\n"))

    def _read_fields(self, chunk: bytes, position: int) -> int:
        """Read fields of the journal up to a line that is none."""
        texts = [b"\n"]
        while self._in_journal and not self._skipped and position < len(chunk):
            fields = _FIELDS.match(chunk, position)
            assert fields
            if fields[1]:
                texts.append(chunk[position : fields.start(1)])
                position = self._read_binary_field(chunk, fields, texts)
            else:
                texts.append(fields[0])
                self._in_journal = bool(fields[0])
                position = fields.end()
        self._lines.append(b"\n".join([*_MESSAGE.findall(b"".join(texts)), b""]))
        return position

    def _read_binary_field(self, chunk: bytes, fields: re.Match[bytes], texts: list[bytes]) -> int:
        """Binary = name newline, length in 8 bytes, the lowest first, value newline."""
        start, begin = fields.start(1), fields.end(1) + 9
        length = int.from_bytes(fields[2], "little")
        end = begin + length
        if begin > len(chunk):
            return self._keep(chunk, start, begin)
        if length > _LONGEST_FIELD or (end < len(chunk) and chunk[end] != ord("\n")):
            self._in_journal = False
            return start
        is_message = fields[1] == b"MESSAGE"
        if length > self._parts.longest:
            self._parts.overlong += is_message
            self._skipped = length + 1
            return begin
        if end >= len(chunk):
            return self._keep(chunk, start, end + 1)
        if is_message:
            texts.append(b"MESSAGE=" + chunk[begin:end].replace(b"\n", b"\nMESSAGE=") + b"\n")
        return end + 1

    def _keep(self, chunk: bytes, begin: int, end: int) -> int:
        self._field, self._needed = bytearray(chunk[begin:]), end - begin
        return len(chunk)

    def _skip(self, chunk: bytes, position: int) -> int:
        """Leave out the rest of a field. Where lines of it were too long for the source, the next entry is its end."""
        end = min(position + self._skipped, len(chunk))
        entry = chunk.find(_NEXT_ENTRY, position, end + len(_NEXT_ENTRY) - 1)
        if entry >= 0:
            self._skipped = 0
            return entry + 2
        self._skipped -= end - position
        return end


def _take_repeated(text: bytes, repeated: dict[int, list[bytes]]) -> bytes:
    """Take out the lines that stand for several; give the others."""
    if b"message repeated " not in text:
        return text
    pieces = _compile(_REPEATED).split(text)
    for header, times, line in zip(pieces[1::5], pieces[2::5], pieces[3::5], strict=True):
        if times:
            repeated.setdefault(int(times), []).append(header + line[:-1] + b"\n")
    return b"".join(filter(None, pieces[4::5]))
