"""An exporter within the test's own process, which can be killed, and a clock that goes when it is told to."""

import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from prometheus_client import generate_latest

from haproxy_log_exporter.choice import Choice, PathChoice
from haproxy_log_exporter.given import Given
from haproxy_log_exporter.inputs import Inputs
from haproxy_log_exporter.labels.limits import Limits
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.service import Service
from haproxy_log_exporter.settings import Settings, read_settings
from haproxy_log_exporter.sockets import InheritedSockets
from haproxy_log_exporter.sources import framing, logfile, progress, siblings, tail
from haproxy_log_exporter.sources.tls import Certificates
from haproxy_log_exporter.web.server import Served, WebServer
from tests.support import Samples, read_samples

_COUNTERS = ("_total", "_bucket", "_sum", "_count")

# As short as formats are, so that it is compiled in no time.
FORMAT = "%ci:%cp [%tr] %ST %HU"

# Time goes on in such steps until all is read: scans are a second apart, and a rotated file is closed after ten.
_SCRAPE_STEPS = (1.1, 1.1, 5.0, 5.0, 1.1, 1.1)

# Lines so long, and blocks of that size, make files of some dozen lines large.
SMALL_LINE, SMALL_BLOCK = 1 << 10, 1 << 11


class Clock:
    """Stands where files are followed for the module `time`.

    Files get their times from it as well, each change one of its own, as they have where seconds lie between them.
    """

    def __init__(self) -> None:
        """Start a year from now: what is older was written by the kernel's clock, and is stamped anew."""
        self._ns = self._start = time.time_ns() + 365 * 86400 * 10**9

    def time(self) -> float:
        """Tell the time in seconds since the epoch."""
        return self._ns / 1e9

    def time_ns(self) -> int:
        """Tell the time in nanoseconds since the epoch."""
        return self._ns

    def monotonic(self) -> float:
        """Tell the time in seconds."""
        return (self._ns - self._start) / 1e9

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        self._ns += int(seconds * 1e9)

    def stamp(self, *directories: Path) -> None:
        """Set the times of files and directories that have changed."""
        for directory in directories:
            for path in (*directory.iterdir(), directory):
                found = path.lstat()
                if found.st_mtime_ns < self._start:
                    self.advance(0.01)
                    os.utime(path, ns=(self._ns, self._ns), follow_symlinks=False)


class _Unserved(WebServer):
    """Nobody asks it: what it would answer is read where it is."""

    port = 0

    def start(self) -> None:
        """Bind nothing."""


class _DrivenInputs(Inputs):
    """Inputs whose files know another clock."""

    clock: Clock

    def make(self, inherited: InheritedSockets, certificates: Certificates | None) -> None:
        """Make them."""
        super().make(inherited, certificates)
        assert self.files
        self.files._now = self.files._shared.now = self.clock.monotonic


class _Driven(Service):
    """A service whose turns are taken one by one."""

    def __init__(self, settings: Settings, choice: Choice, clock: Clock) -> None:
        super().__init__(Given(settings, choice))
        self.inputs = _DrivenInputs(settings, self.pipeline, self._state)
        self.inputs.clock = clock
        self.served: Served = self._served()
        self.web = _Unserved(settings.listen_address, self.served)

    def _wait(self, now: float, *, gathering: bool) -> None:
        """Nothing is due before it is said to be."""

    def begin(self) -> None:
        """Open all."""
        self._start()
        self.settle()

    def turn(self) -> bool:
        """Read once; tell whether that changed anything."""
        before = self._progress()
        self._next_flush = math.inf
        self._turn()
        return self._progress() != before

    def _progress(self) -> tuple[object, ...]:
        tallies = [intake.tally for intake in self.inputs.intakes.values()]
        return self.inputs.kept(), [(tally.bytes_read, tally.rejected) for tally in tallies]

    def commit(self) -> None:
        """Flush, and wait for the commit; show nothing yet."""
        self._flush()
        if thread := self._flusher._thread:
            thread.join()

    def settle(self) -> None:
        """Show what was flushed."""
        assert self._flusher.settle(60)
        assert not self._flusher.failure

    def finish(self) -> None:
        """Flush and close, as at a signal."""
        self._finish()
        self._end()

    def end(self) -> None:
        """Close all as it is."""
        self._end()


class Exporter:
    """Runs, stops, is killed and runs again, with one state; what it shows never goes back."""

    def __init__(self, directory: Path, clock: Clock, pattern: Path, start: str) -> None:
        """Start nothing yet; the state goes to a directory of its own."""
        self.clock = clock
        self._state = directory / "state"
        texts = {
            "files": [str(pattern)],
            "state": [str(self._state)],
            "start": [start],
            "labels": ["http_request_path"],
            "metrics": ["requests_total"],
            "formats": [FORMAT],
            "listen_address": ["127.0.0.1:0"],
        }
        self._settings, problems = read_settings(texts, {})
        assert not problems
        self.choice = Choice(
            ("http_request_path",),
            ("requests_total",),
            ("1",),
            (FORMAT,),
            paths=PathChoice(ids=False),
            limits=Limits(1_000_000),
        )
        self._service: _Driven | None = None
        self._seen: Samples = {}

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._service is not None

    @property
    def _running(self) -> _Driven:
        assert self._service
        return self._service

    def start(self) -> None:
        """Start with what the last one left."""
        service = _Driven(self._settings, self.choice, self.clock)
        service.begin()
        self._service = service
        self.glance()

    def stop(self) -> None:
        """Stop as at a signal."""
        self._running.finish()
        self._service = None

    def kill(self, *, committed: bool) -> None:
        """Go on with the state as it is now: with what was read since the last flush lost, or not shown yet."""
        if committed:
            self._running.commit()
        files = [Path(f"{self._state}{suffix}") for suffix in ("", "-wal")]
        for file in files:
            shutil.copy(file, f"{file}.killed")
        self._running.end()
        for file in files:
            os.replace(f"{file}.killed", file)
        self._service = None

    def look(self, seconds: float, turns: int) -> None:
        """Let time go by, and read some of what is there."""
        self.clock.advance(seconds)
        for _ in range(turns):
            self._running.turn()

    def flush(self) -> Samples:
        """Flush, and scrape."""
        self._running.commit()
        self._running.settle()
        return self.glance()

    def scrape(self) -> Samples:
        """Let time go by until all is read that is there; flush, and scrape."""
        for seconds in _SCRAPE_STEPS:
            self.clock.advance(seconds)
            while self._running.turn():
                pass
        return self.flush()

    def glance(self) -> Samples:
        """Scrape; no counter may be less than it was at any time, and none may be missing."""
        served = self._running.served
        shown = served.shown()
        log = b"".join(render(shown.tables, open_metrics=False)).decode()
        samples = read_samples(log + generate_latest(served.own(shown)).decode())
        counters = {key: value for key, value in samples.items() if key[0].endswith(_COUNTERS)}
        back = {key: (value, counters.get(key)) for key, value in self._seen.items() if value > counters.get(key, -1)}
        assert not back, f"counters went back: {back}"
        self._seen = counters
        return samples


@contextmanager
def virtual_time(clock: Clock, *, small: bool) -> Iterator[None]:
    """Let the tailer live by a clock, and be content with `small` lines and blocks."""
    with (
        mock.patch.object(tail, "time", clock),
        mock.patch.object(siblings, "time", clock),
    ):
        if not small:
            yield
            return
        with (
            mock.patch.multiple(framing, LONGEST_LINE=SMALL_LINE, BLOCK=SMALL_BLOCK),
            mock.patch.multiple(logfile, LONGEST_LINE=SMALL_LINE, BLOCK=SMALL_BLOCK),
            mock.patch.object(progress, "LONGEST_LINE", SMALL_LINE),
            mock.patch.object(tail, "BLOCK", SMALL_BLOCK),
        ):
            yield
