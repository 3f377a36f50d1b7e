"""The exporter reads HAProxy's own haproxy.cfg: each frontend by its captures, and again when it has changed."""

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.configured_site import (
    BEGIN,
    Watch,
    get,
    open_doors,
    running,
    send,
    wait_for_message,
    waiting,
)
from tests.integration.haproxy import Doors, HAProxy, talk
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
_REQUESTS = "haproxy_log_requests_total"
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
                written = [text if name == "api" else text.replace('"', "#22") for text in (host, agent)]
                sent[name, written[0], written[1], f"id-{times}" if name == "api" else ""] += 1
        _talk_through(doors, 3)
        sent["raw", "", "", ""] = 3
        wait_until(haproxy.is_idle, what="HAProxy's last session")
        samples = Watch(exporter).wait_for(counted=sent.total(), rejected=0)
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
    http-request return status 200 content-type text/plain string hello unless {{ path /slow }}
    server app {application.place}
"""
)
_FIRST = """\
    capture request header User-Agent len 40
    capture request header Host len 40
    log-format '%f %ST %[capture.req.hdr(0)];%[capture.req.hdr(1)]'"""
_SECOND = """\
    capture request header Host len 40
    log-format '{{"h":"%[capture.req.hdr(0),json]","s":%ST,"f":"%f"}}'"""
_BROKEN = """\
    log-format '%f %ST %nonesuch'"""


@dataclass(frozen=True)
class _Site:
    """A running HAProxy whose file may change, the exporter that reads it too, and the names of the requests made."""

    file: Path
    doors: Doors
    exporter: Exporter
    watch: Watch
    haproxy: HAProxy
    asked: list[str] = field(default_factory=list)

    def change(self, to: str) -> None:
        """Put another file in the place of haproxy.cfg."""
        _write(self.file, to, self.doors)

    def ask(self, host: str, door: str = "api") -> None:
        """Make a request; its host is its name."""
        assert get(self.doors[door], Host=host, User_Agent="x").endswith(b"hello")
        self.asked.append(host)

    @contextmanager
    def ask_slowly(self, host: str) -> Iterator[None]:
        """Make a request that is answered when the block is left."""
        headers = {"Host": host, "User_Agent": "x"}
        with waiting(self.doors["api"], self.doors["application"], "/slow", **headers) as finish:
            yield
            assert finish().endswith(b"hello")
        self.asked.append(host)

    def reloaded(self) -> AbstractContextManager[HAProxy]:
        """Start another HAProxy, as a service manager does: it lets the old one end with its last connection."""
        return running(self.file, self.doors, self.exporter.syslog_port, "-sf", str(self.haproxy.process.pid))

    def check_counts(self) -> None:
        """Each request made is counted once, under its host."""
        samples = self.watch.wait_for(counted=len(self.asked), rejected=0)
        counts = {host: total(samples, _REQUESTS, request_header_host=host) for host in self.asked}
        assert counts == dict.fromkeys(self.asked, 1)


def _write(file: Path, api: str, doors: Doors) -> None:
    """Write haproxy.cfg, in one moment."""
    fresh = file.with_suffix(".fresh")
    fresh.write_text(_CHANGING.replace("CHANGE", api).format(folder=file.parent, **doors))
    fresh.rename(file)


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Iterator[_Site]:
    """Run a site in the first of its formats."""
    need("haproxy")
    file = tmp_path / "haproxy.cfg"
    with ExitStack() as stack:
        doors = stack.enter_context(open_doors("web", "api"))
        _write(file, _FIRST, doors)
        options = ("--syslog", "udp://127.0.0.1:0", "--haproxy-config", file)
        exporter = stack.enter_context(serving(*options, "--labels", "frontend_name,request_header_host"))
        haproxy = stack.enter_context(running(file, doors, exporter.syslog_port))
        yield _Site(file, doors, exporter, Watch(exporter), haproxy)
        assert not [message for message in exporter.messages if "Traceback" in message]


def test_a_changed_configuration_is_taken_over(site: _Site) -> None:
    """Lines in the new format are read, and those that HAProxy's old process writes as long as it lives."""
    site.ask("first")
    with ExitStack() as stack:
        with site.ask_slowly("slow"):
            site.check_counts()
            site.change(_SECOND)
            wait_for_message(site.exporter, "haproxy.cfg was read again")
            site.ask("not reloaded yet")
            stack.enter_context(site.reloaded())
            site.ask("second")
        site.ask("web", "web")
        site.check_counts()
        assert site.haproxy.process.wait(timeout=30) == 0


def test_while_it_is_broken_all_stays_as_it_was(site: _Site) -> None:
    """The place of what is wrong is told, once; when it is mended it is taken over."""
    site.change(_BROKEN)
    told = wait_for_message(site.exporter, "haproxy.cfg is not taken over")
    assert re.search(rf"{re.escape(str(site.file))}:\d+: log-format: unknown item %nonesuch", told)
    site.ask("broken")
    site.file.unlink()
    assert f"cannot read {site.file}: " in wait_for_message(site.exporter, "haproxy.cfg is not taken over", 2)
    site.ask("gone")
    site.check_counts()
    site.change(_SECOND)
    wait_for_message(site.exporter, "haproxy.cfg was read again")
    with site.reloaded():
        site.ask("mended")
        site.ask("web", "web")
        site.check_counts()
    assert sum("is not taken over" in message for message in site.exporter.messages) == 2


def test_a_hangup_reads_what_looks_unchanged(tmp_path: Path) -> None:
    """SIGHUP reads the file again whatever its size and time, and ends nothing; what was counted stays."""
    file = tmp_path / "haproxy.cfg"
    before, after = (f"frontend web\n    mode http\n    log-format 'a%ST {sign}'\n" for sign in "+-")
    file.write_text(before)
    status = file.stat()
    with serving("--syslog", "udp://127.0.0.1:0", "--haproxy-config", file) as exporter:
        watch = Watch(exporter)
        send(exporter.syslog_port, b"a200 +", b"a200 -")
        watch.wait_for(counted=1, rejected=1)
        os.kill(exporter.process.pid, signal.SIGSTOP)
        file.write_text(after)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.kill(exporter.process.pid, signal.SIGCONT)
        send(exporter.syslog_port, b"a200 +", b"a200 -")
        watch.wait_for(counted=2, rejected=2)
        assert not [message for message in exporter.messages if "read again" in message]
        exporter.process.send_signal(signal.SIGHUP)
        wait_for_message(exporter, "haproxy.cfg was read again")
        send(exporter.syslog_port, b"a200 +", b"a200 -")  # the first is what HAProxy's old process still writes
        watch.wait_for(counted=4, rejected=2)
        assert exporter.stop() == 0
