"""Where a line stops to fit, what would have to stand there, and what may be the cause."""

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.diagnosis import Diagnosis
from haproxy_log_exporter.formats import find_formats
from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.presets import PRESETS
from haproxy_log_exporter.records import Parser
from tests.logformat import ENVELOPES
from tests.support import FIXTURES

HEADER = "<134>Nov 20 04:30:27 lb1 haproxy[24562]: "

# httplog, an item and the text behind it at a time.
ITEMS = (
    ("%ci", "192.0.2.7", ":"), ("%cp", "59616", " ["), ("%tr", "20/Nov/2026:04:30:27.864", "] "), ("%ft", "web~", " "),
    ("%b", "app", "/"), ("%s", "s1", " "), ("%TR", "0", "/"), ("%Tw", "1", "/"), ("%Tc", "2", "/"), ("%Tr", "-1", "/"),
    ("%Ta", "+4", " "), ("%ST", "200", " "), ("%B", "228", " "), ("%CC", "-", " "), ("%CS", "sid=1", " "),
    ("%tsc", "----", " "), ("%ac", "9", "/"), ("%fc", "7", "/"), ("%bc", "3", "/"), ("%sc", "1", "/"),
    ("%rc", "+2", " "), ("%sq", "0", "/"), ("%bq", "1", ' "'), ("%{+Q}r", "GET /a HTTP/1.1", '"'),
)  # fmt: skip
LINE = "".join(text + behind for _, text, behind in ITEMS)
# Of these everything may be missing: what comes behind them is what is not found.
_MAY_BE_EMPTY = ("%ci", "%cp")

WHOLE = {
    "httplog": LINE,
    "httpslog": f"{LINE} 0/0000000000000000/0/0/0 -/TLSv1.3/TLS_AES_256_GCM_SHA384",
    "tcplog": "192.0.2.7:5 [20/Nov/2026:04:30:27.864] db db/s1 1/0/7 229 -- 1/1/0/0/0 0/0",
    "httplog-clf": (
        '192.0.2.7 - - [20/Nov/2026:04:30:58 +0000] "GET /a HTTP/1.1" 200 228 "" "" 5 068 "web~" "app" "s1"'
        ' 0 0 0 3 4 ---- 1 1 0 0 0 0 0 "sid=1" "" "a" "" '
    ),
    "tcplog-clf": (
        '192.0.2.7 - - [20/Nov/2026:04:30:58 +0000] "TCP " 000 229 "" "" 5 612 "db" "db" "s1" 0 1 0 7 81 ----'
        ' 1 1 0 0 0 0 0 "" "" '
    ),
    "connect": "Connect from 192.0.2.7:5 to 192.0.2.1:80 (web/HTTP)",
    "error": "192.0.2.7:5 [20/Nov/2026:04:30:27.864] tls/1: SSL handshake failure",
}

WEB_SERVERS = (
    '<190>Nov 20 04:30:53 host nginx: 192.0.2.7 - - [20/Nov/2026:04:30:33 +0000] "GET /a HTTP/1.1" 200 228',
    'www.example:443 192.0.2.7 - - [20/Nov/2026:04:30:33 +0000] "GET /a HTTP/1.1" 200 228 "-" "curl"',
    '192.0.2.7 - - [20/Nov/2026:04:30:33 +0000] "GET /a HTTP/1.1" 200 228 "-" "curl/7.88.1"',
    '192.0.2.7 - frank [20/Nov/2026:04:30:33 +0000] "GET /a HTTP/1.1" 304 - "http://h/" "Mozilla/5.0 (X11)" "-"',
    '192.0.2.7 - - [20/Nov/2026:04:30:33 +0000] "GET /a HTTP/1.1" 200 228',
)


@cache
def diagnose(*names: str, origin: str = "--format") -> Diagnosis:
    """Make a diagnosis with some formats in use; with none, all presets."""
    return Diagnosis(find_formats(names, ()), origin)


def find_cause(diagnosis: Diagnosis, line: bytes) -> str:
    """Find the cause of one line."""
    return diagnosis.find_cause(line, diagnosis.find_stop(line))


def test_no_preset_is_missing_here() -> None:
    """There is a line of each."""
    assert [*WHOLE] == [preset.name for preset in PRESETS]


@pytest.mark.parametrize("header", ["", HEADER])
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_line_stops_nowhere(name: str, header: str) -> None:
    """All of its elements fit, each behind the other."""
    line = (header + WHOLE[name]).encode()
    stop = diagnose(name).find_stop(line)
    assert [stop.format, stop.expected] == [name, "nothing else"]
    assert diagnose().find_stop(line).format == name


@pytest.mark.parametrize("header", ["", HEADER])
@pytest.mark.parametrize("place", [at for at, item in enumerate(ITEMS) if item[0] not in _MAY_BE_EMPTY])
def test_a_value_that_cannot_be_is_where_it_stops(place: int, header: str) -> None:
    """At its first byte, which the item is named for that should stand there; so in one format as among all."""
    before = header + "".join(text + behind for _, text, behind in ITEMS[:place])
    name, text, _ = ITEMS[place]
    line = (before + "\x01" + (header + LINE)[len(before + text) :]).encode()
    fields = compile_format("", "", name).fields
    for diagnosis in (diagnose("httplog"), diagnose()):
        stop = diagnosis.find_stop(line)
        assert stop.position == len(before)
        expected, _, named = stop.expected.partition(" (")
        assert {*named.rstrip(")").split(", ")} == fields
        assert stop.format != "httplog" or expected == name


@pytest.mark.parametrize("name", ENVELOPES)
def test_no_header_is_taken_for_the_line(name: str) -> None:
    """Whatever stands before a line, what is counted and named is the line's; nor is the line taken for a header."""
    header = ENVELOPES[name]
    for names, line, expected in (
        (("httplog",), LINE.replace(" 200 ", " x ").encode(), "%ST (status_code)"),
        (("client %ci: %ST",), b"client 192.0.2.7: x", "%ST (status_code)"),
        (("%ci %[src] [%pid] %ST",), b"192.0.2.7 192.0.2.7 [42] x", "%ST (status_code)"),
    ):
        stop = diagnose(*names).find_stop(header + line)
        assert [stop.position, stop.expected] == [len(header) + line.index(b" x") + 1, expected]


@pytest.mark.parametrize("place", range(len(ITEMS) - 2))  # behind the last but one there may be captured headers
def test_a_separator_that_is_missing_is_where_it_stops(place: int) -> None:
    """What should stand there is told as it would."""
    until = "".join(text + behind for _, text, behind in ITEMS[:place]) + ITEMS[place][1]
    stop = diagnose("httplog").find_stop(f"{until}\x01".encode())
    assert [stop.position, stop.expected] == [len(until), repr(ITEMS[place][2])]


def test_what_comes_behind_the_end_is_where_it_stops() -> None:
    """A line that goes on is none of the format."""
    line = (HEADER + WHOLE["httplog"] + " more").encode()
    stop = diagnose("httplog").find_stop(line)
    assert [stop.position, stop.expected] == [len(line) - 5, "the end of the line"]


def test_the_format_is_the_one_that_fits_the_furthest() -> None:
    """Whatever the order in which they are given."""
    names = ("tcplog-clf", "tcplog", "httplog", "error", "connect", "httpslog", "httplog-clf")
    for name in ("httplog-clf", "tcplog-clf", "tcplog", "httpslog"):
        broken = WHOLE[name].rstrip()[:-1] + "\x01"
        for order in (names, names[::-1]):
            assert diagnose(*order).find_stop(broken.encode()).format == name


def test_a_log_format_of_ones_own_is_told_by_its_items() -> None:
    """Literals as they are, samples as they are written, and fields of several."""
    diagnosis = diagnose('{"é":%ST,"ua":"%[capture.req.hdr(0),json]"}')
    for line, position, expected in (
        ('{"é":2}', 7, repr(',"ua":"')),
        ('{"e":2}', 0, repr('{"é":')),
        ('{"é":x}', 6, "%ST (status_code)"),
        ('{"é":2,"ua":"\\"', 16, repr('"}')),
    ):
        stop = diagnosis.find_stop(line.encode())
        assert [stop.format, stop.position, stop.expected] == ["1", position, expected]
    assert diagnose("a %[src,ipmask(24)]").find_stop(b"a ").expected == "%[src,ipmask(24)] (src_ipmask_24)"


@pytest.mark.parametrize("header", ["", HEADER])
@pytest.mark.parametrize("in_use", ["httplog", "tcplog-clf", "%Ts %[src]"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_line_of_another_preset_is_known(name: str, in_use: str, header: str) -> None:
    """Its option is named, and what is in use in its place; a log-format by no more than that it is one."""
    if name == in_use:
        return
    cause = find_cause(diagnose(in_use), (header + WHOLE[name]).encode())
    option = {"connect": "no log option at all", "error": "a connection error"}.get(
        name, f"option {name.replace('-', ' ')}"
    )
    assert cause == f"this looks like {option}; --format has only {'a log-format' if '%' in in_use else in_use}"


def test_what_is_in_use_is_named_by_its_origin() -> None:
    """As the option that gives it."""
    told = find_cause(diagnose("tcplog", "connect", origin="haproxy.cfg"), LINE.encode())
    assert told == "this looks like option httplog; haproxy.cfg has only tcplog, connect"


@pytest.mark.parametrize(
    "line",
    [
        b'{"status":200,"path":"/a b"}',
        b'{"a":"tab\t and \xff","b":{"c":[1,2.5,null,"}"]}}',
        b"{}",
        HEADER.encode() + b'{"status": 200} ',
    ],
)
def test_json_is_known(line: bytes) -> None:
    """Also behind a header, and with what JSON should not hold but HAProxy writes."""
    assert find_cause(diagnose(), line).startswith("this is JSON: give the log-format that writes it with --format")


@pytest.mark.parametrize(
    "line", [b"{not json}", b'{"a":1', b'["a"]', b'{"a":' * 20_000 + b"}", b'{"a":' + b"9" * 5_000 + b"}", b"}{"]
)
def test_what_is_no_json_is_not_called_so(line: bytes) -> None:
    """However deep or long it is."""
    if not line.endswith(b"9}"):
        assert "JSON" not in find_cause(diagnose(), line)
    find_cause(diagnose(), line)


@pytest.mark.parametrize(
    "header", ["lb1 ", "2026/11/20 04:30:27 [info] ", "time=04:30:27 msg= ", "é\t\x1b[1m\x9b\xad "]
)
@pytest.mark.parametrize("name", [*WHOLE][:-1])
def test_a_header_that_is_unknown_is_told(name: str, header: str) -> None:
    """As what stands before a line that could be read but for it; nothing of it reaches a terminal as it is."""
    cause = find_cause(diagnose(name), (header + WHOLE[name]).encode())
    assert cause == f"the rest reads as {name} but for what is before it, which is no known header: {header!r}"
    assert cause.isprintable()


def test_a_header_before_a_header_is_told() -> None:
    """What is known of the two is no part of what is not."""
    cause = find_cause(diagnose(), ("pod-1 | " + HEADER + LINE).encode())
    assert cause.endswith("which is no known header: 'pod-1 | '")


@pytest.mark.parametrize("name", ["httplog", "httpslog", "tcplog", "httplog-clf", "tcplog-clf"])
def test_a_cut_line_is_known(name: str) -> None:
    """Wherever it was cut behind the date or a CLF's size, within a value or between two.

    But if it can be counted as cut, or is a whole line of another preset.
    """
    diagnosis = diagnose(name)
    [source] = [preset.source for preset in PRESETS if preset.name == name]
    parser = Parser([compile_format(name, "", source)])
    others = Parser([compile_format(preset.name, preset.kind, preset.source) for preset in PRESETS])
    line = (HEADER + WHOLE[name]).encode().rstrip()
    begin = line.index(b' ""' if "clf" in name else b"] ") + 1
    cuts = [line[:end] for end in range(begin, len(line))]
    rejected = [cut for cut in cuts if parser.parse(cut).kind == "rejected"]
    alone = [cut for cut in rejected if others.parse(cut).kind == "rejected" or others.parse(cut).truncated]
    assert len(alone) > 4
    told = "the line ends here: it was cut; give HAProxy's log line a larger len, as in len 8192"
    assert [cut[-20:] for cut in alone if find_cause(diagnosis, cut) != told] == []


@pytest.mark.parametrize("line", ["", "x", "192.0.2.7:5", "192.0.2.7:5 [", "Connect from", "GET / HTTP/1.1"])
def test_what_fits_hardly_anything_is_not_called_cut(line: str) -> None:
    """Nobody knows what it is."""
    assert find_cause(diagnose(), line.encode()) == ""


@pytest.mark.parametrize("line", WEB_SERVERS)
@pytest.mark.parametrize("names", [(), ("httplog",), ("httplog-clf",), ('{"s":%ST}',)])
def test_a_web_servers_log_is_known(line: str, names: Sequence[str]) -> None:
    """In the common and the combined log format, which nginx and Apache have by default."""
    assert find_cause(diagnose(*names), line.encode()) == "this looks like a web server's own access log, not HAProxy's"


_PIECES = st.sampled_from([*WHOLE.values(), HEADER, *WEB_SERVERS, '{"a":1}', " ", "\0", "/", ":", '"', "é"])


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """Draw lines that hold pieces of what is known, whole or in part."""
    pieces = [piece.encode() for piece in draw(st.lists(_PIECES, max_size=3))]
    text = b"".join(piece[: draw(st.integers(0, len(piece)))] if draw(st.booleans()) else piece for piece in pieces)
    at = draw(st.integers(0, len(text)))
    return (text[:at] + draw(st.binary(max_size=8)) + text[at:]).replace(b"\n", b"")


@settings(deadline=None)
@given(lines())
def test_any_line_has_a_place_where_it_stops(line: bytes) -> None:
    """Within it or at its end; a cause is a text that can be printed."""
    for diagnosis in _DIAGNOSES:
        stop = diagnosis.find_stop(line)
        assert stop.expected
        assert 0 <= stop.position <= len(line) or stop.expected == "nothing else"
        cause = diagnosis.find_cause(line, stop)
        assert cause == "" or cause.isprintable()


_DIAGNOSES = (diagnose(), diagnose("tcplog"), diagnose('%[var(txn.a)] "%{+E}[var(txn.b)]" %ST'))


def test_the_fixtures_lines_that_are_read_stop_nowhere() -> None:
    """What HAProxy has written and is read as it is, is read piece by piece as well."""
    diagnosis = diagnose()
    parser = Parser([compile_format(preset.name, preset.kind, preset.source) for preset in PRESETS])
    found = 0
    for name in ("httplog", "httpslog", "tcplog", "clf", "mixed"):
        for line in (FIXTURES / f"{name}.log").read_bytes().splitlines():
            record = parser.parse(line)
            if record.format and not record.truncated:
                found += 1
                assert diagnosis.find_stop(line).expected == "nothing else", line
    assert found > 30
