"""Addresses to listen on."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """A host, empty for all, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as host:port, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(text: str) -> Address:
    """Read `host:port`, `:port` or `[::1]:port`.

    Raises:
        ValueError: in words.
    """
    message = f"{text!r} is no address; it is HOST:PORT, :PORT for all addresses, or [::1]:PORT"
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError as error:
        raise ValueError(message) from error
    if port is None or parts.path or parts.query or parts.fragment or "@" in text:
        raise ValueError(message)
    return Address(parts.hostname or "", port)


def readable(url: str) -> str:
    """Write what is no UTF-8 in a path by its numbers: labels cannot have it."""
    return url.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
