import re

import pytest

from haproxy_log_exporter.logformat.aliases import ALIASES, CLASSES, COMPOSITES, CUT_FRAGMENTS, FRAGMENTS, Part
from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.fields import FIELDS, Holds, Kind

# What HAProxy writes for each alias, and what its fields are then.
EXAMPLES: dict[str, tuple[str, dict[str, str]]] = {
    "ci": ("fe80::1:2", {"client_ip": "fe80::1:2"}),
    "cp": ("53510", {"client_port": "53510"}),
    "t": ("20/Nov/2026:04:30:27.864", {"accept_date": "20/Nov/2026:04:30:27.864"}),
    "tr": ("01/Jan/2026:23:59:60.000", {"accept_date": "01/Jan/2026:23:59:60.000"}),
    "T": ("20/Nov/2026:04:30:58 +0000", {"accept_date": "20/Nov/2026:04:30:58 +0000"}),
    "Tl": ("20/Nov/2026:04:30:58 -0330", {"accept_date": "20/Nov/2026:04:30:58 -0330"}),
    "trg": ("20/Nov/2026:04:30:58 +0000", {"accept_date": "20/Nov/2026:04:30:58 +0000"}),
    "trl": ("20/Nov/2026:04:30:58 +1245", {"accept_date": "20/Nov/2026:04:30:58 +1245"}),
    "ms": ("068", {"accept_milliseconds": "068"}),
    "f": ("web:8080", {"frontend_name": "web:8080"}),
    "ft": ("tls~", {"frontend_name": "tls", "ssl": "~"}),
    "b": ("bk", {"backend_name": "bk"}),
    "s": ("<NOSRV>", {"server_name": "<NOSRV>"}),
    "Th": ("12", {"time_handshake": "12"}),
    "Ti": ("0", {"time_idle": "0"}),
    "TR": ("-1", {"time_request": "-1"}),
    "Tq": ("-1", {"time_request": "-1"}),
    "Tw": ("1", {"time_queue": "1"}),
    "Tc": ("-1", {"time_connect": "-1"}),
    "Tr": ("1001", {"time_response": "1001"}),
    "Td": ("7", {"time_data": "7"}),
    "Ta": ("+0", {"time_total": "+0"}),
    "Tt": ("+50", {"time_total": "+50"}),
    "Tu": ("+9", {"time_user": "+9"}),
    "ST": ("-1", {"status_code": "-1"}),
    "B": ("+9223372036854775807", {"bytes_read": "+9223372036854775807"}),
    "U": ("81", {"bytes_uploaded": "81"}),
    "CC": ("SESS=a;b", {"request_cookie": "SESS=a;b"}),
    "CS": ("-", {"response_cookie": "-"}),
    "tsc": ("cR--", {"termination_state": "cR--"}),
    "ts": ("SC", {"termination_state": "SC"}),
    "ac": ("3", {"actconn": "3"}),
    "fc": ("2", {"feconn": "2"}),
    "bc": ("1", {"beconn": "1"}),
    "sc": ("0", {"srv_conn": "0"}),
    "rc": ("+1", {"redispatched": "+", "retries": "1"}),
    "sq": ("4", {"server_queue": "4"}),
    "bq": ("12", {"backend_queue": "12"}),
    "hr": ("{a|b c}", {"request_headers": "a|b c"}),
    "hs": ("{}", {"response_headers": ""}),
    "hrl": ('"a" "b c"', {"request_headers": '"a" "b c"'}),
    "hsl": ('""', {"response_headers": '""'}),
    "r": (
        "GET http://h/p?q HTTP/1.1",
        {
            "http_request_method": "GET",
            "http_request_uri": "http://h/p?q",
            "http_request_path": "/p",
            "http_version": "HTTP/1.1",
        },
    ),
    "HM": ("M-SEARCH", {"http_request_method": "M-SEARCH"}),
    "HV": ("HTTP/1.0", {"http_version": "HTTP/1.0"}),
    "Ts": ("1795149053", {"timestamp": "1795149053"}),
    "fi": ("::1", {"frontend_ip": "::1"}),
    "fp": ("443", {"frontend_port": "443"}),
    "bi": ("10.0.0.1", {"backend_source_ip": "10.0.0.1"}),
    "bp": ("-", {"backend_source_port": "-"}),
    "si": ("unix", {"server_ip": "unix"}),
    "sp": ("8080", {"server_port": "8080"}),
    "H": ("lb1.example", {"hostname": "lb1.example"}),
    "ID": ("7F000001:E2C2_00000000:0000_63A1:0001", {"unique_id": "7F000001:E2C2_00000000:0000_63A1:0001"}),
    "OG": ("txn_close", {"log_origin": "txn_close"}),
    "pid": ("25192", {"process_id": "25192"}),
    "lc": ("815", {"log_counter": "815"}),
    "rt": ("4294967295", {"request_counter": "4294967295"}),
    "HU": ("http://h/p?q", {"http_request_uri": "http://h/p?q", "http_request_path": "/p"}),
    "HP": ("https://h:8443/p", {"http_request_path": "/p"}),
    "HPO": ("/p", {"http_request_path": "/p"}),
    "HQ": ("?q=a", {"http_request_query": "q=a"}),
    "[ssl_fc_sni]": ("localhost", {"ssl_sni": "localhost"}),
    "sslv": ("TLSv1.3", {"ssl_version": "TLSv1.3"}),
    "sslc": ("(NONE)", {"ssl_cipher": "(NONE)"}),
    "[fc_err]": ("0", {"fc_err": "0"}),
    "[ssl_fc_err,hex]": ("0000000000000000", {"ssl_fc_err": "0000000000000000"}),
    "[ssl_c_err]": ("-", {"ssl_c_err": "-"}),
    "[ssl_c_ca_err]": ("0", {"ssl_c_ca_err": "0"}),
    "[ssl_fc_is_resumed]": ("1", {"ssl_fc_is_resumed": "1"}),
    # Samples that the manual names as the equals of aliases, or that the fixed formats hold.
    "[src]": ("::1", {"client_ip": "::1"}),
    "[src_port]": ("53510", {"client_port": "53510"}),
    "[dst]": ("127.0.0.1", {"frontend_ip": "127.0.0.1"}),
    "[dst_port]": ("-", {"frontend_port": "-"}),
    "[bc_src]": ("-", {"backend_source_ip": "-"}),
    "[bc_src_port]": ("41022", {"backend_source_port": "41022"}),
    "[bc_dst]": ("fe80::1:2", {"server_ip": "fe80::1:2"}),
    "[bc_dst_port]": ("8080", {"server_port": "8080"}),
    "[accept_date]": ("1795149053", {"timestamp": "1795149053"}),
    "[accept_date(ms),ms_utime(%3N)]": ("068", {"accept_milliseconds": "068"}),
    **{
        f"[{date}(ms),ms_ltime(%d/%b/%Y:%H:%M:%S.%3N)]": (
            "20/Nov/2026:04:30:27.864",
            {"accept_date": "20/Nov/2026:04:30:27.864"},
        )
        for date in ("accept_date", "request_date")
    },
    **{
        f"[{date},{time}(%d/%b/%Y:%H:%M:%S%z)]": (
            "20/Nov/2026:04:30:58 +0000",
            {"accept_date": "20/Nov/2026:04:30:58 +0000"},
        )
        for date in ("accept_date", "request_date")
        for time in ("utime", "ltime")
    },
    "[fe_name]": ("web", {"frontend_name": "web"}),
    "[ssl_fc]": ("1", {"ssl": "1"}),
    "[be_name]": ("bk", {"backend_name": "bk"}),
    "[srv_name]": ("s1", {"server_name": "s1"}),
    "[fc.timer.handshake]": ("12", {"time_handshake": "12"}),
    "[req.timer.idle]": ("0", {"time_idle": "0"}),
    "[req.timer.hdr]": ("-1", {"time_request": "-1"}),
    "[req.timer.tq]": ("7", {"time_request": "7"}),
    "[req.timer.queue]": ("-", {"time_queue": "-"}),
    "[bc.timer.connect]": ("3", {"time_connect": "3"}),
    "[res.timer.hdr]": ("27", {"time_response": "27"}),
    "[res.timer.data]": ("1", {"time_data": "1"}),
    "[txn.timer.total]": ("31", {"time_total": "31"}),
    "[fc.timer.total]": ("32", {"time_total": "32"}),
    "[txn.timer.user]": ("31", {"time_user": "31"}),
    "[txn.status]": ("-", {"status_code": "-"}),
    "[status]": ("503", {"status_code": "503"}),
    "[txn.sess_term_state]": ("--", {"termination_state": "--"}),
    "[act_conn]": ("9", {"actconn": "9"}),
    "[fe_conn]": ("7", {"feconn": "7"}),
    "[be_conn]": ("3", {"beconn": "3"}),
    "[srv_conn]": ("1", {"srv_conn": "1"}),
    "[txn.conn_retries]": ("2", {"retries": "2"}),
    "[bc_srv_queue]": ("4", {"server_queue": "4"}),
    "[bc_be_queue]": ("0", {"backend_queue": "0"}),
    "[query]": ("q=a", {"http_request_query": "q=a"}),
    "[method]": ("GET", {"http_request_method": "GET"}),
    "[capture.req.method]": ("M-SEARCH", {"http_request_method": "M-SEARCH"}),
    "[path]": ("/p", {"http_request_path": "/p"}),
    "[url]": ("/p?q", {"http_request_uri": "/p?q", "http_request_path": "/p"}),
    "[capture.req.uri]": ("https://h?q", {"http_request_uri": "https://h?q", "http_request_path": ""}),
    "[capture.req.ver]": ("HTTP/1.1", {"http_version": "HTTP/1.1"}),
    "[ssl_fc_protocol]": ("TLSv1.3", {"ssl_version": "TLSv1.3"}),
    "[ssl_fc_cipher]": ("TLS_AES_256_GCM_SHA384", {"ssl_cipher": "TLS_AES_256_GCM_SHA384"}),
    "[unique-id]": ("A1:2", {"unique_id": "A1:2"}),
    "[hostname]": ("lb1", {"hostname": "lb1"}),
    "[pid]": ("25192", {"process_id": "25192"}),
    "[txn.id32]": ("4711", {"request_counter": "4711"}),
    "[fc_err_str]": ("SSL handshake failure", {"message": "SSL handshake failure"}),
    # Not samples of HAProxy's: what its fixed messages hold.
    "[bind_name]": ("1", {"bind_name": "1"}),
    "[mode]": ("HTTP", {}),
    "[ends]": ("from ::1:37132 to ::1:28084", {"client_ip": "::1", "client_port": "37132"}),
    "[message]": ("SSL handshake failure (error)", {"message": "SSL handshake failure (error)"}),
}


# What aliases were called in HAProxy 1.5 and before, and some still.
FORMER = {
    **{name.title(): name for name in ("bi", "bp", "ci", "cp", "fi", "fp", "si", "sp")},
    **{name.lower(): name for name in ("CC", "CS", "ST")},
}
EXAMPLES |= {former: EXAMPLES[name] for former, name in FORMER.items()}

# Aliases that print no field are no format by themselves.
FIELDLESS = {name for name, alias in ALIASES.items() if not alias.fields}


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_each_alias_reads_what_haproxy_writes_for_it(name: str) -> None:
    """An alias alone is a format of its own, and gives the fields that it says it prints."""
    text, expected = EXAMPLES[name]
    more = name in FIELDLESS
    compiled = compile_format("x", "http", f"%{name} %pid" if more else f"%{name}")
    fields = (*ALIASES[name].fields, *["process_id"] * more)
    assert compiled.groups == tuple((field,) for field in fields)
    rows = compiled.read(f"{text} 7\n".encode() if more else f"{text}\n".encode())
    assert rows.lines == 1
    found = dict(zip(fields, (column[0] for column in rows.columns), strict=True))
    found.pop("process_id" if more else "", None)
    assert found == {field: value.encode() for field, value in expected.items()}
    assert compiled.fields == {*fields}


def test_examples_are_complete() -> None:
    """No alias goes without an example."""
    assert EXAMPLES.keys() == ALIASES.keys()
    assert {"[mode]"} == FIELDLESS


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_no_alias_reaches_into_the_next_line(name: str) -> None:
    """Whatever a line lacks is not taken from the one behind it."""
    text = EXAMPLES[name][0].encode()
    compiled = compile_format("x", "http", f"^%{name}$%pid")
    for place in range(len(text) + 1):
        broken = b"^" + text[:place] + b"\n" + text[place:] + b"$7\n"
        rows = compiled.read(broken)
        assert (rows.lines, rows.rest) == (0, broken)


# What always has a value.
NEVER_EMPTY = {"[mode]", "[ends]", "[txn.sess_term_state]", "[ssl_fc]"}
EMPTY: tuple[tuple[str, str], ...] = (
    *((name, "<BADREQ>") for name in ("r", "HM", "HU", "HP", "HPO", "HV", "HQ")),
    *((name, "") for name in ("hr", "hs", "hrl", "hsl", "HQ", "HPO")),
    *((name, "-") for name in ("ci", "cp", "bi", "bp", "s", "CC", "CS", "sslv", "sslc", "ID")),
    *(
        (name, "-")
        for name, alias in ALIASES.items()
        if name.startswith("[") and name not in NEVER_EMPTY and alias.kind is not Kind.DATE
    ),
)


@pytest.mark.parametrize(("name", "text"), EMPTY)
def test_each_alias_reads_what_haproxy_writes_where_there_is_no_value(name: str, text: str) -> None:
    """A dash, nothing, or <BADREQ> for a request that was not valid."""
    assert compile_format("x", "http", f"^%{name}$%pid").read(f"^{text}$7\n".encode()).lines == 1


def test_rows_have_aliases_of_their_own() -> None:
    """Each alias is in one row, or is composite."""
    names = [name for row in FIELDS for name in row.aliases] + [*COMPOSITES]
    assert len(names) == len(set(names)) == len(ALIASES)


def test_what_remains_of_a_cut_value_is_told_by_kinds_that_there_are() -> None:
    """No kind has a fragment for its rest alone."""
    assert CUT_FRAGMENTS.keys() <= FRAGMENTS.keys()


def fragments(parts: tuple[Part, ...]) -> list[str]:
    """List the bare patterns of parts, inner ones included."""
    found: list[str] = []
    for part in parts:
        found += [part.pattern] if isinstance(part.pattern, str) else fragments(part.pattern)
    return found


def test_fragments_use_the_classes_that_there_are() -> None:
    """Each `$word` is filled in, and no class holds a newline."""
    patterns = [pattern for alias in ALIASES.values() for pattern in (*fragments(alias.parts), alias.cut)]
    for pattern in patterns:
        assert {*re.findall(r"\$[a-z]+", pattern)} <= CLASSES.keys(), pattern
    assert all(lowest > ord("\n") or b"\n" in never for lowest, never in CLASSES.values())


def test_what_a_client_chooses_is_known_by_what_it_may_hold() -> None:
    """Requests hold no blank, cookies hardly ever one, captured headers and messages anything."""
    held = {holds: {name for name, alias in ALIASES.items() if alias.holds is holds} for holds in Holds}
    assert held[Holds.URL] == {"r", "HM", "HU", "HP", "HPO", "HQ", "HV"}
    assert held[Holds.WORD] == {
        *("CC", "CS", "cc", "cs", "ID", "[unique-id]", "[ssl_fc_sni]", "[query]", "[method]", "[path]", "[url]"),
        *("[capture.req.method]", "[capture.req.uri]", "[capture.req.ver]"),
    }
    assert held[Holds.TEXT] == {"hr", "hs", "hrl", "hsl", "[fc_err_str]", "[message]"}
    free = {name for name, alias in ALIASES.items() if alias.kind in (Kind.LIST, Kind.TEXT, Kind.BLOCK)}
    assert free <= held[Holds.TEXT] | held[Holds.URL]


def test_numbers_and_dates_are_never_quoted() -> None:
    """+Q puts names and texts in quotes, and leaves the rest alone; but what a sample gives is text, whatever it is."""
    quoted = {name for name, alias in ALIASES.items() if alias.quotable}
    assert quoted >= {"ci", "b", "s", "ft", "r", "CC", "CS", "HM", "sslv", "ID", "OG", "HU"}
    assert quoted >= {name for name in ALIASES if name.startswith("[")}
    assert not quoted & {"cp", "tr", "trg", "ms", "ST", "B", "Ta", "tsc", "ts", "rc", "sq", "hrl", "Ts", "pid", "Tu"}
