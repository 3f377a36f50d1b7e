"""What is not taken of senders, or not to its end: counted by reason, and told from time to time."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

# Whoever is refused may try again at once, and for ever.
_TOLD_SECONDS = 60.0

# By reason, what it comes of; the others are nothing that somebody would have to mend.
_REASONS = {
    "sender": "--syslog-allow does not name the sender",
    "limit": "there are --syslog-max-connections already",
    "handshake": "TLS's handshake failed",
    "oversized": "a message was too long",
    "malformed": "what came was no frame of syslog",
}


class Refusals:
    """Counts of one source."""

    def __init__(self, name: str, *reasons: str, now: Callable[[], float] = time.monotonic) -> None:
        """`name` is the source's; all of its reasons are known from the start."""
        self.counts = dict.fromkeys(reasons, 0)
        self._name = name
        self._now = now
        self._next: dict[str, float] = {}

    def add(self, reason: str, sender: str, error: Exception | None = None, *, number: int = 1) -> None:
        """Count one, or several of which this sender's is the last."""
        self.counts[reason] += number
        now = self._now()
        if reason not in _REASONS or now < self._next.get(reason, now):
            return
        self._next[reason] = now + _TOLD_SECONDS
        detail = f" ({error})" if error else ""
        count = self.counts[reason]
        logger.warning("%s: %d refused, for %s%s; the last: %s", self._name, count, _REASONS[reason], detail, sender)
