"""Lines to words, by HAProxy's own rules."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.haproxy_cfg.words import LONGEST, Words, split_line
from tests.haproxy_cfg import check, complaints
from tests.support import need

VARIABLES = {"HOME": "h o", "EMPTY": "", "WORDS": "one  two", "EDGES": " one ", "A": "1", "QUOTED": '"a\\"\'#$A\\n'}

# A line, and its words.
LINES = {
    '"a b"': ["a b"],
    "'a b'": ["a b"],
    r"a\ b": ["a b"],
    r"a\tb": ["a\tb"],
    r"a\x41b": ["aAb"],
    r'"a\x41b"': ["aAb"],
    r"'a\x41b'": [r"a\x41b"],
    r'"\xc3\xa9\xe9"': ["é\udce9"],
    r'"a\"b"': ['a"b'],
    r'"a\$HOME"': ["a$HOME"],
    r"a\$HOME": [r"a\$HOME"],
    "a$HOME": ["a$HOME"],
    "'$HOME'": ["$HOME"],
    '"$HOME"': ["h o"],
    '"${HOME}x"': ["h ox"],
    '"$A-b"': ["1-b"],
    '"${NOPE-d f}x"': ["d fx"],
    '"x${NOPE}y"': ["xy"],
    '"${NOPE-}y"': ["y"],
    '"${NOPE-a-b}"': ["a-b"],
    '"${EMPTY-d}y"': ["y"],
    '"${NOPE-}}"': ["}"],
    '"${NOPE-"x"}"': ['"x"'],
    r'"${NOPE-\x41$A}"': [r"\x41$A"],
    '"$QUOTED"': ['"a\\"\'#$A\\n'],
    '"${WORDS}"': ["one  two"],
    '"a${WORDS[*]}b"': ["aone", "twob"],
    '"a${EDGES[*]}b"': ["a", "one", "b"],
    '"${NOPE[*]-a b}"': ["a", "b"],
    '"$WORDS[*]"': ["one  two[*]"],
    '"$NOPE""z"': ["z"],
    """a'b c'd"e f"g""": ["ab cde fg"],
    "a#b": ["a"],
    r"a\#b": ["a#b"],
    '"a#b"': ["a#b"],
    "'a#b' #c": ["a#b"],
    r"a\\b": [r"a\b"],
    r"a\qb": [r"a\qb"],
    r'"a\qb"': [r"a\qb"],
    r"'a\\b\'": [r"a\\b\ "[:-1]],
    "a\\": ["a\\"],
    "a \\": ["a", "\\"],
    r"a\'b": ["a'b"],
    r'"a\'b"': ["a'b"],
    """'a"b'""": ['a"b'],
    "a\\\tb": ["a\\", "b"],
    "a\vb\fc": ["a", "b", "c"],
    '"a\tb"': ["a\tb"],
    "a\rb": ["a"],
    "a \rb": ["a", "b"],
    "a b\r": ["a", "b"],
    "é\xa0ü": ["é\xa0ü"],
    r'"a\nb"': ["a\nb"],
    r'"a\x00b"': ["a"],
    r'"%[path,regsub(\"x\",y)]"': ['%[path,regsub("x",y)]'],
    "  a  b  ": ["a", "b"],
    "": [],
    "#": [],
    '""': [],
    'a "" b': ["a"],
    '"$NOPE"': [],
}

# A line that cannot be read, and the place.
MISTAKES = {
    'a "b c': 2,
    "a 'b\"c": 2,
    '"a\rb"': 0,
    r"a\xzz": 1,
    r'"\x4"': 1,
    r"\x41\x4": 4,
    '"${A"': 2,
    '"${NOPE-x"': 2,
    '"${A[*}"': 4,
    '"${A=}"': 2,
    '"${1}"': 3,
    '"$ "': 2,
    '"$"': 2,
    '"${.NOPE}"': 3,
    '"$.NADA"': 2,
}

_LETTERS = st.sampled_from([*" \t\"'\\\\\\#${}[*]-xA4.=ntr_é", "${A", "${B-", "\\x4", "[*]}", "\v"])
ANY_LINES = st.lists(_LETTERS, max_size=24).map("".join)


def _words(line: str) -> Words:
    return split_line(line, VARIABLES)


@pytest.mark.parametrize("line", LINES)
def test_splits_a_line(line: str) -> None:
    """Quotes, escapes, variables, comments and blanks, as HAProxy reads them."""
    words = _words(line)
    assert [*words.words] == LINES[line]
    assert words.mistake is None


@pytest.mark.parametrize("line", MISTAKES)
def test_shows_where_a_line_goes_wrong(line: str) -> None:
    """The caret stands under the place, in the line as it is shown."""
    mistake = _words(line).mistake
    assert mistake is not None
    assert mistake.position == MISTAKES[line]
    _, shown, caret = mistake.show(line).split("\n")
    assert shown == "    " + re.sub(r"\s", " ", line).rstrip()
    assert caret == " " * (4 + MISTAKES[line]) + "^"


def test_keeps_the_words_before_a_mistake() -> None:
    """They tell whether the line matters."""
    assert _words('log-format "%ci').words == ("log-format", "%ci")


def test_tells_the_variables_that_are_not_set() -> None:
    """But not those with a default."""
    assert _words('"$NOPE ${NADA} ${NONE-x} $A"').unset == ("NOPE", "NADA")


def test_bounds_what_variables_bring() -> None:
    """A file whose variables grow with each line does not take all memory."""
    value = "x" * (LONGEST // 2)
    assert split_line('"$A$A"', {"A": value}).words == (value * 2,)
    longer = split_line('"$A$A$A"', {"A": value})
    assert longer.words == (value * 2,)
    assert longer.mistake
    assert "longer than" in longer.mistake.problem


@given(st.text(), st.dictionaries(st.text(), st.text()))
@settings(deadline=None)
def test_never_raises(line: str, variables: dict[str, str]) -> None:
    """Whatever the line, and whatever is in the environment."""
    words = split_line(line, variables)
    assert all(words.words)
    assert words.mistake is None or 0 <= words.mistake.position <= len(line)


def _assert_real_haproxy_agrees(lines: list[str], folder: Path, variables: dict[str, str]) -> None:
    """Compare words and mistakes with those of `.notice`, which tells its word, or the one that is too many."""
    file = folder / "w.cfg"
    # The first line makes HAProxy's buffer: without it 2.6 reads the second twice, and its defaults wrongly then.
    file.write_bytes(b"# first\n" + b"".join(f".notice {line}\n".encode() for line in lines))
    said = complaints(check(file, environment=variables)[1], file)
    for number, line in enumerate(lines, 2):
        words = split_line(f".notice {line}", variables)
        if words.mistake:
            position = re.search(r" at position (\d+):\n", said[number])
            assert position, (line, said[number])
            before = f".notice {line}"[: words.mistake.position]
            assert int(position[1]) - 1 == len(before.encode()), (line, said[number])
            continue
        _, *found = words.words
        if len(found) > 1:
            assert said[number].startswith(f"Unexpected argument '{found[1]}' for '.notice'"), (line, said[number])
        elif found or "Unexpected argument" not in said[number]:  # behind an empty word it looks at one more
            assert said[number] == f"'{''.join(found)}'.", (line, said[number])


def test_real_haproxy_agrees_on_these_lines(tmp_path: Path) -> None:
    """What stands above is what HAProxy does."""
    need("haproxy")
    _assert_real_haproxy_agrees([*LINES], tmp_path, VARIABLES)
    _assert_real_haproxy_agrees([*MISTAKES], tmp_path, VARIABLES)


@given(st.lists(ANY_LINES, min_size=1, max_size=40))
@settings(deadline=None, max_examples=25)
def test_real_haproxy_agrees_on_any_line(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    """Also where nobody thought of it."""
    need("haproxy")
    _assert_real_haproxy_agrees(lines, tmp_path_factory.mktemp("words"), {"A": "1  2", "x": ""})
