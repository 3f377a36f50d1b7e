"""What several tests use: real programs, the exporter as a process, and reading what it serves."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from prometheus_client.parser import text_string_to_metric_families

FIXTURES = Path(__file__).parent.parent / "fixtures"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


# Paths with numbers are to count each by itself.
EACH_PATH = ("--no-path-ids", "--max-label-values", "1000000", "--max-series", "1000000")


def give_up(message: str) -> NoReturn:
    """Skip the test for what is missing; fail it where REQUIRE_PROGRAMS is set."""
    if os.environ.get("REQUIRE_PROGRAMS"):
        pytest.fail(message)
    pytest.skip(message)


def need(*programs: str) -> None:
    """Skip the test where a program is missing; fail it where REQUIRE_PROGRAMS is set."""
    for program in programs:
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            give_up(f"{program} is not installed")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Find a port of 127.0.0.1 that nobody uses at the moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], object], seconds: float = 30.0, what: str = "") -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s for {what or holds}")
        time.sleep(0.02)


def read_samples(text: str) -> Samples:
    """Read an exposition with prometheus_client's parser, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """Add up the samples of a name that have these labels."""
    wanted = set(labels.items())
    return sum(value for (sample, pairs), value in samples.items() if sample == name and wanted <= pairs)


class Exporter:
    """A running `serve` with its metrics on a port of its own choice."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Begin reading its messages."""
        self.process = process
        self.messages: list[str] = []
        self._reader = threading.Thread(target=self._read_messages)
        self._reader.start()

    def _read_messages(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.messages.append(json.loads(line)["msg"] if line.startswith("{") else line.rstrip("\n"))

    def _port(self, pattern: str) -> int:
        found: list[str] = []

        def said() -> bool:
            found.extend(match[1] for message in self.messages if (match := re.search(pattern, message)))
            return bool(found) or self.process.poll() is not None

        wait_until(said, what=f"the message {pattern}")
        assert found, self.messages
        return int(found[0])

    @property
    def port(self) -> int:
        """The port of the metrics."""
        return self._port(r"serving on port (\d+)")

    @property
    def syslog_port(self) -> int:
        """The port of the first source for syslog that has one."""
        return self._port(r"listening on \w+://\S+, port (\d+)")

    def get(self, path: str, **headers: str) -> tuple[bytes, dict[str, str]]:
        """Fetch a path: body and headers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            headers={name.replace("_", "-"): text for name, text in headers.items()},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read(), dict(answer.headers)

    def scrape(self) -> Samples:
        """Read all metrics."""
        return read_samples(self.get("/metrics")[0].decode())

    def wait_for_lines(self, count: int, seconds: float = 60.0) -> Samples:
        """Wait until so many lines have been read, whatever became of them; give all metrics of then."""
        seen: list[Samples] = []

        def there() -> bool:
            seen[:] = [self.scrape()]
            return total(seen[0], "haproxy_log_exporter_lines_total") >= count

        wait_until(there, seconds, f"{count} lines")
        return seen[0]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(timeout=30)
        self._reader.join()
        assert self.process.stderr
        self.process.stderr.close()
        return status


def command(*arguments: str | Path) -> list[str]:
    """Give the command line of the exporter under the interpreter of the tests."""
    return [sys.executable, "-m", "haproxy_log_exporter", *map(str, arguments)]


@contextmanager
def serving(*arguments: str | Path, stdin: int | None = None) -> Iterator[Exporter]:
    """Run `serve` for a while; `stdin` is a descriptor to be its standard input."""
    listen = ("--web.listen-address", "127.0.0.1:0", "--log.format", "json")
    process = subprocess.Popen(command("serve", *listen, *arguments), stdin=stdin, stderr=subprocess.PIPE, text=True)
    exporter = Exporter(process)
    try:
        yield exporter
    finally:
        exporter.stop()


def run(*arguments: str | Path, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run a command of the exporter to its end."""
    return subprocess.run(command(*arguments), input=stdin, capture_output=True, timeout=120, check=False)
