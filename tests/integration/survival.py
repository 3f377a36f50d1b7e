"""A real `serve --state` that is killed again and again while its log is written, rotated, and scraped.

Strategy: whatever happens, at each scrape no counter is lower than at any before, all counts are of one moment, and no
line is counted that is not written. At the end each line is counted once: the lines of a path by their number, by the
sum of their own numbers, and by their times, so no line that is lost can be made up for by one that counts twice.
"""

import http.client
import random
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from haproxy_log_exporter.service import FLUSH_SECONDS
from tests.integration.numbered_log import BOUNDS, Rotation, Rotator, Writer, expected, line, repeating
from tests.support import EACH_PATH, Exporter, serving, wait_until

LINES = "haproxy_log_exporter_lines_total{"
REQUESTS = "haproxy_log_requests_total{http_request_path="
COUNTERS = ("_total", "_bucket", "_count", "_sum")
MOMENTS = ("starting", "ready", "shown", "flushing", "later")
SCRAPE_SECONDS = 0.05
DATAGRAMS = "udp://127.0.0.1:0"
DATAGRAM_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Load:
    """How often the exporter is killed, how many seconds it lives at most, and how many lines are written a second."""

    kills: int
    seconds: float
    rate: int
    seed: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Load":
        """Take what `make soak` gives; what it does not give is as for the short version."""
        return cls(
            kills=int(environment.get("SOAK_KILLS", "10")),
            seconds=float(environment.get("SOAK_SECONDS", "3")),
            rate=int(environment.get("SOAK_RATE", "20000")),
            seed=int(environment.get("SOAK_SEED", "1")),
        )


class Scraper:
    """Scrapes whatever exporter runs, and checks each scrape against all before."""

    def __init__(self, log: Path, writer: Writer) -> None:
        """Scrape nothing yet."""
        self.scrapes = 0
        self.exporter: Exporter | None = None
        self.problems: list[str] = []
        self.shown: dict[str, float] = {}
        self._writer = writer
        self._source = f'source="{log}"}}'

    @property
    def counted(self) -> int:
        """How many lines of the log were counted at the last scrape."""
        return int(self.shown.get(f'{LINES}result="counted",{self._source}', 0))

    def port(self, message: str) -> int:
        """Find a port that the running exporter has told of; 0 before it has."""
        messages = self.exporter.messages if self.exporter else []
        return next((int(found[1]) for each in messages if (found := re.search(f"^{message}(\\d+)", each))), 0)

    def scrape(self) -> float:
        """Scrape once, if there is somebody to answer; tell how long to wait."""
        if port := self.port("serving on port "):
            with suppress(OSError, http.client.HTTPException):  # it is killed at any moment
                self._check(_read(_fetch(port)))
        return SCRAPE_SECONDS

    def _check(self, found: dict[str, float]) -> None:
        self.scrapes += 1
        for key, before in self.shown.items():
            now = found.get(key)
            if now is None or now < before:
                self.problems.append(f"scrape {self.scrapes}: {key} was {before} and is {now}")
        self.shown = found
        requests = sum(value for key, value in found.items() if key.startswith(f'{REQUESTS}"/n/'))
        read = sum(value for key, value in found.items() if key.startswith(LINES) and self._source in key)
        if not requests == read == self.counted <= self._writer.lines:
            counts = f"{requests:.0f} requests, {self.counted} of {read:.0f} lines, {self._writer.lines} written"
            self.problems.append(f"scrape {self.scrapes}: {counts}")


def _fetch(port: int) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()


def _read(text: str) -> dict[str, float]:
    """Read the counters of an exposition, those of the exporter itself too."""
    found = {}
    for each in text.splitlines():
        key, _, value = each.rpartition(" ")
        if key.startswith("haproxy_log_") and key.partition("{")[0].endswith(COUNTERS):
            found[key] = float(value)
    return found


class Sender:
    """Sends datagrams to the exporter that runs, as HAProxy does. What it has not read when it is killed is lost."""

    def __init__(self, scraper: Scraper, socket_: socket.socket) -> None:
        """Send nothing yet."""
        self.sent = 0
        self._scraper = scraper
        self._socket = socket_

    def send(self) -> float:
        """Send one; tell how long to wait."""
        if port := self._scraper.port("listening on udp://127.0.0.1:0, port "):
            self._socket.sendto(line(self.sent, "/udp").encode(), ("127.0.0.1", port))
            self.sent += 1
        return DATAGRAM_SECONDS


class Survival:
    """One exporter's lives, from one kill to the next."""

    def __init__(self, folder: Path, rotation: Rotation, load: Load) -> None:
        """Make an empty log and the rest; the exporter comes later."""
        (logs := folder / "logs").mkdir()
        logs.chmod(0o755)  # logrotate takes no directory that a group may write to
        self.kills = 0
        self.load = load
        self.writer = Writer(folder, rotation, load.rate, load.seed)
        self.rotator = Rotator(folder, rotation, load.seed)
        self.scraper = Scraper(self.writer.path, self.writer)
        self._folder = folder
        self._random = random.Random(f"{load.seed} killer")
        self._moments: list[str] = []

    def run(self) -> None:
        """Kill it as often as the load says; then let it finish, and hold what it shows against what was written."""
        with ExitStack() as stack:
            stack.callback(self.writer.close)
            sender = Sender(self.scraper, stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
            stack.enter_context(repeating(self.scraper.scrape))
            with repeating(self.writer.write_due), repeating(self._rotate), repeating(sender.send):
                while self.kills < self.load.kills:
                    self._live_and_be_killed()
            with self._life() as exporter:
                self._wait_for_all("the last lines")
                assert exporter.stop() == 0
            with self._life():
                self.writer.write(1)
                self._wait_for_all("one line more")
        self._compare(sender.sent)

    @property
    def summary(self) -> str:
        """Say what it has survived."""
        return (
            f"{self.kills} kills, {self.writer.lines} lines, {self.rotator.rotations} rotations, "
            f"{self.scraper.scrapes} scrapes: each line was counted once, and no counter ever went back"
        )

    def _rotate(self) -> float:
        """Rotate, once there is an exporter that knows the log: what was rotated before that is not its matter."""
        return self.rotator.rotate() if self.scraper.counted else SCRAPE_SECONDS

    @contextmanager
    def _life(self) -> Iterator[Exporter]:
        """Let an exporter go on from the state; what it said is appended to a file."""
        options: dict[str, str | Path] = {
            "--file": self.writer.path,
            "--state": self._folder / "state.db",
            "--start": "beginning",
            "--syslog": DATAGRAMS,
            "--labels": "http_request_path",
            "--metrics": "requests_total,bytes_read_total,response_duration_seconds",
            "--buckets": ",".join(BOUNDS),
        }
        with serving(*chain.from_iterable(options.items()), *EACH_PATH) as exporter:
            self.scraper.exporter = exporter
            try:
                yield exporter
            finally:
                self.scraper.exporter = None
                exporter.stop(signal.SIGKILL)
                with (self._folder / "messages").open("a") as file:
                    file.writelines(f"{message}\n" for message in [*exporter.messages, "--"])
        problems = [message for message in exporter.messages if " is gone" in message] + self.scraper.problems[:5]
        assert not problems, problems

    def _live_and_be_killed(self) -> None:
        """Kill it while it starts, once it is ready or has shown something new, when it flushes again, or later."""
        if not self._moments:
            self._moments = self._random.sample(MOMENTS, len(MOMENTS))
        moment, seconds = self._moments.pop(), self._random.random()
        with self._life() as exporter:
            before = self.scraper.counted
            if moment == "starting":
                time.sleep(seconds)
            else:
                assert exporter.port
            if moment == "ready":
                time.sleep(seconds / 10)
            if moment in ("shown", "flushing"):
                wait_until(lambda: self.scraper.counted > before, what="the next lines")
            if moment == "flushing":
                time.sleep(FLUSH_SECONDS - seconds / 10)
            elif moment == "later":
                time.sleep(self.load.seconds * seconds)
            assert exporter.stop(signal.SIGKILL) == -signal.SIGKILL, exporter.messages
        self.kills += 1

    def _wait_for_all(self, what: str) -> None:
        wait_until(lambda: self.scraper.counted >= self.writer.lines or self.scraper.problems, 30, what)

    def _compare(self, sent: int) -> None:
        """Hold the last scrape against what was written: every sample of the log, and the exporter's own counts."""
        lines, shown = self.writer.lines, self.scraper.shown
        wanted = expected(lines)
        wanted[f'haproxy_log_exporter_bytes_read_total{{source="{self.writer.path}"}}'] = self.writer.octets
        of_log = {key for key in shown if 'path="/n/' in key}
        wrong = {
            key: (shown.get(key), wanted.get(key))
            for key in of_log | wanted.keys()
            if shown.get(key) != wanted.get(key)
        }
        assert not wrong, (len(wrong), dict(islice(wrong.items(), 5)))
        assert self.rotator.rotations > 0
        assert 0 < shown[f'{REQUESTS}"/udp"}}'] <= sent
