"""When it has to be looked for files that were rotated away."""

from collections.abc import Collection

from haproxy_log_exporter.sources.known import SEARCH_SECONDS, Known
from haproxy_log_exporter.sources.siblings import Listings, changed_at


class Due:
    """What may have happened since a path's directories were listed last."""

    def __init__(self) -> None:
        """Be due: nothing was listed yet."""
        self.unsure = True  # what was there could not be told for sure
        self._until = 0.0
        self._changed: dict[str, int] = {}  # when directories had been changed last

    def expect(self, now: float) -> None:
        """Be due for a while: a file may be renamed once more, or compressed."""
        self._until = now + SEARCH_SECONDS

    def listed(self, directories: Collection[str], listings: Listings) -> None:
        """Hear that directories were listed."""
        self.unsure = False
        moments = {directory: listings.changed_at(directory) for directory in directories}
        self._changed = {directory: moment for directory, moment in moments.items() if moment is not None}

    def is_due(self, now: float, directories: Collection[str], known: Known) -> bool:
        """Whether anything may be other than it was."""
        return (
            self.unsure
            or bool(known.missing)
            or now < self._until
            or any(changed_at(directory) != self._changed.get(directory, 0) for directory in directories)
            or known.has_grown()
        )
