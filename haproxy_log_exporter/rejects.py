"""Rejected lines in the exporter's own log."""

import logging
from collections.abc import Callable

from haproxy_log_exporter.messages import printable
from haproxy_log_exporter.pipeline import Intake

logger = logging.getLogger(__name__)

# Rejected lines are named in the log no more often.
_REJECTS_SECONDS = 60.0


class RejectsLog:
    """Names rejected lines in the log, of each source at most once a minute."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives seconds that never go back."""
        self._now = now
        self._named: dict[str, tuple[float, int]] = {}

    def start(self, name: str, intake: Intake) -> None:
        """Leave out what was rejected before."""
        self._named[name] = (-_REJECTS_SECONDS, intake.tally.rejected)

    def look_at(self, name: str, intake: Intake) -> None:
        """Name what was rejected since the last time, if that was long enough ago."""
        before, counted = self._named.get(name, (-_REJECTS_SECONDS, 0))
        rejected = intake.tally.rejected
        if rejected == counted or self._now() - before < _REJECTS_SECONDS:
            return
        self._named[name] = (self._now(), rejected)
        last = printable(intake.rejects[-1]) if intake.rejects else "too long to be kept"
        logger.warning("%s: %d lines rejected; the last: %s", name, rejected - counted, last)
