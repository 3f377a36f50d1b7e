"""What a source is to the service: something that hands over blocks of whole lines."""

from typing import Protocol

from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.framing import Lines


class Source(Protocol):
    """Hands over whole lines. All methods belong to the service's thread."""

    @property
    def name(self) -> str:
        """As the user gave it."""

    def start(self) -> None:
        """Open what is to be opened; OperationError where that cannot be."""

    def read(self) -> Lines:
        """Take the next whole lines, each ending in a newline; none when there are none at hand."""

    def fileno(self) -> int | None:
        """What to wait on for more, where there is something."""

    def condition(self) -> Condition:
        """Say how it stands."""

    def stop(self) -> None:
        """Close everything."""
