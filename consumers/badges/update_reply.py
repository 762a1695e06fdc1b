"""What the script says that brings badges up to date, and the badges that are made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from common.timestamps import rfc3339_all
from consumers.badges.owner import Owner


class Badge(msgspec.Struct, frozen=True, gc=False):
    """A badge as it stands in Redis and, as JSON, in the topic of badges."""

    app_id: str
    account: str
    unread: int | None
    """Newest known count of unread one-to-one messages; None, and so `time` and `event_id`, while none is known."""
    time: str | None
    """When it was so: RFC 3339, UTC, milliseconds."""
    event_id: str | None
    """Event that said so."""
    stale: bool
    """Whether the count has changed since, and no event said to what."""

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return Owner(self.app_id, self.account)

    @property
    def exists(self) -> bool:
        """Whether there is one; what is read of an account without a badge is none."""
        return self.unread is not None or self.stale


class StoreState(msgspec.Struct, frozen=True, array_like=True):
    """What Redis says of badges together, in `im:badges:state`, or of those of one slot."""

    id: str | bool
    """Of the data: another one where Redis has lost all and began anew. False: none was given yet."""
    lost_at_ms: int
    """When a loss was noticed, Unix ms; 0 where nothing is lost, or all badges were rebuilt since."""
    generation: int = 0
    """How often the badges were updated. That it is less than before shows that Redis was put back."""

    def is_behind(self, known: StoreState) -> bool:
        """Whether Redis has lost the state, or has an older one than is known."""
        return not self.id or (self.id == known.id and self.generation < known.generation)


class UpdateReply(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What `badges.lua` returns."""

    state: StoreState
    unread: list[int | bool]
    times_ms: list[int | bool]
    event_ids: list[str | bool]
    stale: list[int]
    were_stale: list[int]
    foreign: list[int]


NOTHING_LOST = StoreState(False, 0)
_decode_reply = msgspec.msgpack.Decoder(UpdateReply).decode
_decode_any = msgspec.msgpack.Decoder(tuple[Any, list[Any], list[Any], list[Any], Any, Any, list[int]]).decode


class NoBadgeError(Exception):
    """Keys of badges hold something else.

    Args:
        owners: whose badges should be there.
    """

    def __init__(self, owners: Sequence[Owner]) -> None:
        super().__init__(owners)
        self.owners = owners


def read_reply(owners: Sequence[Owner], packed: bytes) -> UpdateReply:
    """What `badges.lua` has returned for the badges of those owners.

    Raises:
        NoBadgeError: some of them are none.
    """
    try:
        reply = _decode_reply(packed)
    except msgspec.ValidationError:
        raise NoBadgeError(_wrong(owners, packed)) from None
    if reply.foreign:
        raise NoBadgeError(_wrong(owners, packed))
    return reply


def badges_of(owners: Sequence[Owner], reply: UpdateReply) -> list[Badge]:
    """The badges of those owners."""
    are_stale = [False] * len(owners)
    for number in reply.stale:
        are_stale[number - 1] = True
    times = rfc3339_all(reply.times_ms)
    rows: Iterable[Any] = zip(owners, reply.unread, times, reply.event_ids, are_stale, strict=True)
    return [
        Badge(owner.app_id, owner.account, None, None, None, is_stale)
        if event_id is False
        else Badge(owner.app_id, owner.account, unread or 0, time, event_id, is_stale)
        for owner, unread, time, event_id, is_stale in rows
    ]


def _is_stored(found: Any) -> bool:
    try:
        msgspec.convert(found, tuple[int | bool, int | bool, str | bool])
    except msgspec.ValidationError:
        return False
    return True


def _wrong(owners: Sequence[Owner], packed: bytes) -> list[Owner]:
    _, unread, times_ms, event_ids, _, _, foreign = _decode_any(packed)
    rows = enumerate(zip(owners, unread, times_ms, event_ids, strict=True), 1)
    return [owner for number, (owner, *row) in rows if number in foreign or not _is_stored(row)]
