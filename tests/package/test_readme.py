"""What the README says of Debian, done as it stands there."""

import re
from pathlib import Path

import pytest

from tests.package.conftest import Boot
from tests.package.machine import DEFAULTS, PACKAGE, STATE, Machine
from tests.support import wait_until

_README = (Path(__file__).parent.parent.parent / "README.md").read_text()
_SECTION = re.search(r"^### Debian\n(.*?)^### ", _README, re.MULTILINE | re.DOTALL)
_BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", _SECTION[1] if _SECTION else "", re.MULTILINE | re.DOTALL)
_INSTALL, _SHOW, _ARGUMENTS, _SOCKET = (block for kind, block in _BLOCKS if kind == "sh")
_LOG_FILE, _STOCK, _LOG_SYSLOG, _FORWARD = (block for kind, block in _BLOCKS if kind == "conf")
_HAPROXY = "/etc/haproxy/haproxy.cfg"


@pytest.fixture(scope="module")
def machine(boot: Boot, package: Path) -> Machine:
    """Install the package as it says, from where the build has put it."""
    machine = boot()
    machine.run(f"mkdir -p build && ln -s /srv/new build/deb && echo yes | {_INSTALL.splitlines()[1]}")
    assert machine.run(f"dpkg-query -W -f '${{Version}}' {PACKAGE}") in package.name
    return machine


def test_by_file(machine: Machine) -> None:
    """The defaults and rsyslog's lines are those that it shows; with `len`, a long request keeps its method."""
    assert _ARGUMENTS in machine.read(DEFAULTS)
    assert _STOCK in machine.read("/etc/rsyslog.d/49-haproxy.conf")
    machine.run(f"cp {_HAPROXY} {_HAPROXY}.before")
    _log(machine, _LOG_FILE)
    machine.request("/item/[1-20]?" + "x" * 2000)
    machine.agree(20)
    shown = machine.run(_SHOW)
    for told in ("; 0 rejected", "following /var/log/haproxy.log", "haproxy_log_requests_total{"):
        assert told in shown
    assert int(machine.run("wc -L </var/log/haproxy.log")) > 1024


def test_by_syslog(machine: Machine) -> None:
    """The socket that systemd opens, and nothing else."""
    _log(machine, _LOG_SYSLOG)
    before = machine.counted()
    machine.run(_SOCKET)
    machine.request("/item/[1-20]")
    wait_until(lambda: machine.counted() == before + 20, what="20 lines more")


def test_by_rsyslog(machine: Machine) -> None:
    """HAProxy's configuration is as it comes, the log goes on, and what rsyslog sends counts once."""
    machine.run(f"cp {_HAPROXY}.before {_HAPROXY} && systemctl restart haproxy")
    machine.write("/etc/rsyslog.d/40-haproxy-exporter.conf", _FORWARD)
    machine.run("systemctl restart rsyslog")
    machine.configure(f"--state {STATE}")
    before, lines = machine.counted(), machine.logged()
    machine.request("/item/[1-20]")
    wait_until(lambda: machine.counted() == before + 20 and machine.logged() == lines + 20, what="20 lines more")


def _log(machine: Machine, line: str) -> None:
    machine.run(
        f"sed -i '/^\\s*log /d; s|^global$|global\\n{line.strip()}|; s|^defaults$|defaults\\nlog global|' {_HAPROXY}"
    )
    machine.run("systemctl restart haproxy")
