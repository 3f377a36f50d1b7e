"""A real rsyslogd and a real syslog-ng between HAProxy and what is tested: UDP in, and out as their manuals say."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.haproxy import _find, udp_sockets
from tests.support import free_port, wait_until

# What omfwd writes without a template of one's own, and what its manual has for the newer forms.
RSYSLOG_TEMPLATES = ("RSYSLOG_TraditionalForwardFormat", "RSYSLOG_ForwardFormat", "RSYSLOG_SyslogProtocol23Format")

# omfwd's parameters. Without `resumeRetryCount` rsyslog drops messages while the receiver is away.
RSYSLOG_MODES = {
    "udp": 'protocol="udp"',
    "newline": 'protocol="tcp" TCP_Framing="traditional"',
    "octet-counted": 'protocol="tcp" TCP_Framing="octet-counted"',
}

_RSYSLOG = """\
global(workDirectory="{folder}" maxMessageSize="64k" net.enableDNS="off")
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="0" ruleset="haproxy" rcvbufSize="32m" rateLimit.interval="0")
ruleset(name="haproxy" queue.type="LinkedList" queue.size="200000" queue.workerThreads="1") {{
    action(
        type="omfwd" target="127.0.0.1" port="{port}" {mode} template="{template}"
        action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="LinkedList" queue.size="200000"
    )
}}
"""

# network() writes RFC 3164 and ends a message with a newline, syslog() writes RFC 5424 and counts octets.
SYSLOG_NG_MODES = {
    "udp": 'network("127.0.0.1" port({port}) transport("udp"))',
    "udp-5424": 'syslog("127.0.0.1" port({port}) transport("udp"))',
    "newline": 'network("127.0.0.1" port({port}) transport("tcp"))',
    "octet-counted": 'syslog("127.0.0.1" port({port}) transport("tcp"))',
}

# The options are those of Debian's configuration, and what bursts and a receiver that restarts need.
_SYSLOG_NG = """\
@version: 3.38
options {{
    chain_hostnames(off); flush_lines(0); use_dns(no); use_fqdn(no); dns_cache(no); stats_freq(0);
    time_reopen(1); log_fifo_size(200000); log_msg_size(65536);
}};
source haproxy {{ network(ip("127.0.0.1") port({own_port}) transport("udp") so_rcvbuf(33554432)); }};
destination exporter {{ {destination}; }};
log {{ source(haproxy); destination(exporter); }};
"""


class Relay:
    """A running relay, which takes syslog on a UDP port."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        """Know its process."""
        self.process = process
        self.port = 0
        """The port that it takes messages on."""

    def listens(self) -> bool:
        """Tell whether it is up; fail when it never will be."""
        assert self.process.poll() is None, "the relay has ended"
        self.port = int(row[1].rpartition(":")[2], 16) if (row := self._socket()) else 0
        return bool(self.port)

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped for it."""
        return int(self._socket()[12])

    def _socket(self) -> list[str]:
        """Find its UDP socket, beside one that it sends by, or none."""
        return next(filter(self._is_input, udp_sockets(self.process.pid)), [])

    def _is_input(self, row: list[str]) -> bool:
        """Tell the socket that takes messages from those that send: it is bound, and connected to nobody."""
        return row[1].endswith(f":{self.port:04X}") if self.port else row[2] == "00000000:0000"

    def stop(self) -> None:
        """End it; what it had taken is sent before."""
        self.process.terminate()
        self.process.wait(timeout=30)


@contextmanager
def running_rsyslog(folder: Path, port: int, mode: str, template: str = RSYSLOG_TEMPLATES[0]) -> Iterator[Relay]:
    """Run rsyslogd with a configuration and a work directory of its own, forwarding to a port."""
    config = folder / "rsyslog.conf"
    config.write_text(_RSYSLOG.format(folder=folder, port=port, mode=RSYSLOG_MODES[mode], template=template))
    with _running([_find("rsyslogd"), "-n", "-f", str(config), "-i", "NONE"], folder / "rsyslogd.err") as relay:
        yield relay


@contextmanager
def running_syslog_ng(folder: Path, port: int, mode: str) -> Iterator[Relay]:
    """Run syslog-ng with all of its files in a folder, forwarding to a port."""
    config, own_port = folder / "syslog-ng.conf", free_port(socket.SOCK_DGRAM)
    config.write_text(_SYSLOG_NG.format(own_port=own_port, destination=SYSLOG_NG_MODES[mode].format(port=port)))
    files = {"--cfgfile": config, "--persist-file": folder / "syslog-ng.persist"}
    files |= {"--control": folder / "syslog-ng.ctl", "--pidfile": folder / "syslog-ng.pid"}
    options = [f"{option}={path}" for option, path in files.items()]
    with _running([_find("syslog-ng"), "--foreground", "--no-caps", *options], folder / "syslog-ng.err") as relay:
        yield relay


@contextmanager
def _running(command: list[str], messages: Path) -> Iterator[Relay]:
    with messages.open("wb") as output:
        relay = Relay(subprocess.Popen(command, stdout=output, stderr=output))
    try:
        wait_until(relay.listens, what=command[0])
        yield relay
    finally:
        relay.stop()
