"""Lines in what containers, collectors and the journal wrap them in, written without the package's help."""

from haproxy_log_exporter.logformat.wrappers import Unwrapped, Unwrapper
from tests.logformat import ENVELOPES
from tests.support import FIXTURES

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

# What is in no wrapper.
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
