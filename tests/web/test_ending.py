"""The end of the server: who has asked, or has just come to ask, is answered; who rests does not hold it up."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from haproxy_log_exporter.web.server import Served, WebServer
from tests.support import wait_until
from tests.web import LOOPBACK, SECONDS, SMALL, ask_on, connect, connection_threads, large, not_reading


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server wait for longer than a test would."""
    monkeypatch.setattr("haproxy_log_exporter.web.server._ENDING_SECONDS", 10 * SECONDS)


@contextmanager
def serving(served: Served) -> Iterator[WebServer]:
    """Serve, until it is ended in the block."""
    server = WebServer(LOOPBACK, served)
    server.start()
    yield server
    assert not connection_threads()


@contextmanager
def ending(server: WebServer) -> Iterator[None]:
    """End the server during the block, which begins once it takes nobody new, and wait until it has ended."""
    thread = threading.Thread(target=server.stop)
    inner = server._server
    assert inner
    thread.start()
    wait_until(lambda: inner.ending, what="the end to begin")
    try:
        yield
    finally:
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_who_has_come_is_answered() -> None:
    """A connection that was taken and has asked nothing yet."""
    with serving(SMALL) as server, closing(connect(server.port)) as client:
        client.connect()
        wait_until(lambda: connection_threads() == 1, what="the connection to be taken")
        with ending(server):
            status, headers, body = ask_on(client, "/metrics")
    assert status == 200
    assert headers["Connection"] == "close"
    assert b"haproxy_log_requests_total" in body


def test_who_rests_is_not_waited_for() -> None:
    """A connection that was answered is closed, as a client that keeps it has to expect."""
    with serving(SMALL) as server, closing(connect(server.port)) as client:
        assert ask_on(client, "/-/healthy")[0] == 200
        assert client.sock
        raw = client.sock
        with ending(server):
            assert raw.recv(1) == b""


@pytest.mark.parametrize("before", [b"", b"GET /-/healthy HTTP/1.1\r\n\r\n"])
def test_an_answer_is_ended(before: bytes) -> None:
    """A client that is slow to read a large one, its first or not, gets all of it."""
    with ExitStack() as clients, serving(large()) as server:
        client = clients.enter_context(not_reading(server.port, before + b"GET /metrics HTTP/1.1\r\n\r\n"))
        received = b"H"
        while b"# HELP" not in received:
            received += client.recv(1 << 10)
        with ending(server):
            while not received.endswith(b"\r\n0\r\n\r\n"):
                block = client.recv(1 << 20)
                assert block, "the answer breaks off"
                received += block


def test_who_asks_half_does_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its time is over, every connection is closed."""
    monkeypatch.setattr("haproxy_log_exporter.web.server._ENDING_SECONDS", 0.1)
    with serving(SMALL) as server, socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as client:
        client.sendall(b"GET /met")
        wait_until(lambda: connection_threads() == 1, what="the connection to be taken")
        with ending(server):
            assert client.recv(1) == b""
