"""Opening files for a while, and reading them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from haproxy_log_exporter.sources.framing import BLOCK
from haproxy_log_exporter.sources.logfile import (
    PlainFile,
    open_descriptor,
)
from haproxy_log_exporter.sources.progress import Progress


@contextmanager
def opened(path: Path, progress: Progress | None = None) -> Iterator[PlainFile]:
    """Open a file for a while."""
    file = PlainFile(str(path), open_descriptor(str(path)), progress or Progress())
    try:
        yield file
    finally:
        file.close()


@contextmanager
def descriptor_of(path: Path) -> Iterator[int]:
    """Open a file for a while, no more."""
    with ExitStack() as stack:
        descriptor = open_descriptor(str(path))
        stack.callback(os.close, descriptor)
        yield descriptor


def read_all(file: PlainFile) -> bytes:
    """Read until nothing comes; the lines of a block come at a time, at the most."""
    found = b""
    while lines := file.read().chunk:
        assert len(lines) <= BLOCK
        found += lines
    return found
