"""Wires the parts of `serve` together: start, turns of the loop, stop."""

import logging
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType

from haproxy_log_exporter.configuration import ConfigFiles
from haproxy_log_exporter.engine import Assembly, Choice, compile_all
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.formats import configured_formats, with_former
from haproxy_log_exporter.logformat.envelopes import compile_facilities
from haproxy_log_exporter.messages import printable
from haproxy_log_exporter.metrics.own import FlushDurations, OwnMetrics, OwnState
from haproxy_log_exporter.pipeline import MOST_PENDING, Intake
from haproxy_log_exporter.records import Parser, line_time
from haproxy_log_exporter.settings import Settings
from haproxy_log_exporter.sources.base import Source
from haproxy_log_exporter.sources.datagram import DatagramSource
from haproxy_log_exporter.sources.framing import BLOCK
from haproxy_log_exporter.sources.tail import SCAN_SECONDS, FileSource, Identity
from haproxy_log_exporter.sources.wake import Wake
from haproxy_log_exporter.web.server import Served, WebServer

logger = logging.getLogger(__name__)

# What was read shows so many seconds later at the latest.
FLUSH_SECONDS = 1.0

# A chunk of this size says that there is more: no wait. After a smaller one a little is left to gather, so that a
# turn of the loop is not spent on a line or two.
_FULL = BLOCK // 4
_GATHER_FILES_SECONDS = 0.02
_GATHER_DATAGRAMS_SECONDS = 0.001

# How long a scrape may hold the interpreter before reading has its turn: a receive buffer of the default size, 208 KiB,
# holds some 250 datagrams.
_SWITCH_SECONDS = 0.001

# Rejected lines are named in the log no more often.
_REJECTS_SECONDS = 60.0

# Files are polled until they have been quiet for so long, then watched.
_QUIET_SECONDS = 2.0


class RejectsLog:
    """Names rejected lines in the log, of each source at most once a minute."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives seconds that never go back."""
        self._now = now
        self._named: dict[str, tuple[float, int]] = {}

    def look_at(self, name: str, intake: Intake) -> None:
        """Name what was rejected since the last time, if that was long enough ago."""
        before, counted = self._named.get(name, (-_REJECTS_SECONDS, 0))
        rejected = intake.tally.rejected
        if rejected == counted or self._now() - before < _REJECTS_SECONDS:
            return
        self._named[name] = (self._now(), rejected)
        last = printable(intake.rejects[-1]) if intake.rejects else "too long to be kept"
        logger.warning("%s: %d lines rejected; the last: %s", name, rejected - counted, last)


class Service:
    """Reads sources into a pipeline and serves what is flushed."""

    def __init__(self, settings: Settings, choice: Choice, config: ConfigFiles | None = None) -> None:
        """Build all parts; open nothing yet. `config` is haproxy.cfg, from which the choice's formats were read.

        Raises:
            UsageError: with every mistake in formats, labels and metrics.
        """
        self._assembly = Assembly(choice)
        self.pipeline = self._assembly.pipeline
        self._config = config
        self._configured = self._former = choice.configured
        self._facilities = compile_facilities(settings.facilities) if settings.facilities else None
        taken: set[Identity] = set()
        self._files = [
            FileSource(pattern, from_beginning=settings.start == "beginning", taken=taken) for pattern in settings.files
        ]
        self._datagrams = [DatagramSource(url.text, url.address) for url in settings.syslog]
        self._sources: Sequence[Source] = [*self._files, *self._datagrams]
        self._intakes: dict[str, Intake] = {}
        self._parser = Parser(compile_all(choice))
        self._rejects = RejectsLog(time.monotonic)
        self._flushes = FlushDurations()
        state = OwnState(lambda: self.web.refused, time.time, self._flushes)
        self.web = WebServer(
            settings.listen_address,
            Served(
                telemetry_path=settings.telemetry_path,
                shown=self.pipeline.shown,
                own=lambda shown: OwnMetrics(state, shown),
                ready=lambda: self._ready,
                sources=tuple(source.name for source in self._sources),
            ),
        )
        self._wake: Wake | None = None
        self._selector = selectors.DefaultSelector()
        self._ready = False
        self._stopping = False
        self._reloading = False
        self._next_flush = 0.0
        self._active_until = 0.0

    @property
    def datagram_ports(self) -> list[int]:
        """The ports of the UDP sources, once they are open."""
        return [source.port for source in self._datagrams]

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is called or a signal comes; then flush what was read.

        `on_ready` is called once all is open.

        Raises:
            OperationError: where an address cannot be had.
        """
        try:
            self._start()
            on_ready()
            while not self._stopping:
                self._turn()
            self._flush()
        finally:
            self._end()

    def stop(self) -> None:
        """End `run`; safe in signal handlers and other threads."""
        self._stopping = True
        wake = self._wake
        if wake:
            wake.set()

    def stop_on_signals(self) -> None:
        """Let SIGTERM and SIGINT stop the service, and SIGHUP read haproxy.cfg again."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_reload)

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reloading = True
        if self._wake:
            self._wake.set()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()

    def _start(self) -> None:
        self._wake = Wake()
        self._selector.register(self._wake, selectors.EVENT_READ)
        for source in self._sources:
            source.start()
            descriptor = source.fileno()
            if descriptor is not None:
                self._selector.register(descriptor, selectors.EVENT_READ)
            syslog = source in self._datagrams
            facilities = self._facilities if syslog else None
            self._intakes[source.name] = self.pipeline.intake(source.name, facilities, one_sender=not syslog)
        self._flush()
        self.web.start()
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._ready = True
        logger.info("serving on port %d", self.web.port)

    def _turn(self) -> None:
        """Read each source once, flush when it is time, and wait for more."""
        most, lines_of_files = 0, False
        for source in self._sources:
            lines = source.read()
            if not lines.chunk and not lines.overlong:
                continue
            intake = self._intakes[source.name]
            intake.tally.rejected += lines.overlong
            self.pipeline.take(lines.chunk, intake)
            most = max(most, len(lines.chunk))
            lines_of_files = lines_of_files or source.fileno() is None
        now = time.monotonic()
        if lines_of_files:
            self._poll_files(now)
        if now >= self._next_flush or self.pipeline.pending > MOST_PENDING:
            self._flush()
            self._reload_if_changed()
        if most < _FULL:
            self._wait(now, gathering=most > 0)

    def _wait(self, now: float, *, gathering: bool) -> None:
        """Wait for more; only as long as nothing is due."""
        assert self._wake
        if gathering and self._datagrams:
            time.sleep(_GATHER_DATAGRAMS_SECONDS)
        timeout = max(0.0, self._next_flush - now)
        if self._files:
            if now < self._active_until:
                timeout = min(timeout, _GATHER_FILES_SECONDS)
            else:
                timeout = min(timeout, SCAN_SECONDS)
                if self._wake.watch([path for source in self._files for path in source.paths()]):
                    timeout = 0.0  # what came before the watch began has woken nobody
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._wake:
                self._wake.clear()
                self._poll_files(time.monotonic())

    def _poll_files(self, now: float) -> None:
        """Stop watching: from now on files are looked at anyway."""
        assert self._wake
        self._wake.unwatch()
        self._active_until = now + _QUIET_SECONDS

    def _flush(self) -> None:
        began = time.monotonic()
        for name, intake in self._intakes.items():
            tally = intake.tally
            self._rejects.look_at(name, intake)
            if tally.newest:
                moment = line_time(self._parser.parse(tally.newest.rstrip(b"\n")))
                tally.newest_time = tally.newest_time if moment is None else moment
                tally.newest = b""
        self.pipeline.flush({source.name: replace(source.condition()) for source in self._sources})
        self._next_flush = began + FLUSH_SECONDS
        self._flushes.observe(time.monotonic() - began)

    def _reload_if_changed(self) -> None:
        """Read haproxy.cfg again where it has changed; where it is broken, what was read before stays."""
        asked, self._reloading = self._reloading, False
        if not self._config or not (asked or self._config.has_changed()):
            return
        try:
            config = self._config.read()
            found = configured_formats(config)
            former = self._configured if found != self._configured else self._former
            choice = self._assembly.exchange(with_former(found, former))
        except UsageError as error:
            for message in error.messages:
                logger.error("haproxy.cfg is not taken over, what was read before stays: %s", message)  # noqa: TRY400 -- it is no bug
            return
        self._configured, self._former = found, former
        self._parser = Parser(compile_all(choice))
        for warning in config.warnings:
            logger.warning("%s", warning)
        for label in self._assembly.unfilled:
            logger.warning("the label %s is empty from now on: no format in use can fill it", label)
        logger.info("haproxy.cfg was read again: %d formats", len(found))

    def _end(self) -> None:
        self._ready = False
        self.web.stop()
        for source in self._sources:
            source.stop()
        self._selector.close()
        wake, self._wake = self._wake, None
        if wake:
            wake.close()
