"""The Containerfile: an image that buildah makes of it, and a container of that beside HAProxy.

DEBIAN_ROOT names a directory with a Debian 12 as debootstrap makes it, which stands for the image that it begins with.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from haproxy_log_exporter import __version__
from tests.examples.reading import CONTAINERFILE, compose
from tests.examples.sites import ANSWERED, REQUESTS, running_site
from tests.support import need, total

_BASE = "localhost/debian:bookworm-slim"
_NAME = "haproxy-log-exporter"


class Buildah:
    """Images and containers in a directory; what runs is only confined by chroot, and on this host's network."""

    def __init__(self, folder: str) -> None:
        """Nothing is there yet."""
        self._options = ["--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]

    def command(self, name: str, *arguments: str | Path) -> list[str]:
        """Give a command line."""
        return ["buildah", *self._options, name, *map(str, arguments)]

    def run(self, name: str, *arguments: str | Path) -> str:
        """Run a command that must succeed."""
        done = subprocess.run(
            self.command(name, *arguments), capture_output=True, text=True, timeout=600, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout.strip()

    def container(self) -> str:
        """Make a container of the image."""
        return self.run("from", "--pull=never", _NAME)

    def settings(self) -> dict[str, Any]:
        """Read what the image says of how it is to be run."""
        return dict(json.loads(self.run("inspect", "--type=image", _NAME))["Docker"]["config"])


Inside = Callable[[str], str]


@pytest.fixture(scope="module")
def buildah() -> Iterator[Buildah]:
    """Build the image."""
    need("buildah")
    root = os.environ.get("DEBIAN_ROOT")
    if not root or os.geteuid():
        pytest.skip("DEBIAN_ROOT names no Debian, or this is not root")
    with tempfile.TemporaryDirectory() as folder:
        tool = Buildah(folder)
        container = tool.run("from", "scratch")
        subprocess.run(["cp", "-ax", f"{root}/.", tool.run("mount", container)], check=True, timeout=300)
        tool.run("commit", "--quiet", "--rm", container, _BASE)
        options = ("--isolation=chroot", "--pull=never", "--format=docker", f"--tag={_NAME}")
        tool.run("build", *options, CONTAINERFILE.parent)
        yield tool


@pytest.fixture(scope="module")
def inside(buildah: Buildah) -> Inside:
    """Run commands of the shell in a container of the image, as its user."""
    container = buildah.container()
    return lambda command: buildah.run("run", "--isolation=chroot", container, "--", "sh", "-c", command)


def test_what_is_in_it(inside: Inside) -> None:
    """The package and what it needs: nothing to build with, no lists of packages, and none of the source."""
    packages = inside("dpkg-query --show --showformat='${db:Status-Abbrev}${Package}\n'").splitlines()
    assert "ii prometheus-haproxy-log-exporter" in packages
    assert not {"ii gcc", "ii make", "ii dpkg-dev", "ii debhelper", "ii python3-systemd"} & {*packages}
    assert not inside("ls -A /var/lib/apt/lists /tmp | grep -v :$ | xargs; ls / | grep build || true")
    assert inside(f"{_NAME} --version") == inside(f"prometheus-{_NAME} --version") == f"{_NAME} {__version__}"


def test_who_runs_it(buildah: Buildah, inside: Inside) -> None:
    """A user that is a number, and not root, who may write to the directory of the state and hardly elsewhere."""
    settings = buildah.settings()
    user = settings["User"]
    assert all(int(number) > 0 for number in user.split(":"))
    assert inside("echo $(id -u):$(id -g)") == user
    (volume,) = settings["Volumes"]
    assert inside(f"stat --format='%u:%g %a' {volume}") == f"{user} 755"
    assert settings["Cmd"][-1].startswith(f"{volume}/")
    assert {*settings["ExposedPorts"]} == {"9129/tcp", "5140/udp", "5140/tcp"}
    assert settings["Healthcheck"]["Test"][0] == "CMD"
    writable = inside("find / -xdev -type d -writable -not -path '/proc/*' 2>/dev/null || true").split()
    assert {volume} <= {*writable} <= {volume, "/tmp", "/var/tmp", "/run/lock", "/dev/shm", "/dev/mqueue"}


def test_it_counts_beside_haproxy(buildah: Buildah, tmp_path: Path) -> None:
    """As compose runs it: nothing is lost when both end, and the container goes on where it was."""
    settings, example = buildah.settings(), compose()
    container = buildah.container()
    with running_site(tmp_path, example) as site:
        mount = f"--volume={site.config}:/etc/haproxy/haproxy.cfg:ro"
        variables = [f"--env={name}={text}" for name, text in example.environment.items()]
        program = (*settings["Entrypoint"], *settings["Cmd"])
        site.run_instead(*buildah.command("run", "--isolation=chroot", mount, *variables, container, "--", *program))
        answered = site.end_while_busy()
        with site.exporter():
            assert total(site.host.scrape(), REQUESTS, **ANSWERED) == answered
