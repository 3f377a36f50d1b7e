"""What the examples say: how the exporter is started, by which image, and HAProxy's configuration."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support import FIXTURES

ROOT = FIXTURES.parent
CONTAINERFILE = ROOT / "Containerfile"
COMPOSE = ROOT / "examples" / "compose"
KUBERNETES = ROOT / "examples" / "kubernetes" / "haproxy.yaml"


class Example(NamedTuple):
    """An exporter beside a HAProxy."""

    arguments: tuple[str, ...]  # of the exporter
    environment: dict[str, str]
    config: str  # HAProxy's


def tool(name: str) -> Path:
    """Find a program of the extra `development`. Debian has none of them: there the test is skipped."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if not found:
        pytest.skip(f"{name} is not installed")
    return Path(found)


def instruction(name: str) -> list[str]:
    """Read what the Containerfile runs: its last ENTRYPOINT, CMD or HEALTHCHECK."""
    text = CONTAINERFILE.read_text().replace("\\\n", "")
    return [*map(str, json.loads(re.findall(rf"^{name} .*?(\[.*\])$", text, re.MULTILINE)[-1]))]


def services() -> dict[str, Any]:
    """Read the services of compose.yaml."""
    return dict(yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"])


def manifest(kind: str) -> dict[str, Any]:
    """Read the manifest of a kind."""
    return next(each for each in yaml.safe_load_all(KUBERNETES.read_text()) if each["kind"] == kind)


def pod() -> dict[str, Any]:
    """Read what the Deployment's pods are to be."""
    return dict(manifest("Deployment")["spec"]["template"]["spec"])


def sidecar() -> dict[str, Any]:
    """Read the exporter's container of the pod."""
    (container,) = pod()["initContainers"]
    return dict(container)


def compose() -> Example:
    """Read the example for compose: the image's own command, with variables."""
    variables = services()["exporter"]["environment"]
    return Example(tuple(instruction("CMD")), variables, (COMPOSE / "haproxy.cfg").read_text())


def kubernetes() -> Example:
    """Read the example for Kubernetes."""
    return Example(tuple(sidecar()["args"]), {}, manifest("ConfigMap")["data"]["haproxy.cfg"])
