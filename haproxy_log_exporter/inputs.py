"""What `serve` reads: all sources, and the intakes of the pipeline that their lines go to."""

import selectors
import time
from collections.abc import Mapping, Sequence

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.logformat.envelopes import compile_facilities
from haproxy_log_exporter.logformat.wrappers import Unwrapper
from haproxy_log_exporter.marks import Streams
from haproxy_log_exporter.metrics.shown import Condition
from haproxy_log_exporter.opening import make_files, make_journals, make_stdin, make_syslog
from haproxy_log_exporter.pipeline import Intake, Pipeline
from haproxy_log_exporter.settings import Settings
from haproxy_log_exporter.sockets import InheritedSockets
from haproxy_log_exporter.sources.base import Chunk, Source
from haproxy_log_exporter.sources.datagram import DatagramSource
from haproxy_log_exporter.sources.framing import LONGEST_LINE
from haproxy_log_exporter.sources.stream import StreamSource
from haproxy_log_exporter.sources.tail import FileSource
from haproxy_log_exporter.sources.tls import Certificates
from haproxy_log_exporter.state import State

# Between two looks at senders that have been asked to end.
_PAUSE_SECONDS = 0.002


class Inputs:
    """Reads all sources into a pipeline, turn by turn."""

    def __init__(self, settings: Settings, pipeline: Pipeline, state: State | None) -> None:
        """Make nothing yet; the state is not open."""
        self.files: FileSource | None = None
        self.intakes: dict[str, Intake] = {}
        self._settings = settings
        self._pipeline = pipeline
        self._state = state
        self._sources: list[Source] = []
        self._syslog: Sequence[DatagramSource | StreamSource] = ()
        self._over: list[Source] = []
        self._selector: selectors.BaseSelector | None = None
        self._others: Streams = {}  # what is kept of sources that are not read this time
        self._held: dict[str, str] = {}  # lines begun in wrappers, of streams of which nothing was read yet

    def make(self, inherited: InheritedSockets, certificates: Certificates | None) -> None:
        """Make the sources, which go on where the state says.

        Raises:
            OperationError: where that is damaged.
        """
        kept: Streams = self._state.streams if self._state else {}
        counters = self._state.counters if self._state else {}
        self._others = {name: each for name, each in kept.items() if each.place or not self._settings.files}
        self._held = {name: each.held for name, each in kept.items() if each.held}
        self._check_held()
        if self._settings.files:
            since = {source: moment for (name, source), moment in counters.items() if name == "since"}
            self.files = make_files(self._settings, kept, since, self._state.paths if self._state else ())
            self._sources.append(self.files)
        self._syslog = make_syslog(self._settings, inherited, certificates, kept)
        self._sources += [*self._syslog, *make_journals(self._settings, kept), *make_stdin(self._settings)]
        for source in self._sources:
            for name in source.names:
                self.intakes[name] = self._pipeline.intake(name, one_sender=source.one_sender)
        self.set_facilities(self._settings.facilities)

    def set_facilities(self, names: Sequence[str]) -> None:
        """Of syslog, read these facilities alone from now on, or all where there are none."""
        facilities = compile_facilities(names) if names else None
        for source in self._sources:
            for name in source.names:
                self.intakes[name].facilities = None if source is self.files else facilities

    def _check_held(self) -> None:
        for stream, held in self._held.items():
            try:
                Unwrapper(LONGEST_LINE).hold(held)
            except ValueError as error:
                message = f"--state: {self._settings.state} is damaged: of {stream}, {error}"
                raise OperationError(message) from error

    def start(self, selector: selectors.BaseSelector) -> None:
        """Open all sources, those that can be waited on with the selector.

        Raises:
            OperationError: where one cannot be opened.
        """
        self._selector = selector
        for source in self._sources:
            source.start()
            descriptor = source.fileno()
            if descriptor is not None:
                selector.register(descriptor, selectors.EVENT_READ)

    @property
    def ports(self) -> Sequence[int]:
        """The ports of the sources of syslog, once they are open."""
        return [source.port for source in self._syslog]

    @property
    def are_over(self) -> bool:
        """Whether there is nothing left to read."""
        return not self._sources

    @property
    def cannot_wait(self) -> bool:
        """Whether there are senders that lose what is not read."""
        return any(not source.can_wait for source in self._sources)

    def is_behind(self, *, held_up: bool) -> bool:
        """Whether there is more to read at once."""
        return any(source.is_behind for source in self._sources if not (held_up and source.can_wait))

    def read(self, *, held_up: bool) -> Mapping[str, int]:
        """Read each source once, where `held_up` not those that can wait; tell how many bytes came of which."""
        sizes: dict[str, int] = {}
        for source in [*self._sources]:
            if held_up and source.can_wait:
                continue
            chunks = source.read()
            for chunk in chunks:
                self._take(chunk)
                sizes[chunk.source] = max(sizes.get(chunk.source, 0), len(chunk.lines))
            if any(chunk.last and not chunk.stream for chunk in chunks):
                self._remove(source)
        return sizes

    def finish(self, seconds: float) -> None:
        """Take what would be lost when nothing is read any more, for so long at the most."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [source.finish() for source in self._sources]
            for chunks in found:
                for chunk in chunks or ():
                    self._take(chunk)
            if all(chunks is None for chunks in found):
                return
            if not any(found):
                time.sleep(_PAUSE_SECONDS)

    def _take(self, chunk: Chunk) -> None:
        intake = self.intakes[chunk.source]
        if chunk.stream in self._held:
            intake.stream(chunk.stream).unwrapper.hold(self._held.pop(chunk.stream))
        intake.tally.rejected += chunk.overlong
        if chunk.lines:
            self._pipeline.take(chunk.lines, intake, chunk.stream)
        if chunk.last:
            self._pipeline.end(intake, chunk.stream)

    def _remove(self, source: Source) -> None:
        """Read a source no more."""
        descriptor = source.fileno()
        if descriptor is not None and self._selector:
            self._selector.unregister(descriptor)
        self._sources.remove(source)
        self._over.append(source)

    def conditions(self) -> Mapping[str, Condition]:
        """Say how all sources stand."""
        sources = (*self._sources, *self._over)
        return {name: condition for source in sources for name, condition in source.conditions().items()}

    def kept(self) -> Streams:
        """Say up to where the lines of all sources were taken, and what was read of lines that are only begun."""
        kept = {**self._others}
        for source in self._sources:
            kept |= source.kept()
        held = {**self._held}
        for intake in self.intakes.values():
            held |= {name: stream.unwrapper.held() for name, stream in intake.streams.items()}
        return {name: each._replace(held=held.get(name, each.held)) for name, each in kept.items()}

    @property
    def since(self) -> Mapping[str, float]:
        """Since when each pattern of files is followed."""
        return self.files.since if self.files else {}

    def stop(self) -> None:
        """Close all sources."""
        for source in (*self._sources, *self._over):
            source.stop()
