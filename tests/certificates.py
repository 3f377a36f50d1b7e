"""Certificates for tests, made with openssl."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path

    def both(self) -> bytes:
        """Give them as one file has them."""
        return self.certificate.read_bytes() + self.key.read_bytes()


def make_pair(folder: Path, name: str, authority: Pair | None = None) -> Pair:
    """Make a certificate for localhost that an authority has signed, without one itself."""
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    signed = ("-CA", authority.certificate, "-CAkey", authority.key) if authority else ()
    extensions = ("-addext", f"basicConstraints=critical,CA:{'FALSE' if authority else 'TRUE'}")
    names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", *extensions)
    run_openssl("req", "-x509", *_KEY, *names, *signed, "-keyout", pair.key, "-out", pair.certificate)
    return pair


def encrypt(key: Path, encrypted: Path) -> None:
    """Write a key so that it needs a password."""
    run_openssl("pkey", "-aes256", "-passout", "pass:secret", "-in", key, "-out", encrypted)


def run_openssl(*arguments: str | Path) -> None:
    """Run openssl; fail where it does."""
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def client_context(authority: Pair, own: Pair | None = None) -> ssl.SSLContext:
    """Give what a client trusts, and shows where it is asked."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if own:
        context.load_cert_chain(own.certificate, own.key)
    return context
