"""The examples for containers are right, as far as programs can tell that read them and run nothing."""

import subprocess
from pathlib import Path

import pytest

from haproxy_log_exporter import __version__
from tests.examples.hosts import running_host
from tests.examples.reading import (
    COMPOSE,
    CONTAINERFILE,
    KUBERNETES,
    Example,
    compose,
    instruction,
    kubernetes,
    pod,
    services,
    sidecar,
    tool,
)
from tests.support import need, run

IMAGE = f"haproxy-log-exporter:{__version__}"


def _lint(*arguments: str | Path) -> str:
    """Run a linter that must find nothing; give what it says."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_hadolint_takes_the_containerfile() -> None:
    """With all of its rules."""
    assert not _lint(tool("hadolint"), "--failure-threshold", "style", CONTAINERFILE)


def test_docker_compose_takes_the_services() -> None:
    """It holds them against the specification's schema, and says nothing."""
    need("docker-compose")
    assert not _lint("docker-compose", "--file", COMPOSE / "compose.yaml", "config", "--quiet")


# The oldest with sidecars by default, and the newest that it knows.
@pytest.mark.parametrize("version", [["--kubernetes-version", "1.29"], []])
def test_kubernetes_takes_the_manifests(version: list[str]) -> None:
    """No field that it does not know, each of the right type."""
    said = _lint(tool("kubernetes-validate"), "--strict", *version, KUBERNETES)
    assert said.count(" passed for resource ") == len(said.splitlines()) == 3


@pytest.mark.parametrize("example", [compose(), kubernetes()], ids=["compose", "kubernetes"])
def test_haproxy_takes_its_configuration(example: Example, tmp_path: Path) -> None:
    """Without a warning, where the exporter's name is known."""
    need("haproxy")
    file = tmp_path / "haproxy.cfg"
    file.write_text(example.config)
    with running_host(tmp_path, "exporter") as host:
        done = host.run("/usr/sbin/haproxy", "-c", "-f", file)
    assert (done.returncode, done.stdout + done.stderr) == (0, "Configuration file is valid\n")
    told = run("check", "--haproxy-config", file).stdout.decode()
    assert "web" in told


def test_promtool_takes_what_is_scraped() -> None:
    """The address is that of the service."""
    need("promtool")
    _lint("promtool", "check", "config", COMPOSE / "prometheus.yml")
    assert '"exporter:9129"' in (COMPOSE / "prometheus.yml").read_text()


def test_they_are_of_this_version() -> None:
    """Compose builds what it then runs, and Kubernetes runs the same."""
    assert services()["exporter"]["image"] == sidecar()["image"] == IMAGE
    build = services()["exporter"]["build"]
    assert COMPOSE.joinpath(build["context"], build["dockerfile"]).resolve() == CONTAINERFILE.resolve()
    assert instruction("ENTRYPOINT") == ["haproxy-log-exporter"]


def test_no_service_may_more_than_it_has_to() -> None:
    """Nobody can write but into volumes, or gain rights."""
    for service in services().values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_no_container_may_more_than_it_has_to() -> None:
    """Nor in Kubernetes, where it is known by number that nobody is root."""
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (*pod()["initContainers"], *pod()["containers"]):
        context = container["securityContext"]
        assert context["runAsUser"] > 0
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"].keys() == {"memory"} <= container["resources"]["requests"].keys()
    assert f"USER {sidecar()['securityContext']['runAsUser']}:" in CONTAINERFILE.read_text()
