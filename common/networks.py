"""Addresses and networks, an IPv4 one that is written as IPv6 (`::ffff:203.0.113.7`) being IPv4."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable
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
    return unmapped_network(network)


def unmapped_network(network: IPNetwork) -> IPNetwork:
    """The network, as IPv4 where it is one that is written as IPv6."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((int(mapped or 0), network.prefixlen - _MAPPED.prefixlen))
    return network


Network = Annotated[IPNetwork, BeforeValidator(read_network)]
"""A network among the settings."""


class NetworkSet:
    """Networks, asked whether an address is in one of them.

    What it costs depends on how many sizes of networks there are, which are few, and not on how many networks.
    """

    def __init__(self, networks: Iterable[IPNetwork]) -> None:
        prefixes: dict[tuple[int, int], set[int]] = defaultdict(set)
        for network in networks:
            bits_of_hosts = network.max_prefixlen - network.prefixlen
            prefixes[network.version, bits_of_hosts].add(int(network.network_address) >> bits_of_hosts)
        self._by_version = {
            version: [(bits, frozenset(found)) for (of, bits), found in prefixes.items() if of == version]
            for version in (4, 6)
        }
        self._count = sum(map(len, prefixes.values()))

    def __len__(self) -> int:
        return self._count

    def __contains__(self, address: Address) -> bool:
        value = int(address)
        for bits, prefixes in self._by_version[address.version]:  # noqa: SIM110 - any() costs twice as much
            if value >> bits in prefixes:
                return True
        return False
