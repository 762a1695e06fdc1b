"""Who may post: the forms in which addresses come, and whose address counts."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from bridge.ingress import refusals
from bridge.ingress.addresses import AddressFilter, read_address
from common.networks import Network

read_network: Any = TypeAdapter(Network).validate_python


@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.7",
        " 203.0.113.7\t",
        "203.0.113.7:51234",
        '"203.0.113.7:51234"',
        '" 203.0.113.7 "',
        "::ffff:203.0.113.7",
        "::FFFF:cb00:7107",
        "0:0:0:0:0:ffff:203.0.113.7",
        "[::ffff:203.0.113.7]:443",
        "::ffff:203.0.113.7:51234",
        "::ffff:203.0.113.7%eth0",
    ],
)
def test_an_ipv4_address_is_read_in_whatever_form_it_comes(text: str) -> None:
    assert read_address(text) == ipaddress.ip_address("203.0.113.7")


@pytest.mark.parametrize(
    "text",
    [
        "2001:db8::7",
        "2001:DB8:0:0::7",
        "[2001:db8::7]",
        "[2001:db8::7]:443",
        '"[2001:db8::7]:443"',
        "2001:db8::7%eth0",
        "[2001:db8::7%25eth0]:443",
        "2001:db8::7:51234",
        "2001:db8:0:0:0:0:0:7:443",
    ],
)
def test_an_ipv6_address_is_read_in_whatever_form_it_comes(text: str) -> None:
    assert read_address(text) == ipaddress.ip_address("2001:db8::7")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "_hidden",
        "_hidden:443",
        "203.0.113.7:",
        "203.0.113.7:port",
        "203.0.113.7:123456",
        "203.0.113.7:1:2",
        "203.0.113",
        "203.0.113.007",
        "[2001:db8::7",
        "[2001:db8::7]443",
        "[2001:db8::7]:",
        "2001:db8::7]:443",
        "203.0.113.7 198.51.100.1",
        "for=203.0.113.7",
        "\u0662\u0660\u0663.0.113.7",
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert read_address(text) is None


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        (" 203.0.113.7 ", "203.0.113.7/32"),
        ("203.0.113.0/255.255.255.0", "203.0.113.0/24"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_is_read_and_an_ipv4_one_that_is_written_as_ipv6_is_ipv4(text: str, network: str) -> None:
    assert read_network(text) == ipaddress.ip_network(network)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("203.0.113.7/24", "write 203.0.113.0/24, or the address alone"),
        ("203.0.113.0/33", "is no network"),
        ("203.0.113.0-203.0.113.255", "is no network"),
        ("gateway.example", "is no network"),
        ("", "is no network"),
        (7, "is no network"),
    ],
)
def test_what_is_no_network_is_explained(text: object, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        read_network(text)


NOT_ALLOWED, PROXY_ALONE, NO_ADDRESS = refusals.NOT_ALLOWED, refusals.PROXY_ALONE, refusals.NO_ADDRESS


@pytest.mark.parametrize(
    ("peer", "forwarded", "refused"),
    [
        ("203.0.113.9", "", None),
        ("::ffff:203.0.113.9", "", None),
        ("2001:db8::7", "", None),
        ("198.51.100.1", "", ("198.51.100.1", NOT_ALLOWED)),
        ("198.51.100.1", "203.0.113.9", ("198.51.100.1", NOT_ALLOWED)),  # Only our own proxies are believed.
        ("10.0.0.2", "203.0.113.9", None),
        ("::ffff:10.0.0.2", "::ffff:203.0.113.9", None),
        ("10.0.0.2", "203.0.113.9:51234", None),
        ("10.0.0.2", "[2001:db8::7]:443", None),
        ("10.0.0.2", "203.0.113.9, 198.51.100.1", ("198.51.100.1", NOT_ALLOWED)),
        ("10.0.0.2", "203.0.113.9, ::ffff:198.51.100.1", ("198.51.100.1", NOT_ALLOWED)),
        ("10.0.0.2", "198.51.100.1, 203.0.113.9, 10.0.0.3", None),
        ("10.0.0.2", "198.51.100.1,203.0.113.9 , 10.0.0.3:8080, [::ffff:10.0.0.4]:8080", None),
        ("10.0.0.2", "203.0.113.9,, ,", None),
        ("10.0.0.2", "203.0.113.9, nonsense", ("'nonsense'", NO_ADDRESS)),
        ("10.0.0.2", "unknown", ("'unknown'", NO_ADDRESS)),
        ("10.0.0.2", "_hidden, 203.0.113.9", None),  # What the client says of those before it decides nothing.
        ("10.0.0.2", f"a\r\n\x1b{'b' * 99}", (f"'a\\r\\n\\x1b{'b' * 60}…'", NO_ADDRESS)),
        ("10.0.0.2", "", ("10.0.0.2", PROXY_ALONE)),
        ("10.0.0.2", "10.0.0.3", ("10.0.0.3", PROXY_ALONE)),
        ("10.9.0.2", "", None),  # Allowed itself.
        ("10.0.0.2", "10.9.0.3", None),
        (None, "", ("an unknown address", NO_ADDRESS)),
        (None, "203.0.113.9", ("an unknown address", NO_ADDRESS)),
    ],
)
def test_the_address_in_front_of_our_own_proxies_counts_and_is_named_where_it_is_refused(
    peer: str | None, forwarded: str, refused: tuple[str, str] | None
) -> None:
    allowed = [read_network(text) for text in ("203.0.113.0/24", "2001:db8::/64", "10.9.0.0/16")]
    refusal = AddressFilter(allowed, [read_network("10.0.0.0/8")]).refusal(peer, forwarded)
    assert (refusal and (refusal.sender, refusal.advice)) == refused
