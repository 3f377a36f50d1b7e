"""What a flush shows: all of one moment, and nothing before."""

import sys
import threading

import pytest

from tests.pipelines import HTTP, NOISE, NOTICE, TCP, build, exposition, take
from tests.support import read_samples, total


def test_nothing_shows_before_the_flush_and_all_of_it_after() -> None:
    """What was taken waits for the flush: metrics, tallies and formats change together."""
    pipeline = build()
    take(pipeline, HTTP)
    before = pipeline.shown()
    pipeline.take(HTTP + b"\n" + NOTICE + b"\n", pipeline.intake("test"))
    assert pipeline.pending == 1
    assert pipeline.shown() == before
    pipeline.flush()
    assert pipeline.pending == 0
    samples = read_samples(exposition(pipeline))
    assert total(samples, "haproxy_log_requests_total") == 2
    assert total(samples, "haproxy_log_notices_total") == 1
    shown = pipeline.shown()
    assert (shown.tallies["test"].counted, shown.tallies["test"].notices, shown.parsed["httplog"]) == (2, 1, 2)
    assert (before.tallies["test"].counted, before.parsed["httplog"]) == (1, 1), "what was shown does not change"


def test_what_is_shown_is_of_one_moment() -> None:
    """A scrape in another thread never sees one part of a flush without the others."""
    pipeline = build(labels=("backend_name",))
    take(pipeline, HTTP)
    torn: list[object] = []
    done = threading.Event()

    def scrape() -> None:
        while not done.is_set():
            shown = pipeline.shown()
            layout, snapshot = shown.tables[0]
            requests = sum(layout.lanes(packed)[layout.kinds["http"]] for packed in snapshot.totals)
            if not requests == shown.tallies["test"].counted == shown.parsed["httplog"]:
                torn.append(shown)

    thread = threading.Thread(target=scrape)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for number in range(300):
            take(pipeline, HTTP, HTTP.replace(b"bk/", b"bk%d/" % number))
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert not torn
    assert pipeline.shown().tallies["test"].counted == 601


def test_the_newest_line_is_the_last_one_that_was_counted() -> None:
    """What was not counted tells nothing about how far behind a source is."""
    for others in ([NOTICE, NOISE], [], [b"behind " + HTTP], [b"", b""], [NOISE, TCP, NOISE]):
        assert take(build(), TCP, *others, HTTP).newest == HTTP + b"\n"
        assert take(build(), HTTP, *others).newest == (TCP if TCP in others else HTTP) + b"\n"


@pytest.mark.parametrize("line", [NOTICE, NOISE, b""])
def test_lines_that_are_not_counted_are_not_the_newest(line: bytes) -> None:
    """The newest line stays while nothing is counted."""
    pipeline = build()
    take(pipeline, HTTP)
    assert take(pipeline, line).newest == HTTP + b"\n"


def test_sources_have_their_own_tallies() -> None:
    """Lines are accounted for by source and counted together."""
    pipeline = build()
    for source, count in (("a", 2), ("b", 3)):
        pipeline.take((HTTP + b"\n") * count, pipeline.intake(source))
    pipeline.flush()
    shown = pipeline.shown()
    assert {source: tally.lines for source, tally in shown.tallies.items()} == {"a": 2, "b": 3}
    assert total(read_samples(exposition(pipeline)), "haproxy_log_requests_total") == 5
