import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.labels.rules import Action, Rule, apply_rules, read_match, read_replacement


def replace(match: str, replacement: str) -> Rule:
    """Make a rule that replaces."""
    pattern = read_match(match)
    return Rule(pattern, Action.REPLACE, read_replacement(replacement, pattern))


def keep(match: str) -> Rule:
    """Make a rule that keeps lines."""
    return Rule(read_match(match), Action.KEEP)


def drop(match: str) -> Rule:
    """Make a rule that drops lines."""
    return Rule(read_match(match), Action.DROP)


# --- What rules do ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "replacement", "value", "wanted"),
    [
        ("/api/(.*)", "/$1", "/api/users", "/users"),
        ("/api/(.*)", "/${1}s", "/api/user", "/users"),
        ("/(?P<version>v[0-9]+)/.*", "/$version", "/v2/users", "/v2"),
        ("/(?P<version>v[0-9]+)/.*", "/${version}x", "/v2/users", "/v2x"),
        ("(a)(b)?", "<$1$2>", "a", "<a>"),
        ("a", "$$1", "a", "$1"),
        ("a", "$$$0$$", "a", "$a$"),
        ("a", "", "a", ""),
        ("", "none", "", "none"),
        ("a.b", "x", "a\nb", "x"),
        ("(?i)ABC", "x", "abc", "x"),
        ("(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)", "$10$1", "0123456789", "90"),
    ],
)
def test_a_match_is_replaced(match: str, replacement: str, value: str, wanted: str) -> None:
    """Groups are named as in Prometheus; one that took no part is empty."""
    assert apply_rules([replace(match, replacement)], value) == wanted


@pytest.mark.parametrize(
    ("match", "value"),
    [("b", "abc"), ("a", "ab"), ("b", "ab"), ("a|ab", "abc"), ("a", "a\n"), ("", "a"), (r"\d", "٣"), (r"\w", "é")],
)
def test_a_regex_matches_all_of_the_value_or_nothing(match: str, value: str) -> None:
    r"""As if it stood between ^ and $, and \d and \w are those of ASCII, as in RE2."""
    assert apply_rules([replace(match, "x")], value) == value
    assert apply_rules([keep(match)], value) is None
    assert apply_rules([drop(match)], value) == value


def test_alternatives_are_anchored_each() -> None:
    """A shorter one that comes first does not hide the longer."""
    assert apply_rules([replace("a|ab", "x")], "ab") == "x"


def test_lines_are_kept_or_dropped() -> None:
    """None is a line that is dropped."""
    assert apply_rules([keep("/api/.*")], "/api/x") == "/api/x"
    assert apply_rules([keep("/api/.*")], "/x") is None
    assert apply_rules([drop("/health")], "/health") is None
    assert apply_rules([drop("/health")], "/healthy") == "/healthy"


def test_rules_apply_in_order_each_to_what_the_one_before_left() -> None:
    """All of them: a match does not end it, but a dropped line does."""
    assert apply_rules([replace("a(.*)", "b$1"), replace("b(.*)", "c$1")], "a1") == "c1"
    assert apply_rules([replace("b(.*)", "c$1"), replace("a(.*)", "b$1")], "a1") == "b1"
    assert apply_rules([replace("a", "b"), drop("b")], "a") is None
    assert apply_rules([drop("b"), replace("a", "b")], "a") == "b"
    assert apply_rules([replace("a", "b"), keep("b"), replace("b", "c")], "a") == "c"
    assert apply_rules([], "a") == "a"


def test_equal_rules_are_equal() -> None:
    """So that a reload sees what has changed."""
    assert replace("a(.)", "$1") == replace("a(.)", "${1}")
    assert hash(replace("a(.)", "$1")) == hash(replace("a(.)", "${1}"))
    assert replace("a(.)", "$1") != replace("a(.)", "$$1")
    assert replace("a(.)", "x") != replace("b(.)", "x")
    assert keep("a") == keep("a")
    assert keep("a") != drop("a")


# --- Mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "reason"),
    [
        ("(", "missing ), unterminated subpattern at position 0"),
        ("a**", "multiple repeat at position 2"),
        ("a)", "unbalanced parenthesis at position 1"),
        ("[a", "unterminated character set at position 0"),
        (r"\pL", r"bad escape \p at position 0"),
        ("(?<n>a)", "unknown extension ?<n at position 1"),
        ("[[:digit:]]", r"possible nested set at position 1; a bracket itself is \["),
        ("a(?i)", "global flags not at the start of the expression at position 1"),
        ("(?u)a", "ASCII and UNICODE flags are incompatible"),
        ("a{99999999999}", "the repetition number is too large"),
        ("(" * 5000 + ")" * 5000, "it is nested too deeply"),
    ],
)
def test_a_broken_regex_is_told(match: str, reason: str) -> None:
    """With Python's reason, and the position where there is one."""
    with pytest.raises(ValueError, match=f"^{re.escape(f'the regex {match!r} is broken: {reason}')}$"):
        read_match(match)


@pytest.mark.parametrize(
    ("match", "replacement", "problem"),
    [
        ("(a)", "$2", "the regex '(a)' has no group 2"),
        ("a", "$1", "the regex 'a' has no group 1"),
        ("(a)", "${2}", "the regex '(a)' has no group 2"),
        ("(a)", "$01", "the regex '(a)' has no group 01"),
        ("(a)", "$x", "the regex '(a)' has no group x"),
        ("(a)", "$1x", "the regex '(a)' has no group 1x; ${1}x is group 1 before 'x'"),
        ("(a)", "$1_$2", "the regex '(a)' has no group 1_; ${1}_ is group 1 before '_'"),
        ("(a)", "$" + "9" * 5000, f"the regex '(a)' has no group {'9' * 5000}"),
        ("(a)", "x$", "the $ at position 1 of 'x$' names no group; it is $1 or ${1}, and $$ a $"),
        ("(a)", "$-", "the $ at position 0 of '$-' names no group; it is $1 or ${1}, and $$ a $"),
        ("(a)", "${1", "the $ at position 0 of '${1' names no group; it is $1 or ${1}, and $$ a $"),
        ("(a)", "${}", "the $ at position 0 of '${}' names no group; it is $1 or ${1}, and $$ a $"),
        ("(a)", "$$$", "the $ at position 2 of '$$$' names no group; it is $1 or ${1}, and $$ a $"),
    ],
)
def test_a_dollar_that_is_no_group_is_told(match: str, replacement: str, problem: str) -> None:
    """Prometheus takes a group that is not there for an empty text, which nobody means."""
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        read_replacement(replacement, read_match(match))


# --- Whatever is written ----------------------------------------------------------------------------------------------


@given(st.text(alphabet="ab()[]{}|*+?\\$^.:<>!=P0123456789,iuLxms-#é\n"))
def test_any_regex_is_compiled_or_told(text: str) -> None:
    """Nothing but a ValueError is raised."""
    problem = ""
    try:
        assert read_match(text).pattern == text
    except ValueError as error:
        problem = str(error)
    assert not problem or problem.startswith(
        (f"the regex {text!r} is broken: ", f"the regex {text!r} may take forever: ")
    )


@given(st.text(alphabet="$ab{}_0123é\\"), st.text(alphabet="ab"))
def test_any_replacement_is_read_or_told(replacement: str, value: str) -> None:
    """What is read can be applied; a text without a dollar is itself."""
    pattern = read_match("(?P<a>.?)(b?).*")
    try:
        parts = read_replacement(replacement, pattern)
    except ValueError:
        assert "$" in replacement
        return
    result = apply_rules([Rule(pattern, Action.REPLACE, parts)], value)
    assert isinstance(result, str)
    if "$" not in replacement:
        assert result == replacement


@given(st.text())
def test_a_text_with_doubled_dollars_is_itself(text: str) -> None:
    """Any text can be written."""
    assert apply_rules([replace(".*", text.replace("$", "$$"))], "a") == text
