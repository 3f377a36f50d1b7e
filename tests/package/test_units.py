"""What the units promise beside reading lines: supervision, modes, buffers and addresses."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package.conftest import Boot
from tests.package.machine import DEFAULTS, PACKAGE, Machine
from tests.support import total, wait_until

_SOCKETS = " ".join(f"{PACKAGE}-{kind}.socket" for kind in ("udp", "tcp", "unix", "web"))
_PATH = "/var/lib/haproxy/dev/exporter"
_ALL = ["active"] * 5


@pytest.fixture(scope="module")
def machine(boot: Boot, package: Path) -> Machine:
    """Install the package."""
    machine = boot()
    machine.install(f"/srv/new/{package.name}")
    return machine


@pytest.fixture
def sockets(machine: Machine) -> Iterator[Machine]:
    """Enable all sockets."""
    before = machine.read(DEFAULTS)
    machine.run(f"systemctl enable {_SOCKETS}; systemctl restart {PACKAGE}")
    yield machine
    machine.write(DEFAULTS, before)
    machine.run(f"systemctl disable --now {_SOCKETS}")
    machine.restart()


def _states(machine: Machine) -> list[str]:
    return machine.run(f"systemctl is-active {PACKAGE} {_SOCKETS}", status=None).split()


def test_it_is_watched(machine: Machine) -> None:
    """A loop that stands still is ended, a failure is made good soon, and files are for the service alone."""
    assert machine.property("WatchdogUSec") == "30s"
    assert machine.property("Restart") == "on-failure"
    assert 0 < float(machine.property("RestartUSec").removesuffix("s")) <= 5
    status = machine.read(f"/proc/{machine.main_pid()}/status")
    assert re.search(r"^Umask:\s*0077$", status, re.MULTILINE)
    assert machine.run(f"stat -L -c %a /var/lib/{PACKAGE}").strip() == "750"


def test_wrong_arguments_are_not_tried_again(machine: Machine) -> None:
    """The service has failed at once, where anything else would have it wait for its next start."""
    before = machine.read(DEFAULTS)
    machine.write(DEFAULTS, 'ARGS="--nonsense"\n')
    machine.run(f"systemctl restart {PACKAGE}", status=1)
    assert machine.property("SubState") == "failed"
    machine.write(DEFAULTS, before)
    machine.restart()


def test_where_the_sockets_are(sockets: Machine) -> None:
    """Syslog from this machine alone, on a path from HAProxy alone, with the buffer that was asked for."""
    assert _states(sockets) == _ALL
    for protocol in ("udp", "tcp"):
        listening = re.findall(r" (\S+):1414 0+:0000 ", sockets.read(f"/proc/net/{protocol}"))  # port 5140
        assert listening == ["0100007F"], protocol  # 127.0.0.1
    assert sockets.property("Listen", f"{PACKAGE}-web.socket") == "[::]:9129 (Stream)"
    assert sockets.run(f"stat -c '%a %U %G' {_PATH}").strip() == "660 root haproxy"
    said = sockets.run(f"journalctl -o cat -u {PACKAGE} --since -5min")
    assert "udp://127.0.0.1:5140, port 5140, with a receive buffer of 67108864 bytes" in said
    sockets.run(f"systemctl stop {_SOCKETS}")
    assert not sockets.holds(f"test -e {_PATH}")


def test_sockets_that_failed_come_back(sockets: Machine) -> None:
    """Lines that come while the arguments are wrong close the sockets; once they are right, one restart opens them."""
    before, counted = sockets.read(DEFAULTS), total(sockets.scrape(), "haproxy_log_requests_total")
    sockets.write(DEFAULTS, 'ARGS="--nonsense"\n')
    sockets.run(f"systemctl restart {PACKAGE}", status=1)
    send = "python3 -c \"import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', 5140))\""
    wait_until(
        lambda: sockets.run(f"{send} 2>&1; systemctl is-failed {PACKAGE}-udp.socket", status=None).endswith("failed\n"),
        what="the socket to fail",
    )
    sockets.write(DEFAULTS, before)
    sockets.restart()
    assert _states(sockets) == _ALL
    assert total(sockets.scrape(), "haproxy_log_requests_total") == counted


def test_completions_are_for_both_names(machine: Machine) -> None:
    """Where bash, zsh and fish look for them."""
    for name in ("haproxy-log-exporter", PACKAGE):
        machine.run(f"test -s /usr/share/bash-completion/completions/{name}")
        machine.run(f"test -s /usr/share/fish/vendor_completions.d/{name}.fish")
        zsh = machine.read("/usr/share/zsh/vendor-completions/_haproxy-log-exporter")
        assert name in zsh.splitlines()[0].removeprefix("#compdef ").split()


def test_documents(machine: Machine) -> None:
    """The README, the examples and what the unit names are there."""
    page, readme = machine.property("Documentation").replace('"', "").split()
    assert page == f"man:{PACKAGE}(1)"
    assert machine.holds(f"test -s /usr/share/man/man1/{PACKAGE}.1.gz")
    assert machine.holds(f"zcat {readme.removeprefix('file://')} | grep -q '^# '")
    folder = f"/usr/share/doc/{PACKAGE}/examples"
    for path in ("haproxy-log-exporter.yml", "prometheus.yml", "haproxy/*.cfg", "rsyslog/*.conf"):
        assert machine.holds(f"zcat -f {folder}/{path}* | grep -q ."), path
