"""`count` and `parse`: finished logs, read once from beginning to end."""

import gzip
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import FileIO
from typing import Protocol

from haproxy_log_exporter.engine import Choice, build_pipeline, compile_all
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.pipeline import MOST_PENDING, Tally
from haproxy_log_exporter.records import Parser, as_json
from haproxy_log_exporter.sources.framing import BLOCK, LineBuffer, Lines

_GZIP_MAGIC = b"\x1f\x8b"

# EOFError and zlib.error are what a cut or broken gzip file raises.
_UNREADABLE = (OSError, EOFError, zlib.error)

Progress = Callable[[int], None]


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | None:
        """Read at most so many bytes; none at the end."""


def count_files(choice: Choice, paths: Sequence[str]) -> None:
    """Count all lines and write the exposition of the log metrics to standard output.

    Raises:
        UsageError: with every mistake in formats, labels and metrics.
        OperationError: naming the files that could not be read, after the others were.
    """
    pipeline = build_pipeline(choice)
    problems = []
    with _progress(paths) as advance:
        for path in paths:
            tally = pipeline.tally(path)
            try:
                for lines in _blocks(path, advance):
                    tally.rejected += lines.overlong
                    pipeline.take(lines.chunk, tally)
                    if pipeline.pending > MOST_PENDING:
                        pipeline.flush()
            except _UNREADABLE as error:
                problems.append(f"cannot read {path}: {getattr(error, 'strerror', None) or error}")
        pipeline.flush()
    for part in render(pipeline.shown().tables, open_metrics=False):
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
    _report(pipeline.shown().tallies)
    if problems:
        raise OperationError("; ".join(problems))


def parse_files(choice: Choice, paths: Sequence[str]) -> None:
    """Write one JSON object for each line to standard output.

    Raises:
        OperationError: naming the files that could not be read, after the others were.
    """
    parser = Parser(compile_all(choice.formats, choice.parser))
    problems = []
    for path in paths:
        try:
            for lines in _blocks(path, lambda _: None):
                for line in lines.chunk.split(b"\n")[:-1]:
                    print(json.dumps(as_json(parser.parse(line), line), ensure_ascii=False))
        except BrokenPipeError:
            raise
        except _UNREADABLE as error:
            problems.append(f"cannot read {path}: {getattr(error, 'strerror', None) or error}")
    if problems:
        raise OperationError("; ".join(problems))


def _blocks(path: str, advance: Progress) -> Iterator[Lines]:
    """Read a log in whole lines; `advance` hears how many bytes of the file were taken."""
    buffer = LineBuffer()
    with _open(path) as (raw, file):
        taken = 0
        while block := file.read(BLOCK):
            position = raw.tell() if raw else taken + len(block)
            advance(position - taken)
            taken = position
            yield buffer.feed(block)
        yield buffer.end()


@contextmanager
def _open(path: str) -> Iterator[tuple[FileIO | None, _Readable]]:
    """Open a log: the file, where there is one, and what is in it, where it is compressed."""
    if path == "-":
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
            yield None, stdin
        return
    with open(path, "rb", buffering=0) as raw:
        compressed = os.pread(raw.fileno(), len(_GZIP_MAGIC), 0) == _GZIP_MAGIC
        if not compressed:
            yield raw, raw
            return
        with gzip.open(raw) as file:
            yield raw, file


def _progress(paths: Sequence[str]) -> AbstractContextManager[Progress]:
    """Show a bar with rate and time left on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        return _no_progress()
    return _bar(paths)


@contextmanager
def _no_progress() -> Iterator[Progress]:
    yield lambda _: None


@contextmanager
def _bar(paths: Sequence[str]) -> Iterator[Progress]:
    from rich import progress as rich  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415 -- only for a terminal

    sizes = [os.path.getsize(path) for path in paths if os.path.isfile(path)]
    total = sum(sizes) if len(sizes) == len(paths) else None
    columns = (rich.BarColumn(), rich.DownloadColumn(), rich.TransferSpeedColumn(), rich.TimeRemainingColumn())
    with rich.Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)


def _report(tallies: dict[str, Tally]) -> None:
    """Say on standard error what was not counted."""
    for path, tally in tallies.items():
        if tally.rejected or tally.truncated:
            counted = f"{tally.counted} counted ({tally.truncated} of them cut)"
            rest = f"{tally.notices} notices, {tally.rejected} rejected"
            print(f"haproxy-log-exporter: {path}: {tally.lines} lines, {counted}, {rest}", file=sys.stderr)
