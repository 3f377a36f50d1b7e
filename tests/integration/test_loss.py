"""Bursts that a receive buffer cannot hold: what is lost is counted, to the datagram."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.services import LINES, REQUESTS, line, times_said, wait_for
from tests.support import Exporter, Samples, command, need, serving, total
from tests.systemd import ON_ANY_PORT, SERVE

DROPPED = "haproxy_log_exporter_datagrams_dropped_total"
REFUSED = "haproxy_log_exporter_refused_total"
BUFFER = "haproxy_log_exporter_receive_buffer_bytes"
GRANTED = Path("/proc/sys/net/core/rmem_max")


def burst(exporter: Exporter, count: int, host: str = "127.0.0.1") -> None:
    """Send as fast as can be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    where = host, exporter.syslog_port
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(line(), where)


def add_up(exporter: Exporter, sent: int) -> Samples:
    """Wait until as many are counted, refused or dropped as were sent: neither more nor less."""

    def found(samples: Samples) -> float:
        return sum(total(samples, name) for name in (LINES, DROPPED, REFUSED))

    samples = wait_for(exporter, lambda samples: found(samples) >= sent, f"{sent} datagrams")
    assert found(samples) == sent
    assert total(samples, REQUESTS) == total(samples, LINES) == total(samples, LINES, result="counted")
    return samples


@pytest.mark.parametrize("url", ["udp://127.0.0.1:0", "udp://[::1]:0", "udp://:0"])
def test_a_burst_that_does_not_fit(tmp_path: Path, url: str) -> None:
    """Sent = counted + dropped; what was lost stays known over restarts, and is not counted again."""
    hosts = {"udp://127.0.0.1:0": ["127.0.0.1"], "udp://[::1]:0": ["::1"]}.get(url, ["127.0.0.1", "::1"])
    options = ("--syslog", url, "--syslog-receive-buffer", "65536", "--state", tmp_path / "state")
    sent, dropped = 0, 0.0
    for _ in range(2):
        with serving(*options) as exporter:
            assert total(exporter.scrape(), DROPPED) == dropped
            for number in range(6):
                exporter.process.send_signal(signal.SIGSTOP)  # the burst meets a process that does not run
                burst(exporter, 2_000, hosts[number % len(hosts)])
                exporter.process.send_signal(signal.SIGCONT)
                sent += 2_000
                samples = add_up(exporter, sent)
            assert total(samples, BUFFER, source=url) == 65536
            assert total(samples, DROPPED) > dropped
            dropped = total(samples, DROPPED)
            assert exporter.stop() == 0


def test_a_burst_while_it_reads() -> None:
    """Also where it is read as it comes: nothing is counted twice or lost unseen."""
    with serving("--syslog", "udp://127.0.0.1:0", "--syslog-receive-buffer", "65536") as exporter:
        burst(exporter, 60_000)
        add_up(exporter, 60_000)


def test_a_burst_that_fits() -> None:
    """The buffer that is asked for by default holds some tenths of a second's."""
    if os.geteuid() and int(GRANTED.read_text()) < 64 << 20:
        pytest.skip("the system does not grant the buffer")
    with serving("--syslog", "udp://127.0.0.1:0") as exporter:
        assert exporter.port
        exporter.process.send_signal(signal.SIGSTOP)
        burst(exporter, 20_000)
        exporter.process.send_signal(signal.SIGCONT)
        samples = add_up(exporter, 20_000)
        assert total(samples, DROPPED) == 0
        assert total(samples, BUFFER) == 64 << 20


def test_other_senders() -> None:
    """Those who may not send are counted, and nothing of theirs is; what is dropped may be of either."""
    options = ("--syslog", "udp://:0", "--syslog-allow", "127.0.0.0/30", "--syslog-receive-buffer", "65536")
    with serving(*options) as exporter:
        burst(exporter, 2_000, "::1")
        burst(exporter, 2_000, "127.0.0.1")
        burst(exporter, 2_000, "::1")
        samples = add_up(exporter, 6_000)
        assert total(samples, REFUSED, reason="sender") > 0
        assert total(samples, LINES) <= 2_000


@pytest.mark.parametrize("wanted", [65536, 1 << 29])
def test_without_privileges(wanted: int) -> None:
    """Only so much is granted as the system grants to all: the log says what would give more."""
    need("setpriv")
    if os.geteuid():
        pytest.skip("only root has privileges to give up")
    granted = min(wanted, int(GRANTED.read_text()))
    options = ("--syslog", "udp://127.0.0.1:0", "--syslog-receive-buffer", str(wanted))
    arguments = ["setpriv", "--bounding-set=-net_admin", *command(*SERVE, *ON_ANY_PORT, *options)]
    exporter = Exporter(subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True))
    try:
        assert total(exporter.scrape(), BUFFER) == granted
        hint = (
            f"udp://127.0.0.1:0: the receive buffer has {granted} bytes of the {wanted} asked for; sysctl "
            f"net.core.rmem_max={wanted}, or the capability CAP_NET_ADMIN, would give them all"
        )
        assert times_said(exporter, hint) == (granted < wanted)
        assert times_said(exporter, "rmem_max") == (granted < wanted)
        assert times_said(exporter, f"with a receive buffer of {granted} bytes") == 1
    finally:
        exporter.stop()


@pytest.mark.parametrize("wanted", ["4096", "1073741823"])
def test_the_least_and_the_most(wanted: str) -> None:
    """Whoever has privileges gets just what he asks for."""
    if os.geteuid():
        pytest.skip("only root is granted anything")
    with serving("--syslog", "udp://127.0.0.1:0", "--syslog-receive-buffer", wanted) as exporter:
        assert total(exporter.scrape(), BUFFER) == int(wanted)
        assert times_said(exporter, "rmem_max") == 0


def test_a_path_holds_as_many_as_the_system_says(tmp_path: Path) -> None:
    """Where that is few, the log says what would make it more."""
    most = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
    with serving("--syslog", f"unix://{tmp_path}/log") as exporter:
        samples = exporter.scrape()
        assert times_said(exporter, f"{most} datagrams may wait there") == (most < 512)
        assert not [name for name, _ in samples if name in (BUFFER, DROPPED)]
