import pytest

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.logformat.compiler import compile_format, compile_message, format_kind
from haproxy_log_exporter.logformat.presets import PRESETS
from tests.logformat.compiling import HTTPLOG, LINE, build, read

TIMERS = ("time_request", "time_queue", "time_connect", "time_response", "time_total")


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "place", "problem"),
    [
        ("%ci %xyz", 4, "unknown item %xyz; there are %"),
        ("%ci %ci1", 4, "unknown item %ci1; there are %"),
        ("%ci %{+cbor}b", 4, "+cbor writes bytes that are no lines, and is not read; there is +json"),
        ("%{+bin,+cbor}o %b %{-bin}[src]", 15, "+cbor writes bytes that are no lines"),
        ("%(a", 1, "a name is letters, digits, _ and -, closed by ')'"),
        ("plain 100%%", 0, "there is no value in it, so every line would be the same"),
        ("", 0, "there is no value in it, so every line would be the same"),
        ("%{+json}o %b", 0, "there is no value in it, so every line would be the same"),
        ("%ci %[req.hdr(a)]%[req.hdr(b)]", 17, "two free texts touch: nothing tells where %[req.hdr(a)] ends and %["),
        ("%[req.hdr(a)]%ST", 13, "nothing tells where %[req.hdr(a)] ends and %ST begins"),
        ("%CC%CS", 3, "nothing tells where %CC ends and %CS begins"),
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
    with pytest.raises(UsageError, match=r"%B, %Bi, %Bp, %CC, .*%tsc") as caught:
        compile_format("x", "http", "%xyz")
    assert "[" not in str(caught.value).split("\n")[0]


def test_a_line_feed_in_a_format_is_refused() -> None:
    """No line of the log would hold it; the caret stands in the string's own line."""
    with pytest.raises(UsageError) as caught:
        compile_format("x", "http", "%ci\n%cp")
    assert str(caught.value) == "log-format: a line of the log holds no line feed\n    %ci\n       ^"


TOUCHING = {
    "%{+Q}b%{+Q}s": '"bk""s1"',
    "%{+Q}r%ST": '"GET / HTTP/1.1"200',
    "%B%tsc": "228----",
    "%hr%hs x": "{a}{b} x",
    "%ft %b/%s": "web~ bk/s1",
    "%t%ci": "20/Nov/2026:04:30:27.864127.0.0.1",
    "%tsc%B": "----228",
    "%HPO%HQ": "/a?b",
    "%Ts%ms": "1795149053068",
    "%{+json}b%{+json}ci %ST": '"bk""::1" 200',
}


@pytest.mark.parametrize(("source", "line"), TOUCHING.items())
def test_values_that_tell_their_own_end_may_touch(source: str, line: str) -> None:
    """Quotes, braces, dates, digits before a name and the like need nothing between them."""
    compiled = compile_format("x", "http", source)
    assert compiled.read(f"{line}\n".encode()).lines == 1


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


# --- Fields that are printed twice --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line", "field", "text"),
    [
        ("%ci %[src] %ST", "::1 ::2 200", "client_ip", "::1"),
        ("%HU %r|%ST", "/a GET /b HTTP/1.1|200", "http_request_path", "/a"),
        ("%HM|%r", "GET|PUT /b HTTP/1.1", "http_request_method", "GET"),
        ("%Tt/%Ta %ST", "7/5 200", "time_total", "5"),
        ("%Ta/%Tt %ST", "5/7 200", "time_total", "5"),
        ("%Tt/%[txn.timer.total] %ST", "7/5 200", "time_total", "5"),
        ("%(a)[var(txn.a)] %(a)[var(txn.b)] %ST", "x y 200", "a", "x"),
        (
            "%t [%trg] %ST",
            "20/Nov/2026:04:30:27.864 [20/Nov/2026:04:30:58 +0000] 200",
            "accept_date",
            "20/Nov/2026:04:30:27.864",
        ),
    ],
)
@pytest.mark.parametrize("wanted", [True, False])
def test_the_first_of_several_that_print_a_field_counts(
    source: str, line: str, field: str, text: str, *, wanted: bool
) -> None:
    """The others are only checked; but %Ta wins over %Tt, wherever it stands."""
    compiled = build(source, field) if wanted else compile_format("x", "http", source)
    (found,) = read(compiled, line)
    assert found[field] == text
    assert [name for group in compiled.groups for name in group].count(field) == 1


# --- The small ones ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        *((preset.source, preset.kind) for preset in PRESETS if preset.kind in ("http", "tcp")),
        ("%ci %ST", "http"),
        ("%HM", "http"),
        ("%ci %Tt %B %ts", "tcp"),
        ("%ci %%ST", "tcp"),
        ("%ci %[req.hdr(host)]", "http"),
        ("%ci %[capture.res.hdr(0)]", "http"),
        ("%ci %[path]", "http"),
        ("%ci %[status]", "http"),
        ("%ci %[ssl_fc_sni] %[src,ipmask(24)] %[var(sess.a)]", "tcp"),
        ("%{+json}o %(a)ci %(b)ST", "http"),
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
