"""What the tests of the web server share: things to serve, and clients that behave or do not."""

import functools
import http.client
import os
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Gauge

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.metrics.catalogue import METRICS
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.shown import Shown
from haproxy_log_exporter.metrics.totals import Table
from haproxy_log_exporter.web.server import Served, WebServer
from tests.tables import grow

LOOPBACK = Address("127.0.0.1", 0)
SECONDS = 20.0  # patience with a server that hangs; shorter than its own with a client

# What Prometheus 2.42 sends.
PROMETHEUS_ACCEPTS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)

Answer = tuple[int, http.client.HTTPMessage, bytes]


def make_shown(*paths: str) -> Shown:
    """Make a table of requests by path: one of the first path, two of the second, …."""
    table = Table(["path"], Layout([METRICS[0]], ()))
    for count, path in enumerate(paths, start=1):
        grow(table, {(path,): count})
    return Shown([(table.layout, table.snapshot())], {}, Counter(), {})


def own_metrics(_shown: Shown) -> CollectorRegistry:
    """Stand for the exporter's own metrics with one of them."""
    registry = CollectorRegistry()
    Gauge("own", "A metric of its own.", registry=registry).set(1)
    return registry


def serve_paths(*paths: str) -> Served:
    """Make what is served, of requests by path."""
    shown = make_shown(*paths)
    return Served("/metrics", lambda: shown, own_metrics, lambda: "", lambda: ("/var/log/<haproxy>.log", "udp://:514"))


SMALL = serve_paths("/1", "/2", "/3")


@functools.cache
def large() -> Served:
    """Make what is larger than the buffers of any socket, compressed as well."""
    randomness = random.Random(1)
    return serve_paths(*(randomness.randbytes(10_000).hex() for _ in range(1_000)))


@contextmanager
def listening(what: Served = SMALL, address: Address = LOOPBACK) -> Iterator[int]:
    """Run a server for a while; give its port. It must stop, whatever its clients do."""
    server = WebServer(address, what)
    server.start()
    try:
        yield server.port
    finally:
        stopping = threading.Thread(target=server.stop, daemon=True)
        stopping.start()
        stopping.join(SECONDS)
        assert not stopping.is_alive(), "the server does not stop"


def connect(port: int, host: str = "127.0.0.1") -> http.client.HTTPConnection:
    """Make a connection for one request after the other."""
    return http.client.HTTPConnection(host, port, timeout=SECONDS)


def ask_on(connection: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str) -> Answer:
    """Send a request on a connection and read the whole answer."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    connection.request(method, path, headers={"Accept-Encoding": "identity", **named})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def ask(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> Answer:
    """Send one request on a connection of its own."""
    connection = connect(port)
    try:
        return ask_on(connection, path, method, **headers)
    finally:
        connection.close()


def send_raw(port: int, data: bytes, *, end: bool = True) -> bytes:
    """Send bytes, end the sending side if asked to, and give all that comes until the server closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        try:
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
            while block := connection.recv(65_536):
                received += block
        except TimeoutError:
            raise
        except OSError:
            pass  # closed: it has said what it had to say, and did not want the rest
    return received


@contextmanager
def not_reading(port: int, request: bytes = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n") -> Iterator[socket.socket]:
    """Send a request and read nothing of the answer but its first byte."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.settimeout(SECONDS)
        client.connect(("127.0.0.1", port))
        client.sendall(request)
        assert client.recv(1) == b"H"
        yield client


def is_healthy(port: int) -> bool:
    """Tell whether a new connection is served."""
    try:
        return ask(port, "/-/healthy")[0] == 200
    except (http.client.HTTPException, OSError):
        return False


def descriptors() -> int:
    """Count the open files and sockets of this process."""
    return len(os.listdir("/proc/self/fd"))


def connection_threads() -> int:
    """Count the threads of this process that serve a connection."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())
