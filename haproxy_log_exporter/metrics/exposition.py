"""The text of the log metrics: Prometheus's text format 0.0.4 and OpenMetrics 1.0.

Strategy: a metric's lines for one label set are fixed but for the labels and the numbers. The fixed pieces are made
once a scrape; `labels.join(pieces)` is a label set's template, and one `%` writes all numbers of a batch of label sets.
The text comes in these batches, so that a scrape of hundreds of megabytes neither holds the interpreter for long nor
needs the memory.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain, starmap

from prometheus_client.utils import floatToGoString

from haproxy_log_exporter.metrics.catalogue import PREFIX, Metric, Way
from haproxy_log_exporter.metrics.layout import LANE_BITS, Layout, Slot
from haproxy_log_exporter.metrics.totals import Snapshot

# Bytes written at a time, about: no call in C is to take a millisecond.
_PART = 200_000

_LABELS = b"\0"  # where the labels go; no label's text holds it, and it is gone before anyone sees it


def render(tables: Sequence[tuple[Layout, Snapshot]], *, open_metrics: bool) -> Iterator[bytes]:
    """Write the metrics of all tables, in parts. The `# EOF` of OpenMetrics is left to the caller."""
    for layout, snapshot in tables:
        for slot in layout.slots:
            yield _header(slot.metric, open_metrics=open_metrics)
            yield from _samples(layout, slot, snapshot)


def _header(metric: Metric, *, open_metrics: bool) -> bytes:
    name = PREFIX + metric.name
    if open_metrics and metric.type == "counter":
        name = name.removesuffix("_total")  # the family's name, OpenMetrics 1.0, "Counter"
    return f"# HELP {name} {metric.help}\n# TYPE {name} {metric.type}\n".encode()


def _samples(layout: Layout, slot: Slot, snapshot: Snapshot) -> Iterator[bytes]:
    mask, numbers = layout.mask(slot.metric), _NUMBERS[slot.metric.way]
    pieces = _pieces(slot, labelled=any(snapshot.texts))
    average = sum(map(len, snapshot.texts)) // max(1, len(snapshot.texts))
    at_once = max(1, _PART // (sum(map(len, pieces)) + len(pieces) * average))
    for start in range(0, len(snapshot.totals), at_once):
        shown = _shown(snapshot, start, start + at_once, mask)
        template = b"".join([text.replace(b"%", b"%%").join(pieces) for text, _ in shown])
        yield template % tuple(numbers(layout, slot, [packed for _, packed in shown]))


def _shown(snapshot: Snapshot, start: int, end: int, mask: int) -> list[tuple[bytes, int]]:
    """List label sets that have lines of the kinds in a mask, or are certain to, each with its total."""
    label_sets = enumerate(zip(snapshot.texts[start:end], snapshot.totals[start:end], strict=True), start)
    kinds = snapshot.certain.get
    return [(text, packed) for place, (text, packed) in label_sets if packed & mask or kinds(place, 0) & mask]


def _pieces(slot: Slot, *, labelled: bool) -> list[bytes]:
    """Write a label set's lines with places for its numbers, divided where the labels go."""
    metric, name = slot.metric, PREFIX + slot.metric.name
    lines: list[tuple[str, str, str]] = []
    if metric.way is Way.OBSERVE:
        bounds = [*(floatToGoString(bound / metric.per_unit) for bound in slot.bounds), "+Inf"]
        lines += [(f"{name}_bucket", f'le="{bound}"', "%d") for bound in bounds]
        lines += [(f"{name}_sum", "", "%r"), (f"{name}_count", "", "%d")]
    elif metric.label:
        lines += [(name, f'{metric.label}="{value}"', "%d") for _, value in metric.sources]
    else:
        lines.append((name, "", "%d"))
    text = ""
    for sample, own, place in lines:
        labels = ",".join(filter(None, ("\0" if labelled else "", own)))
        text += f"{sample}{{{labels}}} {place}\n" if labels else f"{sample} {place}\n"
    return text.encode().split(_LABELS) if labelled else [text.encode()]


def _lines(layout: Layout, slot: Slot, totals: Sequence[int]) -> list[int]:
    return [*map(sum, zip(*(layout.lines(kind, totals) for kind in slot.metric.kinds), strict=True))]


def _observed(layout: Layout, slot: Slot, totals: Sequence[int]) -> list[float]:
    numbers: list[float] = []
    for *counts, low, high in layout.rows(slot, totals):
        numbers += accumulate(counts)
        numbers += (_wide(low, high) / slot.metric.per_unit, numbers[-1])
    return numbers


def _added(layout: Layout, slot: Slot, totals: Sequence[int]) -> list[int]:
    return [*starmap(_wide, layout.rows(slot, totals))]


def _counted(layout: Layout, slot: Slot, totals: Sequence[int]) -> list[int]:
    return [*chain.from_iterable(layout.rows(slot, totals))]


def _wide(low: int, high: int) -> int:
    return low | high << LANE_BITS


_NUMBERS: dict[Way, Callable[[Layout, Slot, Sequence[int]], Sequence[float]]] = {
    Way.LINES: _lines,
    Way.OBSERVE: _observed,
    Way.ADD: _added,
    Way.FLAG: _counted,
    Way.ABORT: _counted,
}
