"""What `parse` prints of lines of formats of one's own, and of lines in wrappers."""

import json
from typing import Any

import pytest

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.logformat.wrappers import Unwrapper
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Parser, as_json
from haproxy_log_exporter.sources.framing import LONGEST_LINE
from tests.pipelines import HTTPS as HTTPS_LINE
from tests.pipelines import TCP as TCP_LINE

HTTPS, TCP = HTTPS_LINE.decode(), TCP_LINE.decode()


def parse(line: bytes | str, *formats: str) -> dict[str, Any]:
    """Read a line as `parse` prints it."""
    octets = line.encode() if isinstance(line, str) else line
    return as_json(Parser(compile_all(Choice((), (), (), formats))).parse(octets), octets)


# What flags make of a value, and converters: (format, line, what `parse` prints of it).
WRITTEN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "hexadecimal": (
        "%{+X}o %ci:%cp %pid %ms %ST",
        "7F000001:1F90 6269 44 200",
        {
            "client_ip": "127.0.0.1",
            "client_port": 8080,
            "accept_milliseconds": 68,
            "status_code": 200,
            "process_id": 25193,
        },
    ),
    "escaped": (
        r"%{+E,+Q}b %ST %{+E}hr",
        r'"a\"b\]" 200 {c\]|d}',
        {"backend_name": 'a"b]', "status_code": 200, "request_headers": ["c]", "d"]},
    ),
    "json": (
        "%{+json}o %(port)cp %(tls)ft %(code)ST %(size)B %(host)[req.hdr(host)] %(hdrs)hrl %(conns)ac %(tries)rc %(r)r",
        (
            r'{"port": 5, "tls": "web", "code": 200, "size": 17, "host": "a\"b\\", "hdrs": ["a", "b|c"], "conns": 3,'
            r' "tries": 1, "r": "GET /a?b HTTP/1.1"}'
        ),
        {
            "client_port": 5,
            "frontend_name": "web",
            "ssl": False,
            "status_code": 200,
            "bytes_read": 17,
            "connections": [3, None, None, None],
            "retries": 1,
            "redispatched": False,
            "request_headers": ["a", "b|c"],
            "http_request_method": "GET",
            "http_request_uri": "/a?b",
            "http_request_path": "/a",
            "http_version": "HTTP/1.1",
            "host": 'a"b\\',
        },
    ),
    "converted": ("%[req.hdr(ua),json(utf8s)] %ST", r"a\"b\u00e9 200", {"status_code": 200, "req_hdr_ua": 'a"bé'}),
    "samples": (
        "%[src]:%[src_port] %[ssl_fc] %[be_name]/%[srv_name] %[txn.timer.total] %[status] %[path] %[ssl_fc_sni]",
        "::1:53510 1 bk/s1 31 404 /a -",
        {
            "client_ip": "::1",
            "client_port": 53510,
            "ssl": True,
            "backend_name": "bk",
            "server_name": "s1",
            "time_total": 31,
            "status_code": 404,
            "http_request_path": "/a",
        },
    ),
    "no values": (
        "%[src] %[status] %[ssl_fc_sni] %b %{+Q}s %[var(txn.a)]|%[res.timer.hdr]",
        '- - - - "" -|-',
        {},
    ),
    "fields of its own": (
        "%(zone)[src,ipmask(24)] %[capture.req.hdr(0)]|%[capture.res.hdr(1)]|%[var(txn.app)] %ST",
        "10.0.0.0 a b|c|d 200",
        {
            "status_code": 200,
            "zone": "10.0.0.0",
            "request_header_1": "a b",
            "response_header_2": "c",
            "var_txn_app": "d",
        },
    ),
    "names": ("%(client)ci %(code:str)ST", "::1 200", {"client_ip": "::1", "status_code": 200}),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_values_are_given_back_as_they_were(name: str) -> None:
    """What flags and converters made of them is undone; empty ones are left out, and own fields stand behind."""
    source, line, fields = WRITTEN[name]
    assert json.dumps(parse(line, source)) == json.dumps({"kind": "http", "format": "1"} | fields)


@pytest.mark.parametrize(
    "source",
    [
        *("%[txn.conn_retries] %ST", "%[status] %b", "%[res.timer.hdr] %b", "%[act_conn] %b", "%ms %b", "%{+X}ms %b"),
        *("%{+X,+Q}ci %b", "%{+X,+Q}pid %b", "%{+X}cp %b", "%{+Q}bp %b", "%{+json}ST %b", "%{+json,+X}ci %b"),
        *("%(status_code)[var(txn.a)] %b", "%(bytes_read)[var(txn.a)] %b", "%(client_port)[var(txn.a)] %b"),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        *(
            "+",
            "-",
            "",
            "+-",
            "-+",
            "+5",
            "9" * 19,
            "9" * 5000,
            "0x1",
            "FF",
            "F" * 33,
            '""',
            '"-"',
            '"5"',
            "null",
            "true",
        )
    ],
)
def test_strange_numbers_do_not_raise(source: str, text: str) -> None:
    """A sign alone is no number, nor is a text that an author called so: the log may be anybody's."""
    line = f"{text} 200".encode()
    parser = Parser(compile_all(Choice((), (), (), (source,))))
    json.dumps(as_json(parser.parse(line), line))


def test_named_formats_keep_their_order() -> None:
    """So `parse` gives a line the format that `count` counts it by, whatever lines were before."""
    readers = compile_all(Choice((), (), (), ("%cp %ST", "%b %ST")))
    for reorder, formats in ((False, "121"), (True, "122")):
        parser = Parser(readers, reorder=reorder)
        assert "".join(parser.parse(line).format for line in (b"5 200", b"x 200", b"5 200")) == formats


# --- Lines in wrappers ------------------------------------------------------------------------------------------------


def parse_wrapped(*lines: bytes) -> list[dict[str, Any]]:
    """Read a log line by line, as `parse` prints it."""
    parser, unwrapper = Parser(compile_all(Choice((), (), (), ()))), Unwrapper(LONGEST_LINE)
    found = [each for line in lines for each in parser.parse_wrapped(line, unwrapper)]
    found += parser.parse_unwrapped(unwrapper.end())
    return [as_json(each.record, each.line, each.times) for each in found]


def docker(text: str) -> bytes:
    """Wrap a line, or a part of one, as Docker does."""
    return json.dumps({"log": text, "stream": "stdout", "time": "2026-11-20T04:30:53.046904Z"}).encode()


def test_lines_are_taken_out_of_wrappers() -> None:
    """Each is read as it was, whatever it was: traffic, messages, lines of something else."""
    bare = [TCP, "Proxy x started.", "<134>" + HTTPS, "nothing known"]
    assert parse_wrapped(*(docker(line + "\n") for line in bare)) == [parse(line) for line in bare]
    assert parse_wrapped(*(line.encode() for line in bare)) == [parse(line) for line in bare]


def test_a_line_in_parts_is_one() -> None:
    """It is read when its last part comes, or when nothing comes any more."""
    assert parse_wrapped(docker(TCP[:30]), docker(TCP[30:] + "\n")) == [parse(TCP)]
    assert parse_wrapped(docker(TCP + "\n"), docker(TCP)) == [parse(TCP)] * 2


def test_a_line_that_is_too_long_in_all_its_parts_is_counted_apart() -> None:
    """Nothing of it is printed, but that it was there can be told."""
    parser, unwrapper = Parser(compile_all(Choice((), (), (), ()))), Unwrapper(100)
    lines = [docker("x" * 60), docker("x" * 60 + "\n"), docker(TCP + "\n")]
    found = [each.record.kind for line in lines for each in parser.parse_wrapped(line, unwrapper)]
    assert (found, parser.overlong) == (["tcp"], 1)


def test_a_repeated_line_says_how_often() -> None:
    """What rsyslog writes stands for several; `repeated` stands before the fields."""
    found = parse_wrapped(b"Nov 20 04:30:53 lb haproxy[1]: message repeated 3 times: [ %s]" % TCP.encode())
    assert found == [parse(TCP) | {"repeated": 3}]
    assert [*found[0]][:3] == ["kind", "format", "repeated"]
