import pytest

from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.elements import as_label, sample_name
from haproxy_log_exporter.logformat.notation import PLAIN, Notation


def read(source: str, line: str) -> dict[str, str | list[str] | None]:
    """Read a line that must match: each field's value as it was before flags and converters changed it."""
    compiled = compile_format("x", "http", source)
    rows = compiled.read(f"{line}\n".encode())
    assert rows.lines == 1, line
    found: dict[str, str | list[str] | None] = {}
    for (name,), column in zip(compiled.groups, rows.columns, strict=True):
        notation, raw = compiled.notations[name], column[0]
        if name.endswith("_headers"):
            found[name] = None if raw is None else [header.decode() for header in notation.headers(raw)]
        else:
            value = notation.value(raw)
            found[name] = None if value is None else value.decode()
    return found


# --- Samples and their names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("[req.hdr(Host)]", "req_hdr_host"),
        ("[src,ipmask(24)]", "src_ipmask_24"),
        ("[capture.req.hdr(0)]", "request_header_1"),
        ("[capture.res.hdr(11)]", "response_header_12"),
        ("[capture.req.hdr(0),lower]", "capture_req_hdr_0_lower"),
        ("[var(txn.a-b)]", "var_txn_a_b"),
        ("[_x_]", "x"),
        ("[1.2]", "_1_2"),
        ("[é]", "sample"),
    ],
)
def test_a_sample_is_named_after_its_expression(expression: str, name: str) -> None:
    """Letters in lower case and digits stay, all else becomes one underscore; slots of captures are headers."""
    assert sample_name(expression) == name


@pytest.mark.parametrize(
    ("text", "label"), [("a-b", "a_b"), ("Client_IP", "Client_IP"), ("-9-", "_9"), ("--", ""), ("", "")]
)
def test_a_given_name_becomes_a_label(text: str, label: str) -> None:
    """Prometheus allows letters, digits and underscores, and no digit at the start."""
    assert as_label(text) == label


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ("%[src]", "client_ip"),
        ("%[ src ]".replace(" ", ""), "client_ip"),
        ("%[ssl_fc_sni()]", "ssl_sni"),
        ("%[accept_date(ms),ms_utime('%3N')]", "accept_milliseconds"),
        (r"%[accept_date(ms),ms_ltime(\"%d/%b/%Y:%H:%M:%S.%3N\")]", "accept_date"),
        ("%[accept_date,ltime('%d/%b/%Y:%H:%M:%S %z')]", "accept_date"),
        ("%[txn.timer.total]", "time_total"),
        ("%[be_name,json(utf8s)]", "backend_name"),
        ("%[req.hdr(host)]", "req_hdr_host"),
        ("%[req.hdr(host),json(utf8s)]", "req_hdr_host"),
        ("%[req.hdr(host),json,lower]", "req_hdr_host_json_lower"),
        ("%(host)[req.hdr(host)]", "host"),
        ("%(host:str){+Q}[req.hdr(host)]", "host"),
        ("%(client)[src]", "client_ip"),
        ("%(client)ci", "client_ip"),
        ("%(status_code)[var(txn.status)]", "status_code"),
        ("%(time_response)[var(txn.ms)]", "time_response"),
        ("%(a-b)[str(x)]", "a_b"),
    ],
)
def test_each_sample_has_one_field(source: str, field: str) -> None:
    """An alias's equal has the alias's field, however it is quoted; others the name they are given, or their own."""
    assert compile_format("x", "http", source).fields == {field}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("%(client)ci %(status)ST %b", {"client": "client_ip", "status": "status_code"}),
        ("%(client)[src] %(request)r %(again)rc", {"client": "client_ip", "again": "retries"}),
        ("%(host)[req.hdr(host)] %ST", {}),
        ("%(a)ci %(a)b", {"a": "client_ip"}),
    ],
)
def test_a_name_is_another_one_for_a_field_that_has_its_own(source: str, names: dict[str, str]) -> None:
    """The first of several that are called the same counts."""
    found = compile_format("x", "http", source).names
    assert {name: field for name, field in found.items() if name in source} == names


# --- What flags make of values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line", "found"),
    [
        (
            "%{+X}ci:%{+X}cp %{+X}pid %{+X}ST",
            "7F000001:1F90 6269 200",
            {"client_ip": "127.0.0.1", "client_port": "8080", "process_id": "25193", "status_code": "200"},
        ),
        (
            "%{+X}o %ci %fp %Ts %b",
            "00000000000000000000000000000001 1BB 6AFDF7CD bk",
            {"client_ip": "::1", "frontend_port": "443", "timestamp": "1795028941", "backend_name": "bk"},
        ),
        ("%{+X,+Q}bi %{+X,+Q}bp|%{+X,+Q}ci", '"" ""|7F000001', {"backend_source_ip": None, "client_ip": "127.0.0.1"}),
        ("%{+X}ci -", "- -", {"client_ip": None}),
        ("%{+Q}bp %ST", '"" 200', {"backend_source_port": None}),
        (r"\"%{+E}b\" %{+E}[str(x)]", r'"a\"b\]\\" c\]d', {"backend_name": 'a"b]\\', "str_x": "c]d"}),
        ("%{+E,+Q}CC %ST", r'"a\"b c" 200', {"request_cookie": 'a"b c'}),
        (
            "%{+Q,+E}hrl | %{+E}hr|%ST",
            r'"a\]b" "c" | {d\]e|f}|200',
            {"request_headers": ["a]b", "c"], "status_code": "200"},
        ),
        ("%{+E}hs %ST", r"{a\\|\]} 200", {"response_headers": ["a\\", "]"]}),
        ("%{+Q}hr %ST", '"{a|b}" 200', {"request_headers": ["a", "b"]}),
        ("%{+Q}hr %ST", "200", {"request_headers": None}),
        ("%hrl|%ST", "a - b|200", {"request_headers": ["a", "", "b"]}),
        ("%[req.hdr(a),json(utf8s)]|%ST", r"a\"b\u00e9\\|200", {"req_hdr_a": 'a"bé\\'}),
        ("%{+Q}[ssl_fc_sni,json] %ST", r'"a\/b" 200', {"ssl_sni": "a/b"}),
        ("%{+Q}[txn.timer.total] %{+Q}ST", '"31" 200', {"time_total": "31", "status_code": "200"}),
        ("%{+json}b %{+json}ST %{+json}hr", r'"a\"b" 200 "{a|b}"', {"backend_name": 'a"b', "status_code": "200"}),
    ],
)
def test_flags_and_converters_are_undone(source: str, line: str, found: dict[str, str | list[str] | None]) -> None:
    """Whatever an item's flags and its last converter make of a value, the value is what it was."""
    values = read(source, line)
    assert {name: values[name] for name in found} == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            r'{"ip": "::1", "port": 5, "tls": "web", "code": 200, "host": "a\"b", "hdrs": ["a", "b c"], "time": -1}',
            {
                "client_ip": "::1",
                "client_port": "5",
                "frontend_name": "web",
                "ssl": None,
                "status_code": "200",
                "host": 'a"b',
                "request_headers": ["a", "b c"],
                "time_response": "-1",
            },
        ),
        (
            '{"ip": "", "port": "", "tls": "web", "code": 0, "host": "", "hdrs": null, "time": ""}',
            {
                "client_ip": None,
                "client_port": None,
                "frontend_name": "web",
                "ssl": None,
                "status_code": "0",
                "host": None,
                "request_headers": None,
                "time_response": None,
            },
        ),
    ],
)
def test_an_object_of_json_is_read(line: str, found: dict[str, str | list[str] | None]) -> None:
    """Strings, numbers, arrays and null, each under its own name in the line and its field here.

    HAProxy's 3.0 leaves the signs out then that stand beside a value, as the "~" behind a frontend's name.
    """
    source = (
        "%{+json}o %(ip)ci %(port)cp not printed %(tls)ft %(code)ST %s %(host)[req.hdr(host)] %(hdrs)hrl"
        " %(time)[res.timer.hdr]"
    )
    assert read(source, line) == found


@pytest.mark.parametrize("value", ["true", "false"])
@pytest.mark.parametrize("sample", ["%(ok:bool)ac", "%(ok:bool)[act_conn]"])
def test_a_number_may_be_cast_to_true_and_false(sample: str, value: str) -> None:
    """So HAProxy writes it with the type `bool` in JSON (lf_int_encode in src/log.c): the line is read all the same."""
    assert read(f"%{{+json}}o {sample} %(b)b", f'{{"ok": {value}, "b": "bk"}}')["backend_name"] == "bk"


@pytest.mark.parametrize(
    ("source", "notations"),
    [
        ("%b %ST", {"backend_name": PLAIN, "status_code": PLAIN}),
        ("%{+Q}o %b %{-Q}ci", {"backend_name": Notation(quoted=True), "client_ip": Notation(address=True)}),
        ("%{+E}b %{+X}ms", {"backend_name": Notation(escaped=True), "accept_milliseconds": Notation(hexadecimal=True)}),
        ("%b|%{+Q}b", {"backend_name": PLAIN}),
        (
            "%[src,json] %hrl",
            {"client_ip": Notation(address=True, converted="bytes"), "request_headers": Notation(listed=True)},
        ),
    ],
)
def test_a_format_tells_how_its_fields_stand_in_a_line(source: str, notations: dict[str, Notation]) -> None:
    """Of a field that is printed twice, as it is where it counts."""
    assert compile_format("x", "http", source).notations == notations


@pytest.mark.parametrize(
    ("source", "line", "field", "value"),
    [
        ("%[req.hdr(a)] %b %ST", "a b c bk 200", "req_hdr_a", "a b c"),
        ("%[req.hdr(a)]; %[req.hdr(b)] %ST", "x; y; z 200", "req_hdr_a", "x"),
        ("%[req.hdr(a)]; %[req.hdr(b)] %ST", "x; y; z 200", "req_hdr_b", "y; z"),
        ("%[req.hdr(a)]-%ST", "a-1-200-300", "req_hdr_a", "a-1-200"),
        ("[%[req.hdr(a)]] %ST", "[a] 1] 200", "req_hdr_a", "a] 1"),
        ("%[req.hdr(a)]\t%ST", "a\tb\t200", "req_hdr_a", "a\tb"),
        ("%HU;%ST", "/a;b=1;200", "http_request_uri", "/a;b=1"),
        ("%b/%s %ST", "a/b/s1 200", "backend_name", "a"),
    ],
)
def test_free_text_ends_where_what_follows_it_fits(source: str, line: str, field: str, value: str) -> None:
    """At the first such place, as far as up to the next free text."""
    assert read(source, line)[field] == value
