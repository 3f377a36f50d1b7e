"""A directory of logs with their writers, an exporter that follows them, and what it has to show."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from haproxy_log_exporter.engine import build_pipeline
from haproxy_log_exporter.metrics.exposition import render
from tests.services import LINES, REQUESTS
from tests.sources.rotating import Inodes, Line, Log
from tests.sources.tailing import SMALL_LINE, Clock, Exporter, virtual_time
from tests.support import Samples, read_samples

PLAIN, CRI, DOCKER = "plain", "cri", "docker"

# The paths of the logs, what leads to them, and the pattern that is followed; all in a directory.
PLACES: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "path": (("haproxy.log",), "", "haproxy.log"),
    "several": (("a.log", "b.log"), "", "*.log"),
    "rotated as well": (("haproxy.log",), "", "haproxy.log*"),
    "link": (("real/haproxy.log",), "haproxy.log", "haproxy.log"),
    "link of another name": (("real/haproxy.log",), "current.log", "current.log"),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """What is followed, how it is written, and how it is rotated."""

    place: str = "path"
    start: str = "end"
    wrapper: str = PLAIN
    names: str = "numbers"  # of rotated files; or "date", or "within": with the date before the extension
    appends: bool = True
    reused: bool = False  # whether new files have the inodes of those that were deleted
    small: bool = False  # whether lines and blocks are small, so that files have many of them


class Site:
    """Logs and an exporter, which does not run yet."""

    def __init__(self, variant: Variant) -> None:
        """Make empty logs in a directory of their own."""
        self.variant = variant
        self._stack = ExitStack()
        self.directory = Path(tempfile.mkdtemp())
        self._stack.callback(shutil.rmtree, self.directory)
        self.clock = Clock()
        self._stack.enter_context(virtual_time(self.clock, small=variant.small))
        (self.directory / "logs" / "real").mkdir(parents=True)
        paths, link, pattern = PLACES[variant.place]
        self.lines: list[Line] = []
        inodes = Inodes(self.directory, reused=variant.reused)
        self._stack.callback(inodes.close)
        self.logs = [
            Log(self.directory / "logs" / path, self.clock, inodes, self.lines, variant.names, appends=variant.appends)
            for path in paths
        ]
        if link:
            (self.directory / "logs" / link).symlink_to(paths[0])
            self.clock.stamp(self.directory / "logs")
        self.exporter = Exporter(self.directory, self.clock, self.directory / "logs" / pattern, variant.start)
        self.pattern = str(self.directory / "logs" / pattern)
        self._number = 0
        self._expected = build_pipeline(self.exporter.choice)
        self._intake = self._expected.intake(self.pattern)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.exporter.is_up:
            self.exporter.stop()
        for log in self.logs:
            log.close()
        self._stack.close()

    # --- Writing ------------------------------------------------------------------------------------------------------

    def line(self) -> bytes:
        """Write a line that begins as no other does, in wrappers where it is a container's."""
        self._number += 1
        number = self._number
        host = f"10.{number // 256}.{number % 256}.1:{number % 60_000}"
        text = f"{host} [20/Nov/2026:04:30:27.{number % 1000:03}] 200 /{number}?{'q' * 60}\n"
        return _WRAPPED[self.variant.wrapper](text, number).encode()

    def overlong(self) -> bytes:
        """Write a line that is too long where lines are small."""
        self._number += 1
        return b"too long %d " % self._number * (SMALL_LINE // 4) + b"\n"

    # --- The exporter -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the exporter: from now on all may be read."""
        self.exporter.start()
        for log in self.logs:
            log.is_up = True
        for line in self.lines:
            line.was_up = True

    def stop(self, end: Callable[[], None]) -> None:
        """End the exporter, once it has read what only it can read."""
        if any(log.unlinked for log in self.logs):
            self.scrape()
        end()
        for log in self.logs:
            log.after_end()

    def look(self, seconds: float, turns: int) -> None:
        """Let time go by, and read some of what is there."""
        for log in self.logs:
            log.hurry(seconds)
        self.exporter.look(seconds, turns)

    def wait(self, seconds: float) -> None:
        """Let time go by while nothing reads."""
        for log in self.logs:
            log.hurry(seconds)
        self.clock.advance(seconds)

    def scrape(self) -> None:
        """Let the exporter read all, and hold what it shows against what has to be counted."""
        for log in self.logs:
            log.before_scrape(parts=self.variant.wrapper != PLAIN)
        shown = self.exporter.scrape()
        for line in self.lines:
            if not line.is_lost:
                self._count(line)
        self.lines.clear()
        for log in self.logs:
            log.after_scrape()
        self._compare(shown)

    def _count(self, line: Line) -> None:
        if self.variant.small and len(line.text) > SMALL_LINE:
            self._intake.tally.rejected += 1
        else:
            self._expected.take(line.text + b"\n", self._intake, line.log)

    def _compare(self, shown: Samples) -> None:
        self._expected.flush()
        counted = self._expected.shown()
        requests = read_samples(b"".join(render(counted.tables, open_metrics=False)).decode())
        expected = {_path(labels): value for (name, labels), value in requests.items() if name == REQUESTS}
        found = {_path(labels): value for (name, labels), value in shown.items() if name == REQUESTS}
        paths = expected.keys() | found.keys()
        wrong = {path: (found.get(path), expected.get(path)) for path in paths if found.get(path) != expected.get(path)}
        tally = self._intake.tally
        results = {"counted": tally.counted, "notice": 0, "filtered": 0, "rejected": tally.rejected}
        lines = {dict(labels)["result"]: value for (name, labels), value in shown.items() if name == LINES}
        assert (wrong, lines) == ({}, results), (
            f"of these requests, found and expected: {wrong}; {lines}, not {results}"
        )


def _path(labels: frozenset[tuple[str, str]]) -> str:
    return dict(labels)["http_request_path"]


def _cri(text: str, number: int) -> str:
    """Write a line as containerd does, in two parts."""
    stamps = [
        f"2026-11-20T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.{part:09}Z stdout" for part in (1, 2)
    ]
    return f"{stamps[0]} P {text[:60]}\n{stamps[1]} F {text[60:]}"


def _docker(text: str, number: int) -> str:
    """Write a line as Docker's json-file does, in two parts."""
    return "".join(
        json.dumps(
            {"log": part, "stream": "stdout", "time": f"2026-11-20T04:30:27.{number:09}Z"}, separators=(",", ":")
        )
        + "\n"
        for part in (text[:60], text[60:])
    )


_WRAPPED: Mapping[str, Callable[[str, int], str]] = {PLAIN: lambda text, _: text, CRI: _cri, DOCKER: _docker}
