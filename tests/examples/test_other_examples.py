"""The examples for HAProxy, rsyslog and Prometheus, read by these programs."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.services import LINES, REQUESTS
from tests.support import free_port, need, serving, total, wait_until

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
FORWARDING = EXAMPLES / "rsyslog/40-haproxy-exporter.conf"

# As Debian's haproxy has it.
STOCK = Path("/etc/rsyslog.d/49-haproxy.conf")
STOCK_SOCKET = "/var/lib/haproxy/dev/log"
STOCK_LOG = "/var/log/haproxy.log"

PORT = "5140"

# Daemons are not in everybody's path.
_WHERE = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}

LINE = (
    "haproxy[1]: 192.0.2.7:5 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/3/4 200 228 - - ---- 1/1/0/0/0 0/0 "
    '"GET / HTTP/1.1"'
)


@pytest.mark.parametrize("path", sorted((EXAMPLES / "haproxy").iterdir()), ids=lambda path: path.stem)
def test_haproxy_takes_its_examples(path: Path) -> None:
    """Each is whole, and HAProxy has nothing to say of it."""
    need("haproxy")
    told = subprocess.run(["haproxy", "-c", "-f", path], env=_WHERE, capture_output=True, text=True, check=True)
    assert "[WARNING]" not in told.stderr + told.stdout
    assert "len 8192" in path.read_text()


def test_prometheus_takes_its_example() -> None:
    """It scrapes the port that the exporter has without a word."""
    need("promtool")
    path = EXAMPLES / "prometheus.yml"
    subprocess.run(["promtool", "check", "config", path], capture_output=True, timeout=60, check=True)
    assert "localhost:9129" in path.read_text()


def test_the_examples_agree_on_the_port() -> None:
    """Whichever way is taken, the option that the comment names is the same, and fits."""
    for name, scheme in (("haproxy/udp.cfg", "udp"), ("haproxy/ring.cfg", "tcp"), (FORWARDING, "udp")):
        text = (EXAMPLES / name).read_text()
        assert f"--syslog {scheme}://127.0.0.1:{PORT}" in text
        assert text.count(PORT) == 2


def test_rsyslog_takes_its_example_beside_the_stock_file(tmp_path: Path) -> None:
    """A line goes to the exporter, and to the log as before; what other programs write does not."""
    need("rsyslogd")
    if not STOCK.exists():
        pytest.skip("Debian's haproxy is not installed")
    port = free_port(socket.SOCK_DGRAM)
    configuration = _configure(tmp_path, port)
    daemon = ["rsyslogd", "-n", "-f", str(configuration), "-i", str(tmp_path / "pid")]
    told = subprocess.run([*daemon, "-N1"], env=_WHERE, capture_output=True, text=True, timeout=60, check=True)
    assert "error" not in told.stderr
    with serving("--syslog", f"udp://127.0.0.1:{port}") as exporter, subprocess.Popen(daemon, env=_WHERE) as rsyslog:
        try:
            assert exporter.syslog_port == port
            wait_until((tmp_path / "input").exists, what="rsyslog's socket")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                for text in (LINE, "cron[2]: something else", LINE):
                    sender.sendto(f"<134>Nov 20 04:30:53 {text}".encode(), str(tmp_path / "input"))
            wait_until(lambda: "something else" in _text(tmp_path / "others.log"), what="the line of another program")
            samples = exporter.wait_for_lines(2)
        finally:
            rsyslog.terminate()
    assert total(samples, REQUESTS, backend_name="bk", server_name="s1") == total(samples, LINES) == 2
    log = _text(tmp_path / "haproxy.log")
    assert log.count(LINE) == len(log.splitlines()) == 2
    assert LINE not in _text(tmp_path / "others.log")


def _configure(folder: Path, port: int) -> Path:
    """Write what stands around the two files in Debian, with sockets and logs in a folder."""
    (folder / "rsyslog.d").mkdir()
    stock = STOCK.read_text()
    assert STOCK_SOCKET in stock
    assert STOCK_LOG in stock
    stock = stock.replace(STOCK_SOCKET, f"{folder}/input").replace(STOCK_LOG, f"{folder}/haproxy.log")
    (folder / "rsyslog.d" / STOCK.name).write_text(stock)
    forwarding = FORWARDING.read_text().replace(f'port="{PORT}"', f'port="{port}"')
    (folder / "rsyslog.d" / FORWARDING.name).write_text(forwarding)
    path = folder / "rsyslog.conf"
    path.write_text(
        f'global(workDirectory="{folder}")\n'
        'module(load="imuxsock" SysSock.Use="off")\n'
        f"$IncludeConfig {folder}/rsyslog.d/*.conf\n"
        f"*.* {folder}/others.log\n"
    )
    return path


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
