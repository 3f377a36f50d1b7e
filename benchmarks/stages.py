"""Where the time of `count` goes, as one JSON object: python -m benchmarks.stages LOG."""

import gc
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.counting import LABELS, METRICS
from haproxy_log_exporter.choice import Choice, PathChoice
from haproxy_log_exporter.engine import build_pipeline
from haproxy_log_exporter.labels.limits import Limits
from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.pipeline import MOST_PENDING
from haproxy_log_exporter.sources.framing import BLOCK, LineBuffer


class Clock:
    """Adds up seconds by the name of what took them."""

    def __init__(self) -> None:
        """Start at none."""
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add what this takes."""
        began = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - began


def measure_stages(path: str) -> dict[str, float]:
    """Count a log as `count` does, stage by stage."""
    clock = Clock()
    with clock.measure("start"):
        choice = Choice(
            tuple(LABELS.split(",")),
            tuple(METRICS.split(",")),
            DEFAULT_BUCKETS,
            paths=PathChoice(ids=False),
            limits=Limits(1_000_000, (), 1_000_000),
        )
        pipeline = build_pipeline(choice)
        intake = pipeline.intake(path)
        buffer = LineBuffer()
        gc.disable()
    with open(path, "rb", buffering=0) as file:
        while True:
            with clock.measure("read"):
                block = file.read(BLOCK)
                lines = buffer.feed(block) if block else buffer.end()
            with clock.measure("take"):
                pipeline.take(lines.chunk, intake)
                if not block:
                    pipeline.end(intake)
            if pipeline.pending > MOST_PENDING or not block:
                with clock.measure("flush"):
                    pipeline.flush()
            if not block:
                break
    with clock.measure("render"):
        for _ in render(pipeline.shown().tables, open_metrics=False):
            pass
    return clock.seconds


if __name__ == "__main__":
    print(json.dumps(measure_stages(sys.argv[1])))
