"""The examples do what they are to do, with their own arguments and configurations, all programs on one host."""

import json
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.examples.reading import COMPOSE, Example, compose, instruction, kubernetes, pod, sidecar
from tests.examples.sites import ANSWERED, LINES, REQUESTS, WEB, running_site
from tests.support import need, total, wait_until

EXAMPLES = pytest.mark.parametrize("example", [compose(), kubernetes()], ids=["compose", "kubernetes"])


@EXAMPLES
def test_each_request_is_counted(example: Example, tmp_path: Path) -> None:
    """By where it went, which is known before; nothing else comes, and nothing is rejected."""
    with running_site(tmp_path, example) as site, site.exporter():
        assert (REQUESTS, frozenset({**ANSWERED, "status_class": "5xx"}.items())) in site.host.scrape()
        with site.haproxy():
            for number in range(4):
                assert site.host.get(f"{WEB}/{number}") == "hello\n"
            samples = site.wait_for_lines(5)
    assert total(samples, REQUESTS) == total(samples, REQUESTS, **ANSWERED) == 5
    assert total(samples, LINES, result="rejected") == 0


@EXAMPLES
def test_nothing_is_lost_at_the_end(example: Example, tmp_path: Path) -> None:
    """HAProxy is told to end while it is busy, then the exporter: each request that was answered is in the state."""
    with running_site(tmp_path, example) as site:
        answered = site.end_while_busy()
        with site.exporter():
            assert total(site.host.scrape(), REQUESTS, **ANSWERED) == answered


def test_prometheus_has_what_was_counted(tmp_path: Path) -> None:
    """As compose has it configured, only sooner."""
    need("prometheus")
    config = tmp_path / "prometheus.yml"
    config.write_text((COMPOSE / "prometheus.yml").read_text().replace("scrape_interval: 15s", "scrape_interval: 1s"))
    options = (f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data", "--web.listen-address=:9090")
    query = f"http://127.0.0.1:9090/api/v1/query?query={quote(f'sum({REQUESTS})')}"
    with running_site(tmp_path, compose()) as site, site.exporter(), site.haproxy():

        def found() -> bool:
            answer = site.host.get(query)
            return bool(answer) and [each["value"][1] for each in json.loads(answer)["data"]["result"]] == ["1"]

        with site.running("prometheus", *options):
            wait_until(found, what="Prometheus")


def test_it_is_healthy_while_it_runs(tmp_path: Path) -> None:
    """The image's check and the pod's probes fail before and after, and in between they do not."""
    container = sidecar()
    (port,) = container["ports"]
    probes = [container[name]["httpGet"] for name in ("startupProbe", "livenessProbe")]
    assert {probe["port"] for probe in probes} == {port["name"]}
    checks = [["curl", "-sf", f"http://127.0.0.1:{port['containerPort']}{probe['path']}"] for probe in probes]
    checks.append([sys.executable, *instruction("HEALTHCHECK")[1:]])
    with running_site(tmp_path, kubernetes()) as site:
        for is_there in (False, True, False):
            with site.exporter() if is_there else nullcontext():
                assert [site.host.run(*check).returncode == 0 for check in checks] == [is_there] * len(checks)


def test_asking_haproxy_whether_it_is_well_is_no_request(tmp_path: Path) -> None:
    """The probes of Kubernetes are not counted."""
    (container,) = pod()["containers"]
    path = container["readinessProbe"]["httpGet"]["path"]
    assert container["livenessProbe"]["httpGet"]["path"] == path
    with running_site(tmp_path, kubernetes()) as site, site.exporter(), site.haproxy():
        for _ in range(5):
            assert site.host.get(f"{WEB}{path}")
        site.host.get(f"{WEB}/last")
        assert total(site.wait_for_lines(2), REQUESTS) == 2


def test_the_pod_ends_in_time() -> None:
    """HAProxy's connections may take as long as is said, and then there is time left for the exporter."""
    found = re.search(r"hard-stop-after (\d+)s", kubernetes().config)
    assert found
    assert int(found[1]) + 5 <= pod()["terminationGracePeriodSeconds"]
    assert sidecar()["restartPolicy"] == "Always"
