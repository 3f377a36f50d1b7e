"""What an exporter says of itself: read quickly, for a scrape may have a million lines."""

import gzip
import re
from dataclasses import dataclass

from tests.support import Exporter


@dataclass(frozen=True, slots=True)
class Figures:
    """Lines counted and datagrams dropped so far, and the size of the whole exposition."""

    counted: int
    dropped: int
    size: int


@dataclass(frozen=True, slots=True)
class Series:
    """The label sets of requests_total, and the samples of all log metrics, which are Prometheus's series."""

    label_sets: int
    samples: int


def scrape_figures(exporter: Exporter, **headers: str) -> Figures:
    """Scrape once."""
    text, answered = exporter.get("/metrics", **headers)
    if answered.get("Content-Encoding") == "gzip":
        text = gzip.decompress(text)
    own = text[text.rfind(b"# HELP haproxy_log_exporter_lines_total") :]
    return Figures(
        _value(own, b'lines_total{.*result="counted".*}'), _value(own, b"datagrams_dropped_total{.*}"), len(text)
    )


def count_series(exporter: Exporter) -> Series:
    """Scrape once more, to see how much there is in a scrape."""
    text = exporter.get("/metrics")[0]
    log = text[: text.rfind(b"# HELP haproxy_log_exporter_lines_total")]
    return Series(log.count(b"\nhaproxy_log_requests_total{"), log.count(b"\nhaproxy_log_"))


def _value(own: bytes, sample: bytes) -> int:
    match = re.search(rb"^haproxy_log_exporter_" + sample + rb" (\S+)$", own, re.MULTILINE)
    return int(float(match[1])) if match else 0
