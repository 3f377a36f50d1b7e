"""Tables for tests: grown as a flush lets them grow, and what they show."""

from collections.abc import Mapping

from haproxy_log_exporter.metrics.totals import LabelSet, Table


def grow(table: Table, grown: Mapping[LabelSet, int], moment: float = 0.0) -> None:
    """Let totals grow, and show them; all label sets that were asked for come with them."""
    places = {table.position(values): packed for values, packed in grown.items()}
    table.apply(table.change(places, moment))


def shown(table: Table) -> dict[bytes, int]:
    """Give the totals by labels as in the exposition, without the places that are free."""
    snapshot = table.snapshot()
    found = [pair for pair in zip(snapshot.texts, snapshot.totals, strict=True) if pair != (b"", 0)]
    assert len({text for text, _ in found}) == len(found), "a label set is shown twice"
    return dict(found)
