"""The optional allow-list: whose address a request comes from, seen through our own proxies, and whether it may post.

Proxies and sockets write one address in many forms: with a port, in brackets, in quotes, with a zone, an IPv4 address
as IPv6 where a socket takes both. What is compared is the address alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Self

from bridge.ingress import refusals
from bridge.ingress.refusals import Refusal
from bridge.settings import BridgeSettings
from common.networks import Address, Network, unmapped

_PORT = re.compile(r"[0-9]{1,5}")
_MAX_CHARS = 128
"""No address is longer, whatever is written around it."""
_MAX_SHOWN_CHARS = 64


def read_address(text: str) -> Address | None:
    """The address in a value of `X-Forwarded-For`, or of a socket; None where there is none, as in `unknown`.

    `203.0.113.7`, `203.0.113.7:51234`, `2001:db8::7`, `[2001:db8::7]:443`, `"[2001:db8::7]"`, `fe80::1%eth0` and
    `::ffff:203.0.113.7`, which is 203.0.113.7. An IPv6 address with a port but without brackets is read as one that is
    longer, where it can be.
    """
    return _read_address(text) if len(text) <= _MAX_CHARS else None


@lru_cache(maxsize=1024)
def _read_address(text: str) -> Address | None:
    text = text.strip().strip("\"'").strip()
    if text.startswith("["):
        text, bracket, behind = text[1:].partition("]")
        if not bracket or (behind and not (behind[0] == ":" and _PORT.fullmatch(behind, 1))):
            return None
        return _plain_address(text)
    host, _, port = text.rpartition(":")
    return _plain_address(text) or (_plain_address(host) if _PORT.fullmatch(port) else None)


def _plain_address(text: str) -> Address | None:
    try:
        return unmapped(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None


class AddressFilter:
    """The optional allow-list of addresses.

    Args:
        allowed: networks that may post; empty: any.
        proxies: networks of our own proxies, whose `X-Forwarded-For` is believed.
    """

    def __init__(self, allowed: Sequence[Network], proxies: Sequence[Network]) -> None:
        self._allowed = allowed
        self._proxies = proxies
        self.is_open = not allowed
        """Whether every address may post."""

    @classmethod
    def from_settings(cls, settings: BridgeSettings) -> Self:
        """The one that the settings describe."""
        return cls(settings.static_networks, settings.trusted_proxies)

    def refusal(self, peer: str | None, forwarded_for: str) -> Refusal | None:
        """Why a request from `peer` may not post; None: it may.

        The last address in front of our own proxies counts; where all are our own, the first of them.
        """
        hops = [part for part in forwarded_for.split(",") if part and not part.isspace()]
        sender = peer or ""
        address = read_address(sender)
        while hops and address is not None and _is_in(address, self._proxies):
            sender = hops.pop()
            address = read_address(sender)
        if address is None:
            return refusals.address(_shown(sender), refusals.NO_ADDRESS)
        if _is_in(address, self._allowed):
            return None
        if _is_in(address, self._proxies):
            return refusals.address(str(address), refusals.PROXY_ALONE)
        return refusals.address(str(address), refusals.NOT_ALLOWED)


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _shown(text: str) -> str:
    text = text.strip()
    if not text:
        return "an unknown address"
    return repr(text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…")
