"""The service as the package sets it up: what it counts, under whom it runs, and what becomes of it."""

import re
from pathlib import Path

import pytest

from tests.package.conftest import Boot
from tests.package.machine import LOG, PACKAGE, STATE, Machine
from tests.support import total, wait_until

_REQUESTS = "haproxy_log_requests_total"
_MOST_EXPOSED = 1.5
_UNITS = (".service", "-udp.socket", "-tcp.socket", "-unix.socket", "-web.socket")


@pytest.fixture(scope="module")
def machine(boot: Boot, package: Path) -> Machine:
    """Install the package where HAProxy has written some lines already."""
    machine = boot()
    machine.request("/before/[1-30]")
    wait_until(lambda: machine.logged() == 30, what="30 lines in the log")
    machine.install(f"/srv/new/{package.name}")
    return machine


def test_the_log_is_counted_as_soon_as_the_package_is_there(machine: Machine) -> None:
    """Of the stock HAProxy and rsyslog, with nothing configured: what the log holds, and what comes."""
    lines = 30
    machine.agree(lines)
    machine.request("/item/[1-50]")
    machine.agree(lines + 50)
    assert {"app1", "app2"} == {dict(labels)["server_name"] for name, labels in machine.scrape() if name == _REQUESTS}
    assert machine.run(f"systemctl is-enabled {PACKAGE}").strip() == "enabled"
    assert machine.property("Type") == "notify"
    assert "lines read from /var/log/haproxy.log" in machine.property("StatusText")


def test_it_runs_with_no_rights_but_those_of_the_group_adm(machine: Machine) -> None:
    """A user of its own, no capability, no new privileges, and system calls filtered."""
    status = dict(
        line.split(":", 1) for line in machine.read(f"/proc/{machine.main_pid()}/status").splitlines() if ":" in line
    )
    assert int(status["Uid"].split()[0]) >= 61184  # where systemd's dynamic users begin
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh")} == {0}
    assert int(status["NoNewPrivs"]) == 1
    assert int(status["Seccomp"]) == 2
    groups = machine.run("getent group adm systemd-journal | cut -d: -f3").split()
    assert set(groups) <= set(status["Groups"].split())
    assert machine.run(f"stat -c %a {STATE}").strip() == "600"


def test_it_is_exposed_no_more_than_it_has_to_be(machine: Machine) -> None:
    """Systemd's own measure, by the file and as it runs; its units have no mistake in them."""
    for options in (f"--offline=yes /lib/systemd/system/{PACKAGE}.service", f"{PACKAGE}.service"):
        said = machine.run(f"systemd-analyze security --no-pager {options}")
        exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert exposure
        assert float(exposure[1]) <= _MOST_EXPOSED, said
    units = " ".join(f"/lib/systemd/system/{PACKAGE}{unit}" for unit in _UNITS)
    assert machine.run(f"systemd-analyze verify --man=no {units}") == ""


def test_what_it_says_of_itself(machine: Machine) -> None:
    """The process's own metrics need /proc, which a service can be kept from."""
    samples = machine.scrape()
    for name in (
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_cpu_seconds_total",
        "process_open_fds",
    ):
        assert total(samples, name) > 0, name
    assert total(samples, "process_max_fds") > 1024  # what a process has that nobody gave more


def test_rotation_as_it_comes(machine: Machine) -> None:
    """logrotate, rsyslog and HAProxy as they come; none of their files was touched."""
    lines = machine.logged()
    for _ in range(3):
        machine.run("logrotate --force /etc/logrotate.d/haproxy")
        machine.request("/rotated/[1-20]")
        lines += 20
        machine.agree(lines)
    assert machine.run("ls /var/log/haproxy.log.2.gz").strip() == "/var/log/haproxy.log.2.gz"
    assert [
        line
        for line in machine.run("dpkg -V haproxy rsyslog logrotate", status=None).splitlines()
        if "haproxy.cfg" not in line
    ] == []


def test_a_kill_is_made_good(machine: Machine) -> None:
    """Systemd starts it again, and every line counts once."""
    lines, pid = machine.logged(), machine.main_pid()
    machine.run(f"systemctl kill --signal=KILL {PACKAGE}")
    machine.request("/killed/[1-40]")
    wait_until(lambda: machine.main_pid() not in (0, pid), what="another process")
    machine.agree(lines + 40)


def test_a_loop_that_stands_still_is_ended(machine: Machine) -> None:
    """Systemd's watchdog, here within 2 s, puts another process in the place of one that does nothing."""
    machine.run(f"mkdir -p /run/systemd/system/{PACKAGE}.service.d")
    drop_in = f"/run/systemd/system/{PACKAGE}.service.d/watchdog.conf"
    machine.write(drop_in, "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    machine.run("systemctl daemon-reload")
    machine.restart()
    lines, pid = machine.logged(), machine.main_pid()
    machine.run(f"kill -STOP {pid}")
    wait_until(lambda: machine.main_pid() not in (0, pid), what="another process")
    machine.run(f"rm {drop_in} && systemctl daemon-reload")
    machine.restart()
    machine.agree(lines)


def test_all_but_its_own_directories_is_out_of_reach(machine: Machine) -> None:
    """Not even root could write elsewhere from within the service, or see homes; the log is there."""
    machine.run("echo secret >/home/secret && chmod 644 /home/secret")
    inside = f"nsenter --target {machine.main_pid()} --mount"
    assert machine.holds(f"{inside} test -e {LOG}")
    assert not machine.holds(f"{inside} test -e /home/secret")
    for path in ("/etc", "/usr", "/var/lib", "/var/log", "/srv"):
        assert "Read-only" in machine.run(f"{inside} touch {path}/here", status=None), path
    for path in (f"/var/lib/{PACKAGE}", f"/run/{PACKAGE}"):
        machine.run(f"{inside} touch {path}/here && rm {path}/here")
