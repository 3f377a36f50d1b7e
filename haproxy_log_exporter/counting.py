"""`count` and `parse`: finished logs, read once from beginning to end."""

import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import BufferedReader, FileIO
from itertools import chain

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.engine import build_pipeline
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.fullness import FullnessLog
from haproxy_log_exporter.logformat.wrappers import Unwrapper
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.metrics.shown import Shown
from haproxy_log_exporter.output import write_bytes
from haproxy_log_exporter.pipeline import MOST_PENDING, Pipeline
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Parsed, Parser, as_json
from haproxy_log_exporter.sources.compressed import Readable, decompress, is_compressed, read_block
from haproxy_log_exporter.sources.framing import BLOCK, LONGEST_LINE, LineBuffer, Lines

Progress = Callable[[int], None]


def count_files(choice: Choice, paths: Sequence[str]) -> None:
    """Count all lines and write the exposition of the log metrics to standard output.

    Raises:
        UsageError: with every mistake in formats, labels and metrics.
        OperationError: naming the files that could not be read, after the others were.
    """
    pipeline = build_pipeline(choice)
    problems: list[str] = []
    take_files(pipeline, paths, problems)
    FullnessLog().look_at(pipeline)
    shown = pipeline.shown()
    for part in render(shown.tables, open_metrics=False):
        write_bytes(part)
    _report(shown)
    if problems:
        raise OperationError("; ".join(problems))


def take_files(
    pipeline: Pipeline, paths: Sequence[str], problems: list[str], watch: Callable[[bytes, int], None] | None = None
) -> None:
    """Read logs into a pipeline, and show how far that is on a terminal.

    `problems` hears what could not be read, `watch` is handed the lines that are rejected.
    """
    with _progress(paths) as advance:
        for path in paths:
            intake = pipeline.intake(path)
            intake.watch = watch
            for lines in read_blocks(path, advance, problems):
                intake.tally.rejected += lines.overlong
                pipeline.take(lines.chunk, intake)
                if pipeline.pending > MOST_PENDING:
                    pipeline.flush()
            pipeline.end(intake)
        pipeline.flush()


def parse_files(choice: Choice, paths: Sequence[str]) -> None:
    """Write one JSON object for each line to standard output.

    Raises:
        OperationError: naming the files that could not be read, after the others were.
    """
    parser = Parser(compile_all(choice), reorder=not choice.formats)
    problems: list[str] = []
    for path in paths:
        unwrapper = Unwrapper(LONGEST_LINE)
        for lines in read_blocks(path, no_progress, problems):
            _print(chain.from_iterable(parser.parse_wrapped(line, unwrapper) for line in lines.chunk.split(b"\n")[:-1]))
            if lines.overlong:
                problems.append(f"{path}: {lines.overlong} lines of more than {LONGEST_LINE} bytes were left out")
        _print(parser.parse_unwrapped(unwrapper.end()))
        if parser.overlong:
            problems.append(f"{path}: {parser.overlong} lines in parts of more than {LONGEST_LINE} bytes were left out")
            parser.overlong = 0
    if problems:
        raise OperationError("; ".join(problems))


def _print(found: Iterable[Parsed]) -> None:
    objects = (as_json(each.record, each.line, each.times) for each in found)
    write_bytes(b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in objects))


def read_blocks(path: str, advance: Progress, problems: list[str]) -> Iterator[Lines]:
    """Read a log in whole lines. `advance` hears how many bytes of it were taken, `problems` what went wrong."""
    buffer = LineBuffer()
    try:
        with _open(path) as (raw, file):
            taken = 0
            sized = stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
            while block := read_block(file, BLOCK):
                position = raw.tell() if sized else taken + len(block)
                advance(position - taken)
                taken = position
                yield buffer.feed(block)
    except OSError as error:
        problems.append(f"cannot read {path}: {error.strerror or error}")
    yield buffer.end()


@contextmanager
def _open(path: str) -> Iterator[tuple[FileIO, Readable]]:
    """Open a log, or standard input: what it is in, and what is in it where it is compressed."""
    with open(0 if path == "-" else path, "rb", buffering=0, closefd=path != "-") as raw:
        buffered = BufferedReader(raw)
        beginning = buffered.peek()
        yield raw, decompress(buffered, beginning) if is_compressed(beginning) else buffered
        if path == "-":
            buffered.detach()


def _progress(paths: Sequence[str]) -> AbstractContextManager[Progress]:
    """Show a bar with rate and time left on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        return _silent()
    return _bar(paths)


def no_progress(_count: int) -> None:
    """Show nothing."""


@contextmanager
def _silent() -> Iterator[Progress]:
    yield no_progress


@contextmanager
def _bar(paths: Sequence[str]) -> Iterator[Progress]:
    from rich import progress as rich  # noqa: PLC0415 -- only for a terminal
    from rich.console import Console  # noqa: PLC0415 -- only for a terminal

    sizes = [os.path.getsize(path) for path in paths if os.path.isfile(path)]
    total = sum(sizes) if len(sizes) == len(paths) else None
    columns = (rich.BarColumn(), rich.DownloadColumn(), rich.TransferSpeedColumn(), rich.TimeRemainingColumn())
    with rich.Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)


def _report(shown: Shown) -> None:
    """Say on standard error what was not counted, or not by itself."""
    lost = [
        f"--max-label-values: {places.capped} lines count as other, for their {label} had no place"
        for label, places in shown.labels.items()
        if places.capped
    ]
    lost += [
        f"--max-series: {series.capped} lines of {metric} count as other in all labels"
        for metric, series in shown.series.items()
        if series.capped
    ]
    for message in lost:
        print(f"haproxy-log-exporter: {message}", file=sys.stderr)
    for path, tally in shown.tallies.items():
        if tally.rejected or tally.truncated:
            counted = f"{tally.counted} counted ({tally.truncated} of them cut)"
            rest = f"{tally.notices} notices, {tally.rejected} rejected"
            print(f"haproxy-log-exporter: {path}: {tally.lines} lines, {counted}, {rest}", file=sys.stderr)
        if tally.rejected:
            print(f"haproxy-log-exporter: `haproxy-log-exporter check {path}` tells why", file=sys.stderr)
