"""Who may send."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.sources.senders import Network, Senders


def network_of(address: IPv4Address | IPv6Address, length: int) -> Network:
    """Give the network of so many bits that an address is in, or of as many as it has."""
    return ip_network((address, min(length, address.max_prefixlen)), strict=False)


# An address of IPv4 as IPv6 has it is a sender over IPv4.
own_addresses = st.ip_addresses().filter(lambda address: address.version == 4 or not address.ipv4_mapped)
networks = st.builds(network_of, st.ip_addresses(), st.integers(0, 128))
networks_of_ipv4 = st.builds(network_of, st.ip_addresses(v=4), st.integers(0, 32))


@settings(deadline=None)
@given(allowed=st.lists(networks, min_size=1, max_size=5), hosts=st.lists(own_addresses, max_size=20))
def test_a_sender_is_in_one_of_the_networks(allowed: list[Network], hosts: list[IPv4Address | IPv6Address]) -> None:
    """Of its own family, whenever and in whatever order it is asked for."""
    senders = Senders(allowed)
    for host in [*hosts, *hosts]:
        assert senders.allow(str(host)) == any(host in network for network in allowed)


@settings(deadline=None)
@given(network=networks_of_ipv4, host=st.ip_addresses(v=4))
def test_ipv4_over_a_socket_for_both_families(network: IPv4Network, host: IPv4Address) -> None:
    """It has a mapped address there, and is the same sender."""
    senders = Senders([network])
    assert senders.allow(f"::ffff:{host}") == senders.allow(str(host)) == (host in network)


def test_the_scope_of_an_address_does_not_matter() -> None:
    """A link-local address comes with its interface."""
    senders = Senders([ip_network("fe80::/10")])
    assert senders.allow("fe80::1%eth0")
    assert not senders.allow("fec0::1%eth0")


def test_forged_addresses_take_no_memory() -> None:
    """Of senders that were asked for, only so many are remembered; those that are forgotten are found again."""
    senders = Senders([ip_network("10.0.0.0/8")])
    for number in range(25_000):
        assert senders.allow(str(ip_address((10 << 24) + number)))
        assert not senders.allow(str(ip_address((11 << 24) + number)))
        assert len(senders._known) <= 10_000
    assert senders.allow("10.0.0.0")
