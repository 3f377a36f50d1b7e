"""A real systemd-journald beside the system's own, and HAProxy as a service whose log it takes.

It runs in a mount namespace of its own, in which its directories are some of the test's; its sockets and its journal
are seen from outside. Whoever writes to it belongs to the unit that its control group is named after, so a group is
made for the time being. All that needs root.
"""

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from tests.integration.haproxy import Doors, HAProxy, _find
from tests.support import need, wait_until

JOURNALD = "/lib/systemd/systemd-journald"
_NAMESPACE = "test"

_START = """\
set -e
mount --bind "$1" /run/systemd
mount --bind "$2" /run/log
mount --bind "$3" /var/log/journal
exec "$4" "$5"
"""

# What a unit's standard output begins with for journald: identifier, unit, priority, whether lines have a level of
# their own, and whether they are to be forwarded to syslog, the kernel and the console.
_STREAM = b"haproxy\n\n6\n1\n0\n0\n0\n"


class Journald:
    """A running journald."""

    def __init__(self, process: "subprocess.Popen[bytes]", run: Path, journals: Path) -> None:
        """`run` is its /run/systemd, `journals` its /var/log/journal."""
        self.process = process
        self._sockets = run / f"journal.{_NAMESPACE}"
        self._journals = journals

    def listens(self) -> bool:
        """Tell whether it is up; fail when it never will be."""
        assert self.process.poll() is None, "journald has ended"
        return self.syslog.exists() and bool([*self.directory.glob("*.journal")])

    @property
    def syslog(self) -> Path:
        """What is /dev/log elsewhere."""
        return self._sockets / "dev-log"

    @property
    def directory(self) -> Path:
        """Where its journal is."""
        return next(self._journals.glob(f"*.{_NAMESPACE}"), self._journals / "none")

    def stdout(self) -> socket.socket:
        """Open what a service's standard output is connected to."""
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(str(self._sockets / "stdout"))
        stream.sendall(_STREAM)
        return stream

    def rotate(self) -> None:
        """Let it archive its file and begin the next."""
        count = len([*self.directory.iterdir()])
        self.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: len([*self.directory.iterdir()]) > count, what="the rotation")


@contextmanager
def running_journald() -> Iterator[Journald]:
    """Run a journald; skip the test where that is not permitted."""
    need("unshare", "mount", JOURNALD)
    # The paths of its sockets have to be short: sun_path of unix(7).
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder, name) for name in ("run", "log", "journal")]
        for each in folders:
            each.mkdir()
        with _started(folders) as journald:
            yield journald


@contextmanager
def _started(folders: list[Path]) -> Iterator[Journald]:
    # journald keeps its journal where its directory is there already.
    machine = Path("/etc/machine-id").read_text().strip() if Path("/etc/machine-id").exists() else ""
    if not machine or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        _give_up("journald cannot be run")
    (folders[2] / f"{machine}.{_NAMESPACE}").mkdir()
    command = ["unshare", "--mount", "sh", "-c", _START, "sh", *map(str, folders), JOURNALD, _NAMESPACE]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    journald = Journald(process, folders[0], folders[2])
    try:
        wait_until(journald.listens, what="journald")
        yield journald
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def control_group(unit: str) -> Iterator[Path]:
    """Make a control group by which processes belong to a unit; skip the test where that is not permitted."""
    rows = (row.split() for row in Path("/proc/mounts").read_text().splitlines())
    mounts = [Path(row[1]) for row in rows if row[2] == "cgroup2" or (row[2] == "cgroup" and "name=systemd" in row[3])]
    # Where there are both, journald asks the one that is called so.
    mounts.sort(key=lambda mount: mount.name != "unified")
    if not (mounts and os.access(mounts[0], os.W_OK)):
        _give_up("control groups cannot be made")
    above = mounts[0] / f"test{os.getpid()}.slice"
    group = above / unit
    group.mkdir(parents=True)
    try:
        yield group
    finally:
        wait_until(lambda: not group.joinpath("cgroup.procs").read_text(), what="the processes of the group to end")
        group.rmdir()
        above.rmdir()


@contextmanager
def running_as(unit: str, file: Path, doors: Doors, journald: Journald) -> Iterator[HAProxy]:
    """Run HAProxy with a configuration as a unit, its standard output taken by journald."""
    with ExitStack() as stack:
        group = stack.enter_context(control_group(unit))
        stdout = stack.enter_context(journald.stdout())
        errors = stack.enter_context(file.with_suffix(".err").open("ab"))
        enter = ["sh", "-c", 'echo $$ >"$1"; shift; exec "$@"', "sh", str(group / "cgroup.procs")]
        process = subprocess.Popen(
            [*enter, _find("haproxy"), "-db", "-f", str(file)],
            pass_fds=[door.fd for door in doors.values()],
            stdout=stdout.fileno(),
            stderr=errors,
        )
        haproxy = HAProxy(process, file.with_name("commands"), file.with_suffix(".err"))
        try:
            wait_until(haproxy.answers, what=f"HAProxy of {file}")
            yield haproxy
        finally:
            process.terminate()
            process.wait(timeout=30)


def _give_up(reason: str) -> NoReturn:
    """Skip the test: these are rights, which no program gives."""
    pytest.skip(reason)
