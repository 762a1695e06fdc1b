"""What the platform has named so far, list by list, and since when it names something no more."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_network
from typing import Annotated, NamedTuple

import msgspec

from bridge.ingress.ip_list import MAX_NETWORKS
from common.networks import IPNetwork

FORGOTTEN_AFTER_S = 7 * 86_400
"""A list that is no longer asked for is forgotten when its last answer is older."""
MAX_OTHERS = 256
"""Lists of others that are remembered."""


class ListId(NamedTuple):
    """Which of the platform's lists."""

    app_id: str
    """In whose name it is asked for."""
    nettype: str

    @classmethod
    def of(cls, text: str) -> ListId:
        """As `str` writes it."""
        app_id, _, nettype = text.partition("/")
        return cls(app_id, nettype)

    def __str__(self) -> str:
        return f"{self.app_id}/{self.nettype}"


class NetworkList(msgspec.Struct):
    """One of the platform's lists, as of its last good answer. Times are Unix seconds."""

    answered: Annotated[float, msgspec.Meta(ge=0)]
    """When that came."""
    networks: dict[str, float]
    """Each network → since when it is missing in the answers; 0: it is in the last one."""


class Change(NamedTuple):
    """What a good answer changed."""

    named: int
    """Networks in it."""
    named_before: int
    """In the one before; 0 where there was none."""
    added: list[str]
    missing: list[str]
    """Named no more from this answer on, and still accepted."""
    dropped: list[str]
    """Accepted no more."""


class KnownNetworks:
    """The platform's lists.

    A network that an answer does not name stays accepted for `keep_s` from that answer on, until an answer that comes
    after lacks it too. So one answer that lacks much locks out nobody.
    """

    def __init__(self, lists: dict[str, NetworkList] | None = None) -> None:
        self.lists = lists or {}

    def merge(self, list_id: ListId, networks: Iterable[IPNetwork], keep_s: float) -> Change:
        """Take in a good answer."""
        now = time.time()
        named = set(map(str, networks))
        former = self.lists.get(str(list_id))
        known = former.networks if former is not None else {}
        since = {text: min(missing, now) or now for text, missing in known.items() if text not in named}
        kept = {text: missing for text, missing in since.items() if now - missing < keep_s}
        # Of more than can be right those go first that are missing for longest.
        latest = sorted(kept.items(), key=lambda item: -item[1])[:MAX_NETWORKS]
        self.lists[str(list_id)] = NetworkList(now, {**dict(latest), **dict.fromkeys(sorted(named), 0.0)})
        was_named = {text for text, missing in known.items() if not missing}
        accepted = self.lists[str(list_id)].networks.keys()
        return Change(
            len(named),
            len(was_named),
            sorted(named - known.keys()),
            sorted((was_named - named) & accepted),
            sorted(known.keys() - accepted),
        )

    def forget_others(self, ours: Collection[ListId]) -> None:
        """Forget lists that nobody asks for any more: of those not ours the old ones, and of many the oldest."""
        now = time.time()
        texts = set(map(str, ours))
        others = [text for text in self.lists if text not in texts]
        others.sort(key=lambda text: -self.lists[text].answered)
        kept = texts.union(text for text in others[:MAX_OTHERS] if now - self.lists[text].answered < FORGOTTEN_AFTER_S)
        self.lists = {text: one for text, one in self.lists.items() if text in kept}

    def networks(self, ours: Collection[ListId]) -> set[IPNetwork] | None:
        """All that the platform names in these lists; None where one of its kinds of lists has never come.

        Of a kind of list that has not come for our apps that of other apps holds, as long as it is known.
        """
        found = {nettype: list(self._of(nettype, ours)) for nettype in {list_id.nettype for list_id in ours}}
        if not all(found.values()):
            return None
        return {ip_network(text) for lists in found.values() for one in lists for text in one.networks} or None

    def age_s(self, ours: Collection[ListId]) -> float:
        """How old the last good answers are: that of the kind of list which waits for longest. Infinite: never."""
        now = time.time()
        newest = [
            max((one.answered for one in self._of(nettype, ours)), default=-math.inf)
            for nettype in {list_id.nettype for list_id in ours}
        ]
        return max(0.0, now - min(newest, default=-math.inf))

    def _of(self, nettype: str, ours: Collection[ListId]) -> Iterator[NetworkList]:
        of_kind = {ListId.of(text): one for text, one in self.lists.items() if ListId.of(text).nettype == nettype}
        mine = [one for list_id, one in of_kind.items() if list_id in ours]
        return iter(mine or of_kind.values())
