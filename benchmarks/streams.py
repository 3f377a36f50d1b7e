"""How many lines a second `serve` counts of one TCP connection, beside `count`, and what their framing takes."""

import contextlib
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.corpus import make_corpus, read_lines
from benchmarks.counting import EACH_PATH, LABELS, METRICS
from benchmarks.figures import scrape_figures
from benchmarks.loads import PRIORITY
from benchmarks.processes import cpu_seconds, last_core, on_core, run_pinned
from benchmarks.report import print_table
from haproxy_log_exporter.sources.frames import Frames
from tests.support import Exporter, command, serving, wait_until

_COUNT = 2_000_000
_ROUNDS = 3
_SENT_AT_ONCE = 1 << 20
_FED_AT_ONCE = 1 << 16  # what the source takes of a connection at a time
_FED = 200_000
_FRAMINGS = {"newline": False, "octet-counted": True}
_OPTIONS = ("-l", LABELS, "--metrics", METRICS, *EACH_PATH)


@dataclass(frozen=True, slots=True)
class Taken:
    """How long a process took for all lines, by the clock and of its core."""

    seconds: float
    cpu_seconds: float


def receive_streams(lines: int) -> None:
    """Count the same lines from a file and from a connection of each framing, in turns, on one core.

    What `count` takes is with its start and its output.
    """
    count = min(lines, _COUNT)
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        log = Path(name) / "haproxy.log"
        with log.open("wb") as file:
            file.writelines(PRIORITY + line for line in read_lines(make_corpus(lines), count))
        ways: dict[str, Callable[[], Taken]] = {
            "count": partial(_count, log),
            "serve, newline": partial(_receive, pool, str(log), count, counted=False),
            "serve, octet-counted": partial(_receive, pool, str(log), count, counted=True),
        }
        rounds = [{title: way() for title, way in ways.items()} for _ in range(_ROUNDS)]
        load = os.getloadavg()[0]
        framing = {title: _time_framing(log, counted=counted) for title, counted in _FRAMINGS.items()}
    best = {title: min((each[title] for each in rounds), key=lambda taken: taken.seconds) for title in ways}
    rows = [
        (
            title,
            f"{count / taken.seconds:,.0f}",
            f"{best['count'].seconds / taken.seconds:.2f}",
            f"{best['count'].cpu_seconds / taken.cpu_seconds:.2f}",
        )
        for title, taken in best.items()
    ]
    title = f"streams: {count:,} lines of one connection, one core, best of {_ROUNDS}, in turns, load {load:.1f}"
    print_table(title, ("by", "lines/s", "of count's", "of count's, by CPU"), rows)
    shown = [(title, f"{1e9 * seconds / min(_FED, count):.0f}") for title, seconds in framing.items()]
    print_table(f"streams: framing alone, best of {_ROUNDS}", ("framing", "ns a line"), shown)


def send_stream(log: str, port: int, *, counted: bool) -> float:
    """Send a log over one connection as fast as it is taken; tell in how many seconds all was.

    The exporter closes the connection once it has read to its end.
    """
    stream = b"".join(_frames(Path(log).read_bytes().splitlines(keepends=True), counted=counted))
    with memoryview(stream) as view, socket.create_connection(("127.0.0.1", port)) as sock:
        began = time.perf_counter()
        for start in range(0, len(view), _SENT_AT_ONCE):
            sock.sendall(view[start : start + _SENT_AT_ONCE])
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1):
            pass
        return time.perf_counter() - began


def _frames(lines: Iterable[bytes], *, counted: bool) -> Iterator[bytes]:
    """Frame lines, each of which has its newline, as HAProxy's ring does."""
    if not counted:
        yield from lines
        return
    for line in lines:
        message = line.removesuffix(b"\n")
        yield b"%d %b" % (len(message), message)


def _count(log: Path) -> Taken:
    run = run_pinned(command("count", *_OPTIONS, log), log, Path(os.devnull))
    return Taken(run.seconds, run.cpu_seconds)


def _receive(pool: ProcessPoolExecutor, log: str, count: int, *, counted: bool) -> Taken:
    with contextlib.ExitStack() as stack:
        with on_core(last_core()):
            exporter = stack.enter_context(serving("--syslog", "tcp://127.0.0.1:0", *_OPTIONS))
            port = exporter.syslog_port
        computed = cpu_seconds(exporter.process.pid)
        seconds = pool.submit(send_stream, log, port, counted=counted).result()
        computed = cpu_seconds(exporter.process.pid) - computed
        wait_until(lambda: _counted(exporter) >= count, what="the last flush")
        if _counted(exporter) != count:
            message = f"serve counted {_counted(exporter)} of {count} lines"
            raise RuntimeError(message)
        return Taken(seconds, computed)


def _counted(exporter: Exporter) -> int:
    return scrape_figures(exporter).counted


def _time_framing(log: Path, *, counted: bool) -> float:
    stream = b"".join(_frames(read_lines(log, _FED), counted=counted))
    blocks = [stream[start : start + _FED_AT_ONCE] for start in range(0, len(stream), _FED_AT_ONCE)]
    seconds = []
    for _ in range(_ROUNDS):
        frames = Frames()
        began = time.perf_counter()
        for block in blocks:
            frames.feed(block)
        seconds.append(time.perf_counter() - began)
        assert not frames.fault
    return min(seconds)
