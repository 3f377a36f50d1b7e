import pytest

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.logformat.compiler import (
    CompiledFormat,
    Wanted,
    compile_format,
    compile_message,
    format_kind,
)
from haproxy_log_exporter.logformat.presets import PRESETS

HTTPLOG = PRESETS[0].source
TIMERS = ("time_request", "time_queue", "time_connect", "time_response", "time_total")
LINE = (
    "127.0.0.1:1 [20/Nov/2026:04:30:27.864] web bk/s1 1/2/3/-1/+5 200 +228 - - ---- 1/1/0/0/+3 0/0 "
    '{a|b} "GET /a HTTP/1.1"'
)


def build(source: str, labels: str = "", numbers: str = "") -> CompiledFormat:
    """Compile a format for labels and numbers, given as words."""
    return compile_format("x", "http", source, Wanted(frozenset(labels.split()), frozenset(numbers.split())))


def read(compiled: CompiledFormat, *lines: str, cut: bool = False) -> list[dict[str, str | None]]:
    """Read lines that must all match: the texts of each by the fields of their column."""
    chunk = "".join(line + "\n" for line in lines).encode("latin-1")
    rows = compiled.read_cut(chunk) if cut else compiled.read(chunk)
    assert (rows.lines, rows.rest) == (len(lines), b"")
    assert [len(column) for column in rows.columns] == [len(lines)] * len(compiled.groups)
    return [
        {
            "/".join(group): None if text is None else text.decode("latin-1")
            for group, text in zip(compiled.groups, row, strict=True)
        }
        for row in zip(*rows.columns, strict=True)
    ]


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "place", "problem"),
    [
        ("%ci %xyz", 4, "unknown item %xyz; there are %"),
        ("a %[fc_rtt]", 2, "unknown item %[fc_rtt]; there are %"),
        ("%ci %{+X}cp", 4, "the flag +X is not read; there is +Q"),
        ("%{+json}o %{+Q}b", 10, "the flag +json is not read; there is +Q"),
        ("%{+E}s", 0, "the flag +E is not read; there is +Q"),
        ("%b%s", 2, "nothing tells where %b ends and %s begins"),
        ("%ci %r%ST", 6, "nothing tells where %r ends and %ST begins"),
        ("%{+Q}r %s%B", 9, "nothing tells where %s ends and %B begins"),
        ("%ST%B", 3, "nothing tells where %ST ends and %B begins"),
        ("%ci%cp", 3, "nothing tells where %ci ends and %cp begins"),
        ("%Tw/%Tc%Tr", 7, "nothing tells where %Tc ends and %Tr begins"),
    ],
)
def test_what_cannot_be_read_is_shown_with_a_caret(source: str, place: int, problem: str) -> None:
    """An unknown item, a flag that is not read and values that nothing divides are refused, with their place."""
    with pytest.raises(UsageError) as caught:
        compile_format("x", "http", source)
    first, shown, caret = str(caught.value).split("\n")
    assert first.startswith(f"log-format: {problem}")
    assert (shown, caret) == (f"    {source}", " " * (4 + place) + "^")


def test_an_unknown_item_is_answered_with_those_that_there_are() -> None:
    """The message lists HAProxy's aliases, and nothing that is only for its fixed messages."""
    with pytest.raises(UsageError, match=r"%B, %CC, .*%tsc") as caught:
        compile_format("x", "http", "%xyz")
    assert "[" not in str(caught.value).split("\n")[0]


@pytest.mark.parametrize("source", ["%{+Q}b%{+Q}s", "%{+Q}r%ST", "%B%tsc", "%hr%hs x", "%ft %b/%s"])
def test_values_that_tell_their_own_end_may_touch(source: str) -> None:
    """Quotes, braces and digits before a name need nothing between them."""
    compile_format("x", "http", source)


# --- What is captured -------------------------------------------------------------------------------------------------


def test_only_what_is_wanted_is_captured() -> None:
    """Columns stand in the line's order, whatever the order of the wish."""
    compiled = build(HTTPLOG, "server_name http_request_path status_code")
    assert compiled.groups == (("server_name",), ("status_code",), ("http_request_path",))
    assert read(compiled, LINE) == [{"server_name": "s1", "status_code": "200", "http_request_path": "/a"}]
    assert build(HTTPLOG).groups == ()
    assert build(HTTPLOG).read(f"{LINE}\n".encode() * 3) == (3, [], b"")


def test_without_a_wish_every_field_has_a_column() -> None:
    """That is what `parse` asks for: all fields, each alone."""
    compiled = compile_format("x", "http", HTTPLOG)
    assert {group[0] for group in compiled.groups} == compiled.fields
    assert all(len(group) == 1 for group in compiled.groups)
    (found,) = read(compiled, LINE)
    expected = {
        "time_response": "-1",
        "time_total": "+5",
        "redispatched": "+",
        "retries": "3",
        "request_headers": "a|b",
        "response_headers": None,
        "ssl": "",
        "http_request_uri": "/a",
        "http_request_path": "/a",
    }
    assert {name: found[name] for name in expected} == expected


def test_timers_side_by_side_share_a_column() -> None:
    """Their splitter tells them apart again."""
    compiled = build(HTTPLOG, "status_code", " ".join(TIMERS))
    assert compiled.groups == (TIMERS, ("status_code",))
    assert read(compiled, LINE) == [{"/".join(TIMERS): "1/2/3/-1/+5", "status_code": "200"}]
    match = compiled.splitters[TIMERS].fullmatch(b"1/2/3/-1/+5")
    assert match
    assert match.groups() == (b"1", b"2", b"3", b"-1", b"+5")


def test_timers_apart_have_columns_of_their_own() -> None:
    """A timer that is not wanted, or is a label as well, divides a run."""
    compiled = build(HTTPLOG, "", "time_request time_queue time_response")
    assert compiled.groups == (("time_request", "time_queue"), ("time_response",))
    assert read(compiled, LINE) == [{"time_request/time_queue": "1/2", "time_response": "-1"}]
    labelled = build(HTTPLOG, "time_queue", "time_request time_queue time_connect")
    assert labelled.groups == (("time_request",), ("time_queue",), ("time_connect",))
    assert read(labelled, LINE) == [{"time_request": "1", "time_queue": "2", "time_connect": "3"}]


def test_numbers_that_are_no_timers_have_columns_of_their_own() -> None:
    """Sizes, retries and queues are not glued together."""
    compiled = build(HTTPLOG, "", "bytes_read retries redispatched backend_queue")
    assert read(compiled, LINE) == [{"bytes_read": "+228", "redispatched": "+", "retries": "3", "backend_queue": "0"}]


def test_what_does_not_match_is_left_in_its_order() -> None:
    """The rest holds whole lines as they were, and no column has a row for them."""
    compiled = build("%ST %b", "status_code backend_name")
    rows = compiled.read(b"x\n200 a\n\n404 b\n200 c \n 200 d\n503 e\n\xff\n")
    assert rows == (3, [[b"200", b"404", b"503"], [b"a", b"b", b"e"]], b"x\n\n200 c \n 200 d\n\xff\n")
    assert compiled.read(b"x\n") == (0, [[], []], b"x\n")
    assert compiled.read(b"") == (0, [[], []], b"")


@pytest.mark.parametrize(
    ("blocks", "headers"),
    [
        ("", (None, None)),
        ("{a} ", ("a", None)),
        ("{} {} ", ("", "")),
        ("{|} {a b#7B|c} ", ("|", "a b#7B|c")),
        ("{ } {{} ", (" ", "{")),
    ],
)
def test_blocks_that_are_not_there_take_their_blank_along(blocks: str, headers: tuple[str | None, ...]) -> None:
    """HAProxy prints nothing for headers that were not captured, and merges the blanks beside them."""
    compiled = build("%ST %hr %hs %{+Q}r", "request_headers response_headers status_code")
    expected = {"status_code": "200"} | dict(zip(("request_headers", "response_headers"), headers, strict=True))
    assert read(compiled, f'200 {blocks}"GET / HTTP/1.1"') == [expected]


def test_a_block_at_the_end_may_be_missing() -> None:
    """The blank before it is printed all the same."""
    assert read(build("%ST %hr", "request_headers"), "200 ", "200 {a}") == [
        {"request_headers": None},
        {"request_headers": "a"},
    ]


@pytest.mark.parametrize("name", ["", "bk", "a b", "#22", "-"])
def test_quoted_words_may_be_empty_and_hold_blanks(name: str) -> None:
    """What is in quotes ends at the quote; numbers have none even where %o gives them the flag."""
    compiled = build("%{+Q}o %b %ST %{-Q}s", "backend_name status_code server_name")
    expected = {"backend_name": name, "status_code": "200", "server_name": "s1"}
    assert read(compiled, f'"{name}" 200 s1') == [expected]


def test_quotes_may_have_a_backslash_before_them() -> None:
    """syslog-ng writes them so; the backslash behind a version belongs to the quote."""
    compiled = build("%ST %{+Q}r", "http_version http_request_uri")
    lines = (r"200 \"GET /a HTTP/1.1\"", r'200 "GET /\ HTTP/1.1"')
    assert read(compiled, *lines) == [
        {"http_request_uri": "/a", "http_version": "HTTP/1.1"},
        {"http_request_uri": "/\\", "http_version": "HTTP/1.1"},
    ]


def test_a_request_without_quotes_is_read_as_well() -> None:
    """HAProxy prints it so where the format has no +Q; its version ends at the blank."""
    compiled = build("%ci %r %ST", "client_ip http_request_path http_version status_code")
    expected = {"client_ip": "::1", "http_request_path": "/x", "http_version": "HTTP/1.1", "status_code": "404"}
    assert read(compiled, "::1 GET /x?y HTTP/1.1 404") == [expected]


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "fe80::1:2", "::", "unix", "-"])
@pytest.mark.parametrize(
    ("source", "line"), [("%ci:%cp x", "{}:80 x"), ("%ci x", "{} x"), ("[%ci]", "[{}]"), ("%{+Q}ci", '"{}"')]
)
def test_an_address_holds_its_own_colons(client: str, source: str, line: str) -> None:
    """The last colon divides it from its port, where the format has one."""
    assert read(build(source, "client_ip"), line.format(client)) == [{"client_ip": client}]


# --- What is cut ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source", [*(preset.source for preset in PRESETS), "%{+Q}r %ST", "x%ci", "%B%tsc %r", "x%hr %ST", "%r"]
)
@pytest.mark.parametrize("labels", ["", "http_request_path request_headers status_code client_ip termination_state"])
@pytest.mark.parametrize("numbers", ["", "bytes_read time_total time_queue retries"])
def test_cut_lines_have_the_columns_of_whole_ones(source: str, labels: str, numbers: str) -> None:
    """Both expressions hold the same groups, so that rows of either fit the same feeds."""
    compiled = build(source, labels, numbers)
    assert compiled.cut.groups == compiled.whole.groups == len(compiled.groups) + 1
    all_fields = compile_format("x", "http", source)
    assert all_fields.cut.groups == all_fields.whole.groups == len(all_fields.groups) + 1


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
    assert read(compiled, start + end, cut=True) == [expected]
    assert compiled.read(f"{start}{end}\n".encode()).lines == 0


@pytest.mark.parametrize("end", ["228", "+", "", "228 - - ---- 1/1/0/0/+3 0/0 {a} x", "228 - - ---- 1/1/0/0/3 0/0 0/0"])
def test_what_is_not_cut_but_wrong_is_no_cut_line(end: str) -> None:
    """A byte count that might go on does not suffice, and a line that goes wrong is of another format."""
    assert build(HTTPLOG, "status_code").read_cut((LINE[: LINE.index("+228")] + end + "\n").encode()).lines == 0


def test_a_cut_line_needs_the_numbers_that_are_added_up() -> None:
    """A line whose retries are missing would make their sum wrong."""
    compiled = build(HTTPLOG, "backend_name", "retries")
    start = LINE[: LINE.index("+3 0/0")]
    assert compiled.read_cut(f"{start}+3\n".encode()).lines == 0
    assert read(compiled, f"{start}+3 0", cut=True) == [{"backend_name": "bk", "retries": "3"}]


def test_a_line_that_ends_with_the_requests_quote_is_not_cut() -> None:
    """It is a whole line of httplog, which httpslog only begins with."""
    httpslog = compile_format("httpslog", "http", PRESETS[1].source)
    assert httpslog.read_cut(f"{LINE}\n".encode()).lines == 0
    assert httpslog.read_cut(f"{LINE} \n".encode()).lines == 1


# --- The small ones ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        *((preset.source, preset.kind) for preset in PRESETS if preset.kind in ("http", "tcp")),
        ("%ci %ST", "http"),
        ("%HM", "http"),
        ("%ci %Tt %B %ts", "tcp"),
        ("%%ST", "tcp"),
    ],
)
def test_a_format_tells_whether_it_writes_requests_or_sessions(source: str, kind: str) -> None:
    """By the aliases that only one of them has."""
    assert format_kind(source) == kind


def test_a_message_is_a_whole_line_behind_any_envelope() -> None:
    """What is before or behind a message makes it another line."""
    pattern = compile_message(r"Proxy $word++ started\.$text*+")
    lines = (b"Proxy x started.", b"<133>Nov 20 06:02:57 haproxy[1]: Proxy x started.", b"<5>Proxy x started. Now")
    for line in lines:
        assert pattern.split(line + b"\n") == [b"", None, b""]
    for line in (b"A Proxy x started.", b"Proxy  started.", b"Proxy x y started."):
        assert pattern.split(line + b"\n") == [b"", line + b"\n", b""]
