"""HAProxy's own formats and messages, as HAProxy 2.6.12 and 3.2.0 wrote them."""

import os
import re
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.logformat.compiler import compile_message
from haproxy_log_exporter.logformat.presets import NOTICES, PRESETS
from haproxy_log_exporter.logformat.reader import Extent, Reader
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Parser
from tests.support import need

HTTPLOG = (
    "127.0.0.1:59650 [20/Nov/2026:04:30:27.895] web down/d2 0/0/-1/-1/0 503 217 - - SC-- 1/1/0/0/+1 0/0 "
    '{127.0.0.1:28080|curl/7.88.1} {} "GET /down HTTP/1.1"'
)
CLF = '- - [20/Nov/2026:04:30:33 +0000] "GET / HTTP/1.1" 200 228 "" "" 36172 068 "clf" "bk" "s1"'
OWN_LINES: dict[str, tuple[str, ...]] = {
    "httplog": (
        HTTPLOG,
        'u:1 [20/Nov/2026:04:30:28.929] web web/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>"',
        '::1:4 [20/Nov/2026:04:30:58.593] asap~ bk/s1 0/0/0/0/+0 200 +128 - - ---- 1/1/1/1/0 0/0 "GET /a HTTP/1.1"',
        'unix:2 [20/Nov/2026:06:02:54.356] web bk/s 0/0/-1/-1/9 503 7 S=a - SC-- 1/1/0/0/3 0/0 {a} "GET /x HTTP/1.1"',
        '-:- [20/Nov/2026:06:02:54.356] web bk/s3 0/0/-1/-1/905 503 217 - - SC-- 1/1/0/0/3 0/0 {a} "GET /x HTTP/1.1"',
    ),
    "httpslog": (
        f"{HTTPLOG} 0/0000000000000000/0/0/0 -/TLSv1.3/TLS_AES_256_GCM_SHA384",
        f"{HTTPLOG} 0/-/-/-/0 -/-/-",
        f"{HTTPLOG} 0/0000000000000000/0/0/1 localhost/TLSv1.2/(NONE)",
    ),
    "tcplog": (
        "127.0.0.1:36748 [20/Nov/2026:04:30:33.379] tcp tcp/s1 1/0/0 229 -- 1/1/0/0/0 0/0",
        "::1:36748 [20/Nov/2026:04:30:33.379] tcp~ tcp/<NOSRV> -1/-1/+30 +0 sQ 1/1/0/0/+2 4/12",
    ),
    "httplog-clf": (
        f'127.0.0.1 {CLF} 0 0 0 0 0 ---- 1 1 0 0 0 0 0 "" "" "127.0.0.1:28081" ',
        f'::1 {CLF} 0 0 0 0 +0 ---- 1 1 0 0 +1 0 0 "SESS=a b" "" "a" "b c" "" ',
        f'unix {CLF} -1 -1 -1 -1 0 PR-- 1 1 0 0 0 0 0 "" "" '.replace("GET / HTTP/1.1", "<BADREQ>"),
    ),
    "tcplog-clf": (
        f'127.0.0.1 {CLF} 0 1 0 0 81 ---- 1 1 0 0 0 0 0 "" "" '.replace("GET / HTTP/1.1", "TCP ").replace("200", "000"),
    ),
    "connect": (
        "Connect from 127.0.0.1:37132 to 127.0.0.1:28084 (deflog/HTTP)",
        "Connect from ::1:33086 to ::1:39580 (one/TCP)",
        "Connect to unix:2 (one/TCP)",
        "Connect from unknown source to listener 3 (one/TCP)",
    ),
    "error": (
        "127.0.0.1:4 [20/Nov/2026:04:30:32.456] tls/1: SSL handshake failure",
        "127.0.0.1:4 [20/Nov/2026:04:30:57.675] tls/1: SSL handshake failure (error:0A00010B:SSL routines::wrong one)",
        "unix:2 [20/Nov/2026:06:02:55.263] e/2: SSL handshake failure",
        "127.0.0.1:51092 [20/Nov/2026:06:02:55.262] e/my bind: SSL handshake failure",
        "127.0.0.1:58118 [20/Nov/2026:06:27:17.400] w:b/v4:443: SSL handshake failure",
    ),
}

# Sent by HAProxy 2.6.12 when servers and frontends were taken down and up again; the last two by earlier versions.
REFUSED = 'reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms'
LEFT = "1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
ONLINE = "2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."
MESSAGES: tuple[tuple[str, str], ...] = (
    ("server_down", f"Server bk/s1 is DOWN. {LEFT}"),
    ("server_down", f"Backup Server bk/s2 is DOWN. {LEFT}"),
    ("server_down", f"Server one/a is DOWN, {REFUSED}. {LEFT}"),
    ("server_up", f"Server bk/s1 is UP. {ONLINE}"),
    ("server_up", "Server bk/s3 is UP (leaving forced drain)."),
    ("server_up", "Backup Server bk/s2 is UP/READY (leaving forced maintenance)."),
    ("health_check", f"Health check for server bk/s1 failed, {REFUSED}, status: 0/1 DOWN."),
    (
        "health_check",
        "Health check for backup server bk/s2 succeeded, reason: Layer7 check passed, code: 200, status: 2/2 UP.",
    ),
    ("health_check", f"Agent check for server bk/s3 failed, {REFUSED}, status: 1/1 UP."),
    ("no_server_available", "proxy one has no server available!"),
    ("no_server_available", "backend bk has no server available!"),
    ("proxy_stopped", "Proxy fmt2 stopped (cumulated conns: FE: 1, BE: 0)."),
    ("proxy_stopped", "Proxy <HTTPCLIENT> stopped (cumulated conns: FE: 0, BE: 0)."),
    ("proxy_paused", "Paused frontend fmt."),
    ("proxy_paused", "Resumed proxy one."),
    ("other", f"Server bk/s1 is going DOWN for maintenance. {LEFT}"),
    ("other", f"Server bk/s1 is stopping, changed from CLI. {ONLINE}"),
    ("other", "Backup Server bk/s2 was DOWN and now enters maintenance."),
    ("other", f"Server bk/s3 enters drain state. {ONLINE}"),
    ("other", "SIGHUP received, dumping servers states for proxy bk."),
    ("other", "SIGHUP: Server bk/s1 is DOWN. Conn: 0 act, 0 pend, 3 tot."),
    ("other", "SIGHUP: Proxy one has no servers. Conn: act(FE+BE): 0+0, 0 pend (0 unass), tot(FE+BE): 1+0."),
    ("proxy_started", "Proxy web started."),
    ("proxy_stopped", "Stopping frontend web in 0 ms."),
)


@cache
def readers() -> Sequence[Reader]:
    """Compile the presets once."""
    return compile_all(Choice((), (), (), ()))


def whole_matches(line: str) -> list[str]:
    """Name the presets that take the line as a whole one."""
    return [reader.name for reader in readers() if reader.read(f"{line}\n".encode()).lines]


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in OWN_LINES.items() for line in lines])
def test_a_presets_own_lines_are_no_others(name: str, line: str) -> None:
    """So it does not matter for whole lines in what order the presets are tried."""
    assert whole_matches(line) == [name]


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in OWN_LINES.items() for line in lines])
def test_a_whole_line_is_no_cut_one_of_its_own_preset(name: str, line: str) -> None:
    """What is whole is read whole, so a reading for what is cut need not agree with it; but loosely it is the same."""
    reader = next(reader for reader in readers() if reader.name == name)
    rows = reader.read(f"{line}\n".encode())
    loose = reader.read(f"{line}\n".encode(), Extent.LOOSE)
    assert loose in (rows, (0, [], f"{line}\n".encode()))


def test_every_preset_has_lines() -> None:
    """No preset goes without an example, and names are told apart from log-formats by having no percent sign."""
    assert [preset.name for preset in PRESETS] == [*OWN_LINES]
    assert all("%" in preset.source and "%" not in preset.name for preset in PRESETS)


@pytest.mark.parametrize(("kind", "message"), MESSAGES)
def test_messages_are_classified(kind: str, message: str) -> None:
    """A message is of the first kind that it fits, and never traffic, nor a cut line of it."""
    chunk = f"<133>Nov 20 06:02:50 haproxy[13263]: {message}\n".encode()
    kinds = [notice.kind for notice in NOTICES if compile_message(notice.pattern).split(chunk)[1] is None]
    assert kinds[:1] == [kind]
    assert whole_matches(message) == []
    for extent in Extent:
        assert not [reader.name for reader in readers() if reader.read(chunk, extent).lines], extent
    record = Parser(readers()).parse(chunk.rstrip(b"\n"))
    assert (record.kind, record.fields) == ("notice", {"message": message.encode()})


@pytest.mark.parametrize("name", sorted(OWN_LINES))
def test_traffic_is_no_message(name: str) -> None:
    """No line of a preset is taken for one of HAProxy's own messages."""
    for line in OWN_LINES[name]:
        assert all(compile_message(notice.pattern).split(f"{line}\n".encode())[1] for notice in NOTICES)


def test_the_presets_are_haproxys() -> None:
    """The strings are those that the installed HAProxy holds for its built-in formats."""
    need("haproxy")
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    program = Path(found or "").read_bytes()
    for name in ("httplog", "httpslog", "tcplog", "httplog-clf"):
        source = next(preset.source for preset in PRESETS if preset.name == name)
        assert re.search(rb"\0" + re.escape(source.encode()) + rb"[ \0]", program), name
