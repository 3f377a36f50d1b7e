"""The straight line: whatever comes in, each line is accounted for once, and counted as `parse` reads it."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.labels.catalogue import Fillable, Label, error_labels, find_labels, read_label
from haproxy_log_exporter.logformat.notation import PLAIN, Notation
from haproxy_log_exporter.logformat.reader import Reader
from haproxy_log_exporter.metrics.totals import label_text
from haproxy_log_exporter.pipeline import Pipeline
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Parser
from haproxy_log_exporter.sources.framing import LONGEST_LINE, LineBuffer
from tests.logformat import ENVELOPES, LINES
from tests.pipelines import (
    AS_THEY_ARE,
    CONNECT,
    CUT,
    ERROR,
    HTTP,
    HTTP_CLF,
    HTTPS,
    LABELS,
    LINE_COUNTERS,
    NOISE,
    NOTICE,
    TCP,
    TCP_CLF,
    UNLIMITED,
    build,
    exposition,
    is_bare,
    take,
)
from tests.rows import VERBATIM
from tests.support import FIXTURES, read_samples, total


@cache
def captures() -> tuple[bytes, ...]:
    """Real lines, each once, and what is like them."""
    rows = [json.loads(row) for path in FIXTURES.glob("haproxy-*[0-9].jsonl") for row in path.read_text().splitlines()]
    lines = {line for row in rows for line in row["bytes_latin1"].encode("latin-1").splitlines()}
    return (*sorted(lines), HTTP, HTTPS, TCP, ERROR, CONNECT, NOTICE, CUT, NOISE, b"")


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Lines of HAProxy's as they are, cut, or with some bytes changed."""
    rendered = st.builds(
        lambda envelope, line: ENVELOPES[envelope] + line.text, st.sampled_from(sorted(ENVELOPES)), LINES
    )
    line = draw(st.sampled_from(captures()) | rendered)
    for change in draw(st.lists(st.sampled_from(["cut", "replace", "insert", "remove"]), max_size=2)):
        place = draw(st.integers(0, len(line)))
        match change:
            case "cut":
                line = line[:place]
            case "remove":
                line = line[:place] + line[place + 1 :]
            case _:
                octets = draw(
                    st.binary(min_size=1, max_size=3) | st.sampled_from([b"-", b" ", b'"', b"/", b":", b"{", b"}"])
                )
                line = line[:place] + octets + line[place + (change == "replace") :]
    return line.replace(b"\n", b"")


# --- What must hold for all input -------------------------------------------------------------------------------------


def account(blocks: Iterable[bytes]) -> tuple[dict[str, Any], list[str], Counter[str]]:
    """Feed blocks of a stream through a buffer into a pipeline: its tally, its exposition and the formats found."""
    pipeline, buffer = build(), LineBuffer()
    intake = pipeline.intake("test")
    for lines in [*map(buffer.feed, blocks), buffer.end()]:
        intake.tally.rejected += lines.overlong
        pipeline.take(lines.chunk, intake)
    pipeline.end(intake)
    pipeline.flush()
    shown = pipeline.shown()
    numbers = {name: value for name, value in asdict(intake.tally).items() if not name.startswith("newest")}
    return numbers, sorted(exposition(pipeline).splitlines()), shown.parsed


def stretched(size: int) -> bytes:
    """Make a good line of exactly this size."""
    return HTTP.replace(b"/a", b"/" + b"a" * (size - len(HTTP) + 1))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    texts=st.lists(mangled() | st.sampled_from([65535, 65536, 65537, 140000]).map(stretched), max_size=6),
    ends=st.booleans(),
    cuts=st.lists(st.tuples(st.integers(0, 6), st.integers(-3, 200000)), max_size=8),
)
def test_any_split_of_a_stream_gives_the_same(texts: list[bytes], cuts: list[tuple[int, int]], *, ends: bool) -> None:
    """Blocks may end anywhere, and a line that is too long is rejected and counted once, however it comes."""
    stream = b"\n".join(texts) + b"\n" * (ends and bool(texts))
    starts = [sum(len(text) + 1 for text in texts[:index]) for index in range(7)]
    places = sorted({min(max(0, starts[index] + offset), len(stream)) for index, offset in cuts})
    blocks = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
    assert b"".join(blocks) == stream
    numbers, metrics, formats = account([stream])
    assert account(blocks) == (numbers, metrics, formats)
    last = (
        bool(texts and texts[-1]) and not ends
    )  # a last line without its newline is a line if there is anything of it
    assert tally_lines(numbers) == stream.count(b"\n") + last


@pytest.mark.parametrize("size", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 2 * LONGEST_LINE + 1, 300_000])
@pytest.mark.parametrize("block", [4096, LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 100_000, 1 << 20])
@pytest.mark.parametrize("end", [b"\n", b""], ids=["ended", "not ended"])
def test_a_line_is_read_up_to_the_longest_and_rejected_once_above(size: int, block: int, end: bytes) -> None:
    """So it is in blocks of any size, and the lines around it are read."""
    stream = b"\n".join([TCP, stretched(size), NOTICE, TCP, stretched(size)]) + end
    numbers, _, formats = account(stream[start : start + block] for start in range(0, len(stream), block))
    counted = 2 * (size <= LONGEST_LINE)
    assert (numbers["counted"], numbers["notices"], numbers["rejected"]) == (2 + counted, 1, 2 - counted)
    assert formats == +Counter({"tcplog": 2, "httplog": counted})


def tally_lines(numbers: dict[str, Any]) -> int:
    """Add up what became of the lines."""
    return sum(int(numbers[name]) for name in ("counted", "notices", "filtered", "rejected"))


FORMATS = [
    (),
    ("httpslog", "tcplog"),
    ("%ci %{+Q}f %ST %Tr -> %{+Q}r 100%%", "%ci %Tt %rc"),
    ("%{+Q}r %ST", "tcplog"),
    ("x%hr %B%tsc %r", "tcplog-clf"),
    ("%[status] %[txn.conn_retries] %[path];%[req.hdr(a)] %B", "%{+json}o %(p)HP %(r)rc %(s)ST %(t)B", "tcplog"),
    (r'"%{+E}[req.hdr(a)]" %HU;%B %{+X}cp %OG %rc', "tcplog"),
]
NUMBERS = ("bytes_read_total", "retries_total")

# Some that those formats nearly read.
ODD_LINES = [
    *(b'"', b"x", b'""', b"+ + /;a 1", b"- - -;- -", b"200 1 /;; ; 5", b'{"p": "", "r": +, "s": 1, "t": ""}'),
    *(b'{"p": "/", "r": 1, "s": 1, "t": 5}', rb'"\"\]" /;;5 FF txn_close +1', b'"" /;1 - txn_accept 0'),
]


def bare_lines(text: bytes) -> bool:
    """Whether no line of a text has to do with a wrapper."""
    return all(map(is_bare, text.split(b"\n")))


def check_strange(formats: tuple[str, ...], chunks: list[list[bytes]]) -> None:
    """Check that nothing raises, and that each newline is one line counted, noticed, filtered or rejected."""
    metrics = ("requests_total", "sessions_total", "notices_total") if formats else LINE_COUNTERS
    numbers = NUMBERS if FORMATS.index(formats) in (0, 1, 5, 6) else ()
    pipeline = build(*formats, labels=("http_request_path",), metrics=(*metrics, *numbers))
    intake = pipeline.intake("test")
    tally = intake.tally
    for lines in chunks:
        chunk = b"".join(line + b"\n" for line in lines)
        before = tally.lines, tally.bytes_read
        pipeline.take(chunk, intake)
        assert (tally.lines, tally.bytes_read) == (before[0] + chunk.count(b"\n"), before[1] + len(chunk))
        pipeline.flush()
    samples = read_samples(exposition(pipeline))
    counted = sum(total(samples, f"haproxy_log_{name}") for name in LINE_COUNTERS)
    connects = pipeline.shown().parsed["connect"]
    assert counted == tally.counted + tally.notices - connects
    assert tally.truncated <= tally.counted


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    formats=st.sampled_from(FORMATS),
    chunks=st.lists(
        st.lists((mangled() | st.binary(max_size=40) | st.sampled_from(ODD_LINES)).filter(bare_lines), max_size=6),
        max_size=4,
    ),
)
def test_no_bytes_are_too_strange(formats: tuple[str, ...], chunks: list[list[bytes]]) -> None:
    """Whoever can write into a log must not be able to end whoever reads it, nor to hide a line."""
    check_strange(formats, chunks)


@pytest.mark.parametrize("formats", FORMATS, ids=str)
def test_lines_that_a_format_nearly_reads_are_not_too_strange(formats: tuple[str, ...]) -> None:
    """Signs without a number, values without a name, objects without a value."""
    check_strange(formats, [ODD_LINES, *([line] for line in ODD_LINES)])


@cache
def readers() -> Sequence[Reader]:
    """Compile the presets once, with all fields."""
    return compile_all(Choice((), (), (), ()))


@cache
def counting() -> Pipeline:
    """Build a pipeline of all presets once, which keeps their order."""
    pipeline = build(limits=UNLIMITED, paths=AS_THEY_ARE)
    pipeline.reorder = False
    return pipeline


def count(line: bytes) -> tuple[tuple[int, int, int, int], Counter[str], list[bytes]]:
    """Count a line: what became of it (as in a tally), its format, and the labels that it was counted under."""
    pipeline = counting()
    tally = pipeline.intake("test").tally
    before, shown = replace(tally), pipeline.shown()
    take(pipeline, line)
    texts = []
    for (layout, old), (_, new) in zip(shown.tables, pipeline.shown().tables, strict=True):
        if "notice" not in layout.kinds:
            totals = [*old.totals, *[0] * (len(new.totals) - len(old.totals))]
            texts += [text for text, was, now in zip(new.texts, totals, new.totals, strict=True) if was != now]
    found = (
        tally.counted - before.counted,
        tally.notices - before.notices,
        tally.rejected - before.rejected,
        tally.truncated - before.truncated,
    )
    return found, pipeline.shown().parsed - shown.parsed, texts


def read_path(raw: bytes | None, notation: Notation) -> str:
    """Read a path in its normal form."""
    value = notation.value(raw)
    return "" if raw is None or (raw and value is None) else VERBATIM.rewrite([value or b""])[0]


def has_found(code: str) -> bool:
    """Whether a path that is answered so takes a place."""
    return re.fullmatch(r"[1-5].{2}", code, re.DOTALL) is not None and code not in ("400", "404", "405", "414")


def check_agreement(line: bytes) -> None:
    """Check that a line is counted as `parse` reads it."""
    record = Parser(readers()).parse(line)
    known = {*counting().account.admissions.of("http_request_path").values}
    found, formats, texts = count(line)
    counted = record.kind in ("http", "tcp", "error", "connect")
    expected = (counted, record.kind == "notice", record.kind == "rejected", record.truncated)
    assert found == expected, (line, record)
    assert formats == Counter({record.format: 1} if counted else {}), line
    labels: Sequence[Label] = ()
    if record.kind in ("http", "tcp"):
        fields = frozenset[str]().union(*(reader.fields for reader in readers()))
        labels = find_labels(LABELS, Fillable(fields, {}, set()))
    elif record.kind == "error":
        labels = error_labels()
    values = {
        label.name: read_label(label, record.fields.get(label.field), record.notations.get(label.field, PLAIN))
        for label in labels
    }
    if record.kind == "http":
        path = read_path(record.fields["http_request_path"], record.notations.get("http_request_path", PLAIN))
        values["http_request_path"] = path if path in known or has_found(values["status_code"]) else "other"
    assert texts == ([label_text([*values], [*values.values()])] if labels else []), line


@settings(deadline=None, max_examples=500)
@given(mangled())
def test_a_line_is_counted_as_it_is_parsed(line: bytes) -> None:
    """A pipeline that looks at few fields takes what `parse` reads: as the same kind, with the same labels."""
    check_agreement(line)


@pytest.mark.parametrize("line", [HTTP, HTTPS, TCP, ERROR, CONNECT, NOTICE, HTTP_CLF, TCP_CLF])
def test_a_cut_line_is_counted_as_it_is_parsed(line: bytes) -> None:
    """So it is wherever a line is cut."""
    for length in range(len(line) + 1):
        check_agreement(line[:length])


# --- The cascade ------------------------------------------------------------------------------------------------------


def test_a_mixed_stream_is_told_apart() -> None:
    """Each line goes to its own format, wherever it stands; notices and what nobody reads are told apart."""
    lines = [HTTP] * 7 + [HTTPS] * 6 + [TCP] * 5 + [ERROR] * 4 + [CONNECT] * 3 + [NOTICE] * 2 + [CUT] * 2 + [NOISE, b""]
    random.Random(1).shuffle(lines)
    pipeline = build()
    tally = take(pipeline, *lines)
    assert (tally.counted, tally.notices, tally.filtered, tally.rejected, tally.truncated) == (27, 2, 0, 2, 2)
    assert tally.bytes_read == sum(len(line) + 1 for line in lines)
    expected = {"httplog": 9, "httpslog": 6, "tcplog": 5, "error": 4, "connect": 3}
    assert pipeline.shown().parsed == Counter(expected)
    samples = read_samples(exposition(pipeline))
    assert total(samples, "haproxy_log_requests_total", http_request_path="/a", ssl="false") == 15
    assert total(samples, "haproxy_log_sessions_total", server_name="s1", status_code="") == 5
    assert (
        total(samples, "haproxy_log_connection_errors_total", frontend_name="tls", reason="SSL handshake failure") == 4
    )
    assert total(samples, "haproxy_log_notices_total", kind="proxy_stopped") == 2


def order(pipeline: Pipeline) -> list[str]:
    """Tell the formats in the order in which they are tried."""
    return [stage.reader.name for stage in pipeline.stages]


def test_formats_are_tried_in_the_order_of_their_success() -> None:
    """What matched most comes first from the next flush on; old success fades, so that it can be overtaken."""
    pipeline = build()
    first = order(pipeline)
    take(pipeline, *[TCP] * 4, *[ERROR] * 2)
    assert order(pipeline) == ["tcplog", "error", *(name for name in first if name not in ("tcplog", "error"))]
    take(pipeline, *[HTTP] * 3)
    assert order(pipeline)[:2] == ["httplog", "tcplog"]


def test_formats_that_were_named_keep_their_order() -> None:
    """Who names formats says which is to win where several match."""
    pipeline = build("httpslog", "tcplog", "httplog", metrics=("requests_total",))
    take(pipeline, *[HTTP] * 5)
    assert order(pipeline) == ["httpslog", "tcplog", "httplog"]


def test_the_first_of_several_formats_that_match_wins() -> None:
    """A line is counted once, however many formats would take it."""
    pipeline = build("%ci %ST", "%b %ST", labels=("client_ip", "backend_name"), metrics=("requests_total",))
    assert take(pipeline, b"a 200", b"b 200").counted == 2
    assert pipeline.shown().parsed == Counter({"1": 2})
