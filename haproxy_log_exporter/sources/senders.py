"""Who may send."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

# A datagram's address may be forged, so there may be many.
_MOST_KNOWN = 10_000


class Senders:
    """Tells the senders of some networks from others."""

    def __init__(self, networks: Sequence[Network]) -> None:
        """There is at least one network."""
        self._networks = networks
        self._known: dict[str, bool] = {}

    def allow(self, host: str) -> bool:
        """Tell whether the sender with this address, as the socket gives it, may send."""
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[host] = self._find(host)
        return known

    def _find(self, host: str) -> bool:
        address = ip_address(host)
        # What comes over IPv4 to a socket for both families: RFC 4291, section 2.5.5.2.
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)
