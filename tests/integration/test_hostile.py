"""Honest senders beside hostile ones: a real `serve`, with all that the network brings to its ports."""

import random
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import Pair, client_context, make_pair
from tests.integration.hostile import Attacker, Flood, Honest, Trickle, framed, garble, message
from tests.services import LINES, REQUESTS, wait_for
from tests.support import EACH_PATH, Exporter, Samples, need, serving, total

MOST_CONNECTIONS = 256
MOST_GROWTH = 50 << 10  # KiB
LEAST_SECONDS = 8.0

# Connections that send byte by byte; that say nothing, which are more than there is room for; what room there is.
TRICKLING = 20
SILENT = 300
FREE = MOST_CONNECTIONS - TRICKLING - 1

# It takes about one; a busy machine may take longer.
STOP_SECONDS = 4.0

URLS = {scheme: f"{scheme}://127.0.0.1:0" for scheme in ("udp", "tcp", "tls")}
REFUSED = "haproxy_log_exporter_refused_total"
CONNECTIONS = "haproxy_log_exporter_connections"


@dataclass(frozen=True)
class Site:
    """A running exporter and who may send to it."""

    exporter: Exporter
    ports: dict[str, int]
    honest: Sequence[Honest]
    authority: Pair

    def memory(self, row: str) -> int:
        """Read a row of its status, in KiB."""
        status = Path(f"/proc/{self.exporter.process.pid}/status").read_text()
        found = re.search(rf"^{row}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found
        return int(found[1])

    def forget_peak(self) -> None:
        """From now on VmHWM is the most memory since now (proc(5), clear_refs)."""
        Path(f"/proc/{self.exporter.process.pid}/clear_refs").write_text("5")

    def connect_tls(self) -> socket.socket:
        """Open a connection of TLS."""
        client = socket.create_connection(("127.0.0.1", self.ports["tls"]), 30)
        return client_context(self.authority).wrap_socket(client, server_hostname="localhost")


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """Run an exporter, and an honest sender over each transport."""
    authority = make_pair(folder, "authority")
    options = ("--syslog-tls-certificate", authority.certificate, "--syslog-tls-key", authority.key)
    sources = [word for url in URLS.values() for word in ("--syslog", url)]
    with ExitStack() as stack:
        exporter = stack.enter_context(serving(*sources, *options, "--labels", "http_request_path", *EACH_PATH))
        ports = {scheme: exporter._port(rf"listening on {url}, port (\d+)") for scheme, url in URLS.items()}
        site = Site(exporter, ports, [], authority)
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.connect(("127.0.0.1", ports["udp"]))
        tcp = stack.enter_context(socket.create_connection(("127.0.0.1", ports["tcp"]), 30))
        tls = stack.enter_context(site.connect_tls())
        honest = [
            Honest("udp", lambda messages: [udp.send(each) for each in messages]),
            Honest("tcp", lambda messages: tcp.sendall(framed(*messages))),
            Honest("tls", lambda messages: tls.sendall(b"".join(each + b"\n" for each in messages))),
        ]
        for sender in honest:
            sender.start()
            stack.callback(sender.stop)
        yield Site(exporter, ports, honest, authority)


def refused(samples: Samples, scheme: str) -> dict[str, float]:
    """Read what was refused of a source, by reason."""
    reasons = ("sender", "limit", "idle", "oversized", "malformed", "incomplete", "handshake")
    counts = {reason: total(samples, REFUSED, source=URLS[scheme], reason=reason) for reason in reasons}
    return {reason: count for reason, count in counts.items() if count}


def connections(samples: Samples, scheme: str) -> float:
    """Read how many connections of a source are open."""
    return total(samples, CONNECTIONS, source=URLS[scheme])


def attack_tcp(site: Site, attacker: Attacker) -> dict[str, float]:
    """Misuse a port for TCP; say what has to be refused. Places are held, all of them, at the end."""
    clients = attacker.hold(TRICKLING)
    trickle = Trickle("/trickle", clients)
    trickle.start()
    attacker.say_garbage(30, 1 << 16)
    attacker.say(30, framed(message("/whole")) + b"1000 <134>half of")
    attacker.say(30, framed(message("/whole")) + b"1000000000000 <134>x")
    attacker.say(30, framed(message("/whole")) + b"<134>x\n")
    attacker.say_until_closed(10, b"x" * 100_000)
    attacker.say_until_closed(10, b"1000000 ")
    trickle.join()
    wait_for(site.exporter, lambda samples: connections(samples, "tcp") == 1 + TRICKLING, "all others have ended")
    attacker.hold(SILENT)
    wait_for(
        site.exporter, lambda samples: refused(samples, "tcp").get("limit") == SILENT - FREE, "all places are taken"
    )
    for client in attacker.clients[TRICKLING:]:
        client.close()
    wait_for(site.exporter, lambda samples: connections(samples, "tcp") == 1 + TRICKLING, "they have ended")
    attacker.hold(FREE, framed(b"<134>x") + b"65536 <134>" + b"x" * 60_000)
    wait_for(site.exporter, lambda samples: connections(samples, "tcp") == MOST_CONNECTIONS, "no place is free")
    attacker.open_and_close(10_000)
    return {"incomplete": 30, "oversized": 50, "malformed": 30, "limit": SILENT - FREE + 10_000}


def attack_tls(site: Site, attacker: Attacker) -> dict[str, float]:
    """Misuse a port for TLS; say what has to be refused. Places are held, all of them, at the end."""
    attacker.say(30, attacker.random.randbytes(10_000))
    attacker.say(10, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    attacker.say(10, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    attacker.say(10, b"")
    for _ in range(20):
        client = site.connect_tls()
        client.sendall(message("/whole") + b"\n")
        garble(client, attacker.random.randbytes(100_000))
    wait_for(site.exporter, lambda samples: connections(samples, "tls") == 1, "all others have ended")
    attacker.hold(SILENT)
    return {"handshake": 60, "malformed": 20, "limit": SILENT - (MOST_CONNECTIONS - 1)}


def attack_udp(site: Site, garbage: random.Random) -> None:
    """Send datagrams of random bytes, of all sizes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", site.ports["udp"]))
        for size in (65_507, 0, 1, 1000, 40_000) * 40:
            sender.send(garbage.randbytes(size))
            time.sleep(0.005)


@pytest.mark.timeout(120)
def test_honest_senders_beside_hostile_ones(tmp_path: Path) -> None:
    """Each honest line counts, memory stays what it is, refusals add up, and it still stops when it is told to."""
    need("openssl")
    with running_site(tmp_path) as site, ExitStack() as stack:
        began = time.monotonic()
        site.exporter.wait_for_lines(2_000)
        before = site.memory("VmRSS")
        site.forget_peak()
        tcp, tls = (Attacker(site.ports[scheme], random.Random(scheme)) for scheme in ("tcp", "tls"))
        stack.callback(tcp.release)
        stack.callback(tls.release)
        expected = {"tcp": attack_tcp(site, tcp), "tls": attack_tls(site, tls)}
        flood = Flood("/flood", tcp.clients[0])
        flood.start()
        stack.callback(flood.stop)
        attack_udp(site, random.Random("udp"))
        time.sleep(max(0.0, began + LEAST_SECONDS - time.monotonic()))
        flood.stop()
        for sender in site.honest:
            sender.stop()
            assert sender.error is None
        check_counts(site, expected, {"/trickle": TRICKLING, "/whole": 110, "/flood": flood.sent})
        assert site.memory("VmHWM") - before < MOST_GROWTH
        stopping = time.monotonic()
        assert site.exporter.stop(signal.SIGTERM) == 0
        assert time.monotonic() - stopping < STOP_SECONDS


def check_counts(site: Site, expected: Mapping[str, Mapping[str, float]], besides: dict[str, int]) -> None:
    """Compare what is shown with what was sent and what had to be refused."""
    sent = {path: sender.rounds for sender in site.honest for path in sender.paths} | besides

    def is_all_there(samples: Samples) -> bool:
        return bool(total(samples, LINES, result="counted") >= sum(sent.values()))

    samples = wait_for(site.exporter, is_all_there, "all lines")
    assert total(samples, "haproxy_log_exporter_datagrams_dropped_total") == 0
    assert {path: total(samples, REQUESTS, http_request_path=path) for path in sent} == sent
    assert total(samples, LINES, result="counted") == sum(sent.values())
    for scheme, reasons in expected.items():
        assert refused(samples, scheme) == reasons
        assert connections(samples, scheme) == MOST_CONNECTIONS
