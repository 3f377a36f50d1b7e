"""A real `serve` with certificates: what it says of them, and how they are exchanged."""

import re
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates import Pair, client_context, encrypt, make_pair
from tests.services import line, times_said, wait_for
from tests.support import Exporter, run, serving, total, wait_until

URL = "tls://127.0.0.1:0"
REFUSED = "haproxy_log_exporter_refused_total"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Make an authority."""
    return make_pair(tmp_path_factory.mktemp("authority"), "authority")


@contextmanager
def connected(exporter: Exporter, authority: Pair, own: Pair | None = None) -> Iterator[ssl.SSLSocket]:
    """Connect to it over TLS."""
    port = exporter._port(rf"listening on {URL}, port (\d+)")
    with (
        socket.create_connection(("127.0.0.1", port), 30) as bare,
        client_context(authority, own).wrap_socket(bare, server_hostname="localhost") as client,
    ):
        yield client


def name_of(client: ssl.SSLSocket) -> str:
    """Read the name in the server's certificate."""
    found = re.search(r"\('commonName', '(\w+)'\)", str((client.getpeercert() or {})["subject"]))
    assert found
    return found[1]


def exchange(exporter: Exporter, said: str) -> None:
    """Tell it to read its certificates again, and wait for what it says."""
    before = times_said(exporter, said)
    exporter.process.send_signal(signal.SIGHUP)
    wait_until(lambda: times_said(exporter, said) > before, what=said)


def test_certificates_are_exchanged_on_sighup(authority: Pair, tmp_path: Path) -> None:
    """New connections have the new one, those that are there go on; one that cannot be used changes nothing."""
    first, second = (make_pair(tmp_path, name, authority) for name in ("first", "second"))
    both = tmp_path / "both.pem"
    both.write_bytes(first.both())
    with serving("--syslog", URL, "--syslog-tls-certificate", both) as exporter:
        with connected(exporter, authority) as old:
            assert name_of(old) == "first"
            both.write_bytes(second.both())
            with connected(exporter, authority) as unasked:
                assert name_of(unasked) == "first"
            exchange(exporter, "the certificate was read again")
            with connected(exporter, authority) as new:
                assert name_of(new) == "second"
                both.write_bytes(b"broken")
                exchange(exporter, "the certificate is not exchanged, what was read before stays")
                assert times_said(exporter, f"--syslog-tls-certificate: cannot use {both}") == 1
                with connected(exporter, authority) as later:
                    assert name_of(later) == "second"
                    for client in (old, new, later):
                        client.sendall(line())
                    exporter.wait_for_lines(3)
        samples = exporter.scrape()
        assert total(samples, REFUSED) == 0


def test_authorities_are_exchanged_too(authority: Pair, tmp_path: Path) -> None:
    """Whom clients have to be vouched for by is read again as well."""
    other = make_pair(tmp_path, "other")
    server = make_pair(tmp_path, "server", authority)
    client, stranger = make_pair(tmp_path, "client", authority), make_pair(tmp_path, "stranger", other)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.certificate.read_bytes())
    files = ("--syslog-tls-certificate", server.certificate, "--syslog-tls-key", server.key, "--syslog-tls-client-ca")
    with serving("--syslog", URL, *files, ca) as exporter:
        with connected(exporter, authority, client) as known:
            known.sendall(line())
            exporter.wait_for_lines(1)
        with connected(exporter, authority, stranger):
            wait_for(exporter, lambda samples: total(samples, REFUSED, source=URL, reason="handshake") == 1, "refused")
        ca.write_bytes(other.certificate.read_bytes())
        exchange(exporter, "the certificate was read again")
        with connected(exporter, authority, stranger) as known:
            known.sendall(line())
            exporter.wait_for_lines(2)


def test_certificates_that_cannot_be_used(authority: Pair, tmp_path: Path) -> None:
    """It does not start, and says why, without a traceback; `serve` asks nobody for a password."""
    encrypted = tmp_path / "encrypted.key"
    encrypt(authority.key, encrypted)
    missing = tmp_path / "missing.pem"
    for certificate, key, reason in (
        (missing, authority.key, "No such file or directory"),
        (authority.certificate, missing, "No such file or directory"),
        (authority.certificate, encrypted, "the key is encrypted; it has to be without a password"),
    ):
        options = ("--syslog", URL, "--syslog-tls-certificate", certificate, "--syslog-tls-key", key)
        finished = run("serve", "--web.listen-address", "127.0.0.1:0", *options)
        said = finished.stderr.decode()
        assert finished.returncode == 2, said
        assert f"--syslog-tls-certificate: cannot use {certificate} with --syslog-tls-key {key}: {reason}" in said
        assert "Traceback" not in said
