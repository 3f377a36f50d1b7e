"""`demo`: the whole on replayed lines, through a real file and a real UDP socket, without HAProxy.

The lines are those of a made-up shop, in the formats httplog, httpslog and tcplog; only their dates are made today's.
"""

import contextlib
import re
import socket
import tempfile
import threading
from dataclasses import replace
from datetime import datetime
from importlib.resources import files
from itertools import cycle, islice
from pathlib import Path

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.given import Given
from haproxy_log_exporter.optionvalues import SyslogURL
from haproxy_log_exporter.service import Service
from haproxy_log_exporter.settings import Settings

LINES_PER_SECOND = 200
_STEP_SECONDS = 0.05
_LABELS = ("status_code", "server_name", "http_request_path")
_METRICS = ("requests_total", "sessions_total", "response_duration_seconds", "total_duration_seconds")
_DATE = re.compile(rb"\[[^ \]]*+\]")

_WELCOME = """
Some {rate} lines a second of a made-up shop are on their way, half through a file, half through UDP.

Open   {base}/          what this is
       {base}{path}   the metrics

Let a Prometheus scrape it:

    scrape_configs:
      - job_name: haproxy_log
        scrape_interval: 5s
        static_configs:
          - targets: ["{target}"]

Ask it:

    sum by (status_code) (rate(haproxy_log_requests_total[1m]))
    sum by (http_request_path, server_name) (rate(haproxy_log_requests_total[1m]))
    histogram_quantile(0.95, sum by (le, http_request_path, server_name) (
        rate(haproxy_log_response_duration_seconds_bucket[1m])))

Ctrl-C ends it.
"""


def run_demo(settings: Settings) -> None:
    """Serve replayed lines until a signal comes.

    Raises:
        OperationError: where the address of the metrics cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="haproxy-log-exporter-") as directory:
        log = Path(directory, "haproxy.log")
        log.touch()
        target = SyslogURL("udp://127.0.0.1:0", "udp", Address("127.0.0.1", 0))
        shop = replace(settings, files=(str(log),), syslog=(target,))
        service = Service(Given(shop, Choice(_LABELS, _METRICS, settings.buckets)))
        replay = _Replay(log)

        def begin() -> None:
            host = settings.listen_address.host or "localhost"
            address = Address(host, service.web.port)
            print(
                _WELCOME.format(
                    rate=LINES_PER_SECOND, base=f"http://{address}", path=settings.telemetry_path, target=address
                ),
                flush=True,
            )
            replay.start(service.inputs.ports[0])

        service.stop_on_signals()
        try:
            service.run(on_ready=begin)
        finally:
            replay.stop()


class _Replay:
    """Writes the lines over and over, at a steady rate, in a thread of its own."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, port: int) -> None:
        """Begin, with datagrams to the port."""
        self._thread = threading.Thread(target=self._write, args=(port,), name="replay")
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread:
            self._thread.join()

    def _write(self, port: int) -> None:
        lines = cycle(files("haproxy_log_exporter").joinpath("demo.log").read_bytes().splitlines())
        count = int(LINES_PER_SECOND * _STEP_SECONDS / 2)
        with self._log.open("ab", buffering=0) as log, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target:
            target.connect(("127.0.0.1", port))
            while not self._stopping.wait(_STEP_SECONDS):
                now = datetime.now().astimezone()
                header = now.isoformat(timespec="milliseconds").encode() + b" shop haproxy[4711]: "
                log.write(b"".join(header + _dated(line, now) + b"\n" for line in islice(lines, count)))
                header = now.strftime("<134>%b %e %H:%M:%S haproxy[4711]: ").encode()
                for line in islice(lines, count):
                    with contextlib.suppress(ConnectionRefusedError):  # the service is stopping
                        target.send(header + _dated(line, now) + b"\n")


def _dated(line: bytes, now: datetime) -> bytes:
    """Put a line's accept date to now."""
    date = now.strftime("[%d/%b/%Y:%H:%M:%S.") + f"{now.microsecond // 1000:03}]"
    return _DATE.sub(date.encode(), line, count=1)
