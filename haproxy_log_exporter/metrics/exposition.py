"""The text of the log metrics: Prometheus's text format 0.0.4 and OpenMetrics 1.0.

Strategy: a metric's lines for one label set are fixed but for the labels and the numbers. The fixed pieces are made
once a scrape; `labels.join(pieces) % numbers` writes all lines of a label set at once. The text comes in parts, so
that a scrape of a hundred megabytes neither holds the interpreter for long nor needs the memory.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.utils import floatToGoString

from haproxy_log_exporter.metrics.catalogue import PREFIX, Metric, Way
from haproxy_log_exporter.metrics.layout import Layout, Slot
from haproxy_log_exporter.metrics.totals import Snapshot

# Label sets written at a time; some hundred kilobytes of text for histograms.
_BATCH = 250

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
    lanes, mask = layout.lanes, layout.mask(slot.metric)
    numbers = _NUMBERS[slot.metric.way]
    kinds = [layout.kinds[kind] for kind in slot.metric.kinds]
    pieces = _pieces(slot, labelled=bool(snapshot.texts and snapshot.texts[0]))
    for start in range(0, len(snapshot.totals), _BATCH):
        texts, totals = snapshot.texts[start : start + _BATCH], snapshot.totals[start : start + _BATCH]
        parts = []
        for text, packed in zip(texts, totals, strict=True):
            if packed & mask:
                parts.append(text.replace(b"%", b"%%").join(pieces) % numbers(slot, lanes(packed), kinds))
        yield b"".join(parts)


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


def _lines(_slot: Slot, values: Sequence[int], kinds: Sequence[int]) -> tuple[int, ...]:
    return (sum(values[kind] for kind in kinds),)


def _observed(slot: Slot, values: Sequence[int], _kinds: Sequence[int]) -> tuple[float, ...]:
    counts = [*accumulate(values[slot.lane : slot.sum_lane])]
    return (*counts, _wide(values, slot.sum_lane) / slot.metric.per_unit, counts[-1])


def _added(slot: Slot, values: Sequence[int], _kinds: Sequence[int]) -> tuple[int, ...]:
    return (_wide(values, slot.lane),)


def _counted(slot: Slot, values: Sequence[int], _kinds: Sequence[int]) -> tuple[int, ...]:
    return tuple(values[slot.lane : slot.lane + len(slot.metric.sources)])


def _wide(values: Sequence[int], lane: int) -> int:
    return values[lane] | values[lane + 1] << 64


_NUMBERS = {Way.LINES: _lines, Way.OBSERVE: _observed, Way.ADD: _added, Way.FLAG: _counted, Way.ABORT: _counted}
