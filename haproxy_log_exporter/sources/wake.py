"""Waking the service: from a signal, from another thread, or when a quiet file is written to.

Strategy: inotify tells of each write, and a busy log is written to more often than any Python could look. So files
are watched only while they are quiet. The first event wakes the service, which stops watching and polls until the
files have been quiet for a while again.
"""

import contextlib
import logging
import os
from collections.abc import Sequence

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

logger = logging.getLogger(__name__)

_MOST_WATCHED = 16

_WRITES = frozenset({"created", "modified", "moved", "deleted"})


class Wake(FileSystemEventHandler):
    """A file descriptor that becomes readable when there is something to look at."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._observer: BaseObserver | None = None
        self._refused = False

    def fileno(self) -> int:
        """What to wait on."""
        return self._event

    def set(self) -> None:
        """Wake the service; safe in signal handlers and other threads."""
        os.eventfd_write(self._event, 1)

    def clear(self) -> None:
        """Take back what was set."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._event)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog's thread."""
        if event.event_type in _WRITES:
            self.set()

    def watch(self, paths: Sequence[str]) -> bool:
        """Watch files until `unwatch`; tell whether that began just now.

        Each takes a thread and an inotify instance, so of many files none is watched. Where watching is refused, files
        are polled; it is said once.
        """
        if self._observer or self._refused or len(paths) > _MOST_WATCHED:
            return False
        there = [path for path in paths if os.path.exists(path)]
        if not there or not all(os.access(path, os.R_OK, effective_ids=True) for path in there):
            return False  # watchdog says nothing of it, and that of Debian 12 does not end then
        observer = Observer()
        try:
            observer.start()
            for path in there:
                observer.schedule(self, path)
        except (OSError, RuntimeError) as error:  # the latter where there may be no more threads
            _end(observer)
            if not isinstance(error, FileNotFoundError):  # that was renamed meanwhile, and the next scan sees to it
                self._refused = True
                logger.warning("files are polled every second, for inotify refuses: %s", error)
            return False
        self._observer = observer
        return True

    def unwatch(self) -> None:
        """Watch nothing."""
        if self._observer:
            _end(self._observer)
            self._observer = None

    def close(self) -> None:
        """Give everything back."""
        self.unwatch()
        os.close(self._event)


def _end(observer: BaseObserver) -> None:
    observer.stop()
    if observer.is_alive():
        observer.join()
