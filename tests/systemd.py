"""What systemd does for a service, done by tests: it hands sockets down, and is told how the service stands."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support import Exporter, command, wait_until

# Has sockets where sd_listen_fds(3) looks for them, and goes on as the command. What it is given comes as others first,
# so that none is overwritten before it was moved.
_HAND_DOWN = """
import fcntl, os, sys
given = [int(number) for number in sys.argv[1].split(",")]
descriptors = [fcntl.fcntl(number, fcntl.F_DUPFD, 200) for number in given]
for number in given:
    os.close(number)
for place, descriptor in enumerate(descriptors, 3):
    os.dup2(descriptor, place)
    os.close(descriptor)
os.environ |= {"LISTEN_FDS": str(len(descriptors)), "LISTEN_PID": sys.argv[2] or str(os.getpid())}
os.execvp(sys.argv[3], sys.argv[3:])
"""

SERVE = ("serve", "--log.format", "json")
ON_ANY_PORT = ("--web.listen-address", "127.0.0.1:0")


def handing_down(sockets: Sequence[socket.socket], *arguments: str | Path, process: str = "") -> list[str]:
    """Give the command line that hands sockets down to a command; `process` is whom they are said to be for."""
    numbers = ",".join(str(sock.fileno()) for sock in sockets)
    return [sys.executable, "-c", _HAND_DOWN, numbers, process, *map(str, arguments)]


@contextmanager
def activated(
    sockets: Sequence[socket.socket], *options: str | Path, process: str = "", before: Sequence[str] = ()
) -> Iterator[Exporter]:
    """Run a `serve` with these sockets for a while; `before` is a command that runs it."""
    line = handing_down(sockets, *before, *command(*SERVE, *ON_ANY_PORT, *options), process=process)
    descriptors = [sock.fileno() for sock in sockets]
    exporter = Exporter(subprocess.Popen(line, stderr=subprocess.PIPE, text=True, pass_fds=descriptors))
    try:
        yield exporter
    finally:
        exporter.stop()


def refused(sockets: Sequence[socket.socket]) -> tuple[int, list[str]]:
    """Run a `serve` that ends at once: its exit status and its messages."""
    line = handing_down(sockets, *command(*SERVE, *ON_ANY_PORT))
    descriptors = [sock.fileno() for sock in sockets]
    told = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, pass_fds=descriptors)
    return told.returncode, [line.removeprefix("haproxy-log-exporter: ") for line in told.stderr.splitlines()]


class NotifySocket:
    """Hears what a service tells systemd, and when; `address` is what NOTIFY_SOCKET has."""

    def __init__(self, address: str) -> None:
        """Listen."""
        self.address = address
        self.heard: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        self._thread = threading.Thread(target=self._hear)
        self._thread.start()

    def _hear(self) -> None:
        while message := self._socket.recv(65536):
            self.heard.append((time.monotonic(), message.decode()))

    def messages(self) -> list[str]:
        """Give what was heard so far."""
        return [message for _, message in self.heard]

    def times(self, beginning: str) -> list[float]:
        """Give when messages were heard that begin so."""
        return [moment for moment, message in self.heard if message.startswith(beginning)]

    def wait_for(self, beginning: str, count: int = 1, seconds: float = 30) -> list[float]:
        """Wait for so many messages that begin so."""
        wait_until(lambda: len(self.times(beginning)) >= count, seconds, f"{count} × {beginning}: {self.heard}")
        return self.times(beginning)

    def close(self) -> None:
        """Hear no more, and leave nothing behind."""
        self._socket.shutdown(socket.SHUT_RD)
        self._thread.join()
        self._socket.close()
        if not self.address.startswith("@"):
            os.unlink(self.address)


@contextmanager
def listening_to(address: str | Path) -> Iterator[NotifySocket]:
    """Hear what is told for a while."""
    heard = NotifySocket(str(address))
    try:
        yield heard
    finally:
        heard.close()


@contextmanager
def nobody_reading(path: Path) -> Iterator[socket.socket]:
    """Have a socket whose queue is full for a while."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full, socket.socket(full.family, full.type) as sender:
        full.bind(str(path))
        sender.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                sender.sendto(b"x", str(path))
        yield full
    path.unlink()
