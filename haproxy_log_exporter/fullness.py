"""Limits that are nearly reached, in the exporter's own log."""

import logging

from haproxy_log_exporter.pipeline import Pipeline

logger = logging.getLogger(__name__)


class FullnessLog:
    """Warns of each limit when four fifths of it are taken, and when all are, once each."""

    def __init__(self) -> None:
        """Warn of nothing yet."""
        self._told: set[tuple[str, int, bool]] = set()  # what is limited, by how much, and whether it is full

    def look_at(self, pipeline: Pipeline) -> None:
        """Warn of what has become full, or nearly so."""
        for admission in pipeline.account.admissions.all():
            if admission.is_nearly_full:
                what = f"--max-label-values: {admission.label} has {admission.taken:,} of {admission.most:,} values"
                self._tell(what, "count as other", (admission.label, admission.most, admission.is_full))
        for table in pipeline.account.tables:
            if table.is_nearly_full:
                names = [slot.metric.name for slot in table.layout.slots]
                have = f"{', '.join(names)} {'has' if len(names) == 1 else 'have'}"
                what = f"--max-series: {have} {table.taken:,} of {table.most:,} label sets"
                self._tell(what, "count as other in all labels", (have, table.most, table.taken >= table.most))

    def _tell(self, what: str, then: str, key: tuple[str, int, bool]) -> None:
        if key not in self._told:
            self._told.add(key)
            logger.warning("%s; %s %s", what, "new ones" if key[-1] else "when all are taken, new ones", then)
