from dataclasses import replace

import pytest

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.logformat.tokens import Item, complain, tokenize


def text(position: int, literal: str) -> Item:
    """Write literal text as an item."""
    return Item(position, text=literal)


def value(position: int, name: str, *flags: str, label: str = "", type_: str = "") -> Item:
    """Write a value as an item."""
    return Item(position, name=name, label=label, type=type_, flags=frozenset(flags))


def read(source: str) -> list[Item]:
    """Read a log-format, leaving aside how its items are written."""
    return [replace(item, written="") for item in tokenize(source)]


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
    assert read(source) == items


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("100%%", [text(0, "100%")]),
        ("%%ci", [text(0, "%ci")]),
        ("%%%ci", [text(0, "%"), value(2, "ci")]),
        ("%%%%", [text(0, "%%")]),
        (r"a\ b", [text(0, "a b")]),
        (r"\"%b\"", [text(0, '"'), value(2, "b"), text(4, '"')]),
        (r"\%ci", [text(0, "\\"), value(1, "ci")]),
        (r"\\%ci", [text(0, "\\"), value(2, "ci")]),
        ("%ci\\", [value(0, "ci"), text(3, "\\")]),
    ],
)
def test_a_percent_sign_and_a_backslash_make_literals(source: str, items: list[Item]) -> None:
    r"""Literal = "%%" / "\" CHAR."""
    assert read(source) == items


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("a  b", [text(0, "a b")]),
        ("%ci   %cp", [value(0, "ci"), text(3, " "), value(6, "cp")]),
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
    assert read(source) == items


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("a \t b", [text(0, "a \t b")]),
        ("%ci\t\t%cp", [value(0, "ci"), text(3, "\t\t"), value(5, "cp")]),
        ("\t%ci", [text(0, "\t"), value(1, "ci")]),
    ],
)
def test_a_tab_is_no_blank(source: str, items: list[Item]) -> None:
    """HAProxy merges blanks alone: "%ci<tab>x <tab> y" was sent by 2.6 as it stands."""
    assert read(source) == items


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("%.x", [text(0, ".x")]),
        ("a%-%ci%;", [text(0, "a-"), value(3, "ci"), text(6, ";")]),
        ("%/%%", [text(1, "/%")]),
    ],
)
def test_a_percent_sign_before_another_sign_vanishes(source: str, items: list[Item]) -> None:
    """2.6 sent "%.x %-y %;" as ".x -y ;"."""
    assert [replace(item, position=0) for item in read(source)] == [replace(item, position=0) for item in items]


@pytest.mark.parametrize(
    ("source", "items"),
    [("%ci1", [value(0, "ci1")]), ("%h2o", [value(0, "h2o")]), ("%{+Q}1", [value(0, "1", "Q")])],
)
def test_the_name_of_an_alias_may_hold_digits(source: str, items: list[Item]) -> None:
    """So `%ci1` is an alias that there is not, and no `%ci` with a 1 behind it."""
    assert read(source) == items


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("%{+Q}r", [value(0, "r", "Q")]),
        ("%{+Q,+E}r", [value(0, "r", "Q", "E")]),
        ("%{+X, +Q}ci", [value(0, "ci", "X", "Q")]),
        ("%{+Q,-Q}r", [value(0, "r")]),
        ("%{-Q}r", [value(0, "r")]),
        ("%(name)ci", [value(0, "ci", label="name")]),
        ("%(status:sint)ST", [value(0, "ST", label="status", type_="sint")]),
        ("%(sni){+Q}[ssl_fc_sni]", [value(0, "[ssl_fc_sni]", "Q", label="sni")]),
        ("%(a-b_C9:str)b", [value(0, "b", label="a-b_C9", type_="str")]),
        ("%()b", [value(0, "b")]),
        ("%{+json,+bin}b", [value(0, "b", "json", "bin")]),
    ],
)
def test_values_have_names_and_flags(source: str, items: list[Item]) -> None:
    """Value = "%" [ "(" name [ ":" type ] ")" ] [ "{" flags "}" ] alias."""
    assert read(source) == items


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("{}", ""),
        ("{Q}", ""),
        ("{+Q,}", "Q"),
        ("{+Z}", ""),
        ("{+q}", ""),
        ("{+Q,+Z,+X}", "QX"),
        ("{z+Q}", "Q"),
        ("{-+Q}", "Q"),
        ("{+Q,z-Q}", ""),
        ("{+ Q}", ""),
        ("{+Q }", ""),
    ],
)
def test_unknown_flags_are_ignored(flags: str, found: str) -> None:
    """HAProxy 2.6 takes what is behind a word's last sign, and knows it or not."""
    assert read(f"%{flags}b") == [value(0, "b", *found)]


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
    assert read(source) == items


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
    assert read(f"a%{expression}]") == [text(0, "a"), value(1, expression), text(2 + len(expression), "]")]


@pytest.mark.parametrize(
    ("source", "place", "problem"),
    [
        ("%ci % x", 4, "a % must be followed by"),
        ("%ci %", 4, "a % must be followed by"),
        ("%1", 0, "a % must be followed by"),
        ("x %\t", 2, "a % must be followed by"),
        ("%{+Q}", 0, "a % must be followed by"),
        ("%{+Q}.x", 0, "a % must be followed by"),
        ("a %(b) x", 2, "a % must be followed by"),
        ("x %{+Q", 3, "this flag list has no closing '}'"),
        ("a%(name", 2, "a name is letters, digits, _ and -, closed by ')'"),
        ("a%(na me)b", 2, "a name is letters, digits, _ and -, closed by ')'"),
        ("%(é)b", 1, "a name is letters, digits, _ and -, closed by ')'"),
        ("%(name:int)b", 7, "unknown type 'int'; there are str, sint, bool"),
        ("ab %[ssl_fc_sni", 4, "this expression has no closing ']'"),
        ("%[str(']')", 1, "this expression has no closing ']'"),
        ("%[str(a", 5, "this list of arguments has no closing )"),
        ("%[str('a)]", 5, "this list of arguments has no closing '"),
        ("%[]", 2, "the name of a sample or a converter is missing here"),
        ("%[src,]", 6, "the name of a sample or a converter is missing here"),
        ("%[src ]", 1, "this expression has no closing ']'"),
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


@pytest.mark.parametrize(
    ("source", "items"),
    [
        (
            "%{+json}o %(a)ci x %b %(c:sint){+Q}ST",
            [
                text(10, '{"a": '),
                value(10, "ci", "json", label="a"),
                text(22, ', "c": '),
                value(22, "ST", "json", "Q", label="c", type_="sint"),
                text(4, "}"),
            ],
        ),
        ("%{+json}o %(a){-json}b", [text(10, '{"a": '), value(10, "b", "json", label="a"), text(2, "}")]),
        ("%{+json}o %b", [text(0, "{}")]),
        ("%(a)b %{+json}o", [text(0, '{"a": '), value(0, "b", "json", label="a"), text(2, "}")]),
    ],
)
def test_json_for_all_makes_an_object_of_what_has_a_name(source: str, items: list[Item]) -> None:
    """The literals of the format are not printed, nor what has no name, and no item can be left out of it."""
    assert read(source) == items


def test_json_that_not_every_o_asks_for_makes_no_object() -> None:
    """Its literals are printed as they stand."""
    assert read("%{+json}o %(a)b %{-json}o%(c)s") == [
        value(10, "b", "json", label="a"),
        text(15, " "),
        value(25, "s", label="c"),
    ]


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("%ci:%{+Q}[src,hex]x%%", ["%ci", ":", "%{+Q}[src,hex]", "x%%"]),
        (r"  a\ b  %(n:str){+Q}r", [r"a\ b  ", "%(n:str){+Q}r"]),
        ("%{+Q}o %b%{-Q}o %s", ["%b", " ", "%s"]),
    ],
)
def test_items_tell_how_they_are_written(source: str, written: list[str]) -> None:
    """As it stands in the string, quoting and all, which `explain` shows."""
    assert [item.written for item in tokenize(source)] == written


def test_complain_shows_any_place() -> None:
    """What others find wrong with a log-format is shown the same way."""
    with pytest.raises(UsageError) as caught:
        complain("%ci %cp", 4, "not that one")
    assert caught.value.messages == ("log-format: not that one\n    %ci %cp\n        ^",)
