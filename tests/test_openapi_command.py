"""`count --path-templates` with descriptions of an API."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.config.test_openapi import FIXTURES, SHOP, STORAGE, examples
from tests.support import read_samples, run

LABELS = ("-l", "http_request_path", "--metrics", "requests_total")


def lines(paths: Iterable[str]) -> bytes:
    """Write lines of requests, whatever was found."""
    start = "127.0.0.1:59616 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/1/1"
    rest = "- - ---- 1/1/0/0/0 0/0"
    return "".join(
        f'{start} {(404, 200, 503)[place % 3]} 5 {rest} "GET {path}?page={place} HTTP/1.1"\n'
        for place, path in enumerate(paths)
    ).encode()


def count(paths: Iterable[str], *options: str | Path) -> Mapping[str, int]:
    """Count requests by path."""
    told = run("count", *LABELS, *options, "-", stdin=lines(paths))
    assert (told.returncode, told.stderr) == (0, b"")
    samples = read_samples(told.stdout.decode())
    return Counter({dict(labels)["http_request_path"]: int(value) for (_, labels), value in samples.items()})


@pytest.mark.parametrize(("name", "bases", "least"), [("shop.yaml", SHOP, 500), ("storage.json", STORAGE, 25)])
@pytest.mark.parametrize("options", [(), ("--no-path-ids",), ("--path-depth", "1")])
def test_each_path_has_the_requests_of_its_examples(
    name: str, bases: dict[str, list[str]], least: int, options: tuple[str, ...]
) -> None:
    """Exactly, whatever becomes of other paths, and though a template's first request found nothing."""
    log: list[str] = []
    wanted = Counter[str]()
    for place, (example, template) in enumerate(examples(name, bases)):
        times = place % 4 + 1
        log += [example] * times
        wanted[template] += times
    assert len(log) > 2 * least
    assert count(log, "--path-templates", FIXTURES / name, *options) == wanted


def test_several_descriptions_and_templates_together(tmp_path: Path) -> None:
    """Each takes its own; a template that is more specific comes before, wherever it is."""
    (tmp_path / "t.txt").write_text("# ours\n/v1/users/42  # the answer\n/status/*\n")
    files = ("shop.yaml", "storage.json")
    options = [f"--path-templates={path}" for path in (*(FIXTURES / name for name in files), tmp_path / "t.txt")]
    log = ["/v1/users/42", "/v1/users/43", "/storage/api/v2/buckets", "/status/a/b", "/special/7", "/unknown/7"]
    assert count([path for path in log for _ in range(3)], *options, "--path-template", "/special/{what}") == {
        "/v1/users/42": 3,
        "/v1/users/{user}": 3,
        "/storage/api/v2/buckets": 3,
        "/status/*": 3,
        "/special/{what}": 3,
        "other": 1,  # a 404 comes first
        "/unknown/{id}": 2,
    }


def test_the_configuration_file_names_descriptions(tmp_path: Path) -> None:
    """As the command line does."""
    (tmp_path / "c.yml").write_text(f"path-templates: [{FIXTURES}/shop.yaml, {FIXTURES}/storage.json]\n")
    assert count(["/v1/users/42"], "--config", tmp_path / "c.yml") == {"/v1/users/{user}": 1}


def test_descriptions_that_are_wrong_are_told_with_all_places(tmp_path: Path) -> None:
    """Those of all files at once, with other mistakes."""
    (tmp_path / "a.yml").write_text("openapi: 3.0.0\npaths:\n  users: {}\n  /{a: {}\n")
    (tmp_path / "b.json").write_text('{"swagger": "2.0",\n "paths": {"/a": 5}}')
    (tmp_path / "c.txt").write_text("/a\nb\n")
    options = [f"--path-templates={tmp_path}/{name}" for name in ("a.yml", "b.json", "c.txt", "none")]
    told = run("count", *options, "--path-depth", "0", "-")
    assert (told.returncode, told.stdout) == (2, b"")
    assert told.stderr.decode().replace(f"{tmp_path}/", "").splitlines() == [
        f"haproxy-log-exporter: {message}"
        for message in (
            "--path-depth: '0' is not a whole number from 1 to 1000",
            "a.yml:3:3: a template begins with '/', as /users",
            "a.yml:4:3: '{a': a parameter is a name in braces within one segment, as {id}",
            "b.json:2:18: a path is a mapping of its operations, not a value",
            "c.txt:2: a template begins with '/', as /b",
            "--path-templates: cannot read none: No such file or directory",
        )
    ]
