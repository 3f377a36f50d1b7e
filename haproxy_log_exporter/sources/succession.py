"""Reading the files of one path in their order: each to its end before the next.

Strategy: a line that a file has the beginning of goes on in the next one where the log was copied and truncated. Both
are taken at once then: until the rest is there, the position stays before the line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from haproxy_log_exporter.sources.framing import NO_LINES, Lines, drop_overlong
from haproxy_log_exporter.sources.logfile import ChangedError, CompressedFile, LogFile

# A rotated file is done when nothing came for so long: its writer may not have let go of it before.
DRAIN_SECONDS = 10.0


@dataclass(slots=True)
class Turn:
    """What came of reading once: lines, files that are done, one that was truncated, and those that cannot be read."""

    lines: Lines = NO_LINES
    done: list[LogFile] = field(default_factory=list)
    changed: LogFile | None = None
    failed: list[tuple[LogFile, OSError]] = field(default_factory=list)


def read_next(rotated: Sequence[LogFile], live: LogFile | None, now: float) -> Turn:
    """Take the next whole lines of the oldest file that has any, up to a block.

    `rotated` are those that the path does not lead to any more, the oldest first; `live` is the one that it leads to.
    """
    turn = Turn()
    begun: list[tuple[LogFile, bytes]] = []
    for file in (*rotated, live) if live else rotated:
        try:
            lines = file.read()
            rest = None if _has_any(lines) or file is live else file.rest()
        except ChangedError:
            turn.changed = file
            break
        except OSError as error:
            turn.failed.append((file, error))
            continue
        if _has_any(lines):
            file.quiet_since = now
            turn.lines = _join(begun, lines, turn)
            break
        if rest is None:  # there is more of it, or there will be
            break
        if file.progress.continued and rest:
            begun.append((file, rest))
        elif _is_done(file, now):
            file.progress.end(rest)
            turn.done.append(file)
            if line := rest.lstrip(b"\0"):
                turn.lines = Lines(line + b"\n", 0)
                break
    return turn


def _has_any(lines: Lines) -> bool:
    return bool(lines.chunk or lines.overlong)


def _is_done(file: LogFile, now: float) -> bool:
    """Whether nothing will come any more: a compressed file and a copy are what they are."""
    if isinstance(file, CompressedFile) or file.progress.continued:
        return True
    if file.quiet_since is None or not file.is_quiet:
        file.quiet_since = now
    return now - file.quiet_since > DRAIN_SECONDS


def _join(begun: list[tuple[LogFile, bytes]], lines: Lines, turn: Turn) -> Lines:
    """Put the beginnings of a line before the rest of it; the files that they are from are done then."""
    for file, rest in begun:
        file.progress.end(rest)
        turn.done.append(file)
    if not begun or not lines.chunk:  # the rest is too long, and so is the line
        return lines
    joined = drop_overlong(b"".join(rest.lstrip(b"\0") for _, rest in begun) + lines.chunk)
    return Lines(joined.chunk, joined.overlong + lines.overlong)
