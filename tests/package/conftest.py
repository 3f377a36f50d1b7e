"""The package that was built, the one before it, and machines to install them on."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.package.machine import PACKAGE, PATH, SITE, Machine, booted
from tests.support import give_up, need

_BUILD = Path(__file__).parent.parent.parent / "build"


class Boot(Protocol):
    """Boots a machine where HAProxy has a site."""

    def __call__(self, site: str = SITE) -> Machine:
        """Give the machine."""


@pytest.fixture(scope="session")
def source() -> Path:
    """Find the tree that the package was built from."""
    return _need(_BUILD / "deb" / "built", "make deb").parent / "source"


@pytest.fixture(scope="session")
def package(source: Path) -> Path:
    """Find the package."""
    return next(source.parent.glob(f"{PACKAGE}_*_all.deb"))


@pytest.fixture(scope="session")
def root() -> Path:
    """Find a Debian of its own, with haproxy and the like as they come."""
    need("systemd-nspawn", "nsenter", "setpriv")
    return _need(_BUILD / "root", "make package")


def _need(path: Path, target: str) -> Path:
    if not path.exists() or os.geteuid():
        give_up(f"{path.name} is not there, as `{target}` makes it, or this is not root")
    return path


def build(source: Path, where: Path, change: Callable[[Path], None] | None = None, **environment: str) -> Path:
    """Build the package anew from a copy of its source, without the tests, after a change of that; give its path."""
    tree = where / "source"
    shutil.copytree(source, tree, symlinks=True)
    if change:
        change(tree)
    subprocess.run(
        ["dpkg-buildpackage", "-us", "-uc", "-b", "-Pnocheck"],
        cwd=tree, env={"PATH": PATH, "HOME": str(where), **environment},
        check=True, capture_output=True,
    )  # fmt: skip
    return next(where.glob("*_all.deb"))


@pytest.fixture(scope="session")
def older(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package of a version that is one lower, with other defaults."""

    def make_older(tree: Path) -> None:
        _replace(tree / "debian" / "changelog", r"\(([^)]+)\)", r"(\1~older)")
        _replace(tree / "haproxy_log_exporter" / "__init__.py", r'__version__ = "(.*)"', r'__version__ = "\1.dev0"')
        _replace(tree / "debian" / f"{PACKAGE}.default", r"\A", "# The defaults of an older version.\n")

    return build(source, tmp_path_factory.mktemp("older"), make_older)


def _replace(path: Path, pattern: str, text: str) -> None:
    changed, times = re.subn(pattern, text, path.read_text(), count=1)
    assert times == 1, path
    path.write_text(changed)


@pytest.fixture(scope="module")
def boot(root: Path, source: Path, package: Path, older: Path) -> Iterator[Boot]:
    """Boot machines where HAProxy has a site; they end with the module."""
    with ExitStack() as stack:

        def boot(site: str = SITE) -> Machine:
            machine = stack.enter_context(
                booted(root, {package.parent: "/srv/new", older.parent: "/srv/older", source: "/srv/source"})
            )
            machine.run("cat >>/etc/haproxy/haproxy.cfg && systemctl restart haproxy", text=site)
            return machine

        yield boot
