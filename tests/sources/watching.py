"""Observers that do not see what happens, and what is left of those that do."""

import os
from pathlib import Path

from watchdog.events import FileSystemEventHandler
from watchdog.observers.api import BaseObserver, EventEmitter, ObservedWatch


class Silent(BaseObserver):
    """One that hears nothing, as of files that another machine writes."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        super().__init__(EventEmitter)


class Refusing(Silent):
    """One that cannot watch: too many instances, too many threads, or no such thing."""

    error: Exception = OSError(24, "inotify instance limit reached")

    def schedule(
        self,
        event_handler: FileSystemEventHandler,  # noqa: ARG002 -- watchdog's interface
        path: str | Path,  # noqa: ARG002 -- watchdog's interface
        **_: object,
    ) -> ObservedWatch:
        """Refuse."""
        raise self.error


class Unstartable(Refusing):
    """One that cannot even start."""

    def start(self) -> None:
        """Refuse."""
        raise self.error


def instances() -> int:
    """Count this process's inotify instances."""
    links = (f"/proc/self/fd/{descriptor}" for descriptor in os.listdir("/proc/self/fd"))
    return sum(os.path.lexists(link) and os.readlink(link) == "anon_inode:inotify" for link in links)
