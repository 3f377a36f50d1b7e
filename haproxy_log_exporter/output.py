"""Standard output: what commands print, and what becomes of it where it cannot be written."""

import os
import sys

from haproxy_log_exporter.errors import OperationError


def give_up() -> None:
    """Lead standard output nowhere, so that what it still holds is not tried, and told of, again at exit."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def write_bytes(output: bytes) -> None:
    """Write bytes at once.

    Raises:
        OperationError: where standard output is closed, or full.
        BrokenPipeError: where its reader has enough.
    """
    if sys.stdout is None:
        message = "cannot write the output: standard output is closed"
        raise OperationError(message)
    try:
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up()
        message = f"cannot write the output: {error.strerror}"
        raise OperationError(message) from error


def write_text(text: str) -> None:
    """Write a text and a line feed, as far as the terminal knows its characters.

    Raises:
        OperationError: as `write_bytes`.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    write_bytes((text + "\n").encode(encoding, "backslashreplace"))
