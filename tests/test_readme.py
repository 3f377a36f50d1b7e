"""What the README says is so."""

import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from haproxy_log_exporter import __version__
from haproxy_log_exporter.labels.catalogue import Fillable
from haproxy_log_exporter.logformat.fields import KINDS
from haproxy_log_exporter.logformat.presets import PRESETS
from haproxy_log_exporter.metrics.catalogue import METRICS
from haproxy_log_exporter.settings import default_text, knobs
from tests.support import FIXTURES, command, need, run, serving

README = (FIXTURES.parent / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def _section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_option_is_told_with_its_default() -> None:
    """A row for each knob."""
    rows = [line for line in _section("Options").splitlines() if line.startswith("|")]
    for name, knob in knobs().items():
        row = next((line for line in rows if f"`{knob.option}{'`' if knob.is_switch else ' '}" in line), "")
        assert default_text(name) in row


def test_every_format_label_and_metric_is_told() -> None:
    """In the section of its kind, and none that there is not."""
    for preset in PRESETS:
        assert f"`{preset.name}`" in _section("Configuring HAProxy")
    told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|[^|]*\|", _section("Labels"), re.MULTILINE))))
    everything = Fillable(KINDS.keys() - {"bind_name"}, {}, frozenset())
    assert told == {name.removesuffix(", …") for name in everything.labels()}
    log_metrics = _section("Metrics").partition("Of the exporter itself")[0]
    told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|[^|]*\|", log_metrics, re.MULTILINE))))
    assert told == {metric.name for metric in METRICS}


def test_its_sample_is_what_is_counted() -> None:
    """Each line of it, over the demo's lines."""
    demo = FIXTURES.parent / "haproxy_log_exporter" / "demo.log"
    counted = run("count", "-l", "status_code,server_name,http_request_path", demo).stdout.decode().splitlines()
    (block,) = _blocks("text")
    assert set(block.splitlines()) <= set(counted)


def test_every_own_metric_is_told(tmp_path: Path) -> None:
    """With its labels, as they are served."""
    (tmp_path / "haproxy.log").touch()
    options = ("--file", tmp_path / "haproxy.log", "--syslog", "udp://127.0.0.1:0", "--state", tmp_path / "state")
    sockets = ("--syslog", "tcp://127.0.0.1:0", "--syslog-allow", "127.0.0.0/8")
    with serving(*options, *sockets) as exporter:
        text = exporter.get("/metrics")[0].decode()
    served = re.findall(r"^# TYPE haproxy_log_exporter_(\w+)", text, re.MULTILINE)
    told = re.findall(r"`(\w+)(?:\{[\w,]*\})?`", "".join(re.findall(r"^\|[^|]*\|", _section("Metrics"), re.MULTILINE)))
    assert set(served) <= set(told)


@pytest.mark.parametrize(
    "line", [line for block in _blocks("sh") for line in block.splitlines() if line.startswith("haproxy-log-exporter ")]
)
def test_its_commands_run(line: str, tmp_path: Path) -> None:
    """Each command does what it should, here on the demo's lines."""
    (tmp_path / "haproxy.cfg").write_bytes((FIXTURES / "haproxy-cfg" / "debian.cfg").read_bytes())
    (tmp_path / "custom.log").write_bytes(
        b'::1 [20/Nov/2026:04:30:27.864] bk/s1 200 6 "GET /a HTTP/1.1" Mozilla/5.0 (X11)\n'
    )
    (tmp_path / "json.log").write_bytes(b'{"status":200,"path":"/a","ua":"a \\"b\\""}\n')
    arguments = shlex.split(line.replace("/etc/haproxy", str(tmp_path)))[1:]
    if arguments[0] == "serve":
        _make_certificates(tmp_path)
        there = ("/var/log", "/var/lib/haproxy-log-exporter")
        places = {":5140": ":0", ":6514": ":0", **dict.fromkeys(there, str(tmp_path))}
        for place, here in places.items():
            arguments = [argument.replace(place, here) for argument in arguments]
        arguments = [str(tmp_path / each) if each.endswith(".pem") else each for each in arguments]
        with serving(*arguments[1:]) as exporter:
            assert exporter.get("/-/ready")[0] == b"ready\n"
        assert exporter.process.returncode == 0
        return
    demo = (FIXTURES.parent / "haproxy_log_exporter" / "demo.log").read_bytes()
    for name in ("haproxy.log", "haproxy.log.2.gz"):
        (tmp_path / name).write_bytes(demo)
    done = subprocess.run(command(*arguments), check=True, cwd=tmp_path, capture_output=True, timeout=60)
    if "--format" in arguments:
        assert b"requests_total{" in done.stdout
        assert not done.stderr


def _make_certificates(folder: Path) -> None:
    """Make certificates as it says."""
    (commands,) = _blocks("bash")
    subprocess.run(["bash", "-e", "-c", commands], check=True, cwd=folder, capture_output=True, timeout=60)


def test_systemd_takes_its_units(tmp_path: Path) -> None:
    """Both of them, for a program that is there."""
    need("systemd-analyze")
    units = []
    for block in _blocks("ini"):
        units.append(tmp_path / Path(block.splitlines()[0]).name)
        units[-1].write_text(re.sub(r"(?<=ExecStart=)\S+", "/bin/true", block))
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_haproxy_takes_its_configuration(tmp_path: Path) -> None:
    """Debian's HAProxy finds no fault with it."""
    need("haproxy")
    _make_certificates(tmp_path)
    first, *others = _blocks("haproxy")
    for block in (first, *(other + first for other in others)):
        path = tmp_path / "haproxy.cfg"
        path.write_text(block.replace("/etc/haproxy", str(tmp_path)))
        subprocess.run(["/usr/sbin/haproxy", "-c", "-q", "-f", path], check=True, timeout=60, cwd=tmp_path)


def test_prometheus_takes_its_queries_and_its_scrape_configuration(tmp_path: Path) -> None:
    """Each query is one that promtool can read."""
    need("promtool")
    (block,) = _blocks("promql")
    queries = [query for query in re.sub(r"^#.*$", "", block, flags=re.MULTILINE).split("\n\n") if query.strip()]
    assert len(queries) == block.count("# ")
    rules = ["groups:", "- name: readme", "  rules:"]
    for number, query in enumerate(queries):
        rules += [f"  - record: job:query{number}:rate5m", f"    expr: >\n      {' '.join(query.split())}"]
    (tmp_path / "rules.yml").write_text("\n".join(rules) + "\n")
    _promtool("check", "rules", tmp_path / "rules.yml")
    (block,) = (block for block in _blocks("yaml") if "scrape_configs" in block)
    (tmp_path / "prometheus.yml").write_text(block)
    _promtool("check", "config", tmp_path / "prometheus.yml")


def test_its_containers_are_those_of_the_examples() -> None:
    """Files are there, the image has the tag that examples use, and the volume is the image's."""
    words = [word for block in _blocks("shell") for word in shlex.split(block)]
    files = [after for word, after in pairwise(words) if word == "-f"]
    assert [path for path in files if not (FIXTURES.parent / path).is_file()] == []
    assert files == ["Containerfile", "examples/compose/compose.yaml", "examples/kubernetes/haproxy.yaml"]
    images = {word for word in words if word.startswith("haproxy-log-exporter:")}
    assert images == {f"haproxy-log-exporter:{__version__}"}
    volume = words[words.index("-v") + 1].partition(":")[2]
    assert f"\nVOLUME {volume}\n" in (FIXTURES.parent / "Containerfile").read_text()


def test_its_configuration_file_is_right(tmp_path: Path) -> None:
    """As it stands there."""
    (block,) = (block for block in _blocks("yaml") if block.startswith("# config.yml"))
    (tmp_path / "config.yml").write_text(block)
    told = run("check", "--config", tmp_path / "config.yml").stdout.decode()
    assert told.startswith(f"{tmp_path}/config.yml is right\n")
    assert "haproxy_log_response_duration_seconds (histogram) by backend_name, http_request_path\n" in told


def _promtool(*arguments: str | Path) -> None:
    subprocess.run(["promtool", *arguments], check=True, timeout=60, capture_output=True)
