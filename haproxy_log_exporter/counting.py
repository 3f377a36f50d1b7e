"""`count` and `parse`: finished logs, read once from beginning to end."""

import gc
import gzip
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import IO

from haproxy_log_exporter.engine import Choice, build_pipeline, compile_all
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.pipeline import MOST_PENDING, Tally
from haproxy_log_exporter.records import Parser, as_json
from haproxy_log_exporter.sources.framing import BLOCK, LineBuffer, Lines

_GZIP_MAGIC = b"\x1f\x8b"

Progress = Callable[[int], None]


def count_files(choice: Choice, paths: Sequence[str]) -> None:
    """Count all lines and write the exposition of the log metrics to standard output.

    Raises:
        UsageError: with every mistake in formats, labels and metrics.
        OperationError: naming the files that could not be read, after the others were.
    """
    pipeline = build_pipeline(choice)
    # Counting makes millions of tuples and no cycles; looking for cycles among them would find nothing.
    gc.disable()
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
            except (OSError, EOFError) as error:
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
        except (OSError, EOFError) as error:
            problems.append(f"cannot read {path}: {getattr(error, 'strerror', None) or error}")
    if problems:
        raise OperationError("; ".join(problems))


def _blocks(path: str, advance: Progress) -> Iterator[Lines]:
    """Read a log in whole lines; `advance` hears how many bytes of the file were taken."""
    buffer = LineBuffer()
    with _open(path) as (raw, file):
        taken = 0
        while block := file.read(BLOCK):
            if raw is file:
                advance(len(block))
            else:
                position = raw.tell()
                advance(position - taken)
                taken = position
            yield buffer.feed(block)
        yield buffer.end()


@contextmanager
def _open(path: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a log, and what is in it where it is compressed."""
    if path == "-":
        yield sys.stdin.buffer.raw, sys.stdin.buffer.raw  # type: ignore[attr-defined] -- a BufferedReader
        return
    with open(path, "rb", buffering=0) as raw:
        magic = raw.read(2)
        raw.seek(0)
        if magic == _GZIP_MAGIC:
            with gzip.open(raw) as file:
                yield raw, file  # type: ignore[misc] -- GzipFile reads as IO
        else:
            yield raw, raw


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
    from rich.console import Console  # noqa: PLC0415 -- only for a terminal
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn  # noqa: PLC0415

    sizes = [os.path.getsize(path) for path in paths if os.path.isfile(path)]
    total = sum(sizes) if len(sizes) == len(paths) else None
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)


def _report(tallies: dict[str, Tally]) -> None:
    """Say on standard error what was not counted."""
    for path, tally in tallies.items():
        if tally.rejected or tally.truncated:
            print(
                f"haproxy-log-exporter: {path}: {tally.lines} lines, {tally.counted} counted ({tally.truncated} of them "
                f"cut), {tally.notices} notices, {tally.rejected} rejected",
                file=sys.stderr,
            )
