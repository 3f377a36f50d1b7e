"""What an exporter says of itself: read quickly, for a scrape may have a million lines."""

import re
from dataclasses import dataclass

from tests.support import Exporter


@dataclass(frozen=True, slots=True)
class Figures:
    """Lines counted and datagrams dropped so far, and the size of the whole exposition."""

    counted: int
    dropped: int
    size: int


def scrape_figures(exporter: Exporter) -> Figures:
    """Scrape once."""
    text = exporter.get("/metrics")[0]
    own = text[text.rfind(b"# HELP haproxy_log_exporter_lines_total") :]
    return Figures(
        _value(own, b'lines_total{.*result="counted".*}'), _value(own, b"datagrams_dropped_total{.*}"), len(text)
    )


def _value(own: bytes, sample: bytes) -> int:
    match = re.search(rb"^haproxy_log_exporter_" + sample + rb" (\S+)$", own, re.MULTILINE)
    return int(float(match[1])) if match else 0
