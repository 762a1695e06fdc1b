"""The hash slots of a cluster: which of them a key is in, and a name for a key that shall be in a given one."""

from __future__ import annotations

from binascii import crc_hqx
from functools import cache

SLOTS = 16_384


def slot_of(key: bytes) -> int:
    """The slot of a key, 0 … 16383, as the specification of Redis Cluster has it."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS


def tag_of(slot: int) -> str:
    """The smallest number whose text, as a hash tag in a key, puts the key into a slot."""
    return _tags()[slot]


@cache
def _tags() -> list[str]:
    tags = [""] * SLOTS
    missing, number = SLOTS, 0
    while missing:
        text = str(number)
        slot = crc_hqx(text.encode(), 0) % SLOTS
        if not tags[slot]:
            tags[slot] = text
            missing -= 1
        number += 1
    return tags
