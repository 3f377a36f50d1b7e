"""The package as a file: the same bytes each time, and nothing that lintian minds."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.package.conftest import Boot, build
from tests.package.machine import PATH
from tests.support import need


def test_two_builds_give_the_same_bytes(source: Path, package: Path, tmp_path: Path) -> None:
    """Elsewhere, by another umask, in another zone and language, and without tests."""
    before = os.umask(0o027)
    try:
        again = build(source, tmp_path / "elsewhere", TZ="Pacific/Kiritimati", LC_ALL="C", COLUMNS="47", LANGUAGE="de")
    finally:
        os.umask(before)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(package.read_bytes()).digest()


def lint(changes: Path) -> None:
    """See that lintian finds no error and no warning, nothing pedantic, and no note without a reason in an override."""
    need("lintian")
    options = ("--pedantic", "--display-info", "--fail-on", "error,warning,pedantic", "--allow-root")
    done = subprocess.run(["lintian", *options, changes], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_lintian_minds_nothing(source: Path, package: Path, tmp_path: Path) -> None:
    """In the package and in its source."""
    lint(next(package.parent.glob("*.changes")))
    shutil.copytree(source, tmp_path / "source", symlinks=True)
    command = ["dpkg-buildpackage", "-us", "-uc", "-S"]
    subprocess.run(command, cwd=tmp_path / "source", env={"PATH": PATH}, check=True, capture_output=True)
    lint(next(tmp_path.glob("*.changes")))


def test_it_depends_on_debian_alone(package: Path) -> None:
    """It is for all architectures, and whatever it asks for is a package of Debian 12."""

    def field(name: str) -> str:
        return subprocess.run(
            ["dpkg-deb", "-f", package, name], capture_output=True, text=True, check=True
        ).stdout.strip()

    assert field("Architecture") == "all"
    names = re.findall(
        r"(?:^|, )([a-z0-9.+-]+)", ", ".join(field(name) for name in ("Depends", "Recommends", "Suggests"))
    )
    assert {"python3-prometheus-client", "python3-typer", "python3-haproxy-log-analysis"} <= set(names)
    for name in names:
        assert subprocess.run(["apt-cache", "show", name], capture_output=True, check=False).returncode == 0, name


def test_autopkgtest(boot: Boot, package: Path) -> None:
    """The package's own tests, by the null runner, on a machine that systemd runs."""
    machine = boot(site="")
    said = machine.run(
        f"cp -r /srv/source /tmp/source && autopkgtest --ignore-restrictions=isolation-container,breaks-testbed"
        f" /srv/new/{package.name} /tmp/source/ -- null"
    )
    results = dict(re.findall(r"^(\S+) +(PASS|FAIL|SKIP)", said, re.MULTILINE))
    assert results == {"traffic": "PASS", "commands": "PASS"}, said
