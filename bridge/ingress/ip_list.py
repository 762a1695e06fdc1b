"""Asks the platform which networks it calls from: the REST call `GetIPList`, and what of its answer can be right.

Documented (tencentcloud.com/document/product/1047/36742): `POST v4/ConfigSvc/GetIPList` with the parameter `nettype`,
5 for the addresses from which callbacks leave in China (with Hong Kong), 6 for those abroad, to be chosen by where the
server is that takes them. The answer has `IPList`, in which single addresses and networks are mixed. Nothing is said of
how many there may be, how often they change, whether they differ between apps, and whether IPv6 occurs.

An entry is not accepted that no server of the platform can have, or that lets in half the world: it is told, and the
rest of the answer holds. Loopback addresses are accepted, since the example of the page has one and nobody outside of
this machine has them.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from common.networks import IPNetwork, unmapped_network
from common.rest.api import ErrorClass, RestAnswer, RestApi
from common.text import printable

NETTYPES = {"china": ("5",), "abroad": ("6",), "any": ("5", "6")}
"""BRIDGE_ALLOWED_NETWORKS_REGION → the lists that are asked for."""
CALL_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 256 * 1024
MAX_NETWORKS = 2000
WIDEST = {4: 12, 6: 24}
"""Version of IP → the shortest prefix that is accepted."""
MAX_IPV4_ADDRESSES = 2**24
"""All that an answer names, together: a 256th of all that there are."""
MAX_SHOWN_CHARS = 40

_PATH = "v4/ConfigSvc/GetIPList"
_IMPOSSIBLE = {
    version: [
        (int(network.network_address), int(network.broadcast_address)) for network in map(ipaddress.ip_network, texts)
    ]
    for version, texts in {
        4: [
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
            *("224.0.0.0/4", "240.0.0.0/4"),
        ],
        6: ["::/128", "fc00::/7", "fe80::/10", "ff00::/8"],
    }.items()
}
"""Version of IP → first and last address of what is private, of one link, for several at once, or nobody's: nothing
comes from there through the Internet."""


class UnusableAnswerError(Exception):
    """The platform has answered, and named no network that can be one of its own. The message says what it named."""


class NamedNetworks(NamedTuple):
    """A good answer."""

    networks: frozenset[IPNetwork]
    """At least one."""
    problems: list[str]
    """Of the entries that are not accepted: each, and why."""


class _IpListAnswer(RestAnswer):
    ip_list: list[object] | None = msgspec.field(name="IPList", default=None)


async def ask_for_networks(api: RestApi, nettype: str) -> NamedNetworks:
    """The networks that callbacks come from, as the platform names them now.

    Args:
        api: of an app.
        nettype: of NETTYPES.

    Raises:
        CallError: the platform does not say.
        UnusableAnswerError: what it says can be no list of its networks.
    """
    answer = await api.call(_PATH, {}, _IpListAnswer, query={"nettype": nettype}, max_reply_bytes=MAX_ANSWER_BYTES)
    # In a thread: thousands of networks would keep callbacks waiting for some hundredths of a second.
    return await asyncio.to_thread(read_ip_list, answer.ip_list or [])


def read_ip_list(entries: list[object]) -> NamedNetworks:
    """What `IPList` names.

    Raises:
        UnusableAnswerError: nothing that can be right.
    """
    if not entries:
        raise UnusableAnswerError("the answer names no network")
    if len(entries) > MAX_NETWORKS:
        raise UnusableAnswerError(
            f"the answer names {len(entries)} networks, more than the {MAX_NETWORKS} that we take"
        )
    networks: set[IPNetwork] = set()
    problems: list[str] = []
    for entry in entries:
        try:
            networks.add(acceptable(entry))
        except ValueError as error:
            problems.append(str(error))
    if not networks:
        raise UnusableAnswerError(f"the answer names nothing that can be a network of the platform: {some(problems)}")
    if (count := _ipv4_addresses(networks)) > MAX_IPV4_ADDRESSES:
        raise UnusableAnswerError(f"the answer names {count} addresses: too many to be those of some servers")
    return NamedNetworks(frozenset(networks), problems)


def acceptable(entry: object) -> IPNetwork:
    """The network that an entry names.

    Raises:
        ValueError: it names none that can be the platform's; the message shows it and says why.
    """
    shown = printable(str(entry)[:MAX_SHOWN_CHARS])
    if not isinstance(entry, str):
        raise ValueError(f"{shown} is no text")  # noqa: TRY004 - one of many things that it may not be
    try:
        # Its host part is of no interest: 203.0.113.7/24 can mean nothing but the network.
        network = unmapped_network(ipaddress.ip_network(entry.strip(), strict=False))
    except ValueError:
        raise ValueError(f"{shown!r} is no network") from None
    if network.prefixlen < WIDEST[network.version]:
        raise ValueError(f"{network} is too wide: /{WIDEST[network.version]} is the widest that we take")
    first, last = int(network.network_address), int(network.broadcast_address)
    if any(first <= end and last >= begin for begin, end in _IMPOSSIBLE[network.version]):
        raise ValueError(f"{network} is private or reserved")
    return network


def _ipv4_addresses(networks: Iterable[IPNetwork]) -> int:
    of_version_4 = (network for network in networks if isinstance(network, ipaddress.IPv4Network))
    return sum(network.num_addresses for network in ipaddress.collapse_addresses(of_version_4))


def some(texts: list[str], most: int = 5) -> str:
    """The first of them in one line, and how many there are beside."""
    more = f", and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def advice(error_class: ErrorClass) -> str:
    """What to do where the platform does not say which networks it calls from."""
    if error_class == "busy":
        return "it has too many calls just now"
    if error_class == "failing":
        return "see host in BRIDGE_IM_APPS, and whether this machine may call it"
    return (
        "see BRIDGE_IM_APPS: secret_key and identifier must be those of an administrator of this app, host that of its"
        " site; and the clock of this machine"
    )
