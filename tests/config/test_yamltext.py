import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.config import yamltext
from haproxy_log_exporter.config.yamltext import (
    DEEPEST,
    Kind,
    MappingNode,
    Mistake,
    Node,
    ScalarNode,
    SequenceNode,
    read_yaml,
)

EMPTY = MappingNode((), 1, 1)


@pytest.fixture(params=["in C", "in Python"])
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with each of the two scanners and parsers of PyYAML."""
    if request.param == "in C" and not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yamltext, "_LOADER", yaml.CSafeLoader if request.param == "in C" else yaml.SafeLoader)


def read(text: str) -> Node:
    """Read a text without a mistake."""
    tree, mistakes = read_yaml(text)
    assert mistakes == []
    return tree


def mistakes(text: str) -> list[Mistake]:
    """Read a text's mistakes."""
    return read_yaml(text)[1]


def plain(node: Node) -> object:
    """Take a tree for what it means, all scalars as texts."""
    match node:
        case SequenceNode():
            return [plain(item) for item in node.items]
        case MappingNode():
            return {key.text: plain(value) for key, value in node.entries}
        case _:
            return node.text


# --- Trees ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_loader")
def test_a_tree_has_the_places_of_its_nodes() -> None:
    """By line and column from 1."""
    assert read('a: 1\nb:\n  - x\n  - "y"\né: {d: e}\n') == MappingNode(
        (
            (ScalarNode("a", Kind.TEXT, 1, 1), ScalarNode("1", Kind.NUMBER, 1, 4)),
            (
                ScalarNode("b", Kind.TEXT, 2, 1),
                SequenceNode((ScalarNode("x", Kind.TEXT, 3, 5), ScalarNode("y", Kind.TEXT, 4, 5)), 3, 3),
            ),
            (
                ScalarNode("é", Kind.TEXT, 5, 1),
                MappingNode(((ScalarNode("d", Kind.TEXT, 5, 5), ScalarNode("e", Kind.TEXT, 5, 8)),), 5, 4),
            ),
        ),
        1,
        1,
    )


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize("text", ["", "\n", "# nothing", "---", "--- \n...\n", "~", "null", "\ufeff", "{}"])
def test_a_text_without_a_document_is_an_empty_mapping(text: str) -> None:
    """As is one of null."""
    assert plain(read(text)) == {}


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("0.10", Kind.NUMBER),
        ("010", Kind.NUMBER),
        ("0x1F", Kind.NUMBER),
        ("1_000", Kind.NUMBER),
        (".inf", Kind.NUMBER),
        ("12:30", Kind.NUMBER),
        ("yes", Kind.BOOLEAN),
        ("On", Kind.BOOLEAN),
        ("True", Kind.BOOLEAN),
        ("y", Kind.TEXT),
        ("2026-01-01", Kind.TEXT),
        ("~", Kind.NULL),
        ("Null", Kind.NULL),
        ("a b", Kind.TEXT),
        ("=", Kind.TEXT),
    ],
)
def test_a_scalar_keeps_its_text(written: str, kind: Kind) -> None:
    """With what YAML 1.1 takes it for; in quotes it is text."""
    tree = read(f"[{written}, '{written}', !!str {written}, ! {written}]")
    assert isinstance(tree, SequenceNode)
    assert plain(tree) == [written] * 4
    assert [item.kind for item in tree.items if isinstance(item, ScalarNode)] == [kind, *[Kind.TEXT] * 3]


@pytest.mark.parametrize(("written", "is_true"), [("yes", True), ("ON", True), ("True", True), ("no", False)])
def test_a_boolean_is_true_or_not(written: str, *, is_true: bool) -> None:
    """In any of YAML's ways."""
    tree = read(written)
    assert isinstance(tree, ScalarNode)
    assert tree.kind is Kind.BOOLEAN
    assert tree.is_true is is_true


@pytest.mark.usefixtures("_loader")
def test_tags_that_say_what_is_there_are_read() -> None:
    """All others are mistakes."""
    text = (
        "!!map {a: !!int 1, b: !!seq [!!float 0.1], c: !!bool yes, d: !!null ~, e: ! [x], f: !<tag:yaml.org,2002:str> }"
    )
    assert plain(read(text)) == {"a": "1", "b": ["0.1"], "c": "yes", "d": "~", "e": ["x"], "f": ""}


@pytest.mark.usefixtures("_loader")
def test_a_mapping_is_asked_by_key() -> None:
    """What is not there is None."""
    tree = read("{a: b, 200: c}")
    assert isinstance(tree, MappingNode)
    assert tree.get("200") == ScalarNode("c", Kind.TEXT, 1, 13)
    assert tree.get("b") is None


# --- Aliases and merges -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_loader")
def test_an_alias_stands_where_it_is_written() -> None:
    """What it holds keeps its place."""
    tree = read("a: &x [y]\nb: *x\n")
    assert isinstance(tree, MappingNode)
    assert tree.get("b") == SequenceNode((ScalarNode("y", Kind.TEXT, 1, 8),), 2, 4)


@pytest.mark.usefixtures("_loader")
def test_an_anchor_may_be_set_again() -> None:
    """An alias is the last one before it."""
    assert plain(read("[&a x, *a, &a y, *a]")) == ["x", "x", "y", "y"]


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[&a {x: 1}, {<<: *a}]", {"x": "1"}),
        ("[&a {x: 1}, {<<: *a, x: 2}]", {"x": "2"}),
        ("[&a {x: 1}, {x: 2, <<: *a}]", {"x": "2"}),
        ("[&a {x: 1}, &b {x: 2, y: 3}, {<<: [*a, *b]}]", {"x": "1", "y": "3"}),
        ("[&a {x: 1}, &b {<<: *a, y: 2}, {<<: *b}]", {"x": "1", "y": "2"}),
        ("[{'<<': x}]", {"<<": "x"}),
    ],
)
def test_a_merge_takes_over_what_is_not_there(text: str, wanted: dict[str, str]) -> None:
    """From the first that has it; in quotes it is a key as others."""
    tree = plain(read(text))
    assert isinstance(tree, list)
    assert tree[-1] == wanted


@pytest.mark.timeout(20)
@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize("form", ["[{}]", "{{{}}}"])
def test_aliases_are_bounded(form: str) -> None:
    """A billion of laughs is told in no time."""
    rows = ["a0: &a0 [x]"]
    for row in range(1, 30):
        alias = f"*a{row - 1}"
        parts = [alias] * 9 if form == "[{}]" else [f"k{part}: {alias}" for part in range(9)]
        rows.append(f"a{row}: &a{row} " + form.format(", ".join(parts)))
    (mistake,) = mistakes("\n".join(rows))
    assert mistake.problem == "aliases bring more than 100000 values up to here"
    assert mistake.line == 6


@pytest.mark.timeout(20)
def test_merges_are_bounded() -> None:
    """They bring what aliases bring."""
    (mistake,) = mistakes(f"- &a {{{', '.join(f'k{row}: ' for row in range(999))}}}\n" + "- {<<: *a}\n" * 200)
    assert mistake == Mistake(52, 8, "aliases bring more than 100000 values up to here")


# --- Mistakes ---------------------------------------------------------------------------------------------------------

# Those that are found in what the parser gives: both give the same.
MISTAKES = {
    "a: 1\nb: 2\na: 3\na: 4": (
        (3, 1, "'a' is here a second time; the first is in line 1"),
        (4, 1, "'a' is here a second time; the first is in line 1"),
    ),
    "1: x\n'1': y": ((2, 1, "'1' is here a second time; the first is in line 1"),),
    "{[a]: b}": ((1, 2, "a key is a name, not a list or mapping; text that begins with [ or { needs quotes"),),
    "{{a: b}: c}": ((1, 2, "a key is a name, not a list or mapping; text that begins with [ or { needs quotes"),),
    "null: x": ((1, 1, "null is no key"),),
    "a: *x\nb: &x 1": ((1, 4, "there is no &x before this *x; text that begins with * needs quotes"),),
    "\ufeff\x01": ((1, 1, "the character U+0001 cannot stand in YAML"),),
    "\ufeffa: *x": ((1, 4, "there is no &x before this *x; text that begins with * needs quotes"),),
    "{[a]: *x}": (
        (1, 2, "a key is a name, not a list or mapping; text that begins with [ or { needs quotes"),
        (1, 7, "there is no &x before this *x; text that begins with * needs quotes"),
    ),
    "a: &x [*x]": ((1, 8, "*x stands within what it stands for"),),
    "a: &x {b: {c: *x}}": ((1, 15, "*x stands within what it stands for"),),
    "a: 1\n---\nb: 2\n---\nc: 3": ((2, 1, "a second document begins here; there can be one only"),),
    "a: !include x": ((1, 4, "the tag !include is not known; text that begins with ! needs quotes"),),
    "a: !x [b]\nc: !y {d: e}": (
        (1, 4, "the tag !x is not known; text that begins with ! needs quotes"),
        (2, 4, "the tag !y is not known; text that begins with ! needs quotes"),
    ),
    "!!python/object/apply:os.system [x]": (
        (1, 1, "the tag !!python/object/apply:os.system is not known; text that begins with ! needs quotes"),
    ),
    "a: !!binary eA==": ((1, 4, "the tag !!binary is not known; text that begins with ! needs quotes"),),
    "!!set {a}": ((1, 1, "the tag !!set is not known; text that begins with ! needs quotes"),),
    "[!!int x, !!null x, !!bool 1]": (
        (1, 2, "'x' is not what !!int says"),
        (1, 11, "'x' is not what !!null says"),
        (1, 21, "'1' is not what !!bool says"),
    ),
    "{<<: x, a: b}": ((1, 6, "<< takes the alias of a mapping, or a list of such"),),
    "{<<: [[a]], a: b}": ((1, 7, "<< takes the alias of a mapping, or a list of such"),),
    "{<<: *x, a: b}": ((1, 6, "there is no &x before this *x; text that begins with * needs quotes"),),
    "a: \x01": ((1, 4, "the character U+0001 cannot stand in YAML"),),
    "é: x\né: \x7f": ((2, 4, "the character U+007F cannot stand in YAML"),),
    "a: b\nc: \udcff": ((2, 4, "a byte here is no UTF-8"),),
    "[" * DEEPEST + "[" + "]" * DEEPEST + "]": (
        (1, DEEPEST + 1, f"more than {DEEPEST} lists and mappings are within each other here"),
    ),
}


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str) -> None:
    """All that there are, in the order of the text."""
    assert mistakes(text) == [Mistake(*row) for row in MISTAKES[text]]


INDENTATION = "this does not fit what is above it; is it indented rightly?"
MISSING = "a value is missing here, or a bracket above is not closed"
COLON = "a ':' cannot stand here; a value with ': ' in it needs quotes, and keys of one mapping stand in one column"

# After these nothing can be read, and the two tell some of them in other places.
UNREADABLE = {
    "a: 'x": (1, 4, "this quote is not closed"),
    'a: "x\n---\nb': (1, 4, "this quote is not closed"),
    'a: "\\d"': (1, 5, "this is no escape in double quotes; in single quotes a backslash is itself"),
    "a: b: c": (1, 5, COLON),
    "a: 1\n b: 2": (2, 3, COLON),
    "a: 1\nb\nc: 2": (2, 1, "there is no ':' after this key"),
    "a: [1\nb: 2": (1, 4, "this [ is not closed, or has no comma between two of its items"),
    "a: {b: 1": (1, 4, "this { is not closed, or has no comma between two of its entries"),
    "a:\n\t- b": (2, 1, "a tab cannot indent; blanks can"),
    "a: b\n\tc: d": (2, 1, "a tab cannot indent; blanks can"),
    "\ta: b": (1, 1, "a tab cannot indent; blanks can"),
    "a: |\n\tx": (2, 1, "a tab cannot indent; blanks can"),
    "- a\nb: c": (2, 1, INDENTATION),
    "a:\n  b: c\n d: e": (3, 2, INDENTATION),
    "a: [1,": (2, 1, MISSING),
    "a: ,": (1, 4, MISSING),
    "}": (1, 1, MISSING),
    "a: @b": (1, 4, "text that begins with @ needs quotes"),
    "a: `b": (1, 4, "text that begins with ` needs quotes"),
    "a: %b": (1, 4, "text that begins with % needs quotes"),
    "a: *.log": (1, 4, "text that begins with * or & needs quotes"),
    "a: & b": (1, 4, "text that begins with * or & needs quotes"),
    "a: |b": (1, 4, "text that begins with | or > needs quotes, or a new line behind that"),
    "a: - b": (1, 4, "a list cannot begin here; its '-' stand on lines of their own"),
    "  a: b\nc: d": (2, 1, INDENTATION),
    "a: !b!c d": (1, 4, "this tag is not known; text that begins with ! needs quotes"),
    "%YAML 3.0\n---\na": (1, 1, "this is no YAML: found incompatible YAML document"),
}


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="they are libyaml's places")
@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_yaml_is_told_in_plain_words(text: str) -> None:
    """Only the first such, and there is no tree."""
    assert read_yaml(text) == (EMPTY, [Mistake(*UNREADABLE[text])])


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML's own scanner reads it")
def test_a_colon_before_a_brace_is_told() -> None:
    """Which alone keeps its key from being one."""
    assert mistakes("{a:}") == [Mistake(1, 3, COLON)]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_yaml_is_told_without_libyaml_too(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same words, and in the same line or nearly so."""
    monkeypatch.setattr(yamltext, "_LOADER", yaml.SafeLoader)
    tree, (mistake,) = read_yaml(text)
    assert tree == EMPTY
    assert abs(mistake.line - UNREADABLE[text][0]) <= 1
    assert mistake.problem.startswith(UNREADABLE[text][2])


def test_escapes_beyond_unicode_are_told_without_libyaml_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scanner in Python takes halves of characters, and stumbles over what is no character."""
    monkeypatch.setattr(yamltext, "_LOADER", yaml.SafeLoader)
    half = "an escape in this text is half of a character; whole, it is \\U and eight digits"
    assert mistakes('a: "\\ud800"') == [Mistake(1, 4, half)]
    (mistake,) = mistakes('a: "\\U00110000"')
    assert mistake.problem.startswith("this is no YAML: ")


@pytest.mark.timeout(20)
@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 50_000, "? " * 50_000])
def test_what_is_nested_deeply_is_told(text: str) -> None:
    """Before anything overflows."""
    (mistake,) = mistakes(text)
    assert mistake.problem == f"more than {DEEPEST} lists and mappings are within each other here"


# --- Whatever is written ----------------------------------------------------------------------------------------------


@given(st.text() | st.text(alphabet="ab:- \n\t{}[],&*!|>'\"%@`#?<~\\x0"))
def test_any_text_is_read_or_told(text: str) -> None:
    """Never an exception, and each mistake stands in the text or at its end."""
    for mistake in mistakes(text):
        assert 1 <= mistake.line <= len(text) + 2
        assert 1 <= mistake.column <= len(text) + 2


@given(st.text(alphabet="ab:- \n{}[],&*!|>'\"#?<~0"))
def test_what_is_read_is_what_pyyaml_reads(text: str) -> None:
    """Wherever it gives a tree and this no mistakes: the shapes are the same, and so are texts."""
    tree, told = read_yaml(text)
    if told:
        return
    wanted = yaml.load(text, Loader=yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader)
    if plain(tree) == {}:
        assert wanted in ("", "~", None, {})
    elif "<<" not in text:
        assert plain(tree) == wanted
