"""Addresses and networks, an IPv4 one that is written as IPv6 (`::ffff:203.0.113.7`) being IPv4."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from pydantic import BeforeValidator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def unmapped(address: Address) -> Address:
    """The address, as IPv4 where it is an IPv4 address that a socket for both gives as IPv6."""
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def read_network(text: Any) -> IPNetwork:
    """The network that `203.0.113.0/24`, `203.0.113.7`, `2001:db8::/32` or `::ffff:203.0.113.0/120` names.

    Raises:
        ValueError: it names none. The message says what is wrong, and what may be meant.
    """
    text = str(text).strip()
    try:
        network = ipaddress.ip_network(text, strict=False)
        address = ipaddress.ip_address(text.partition("/")[0])
    except ValueError:
        raise ValueError(f'{text!r} is no network: write "203.0.113.0/24", or one address') from None
    if network.network_address != address:
        raise ValueError(f"{text} is an address with the size of a network: write {network}, or the address alone")
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((int(mapped or 0), network.prefixlen - _MAPPED.prefixlen))
    return network


Network = Annotated[IPNetwork, BeforeValidator(read_network)]
"""A network among the settings."""
