"""The same metrics with haproxy_log_analysis and prometheus_client, a line at a time: python -m … LOG."""

import sys
from pathlib import Path

from haproxy.line import Line
from prometheus_client import CollectorRegistry, Counter, Histogram

from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS

_LABELS = ("status_code", "server_name", "http_request_path")


def count(log: Path) -> int:
    """Count a log; give the number of lines that were understood."""
    registry = CollectorRegistry()
    buckets = [*map(float, DEFAULT_BUCKETS)]
    requests = Counter("requests", "", _LABELS, registry=registry)
    responses = Histogram("response_duration_seconds", "", _LABELS, registry=registry, buckets=buckets)
    totals = Histogram("total_duration_seconds", "", _LABELS, registry=registry, buckets=buckets)
    counted = 0
    with log.open() as file:
        for text in file:
            line = Line(text.strip())
            if not line.is_valid:
                continue
            labels = (line.status_code, line.server_name, line.http_request_path.partition("?")[0])
            requests.labels(*labels).inc()
            if line.time_wait_response >= 0:
                responses.labels(*labels).observe(line.time_wait_response / 1000)
            totals.labels(*labels).observe(int(line.total_time) / 1000)
            counted += 1
    return counted


if __name__ == "__main__":
    print(count(Path(sys.argv[1])))
