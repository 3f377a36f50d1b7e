"""The server's side of TLS."""

import ssl
from dataclasses import dataclass, field

from haproxy_log_exporter.errors import UsageError


@dataclass
class Certificates:
    """Files in PEM: a certificate with its chain, its key where that is apart, and who has to have signed clients'.

    `context` is what they were when they were read last.
    """

    certificate: str
    key: str = ""
    client_ca: str = ""
    context: ssl.SSLContext = field(init=False)

    def load(self) -> None:
        """Read the files; where they cannot be used, all stays as it is.

        Raises:
            UsageError: where one of them cannot be used, naming the option.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        problems = []
        try:
            context.load_cert_chain(self.certificate, self.key or None, _no_password)
        except (OSError, _EncryptedError) as error:
            named = f"--syslog-tls-key {self.key}" if self.key else "a key in the same file"
            problems.append(f"--syslog-tls-certificate: cannot use {self.certificate} with {named}: {_reason(error)}")
        if self.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self.client_ca)
            except OSError as error:
                problems.append(f"--syslog-tls-client-ca: cannot use {self.client_ca}: {_reason(error)}")
        if problems:
            raise UsageError(*problems)
        self.context = context


class _EncryptedError(Exception):
    """A key that needs a password."""


def _no_password() -> str:
    """OpenSSL would ask at the terminal."""
    message = "the key is encrypted; it has to be without a password"
    raise _EncryptedError(message)


def _reason(error: Exception) -> str:
    if not isinstance(error, ssl.SSLError):
        return getattr(error, "strerror", None) or str(error)
    if not error.reason:
        return "there is none, or no certificate, in PEM (--syslog-tls-key PATH names another file)"
    return error.reason.lower().replace("_", " ")
