"""The example configuration: right as it is shipped, and whatever of it is put to use."""

import grp
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from haproxy_log_exporter.given import Given, Source
from haproxy_log_exporter.settings import Settings, default_text, knobs
from tests.certificates import make_pair
from tests.support import FIXTURES, run

EXAMPLE = Path(__file__).parent.parent.parent / "examples/haproxy-log-exporter.yml"

# What belongs to the command line: the file itself, what is for one start alone, what a service has not, and what the
# file says in another way.
ELSEWHERE = {"config", "state-reset", "stdin", "metric"}

# An option is a line with # and no blank, what belongs to it has several; text has one.
_OPTION = re.compile(r"#([a-z][\w.-]*):")
_COMMENTED = re.compile(r"#(?=[a-z]|  )")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make what the example names that has to be there: where it is, by where the example says."""
    pair = make_pair(tmp_path_factory.mktemp("tls"), "authority")
    return {
        "/etc/haproxy/haproxy.cfg": FIXTURES / "haproxy-cfg/compose.cfg",
        "/etc/prometheus/haproxy-paths.txt": FIXTURES / "openapi/shop.yaml",
        "/etc/prometheus/haproxy-log-exporter.pem": pair.certificate,
        "/etc/prometheus/haproxy-log-exporter.key": pair.key,
        "/etc/prometheus/haproxy-clients.pem": pair.certificate,
    }


@pytest.fixture
def write(files: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Write a configuration that names what there is."""

    def write(text: str) -> Path:
        for named, there in files.items():
            text = text.replace(named, str(there))
        path = tmp_path / "c.yml"
        path.write_text(text.replace("syslog-unix-group: haproxy", f"syslog-unix-group: {grp.getgrgid(0).gr_name}"))
        return path

    return write


def _blocks() -> list[str]:
    """Give the options that are commented out, those together that stand without a blank line between them."""
    blocks = EXAMPLE.read_text().split("\n\n")
    found = ["\n".join(line for line in block.split("\n") if _COMMENTED.match(line)) for block in blocks]
    return [block for block in found if block]


def _uncommented(*blocks: str) -> str:
    text = EXAMPLE.read_text()
    for block in blocks:
        text = text.replace(block, "\n".join(line[1:] for line in block.split("\n")))
    return text


def _read(path: Path) -> Given:
    """Read a configuration as `serve` does."""
    return Source({name: [] for name in knobs()} | {"config": [str(path)]}, {}, has_sources=True).read()


def test_as_it_is_shipped() -> None:
    """It is what Debian's service does without it."""
    told = run("check", "--config", EXAMPLE)
    assert (told.returncode, told.stderr) == (0, b"")
    assert _read(EXAMPLE).settings == Settings(
        config=str(EXAMPLE),
        files=("/var/log/haproxy.log",),
        start="beginning",
        state="/var/lib/prometheus-haproxy-log-exporter/state",
    )


@pytest.mark.parametrize("block", _blocks(), ids=lambda block: block[1:].partition(":")[0])
def test_each_option_put_to_use(block: str, write: Callable[[str], Path]) -> None:
    """It is right by itself, and what it names is set."""
    given = _read(write(_uncommented(block)))
    names = set(_OPTION.findall(block))
    assert names
    assert names <= set(given.file.options) | {"metrics", "rules", "static-labels"}
    assert bool(given.file.metrics) == ("metrics" in names)
    assert bool(given.file.rules) == ("rules" in names)
    assert bool(given.file.static_labels) == ("static-labels" in names)


def test_all_of_them_together(write: Callable[[str], Path]) -> None:
    """`check` takes them, too, and tells what they come to."""
    text = _uncommented(*_blocks())
    assert not re.search(rf"(?m)^{_COMMENTED.pattern}", text)
    path = write(text)
    assert _read(path).file.metrics
    told = run("check", "--config", path)
    assert (told.returncode, told.stderr) == (0, b"")
    assert "rules for client_ip, in order" in told.stdout.decode()
    assert "site=berlin" in told.stdout.decode()


def test_none_is_missing() -> None:
    """Every option stands there, once; what has a default and no example of its own says the default."""
    names = _OPTION.findall(EXAMPLE.read_text()) + re.findall(r"(?m)^([a-z][\w.-]*):", EXAMPLE.read_text())
    assert sorted(names) == sorted({knob.name for knob in knobs().values()} - ELSEWHERE | {"rules", "static-labels"})
    options = "\n".join(_blocks())
    for name in ("max_connections", "receive_buffer", "most_series", "telemetry_path", "log_level", "log_format"):
        assert re.search(rf'#{knobs()[name].name}: "?{default_text(name)}"?(?m:$)', options), name
    for name in ("labels", "buckets"):
        assert f"{knobs()[name].name}: [{default_text(name).replace(',', ', ')}]" in options


def test_each_option_says_what_it_is_for() -> None:
    """Above it, or behind it where several belong together."""
    lines = EXAMPLE.read_text().splitlines()
    for above, line in pairwise(lines):
        if _OPTION.match(line):
            assert above.startswith("# ") or "  # " in line, line


@pytest.mark.parametrize("path", sorted(EXAMPLE.parent.rglob("*.*")), ids=lambda path: path.name)
def test_examples_are_plain_text(path: Path) -> None:
    """With lines that fit an editor."""
    lines = path.read_text("ascii").splitlines()
    assert max(map(len, lines)) <= 120
    assert all(line == line.rstrip() and "\t" not in line for line in lines)
