"""Whole lines out of blocks of bytes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.sources.framing import LONGEST_LINE, LineBuffer, drop_overlong, join_messages


def test_lines_up_to_the_limit_are_kept() -> None:
    """A line of exactly the limit is a line; its newline does not count."""
    chunk = b"a\n" + b"x" * LONGEST_LINE + b"\n" + b"b\n"
    assert drop_overlong(chunk) == (chunk, 0)


def test_lines_beyond_the_limit_are_dropped_and_counted() -> None:
    """What stands around a line that is too long is kept."""
    overlong = b"x" * (LONGEST_LINE + 1) + b"\n"
    assert drop_overlong(b"a\n" + overlong + b"b\n" + overlong + overlong + b"c\n") == (b"a\nb\nc\n", 3)


short = st.binary(max_size=50).map(lambda line: line.replace(b"\n", b""))
long = st.sampled_from([-1, 0, 1, LONGEST_LINE]).map(lambda more: b"y" * (LONGEST_LINE + more))


@settings(deadline=None)
@given(
    stream=st.lists(short | long, max_size=12),
    sizes=st.lists(st.integers(300, 100_000), min_size=1, max_size=20),
    ended=st.booleans(),
)
def test_any_split_gives_the_same_lines(*, stream: list[bytes], sizes: list[int], ended: bool) -> None:
    """However a stream is cut into blocks, its lines are those of the stream, and the longer ones are counted once."""
    whole = b"".join(line + b"\n" for line in stream)
    whole = whole if ended else whole.removesuffix(b"\n")
    buffer = LineBuffer()
    got, overlong, at, turn = b"", 0, 0, 0
    while at < len(whole):
        size = sizes[turn % len(sizes)]
        found = buffer.feed(whole[at : at + size])
        got, overlong, at, turn = got + found.chunk, overlong + found.overlong, at + size, turn + 1
    got += buffer.end().chunk
    kept = [line for line in stream if len(line) <= LONGEST_LINE]
    expected = b"".join(line + b"\n" for line in kept)
    if not ended and stream and stream[-1] == b"":
        expected = expected.removesuffix(b"\n")  # an empty line without its newline is no line
    assert got == expected
    assert overlong == len(stream) - len(kept)


def test_a_begun_line_is_bounded() -> None:
    """A line that never ends takes no more memory than the longest one."""
    buffer = LineBuffer()
    found = [buffer.feed(b"z" * 1000) for _ in range(1000)]
    assert sum(lines.overlong for lines in found) == 1
    assert len(buffer._begun) <= LONGEST_LINE
    assert buffer.feed(b"end\nnext\n") == (b"next\n", 0)


@given(st.lists(st.lists(st.sampled_from([b"a", b"bc", b"\n"]), max_size=4).map(b"".join), max_size=5))
def test_messages_become_their_lines(messages: list[bytes]) -> None:
    """Whether messages end in a newline or not, the lines in them are kept, in their order, and empty ones are not."""
    lines = [line for message in messages for line in message.split(b"\n") if line]
    assert join_messages(messages) == b"".join(line + b"\n" for line in lines)
