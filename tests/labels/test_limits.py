from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_log_exporter.labels.columns import count_capped
from haproxy_log_exporter.labels.limits import CAPPED, MOST_VALUES, OTHER, Admission, Admissions, Limits
from tests.metrics import patient

VALUES = st.sampled_from(["", OTHER, *"abcdefgh"])


def test_value_that_has_no_place_can_be_told_from_one_that_is_called_so() -> None:
    """Both are the label's value `other`, and one of them is counted as capped."""
    assert CAPPED == OTHER
    assert CAPPED is not OTHER
    assert count_capped([OTHER, CAPPED, "oth" + "er", "x", CAPPED]) == 2
    admission = Admission("label", 0)
    assert admission.admit(OTHER) is not CAPPED
    assert admission.admit("x") is CAPPED
    assert admission.admit("oth" + "er") is not CAPPED


def test_each_label_has_its_limit() -> None:
    """There are few methods; what is given for a label comes before what is given for all."""
    assert Limits().most("http_request_method") == 20
    assert Limits().most("http_request_path") == MOST_VALUES == 1000
    limits = Limits(5, (("ssl", 2),))
    assert [limits.most(label) for label in ("ssl", "http_request_method")] == [2, 5]


@patient
@given(st.lists(st.lists(VALUES, max_size=12), max_size=4), st.integers(0, 6))
def test_first_values_have_the_places(blocks: list[list[str]], most: int) -> None:
    """A value keeps its place, those that come when all are taken are `other`; neither that nor "" takes one."""
    admission = Admission("label", most)
    placed: list[str] = []
    for value in (value for block in blocks for value in block):
        if value not in (*placed, "", OTHER) and len(placed) < most:
            placed.append(value)
        given_value = admission.admit(value)
        assert given_value == (value if value in (*placed, "", OTHER) else OTHER)
        assert (given_value is CAPPED) == (value not in (*placed, "", OTHER))
        assert admission.taken == len(placed)
        assert admission.is_full == (len(placed) >= most)


def test_nothing_is_capped_while_there_are_places() -> None:
    """Whoever counts lines without a place needs to look at none until all are taken."""
    admission = Admission("label", 3)
    for value in ("a", "b", "", OTHER, "a"):
        assert admission.admit(value) is not CAPPED
        assert not admission.is_full
    assert admission.admit("c") == "c"
    assert admission.is_full
    assert admission.admit("d") is CAPPED


def test_values_that_are_there_keep_their_places() -> None:
    """However many they are: what comes then has none."""
    admission = Admission("label", 2)
    admission.keep(["a", "b", "c", "", "oth" + "er"])
    assert admission.taken == 3
    assert [admission.admit(value) for value in ("c", "d", "a", "")] == ["c", OTHER, "a", ""]
    assert admission.admit("oth" + "er") is not CAPPED


def test_values_that_are_not_used_give_their_places_back() -> None:
    """To whatever comes first then; "" and `other` are always there."""
    admission = Admission("label", 2)
    for value in ("a", "b", "c"):
        admission.admit(value)
    admission.retain({"b", "not admitted", OTHER})
    assert [*admission.values] == ["", OTHER, "b"]
    assert admission.admit("c") == "c"
    assert admission.admit("a") is CAPPED
    admission.retain({OTHER, ""})
    assert admission.taken == 0
    assert admission.admit(OTHER) is not CAPPED


@pytest.mark.parametrize(("most", "nearly"), [(10, 8), (1000, 800), (20, 16), (1, 1), (3, 3)])
def test_label_is_nearly_full_from_four_fifths_on(most: int, nearly: int) -> None:
    """Whoever set the limit can be told in time."""
    admission = Admission("label", most)
    for number in range(nearly):
        assert not admission.is_nearly_full
        admission.admit(str(number))
    assert admission.is_nearly_full


def test_admissions_are_one_for_each_label() -> None:
    """Whoever asks first: all formats and tables share the places of a label."""
    admissions = Admissions(Limits(2, (("a", 1),)))
    assert admissions.of("a") is admissions.of("a")
    assert [admissions.of(label).most for label in "ab"] == [1, 2]
    for label in "ab":
        for value in "xyz":
            admissions.of(label).admit(value)
    assert {each.label: each.taken for each in admissions.all()} == {"a": 1, "b": 2}
    admissions.retain({"b": {"y"}})
    assert {each.label: [*each.values][2:] for each in admissions.all()} == {"a": [], "b": ["y"]}


@patient
@given(st.lists(VALUES, max_size=30), st.integers(0, 4))
def test_capped_values_are_counted_exactly(values: list[str], most: int) -> None:
    """As many as are given `other` without being called so."""
    admission = Admission("label", most)
    admitted = [admission.admit(value) for value in values]
    assert count_capped(admitted) == Counter(admitted)[OTHER] - values.count(OTHER)


def test_what_is_certain_has_places_from_the_start() -> None:
    """As many as there may be, whatever else comes, and they are never given back."""
    admission = Admission("label", 2, ("a", "", "b", "a", OTHER, "c"))
    assert [*admission.values] == ["", OTHER, "a", "b"]
    assert admission.is_full
    assert [admission.admit(value) for value in ("a", "b", "c")] == ["a", "b", OTHER]
    admission.retain(set())
    assert [*admission.values] == ["", OTHER, "a", "b"]
    admissions = Admissions(Limits(5), {"path": ("/a",)})
    assert [admissions.of(label).taken for label in ("path", "code")] == [1, 0]


def test_values_that_may_never_come_have_half_of_the_places() -> None:
    """Rounded up, so that one place may be theirs; what lines bring finds the others, and takes none from them."""
    for most, reserved in ((1, "a"), (2, "a"), (5, "abc"), (6, "abc"), (0, "")):
        admission = Admission("label", most)
        assert [value for value in "abcdefgh" if admission.reserve(value)] == [*reserved]
        assert admission.taken == len(reserved)
        assert all(map(admission.reserve, ("", OTHER, *reserved)))
        assert [value for value in "stuvwxyz" if admission.admit(value) is not CAPPED] == [
            *"stuvwxyz"[: most - len(reserved)]
        ]


def test_a_value_that_has_a_place_needs_no_other() -> None:
    """Whatever it has it for, and however full the label is."""
    admission = Admission("label", 3, ("certain",))
    for value in ("met", "too"):
        admission.admit(value)
    assert admission.is_full
    assert [admission.reserve(value) for value in ("certain", "met", "too", "new")] == [True, True, True, False]
    assert admission.taken == 3
    admission.retain({"too"})
    assert [admission.reserve("new"), admission.taken] == [False, 2]


def test_what_is_certain_stays_beside_what_is_used() -> None:
    """And "" and `other` stay what they are: what is called so can still be told from what has no place."""
    admission = Admission("label", 3, ("certain",))
    for value in ("a", "b", "c"):
        admission.admit(value)
    admission.retain({"b", "c", "", CAPPED})
    assert {*admission.values} == {"", OTHER, "certain", "b"}
    assert admission.admit("oth" + "er") is OTHER, "lines without a place are in label sets, too"
    admission.keep([CAPPED])
    assert admission.admit(OTHER) is OTHER
    assert admission.admit("c") == "c"
    assert admission.admit("d") is CAPPED
    admission.keep(["e", "certain"])
    assert [admission.taken, admission.admit("e"), admission.is_full] == [4, "e", True]
