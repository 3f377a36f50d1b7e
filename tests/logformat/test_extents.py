import pytest

from haproxy_log_exporter.logformat.compiler import Wanted, compile_format
from haproxy_log_exporter.logformat.guards import earlier_steps, last_step
from haproxy_log_exporter.logformat.presets import PRESETS
from haproxy_log_exporter.logformat.reader import Extent
from tests.logformat.compiling import HTTPLOG, LINE, build, read

# --- What is cut ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        *(preset.source for preset in PRESETS),
        *("%{+Q}r %ST", "x%ci", "%B%tsc %r", "x%hr %ST", "%r", "%CC %{+Q}[req.hdr(a),json] %B %[res.hdr(b)]"),
        *("%{+X,+Q}o %ci %hrl %B", "%{+json}o %(a)ci %(b)r %(c)hrl %(d)hr %(e)B", "%HU %HQ %OG %[method] %ID"),
    ],
)
@pytest.mark.parametrize("labels", ["", "http_request_path request_headers status_code client_ip termination_state"])
@pytest.mark.parametrize("numbers", ["", "bytes_read time_total time_queue retries"])
def test_cut_lines_have_the_columns_of_whole_ones(source: str, labels: str, numbers: str) -> None:
    """Both expressions hold the same groups, so that rows of either fit the same feeds."""
    for compiled in (build(source, labels, numbers), compile_format("x", "http", source)):
        assert compiled.cut.groups == compiled.whole.groups == len(compiled.groups) + 1
        if compiled.loose:
            assert compiled.loose.groups == compiled.whole.groups


@pytest.mark.parametrize(
    ("end", "path", "version"),
    [
        ("228 ", None, None),
        ("228 -", None, None),
        ("228 - - --", None, None),
        ("228 - - ---- 1/1/0/0/+", None, None),
        ("228 - - ---- 1/1/0/0/+3 0/0 {a", None, None),
        ("228 - - ---- 1/1/0/0/+3 0/0 {a} {b|c}", None, None),
        ("228 - - ---- 1/1/0/0/+3 0/0 {a} {b|c} ", None, None),
        ('228 - - ---- 1/1/0/0/+3 0/0 {a} {b|c} "', None, None),
        ('228 - - ---- 1/1/0/0/+3 0/0 "GE', None, None),
        ('228 - - ---- 1/1/0/0/+3 0/0 "GET /lo', "/lo", None),
        ('228 - - ---- 1/1/0/0/+3 0/0 "GET /long?x', "/long", None),
        ('228 - - ---- 1/1/0/0/+3 0/0 "GET /long HTT', "/long", "HTT"),
    ],
)
def test_a_cut_line_is_read_up_to_its_cut(end: str, path: str | None, version: str | None) -> None:
    """It needs the byte count and the blank behind it; of the rest there may be any beginning."""
    compiled = build(HTTPLOG, "backend_name status_code http_request_path http_version")
    start = LINE[: LINE.index("+228")]
    expected = {"backend_name": "bk", "status_code": "200", "http_request_path": path, "http_version": version}
    assert read(compiled, start + end, extent=Extent.CUT) == [expected]
    assert compiled.read(f"{start}{end}\n".encode()).lines == 0


@pytest.mark.parametrize("end", ["228", "+", "", "228 - - ---- 1/1/0/0/+3 0/0 {a} x", "228 - - ---- 1/1/0/0/3 0/0 0/0"])
def test_what_is_not_cut_but_wrong_is_no_cut_line(end: str) -> None:
    """A byte count that might go on does not suffice, and a line that goes wrong is of another format."""
    assert build(HTTPLOG, "status_code").read((LINE[: LINE.index("+228")] + end + "\n").encode(), Extent.CUT).lines == 0


def test_a_cut_line_needs_the_numbers_that_are_added_up() -> None:
    """A line whose retries are missing would make their sum wrong."""
    compiled = build(HTTPLOG, "backend_name", "retries")
    start = LINE[: LINE.index("+3 0/0")]
    assert compiled.read(f"{start}+3\n".encode(), Extent.CUT).lines == 0
    assert read(compiled, f"{start}+3 0", extent=Extent.CUT) == [{"backend_name": "bk", "retries": "3"}]


def test_a_line_that_ends_with_the_requests_quote_is_not_cut() -> None:
    """It is a whole line of httplog, which httpslog only begins with."""
    httpslog = compile_format("httpslog", "http", PRESETS[1].source)
    assert httpslog.read(f"{LINE}\n".encode(), Extent.CUT).lines == 0
    assert httpslog.read(f"{LINE} \n".encode(), Extent.CUT).lines == 1


# --- What is read loosely -----------------------------------------------------------------------------------------


def test_blanks_in_cookies_are_read_loosely() -> None:
    """A cookie hardly ever holds a blank, so it ends there at first; where nothing fits then, it may hold some."""
    compiled = build("%CC %CS %tsc %ST", "request_cookie response_cookie")
    line = "a b c=d ---- 200"
    assert compiled.read(f"{line}\n".encode()) == (0, [[], []], f"{line}\n".encode())
    assert read(compiled, "a b ---- 200", "a - ---- 200", extent=Extent.LOOSE) == [
        {"request_cookie": "a", "response_cookie": "b"},
        {"request_cookie": "a", "response_cookie": "-"},
    ]
    assert read(compiled, line, extent=Extent.LOOSE) == [{"request_cookie": "a", "response_cookie": "b c=d"}]


def test_a_format_without_cookies_is_not_read_loosely() -> None:
    """There is no second expression to try."""
    compiled = build("%ci %hr %{+Q}r", "client_ip")
    assert compiled.loose is None
    assert compiled.read(b'x {a} "GET /"\n', Extent.LOOSE) == (0, [], b'x {a} "GET /"\n')


# --- Steps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("%ci %OG %ST", "::1 {} 200"),
        ("%ci %{+Q}OG %ST", '::1 "{}" 200'),
        ("%{+json}o %(a)ci %(og)OG", '{{"a": "::1", "og": "{}"}}'),
        ("%OG", "{}"),
    ],
)
def test_steps_are_told_from_the_line_at_the_end(source: str, line: str) -> None:
    """`log-steps` writes a line for each step, and actions write some of their own."""
    others = ("txn_close", "sess_error", "sess_killed", "unspec")
    steps = ("txn_accept", "txn_request", "txn_connect", "txn_response")
    actions = ("http-req", "tcp-req-conn", "quic-init", "txn_closed")
    for fields, last in (({"bytes_read"}, others), ({"client_ip"}, (*others, *steps, "txn_closed"))):
        for guards, is_last in ((last_step(fields), True), (earlier_steps(fields), False)):
            compiled = compile_format("x", "http", source, Wanted(frozenset()), guards)
            for origin in (*steps, *others, *actions):
                found = compiled.read(f"{line.format(origin)}\n".encode()).lines
                assert found == ((origin in last) is is_last), (guards, origin)
