"""Messages out of a connection, whichever way they are framed and however they are cut."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.sources.frames import Fault, Frames
from haproxy_log_exporter.sources.framing import LONGEST_LINE

# The longest prefix of a counted message, and what of a line and its newline may be kept.
MOST_KEPT = LONGEST_LINE + 32

# What a log-format of "%ST %ci:%cp …" writes, and others that begin with what might be a length.
NUMBERED = (
    b'200 10.0.0.1:51742 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/3/4 200 228 - - ---- 1/1/0/0/0 0/0 "GET /"',
    b"5 abcd 7 efghij 3 kl 9 mnopq",
    b"2026-11-20T04:30:27.864+00:00 host haproxy[1]: web bk/s1",
    b"20 Nov 2026 04:30:27 web",
    b"0 1 2 3 4 5 6 7 8 9",
    b"1 2 3 4 5 6 7 8 9 10",
    b"65536 x",
    b"99999999999999999999 x",
    b"1",
    b"200 ",
)

line = (
    st.sampled_from(NUMBERED)
    | st.binary(min_size=1, max_size=60)
    | st.binary(min_size=1, max_size=20).map(b"<134>Nov 20 04:30:27 haproxy[1]: ".__add__)
    | st.integers(0, 10**21).flatmap(lambda number: st.binary(max_size=20).map((b"%d " % number).__add__))
).map(lambda text: text.replace(b"\n", b" "))
lines = st.lists(line, min_size=1, max_size=12)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=30)


def cut(stream: bytes, sizes: Sequence[int]) -> Iterable[bytes]:
    """Cut a stream into blocks of these sizes, over and over."""
    at, turn = 0, 0
    while at < len(stream):
        yield stream[at : at + sizes[turn % len(sizes)]]
        at, turn = at + sizes[turn % len(sizes)], turn + 1


def read(blocks: Iterable[bytes]) -> tuple[bytes, Fault | None]:
    """Feed blocks to their end; give the lines, and what went wrong."""
    frames = Frames()
    got = b""
    for block in blocks:
        got += frames.feed(block).chunk
        if frames.fault:
            return got, frames.fault
    return got + frames.end().chunk, frames.fault


def counted(*messages: bytes) -> bytes:
    """Frame messages by their lengths."""
    return b"".join(b"%d %b" % (len(message), message) for message in messages)


def ended(*messages: bytes) -> bytes:
    """Frame messages by newlines."""
    return b"".join(message + b"\n" for message in messages)


@settings(deadline=None)
@given(stream=lines.map(lambda rows: ended(*rows)) | lines.map(lambda rows: counted(*rows)) | st.binary(), sizes=cuts)
@example(stream=b"1234567890123456789 <1>x\n", sizes=[19, 1])
@example(stream=b"12 hello world!3 abc2 de", sizes=[1])
def test_any_cut_gives_the_same_lines(stream: bytes, sizes: list[int]) -> None:
    """Whatever comes, it is read alike in one piece and in many, faults too."""
    assert read(cut(stream, sizes)) == read([stream])


@settings(deadline=None)
@given(rows=lines, sizes=cuts)
def test_counted_messages_with_a_priority(rows: list[bytes], sizes: list[int]) -> None:
    """The first message's priority tells the framing; from then on a message may hold anything."""
    rows = [b"<134>" + rows[0], *rows[1:]]
    assert read(cut(counted(*rows), sizes)) == (ended(*(row for row in rows if row)), None)


@settings(deadline=None)
@given(rows=lines, sizes=cuts)
def test_messages_that_newlines_end(rows: list[bytes], sizes: list[int]) -> None:
    """A connection that begins with no number is never taken for a counted one."""
    rows = [b"<134>" + rows[0], *rows[1:]]
    stream = ended(*rows)
    assert read(cut(stream, sizes)) == (stream, None)
    assert read(cut(stream[:-1], sizes))[0].removesuffix(b"\n") == stream[:-1].removesuffix(b"\n")


@settings(deadline=None)
@given(rows=st.lists(st.text("abc 0123456789-/", min_size=1, max_size=300), min_size=1, max_size=9), sizes=cuts)
def test_counted_messages_without_a_priority(rows: list[str], sizes: list[int]) -> None:
    """HAProxy's formats `raw`, `short`, `timed` and `iso` have none, and no newline."""
    messages = [row.encode() for row in rows]
    assert read(cut(counted(*messages), sizes)) == (ended(*messages), None)


@pytest.mark.parametrize("first", NUMBERED)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_that_begin_with_a_number(first: bytes, size: int) -> None:
    """A log-format may begin with %ST and a blank: newlines end such lines nevertheless."""
    stream = ended(first, *NUMBERED)
    assert read(cut(stream, [size])) == (stream, None)


def test_numbers_where_a_next_length_would_be() -> None:
    """In a line that is longer than the number before it, there may be a number in just that place, several times."""
    status = b"200 10.0.0.1:51742 web bk/s1 ".ljust(204, b"-")
    stream = ended(status + b'4 200 228 - - ---- "GET / HTTP/1.1"', b"200 ok") * 3
    assert read([stream]) == (stream, None)
    assert read(cut(stream, [1])) == (stream, None)


def test_a_single_message_is_given_when_nothing_follows_it() -> None:
    """Until then it might be a line that goes on; what comes later is read as what it was found to be."""
    frames = Frames()
    assert frames.feed(b"11 hello world") == (b"", 0)
    assert frames.settle() == (b"hello world\n", 0)
    assert frames.settle() == (b"", 0)
    assert frames.feed(b"5 again1") == (b"again\n", 0)
    assert frames.feed(b" x") == (b"x\n", 0)
    assert frames.end() == (b"", 0)
    assert frames.fault is None


def test_some_messages_are_given_when_nothing_follows_them() -> None:
    """So few might be there by chance; a pause behind the last one says that they are not."""
    frames = Frames()
    assert frames.feed(counted(b"hello", b"world")) == (b"", 0)
    assert frames.settle() == (b"hello\nworld\n", 0)


def test_a_pause_within_a_message_decides_nothing() -> None:
    """Neither a begun counted message nor a begun line is given."""
    for begun, rest, whole in (
        (b"11 hello", b" world5 after", b"hello world\nafter\n"),
        (b"200 10.0.0.1", b" web\n", b"200 10.0.0.1 web\n"),
        (b"20", b"26-11-20 web\n", b"2026-11-20 web\n"),
        (b"begun", b" line\n", b"begun line\n"),
        (b"5 hello7", b" web\n", b"5 hello7 web\n"),
    ):
        frames = Frames()
        assert frames.feed(begun).chunk == b""
        assert frames.settle().chunk == b""
        assert frames.feed(rest).chunk + frames.end().chunk == whole
        assert frames.fault is None


def test_newlines_at_the_end_and_within() -> None:
    """Rsyslog and syslog-ng count the newline at a message's end, some senders write one behind the message."""
    rows = (b"<134>one\n", b"<134>two", b"<134>three\nfour\n", b"<134>five")
    expected = b"<134>one\n<134>two\n<134>three\nfour\n<134>five\n"
    assert read([counted(*rows)]) == (expected, None)
    assert read(cut(counted(*rows), [1])) == (expected, None)
    assert read([counted(b"one\n", b"two", b"three\n")]) == (b"one\ntwo\nthree\n", None)
    between = b"\n".join(counted(row) for row in rows) + b"\n\n"
    assert read([between]) == (expected, None)
    assert read(cut(between, [1])) == (expected, None)


# Behind a first message with a priority: what is framed wrongly, and what that is.
WRONG = {
    b"1000000000000 x": Fault.OVERSIZED,
    b"1000000000000": Fault.OVERSIZED,
    b"65537 x": Fault.OVERSIZED,
    b"100000000000000000000 x": Fault.OVERSIZED,
    b"100000000000000000000": Fault.OVERSIZED,
    b"99999x": Fault.OVERSIZED,
    b"0" * 30: Fault.MALFORMED,
    b"-1 x": Fault.MALFORMED,
    b"+1 x": Fault.MALFORMED,
    b" 1 x": Fault.MALFORMED,
    b"1x": Fault.MALFORMED,
    b"1\tx": Fault.MALFORMED,
    b"1_0 x": Fault.MALFORMED,
    "\u0661 x".encode(): Fault.MALFORMED,
    b"<134>x\n": Fault.MALFORMED,
    b"\r\n": Fault.MALFORMED,
    b"\0": Fault.MALFORMED,
    b"1": Fault.INCOMPLETE,
    b"1 ": Fault.INCOMPLETE,
    b"65536 x": Fault.INCOMPLETE,
}


@pytest.mark.parametrize(("wrong", "fault"), WRONG.items())
def test_what_came_before_a_fault_counts(wrong: bytes, fault: Fault) -> None:
    """Lengths that are none, or too long: the messages before are given, nothing behind."""
    stream = counted(b"<134>one", b"two") + wrong
    assert read([stream]) == (b"<134>one\ntwo\n", fault)
    assert read(cut(stream, [1])) == (b"<134>one\ntwo\n", fault)
    if fault is not Fault.INCOMPLETE:
        assert read([stream + b"5 later"]) == (b"<134>one\ntwo\n", fault)


@pytest.mark.parametrize("wrong", [each for each, fault in WRONG.items() if fault is not Fault.INCOMPLETE])
def test_nothing_is_taken_after_a_fault(wrong: bytes) -> None:
    """A connection that went wrong cannot be read any more, and keeps nothing."""
    frames = Frames()
    frames.feed(counted(b"<134>one") + wrong)
    fault = frames.fault
    assert fault
    assert frames.feed(b"5 later5 after\nline\n") == (b"", 0)
    assert frames.fault is fault
    assert kept(frames) == 0


def test_empty_messages_and_leading_zeros() -> None:
    """An empty message is no line; zeros before a length change nothing, behind the first message."""
    assert read([counted(b"<134>one", b"", b"two", b"")]) == (b"<134>one\ntwo\n", None)
    assert read([counted(b"<134>one") + b"005 hello" + b"0 " + b"3 two"]) == (b"<134>one\nhello\ntwo\n", None)


def test_a_length_that_begins_with_zero_is_none_at_the_beginning() -> None:
    """RFC 6587 has lengths begin with another digit; so a line that begins with 0 is a line."""
    for stream in (b"0 hello\n", b"05 hello\n", b"00\n"):
        assert read([stream]) == (stream, None)
        assert read(cut(stream, [1])) == (stream, None)


def kept(frames: Frames) -> int:
    """Count the bytes that are kept for what is to come."""
    return len(frames._begun) + len(frames._lines._begun)


@pytest.mark.parametrize("size", [1000, 1 << 16])
@pytest.mark.parametrize("prefix", [b"%d <134>", b"%d "])
def test_the_longest_message(prefix: bytes, size: int) -> None:
    """A message of the limit is taken whole; of one byte more nothing, and it is counted once."""
    for length in (LONGEST_LINE, LONGEST_LINE + 1):
        start = prefix % length
        message = start.partition(b" ")[2].ljust(length, b"x")
        frames = Frames()
        found = [frames.feed(block) for block in cut(counted(message), [size])]
        if not frames.fault:
            found.append(frames.end())
        whole = b"".join(each.chunk for each in found)
        assert whole == (message + b"\n" if length == LONGEST_LINE else b"")
        assert sum(each.overlong for each in found) == length - LONGEST_LINE
        assert frames.fault == (None if length == LONGEST_LINE else Fault.OVERSIZED)


@pytest.mark.parametrize(
    "endless",
    [b"x", b"9", b"1 ", b"x 1 ", b"7 abcdefg", b"4000 " + b"x" * 4000, b"60000 " + b"y" * 60000],
    ids=lambda endless: endless[:8].decode(),
)
@pytest.mark.parametrize("first", [b"", b"65536 ", b"65536 <134>", b"8 <134>abc", b"99999999999 ", b"<134>"])
@pytest.mark.parametrize("size", [1000, 60_000])
def test_what_is_kept_is_bounded(first: bytes, endless: bytes, size: int) -> None:
    """Whatever is sent without end, no more than the longest line is kept of it, beside the block that is fed."""
    frames = Frames()
    stream = first + endless * (400_000 // len(endless))
    for block in cut(stream, [size]):
        frames.feed(block)
        assert kept(frames) <= MOST_KEPT, (frames._framing, kept(frames))


class CountingBytes(bytearray):
    """Bytes that count how many of them are copied out."""

    copied = 0

    def __bytes__(self) -> bytes:
        """Copy all."""
        CountingBytes.copied += len(self)
        return bytes(bytearray(self))


@pytest.mark.parametrize("first", [b"65536 <134>", b"<134>"])
def test_single_bytes_are_not_copied_again_and_again(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a message that comes byte by byte, what is there already is not touched with each of them."""
    monkeypatch.setattr(CountingBytes, "copied", 0)
    frames = Frames()
    frames._begun = CountingBytes()
    frames._lines._begun = CountingBytes()
    message = first.ljust(LONGEST_LINE // 2, b"x")
    for index in range(len(message)):
        frames.feed(message[index : index + 1])
    assert kept(frames) == len(message)
    assert CountingBytes.copied < 1000
