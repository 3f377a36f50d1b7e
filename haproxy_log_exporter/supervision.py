"""What systemd is told, where it asks to be: sd_notify(3)."""

import logging
import socket
import time
from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

# The status is for people: each change of it is a signal on the bus.
_STATUS_SECONDS = 10.0

# How long a systemd that is busy is waited for: with what it has to know, and with what comes again while datagrams do.
_STATE_SECONDS = 1.0
_BEAT_SECONDS = 0.1
_AGAIN_SECONDS = 0.5  # a beat that was not heard comes again so much later


class Supervisor:
    """Tells that the service is ready, that it lives, how it stands, and that it stops."""

    def __init__(self, environment: Mapping[str, str], process: int, now: Callable[[], float] = time.monotonic) -> None:
        """Read from the variables whether there is anyone to tell; `process` is this one's number."""
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = address.replace("@", "\0", 1) if address.startswith("@") else address
        self._now = now
        self._socket: socket.socket | None = None
        self._next_status = 0.0
        self._next_beat = 0.0
        self._interval = _watchdog_seconds(environment, process) / 2 if address else 0.0

    def wait_seconds(self, most: float) -> float:
        """Say how long the loop may wait, at the most so long, until it is to be told that it lives."""
        return min(most, max(0.0, self._next_beat - self._now())) if self._interval else most

    def ready(self) -> None:
        """Tell that all is open."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Tell that configuration is read again; `ready` tells the end of it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Tell that it is about to end."""
        self._tell("STOPPING=1")

    def beat(self, status: Callable[[], str]) -> None:
        """Tell that the loop goes round, and from time to time how things stand."""
        if not self._address:
            return
        now = self._now()
        if self._interval and now >= self._next_beat:
            is_told = self._tell("WATCHDOG=1", _BEAT_SECONDS)
            self._next_beat = now + (self._interval if is_told else min(self._interval, _AGAIN_SECONDS))
        if now >= self._next_status:
            self._next_status = now + _STATUS_SECONDS
            self._tell(f"STATUS={status()}", _BEAT_SECONDS)

    def stop(self) -> None:
        """Close what it tells by."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _tell(self, message: str, seconds: float = _STATE_SECONDS) -> bool:
        if not self._address:
            return False
        try:
            if self._socket is None:  # one for all messages: descriptors may run out
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(seconds)
            self._socket.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError as error:  # it goes on without
            logger.debug("systemd cannot be told: %s", error)
            return False
        return True


def _watchdog_seconds(environment: Mapping[str, str], process: int) -> float:
    """How often systemd wants to hear of this process, in seconds; 0 where it does not."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or environment.get("WATCHDOG_PID", str(process)) != str(process):
        return 0.0
    return int(microseconds) / 1e6
