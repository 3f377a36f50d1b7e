"""What a user did wrong: messages that are gathered, and the name that was meant."""

import pytest

from haproxy_log_exporter.errors import UsageError, collecting, hint
from haproxy_log_exporter.labels.catalogue import Fillable
from haproxy_log_exporter.planning import find_mistakes
from tests.test_engine import choose

KNOWN = ("status_code", "status_class", "server_name", "request_header_1, …", "ssl")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("status_cod", "status_code"),
        ("statuscode", "status_code"),
        ("servername", "server_name"),
        ("sever_name", "server_name"),
        ("status_clas", "status_class"),
        ("request_header_1, ..", ""),  # which is a list, and no name
        ("ss", "ssl"),
        ("code", ""),
        ("host", ""),
        ("", ""),
    ],
)
def test_the_name_that_was_meant(name: str, meant: str) -> None:
    """The nearest one, where there is a near one."""
    assert hint(name, KNOWN) == (f" (did you mean {meant!r}?)" if meant else "")
    assert hint(name, iter(KNOWN)) == hint(name, KNOWN)
    assert hint(name, ()) == ""


def test_labels_and_metrics_are_asked_for() -> None:
    """Before all there are, metrics also as they are written in a scrape; what is like none has no question."""
    found = find_mistakes(
        choose("sever_name", "taste", metrics=("request_total", "haproxy_log_request_total", "speed"))
    )
    assert [message.partition("; there are ")[0].partition("fill ")[2] for message in found] == [
        "'sever_name' (did you mean 'server_name'?)",
        "'taste'",
        "'request_total' (did you mean 'requests_total'?)",
        "'haproxy_log_request_total' (did you mean 'requests_total'?)",
        "'speed'",
    ]
    assert all("; there are " in message for message in found)


def test_what_formats_cannot_fill_is_not_asked_for() -> None:
    """A name is meant only where it can be used."""
    there = Fillable({"server_name"}, {}, set()).labels()
    assert hint("sever_name", there)
    assert not hint("status_cod", there)


def test_mistakes_are_kept_and_the_rest_goes_on() -> None:
    """Each by itself and in order; what is no mistake of a user's is raised."""
    messages = ["before"]
    for each in (("one", "two"), (), ("three",)):
        with collecting(messages):
            if each:
                raise UsageError(*each)
    assert messages == ["before", "one", "two", "three"]
    with pytest.raises(ValueError, match="a bug"), collecting(messages):
        raise ValueError("a bug")  # noqa: EM101, TRY003 -- one statement
    assert len(messages) == 4
