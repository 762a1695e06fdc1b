"""The optional allow-list: whose address a request comes from, seen through our own proxies, and whether it may post.

Proxies and sockets write one address in many forms: with a port, in brackets, in quotes, with a zone, an IPv4 address
as IPv6 where a socket takes both. What is compared is the address alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Self

from bridge.ingress import refusals
from bridge.ingress.refusals import Refusal
from bridge.settings import BridgeSettings
from common.networks import Address, IPNetwork, NetworkSet, unmapped

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

    def __init__(self, allowed: Iterable[IPNetwork], proxies: Iterable[IPNetwork]) -> None:
        self._proxies = NetworkSet(proxies)
        self._origin = ""
        self.allow(NetworkSet(allowed))

    @classmethod
    def from_settings(cls, settings: BridgeSettings) -> Self:
        """The one that the settings describe; with `auto` an open one, until it is told what the platform names."""
        return cls([] if settings.asks_for_networks else settings.static_networks, settings.trusted_proxies)

    def allow(self, allowed: NetworkSet, origin: str = "") -> None:
        """Take these from now on.

        Args:
            allowed: networks that may post; empty: any.
            origin: where they are from, and of when, for who is refused: words that go on from "allowed are".
        """
        self._allowed = allowed
        self._origin = origin
        self.is_open = not len(allowed)
        """Whether every address may post."""

    def refusal(self, peer: str | None, forwarded_for: str) -> Refusal | None:
        """Why a request from `peer` may not post; None: it may.

        The last address in front of our own proxies counts; where all are our own, the first of them.
        """
        sender, address = self._sender(peer, forwarded_for)
        if address is None:
            return refusals.address(_shown(sender), refusals.NO_ADDRESS)
        if address in self._allowed:
            return None
        advice = refusals.PROXY_ALONE if address in self._proxies else refusals.NOT_ALLOWED
        return refusals.address(str(address), f"{advice}; allowed are {self._origin}" if self._origin else advice)

    def sender(self, peer: str | None, forwarded_for: str) -> str:
        """Who sent a request from `peer`, as `refusal` sees it, for people."""
        sender, address = self._sender(peer, forwarded_for)
        return _shown(sender) if address is None else str(address)

    def _sender(self, peer: str | None, forwarded_for: str) -> tuple[str, Address | None]:
        """Who counts as the sender, and the address that it is, where it is one."""
        sender = peer or ""
        address = read_address(sender)
        if forwarded_for and address is not None and address in self._proxies:
            hops = [part for part in forwarded_for.split(",") if part and not part.isspace()]
            while hops and address is not None and address in self._proxies:
                sender = hops.pop()
                address = read_address(sender)
        return sender, address


def _shown(text: str) -> str:
    text = text.strip()
    if not text:
        return "an unknown address"
    return repr(text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…")
