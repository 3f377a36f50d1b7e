"""What becomes of counts, configuration and the machine when the package is upgraded, removed and purged."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.package.conftest import Boot
from tests.package.machine import DEFAULTS, LOG, PACKAGE, STATE, Machine
from tests.support import Samples, wait_until

_UDP = f"{PACKAGE}-udp.socket"
_OWN_LINE = "# A line of one's own.\n"

# What a machine has, but what changes by itself or is about packages in general.
_CHANGING = "proc|sys|dev|run|tmp|srv|var/log|var/lib/apt|var/lib/dpkg|var/cache|var/spool/rsyslog"
_FILES = f"find / -xdev -regextype egrep -regex '/({_CHANGING})' -prune -o -print | sort"
_OTHERS = (
    "getent passwd; getent group; systemctl list-unit-files --no-legend | sort;"
    f" systemctl list-units --all --no-legend '{PACKAGE}*'"
)


@contextmanager
def traffic(machine: Machine) -> Iterator[None]:
    """Send some hundred requests a second for as long as the block lasts."""
    machine.write("/tmp/go", "")
    asking = machine.start(
        "while [ -e /tmp/go ]; do"
        " curl -sS -o /dev/null -w '\\n' 'http://127.0.0.1:8080/item/[1-20]' >>/tmp/sent; sleep 0.1; done"
    )
    try:
        yield
    finally:
        machine.run("rm /tmp/go")
        asking.wait(30)


class Watch:
    """Scrapes over and over, and keeps what went back."""

    def __init__(self, machine: Machine) -> None:
        """Take the machine; `watching` begins."""
        self._machine = machine
        self._stop = threading.Event()
        self._before: Samples = {}
        self.scrapes = 0
        self.versions: set[str] = set()
        self.went_back: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Scrape for as long as the block lasts."""
        thread = threading.Thread(target=self._watch, name="watch")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            after = self._machine.scrape()
            for sample, value in self._before.items():
                name = sample[0]
                if name.startswith("haproxy_log_") and name.endswith(("_total", "_count", "_sum", "_bucket")):
                    if name.startswith("haproxy_log_exporter_flush"):
                        continue  # of the process
                    if after.get(sample, -1) < value:
                        self.went_back.append(f"{sample}: {value} to {after.get(sample)}")
            self.versions |= {
                dict(labels)["version"] for name, labels in after if name == "haproxy_log_exporter_build_info"
            }
            self._before = after
            self.scrapes += 1


def test_an_upgrade_under_traffic(boot: Boot, package: Path, older: Path) -> None:
    """No counter goes back, every line counts once, and what was not changed in the defaults is replaced."""
    machine = boot()
    machine.install(f"/srv/older/{older.name}")
    assert "older" in machine.read(DEFAULTS)
    watch = Watch(machine)
    with traffic(machine), watch.watching():
        wait_until(lambda: machine.counted() > 100, what="some lines counted")
        pid = machine.main_pid()
        machine.install(f"/srv/new/{package.name}")
        assert machine.main_pid() not in (0, pid)
        so_far, seen = machine.counted(), watch.scrapes
        wait_until(lambda: machine.counted() > so_far and watch.scrapes > seen + 3, what="lines counted by the new one")
    assert len(watch.versions) == 2, watch.versions
    assert watch.went_back == []
    machine.agree(machine.logged())
    assert "older" not in machine.read(DEFAULTS)
    assert machine.property("NRestarts") == "0"


def test_what_was_changed_stays(boot: Boot, package: Path, older: Path) -> None:
    """Changed defaults are kept, as the operator says; so are enabled sockets, and what comes to them meanwhile."""
    machine = boot()
    machine.install(f"/srv/older/{older.name}")
    machine.write(DEFAULTS, _OWN_LINE + machine.read(DEFAULTS))
    machine.run(f"systemctl enable {_UDP} && systemctl restart {PACKAGE}")
    machine.run(
        "sed -i 's|log /dev/log.*local0|log 127.0.0.1:5140 len 8192 local0|' /etc/haproxy/haproxy.cfg"
        " && systemctl restart haproxy"
    )
    machine.request("/item/[1-25]")
    wait_until(lambda: machine.counted() == 25, what="25 lines counted")
    with traffic(machine):
        machine.install(f"/srv/new/{package.name}", options="-o Dpkg::Options::=--force-confold")
    assert machine.read(DEFAULTS).startswith(_OWN_LINE)
    assert machine.run(f"systemctl is-active {_UDP} {PACKAGE}").split() == ["active", "active"]
    sent = int(machine.run("wc -l </tmp/sent"))
    wait_until(lambda: machine.counted() == 25 + sent, what=f"{sent} more lines counted")
    assert sent > 100


def test_removed_and_purged(boot: Boot, package: Path) -> None:
    """Removing keeps the state and the defaults; after purging, the machine is as it was before."""
    machine = boot()
    # What the package depends on is there already, so that only its own is looked for.
    depends = machine.run(f"dpkg-deb -f /srv/new/{package.name} Depends Recommends")
    machine.install(
        *(name.split()[0].split(":")[0] for line in depends.splitlines() for name in line.split(": ", 1)[1].split(", "))
    )
    machine.run("python3 -c 'import haproxy, prometheus_client, rich, typer, watchdog, yaml'")
    before = (machine.run(_FILES), machine.run(_OTHERS))
    machine.install(f"/srv/new/{package.name}")
    machine.run(f"systemctl enable {_UDP} && systemctl restart {PACKAGE}")
    machine.request("/item/[1-30]")
    machine.agree(30)

    machine.run(f"apt-get -qq remove -y {PACKAGE}")
    assert not machine.holds("curl -s http://127.0.0.1:9129/")
    assert not machine.holds("grep -q ':1414 ' /proc/net/udp")  # port 5140
    assert machine.run(f"ls {STATE} {DEFAULTS}").split() == [DEFAULTS, STATE]
    machine.request("/meanwhile/[1-30]")
    machine.install(f"/srv/new/{package.name}")
    machine.agree(60)
    assert machine.run(f"systemctl is-active {_UDP}").strip() == "active"

    machine.run(f"apt-get -qq purge -y {PACKAGE}")
    assert not machine.holds("curl -s http://127.0.0.1:9129/")
    machine.run("systemctl daemon-reload")  # forgets units that nothing wants any more
    after = (machine.run(_FILES), machine.run(_OTHERS))
    for old, new in zip(before, after, strict=True):
        assert sorted(set(new.splitlines()) - set(old.splitlines())) == []
        assert sorted(set(old.splitlines()) - set(new.splitlines())) == []
    assert machine.read(LOG)
