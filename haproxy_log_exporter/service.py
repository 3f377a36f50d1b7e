"""Wires the parts of `serve` together: start, turns of the loop, stop."""

import logging
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

from haproxy_log_exporter.configuration import ConfigFiles
from haproxy_log_exporter.engine import Assembly, Choice, compile_all
from haproxy_log_exporter.errors import OperationError, UsageError
from haproxy_log_exporter.flushing import Flusher
from haproxy_log_exporter.formats import configured_formats, with_former
from haproxy_log_exporter.logformat.envelopes import compile_facilities
from haproxy_log_exporter.logformat.wrappers import Unwrapper
from haproxy_log_exporter.marks import Kept, Streams
from haproxy_log_exporter.metrics.own import OwnMetrics, OwnState
from haproxy_log_exporter.pipeline import MOST_PENDING, Intake
from haproxy_log_exporter.records import Parser, line_time
from haproxy_log_exporter.rejects import RejectsLog
from haproxy_log_exporter.settings import Settings
from haproxy_log_exporter.sources.base import Chunk, Source
from haproxy_log_exporter.sources.datagram import DatagramSource
from haproxy_log_exporter.sources.framing import BLOCK, LONGEST_LINE
from haproxy_log_exporter.sources.tail import SCAN_SECONDS, FileSource, utf8
from haproxy_log_exporter.sources.wake import Wake
from haproxy_log_exporter.state import State
from haproxy_log_exporter.web.server import Served, WebServer

logger = logging.getLogger(__name__)

# What was read shows so many seconds later at the latest.
FLUSH_SECONDS = 1.0

# Stopping takes no longer than a second: so long for the last commit, the rest for closing.
_LAST_COMMIT_SECONDS = 0.7

# Two signals within so short a time are one: timeout(1) sends it to the process and to its group.
_TWICE_SECONDS = 0.1

# A chunk of this size says that there is more: no wait. After a smaller one a little is left to gather, so that a
# turn of the loop is not spent on a line or two.
_FULL = BLOCK // 4
_GATHER_FILES_SECONDS = 0.02
_GATHER_DATAGRAMS_SECONDS = 0.001

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

    def __init__(self, settings: Settings, choice: Choice, config: ConfigFiles | None = None) -> None:
        """Build all parts; open nothing yet. `config` is haproxy.cfg, from which the choice's formats were read.

        Raises:
            UsageError: with every mistake in formats, labels and metrics.
        """
        self._settings = settings
        self._assembly = Assembly(choice)
        self.pipeline = self._assembly.pipeline
        self._config = config
        self._configured = self._former = choice.configured
        self._facilities = compile_facilities(settings.facilities) if settings.facilities else None
        self._state = State(settings.state) if settings.state else None
        self._files: FileSource | None = None
        self._datagrams = [DatagramSource(url.text, url.address) for url in settings.syslog]
        self._sources: Sequence[Source] = ()
        self._intakes: dict[str, Intake] = {}
        self._held: dict[str, str] = {}  # lines begun in wrappers, of streams of which nothing was read yet
        self._parser = Parser(compile_all(choice))
        self._rejects = RejectsLog(time.monotonic)
        self._flusher = Flusher(self.pipeline, self._state, lambda: self.web.refused)
        self.web = WebServer(settings.listen_address, self._served())
        self._wake: Wake | None = None
        self._selector = selectors.DefaultSelector()
        self._ready = False
        self._stopping = False
        self._asked_to_stop = 0.0
        self._reloading = False
        self._next_flush = 0.0
        self._active_until = 0.0

    def _served(self) -> Served:
        own = OwnState(
            lambda: self._flusher.refused,
            time.time,
            lambda: self._flusher.flushes,
            (lambda: not self._flusher.problem) if self._state else None,
        )
        return Served(
            telemetry_path=self._settings.telemetry_path,
            shown=self.pipeline.shown,
            own=lambda shown: OwnMetrics(own, shown),
            problem=self._problem,
            sources=(*map(utf8, self._settings.files), *(source.name for source in self._datagrams)),
        )

    def _problem(self) -> str:
        """Say why it is not ready; nothing where it is."""
        return self._flusher.problem if self._ready else "starting or stopping"

    @property
    def datagram_ports(self) -> list[int]:
        """The ports of the UDP sources, once they are open."""
        return [source.port for source in self._datagrams]

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is called or a signal comes; then flush what was read.

        `on_ready` is called once all is open.

        Raises:
            OperationError: where an address cannot be had, or the state cannot be used, or not be written at the end.
        """
        try:
            self._start()
            on_ready()
            while not self._stopping:
                self._turn()
            self._finish()
        finally:
            self._end()

    def stop(self) -> None:
        """End `run`; safe in signal handlers and other threads."""
        self._stopping = True
        self._set_wake()

    def stop_on_signals(self) -> None:
        """Let SIGTERM and SIGINT stop the service, and SIGHUP read haproxy.cfg again."""
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
            self._state.restore(self._assembly.tables)
            self._held = {path: kept.held for path, kept in self._state.streams.items() if kept.held}
            self._check_held()
        self._make_sources()
        self._flusher.restore()
        for name, intake in self._intakes.items():
            self._rejects.start(name, intake)
        for source in self._sources:
            source.start()
            descriptor = source.fileno()
            if descriptor is not None:
                self._selector.register(descriptor, selectors.EVENT_READ)
        self._flush()
        self._flusher.settle(FLUSH_SECONDS)
        self.web.start()
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._ready = True
        logger.info("serving on port %d", self.web.port)

    def _check_held(self) -> None:
        for stream, held in self._held.items():
            try:
                Unwrapper(LONGEST_LINE).hold(held)
            except ValueError as error:
                message = f"--state: {self._settings.state} is damaged: of {stream}, {error}"
                raise OperationError(message) from error

    def _make_sources(self) -> None:
        if self._settings.files:
            self._files = self._make_files()
            self._intakes |= {name: self.pipeline.intake(name) for name in self._files.names}
        for source in self._datagrams:
            self._intakes[source.name] = self.pipeline.intake(source.name, self._facilities, one_sender=False)
        self._sources = [*([self._files] if self._files else []), *self._datagrams]

    def _make_files(self) -> FileSource:
        streams: Streams = self._state.streams if self._state else {}
        counters = self._state.counters if self._state else {}
        return FileSource(
            self._settings.files,
            from_beginning=self._settings.start == "beginning",
            marks={path: kept.marks for path, kept in streams.items()},
            since={source: moment for (name, source), moment in counters.items() if name == "since"},
            without=self._state.paths if self._state else (),
        )

    def _turn(self) -> None:
        """Read each source once, flush when it is time, and wait for more."""
        self._flusher.settle()
        most, lines_of_files = 0, False
        for source in self._sources:
            if source is self._files and self._is_held_up():
                continue
            for chunk in source.read():
                self._take(chunk)
                most = max(most, len(chunk.lines))
                lines_of_files = lines_of_files or source is self._files
        now = time.monotonic()
        if lines_of_files:
            self._poll_files(now)
        if (now >= self._next_flush or self.pipeline.pending > MOST_PENDING) and not self._flusher.is_busy:
            self._flush()
            self._reload_if_changed()
        elif self.pipeline.pending > MOST_PENDING:
            self.pipeline.fold()
        if most < _FULL and not (self._files and self._files.is_behind and not self._is_held_up()):
            self._wait(now, gathering=most > 0)

    def _take(self, chunk: Chunk) -> None:
        intake = self._intakes[chunk.source]
        if chunk.stream in self._held:
            intake.stream(chunk.stream).unwrapper.hold(self._held.pop(chunk.stream))
        intake.tally.rejected += chunk.overlong
        if chunk.lines:
            self.pipeline.take(chunk.lines, intake, chunk.stream)
        if chunk.last:
            self.pipeline.end(intake, chunk.stream)

    def _is_held_up(self) -> bool:
        """Whether files have to wait: their lines stay where they are, unlike those of sockets."""
        return bool(self._flusher.failure) or (self._flusher.is_busy and self.pipeline.pending > MOST_PENDING)

    def _wait(self, now: float, *, gathering: bool) -> None:
        """Wait for more; only as long as nothing is due."""
        assert self._wake
        if gathering and self._datagrams:
            time.sleep(_GATHER_DATAGRAMS_SECONDS)
        timeout = FLUSH_SECONDS if self._flusher.is_busy else max(0.0, self._next_flush - now)
        if self._files:
            if now < self._active_until:
                timeout = min(timeout, _GATHER_FILES_SECONDS)
            else:
                timeout = min(timeout, SCAN_SECONDS)
                if self._wake.watch(self._files.paths()):
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
        for name, intake in self._intakes.items():
            tally = intake.tally
            self._rejects.look_at(name, intake)
            if tally.newest:
                moment = line_time(self._parser.parse(tally.newest.rstrip(b"\n")))
                tally.newest_time = tally.newest_time if moment is None else moment
                tally.newest = b""
        conditions = {name: each for source in self._sources for name, each in source.conditions().items()}
        since = self._files.since if self._files else {}
        self._flusher.begin(conditions, self._streams(), since, self._set_wake)
        self._next_flush = began + FLUSH_SECONDS

    def _streams(self) -> Streams:
        """Say how far all files are read, and what was read of lines that are only begun."""
        if not self._state:
            return {}
        if not self._files:
            return self._state.streams
        held = {**self._held}
        for intake in self._intakes.values():
            held |= {name: stream.unwrapper.held() for name, stream in intake.streams.items()}
        return {path: Kept(marks, held.get(path, "")) for path, marks in self._files.marks().items()}

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

    def _finish(self) -> None:
        """Flush what was read. What cannot be kept within the time is read again by the next one."""
        self._ready = False
        deadline = time.monotonic() + _LAST_COMMIT_SECONDS
        settled = self._flusher.settle(_LAST_COMMIT_SECONDS)
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
        for source in self._sources:
            source.stop()
        if self._state and self._flusher.settle(0.0):
            self._state.stop()
        self._selector.close()
        wake, self._wake = self._wake, None
        if wake and not self._flusher.is_busy:  # else the commit's end would wake whoever has the descriptor then
            wake.close()
