"""What is read from a haproxy.cfg, held against what the real HAProxy writes with it."""

import os
import random
import re
import socket
import subprocess
from contextlib import ExitStack, suppress
from itertools import zip_longest
from pathlib import Path

import pytest

from haproxy_log_exporter.haproxy_cfg import Proxy, ProxyFormat, read_config
from tests.support import need

_DEFAULTS = "log {log} format raw local0\n timeout client 5s\n timeout server 5s\n timeout connect 5s"


def _write_lines(
    folder: Path, text: str, request: bytes, asked: int, served: int = 0
) -> tuple[tuple[Proxy, ...], list[str]]:
    """Send a request to each `bind {N}` below `asked` in turn; give the proxies and the line that each wrote.

    {log} is where the lines go, {defaults} what each defaults section needs. `served` more sockets are for what the
    configuration itself connects to, as {port N}.
    """
    with ExitStack() as stack:
        lines = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        lines.bind(("127.0.0.1", 0))
        lines.settimeout(30)
        fronts = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(asked + served)]
        text = text.replace("{defaults}", _DEFAULTS).replace("{log}", f"127.0.0.1:{lines.getsockname()[1]}")
        for number, front in enumerate(fronts):
            text = text.replace(f"{{{number}}}", f"fd@{front.fileno()}")
            text = text.replace(f"{{port {number}}}", f"127.0.0.1:{front.getsockname()[1]}")
        file = folder / "h.cfg"
        file.write_text(text)
        process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(file)],
            pass_fds=[front.fileno() for front in fronts],
            env={"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
            stderr=stack.enter_context((folder / "messages").open("wb")),
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        written = []
        for front in fronts[:asked]:
            with socket.create_connection(front.getsockname(), timeout=30) as client:
                client.sendall(request)
                try:
                    with suppress(ConnectionError):  # one that is rejected may be reset
                        while client.recv(65536):
                            pass
                    written.append(lines.recv(65536).decode().removesuffix("\n"))
                except TimeoutError:
                    pytest.fail((folder / "messages").read_text())
        return read_config([("h.cfg", text)], {}).proxies, written


_SHAPES = {
    "connect": r"Connect from 127\.0\.0\.1:\d+ to 127\.0\.0\.1:\d+ \([a-z-]+/(?:HTTP|TCP)\)",
    "httplog": r'127\.0\.0\.1:\d+ \[\S+\] \S+ \S+ (?:-?\d+/){4}\d+ 200 \d+ - - LR-- \S+ 0/0 "GET / HTTP/1\.1"',
    "httplog-clf": r'127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 200 .*',
    "tcplog-clf": r'127\.0\.0\.1 - - \[.*\] "TCP " 000 .*',
    "tcplog": r"127\.0\.0\.1:\d+ \[\S+\] \S+ \S+ (?:-?\d+/){2}\d+ \d+ PR \S+ 0/0",
}


def _fits(line: str, found: ProxyFormat) -> bool:
    shape = _SHAPES[found.preset] if found.preset else re.escape(found.source).replace("%ci", r"127\.0\.0\.1")
    return re.fullmatch(shape, line) is not None


def test_a_proxy_writes_the_format_that_is_read(tmp_path: Path) -> None:
    """Inheritance, the last of several, the fallbacks in mode tcp, variables and `.if`."""
    need("haproxy")
    http = "http-request return status 200"
    tcp = "tcp-request content reject"
    text = f"""\
global
 setenv MARK "m"
frontend first
 bind {{0}}
 log {{log}} format raw local0
 timeout client 5s
 {tcp}
defaults named
 mode http
 option httplog
 {{defaults}}
defaults other from named
 log-format "other %ci"
 log-format "last $MARK %ci"
frontend implicit
 bind {{1}}
 {http}
frontend explicit from named
 bind {{2}}
 {http}
frontend override from named
 bind {{3}}
 log-format 'own # $MARK %ci' # comment
 option httplog clf
 {http}
frontend falls-back from named
 bind {{4}}
 mode tcp
 {tcp}
frontend falls-back-clf from named
 option httplog clf
 bind {{5}}
 mode tcp
 {tcp}
frontend falls-back-https from named
 option httpslog
 bind {{6}}
 mode tcp
 {tcp}
frontend bare from other
 bind {{7}}
 log-format bare\\ "a#b"\\#\\ %ci\\
 {http}
.if 0
frontend arm from other
 log-format "no arm %ci"
.else
frontend arm from other
 .if 1
 log-format "arm %ci"
 .endif
.endif
 bind {{8}}
 {http}
defaults
 {{defaults}}
 mode http
listen anew
 bind {{9}}
 {http}
"""
    proxies, lines = _write_lines(tmp_path, text, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 10)
    assert len(proxies) == len(lines)
    for proxy, line in zip(proxies, lines, strict=True):
        fitting = [found for found in proxy.formats if _fits(line, found)]
        assert len(fitting) == 1, (line, proxy.formats)
    assert [len(proxy.formats) for proxy in proxies] == [1, 1, 1, 1, 1, 2, 1, 1, 3, 1]


# What makes slots, each with a value that is its name; X-Absent-One is not in the request.
_REQUESTS = [
    "capture request header X-One len 40",
    "capture request header X-Two len 40",
    "capture request header X-Absent-One len 40",
    "declare capture request len 40",
    "declare capture request len 40",
    "http-request capture req.fhdr(X-Three),lower len 40 if { path / }",
    "http-request capture str(four) len 40",
    "tcp-request content capture req.hdr(X-Five) len 40",
]
_RESPONSES = [
    "capture response header X-Six len 40",
    "capture response header X-Seven len 40",
    "declare capture response len 40",
    "declare capture response len 40",
]
_FILLS = [
    "http-request capture req.hdr(X-Eight) id {request}",
    "http-response capture res.hdr(X-Nine),lower id {response}",
]


def _capture_lines(numbers: random.Random) -> tuple[str, list[str]]:
    """Give a rule for the defaults section and lines for the frontend, in any order."""
    inherited, *requests = numbers.sample(_REQUESTS[-3:], 3)
    requests += _REQUESTS[:-3]
    numbers.shuffle(requests)
    responses = numbers.sample(_RESPONSES, len(_RESPONSES))
    request = 1 + next(number for number, line in enumerate(requests) if line.startswith("declare"))
    response = next(number for number, line in enumerate(responses) if line.startswith("declare"))
    lines = [line for pair in zip_longest(requests, responses) for line in pair if line]
    for rule in (*_FILLS, "capture cookie SESSION len 20"):
        lines.insert(numbers.randrange(len(lines) + 1), rule.format(request=request, response=response))
    return inherited, lines


@pytest.mark.parametrize("seed", range(6))
def test_slots_have_the_order_of_the_logged_blocks(seed: int, tmp_path: Path) -> None:
    """Each value that is logged is the name of its slot; where nothing fills a slot it is empty, as its name is."""
    need("haproxy")
    inherited, own = _capture_lines(random.Random(seed))
    text = f"""\
defaults base
 mode http
 option httplog
 {{defaults}}
 tcp-request inspect-delay 5s
 {inherited}
frontend web from base
 bind {{0}}
 {"".join(f"{line}{chr(10)} " for line in own)}
 default_backend app
defaults rest
 {{defaults}}
 no log
 mode http
backend app from rest
 server app {{port 1}}
frontend app from rest
 bind {{1}}
 http-request return status 200 hdr X-Six x_six hdr X-Seven x_seven hdr X-Nine x_nine
"""
    headers = "".join(f"X-{name}: x_{name.lower()}\r\n" for name in ("One", "Two", "Three", "Five", "Eight"))
    request = f"GET / HTTP/1.1\r\nHost: h\r\n{headers}Cookie: SESSION=s\r\nConnection: close\r\n\r\n".encode()
    proxies, (line,) = _write_lines(tmp_path, text, request, 1, 1)
    blocks = re.search(r' \{([^{}]*)\} \{([^{}]*)\} "GET / HTTP', line)
    assert blocks, line
    (captures,) = proxies[0].captures
    names = {"four": "str_four", "": ""}
    values = [names.get(value, value) for value in blocks[1].split("|")]
    assert values == [name.replace("x_absent_one", "") for name in captures.request]
    assert blocks[2].split("|") == [*captures.response]
    assert len(values) == len(_REQUESTS)
    assert sum(map(bool, values)) == len(_REQUESTS) - 2  # but the absent one and the slot that nothing fills
