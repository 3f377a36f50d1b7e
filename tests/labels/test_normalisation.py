import re
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.labels.normalisation import normalise, normalise_one

UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

# What makes a difference comes often.
PATHS = st.lists(
    st.one_of(
        st.sampled_from([b"/", b".", b"%", b"#", b"%2", b"%2e", b"%7E", b"%c3", b"#C3", b"#22", b"#23", b"//", b"/./"]),
        st.sampled_from([b"a", b"4", b"A1", b'"', b" ", b"\xc3\xa9", b"{id}", b"*"]),
        st.binary(max_size=3),
    ),
    max_size=12,
).map(lambda pieces: (b"/" + b"".join(pieces)).replace(b"\n", b""))


def normalise_slowly(path: bytes) -> str:
    """Do the same as it is told, a step at a time."""
    text = path.decode("latin-1")
    cut = re.search(r"#(?:23|(?![0-9A-F][0-9A-F]))", text)
    text = text[: cut.start()] if cut else text
    written = ""
    for char in text.replace("#", "%"):
        written += char if "!" <= char <= "~" and char != '"' else f"%{ord(char):02X}"
    decoded, place = "", 0
    while place < len(written):
        digits = written[place + 1 : place + 3]
        if written[place] != "%":
            decoded += written[place]
            place += 1
        elif not re.fullmatch("[0-9A-Fa-f]{2}", digits):
            # A broken one, and one that follows it directly.
            stop = place + 2 if re.match("%[0-9A-Fa-f]%", written[place:]) else place + 1
            if re.match("%[0-9A-Fa-f]{2}", written[stop:]):
                stop += 3
            decoded += written[place:stop]
            place = stop
        else:
            char = chr(int(digits, 16))
            decoded += char if char in UNRESERVED else f"%{digits.upper()}"
            place += 3
    *segments, last = decoded[1:].split("/")
    kept = [segment for segment in segments if segment not in ("", ".")]
    return "/" + "/".join([*kept, "" if last == "." else last])


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        (b"/", "/"),
        (b"/a/b", "/a/b"),
        (b"/%7euser/%2D%5f%2E", "/~user/-_."),
        (b"/%c3%a9/%2f/%3D", "/%C3%A9/%2F/%3D"),
        (b"/#C3#A9#22", "/%C3%A9%22"),
        (b"/\xc3\xa9\xff", "/%C3%A9%FF"),
        (b'/a"b c\x7f\x01', "/a%22b%20c%7F%01"),
        (b"/%zz/%/%4", "/%zz/%/%4"),
        (b"/a#23top", "/a"),
        (b"/a#top", "/a"),
        (b"/a#c3", "/a"),
        (b"/a#", "/a"),
        (b"/#23", "/"),
        (b"//a///b//", "/a/b/"),
        (b"/./a/././b/.", "/a/b/"),
        (b"/.", "/"),
        (b"/a//.", "/a/"),
        (b"/./.", "/"),
        (b"/%2e/a/%2E", "/a/"),
        (b"/a/../b/..", "/a/../b/.."),
        (b"/.a/a./...", "/.a/a./..."),
        (b"/a:b@c;d=e,f!$&'()*+", "/a:b@c;d=e,f!$&'()*+"),
        (b"/{id}<>|\\^`[]", "/{id}<>|\\^`[]"),
    ],
)
def test_paths_have_one_normal_form(path: bytes, normal: str) -> None:
    """What RFC 3986 says is equal becomes equal, in whichever way HAProxy wrote it."""
    assert normalise(path + b"\n") == normal + "\n"


def test_what_is_broken_is_not_completed() -> None:
    """Decoding once is all: what stands behind a broken one stays, for decoded it might be taken for another."""
    assert normalise_one("/%%34%31") == "/%%341"
    assert normalise_one("/%4%31") == "/%4%31"


@given(st.lists(PATHS, max_size=6))
def test_it_is_as_if_done_step_by_step(paths: list[bytes]) -> None:
    """The passes over all do to each what the obvious way does."""
    text = b"".join(path + b"\n" for path in paths)
    assert normalise(text).split("\n")[:-1] == [*map(normalise_slowly, paths)]


@given(PATHS)
def test_a_normal_path_stays(path: bytes) -> None:
    """A normal form is its own normal form, and ASCII."""
    normal = normalise(path + b"\n")
    assert normalise(normal.encode("ascii")) == normal


@pytest.mark.parametrize(
    "piece", [b"/", b"/.", b"/./", b".", b"%", b"%4", b"%41", b"%%41", b"#C3", b"#", b"\xff", b'"']
)
@pytest.mark.parametrize("end", [b"", b"!", b"/.", b"#"])
def test_no_path_takes_long(piece: bytes, end: bytes) -> None:
    """Eight times the length takes some eight times as long, and 64 KiB take nothing that matters."""
    short, long = (b"/" + piece * (size // len(piece)) + end + b"\n" for size in (8192, 65536))
    least = [min(_seconds(path) for _ in range(3)) for path in (short, long)]
    assert least[1] < 0.1
    assert least[1] < 32 * max(least[0], 1e-4)


def _seconds(path: bytes) -> float:
    began = process_time()
    normalise(path)
    return process_time() - began
