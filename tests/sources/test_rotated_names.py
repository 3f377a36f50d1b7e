"""What rotated files are called, and what is not called so."""

import pytest

from haproxy_log_exporter.sources.compressed import SUFFIXES
from haproxy_log_exporter.sources.siblings import is_generation, is_newer

# What logrotate(8) with its options, cronolog-like writers, and kubelet call rotated files.
ROTATED = {
    "haproxy.log": [
        "haproxy.log.1",
        "haproxy.log.12",
        "haproxy.log.365",
        "haproxy.log.0",
        "haproxy.log-20261120",
        "haproxy.log-2026112013",
        "haproxy.log-20261120-1300",
        "haproxy.log-20261120-130059",
        "haproxy.log-2026-11-20",
        "haproxy.log-1795176000",
        "haproxy.log.2026-11-20",
        "haproxy.log.20261120",
        "haproxy.log_20261120",
        "haproxy.log-2026-11-20T13:00:59Z",
        "haproxy.log-2026-11-20T13:00:59+01:00",
        "haproxy-20261120.log",
        "haproxy-2026112013.log",
        "haproxy-20261120-1300.log",
        "haproxy.20261120.log",
        "haproxy_20261120.log",
        "haproxy.1.log",
        "haproxy.log.old",
    ],
    "haproxy": ["haproxy.1", "haproxy-20261120", "haproxy.old"],
    "0.log": ["0.log.20261120-105640", "0.log.1"],
    "a+b(c).log": ["a+b(c).log.1", "a+b(c)-20261120.log"],
    "haproxy.access.log": ["haproxy.access.log.1", "haproxy.access-20261120.log"],
    "haproxy.log.json": ["haproxy.log.json.1", "haproxy.log.1.json"],
}

OTHERS = {
    "haproxy.log": [
        "haproxy.log",
        "haproxy.log.bak",
        "haproxy.log.swp",
        ".haproxy.log.swp",
        "haproxy.log~",
        "haproxy.log.gz",
        "haproxy.log.tmp",
        "haproxy.log.1.tmp",
        "haproxy.log.1~",
        "haproxy.log.1.gz.tmp",
        "haproxy.log.1.lz4",
        "haproxy.log.1.zip",
        "haproxy.log.1.gz.gz",
        "haproxy.log1",
        "haproxy.log.",
        "haproxy.log.error",
        "haproxy.logs.1",
        "haproxy.logs",
        "haproxyXlog.1",
        "haproxy-a.log",
        "haproxy-a.log.1",
        "haproxy-admin.log",
        "haproxy-1.log",
        "haproxy-12.log",
        "haproxy.http.log",
        "other.log.1",
        "other-20261120.log",
        "1.log",
        "my-haproxy.log.1",
        "haproxy.log.1\n",
    ],
    "node.log": ["node-1.log", "node-2.log.1", "node1.log", "node_3.log"],
    "haproxy": ["haproxy.log", "haproxy.log.1", "haproxy-1", "haproxy2"],
    "0.log": ["1.log", "00.log", "0.log.txt"],
}


@pytest.mark.parametrize(("log", "name"), [(log, name) for log, names in ROTATED.items() for name in names])
def test_names_of_rotated_files(log: str, name: str) -> None:
    """Plain or compressed, they are known."""
    for end in ("", *SUFFIXES):
        assert is_generation(f"/var/log/{name}{end}", f"/var/log/{log}")


@pytest.mark.parametrize(("log", "name"), [(log, name) for log, names in OTHERS.items() for name in names])
def test_names_of_other_files(log: str, name: str) -> None:
    """Copies that editors and people make, and other logs, are not taken for rotated files."""
    assert not is_generation(f"/var/log/{name}", f"/var/log/{log}")


def test_rotated_files_are_where_their_log_is() -> None:
    """A file of another directory is another log's."""
    assert is_generation("/var/log/a/haproxy.log.1", "/var/log/a/haproxy.log")
    assert not is_generation("/var/log/b/haproxy.log.1", "/var/log/a/haproxy.log")
    assert not is_generation("/var/log/haproxy.log.1", "/var/log/a/haproxy.log")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("haproxy.log.1", "haproxy.log.2", True),
        ("haproxy.log.2.gz", "haproxy.log.10", True),
        ("haproxy.1.log", "haproxy.2.log.gz", True),
        ("haproxy.log.2", "haproxy.log.1", False),
        ("haproxy.log.1", "haproxy.log.1.gz", False),
        ("haproxy.log-20261120", "haproxy.log-20261119", False),
        ("haproxy.log.1", "haproxy.log.old", False),
    ],
)
def test_which_was_rotated_later(one: str, other: str, *, expected: bool) -> None:
    """Numbers count up from the newest; dates say nothing here."""
    assert is_newer(f"/var/log/{one}", f"/var/log.9/{other}") == expected
