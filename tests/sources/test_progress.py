"""How far the lines of a file are taken, whatever blocks it comes in."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.marks import Sample
from haproxy_log_exporter.sources import framing, progress
from haproxy_log_exporter.sources.progress import Progress, sample

LONGEST, HEAD, TAIL = 20, 16, 8


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Make limits small, so that drawn files reach them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (framing, progress):
            patch.setattr(module, "LONGEST_LINE", LONGEST)
        patch.setattr(progress, "HEAD", HEAD)
        patch.setattr(progress, "TAIL", TAIL)
        yield


class Taken(NamedTuple):
    """What a file holds, told line by line."""

    lines: bytes
    overlong: int
    origin: int
    position: int
    skipping: bool


class Cut(NamedTuple):
    """Where a block ends, and whether the file does so, too, when it is read."""

    place: int
    at_end: bool = False


def expect(content: bytes) -> Taken:
    """Tell what has to be taken of a file."""
    lines, overlong, position = b"", 0, 0
    for line in content.splitlines(keepends=True):
        text = line.lstrip(b"\0")
        if len(text.removesuffix(b"\n")) > LONGEST:
            overlong += 1
        elif text.endswith(b"\n"):
            lines += text
        else:
            return Taken(lines, overlong, _nuls(content), position + len(line) - len(text), skipping=False)
        position += len(line)
    skipping = bool(content) and len(content.rpartition(b"\n")[2].lstrip(b"\0")) > LONGEST
    return Taken(lines, overlong, _nuls(content), position, skipping)


def _nuls(content: bytes) -> int:
    return len(content) - len(content.lstrip(b"\0"))


def feed(content: bytes, cuts: Sequence[Cut]) -> tuple[Progress, bytes, int]:
    """Take a file that grows up to each cut in turn, as it is read: with what was taken last before it."""
    at, lines, overlong = Progress(), b"", 0
    end = len(content)
    for cut in [*sorted(cut for cut in cuts if cut.place < end), Cut(end), Cut(end)]:
        known = len(at.tail)
        block = content[at.position - known : max(at.position, cut.place)]
        assert block.startswith(at.tail)
        found = at.advance(block, known, at_end=cut.at_end)
        lines, overlong = lines + found.chunk, overlong + found.overlong
    return at, lines, overlong


text = st.text("ab", max_size=LONGEST // 2).map(str.encode)
longer = st.integers(LONGEST - 1, 3 * LONGEST).map(lambda size: b"x" * size)
nuls = st.integers(1, 3 * LONGEST).map(bytes)
pieces = st.lists(text | longer | nuls | st.just(b"\n"), max_size=25)
files = pieces.map(b"".join)
cuts = st.lists(st.builds(Cut, st.integers(0, 300), st.booleans()), max_size=12)


@settings(max_examples=300)
@given(files, cuts)
def test_any_blocks_give_the_same_lines(content: bytes, cuts: list[Cut]) -> None:
    """However a file grows: the same lines, longer ones counted once, NULs before lines left out, the same position."""
    at, lines, overlong = feed(content, cuts)
    assert Taken(lines, overlong, at.origin, at.position, at.skipping) == expect(content)


@settings(max_examples=300)
@given(files, cuts)
def test_any_blocks_give_the_same_samples(content: bytes, cuts: list[Cut]) -> None:
    """The head is of the first bytes that were taken, from the origin on; the tail is of the last ones."""
    at, _, _ = feed(content, cuts)
    assert at.head == content[at.origin : at.position][:HEAD]
    assert at.tail == content[: at.position][-TAIL:]


@settings(max_examples=300)
@given(files, cuts, files, cuts)
def test_what_was_marked_is_known_again(content: bytes, cuts: list[Cut], more: bytes, others: list[Cut]) -> None:
    """A mark fits what it was made of, however that is read, and all that it tells is there."""
    at, _, _ = feed(content, cuts)
    again, _, _ = feed(content, others)
    mark = at.mark("haproxy.log", (3, 4))
    assert again.fits(mark)
    assert (mark.path, mark.device, mark.inode, mark.done, mark.is_copy) == ("haproxy.log", 3, 4, False, False)
    assert (mark.origin, mark.position, mark.skipping) == (at.origin, at.position, at.skipping)
    grown, _, _ = feed(content + more, others)
    assert grown.fits(mark) == (grown.position == at.position)


@settings(max_examples=300)
@given(files.filter(bool), st.data())
def test_another_byte_is_another_file(content: bytes, data: st.DataObject) -> None:
    """A mark does not fit where one of the first or the last bytes is another."""
    at = Progress()
    at.pass_over(content)
    near = [*range(min(HEAD, len(content))), *range(max(0, len(content) - TAIL), len(content))]
    place = data.draw(st.sampled_from(near))
    other = Progress()
    other.pass_over(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert at.fits(at.mark("", (0, 0)))
    assert not other.fits(at.mark("", (0, 0)))


@settings(max_examples=300)
@given(files, cuts)
def test_passing_over_is_like_taking(content: bytes, cuts: list[Cut]) -> None:
    """What was taken before gives the same samples when it is passed over, in any blocks."""
    at, _, _ = feed(content, [])
    passed = Progress()
    passed.jump(at.origin)
    bounds = sorted({at.origin, at.position, *(cut.place for cut in cuts if at.origin < cut.place < at.position)})
    for begin, end in pairwise(bounds):
        passed.pass_over(content[begin:end])
    assert passed.fits(at.mark("", (0, 0)))


def test_what_stands_behind_the_last_newline_is_taken_at_the_end() -> None:
    """The file is known again by it, and what comes later is a line of its own."""
    at, _, _ = feed(b"ab\ncd", [])
    at.end(b"cd")
    assert (at.position, at.head, at.tail) == (5, b"ab\ncd", b"ab\ncd")
    assert at.advance(b"ab\ncdef\n", 5).chunk == b"ef\n"


def test_a_line_that_was_too_long_ends_with_its_file() -> None:
    """What is written behind it later is not left out with it."""
    at, _, _ = feed(b"x" * 30, [])
    assert at.skipping
    at.end(b"")
    assert at.advance(b"ab\n").chunk == b"ab\n"


def test_the_beginning_of_a_line_that_is_too_long_is_known() -> None:
    """A mark within such a line says so, for the rest of it is no line."""
    at, lines, overlong = feed(b"x" * 30, [Cut(25)])
    assert (lines, overlong, at.position) == (b"", 1, 30)
    assert at.mark("", (0, 0)).skipping


def test_a_hole_before_all_lines() -> None:
    """The first line begins behind it."""
    at = Progress()
    at.jump(1000)
    assert (at.origin, at.position, at.head, at.tail) == (1000, 1000, b"", bytes(TAIL))
    assert at.advance(bytes(TAIL) + b"ab\n", TAIL).chunk == b"ab\n"
    assert (at.origin, at.position, at.head, at.tail) == (1000, 1003, b"ab\n", bytes(TAIL - 3) + b"ab\n")


def test_a_hole_behind_lines() -> None:
    """It is left out, and the head stays what it was."""
    content = b"a line of the head\n" + bytes(1000) + b"next\n"
    at, _, _ = feed(content[:19], [])
    at.jump(1019)
    assert at.advance(bytes(TAIL) + b"next\n", TAIL).chunk == b"next\n"
    assert (at.origin, at.position, at.head) == (0, len(content), content[:HEAD])


def test_a_hole_smaller_than_a_tail() -> None:
    """The tail is of what stands before it as well."""
    at, _, _ = feed(b"ab\n", [])
    at.jump(5)
    assert at.tail == b"ab\n" + bytes(2)


def test_no_bytes_have_no_digest() -> None:
    """Where nothing was taken there is nothing to be known by; bytes that differ have another digest."""
    assert sample(b"") == Sample()
    assert sample(b"a") != sample(b"b")
    assert sample(b"a").size == 1


def test_nuls_that_may_become_lines() -> None:
    """At the end of a file they may be what is still to come, as on a network file system; behind them is a line."""
    at = Progress()
    assert at.advance(b"ab\n" + bytes(5), at_end=True).chunk == b"ab\n"
    assert at.position == 3
    assert at.advance(b"ab\ncd\nef\n", 3, at_end=True).chunk == b"cd\nef\n"
    assert at.advance(b"ab\ncd\nef\n" + bytes(5) + b"gh\n", 9, at_end=True).chunk == b"gh\n"
