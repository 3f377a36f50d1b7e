"""The HTTP server: metrics, a page that says what this is, and the two health checks.

Strategy: each connection has a thread, at most MOST_CONNECTIONS of them. A scrape copies the references to what was
flushed and writes from the copy in parts, so that neither a slow client nor a large answer holds up reading.
"""

import contextlib
import logging
import socket
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.metrics.shown import Shown
from haproxy_log_exporter.web.pages import index_page

logger = logging.getLogger(__name__)

MOST_CONNECTIONS = 64
_IDLE_SECONDS = 30.0
_ENDING_SECONDS = 0.4  # for those who have asked, or have just come to ask

_TEXT = "text/plain; charset=utf-8"
_TEXT_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# The page has no script and nothing from elsewhere.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Served:
    """What the server answers from; all of it may be asked from any thread."""

    telemetry_path: str
    shown: Callable[[], Shown]
    own: Callable[[Shown], CollectorRegistry]
    problem: Callable[[], str]  # why it is not ready; nothing where it is
    sources: Callable[[], tuple[str, ...]]


class WebServer:
    """Serves until it is stopped."""

    def __init__(self, address: Address, served: Served, inherited: socket.socket | None = None) -> None:
        """Open nothing yet; an inherited socket listens already."""
        self._address = address
        self._served = served
        self._inherited = inherited
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind and serve.

        Raises:
            OperationError: where the address cannot be had.
        """
        try:
            self._server = _Server(self._address, self._served, self._inherited)
        except OSError as error:
            message = f"--web.listen-address: cannot listen on {self._address}: {error.strerror or error}"
            raise OperationError(message) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.5,), name="web")
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it is bound to."""
        assert self._server
        return int(self._server.server_address[1])

    @property
    def refused(self) -> int:
        """How many connections were closed unanswered, for there were too many."""
        return self._server.refused if self._server else 0

    def stop(self) -> None:
        """Answer those who are there, close the connections, and wait for their threads."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.end_connections(_ENDING_SECONDS)
            self._server.server_close()
            self._thread.join()
            self._thread = None
        elif self._inherited:
            self._inherited.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, address: Address, served: Served, inherited: socket.socket | None) -> None:
        self.served = served
        self.refused = 0
        self.ending = False
        self._open: dict[socket.socket, bool] = {}  # and whether it rests: answered, and nothing more asked
        self._changed = threading.Condition()
        self.address_family = socket.AF_INET6 if ":" in address.host or not address.host else socket.AF_INET
        if not address.host and not socket.has_dualstack_ipv6():
            self.address_family = socket.AF_INET
        super().__init__((address.host, address.port), _Handler, bind_and_activate=inherited is None)
        if inherited:
            self.socket.close()
            self.socket = inherited
            self.server_address = inherited.getsockname()

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6 and self.server_address[0] == "":
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's, which looks the host's name up.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "haproxy-log-exporter", int(self.server_address[1])

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 -- socketserver's
        with self._changed:
            if len(self._open) >= MOST_CONNECTIONS:
                self.refused += 1
                return False
            self._open[request] = False
            return True

    def shutdown_request(self, request: Any) -> None:
        with self._changed:
            self._open.pop(request, None)
            self._changed.notify_all()
        super().shutdown_request(request)

    def rest(self, connection: socket.socket, *, resting: bool) -> None:
        """Note whether a connection rests; one that does is closed at the end."""
        with self._changed:
            self._open[connection] = resting
            if resting and self.ending:
                _close(connection)

    def end_connections(self, seconds: float) -> None:
        """Wait for the answers of those that do not rest, for so long; close all others, and these thereafter."""
        with self._changed:
            self.ending = True
            for connection in (each for each, rests in self._open.items() if rests):
                _close(connection)
            self._changed.wait_for(lambda: not self._open, seconds)
            for connection in self._open:
                _close(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 -- socketserver's
        """Let a client that went away go in silence; anything else is a bug."""
        if not isinstance(sys.exception(), OSError):
            logger.error("a request failed", exc_info=True)  # noqa: LOG014 -- called within one


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "haproxy-log-exporter"
    sys_version = ""
    timeout = _IDLE_SECONDS
    wbufsize = -1
    server: _Server
    _plain: ClassVar[dict[str, str]] = {"Content-Type": _TEXT}

    def handle_one_request(self) -> None:
        super().handle_one_request()
        self.server.rest(self.connection, resting=True)

    def do_GET(self) -> None:
        self.server.rest(self.connection, resting=False)
        served = self.server.served
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body is not read, and must not be taken for the next request
        path = _path(self.path)
        if path == served.telemetry_path:
            self._metrics(served)
        elif path == "/":
            headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _PAGE_POLICY}
            page = index_page(served.telemetry_path, served.sources(), served.shown().rejects)
            self._answer(HTTPStatus.OK, page.encode(), headers)
        elif path == "/-/healthy":
            self._answer(HTTPStatus.OK, b"healthy\n", self._plain)
        elif path == "/-/ready":
            problem = served.problem()
            status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
            answer = f"not ready: {problem}\n" if problem else "ready\n"
            self._answer(status, answer.encode("utf-8", "replace"), self._plain)
        else:
            self._answer(
                HTTPStatus.NOT_FOUND,
                b"not found; there are / and " + served.telemetry_path.encode() + b"\n",
                self._plain,
            )

    do_HEAD = do_GET  # noqa: N815 -- http.server's

    def _metrics(self, served: Served) -> None:
        open_metrics = _takes_open_metrics(self.headers.get("Accept", ""))
        parts = _all_metrics(served, open_metrics=open_metrics)
        headers = {"Content-Type": _OPEN_METRICS if open_metrics else _TEXT_METRICS, "Vary": "Accept, Accept-Encoding"}
        if _takes_gzip(self.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            parts = _gzip(parts)
        if self.request_version == "HTTP/1.1":
            headers["Transfer-Encoding"] = "chunked"
        else:
            self.close_connection = True
        self._head(HTTPStatus.OK, headers)
        if self.command == "HEAD":
            return
        for part in filter(None, parts):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if "Transfer-Encoding" in headers else part)
        if "Transfer-Encoding" in headers:
            self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.server.ending:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- http.server's
        """Say nothing of each request."""


def _all_metrics(served: Served, *, open_metrics: bool) -> Iterator[bytes]:
    shown = served.shown()
    yield from render(shown.tables, open_metrics=open_metrics)
    own = served.own(shown)
    yield generate_open_metrics(own) if open_metrics else generate_latest(own)  # the former with the final `# EOF`


def _path(target: str) -> str:
    """RFC 9112, section 3.2: a request's target may be absolute, as proxies send it."""
    try:
        return urlsplit(target).path
    except ValueError:  # no URI
        return target


def _takes_open_metrics(accept: str) -> bool:
    """RFC 9110, section 12.5.1: OpenMetrics is named, and its weight is not 0. Other versions get 1.0.0 as well."""
    for media_type in accept.lower().split(","):
        name, *parameters = (part.strip() for part in media_type.split(";"))
        if name == "application/openmetrics-text":
            return not any(part.startswith("q=") and not part[2:].strip("0.") for part in parameters)
    return False


def _takes_gzip(accept_encoding: str) -> bool:
    """RFC 9110, section 12.5.3: gzip, else "*", is named with a weight that is not 0."""
    weights = {}
    for coding in accept_encoding.split(","):
        name, _, weight = coding.replace(" ", "").lower().partition(";q=")
        weights[name] = weight.strip("0.") if weight else "1"
    return bool(weights.get("gzip", weights.get("*")))


def _gzip(parts: Iterable[bytes]) -> Iterator[bytes]:
    # 31: a gzip header. The text repeats itself so much that less memory, which stays in the core's cache, is faster.
    compressor = zlib.compressobj(level=1, wbits=31, memLevel=6)
    for part in parts:
        yield compressor.compress(part)
    yield compressor.flush()
