"""All that the exporter does, it does as the package's service as well, whatever is kept from that."""

import re
from pathlib import Path

import pytest

from haproxy_log_exporter.logformat.presets import PRESETS
from tests.certificates import make_pair
from tests.package.conftest import Boot
from tests.package.machine import DEFAULTS, PACKAGE, STATE, Machine
from tests.support import need, total, wait_until

_STATE = f"--state {STATE}"
_REQUESTS = 50
_HAPROXY = "/etc/haproxy/haproxy.cfg"
_RING = """
ring exporter
	format rfc5424
	maxlen 8192
	size 8388608
	timeout connect 5s
	timeout server 30s
	server exporter 127.0.0.1:{}
"""


@pytest.fixture(scope="module")
def machine(boot: Boot, package: Path) -> Machine:
    """Install the package, and keep HAProxy's configuration as it is now."""
    machine = boot()
    machine.install(f"/srv/new/{package.name}")
    machine.run(f"cp {_HAPROXY} {_HAPROXY}.before")
    return machine


def send_logs(machine: Machine, where: str, *, more: str = "") -> None:
    """Let HAProxy log to somewhere else."""
    machine.run(
        f"sed 's|log /dev/log.*local0|log {where} len 8192 local0|' {_HAPROXY}.before >{_HAPROXY} && cat >>{_HAPROXY}",
        text=more,
    )
    machine.run("systemctl restart haproxy")


def expect(machine: Machine, path: str, before: float = 0) -> None:
    """Send requests and wait until each is counted once."""
    machine.request(f"{path}/[1-{_REQUESTS}]")
    wait_until(lambda: machine.counted() == before + _REQUESTS, what=f"{_REQUESTS} lines counted, of {path}")


def fresh(machine: Machine, arguments: str, *, more: str = "") -> None:
    """Let the service begin anew with these arguments."""
    forget(machine)
    machine.configure(f"{arguments} {_STATE}", more=more)


def forget(machine: Machine) -> None:
    """Stop the service, and take its state away."""
    machine.run(f"systemctl stop {PACKAGE}; systemctl reset-failed {PACKAGE}; systemctl clean --what=state {PACKAGE}")


def test_syslog_over_udp_tcp_and_a_path(machine: Machine) -> None:
    """The exporter opens the sockets itself."""
    fresh(machine, f"--syslog udp://127.0.0.1:5141 --syslog tcp://:5142 --syslog unix:///run/{PACKAGE}/log")
    send_logs(machine, "127.0.0.1:5141")
    expect(machine, "/udp")
    send_logs(machine, "ring@exporter", more=_RING.format(5142))
    expect(machine, "/tcp", _REQUESTS)
    # The stock HAProxy sees nothing but its own directory.
    machine.run(f"sed -i 's|chroot .*|chroot /|' {_HAPROXY}.before")
    send_logs(machine, f"/run/{PACKAGE}/log")
    expect(machine, "/path", 2 * _REQUESTS)
    machine.run(f"sed -i 's|chroot .*|chroot /var/lib/haproxy|' {_HAPROXY}.before")


def test_syslog_over_tls(machine: Machine, tmp_path: Path) -> None:
    """With a key that only root and the group adm may read."""
    need("openssl")
    machine.write("/etc/haproxy/exporter.pem", make_pair(tmp_path, "exporter").both().decode())
    machine.write("/etc/haproxy/ca.pem", (tmp_path / "exporter.crt").read_text())
    machine.run("cd /etc/haproxy && chgrp adm exporter.pem && chmod 640 exporter.pem")
    fresh(machine, "--syslog tls://127.0.0.1:6514 --syslog-tls-certificate /etc/haproxy/exporter.pem")
    send_logs(
        machine,
        "ring@exporter",
        more=_RING.format("6514 ssl verify required ca-file /etc/haproxy/ca.pem log-proto octet-count"),
    )
    expect(machine, "/tls")
    machine.run(f"systemctl reload {PACKAGE}")
    expect(machine, "/tls-again", _REQUESTS)


@pytest.mark.parametrize("kind", ["udp", "tcp", "unix"])
def test_sockets_that_systemd_opens(machine: Machine, kind: str) -> None:
    """A shipped socket, once enabled, is read with no other change, and holds what comes while the service is away."""
    unit = f"{PACKAGE}-{kind}.socket"
    forget(machine)
    machine.write(DEFAULTS, f'ARGS="{_STATE}"\n')  # nothing to follow but what systemd hands down
    machine.run(f"systemctl enable {unit}; systemctl restart {PACKAGE}")
    try:
        where = {"udp": "127.0.0.1:5140", "tcp": "ring@exporter", "unix": "/dev/exporter"}[kind]
        send_logs(machine, where, more=_RING.format(5140) if kind == "tcp" else "")
        expect(machine, f"/{kind}")
        pid = machine.main_pid()
        machine.run(f"systemctl kill --signal=STOP {PACKAGE}; systemctl --no-block restart {PACKAGE}")
        machine.request(f"/away/[1-{_REQUESTS}]")
        machine.run(f"systemctl kill --signal=CONT {PACKAGE}")
        wait_until(lambda: machine.main_pid() not in (0, pid), what="another process")
        wait_until(lambda: machine.counted() == 2 * _REQUESTS, what="what came meanwhile")
        assert total(machine.scrape(), "haproxy_log_exporter_refused_total") == 0
    finally:
        machine.run(f"systemctl disable --now {unit}")


def test_scrapes_wait_while_the_service_starts(machine: Machine) -> None:
    """With the HTTP socket enabled, no scrape is refused during restarts."""
    fresh(machine, "--syslog udp://127.0.0.1:5141")
    unit = f"{PACKAGE}-web.socket"
    machine.run(f"systemctl enable {unit}; systemctl restart {PACKAGE}")
    try:
        machine.write("/tmp/go", "")
        scraping = machine.start(
            "while [ -e /tmp/go ]; do curl -fsS -m 10 -o /dev/null 127.0.0.1:9129/metrics || echo >>/tmp/refused; done"
        )
        for _ in range(3):
            machine.restart()
        machine.run("rm /tmp/go")
        scraping.wait(30)
        assert not machine.holds("test -e /tmp/refused")
    finally:
        machine.run(f"systemctl disable --now {unit}")


def test_the_journal(machine: Machine) -> None:
    """HAProxy's standard output goes to journald, and the service reads it from there."""
    fresh(machine, "--journal haproxy --start end")
    send_logs(machine, "stdout", more="")
    expect(machine, "/journal")
    machine.restart()
    expect(machine, "/journal-again", _REQUESTS)


def test_arguments_with_blanks_variables_and_a_file(machine: Machine) -> None:
    """A log-format in quotes, labels by a variable, a configuration file; the latter is read again on reload."""
    send_logs(machine, "127.0.0.1:5141")
    fresh(
        machine,
        f"--syslog udp://127.0.0.1:5141 --format '{PRESETS[0].source}'",
        more="HAPROXY_LOG_EXPORTER_LABELS=status_class,http_request_method\n",
    )
    expect(machine, "/variable")
    counted = [dict(labels) for name, labels in machine.scrape() if name == "haproxy_log_requests_total"]
    assert counted == [{"status_class": "2xx", "http_request_method": "GET"}]

    machine.run("mkdir -p /etc/prometheus")
    file = "/etc/prometheus/haproxy-log-exporter.yml"
    machine.write(file, f"syslog: udp://127.0.0.1:5141\nstate: {STATE}\nlabels: [status_class]\n")
    machine.configure(f"--config {file}")
    machine.write(file, f"syslog: udp://127.0.0.1:5141\nstate: {STATE}\nlabels: [server_name]\n")
    machine.run(f"systemctl reload {PACKAGE}")
    wait_until(
        lambda: total(machine.scrape(), "haproxy_log_exporter_label_values_limit", label="server_name") > 0,
        what="the label",
    )
    expect(machine, "/file")
    machine.write(file, "lables: [server_name]\n")
    machine.run(f"systemctl reload {PACKAGE}")
    wait_until(
        lambda: total(machine.scrape(), "haproxy_log_exporter_config_last_reload_successful") == 0, what="the refusal"
    )
    assert "lables" in machine.run(f"journalctl -u {PACKAGE} -n 20")


def test_wrong_arguments_are_told(machine: Machine) -> None:
    """The journal says what is wrong, all of it."""
    machine.write(DEFAULTS, 'ARGS="--file /var/log/haproxy.log --lables status_code"\n')
    machine.run(f"systemctl restart {PACKAGE}", status=1)
    assert machine.property("ExecMainStatus") == "2"
    assert re.search("No such option.*--lables", machine.run(f"journalctl -u {PACKAGE} -n 20"))
    machine.write(DEFAULTS, 'ARGS="--file /var/log/haproxy.log --labels nonsense --start middle"\n')
    machine.run(f"systemctl restart {PACKAGE}", status=1)
    said = machine.run(f"journalctl -u {PACKAGE} -n 20")
    assert "nonsense" in said
    assert "middle" in said


def test_an_address_that_is_not_there_yet(machine: Machine) -> None:
    """The service is started until it can be had, however often that takes."""
    bound = (
        "import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', 5143)); time.sleep(60)"
    )
    taken = machine.start(f'echo $$ >/tmp/taking; exec python3 -c "{bound}"')
    wait_until(lambda: machine.holds("grep -q ':1417 ' /proc/net/udp"), what="the port to be taken")
    try:
        forget(machine)
        machine.write(DEFAULTS, f'ARGS="--syslog udp://127.0.0.1:5143 {_STATE}"\n')
        machine.run(f"systemctl start {PACKAGE}", status=1)
        wait_until(lambda: int(machine.property("NRestarts")) > 0, what="it to be started again")
    finally:
        machine.run("kill $(cat /tmp/taking)")
        taken.wait(30)
    wait_until(lambda: machine.property("ActiveState") == "active", what="the service")
    pause, interval = (
        int(machine.property(f"{name}USec").removesuffix("s")) for name in ("Restart", "StartLimitInterval")
    )
    assert pause * int(machine.property("StartLimitBurst")) > interval
