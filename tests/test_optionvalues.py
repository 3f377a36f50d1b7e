"""From texts of options to values."""

from collections.abc import Callable

import pytest

from haproxy_log_exporter.choice import MetricChoice
from haproxy_log_exporter.optionvalues import (
    read_bound,
    read_buckets,
    read_duration,
    read_metric,
    read_most_values,
    read_switch,
    read_text,
    whole_number,
)


def refusal(read: Callable[[str], object], text: str) -> str:
    """Give the words with which a text is refused."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        read(text)
    return str(caught.value)


# --- Metrics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels", "buckets"),
    [
        ("requests_total", None, None),
        ("requests_total:", None, None),
        ("requests_total::", None, None),
        ("requests_total:status_code", ("status_code",), None),
        ("requests_total:status_code:", ("status_code",), None),
        ("requests_total:b,a,b", ("b", "a"), None),
        ("requests_total::0.01,0.1,1", None, ("0.01", "0.1", "1")),
        ("requests_total:a,b:0.01,1", ("a", "b"), ("0.01", "1")),
        (" requests_total : a , b : 0 , 1 ", ("a", "b"), ("0", "1")),
    ],
)
def test_a_metric_has_labels_and_buckets(
    text: str, labels: tuple[str, ...] | None, buckets: tuple[str, ...] | None
) -> None:
    """What is left out is None, each label counts once, and blanks around a part are nothing."""
    found = read_metric(text)
    assert found == MetricChoice("requests_total", labels, buckets)
    assert found.place == "--metric"


FORM = "it is NAME, NAME:LABELS or NAME:LABELS:BUCKETS, with commas within these"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"'' is no metric; {FORM}"),
        (":a", f"':a' is no metric; {FORM}"),
        (" :a:1", f"' :a:1' is no metric; {FORM}"),
        ("m:a:1:2", f"'m:a:1:2' is no metric; {FORM}"),
        ("m:::", f"'m:::' is no metric; {FORM}"),
        ("m:a,", "'m:a,' has a label without a name"),
        ("m:a,,b", "'m:a,,b' has a label without a name"),
        ("m:,", "'m:,' has a label without a name"),
        ("m::x", "'x' is not a bucket's upper bound: a number from 0"),
        ("m::1,", "'' is not a bucket's upper bound: a number from 0"),
        ("m::-1", "'-1' is not a bucket's upper bound: a number from 0"),
        ("m::inf", "'inf' is not a bucket's upper bound: a number from 0"),
        ("m::1,nan", "'nan' is not a bucket's upper bound: a number from 0"),
        ("m::2, 1", "2,1 does not ascend"),
        ("m::1,1.0", "1,1.0 does not ascend"),
    ],
)
def test_what_is_no_metric(text: str, message: str) -> None:
    """It is told what is wrong, and what would be right."""
    assert refusal(read_metric, text) == message


def test_buckets_from_nought() -> None:
    """Lengths of queues begin at 0, durations do not; their texts stay."""
    assert read_buckets("0,1e-3,.5,1,10") == ("0", "1e-3", ".5", "1", "10")
    assert read_bound("0.005") == "0.005"
    with pytest.raises(ValueError, match="'0' is not a number of seconds above 0"):
        read_bound("0")


@pytest.mark.parametrize("text", ["1_000", "٣", "0x1", "1 0", "one"])
def test_a_bucket_is_a_number_as_prometheus_writes_it(text: str) -> None:
    """Not all that Python takes for one."""
    with pytest.raises(ValueError, match="is not a bucket's upper bound"):
        read_buckets(text)
    with pytest.raises(ValueError, match="is not a number of seconds"):
        read_bound(text)


# --- Limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1", ("", 1)),
        ("10000000", ("", 10_000_000)),
        ("status_code=5", ("status_code", 5)),
        ("_x1=10000000", ("_x1", 10_000_000)),
    ],
)
def test_values_of_a_label_or_of_each(text: str, found: tuple[str, int]) -> None:
    """Without a label it is for each."""
    assert read_most_values(text) == found


NO_NUMBER = "is not a whole number from 1 to 10000000"
NO_LABEL = "is no label; it is N, or LABEL=N"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"'' {NO_NUMBER}"),
        ("0", f"'0' {NO_NUMBER}"),
        ("10000001", f"'10000001' {NO_NUMBER}"),
        ("status_code", f"'status_code' {NO_NUMBER}"),
        ("status_code=", f"'' {NO_NUMBER}"),
        ("status_code=0", f"'0' {NO_NUMBER}"),
        ("status_code= 5", f"' 5' {NO_NUMBER}"),
        ("=5", f"'' {NO_LABEL}"),
        ("status-code=5", f"'status-code' {NO_LABEL}"),
        ("1a=5", f"'1a' {NO_LABEL}"),
        ("a=b=5", f"'a=b' {NO_LABEL}"),
        ("é=5", f"'é' {NO_LABEL}"),
    ],
)
def test_what_is_no_limit(text: str, message: str) -> None:
    """The label and the number are looked at by themselves."""
    assert refusal(read_most_values, text) == message


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("1s", 1), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600)),
        *(("1h30m", 5400), ("0d1s", 1), ("1w1d1h1m1s", 694_861), ("1m1h", 3660)),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    """As Prometheus writes them, in parts or not."""
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "0h0m", "5", "1.5h", "-1d", "+1d", "1 d", "d", "1y", "1ms", "7D", "٣d"]
)
def test_what_is_no_duration(text: str) -> None:
    """Neither none nor anything without a unit."""
    assert refusal(read_duration, text) == f"{text!r} is not a duration above 0; it is 90s, 30m, 12h, 7d or 2w"


# --- Others -----------------------------------------------------------------------------------------------------------


def test_switches() -> None:
    """In any case of letters."""
    assert [read_switch(text) for text in ("true", "True", "false", "FALSE")] == [True, True, False, False]
    for text in ("", "yes", "1", "on", " true"):
        assert refusal(read_switch, text) == f"{text!r} is neither true nor false"


@pytest.mark.parametrize("text", ["4", "7", "", "05", "5.0", "5e0", "+5", " 5", "5\n", "٥", "five"])
def test_whole_numbers(text: str) -> None:
    """From the least to the most, written as one does."""
    read: Callable[[str], int] = whole_number(5, 6)
    assert (read("5"), read("6")) == (5, 6)
    assert refusal(read, text) == f"{text!r} is not a whole number from 5 to 6"


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_texts_are_not_empty(text: str) -> None:
    """Blanks alone are nothing; around something they stay."""
    assert read_text(" a ") == " a "
    with pytest.raises(ValueError, match=r"^is empty$"):
        read_text(text)
