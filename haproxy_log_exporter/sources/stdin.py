"""Standard input: a pipe, a fifo, a terminal or a file, read up to its end."""

import fcntl
import logging
import os
import select
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.sources.base import Chunk
from haproxy_log_exporter.sources.framing import BLOCK, LineBuffer

logger = logging.getLogger(__name__)

NAME = "stdin"

# As much as a pipe may hold without privileges: whoever writes to it, HAProxy too, may drop what it has no room for.
_PIPE = 1 << 20


class StandardInput:
    """Reads what there is, without waiting for more."""

    can_wait = False
    one_sender = True

    def __init__(self, descriptor: int = 0) -> None:
        """Open nothing: it is."""
        self.names = (NAME,)
        self.is_behind = False
        self._descriptor = descriptor
        self._lines = LineBuffer()
        self._condition = Condition()
        self._poll = select.poll()
        self._is_file = False
        self._is_over = False

    def start(self) -> None:
        """See what it is."""
        try:
            mode = os.fstat(self._descriptor).st_mode
        except OSError as error:
            message = f"--stdin: cannot read standard input: {error.strerror}"
            raise OperationError(message) from error
        if stat.S_ISDIR(mode):
            message = "--stdin: standard input is a directory"
            raise OperationError(message)
        if stat.S_ISFIFO(mode):
            with suppress(OSError):
                fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
        self._poll.register(self._descriptor, select.POLLIN)
        # What epoll(7) cannot wait for, files and devices such as /dev/null, has all at hand.
        self._is_file = self.is_behind = not _can_be_waited_for(self._descriptor)
        logger.info("reading standard input")

    def fileno(self) -> int | None:
        """What to wait on, where that can be."""
        return None if self._is_file else self._descriptor

    def read(self) -> list[Chunk]:
        """Take what there is, a block at the most."""
        if self._is_over or not self._poll.poll(0):
            return []
        try:
            block = os.read(self._descriptor, BLOCK)
        except BlockingIOError:  # whoever shares it took what there was
            return []
        except OSError as error:  # a terminal that is gone
            logger.error("standard input cannot be read any more: %s", error.strerror)  # noqa: TRY400 -- no bug
            self._condition.errors += 1
            block = b""
        if not block:
            logger.info("standard input has ended")
            return self._end()
        lines = self._lines.feed(block)
        return [Chunk(NAME, *lines)] if lines.chunk or lines.overlong else []

    def _end(self) -> list[Chunk]:
        self._is_over, self.is_behind = True, False
        return [Chunk(NAME, *self._lines.end(), last=True)]

    def finish(self) -> list[Chunk] | None:
        """Take what is in the pipe, and at last what there is of a line; of a file nothing."""
        if self._is_over or self._is_file:
            return None
        return self.read() if self._poll.poll(0) else self._end()

    def conditions(self) -> Mapping[str, Condition]:
        """Say whether it failed."""
        return {NAME: replace(self._condition)}

    def kept(self) -> Mapping[str, Kept]:
        """Keep nothing: what was read cannot be read again."""
        return {}

    def stop(self) -> None:
        """Leave it open: it is not this program's."""


def _can_be_waited_for(descriptor: int) -> bool:
    with select.epoll() as epoll:
        try:
            epoll.register(descriptor, select.EPOLLIN)
        except PermissionError:
            return False
    return True
