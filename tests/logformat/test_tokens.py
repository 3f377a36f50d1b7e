import pytest

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.logformat.tokens import Item, complain, tokenize


def text(position: int, literal: str) -> Item:
    """Write literal text as an item."""
    return Item(position, text=literal)


def value(position: int, name: str, *flags: str, label: str = "") -> Item:
    """Write a value as an item."""
    return Item(position, name=name, label=label, flags=frozenset(flags))


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("", []),
        ("%ci", [value(0, "ci")]),
        ("%ci:%cp", [value(0, "ci"), text(3, ":"), value(4, "cp")]),
        ("%ac%fc", [value(0, "ac"), value(3, "fc")]),
        ("plain", [text(0, "plain")]),
    ],
)
def test_values_and_literals_alternate(source: str, items: list[Item]) -> None:
    """log-format = *( literal / "%%" / value ), where adjacent literals are one item."""
    assert tokenize(source) == items


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("100%%", [text(0, "100%")]),
        ("%%ci", [text(0, "%ci")]),
        ("%%%ci", [text(0, "%"), value(2, "ci")]),
        ("%%%%", [text(0, "%%")]),
        (r"a\ b", [text(0, "a b")]),
        (r"\"%b\"", [text(0, '"'), value(2, "b"), text(4, '"')]),
        (r"\%ci", [text(0, "%ci")]),
        (r"\\%ci", [text(0, "\\"), value(2, "ci")]),
        ("%ci\\", [value(0, "ci"), text(3, "\\")]),
    ],
)
def test_a_percent_sign_and_a_backslash_make_literals(source: str, items: list[Item]) -> None:
    r"""Literal = "%%" / "\" CHAR."""
    assert tokenize(source) == items


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("a  b", [text(0, "a b")]),
        ("%ci   %cp", [value(0, "ci"), text(3, " "), value(6, "cp")]),
        ("a \t b", [text(0, "a b")]),
        ("  %ci", [value(2, "ci")]),
        ("%ci  ", [value(0, "ci"), text(3, " ")]),
        # HAProxy merges escaped ones as well: "%ci\ \ x" and "a\ \ b  c" were sent by 2.6 with single blanks.
        (r"%ci\ \ x", [value(0, "ci"), text(3, " x")]),
        (r"a\ \ b  c", [text(0, "a b c")]),
        (r"%ci \ d", [value(0, "ci"), text(3, " d")]),
    ],
)
def test_blanks_are_merged(source: str, items: list[Item]) -> None:
    """Literal = 1*BLANK: one blank, and none at the start of a line."""
    assert tokenize(source) == items


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("%{+Q}r", [value(0, "r", "Q")]),
        ("%{+Q,+E}r", [value(0, "r", "Q", "E")]),
        ("%{+X, +Q}ci", [value(0, "ci", "X", "Q")]),
        ("%{+Q,-Q}r", [value(0, "r")]),
        ("%{-Q}r", [value(0, "r")]),
        ("%(name)ci", [value(0, "ci", label="name")]),
        ("%(status:sint)ST", [value(0, "ST", label="status")]),
        ("%(sni){+Q}[ssl_fc_sni]", [value(0, "[ssl_fc_sni]", "Q", label="sni")]),
    ],
)
def test_values_have_names_and_flags(source: str, items: list[Item]) -> None:
    """Value = "%" [ "(" name [ ":" type ] ")" ] [ "{" flags "}" ] alias."""
    assert tokenize(source) == items


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("%{+Q}o%b%s", [value(6, "b", "Q"), value(8, "s", "Q")]),
        ("%b%{+Q}o%s", [value(0, "b"), value(8, "s", "Q")]),
        ("%{+Q}o %{-Q}ci %b", [value(7, "ci"), text(14, " "), value(15, "b", "Q")]),
        ("%{+Q}o %{+X}ci", [value(7, "ci", "Q", "X")]),
        ("%{+Q}o%{-Q,+E}o%b", [value(15, "b", "E")]),
        ("%o%b", [value(2, "b")]),
    ],
)
def test_flags_of_o_hold_for_all_that_follows(source: str, items: list[Item]) -> None:
    """`%o` prints nothing; a value's own flags add to it or take from it, for itself."""
    assert tokenize(source) == items


@pytest.mark.parametrize(
    "expression",
    [
        "[fc_err]",
        "[ssl_fc_err,hex]",
        "[capture.req.hdr(0),lower]",
        "[req.hdr(host),regsub('a]b','[x]',g)]",
        '[str("]")]',
        r"[str(\])]",
        "[var(txn.a),map(/x[1].map)]",
    ],
)
def test_an_expression_ends_at_its_own_bracket(expression: str) -> None:
    """Expression = "[" *( quoted / nested brackets / CHAR ) "]": quotes and nested brackets are part of it."""
    assert tokenize(f"a%{expression}]") == [text(0, "a"), value(1, expression), text(2 + len(expression), "]")]


@pytest.mark.parametrize(
    ("source", "place", "problem"),
    [
        ("%ci % x", 4, "a % must be followed by"),
        ("%ci %", 4, "a % must be followed by"),
        ("%1", 0, "a % must be followed by"),
        ("%{+Q}", 0, "a % must be followed by"),
        ("x %{+Q", 3, "this flag list has no closing '}'"),
        ("%ci %{+Z}r", 5, "unknown flag '+Z'"),
        ("%{Q}r", 1, "unknown flag 'Q'"),
        ("%{+Q,}r", 1, "unknown flag ''"),
        ("a%(name", 2, "this name has no closing ')'"),
        ("ab %[ssl_fc_sni", 4, "this expression has no closing ']'"),
        ("%[str(']')", 1, "this expression has no closing ']'"),
    ],
)
def test_a_mistake_is_shown_with_a_caret_under_its_place(source: str, place: int, problem: str) -> None:
    """The message says what is wrong, then shows the string, then where."""
    with pytest.raises(UsageError) as caught:
        tokenize(source)
    first, shown, caret = str(caught.value).split("\n")
    assert first.startswith(f"log-format: {problem}")
    assert shown == f"    {source}"
    assert caret == " " * (4 + place) + "^"


def test_complain_shows_any_place() -> None:
    """What others find wrong with a log-format is shown the same way."""
    with pytest.raises(UsageError) as caught:
        complain("%ci %cp", 4, "not that one")
    assert caught.value.messages == ("log-format: not that one\n    %ci %cp\n        ^",)
