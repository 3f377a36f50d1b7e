"""A real `serve` that is stopped again and again while connections send to it."""

import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread

from tests.certificates import Pair, client_context, make_pair
from tests.integration.hostile import framed, message
from tests.states import opened
from tests.support import Exporter, need, serving

URLS = {scheme: f"{scheme}://127.0.0.1:0" for scheme in ("tcp", "tls")}
SENDERS = 6
LINES = 5
PAUSE_SECONDS = 0.002


class Sender(Thread):
    """Sends lines until the other side has ended the connection, as HAProxy does."""

    def __init__(self, client: socket.socket, *, counted: bool) -> None:
        """`client` is connected."""
        super().__init__()
        self.sent = 0
        self.error: OSError | None = None
        self._client = client
        messages = [message("/")] * LINES
        self._block = framed(*messages) if counted else b"".join(each + b"\n" for each in messages)

    def run(self) -> None:
        """Send."""
        poll = select.poll()
        poll.register(self._client, select.POLLRDHUP)
        try:
            while not poll.poll(0):
                self._client.sendall(self._block)
                self.sent += LINES
                time.sleep(PAUSE_SECONDS)
        except OSError as error:
            self.error = error
        with suppress(OSError):
            self._client.recv(1)  # a session's tickets: closing with something unread would be a reset
        self._client.close()


@contextmanager
def sending(exporter: Exporter, authority: Pair) -> Iterator[list[Sender]]:
    """Send over some connections of both kinds, with both framings, until they are ended."""
    ports = {scheme: exporter._port(rf"listening on {url}, port (\d+)") for scheme, url in URLS.items()}
    senders: list[Sender] = []
    with ExitStack() as stack:
        for number in range(2 * SENDERS):
            scheme = "tcp" if number < SENDERS else "tls"
            client = stack.enter_context(socket.create_connection(("127.0.0.1", ports[scheme]), 30))
            if scheme == "tls":
                context = client_context(authority)
                client = stack.enter_context(context.wrap_socket(client, server_hostname="localhost"))
            senders.append(Sender(client, counted=number % 2 == 0))
        for sender in senders:
            sender.start()
            stack.callback(sender.join)
        yield senders


def test_nothing_is_lost_when_it_is_stopped(tmp_path: Path) -> None:
    """All that senders have sent until they were told to end is in the state, once, and none of them had an error."""
    need("openssl")
    authority = make_pair(tmp_path, "authority")
    files = ("--syslog-tls-certificate", authority.certificate, "--syslog-tls-key", authority.key)
    state = tmp_path / "state"
    sent = 0
    for _ in range(3):
        with serving("--syslog", URLS["tcp"], "--syslog", URLS["tls"], *files, "--state", state) as exporter:
            with sending(exporter, authority) as senders:
                exporter.wait_for_lines(sent + 5_000)
                assert exporter.stop(signal.SIGTERM) == 0
            assert [sender.error for sender in senders] == [None] * len(senders)
            sent += sum(sender.sent for sender in senders)
        with opened(state) as book:
            assert sum(book.state.counters["counted", url] for url in URLS.values()) == sent
