"""Lines that are only begun are written down, and another unwrapper goes on with them."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.logformat.parts import Parts
from haproxy_log_exporter.logformat.wrappers import Unwrapped, Unwrapper
from tests.logformat.test_wrapper_properties import FRAGMENTS, PIECES, Piece
from tests.logformat.wrapping import LONGEST, binary, cri, docker, unwrap


def unwrap_interrupted(*chunks: bytes, longest: int = LONGEST) -> Unwrapped:
    """Unwrap a finished log that comes in chunks, each by an unwrapper of its own."""
    found, held = [], ""
    for chunk in (*chunks, None):
        unwrapper = Unwrapper(longest)
        if held:
            unwrapper.hold(held)
        assert unwrapper.held() == held
        found.append(unwrapper.end() if chunk is None else unwrapper.unwrap(chunk))
        held = unwrapper.held()
        held.encode()  # as it is kept
    assert held == ""
    return Unwrapped(
        b"".join(each.lines for each in found),
        [pair for each in found for pair in each.repeated],
        b"".join(each.rest for each in found),
        sum(each.overlong for each in found),
    )


@settings(deadline=None, max_examples=300)
@given(st.data(), st.lists(PIECES, max_size=8), st.sampled_from([LONGEST, 40, 9]))
def test_interruption_makes_no_difference(data: st.DataObject, pieces: list[Piece], longest: int) -> None:
    """Wherever chunks end, whatever is begun there, and whether or not it becomes too long."""
    log = b"".join(wrapped for wrapped, _, _ in pieces)
    ends = [match.end() for match in re.finditer(b"\n", log)]
    chosen = sorted(data.draw(st.sets(st.sampled_from(ends)))) if ends else []
    chunks = [log[begin:end] for begin, end in zip([0, *chosen], [*chosen, len(log)], strict=True)]
    assert unwrap_interrupted(*chunks, longest=longest) == unwrap(*chunks, longest=longest)


@settings(deadline=None, max_examples=500)
@given(st.lists(st.lists(FRAGMENTS | st.binary(max_size=9), max_size=12).map(b"".join), max_size=4), st.integers(1, 99))
def test_interruption_among_any_bytes(chunks: list[bytes], longest: int) -> None:
    """Whatever comes, also what is no log of anything."""
    chunks = [chunk.removesuffix(b"\n") + b"\n" for chunk in chunks]
    assert unwrap_interrupted(*chunks, longest=longest) == unwrap(*chunks, longest=longest)


ENTRY = b"__CURSOR=a\n" + binary("A", b"x\ny\n") + b"B=1\n" + binary("MESSAGE", b"one\ntwo") + b"C=2\n\n"
BEGUN = {
    "parts of containerd": b"".join(
        cri(text, tag, stream)
        for text, tag, stream in (
            (b"a", "P", "stdout"),
            (b"b", "P", "stderr"),
            (b"\xff\0", "P", "stdout"),
            (b"c", "F", "stdout"),
            (b"d", "F", "stderr"),
        )
    ),
    "parts of Docker": docker("ä") + docker("b", "stderr") + docker("\u2028\n") + docker("c\n", "stderr"),
    "a line too long": cri(b"a" * 60, "P") + cri(b"b", "P") + cri(b"c") + cri(b"d"),
    "an entry of the journal": ENTRY + ENTRY,
    "a field too long": b"__CURSOR=a\n" + binary("MESSAGE", b"x\n" * 40) + b"MESSAGE=b\n\n",
}


@pytest.mark.parametrize("begun", BEGUN)
def test_interruption_at_each_line(begun: str) -> None:
    """After each line alone, and after all of them."""
    log = BEGUN[begun]
    lines = log.splitlines(keepends=True) if b"\r" not in log else []
    expected = unwrap(log, longest=50)
    assert unwrap_interrupted(*lines, longest=50) == expected
    for end in range(1, len(lines)):
        assert unwrap_interrupted(b"".join(lines[:end]), b"".join(lines[end:]), longest=50) == expected
    helds = []
    unwrapper = Unwrapper(50)
    for line in lines:
        unwrapper.unwrap(line)
        helds.append(unwrapper.held())
    assert any(helds), "nothing was ever begun"
    assert helds[0] != ""


def test_nothing_begun_is_nothing_held() -> None:
    """Whole lines leave nothing to write down."""
    unwrapper = Unwrapper(LONGEST)
    assert unwrapper.held() == ""
    for chunk in (cri(b"a"), docker("a\n"), b"bare\n", cri(b"a", "P") + cri(b"b")):
        unwrapper.unwrap(chunk)
        assert unwrapper.held() == ""


def test_held_is_bounded() -> None:
    """Of a line that is too long nothing is kept, so what is held is not longer than a line of each stream."""
    unwrapper = Unwrapper(100)
    for _ in range(50):
        unwrapper.unwrap(cri(b"x" * 90, "P") + cri(b"y" * 90, "P", "stderr"))
        assert len(unwrapper.held()) < 400


def test_parts_go_on_by_stream() -> None:
    """Each with what was begun of it, and what is too long stays so until its line ends."""
    parts = Parts(5)
    assert parts.add(b"stdout", b"ab") + parts.add(b"stderr", b"123456") + parts.add(b"\xff", b"\0\xfe") == b""
    assert parts.overlong == 1
    other = Parts(5)
    other.hold(json.loads(json.dumps(parts.held())))
    assert other.held() == parts.held()
    assert other.add(b"stdout", b"c\n") == b"abc\n"
    assert other.add(b"stderr", b"7\n8\n") == b"8\n"
    assert other.add(b"\xff", b"\n") == b"\0\xfe\n"
    assert (other.overlong, other.begun, other.end()) == (0, {}, b"")


@pytest.mark.parametrize(
    "held",
    [
        *("x", "[", "[]", "{}", "5", "null", '"text"', '[{}, false, "", 0]', '[{}, false, "", 0, 0, 0]'),
        *('[[], false, "", 0, 0]', '[{}, 1, "", 0, 0]', "[{}, false, 5, 0, 0]", '[{}, false, "", "0", 0]'),
        *('[{}, false, "", 0, null]', '[{}, false, "\\u2028", 0, 0]', '[{"\\u2028": ""}, false, "", 0, 0]'),
        *('[{"stdout": "\\u2028"}, false, "", 0, 0]', '[{"stdout": 5}, false, "", 0, 0]'),
        *('[{"stdout": ["a"]}, false, "", 0, 0]', '[{"stdout": {}}, false, "", 0, 0]'),
    ],
)
def test_what_was_not_held_is_refused(held: str) -> None:
    """Whoever damaged it: it is told, not read as if it were."""
    with pytest.raises(ValueError, match=r"."):
        Unwrapper(LONGEST).hold(held)
