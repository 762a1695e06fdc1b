"""Whether an address is in one of many networks."""

from __future__ import annotations

import ipaddress
import random

import pytest

from common.networks import NetworkSet

NETWORKS = ["203.0.113.0/25", "203.0.113.200", "198.51.0.0/16", "0.0.0.0/30", "2001:db8::/33", "2001:db8:ffff::7"]


@pytest.mark.parametrize(
    ("address", "is_in"),
    [
        ("203.0.113.0", True),
        ("203.0.113.127", True),
        ("203.0.113.128", False),
        ("203.0.113.200", True),
        ("203.0.113.201", False),
        ("198.51.255.255", True),
        ("198.52.0.0", False),
        ("0.0.0.3", True),
        ("0.0.0.4", False),
        ("2001:db8:7fff::", True),
        ("2001:db8:8000::", False),
        ("2001:db8:ffff::7", True),
        ("::cb00:7100", False),
        ("::", False),
    ],
)
def test_an_address_is_found_by_whatever_size_its_network_has(address: str, is_in: bool) -> None:
    assert (ipaddress.ip_address(address) in NetworkSet(map(ipaddress.ip_network, NETWORKS))) is is_in


def test_it_finds_what_a_look_at_each_network_finds() -> None:
    chosen = random.Random(7)
    networks = [
        ipaddress.ip_network((chosen.randrange(2**32) & ~((1 << bits) - 1), 32 - bits))
        for bits in (chosen.randrange(33) for _ in range(40))
        if bits < 32
    ]
    found = NetworkSet(networks)
    for _ in range(2000):
        address = ipaddress.ip_address(chosen.randrange(2**32))
        assert (address in found) == any(address in network for network in networks)


def test_everything_and_nothing_are_networks_too() -> None:
    everything = NetworkSet([ipaddress.ip_network("0.0.0.0/0")])
    assert ipaddress.ip_address("203.0.113.7") in everything
    assert ipaddress.ip_address("2001:db8::7") not in everything
    assert ipaddress.ip_address("203.0.113.7") not in NetworkSet([])
    assert [len(everything), len(NetworkSet([])), len(NetworkSet(map(ipaddress.ip_network, NETWORKS * 2)))] == [1, 0, 6]
