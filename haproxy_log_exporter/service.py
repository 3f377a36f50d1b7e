"""Wires the parts of `serve` together: start, turns of the loop, stop."""

import logging
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

from haproxy_log_exporter.errors import OperationError, UsageError
from haproxy_log_exporter.flushing import Flusher
from haproxy_log_exporter.fullness import FullnessLog
from haproxy_log_exporter.given import Given
from haproxy_log_exporter.inputs import Inputs
from haproxy_log_exporter.metrics.own import OwnMetrics, OwnState
from haproxy_log_exporter.opening import find_certificates
from haproxy_log_exporter.pipeline import MOST_PENDING
from haproxy_log_exporter.records import line_time
from haproxy_log_exporter.rejects import RejectsLog
from haproxy_log_exporter.reloading import Again, Reloader, tell_stays
from haproxy_log_exporter.settings import NOTHING_TO_READ
from haproxy_log_exporter.sockets import InheritedSockets
from haproxy_log_exporter.sources.framing import BLOCK
from haproxy_log_exporter.sources.tail import SCAN_SECONDS
from haproxy_log_exporter.sources.wake import Wake
from haproxy_log_exporter.state import State
from haproxy_log_exporter.supervision import Supervisor
from haproxy_log_exporter.web.server import Served, WebServer

logger = logging.getLogger(__name__)

# For what was counted to be kept before all else is read again.
_RELOAD_SECONDS = 5.0

# What was read shows so many seconds later at the latest.
FLUSH_SECONDS = 1.0

# Stopping takes no longer than a second: so long for the last lines and the last commit, the rest for closing.
_LAST_LINES_SECONDS = 0.4
_LAST_SECONDS = 0.8

# Two signals within so short a time are one: timeout(1) sends it to the process and to its group.
_TWICE_SECONDS = 0.1

# A chunk of this size says that there is more: no wait. After a smaller one a little is left to gather, so that a
# turn of the loop is not spent on a line or two.
_FULL = BLOCK // 4
_GATHER_FILES_SECONDS = 0.02
_GATHER_SENT_SECONDS = 0.001

# How long a scrape may hold the interpreter before reading has its turn: a receive buffer of the default size, 208 KiB,
# holds some 250 datagrams.
_SWITCH_SECONDS = 0.001

# Files are polled until they have been quiet for so long, then watched.
_QUIET_SECONDS = 2.0


def allow_files() -> None:
    """Have as many files open as this process may: the usual limit, 1,024, is for programs that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Service:
    """Reads sources into a pipeline and serves what is flushed."""

    def __init__(
        self,
        given: Given,
        again: Again | None = None,
        inherited: InheritedSockets | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        """Build all parts; open nothing yet. `again` reads once more what was given.

        Of the sockets that are `inherited`, one may be for the metrics, the others are sources.

        Raises:
            UsageError: with every mistake in formats, labels, metrics and rules, or certificates.
        """
        settings = self._settings = given.settings
        self._state = State(settings.state) if settings.state else None
        self._reloader = Reloader(given, again, self._state)
        self.pipeline = self._reloader.pipeline
        self._certificates = find_certificates(settings)
        if self._certificates:
            self._certificates.load()
        self._inherited = inherited or InheritedSockets([])
        self._supervisor = supervisor or Supervisor({}, 0)
        self.inputs = Inputs(settings, self.pipeline, self._state)
        self._rejects = RejectsLog(time.monotonic)
        self._fullness = FullnessLog()
        self._flusher = Flusher(self.pipeline, self._state, lambda: self.web.refused)
        self.web = WebServer(
            settings.listen_address, self._served(), self._inherited.take("http", settings.listen_address)
        )
        self._wake: Wake | None = None
        self._selector = selectors.DefaultSelector()
        self._ready = False
        self._stopping = False
        self._asked_to_stop = 0.0
        self._reloading = False
        self._reload_at = 0.0
        self._is_reload_put_off = False
        self._next_flush = 0.0
        self._active_until = 0.0

    def _served(self) -> Served:
        own = OwnState(
            lambda: self._flusher.refused,
            time.time,
            lambda: self._flusher.flushes,
            (lambda: not self._flusher.problem) if self._state else None,
            lambda: self._reloader.reloads,
        )
        return Served(
            telemetry_path=self._settings.telemetry_path,
            shown=self.pipeline.shown,
            own=lambda shown: OwnMetrics(own, shown),
            problem=self._problem,
            sources=lambda: tuple(self.inputs.intakes),
        )

    def _problem(self) -> str:
        """Say why it is not ready; nothing where it is."""
        return self._flusher.problem if self._ready else "starting or stopping"

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is called or a signal comes; then flush what was read.

        `on_ready` is called once all is open.

        Raises:
            OperationError: where an address cannot be had, or the state cannot be used, or not be written at the end.
        """
        try:
            self._start()
            self._supervisor.ready()
            on_ready()
            while not self._stopping:
                self._turn()
                self._supervisor.beat(self._status)
            self._supervisor.stopping()
            self._finish()
        finally:
            self._end()

    def stop(self) -> None:
        """End `run`; safe in signal handlers and other threads."""
        self._stopping = True
        self._set_wake()

    def stop_on_signals(self) -> None:
        """Let SIGTERM and SIGINT stop the service, and SIGHUP read haproxy.cfg and the certificates again."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_reload)

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reloading = True
        self._set_wake()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Stop, and at once where it was asked for before: what is committed is safe, the rest will be read again."""
        now = time.monotonic()
        if self._asked_to_stop and now - self._asked_to_stop > _TWICE_SECONDS:
            os._exit(128 + number)
        self._asked_to_stop = self._asked_to_stop or now
        self.stop()

    def _set_wake(self) -> None:
        if wake := self._wake:
            wake.set()

    def _start(self) -> None:
        self._wake = Wake()
        self._selector.register(self._wake, selectors.EVENT_READ)
        if self._state:
            self._state.start(reset=self._settings.state_reset)
        self._reloader.start()
        self.inputs.make(self._inherited, self._certificates)
        if self.inputs.are_over:
            raise UsageError(NOTHING_TO_READ)
        self._flusher.restore()
        for name, intake in self.inputs.intakes.items():
            self._rejects.start(name, intake)
        self.inputs.start(self._selector)
        self._flush()
        self._flusher.settle(FLUSH_SECONDS)
        self._ready = True  # with a socket of systemd's, whoever asks first may have waited for long
        self.web.start()
        sys.setswitchinterval(_SWITCH_SECONDS)
        logger.info("serving on port %d", self.web.port)

    def _turn(self) -> None:
        """Read each source once, flush when it is time, and wait for more."""
        self._flusher.settle()
        sizes = self.inputs.read(held_up=self._is_held_up())
        now = time.monotonic()
        if self.inputs.files and any(name in sizes for name in self.inputs.files.names):
            self._poll_files(now)
        is_due = (now >= self._next_flush or self.pipeline.pending > MOST_PENDING) and not self._flusher.is_busy
        if self._reloading and now >= self._reload_at and not self._flusher.is_busy:
            self._reload()
        elif is_due and self._reloader.has_changed():
            self._reloader.read_haproxy_config()
        if is_due and not self._flusher.is_busy:
            self._flush()
        elif self.pipeline.pending > MOST_PENDING:
            self.pipeline.fold()
        if self.inputs.are_over:
            self._stopping = True
        elif max(sizes.values(), default=0) < _FULL and not self.inputs.is_behind(held_up=self._is_held_up()):
            self._wait(now, gathering=bool(sizes))

    def _is_held_up(self) -> bool:
        """Whether files and the journal have to wait: their lines stay where they are, unlike those of sockets."""
        return bool(self._flusher.failure) or (self._flusher.is_busy and self.pipeline.pending > MOST_PENDING)

    def _wait(self, now: float, *, gathering: bool) -> None:
        """Wait for more; only as long as nothing is due."""
        assert self._wake
        if gathering and self.inputs.cannot_wait:
            time.sleep(_GATHER_SENT_SECONDS)
        timeout = FLUSH_SECONDS if self._flusher.is_busy else max(0.0, self._next_flush - now)
        timeout = self._supervisor.wait_seconds(timeout)
        if self.inputs.files:
            if now < self._active_until:
                timeout = min(timeout, _GATHER_FILES_SECONDS)
            else:
                timeout = min(timeout, SCAN_SECONDS)
                if self._wake.watch(self.inputs.files.paths()):
                    timeout = 0.0  # what came before the watch began has woken nobody
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._wake:
                self._wake.clear()
                if not self._flusher.is_busy:
                    self._poll_files(time.monotonic())

    def _poll_files(self, now: float) -> None:
        """Stop watching: from now on files are looked at anyway."""
        assert self._wake
        self._wake.unwatch()
        self._active_until = now + _QUIET_SECONDS

    def _flush(self) -> None:
        began = time.monotonic()
        for name, intake in self.inputs.intakes.items():
            tally = intake.tally
            self._rejects.look_at(name, intake)
            if tally.newest:
                moment = line_time(self._reloader.parser.parse(tally.newest.rstrip(b"\n")))
                tally.newest_time = tally.newest_time if moment is None else moment
                tally.newest = b""
        self._fullness.look_at(self.pipeline)
        conditions = self.inputs.conditions()
        kept = self.inputs.kept() if self._state else {}
        self._flusher.begin(conditions, kept, self.inputs.since, self._set_wake)
        self._next_flush = began + FLUSH_SECONDS

    def _reload(self) -> None:
        """Read all files again; what is broken is told, and what was read before stays."""
        self._reloading = False
        self._supervisor.reloading()
        if not self._is_reload_put_off:
            self._reload_certificates()
        if self._reloader.reads_options:
            self._reload_options()
        else:
            self._reloader.read_haproxy_config()
        self._supervisor.ready()

    def _reload_options(self) -> None:
        """Read options again once all that was counted is kept; while the state cannot be written, that has to wait."""
        try:
            if not self._flusher.failure:
                self._flush()
                if self._flusher.settle(_RELOAD_SECONDS) and not self._flusher.failure:
                    if settings := self._reloader.read_all():
                        self.inputs.set_facilities(settings.facilities)
                    self._is_reload_put_off = False
                    return
        except OperationError as error:
            self._put_off_reload(str(error))
        else:
            self._put_off_reload(self._flusher.problem)

    def _put_off_reload(self, problem: str) -> None:
        if not self._is_reload_put_off:
            logger.error("the configuration is read again once the state can be written: %s", problem)
        self._is_reload_put_off = True
        self._reloading, self._reload_at = True, time.monotonic() + FLUSH_SECONDS

    def _reload_certificates(self) -> None:
        if not self._certificates:
            return
        try:
            self._certificates.load()
        except UsageError as error:
            tell_stays("the certificate is not exchanged", error)
        else:
            logger.info("the certificate was read again")

    def _status(self) -> str:
        """Say for people how things stand."""
        if problem := self._flusher.problem:
            return problem
        tallies = [intake.tally for intake in self.inputs.intakes.values()]
        lines, rejected = sum(tally.lines for tally in tallies), sum(tally.rejected for tally in tallies)
        return f"{lines:,} lines read from {', '.join(self.inputs.intakes)}; {rejected:,} rejected"

    def _finish(self) -> None:
        """Flush what was read. What cannot be kept within the time is read again by the next one."""
        self._ready = False
        deadline = time.monotonic() + _LAST_SECONDS
        self.inputs.finish(_LAST_LINES_SECONDS)
        settled = self._flusher.settle(max(0.0, deadline - time.monotonic()))
        if settled:
            self._flush()
            self.web.stop()
            settled = self._flusher.settle(max(0.0, deadline - time.monotonic()))
        problem = self._flusher.failure if settled else f"{self._settings.state} takes too long to write"
        if problem:
            message = f"--state: what was read since the last commit is not in the state: {problem}"
            raise OperationError(message)

    def _end(self) -> None:
        self._ready = False
        self.web.stop()
        self.inputs.stop()
        self._inherited.close()
        self._supervisor.stop()
        if self._state and self._flusher.settle(0.0):
            self._state.stop()
        self._selector.close()
        wake, self._wake = self._wake, None
        if wake and not self._flusher.is_busy:  # else the commit's end would wake whoever has the descriptor then
            wake.close()
