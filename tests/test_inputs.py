"""All sources together, at the end."""

import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from haproxy_log_exporter.inputs import Inputs
from haproxy_log_exporter.settings import read_settings
from haproxy_log_exporter.sockets import InheritedSockets
from haproxy_log_exporter.sources import datagram
from haproxy_log_exporter.sources.batch import MOST
from tests.pipelines import HTTP, build, results

NAME = "udp://127.0.0.1:0"


@contextmanager
def opened(**options: list[str]) -> Iterator[Inputs]:
    """Open what the options say for a while."""
    settings, problems = read_settings(options, {})
    assert problems == []
    inputs = Inputs(settings, build(), None)
    with selectors.DefaultSelector() as selector:
        try:
            inputs.make(InheritedSockets([]), None)
            inputs.start(selector)
            yield inputs
        finally:
            inputs.stop()


def test_the_end_is_behind_all_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads that find nothing but datagrams of others are not the end; what has come behind these counts."""
    monkeypatch.setattr(datagram, "MOST_AT_ONCE", 2 * MOST)
    with opened(syslog=[NAME], allow=["127.0.0.1"]) as inputs:
        [port] = inputs.ports
        for sender, count in (("127.0.0.2", 4 * MOST), ("127.0.0.1", 5)):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((sender, 0))
                for _ in range(count):
                    sock.sendto(HTTP + b"\n", ("127.0.0.1", port))
        inputs.finish(30)
        assert results(inputs.intakes[NAME].tally) == (5, 0, 0, 0)
        condition = inputs.conditions()[NAME]
        assert (condition.refused, condition.dropped) == ({"sender": 4 * MOST}, 0)
