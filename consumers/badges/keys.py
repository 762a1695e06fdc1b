"""The names of what is kept in Redis."""

from __future__ import annotations

from collections.abc import Iterable

from consumers.badges.owner import Owner
from consumers.badges.redis_connection import ServerKind
from consumers.badges.slots import SLOTS, tag_of

APPS_KEY = "im:badges:apps"
BEGUN_KEY = "im:badges:begun"
"""Of a cluster: says that each slot has its state."""
KEY_PREFIX = "im:badge:"
STATE_KEY = "im:badges:state"

Slot = int
"""Of a cluster; WHOLE where Redis is a single server."""
WHOLE: Slot = -1


def is_split(kind: ServerKind) -> bool:
    """Whether what is done in one step must be in one slot."""
    return kind != "single"


def badge_key(owner: Owner) -> bytes:
    """Key of a badge; as bytes, which the client packs in half the time of text."""
    return f"{KEY_PREFIX}{owner.app_id}:{owner.account}".encode()


def badge_keys(owners: Iterable[Owner]) -> list[bytes]:
    """`badge_key` of each, at half of what a call for each would cost."""
    return [f"{KEY_PREFIX}{owner.app_id}:{owner.account}".encode() for owner in owners]


def owner_of(key: bytes) -> Owner | None:
    """Whose badge a key is; None where it is no key of a badge."""
    try:
        text = key.decode()
        return Owner.of_key(text.removeprefix(KEY_PREFIX)) if text.startswith(KEY_PREFIX) else None
    except ValueError:  # UnicodeDecodeError is one: no account has such bytes.
        return None


def state_key(slot: Slot) -> str:
    """Key of the state of the badges of a slot."""
    return STATE_KEY if slot == WHOLE else f"{STATE_KEY}:{{{tag_of(slot)}}}"


def slots_of_all_nodes() -> range:
    """Slots of a cluster among which each node has one, as far as that can be told."""
    return range(0, SLOTS, SLOTS // 64)


def former_state_keys(kind: ServerKind) -> list[str]:
    """The keys of states as a server of another kind has them."""
    return [STATE_KEY] if is_split(kind) else [BEGUN_KEY, *map(state_key, range(SLOTS))]
