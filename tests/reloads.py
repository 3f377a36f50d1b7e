"""Options read again: by a reloader and its state, driven as the service drives them, and by a real `serve`."""

import json
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from haproxy_log_exporter.flushing import Flusher
from haproxy_log_exporter.given import Source
from haproxy_log_exporter.reloading import Reloader
from haproxy_log_exporter.settings import Settings
from haproxy_log_exporter.state import State
from tests.pipelines import samples_of
from tests.services import line, times_said
from tests.states import copy_state
from tests.support import Exporter, Samples, serving, wait_until

Config = dict[str, Any]

TAKEN = "the configuration was read again"
REFUSED = "the configuration is not taken over, what was read before stays: "
SUCCEEDED = "haproxy_log_exporter_config_last_reload_successful"
MOMENT = "haproxy_log_exporter_config_last_reload_success_timestamp_seconds"
BYTES = "haproxy_log_bytes_read_total"


class Reloading:
    """A configuration file, what counts by it, and its state."""

    def __init__(self, folder: Path, config: Config, **texts: list[str]) -> None:
        """Begin with a configuration, beside other options as texts."""
        self._folder = folder
        self._texts = texts
        self._file = folder / "config.yml"
        self.write(config)
        self._begin()

    def _begin(self) -> None:
        source = Source({"formats": [], "files": ["haproxy.log"], "config": [str(self._file)], **self._texts}, {})
        self._state = State(str(self._folder / "state"))
        self._state.start()
        self._reloader = Reloader(source.read(), source.read, self._state)
        self._reloader.start()
        self._flusher = Flusher(self._reloader.pipeline, self._state, lambda: 0)
        self._flusher.restore()
        self.flush()

    def write(self, config: Config) -> None:
        """Write the file: JSON is YAML as well."""
        self._file.write_text(json.dumps(config))

    def count(self, *lines: bytes) -> None:
        """Take lines, each ending in a newline."""
        pipeline = self._reloader.pipeline
        pipeline.take(b"".join(lines), pipeline.intake("haproxy.log"))

    def flush(self) -> None:
        """Keep what was counted, and show it."""
        self._flusher.begin({}, {}, {}, lambda: None)
        assert self._flusher.settle(30)
        assert not self._flusher.failure

    def reload(self, config: Config) -> Settings | None:
        """Take another configuration over, as SIGHUP does."""
        self.write(config)
        self.flush()
        return self._reloader.read_all()

    def kill(self) -> None:
        """Go on from the state as it lies there now."""
        left = copy_state(self._folder / "state", self._folder / "left")
        self._state.stop()
        copy_state(left, self._folder / "state")
        self._begin()

    def shown(self) -> Samples:
        """Read what a scrape would show of the log metrics."""
        return samples_of(self._reloader.pipeline)

    @property
    def places(self) -> Mapping[str, tuple[int, int]]:
        """How many values each label has, and how many lines had no place, as shown."""
        return {label: (each.taken, each.capped) for label, each in self._reloader.pipeline.shown().labels.items()}

    def stop(self) -> None:
        """Close the state."""
        self._state.stop()


@contextmanager
def stopping(desk: Reloading) -> Iterator[Reloading]:
    """Close a state at the end."""
    try:
        yield desk
    finally:
        desk.stop()


class Site:
    """A configuration file, a log, and a `serve` that reads both, and datagrams."""

    def __init__(self, folder: Path, exporter: Exporter) -> None:
        self.exporter = exporter
        self.config = folder / "config.yml"
        self.log = folder / "haproxy.log"

    def configure(self, config: Config) -> None:
        """Write the file, all at once as editors and deployments do: JSON is YAML as well."""
        new = self.config.with_suffix(".new")
        new.write_text(json.dumps(config))
        new.rename(self.config)

    def hang_up(self, text: str, times: int = 1) -> str:
        """Send SIGHUP, and wait until something is said so often more; give the last of it."""
        before = times_said(self.exporter, text)
        self.exporter.process.send_signal(signal.SIGHUP)
        wait_until(lambda: times_said(self.exporter, text) >= before + times, what=text)
        assert times_said(self.exporter, text) == before + times
        return [message for message in self.exporter.messages if text in message][-1]

    def reload(self, config: Config) -> None:
        """Take another configuration over."""
        self.configure(config)
        self.hang_up(TAKEN)


@contextmanager
def site(folder: Path, config: Config, *options: str | Path) -> Iterator[Site]:
    """Run `serve` with a configuration."""
    (folder / "haproxy.log").touch()
    (folder / "config.yml").write_text(json.dumps(config))
    with serving("-f", folder / "haproxy.log", "--config", folder / "config.yml", *options) as exporter:
        assert exporter.port
        yield Site(folder, exporter)


class Traffic:
    """Lines that come in all the time: to a file, and as datagrams of the facility local0."""

    def __init__(self, log: Path, port: int) -> None:
        self.written = self.sent = 0
        self._log = log
        self._port = port
        self._stopping = Event()

    def _write(self) -> None:
        with self._log.open("ab", buffering=0) as file:
            while not self._stopping.wait(0.002):
                file.write(b"".join(line(200 + self.written % 5, f"/p/{name}") for name in "abcde"))
                self.written += 5

    def _send(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not self._stopping.wait(0.002):
                for name in "ab":
                    sender.sendto(b"<134>" + line(404, f"/u/{name}"), ("127.0.0.1", self._port))
                    self.sent += 1

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Let them come as long as the block lasts."""
        threads = [Thread(target=self._write), *([Thread(target=self._send)] if self._port else [])]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()


# One metric is counted by the same labels throughout: it tells whether each line counted once.
STEADY: Config = {"bytes_read_total": {"labels": []}}
MANY: tuple[Config, ...] = (
    {"metrics": {**STEADY, "requests_total": {"labels": ["status_code"]}}, "labels": ["backend_name"]},
    {"metrics": {**STEADY, "requests_total": None}, "labels": ["http_request_path"], "facility": ["local1"]},
    {"metrics": {**STEADY, "response_duration_seconds": {"buckets": [0.1, 1]}}, "static-labels": {"site": "berlin"}},
    {
        "metrics": {**STEADY, "requests_total": {"labels": ["status_class", "http_request_path"]}},
        "rules": {"http_request_path": [{"match": "/p/a", "action": "drop"}]},
        "max-label-values": {"http_request_path": 2},
        "max-series": 3,
    },
    {"metrics": {**STEADY, "requests_total": {"labels": ["http_request_path"]}}, "path-template": ["/p/{name}"]},
    {"metrics": STEADY, "format": ["httplog"], "log.level": "debug"},
)
