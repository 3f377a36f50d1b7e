import gzip
import http.client
import socket
import struct
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.web.server import MOST_CONNECTIONS, WebServer
from tests.support import run, serving, wait_until
from tests.web import (
    LOOPBACK,
    PROMETHEUS_ACCEPTS,
    SECONDS,
    SMALL,
    ask,
    ask_on,
    connect,
    connection_threads,
    descriptors,
    is_healthy,
    large,
    listening,
    not_reading,
    send_raw,
    serve_paths,
)


def need_ipv6() -> None:
    """Skip the test where there is no IPv6 loopback."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\n\n\n",
        b"\0\0\0\0\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"GET",
        b"GET /metrics",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET http://[/metrics HTTP/1.1\r\n\r\n",
        b"GET http://a:x/metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1.1\r\n\r\n",
        b"GET /metrics HTTP/-1.1\r\n\r\n",
        b"GET /metrics HTTX/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1 and more\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n: no name\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=lambda data: repr(data[:30]),
)
def test_malformed_request_harms_nobody(
    port: int, data: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """It is refused or the connection is closed; nothing is said of it and others are served."""
    answer = send_raw(port, data)
    assert is_healthy(port)
    assert b"Traceback" not in answer
    wait_until(lambda: not connection_threads(), what="the end of the connections")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize("by", ["reset", "close"])
@pytest.mark.parametrize("encoding", ["", "Accept-Encoding: gzip\r\n"])
def test_client_that_goes_away_leaves_nothing(
    by: str, encoding: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """In the middle of an answer: no message, no thread and no descriptor remain."""
    with listening(large()) as port:
        before = descriptors()
        for _ in range(3):
            with not_reading(port, f"GET /metrics HTTP/1.1\r\n{encoding}\r\n".encode()) as client:
                assert connection_threads() == 1
                if by == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wait_until(lambda: not connection_threads(), SECONDS, "the end of the connection")
            wait_until(lambda: descriptors() == before, SECONDS, "the closing of its socket")
        assert is_healthy(port)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_slow_clients_hold_up_neither_others_nor_the_stop() -> None:
    """Clients that read nothing of a large answer, or never finish asking, wait alone and end with the server."""
    with ExitStack() as clients:
        with listening(large()) as port:
            for request in (
                b"GET /metrics HTTP/1.1\r\n\r\n",
                b"GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n",
                b"GET /metrics HTTP/1.0\r\n\r\n",
            ):
                clients.enter_context(not_reading(port, request))
            for begun in (b"", b"GET /met", b"GET /metrics HTTP/1.1\r\nHo"):
                client = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
                client.sendall(begun)
            kept = connect(port)
            clients.callback(kept.close)
            assert ask_on(kept, "/-/healthy")[0] == 200
            wait_until(lambda: connection_threads() == 7)
            assert is_healthy(port)
        assert not connection_threads()


def test_more_connections_than_a_server_takes_are_closed() -> None:
    """At the limit a further connection is closed at once and counted; when one ends, there is room again."""
    server = WebServer(LOOPBACK, SMALL)
    server.start()
    with ExitStack() as ending:
        ending.callback(server.stop)
        connections = [connect(server.port) for _ in range(MOST_CONNECTIONS)]
        for connection in connections:
            ending.callback(connection.close)
            assert ask_on(connection, "/-/healthy")[0] == 200
        assert server.refused == 0
        for _ in range(3):
            with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
                ask(server.port)
        assert server.refused == 3
        assert ask_on(connections[0], "/metrics")[0] == 200
        connections[-1].close()
        wait_until(lambda: is_healthy(server.port), SECONDS, "room for a connection")


def test_many_clients_at_once_get_the_same() -> None:
    """As many scrapes at once as there may be are all whole."""
    with listening(serve_paths(*(f"/{number:099}" for number in range(500)))) as port:
        expected = ask(port)[2]
        bodies: list[bytes] = []
        threads = [threading.Thread(target=lambda: bodies.append(ask(port)[2])) for _ in range(MOST_CONNECTIONS - 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert bodies == [expected] * len(threads)


def test_ipv6() -> None:
    """An IPv6 address is listened on as well."""
    need_ipv6()
    with listening(address=Address("::1", 0)) as port:
        connection = connect(port, "::1")
        assert ask_on(connection, "/-/healthy")[0] == 200
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_port_in_use_is_named(host: str) -> None:
    """The message names the option, the address and what is wrong; stopping what never started is nothing."""
    if host == "::1":
        need_ipv6()
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        address = Address(host, taken.getsockname()[1])
        server = WebServer(address, SMALL)
        with pytest.raises(OperationError) as caught:
            server.start()
        server.stop()
    assert str(caught.value) == f"--web.listen-address: cannot listen on {address}: Address already in use"


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_address_that_is_not_here_is_named(host: str) -> None:
    """A name that cannot be resolved and an address of another machine are told likewise."""
    with pytest.raises(OperationError, match=f"^--web.listen-address: cannot listen on {host}:80: "):
        WebServer(Address(host, 80), SMALL).start()


def test_stop_is_always_allowed() -> None:
    """Before the start, after it, and again."""
    server = WebServer(LOOPBACK, SMALL)
    server.stop()
    server.start()
    server.stop()
    server.stop()


def test_stopped_server_frees_its_port_at_once() -> None:
    """After a restart the same port can be had, with a connection that the server closed still being forgotten."""
    with listening() as port:
        assert send_raw(port, b"GET /-/healthy HTTP/1.0\r\n\r\n", end=False).endswith(b"healthy\n")
    with listening(address=Address("127.0.0.1", port)) as again:
        assert again == port
        assert is_healthy(port)


def test_running_exporter_with_its_port_in_use() -> None:
    """The command ends with 1 and one line that names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("serve", "-f", "/nonexistent", "--log.level", "error", "--web.listen-address", address)
    assert done.returncode == 1
    expected = f"--web.listen-address: cannot listen on {address}: Address already in use"
    assert done.stderr.decode().splitlines() == [f"haproxy-log-exporter: {expected}"]


def test_running_exporter_serves_and_stops_under_a_client_that_never_asks(tmp_path: Path) -> None:
    """Ready, both formats, a path of one's own; SIGTERM ends the process with 0, whoever is connected."""
    with serving("-f", tmp_path / "haproxy.log", "--web.telemetry-path", "/m") as exporter:
        assert exporter.get("/-/ready")[0] == b"ready\n"
        body, headers = exporter.get("/m")
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert b"haproxy_log_exporter_build_info" in body
        body, headers = exporter.get("/m", Accept=PROMETHEUS_ACCEPTS, Accept_Encoding="gzip")
        assert headers["Content-Type"].startswith("application/openmetrics-text")
        names = {family.name for family in read_open_metrics(gzip.decompress(body).decode())}
        assert {"haproxy_log_requests", "haproxy_log_exporter_lines", "process_open_fds"} <= names
        with socket.create_connection(("127.0.0.1", exporter.port)) as idle:
            idle.sendall(b"GET /m HTTP/1.1\r\n")
            assert exporter.stop() == 0
