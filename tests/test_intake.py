"""Lines before they are read and after: facilities, wrappers, repeats, steps, and those that are rejected."""

import json
from collections import Counter
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.engine import Assembly, build_pipeline
from haproxy_log_exporter.formats import Format
from haproxy_log_exporter.logformat.envelopes import compile_facilities
from haproxy_log_exporter.logformat.wrappers import Unwrapper
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.pipeline import LONGEST_REJECT, MOST_REJECTS, Pipeline
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Parser
from haproxy_log_exporter.sources.framing import LONGEST_LINE
from tests.pipelines import (
    CUT,
    HTTP,
    HTTPS,
    LABELS,
    LINE_COUNTERS,
    NOISE,
    NOTICE,
    TCP,
    build,
    exposition,
    results,
    samples_of,
    take,
)
from tests.support import read_samples, total

REQUESTS = "haproxy_log_requests_total"
SESSIONS = "haproxy_log_sessions_total"
NOTICES = "haproxy_log_notices_total"


# --- Facilities -------------------------------------------------------------------------------------------------------


def test_lines_of_other_facilities_are_filtered() -> None:
    """They are neither counted nor rejected, whatever they are, but their bytes were read."""
    pipeline = build()
    intake = pipeline.intake("test", compile_facilities(["local0"]))
    lines = [b"<134>" + HTTP, b"<141>" + HTTP, b"<134>" + NOTICE, b"<141>" + NOTICE, b"<141>" + NOISE, b"<134>" + CUT]
    tally = take(pipeline, *lines, intake=intake)
    assert results(tally) == (2, 1, 3, 0)
    assert (tally.lines, tally.truncated) == (6, 1)
    assert tally.bytes_read == sum(len(line) + 1 for line in lines)
    assert total(samples_of(pipeline), REQUESTS) == 2
    assert total(samples_of(pipeline), NOTICES) == 1
    assert not pipeline.shown().rejects["test"]


def test_lines_that_name_no_facility_are_read() -> None:
    """Without a priority, or with a severity alone; what is wrapped names its facility to nobody."""
    pipeline = build()
    intake = pipeline.intake("test", compile_facilities(["local0"]))
    assert results(take(pipeline, HTTP, b"<6>" + HTTP, docker(b"<141>" + HTTP), intake=intake)) == (3, 0, 0, 0)


def test_a_chunk_of_other_facilities_alone_is_no_trouble() -> None:
    """Nothing is left of it, and nothing newer was read."""
    pipeline = build()
    intake = pipeline.intake("test", compile_facilities(["local1"]))
    assert results(take(pipeline, *[b"<134>" + HTTP] * 3, intake=intake)) == (0, 0, 3, 0)
    assert intake.tally.newest == b""


def test_without_facilities_all_are_read() -> None:
    """Each source has its own, so files are not filtered where syslog is."""
    pipeline = build()
    pipeline.intake("syslog", compile_facilities(["local0"]))
    assert results(take(pipeline, b"<141>" + HTTP, intake=pipeline.intake("file"))) == (1, 0, 0, 0)


# --- Wrappers ---------------------------------------------------------------------------------------------------------


def docker(line: bytes, *, ended: bool = True) -> bytes:
    """Wrap a line, or a part of one, as Docker's json-file does."""
    text = line.decode("latin-1") + "\n" * ended
    return json.dumps({"log": text, "stream": "stdout", "time": "2026-11-20T04:30:53.046904Z"}).encode()


def cri(line: bytes) -> bytes:
    """Wrap a line as containerd does."""
    return b"2026-11-20T04:30:53.046904Z stdout F " + line


def repeated(times: int, line: bytes) -> bytes:
    """Write a line as rsyslog does that stands for several."""
    return b"Nov 20 04:30:53 lb haproxy[1]: message repeated %d times: [ %s]" % (times, line)


WRAPPERS = {"docker": docker, "CRI": cri}
LINES = (HTTP, HTTPS, TCP, NOTICE, CUT, NOISE, b"<134>Nov 20 04:30:53 haproxy[1]: " + TCP)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from([None, *WRAPPERS]), st.sampled_from(LINES)), max_size=5), max_size=4)
)
def test_wrapped_lines_are_counted_as_bare_ones_are(chunks: list[list[tuple[str | None, bytes]]]) -> None:
    """So they are mixed with bare ones and others, from chunk to chunk, and as `parse` reads them."""
    pipeline, bare = build(), build()
    parser, unwrapper = Parser(compile_all(Choice((), (), (), ()))), Unwrapper(LONGEST_LINE)
    kinds: Counter[str] = Counter()
    for chunk in chunks:
        wrapped = [line if name is None else WRAPPERS[name](line) for name, line in chunk]
        take(pipeline, *wrapped)
        take(bare, *(line for _, line in chunk))
        kinds.update(found.record.kind for line in wrapped for found in parser.parse_wrapped(line, unwrapper))
    tally = pipeline.intake("test").tally
    expected = asdict(bare.intake("test").tally) | {"bytes_read": tally.bytes_read, "newest": tally.newest}
    assert asdict(tally) == expected
    assert samples_of(pipeline) == samples_of(bare)
    assert pipeline.shown().parsed == bare.shown().parsed
    assert results(tally) == (kinds["http"] + kinds["tcp"], kinds["notice"], 0, kinds["rejected"])


def test_the_newest_line_is_out_of_its_wrapper() -> None:
    """Its time is read from what HAProxy wrote."""
    assert take(build(), docker(TCP), docker(HTTP), docker(NOISE)).newest == HTTP + b"\n"


def test_a_line_in_parts_is_counted_when_its_last_part_comes() -> None:
    """Over chunks, and what never ends is counted at the end of a finished source."""
    pipeline = build()
    intake = pipeline.intake("test")
    assert results(take(pipeline, docker(HTTP[:40], ended=False))) == (0, 0, 0, 0)
    assert results(take(pipeline, docker(HTTP[40:]), docker(TCP, ended=False))) == (1, 0, 0, 0)
    pipeline.end(intake)
    pipeline.flush()
    assert results(intake.tally) == (2, 0, 0, 0)
    assert total(samples_of(pipeline), SESSIONS) == 1
    pipeline.end(intake)
    assert results(intake.tally) == (2, 0, 0, 0)


def test_a_line_that_is_too_long_in_all_its_parts_is_rejected_once() -> None:
    """The parts are not kept, nor what they would make."""
    pipeline = build()
    part = docker(b"x" * 30_000, ended=False)
    assert results(take(pipeline, part, part, part, docker(b"x"), docker(HTTP))) == (1, 0, 0, 1)
    assert pipeline.shown().rejects["test"] == ()


def test_lines_of_many_senders_are_never_parts_of_one_another() -> None:
    """Nothing that one sends makes the others' lines vanish, or joins them."""
    pipeline = build()
    intake = pipeline.intake("test", one_sender=False)
    part = b'{"log":"part of a line","stream":"stdout","time":"2026-11-20T04:30:53Z"}'
    field = b"SYSLOG_RAW\n" + (1 << 29).to_bytes(8, "little") + b"zz"
    wrapped = json.dumps({"log": HTTP.decode() + "\n", "stream": "stdout"}).encode()
    for hostile in (part, b"2026-11-20T04:30:53Z stdout P x", b"__CURSOR=x\n" + field, b"MESSAGE=\n" + field):
        before = intake.tally.counted
        take(pipeline, HTTP, hostile, wrapped, NOTICE, HTTP, intake=intake)
        assert intake.tally.counted == before + 3
    assert intake.tally.notices == 4


def test_a_format_of_json_is_not_taken_for_a_wrapper() -> None:
    """Though it has a wrapper's key, and other JSON came before it."""
    pipeline = build('{"message":"%HM %HP","st":%ST}', labels=("status_code",), metrics=("requests_total",))
    intake = pipeline.intake("test")
    ours = b'{"message":"GET /p","st":200}'
    take(pipeline, b'{"message":"of another program"}', intake=intake)
    for _ in range(3):
        take(pipeline, ours, ours, intake=intake)
        take(pipeline, ours, rb'{"log":"x\n","stream":"stdout"}', ours, intake=intake)
    assert results(intake.tally) == (12, 0, 0, 4)


def test_sources_have_their_own_wrappers() -> None:
    """The parts of one source's line are not mixed with another's."""
    pipeline = build()
    for name in "ab":
        take(pipeline, docker(HTTP[:40], ended=False), intake=pipeline.intake(name))
    for name in "ab":
        assert results(take(pipeline, docker(HTTP[40:]), intake=pipeline.intake(name))) == (1, 0, 0, 0)


# --- Repeated lines ---------------------------------------------------------------------------------------------------


def test_a_repeated_line_counts_as_often_as_it_was_repeated() -> None:
    """Whatever it is: traffic, a message, a cut line, one that nobody reads."""
    pipeline = build(metrics=(*LINE_COUNTERS, "bytes_read_total"))
    lines = [repeated(3, HTTP), repeated(2, NOTICE), repeated(4, NOISE), repeated(5, CUT), HTTP, repeated(2, TCP)]
    tally = take(pipeline, *lines)
    assert results(tally) == (3 + 5 + 1 + 2, 2, 0, 4)
    assert tally.truncated == 5
    samples = samples_of(pipeline)
    assert total(samples, REQUESTS) == 9
    assert total(samples, SESSIONS) == 2
    assert total(samples, NOTICES, kind="proxy_stopped") == 2
    assert total(samples, "haproxy_log_bytes_read_total") == 9 * 228 + 2 * 229
    assert pipeline.shown().parsed == Counter({"httplog": 9, "tcplog": 2})
    assert pipeline.shown().rejects["test"] == (b"Nov 20 04:30:53 lb haproxy[1]: " + NOISE,)


def test_a_repeated_line_in_a_wrapper_counts_as_often() -> None:
    """Rsyslog may have written before a collector did."""
    assert results(take(build(), docker(repeated(3, HTTP)), docker(HTTP))) == (4, 0, 0, 0)


def test_lines_of_a_sample_have_their_weight() -> None:
    """`log … sample 1:10` writes one of ten lines; what was read is told as it was read."""
    choice = Choice(LABELS, (*LINE_COUNTERS, "bytes_read_total"), ("1",), weight=10)
    pipeline = build_pipeline(choice)
    tally = take(pipeline, HTTP, repeated(2, HTTP), NOTICE, NOISE)
    assert results(tally) == (3, 1, 0, 1)
    samples = samples_of(pipeline)
    assert total(samples, REQUESTS) == 30
    assert total(samples, "haproxy_log_bytes_read_total") == 30 * 228
    assert total(samples, NOTICES) == 10
    assert pipeline.shown().parsed == Counter({"httplog": 3})


# --- Rejected lines ---------------------------------------------------------------------------------------------------


def test_the_last_rejected_lines_are_kept() -> None:
    """So many of each source, no more bytes of each, and they show from the flush on."""
    pipeline = build()
    noise = [b"noise %d" % number for number in range(3 * MOST_REJECTS)]
    pipeline.take(b"".join(line + b"\n" for line in noise[:3]), pipeline.intake("test"))
    assert pipeline.shown().rejects == {}
    pipeline.flush()
    assert pipeline.shown().rejects == {"test": tuple(noise[:3])}
    before = pipeline.shown()
    take(pipeline, *noise[3:], b"x" * 10 * LONGEST_REJECT, HTTP)
    assert pipeline.shown().rejects["test"] == (*noise[1 - MOST_REJECTS :], b"x" * LONGEST_REJECT)
    assert before.rejects == {"test": tuple(noise[:3])}, "what was shown does not change"
    take(pipeline, NOISE, intake=pipeline.intake("other"))
    assert pipeline.shown().rejects["other"] == (NOISE,)


def test_an_empty_line_is_a_rejected_line() -> None:
    """It is kept as it was."""
    pipeline = build()
    assert results(take(pipeline, b"", HTTP, b"")) == (1, 0, 0, 2)
    assert pipeline.shown().rejects["test"] == (b"", b"")


def test_who_watches_hears_of_all_rejected_lines() -> None:
    """Whole, in their order, out of their wrappers, for how many each stands, and of nothing else."""
    pipeline = build()
    intake = pipeline.intake("test")
    heard: list[tuple[bytes, int]] = []
    intake.watch = lambda lines, times: heard.extend((line, times) for line in lines.splitlines())
    long = b"y" * 10 * LONGEST_REJECT
    take(pipeline, NOISE, HTTP, NOTICE, CUT, long, docker(b"wrapped"), repeated(3, NOISE))
    again = b"Nov 20 04:30:53 lb haproxy[1]: " + NOISE
    assert heard == [(NOISE, 1), (long, 1), (b"wrapped", 1), (again, 3)]


# --- Steps ------------------------------------------------------------------------------------------------------------

STEPS = ("txn_accept", "txn_request", "txn_connect", "txn_response")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("%ci %OG %b %ST %B", "::1 {} bk 200 5"),
        ("%ci %{+Q}OG %b %ST %B", '::1 "{}" bk 200 5'),
        ("%{+json}o %(c)ci %(og)OG %(b)b %(s)ST %(n)B", '{{"c": "::1", "og": "{}", "b": "bk", "s": 200, "n": 5}}'),
        ("%ci %b %ST %B %{+Q}r %OG", '::1 bk 200 5 "GET / HTTP/1.1" {}'),
    ],
)
def test_steps_are_filtered_and_the_end_is_counted(source: str, line: str) -> None:
    """`log-steps all` writes five lines for a request: it is one request all the same, and so in each order."""
    pipeline = build(source, labels=("backend_name",), metrics=("requests_total", "bytes_read_total"))
    for origins in ((*STEPS, "txn_close"), ("txn_close", *STEPS), ("sess_error",)):
        take(pipeline, *(line.format(origin).encode() for origin in origins))
    tally = pipeline.intake("test").tally
    assert results(tally) == (3, 0, 8, 0)
    assert total(samples_of(pipeline), REQUESTS, backend_name="bk") == 3
    assert total(samples_of(pipeline), "haproxy_log_bytes_read_total") == 15
    assert pipeline.shown().parsed == Counter({"1": 3})


def test_a_line_that_is_cut_before_its_step_is_counted() -> None:
    """Most formats' lines are not steps, and who has no log-steps must not lose long requests for naming %OG."""
    pipeline = build("%ci %ST %B %{+Q}r %OG", labels=("client_ip",), metrics=("requests_total",))
    assert results(take(pipeline, b'::1 200 5 "GET /aaaaaaaa')) == (1, 0, 0, 0)


def test_a_format_without_steps_has_one_stage() -> None:
    """No line is looked at twice for nothing."""
    assert len(build("%ci %ST", labels=(), metrics=("requests_total",)).stages) == 1
    assert [stage.steps for stage in build("%ci %OG %ST", labels=(), metrics=("requests_total",)).stages] == [
        True,
        False,
    ]


# --- Other formats ----------------------------------------------------------------------------------------------------


def own(source: str) -> Format:
    """Make a format of a log-format string, as haproxy.cfg sets it."""
    return Format("", "http", source)


def assemble(*formats: Format) -> tuple[Assembly, Pipeline]:
    """Build a pipeline whose formats can be exchanged."""
    assembly = Assembly(Choice(("backend_name",), ("requests_total", "notices_total"), ("1",), configured=formats))
    return assembly, assembly.pipeline


def test_totals_stay_when_formats_are_exchanged() -> None:
    """What was taken before is counted by the old ones, what comes then by the new ones, in the same series."""
    assembly, pipeline = assemble(own("%b %ST"))
    intake = pipeline.intake("test")
    pipeline.take(b"bk 200\nbk 404\n" + NOTICE + b"\n", intake)
    assembly.exchange((own("new %b %ST"),))
    assert pipeline.pending == 0
    assert results(take(pipeline, b"new bk 200", b"new other 200", b"bk 200", NOTICE)) == (4, 2, 0, 1)
    samples = samples_of(pipeline)
    assert total(samples, REQUESTS, backend_name="bk") == 3
    assert total(samples, REQUESTS) == 4
    assert total(samples, NOTICES) == 2


def test_conditions_stay_when_formats_are_exchanged() -> None:
    """A scrape between two flushes sees how the sources stand."""
    assembly, pipeline = assemble(own("%b %ST"))
    pipeline.flush({"test": Condition(errors=7)})
    assembly.exchange((own("new %b %ST"),))
    assert pipeline.shown().conditions["test"].errors == 7


def test_what_was_dropped_before_is_added_up() -> None:
    """A ring says how much it had no room for, behind any header; what only looks like it says nothing."""
    said = [b"1 event dropped", b"<134>Nov 20 04:30:53 haproxy[1]: 10679 events dropped", b"7 events dropped too"]
    pipeline = build()
    tally = take(pipeline, *said, HTTP, *said)
    assert (tally.counted, tally.notices, tally.rejected, tally.lost) == (1, 4, 2, 2 * 10680)
    assert total(read_samples(exposition(pipeline)), "haproxy_log_notices_total", kind="events_dropped") == 4
