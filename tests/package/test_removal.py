"""Removing, purging and installing in worse circumstances: under traffic, on mounts and links, without systemd."""

from pathlib import Path

from tests.package.conftest import Boot
from tests.package.machine import DEFAULTS, PACKAGE, STATE
from tests.support import wait_until

_KINDS = ("udp", "tcp", "unix", "web")
_SOCKETS = " ".join(f"{PACKAGE}-{kind}.socket" for kind in _KINDS)
_SEND = """
import os, socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent = 0
while os.path.exists("/tmp/go"):
    udp.sendto(b"<134>x", ("127.0.0.1", 5140))
    sent += 1
    if sent % 1000 == 0:
        print(sent, flush=True)
"""


def test_removed_while_all_sockets_get_traffic(boot: Boot, package: Path) -> None:
    """Nothing starts it again, nothing is left behind; installed again, the sockets that were enabled are open."""
    machine = boot()
    machine.install(f"/srv/new/{package.name}")
    machine.run(f"systemctl enable {_SOCKETS}; systemctl restart {PACKAGE}")
    machine.write("/tmp/go", "")
    machine.write("/tmp/send.py", _SEND)
    # UDP tells its sender that nobody listens; who goes on sending is another.
    sending = machine.start("while [ -e /tmp/go ]; do python3 /tmp/send.py >>/tmp/sent 2>/dev/null; done")
    scraping = machine.start("while [ -e /tmp/go ]; do curl -s -m 1 -o /dev/null 127.0.0.1:9129/metrics && echo; done")
    try:
        wait_until(lambda: machine.holds("test -s /tmp/sent"), what="traffic")
        machine.run(f"apt-get -qq remove -y {PACKAGE}")
        assert machine.run(f"systemctl is-active {PACKAGE} {_SOCKETS}", status=3).split() == ["inactive"] * 5
        assert machine.run("systemctl --failed --no-legend") == ""
        assert not machine.holds(f"test -e /var/lib/haproxy/dev/exporter -o -e /run/{PACKAGE}")
        machine.install(f"/srv/new/{package.name}")
        assert machine.run(f"systemctl is-active {PACKAGE} {_SOCKETS}").split() == ["active"] * 5
        machine.run(f"apt-get -qq purge -y {PACKAGE}")
        assert machine.run(f"systemctl is-active {PACKAGE} {_SOCKETS}", status=3).split() == ["inactive"] * 5
        assert machine.run(f"find /etc/systemd /var/lib/systemd /var/lib/private /run -name '{PACKAGE}*'") == ""
    finally:
        machine.run("rm /tmp/go")
        sending.wait(30)
        scraping.wait(30)


def test_purged_with_a_state_elsewhere(boot: Boot, package: Path) -> None:
    """A mount is emptied, what a link leads to is left alone, and so is the state of others; purging does not fail."""
    machine = boot()
    own = f"/var/lib/private/{PACKAGE}"
    machine.run("mkdir -p /var/lib/private/other /data && touch /var/lib/private/other/kept /data/kept")

    machine.run(f"mkdir {own} && mount -t tmpfs tmpfs {own}")
    machine.install(f"/srv/new/{package.name}")
    assert machine.holds(f"test -s {STATE}")
    machine.run(f"apt-get -qq purge -y {PACKAGE}")
    assert machine.run(f"ls -A {own}") == ""
    machine.run(f"umount {own} && rmdir {own}")

    for place in (own, f"/var/lib/{PACKAGE}"):
        machine.run(f"rm -rf {own} && ln -s /data {place}")
        machine.install(f"/srv/new/{package.name}")
        machine.run(f"apt-get -qq purge -y {PACKAGE}")
        assert machine.run("cd /var/lib/private/other && ls . /data").split() == [".:", "kept", "/data:", "kept"]
        assert not machine.holds(f"test -e {place} -o -L {place}")


def test_upgrades_of_a_service_that_does_not_run(boot: Boot, package: Path, older: Path) -> None:
    """Disabled, masked or with wrong arguments: none is started, and none keeps the upgrade from its end."""
    machine = boot()
    old, new = f"/srv/older/{older.name}", f"/srv/new/{package.name}"
    options = "--allow-downgrades -o Dpkg::Options::=--force-confold"
    machine.install(old)
    before = machine.read(DEFAULTS)
    for command, state in (
        (f"systemctl disable --now {PACKAGE}", "disabled"),
        (f"systemctl mask --now {PACKAGE}", "masked"),
    ):
        machine.run(command)
        machine.install(new, options=options)
        assert machine.run(f"systemctl is-enabled {PACKAGE}", status=1).strip() == state
        assert machine.main_pid() == 0
        machine.run(f"systemctl unmask {PACKAGE}; systemctl enable --now {PACKAGE}")
        machine.install(old, options=options)
    machine.write(DEFAULTS, 'ARGS="--nonsense"\n')
    machine.install(new, options=options)
    assert machine.property("SubState") == "failed"
    assert machine.run(f"dpkg-query -W -f '${{Status}}' {PACKAGE}") == "install ok installed"
    machine.write(DEFAULTS, before)
    machine.install(new, options=f"{options} --reinstall")
    machine.request("/item/[1-5]")
    machine.agree(5)


def test_without_systemd(boot: Boot, package: Path) -> None:
    """As when an image is made: it installs, the command runs, nothing is started, and purging leaves nothing."""
    machine = boot()
    # The machine's own root, with nothing mounted that tells of systemd.
    machine.run("mkdir /apart && mount --bind / /apart && cd /apart && mount --rbind /dev dev")
    machine.run("mount -t proc proc /apart/proc && mount --rbind /srv /apart/srv")
    apart = "chroot /apart"
    machine.run(f"{apart} apt-get -qq install -y /srv/new/{package.name}")
    assert machine.holds(f"{apart} {PACKAGE} --version")
    assert not machine.holds("curl -s http://127.0.0.1:9129/")
    assert not machine.holds(f"test -e /var/lib/private/{PACKAGE} -o -L /var/lib/{PACKAGE}")
    assert machine.holds(f"test -L /etc/systemd/system/multi-user.target.wants/{PACKAGE}.service")
    machine.run(f"{apart} apt-get -qq purge -y {PACKAGE}")
    machine.run("umount --recursive /apart")
    assert machine.run(f"find / -xdev -name '{PACKAGE}*' -not -path '/srv/*' -not -path '/var/cache/*'") == ""
