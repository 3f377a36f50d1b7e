"""The exporter beside a real HAProxy that it shares haproxy.cfg, two loggers, samples or a standard output with."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from html import unescape
from pathlib import Path

import pytest

from tests.integration.configured_site import (
    BEGIN,
    Watch,
    ask_again,
    count_lines,
    get,
    open_doors,
    running,
    send,
    wait_for_message,
)
from tests.integration.haproxy import Doors, Row, number, talk
from tests.logformat.wrapping import docker
from tests.support import Exporter, Samples, need, serving, total, wait_until

_HELLO = "    http-request return status 200 content-type text/plain string hello\n"

# Each captures the host in another slot.
_FOUR = (
    BEGIN
    + """\
frontend web
    bind fd@{web.fd}
    option httplog
    capture request header Host len 40
    capture request header User-Agent len 60
"""
    + _HELLO
    + """\
frontend api
    bind fd@{api.fd}
    http-request capture req.hdr(X-Id) len 20
    capture request header User-Agent len 60
    capture request header Host len 40
    log-format '{{"frontend":"%f","status":%ST,"times":[%TR,%Ta],"request":"%HM %HP","agent":\
"%[capture.req.hdr(1),json]","host":"%[capture.req.hdr(2),json]","id":%{{+Q}}[capture.req.hdr(0)]}}'
"""
    + _HELLO
    + """\
frontend clf
    bind fd@{clf.fd}
    option httplog clf
    capture request header User-Agent len 60
    capture request header Host len 40
"""
    + _HELLO
    + """\
listen raw
    mode tcp
    bind fd@{raw.fd}
    option tcplog
    server app {application.place}
"""
)
_HOSTS = ("shop.example", "127.0.0.1:8080", r'a"b\c', "x y")
_BY_HOST = ("--labels", "frontend_name,request_header_host,request_header_user_agent,request_header_x_id")


def test_each_frontend_has_its_own_captures(tmp_path: Path) -> None:
    """What stands in one frontend's first slot is in another's third, or nowhere; no line is lost or guessed at."""
    need("haproxy")
    file = tmp_path / "haproxy.cfg"
    sent = Counter[tuple[str, str, str, str]]()
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "api", "clf", "raw"))
        file.write_text(_FOUR.format(folder=tmp_path, **doors))
        options = ("--syslog", "udp://127.0.0.1:0", "--haproxy-config", file, *_BY_HOST)
        exporter = stack.enter_context(serving(*options))
        haproxy = stack.enter_context(running(file, doors, exporter.syslog_port))
        for times, host in enumerate(_HOSTS, start=1):
            for name in ("web", "api", "clf") * times:
                agent = f"host is {host}"
                assert get(doors[name], Host=host, User_Agent=agent, X_Id=f"id-{times}").endswith(b"hello")
                sent[name, host, agent, f"id-{times}" if name == "api" else ""] += 1
        _talk_through(doors, 3)
        sent["raw", "", "", ""] = 3
        wait_until(haproxy.is_idle, what="HAProxy's last session")
        samples = Watch(exporter).wait_for(sent.total(), counted=sent.total(), rejected=0)
        haproxy.stop()
    assert _by_labels(samples, "requests_total") + _by_labels(samples, "sessions_total") == sent
    assert total(samples, "haproxy_log_exporter_lines_truncated_total") == 0
    parsed = {name: total(samples, "haproxy_log_exporter_parsed_total", format=name) for name in ("httplog", "tcplog")}
    assert parsed == {"httplog": 10, "tcplog": 3}


def _talk_through(doors: Doors, times: int) -> None:
    """Open connections in TCP mode, which the application answers and ends."""
    for _ in range(times):
        client = doors["raw"].connect()
        server, _ = doors["application"].socket.accept()
        server.close()
        assert talk(client, b"") == b""


def _by_labels(samples: Samples, metric: str) -> Counter[tuple[str, str, str, str]]:
    """Give a counter by frontend, host, agent and id."""
    found = Counter[tuple[str, str, str, str]]()
    for (name, labels), value in samples.items():
        if name == f"haproxy_log_{metric}":
            texts = dict(labels)
            frontend, *headers = (texts[label] for label in _BY_HOST[1].split(","))
            found[frontend, headers[0], headers[1], headers[2]] += int(value)
    return found


_CHANGING = (
    BEGIN
    + """\
frontend web
    bind fd@{web.fd}
    option httplog
    capture request header Host len 40
"""
    + _HELLO
    + """\
frontend api
    bind fd@{api.fd}
    default_backend app
CHANGE
backend app
"""
    + _HELLO
)
_FIRST = """\
    capture request header User-Agent len 40
    capture request header Host len 40
    log-format '%f %ST %[capture.req.hdr(0)];%[capture.req.hdr(1)]'"""
_SECOND = """\
    capture request header Host len 40
    log-format '{{"h":"%[capture.req.hdr(0),json]","s":%ST,"f":"%f"}}'"""
_THIRD = """\
    capture request header Host len 40
    log-format '%f host=%{{+Q}}[capture.req.hdr(0)] status=%ST'"""
_BROKEN = """\
    log-format '%f %ST %nonesuch'"""


def test_a_changed_configuration_is_taken_over(tmp_path: Path) -> None:
    """New lines are read, those of HAProxy's old process as well, and while the file is broken all stays as it was.

    HAProxy is reloaded as a service manager does it: the new process lets the old one end, which it does when its last
    connection has ended.
    """
    need("haproxy")
    file = tmp_path / "haproxy.cfg"
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "api"))

        def change(to: str) -> None:
            fresh = tmp_path / "fresh"
            fresh.write_text(_CHANGING.replace("CHANGE", to).format(folder=tmp_path, **doors))
            fresh.rename(file)

        def ask(lines: int, host: str) -> None:
            assert get(doors["api"], Host=host, User_Agent="x").endswith(b"hello")
            assert total(watch.wait_for(lines, counted=lines), _REQUESTS, frontend_name="api", request_header_host=host)

        change(_FIRST)
        options = ("--syslog", "udp://127.0.0.1:0", "--haproxy-config", file)
        exporter = stack.enter_context(serving(*options, "--labels", "frontend_name,request_header_host"))
        watch = Watch(exporter)
        old = stack.enter_context(running(file, doors, exporter.syslog_port))
        ask(1, "first")
        kept = stack.enter_context(doors["api"].connect())
        ask_again(kept, Host="kept")
        watch.wait_for(2, counted=2)

        change(_SECOND)
        wait_for_message(exporter, "haproxy.cfg was read again")
        ask(3, "first-still")
        new = stack.enter_context(running(file, doors, exporter.syslog_port, "-sf", str(old.process.pid)))
        ask(4, "second")
        ask_again(kept, Host="kept-on")
        kept.close()
        samples = watch.wait_for(5, counted=5)
        assert total(samples, _REQUESTS, request_header_host="kept-on") == 1
        assert old.process.wait(timeout=30) == 0

        change(_BROKEN)
        told = wait_for_message(exporter, "haproxy.cfg is not taken over")
        assert re.search(rf"{re.escape(str(file))}:\d+: log-format: unknown item %nonesuch", told)
        ask(6, "second-still")
        assert get(doors["web"], Host="web").endswith(b"hello")
        watch.wait_for(7, counted=7)
        file.unlink()
        assert f"cannot read {file}: " in wait_for_message(exporter, "haproxy.cfg is not taken over", 2)
        ask(8, "second-without")

        change(_THIRD)
        wait_for_message(exporter, "haproxy.cfg was read again", 2)
        stack.enter_context(running(file, doors, exporter.syslog_port, "-sf", str(new.process.pid)))
        ask(9, "third")
        samples = watch.wait_for(9, counted=9, rejected=0)
        assert not [message for message in exporter.messages if "Traceback" in message]
    assert {host: total(samples, _REQUESTS, request_header_host=host) for host in _ALL_HOSTS} == dict.fromkeys(
        _ALL_HOSTS, 1
    )


_REQUESTS = "haproxy_log_requests_total"
_ALL_HOSTS = ("first", "kept", "first-still", "second", "kept-on", "second-still", "web", "second-without", "third")
