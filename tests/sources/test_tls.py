"""Certificates for TLS, and what is said where they cannot be used."""

import re
import ssl
from pathlib import Path

import pytest

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.sources.tls import Certificates
from tests.certificates import Pair, encrypt, make_pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate and its key."""
    return make_pair(tmp_path_factory.mktemp("certificates"), "server")


def problems(certificate: Path | str, key: Path | str = "", client_ca: Path | str = "") -> tuple[str, ...]:
    """Say what is wrong with files."""
    with pytest.raises(UsageError) as raised:
        Certificates(str(certificate), str(key), str(client_ca)).load()
    return tuple(raised.value.messages)


def test_a_key_apart_or_in_the_same_file(pair: Pair, tmp_path: Path) -> None:
    """Both are usual; clients are asked for a certificate only where there is an authority."""
    both = tmp_path / "both.pem"
    both.write_bytes(pair.both())
    for certificates in (Certificates(str(pair.certificate), str(pair.key)), Certificates(str(both))):
        certificates.load()
        assert certificates.context.verify_mode == ssl.CERT_NONE
        assert certificates.context.minimum_version == ssl.TLSVersion.TLSv1_2
    certificates = Certificates(str(both), client_ca=str(pair.certificate))
    certificates.load()
    assert certificates.context.verify_mode == ssl.CERT_REQUIRED


def test_files_that_are_not_there(pair: Pair, tmp_path: Path) -> None:
    """Each message names its option and its file."""
    missing = tmp_path / "missing.pem"
    reason = "No such file or directory"
    for found, certificate, key in (
        (problems(missing, pair.key), missing, pair.key),
        (problems(pair.certificate, missing), pair.certificate, missing),
    ):
        [message] = found
        assert re.fullmatch(
            f"--syslog-tls-certificate: cannot use {certificate} with --syslog-tls-key {key}: {reason}", message
        )
    assert problems(missing) == (
        f"--syslog-tls-certificate: cannot use {missing} with a key in the same file: {reason}",
    )
    assert problems(pair.certificate, pair.key, missing) == (f"--syslog-tls-client-ca: cannot use {missing}: {reason}",)


def test_what_was_read_before_stays(pair: Pair, tmp_path: Path) -> None:
    """Files that cannot be used any more change nothing."""
    both = tmp_path / "both.pem"
    both.write_bytes(pair.both())
    certificates = Certificates(str(both))
    certificates.load()
    before = certificates.context
    both.write_bytes(b"broken")
    with pytest.raises(UsageError):
        certificates.load()
    assert certificates.context is before


def test_all_problems_are_told_at_once(pair: Pair, tmp_path: Path) -> None:
    """Of the certificate and of the authorities."""
    missing = tmp_path / "missing.pem"
    options = [message.partition(":")[0] for message in problems(missing, pair.key, missing)]
    assert options == ["--syslog-tls-certificate", "--syslog-tls-client-ca"]


def test_a_key_with_a_password(pair: Pair, tmp_path: Path) -> None:
    """Nobody is asked for it at the terminal; it is said that it is needed."""
    encrypted = tmp_path / "encrypted.key"
    encrypt(pair.key, encrypted)
    [message] = problems(pair.certificate, encrypted)
    assert message.startswith(f"--syslog-tls-certificate: cannot use {pair.certificate} with --syslog-tls-key")
    assert message.endswith(f"{encrypted}: the key is encrypted; it has to be without a password")
    both = tmp_path / "both.pem"
    both.write_bytes(pair.certificate.read_bytes() + encrypted.read_bytes())
    [message] = problems(both)
    assert message.endswith("the key is encrypted; it has to be without a password")


def test_files_that_do_not_fit(pair: Pair, tmp_path: Path) -> None:
    """Another's key, no key at all, and files that are something else."""
    other = make_pair(tmp_path, "other")
    empty, garbage = tmp_path / "empty.pem", tmp_path / "garbage.pem"
    empty.touch()
    garbage.write_bytes(bytes(range(256)))
    assert problems(pair.certificate, other.key)[0].endswith(f"--syslog-tls-key {other.key}: key values mismatch")
    for certificate, key in ((pair.certificate, ""), (empty, pair.key), (garbage, ""), (pair.certificate, garbage)):
        [message] = problems(certificate, key)
        assert message.startswith(f"--syslog-tls-certificate: cannot use {certificate} with ")
        assert "_" not in message.rpartition(": ")[2]
    for file in (empty, garbage, tmp_path):
        [message] = problems(pair.certificate, pair.key, file)
        assert message.startswith(f"--syslog-tls-client-ca: cannot use {file}: ")
