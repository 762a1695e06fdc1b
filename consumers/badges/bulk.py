"""What is done with all badges at once, some at a time: put them back, bring them over, let old ones go."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
import redis.exceptions

from consumers.badges.keys import APPS_KEY, KEY_PREFIX, badge_key, former_state_keys, owner_of
from consumers.badges.redis_clients import RedisClient
from consumers.badges.redis_connection import LuaScript, ScriptCall
from consumers.badges.scripts import badge_script, script
from consumers.badges.store import BadgeStore, Owner

_EXPIRING_KEY = "im:badges:expiring"
_LET_GO_KEY = "im:badges:let-go"
_SCANNED_AT_A_TIME = 500
_REMOVED_AT_A_TIME = 2000
_RESTORING_KEY = "im:badges:restoring"
_RESTORATION_LEASE_MS = 60_000

_decode = msgspec.msgpack.Decoder(list[Any]).decode

PackedBadge = bytes
"""A badge as `badges_merge.lua` takes it: MessagePack of unread, time in Unix ms and event of the newest count, False
where there is none; time and event of the newest change that no event counted, the latter False where only its time is
known; what is known of ids."""


class BadgeBulk:
    """All badges, beside workers that change some of them.

    Every method raises RetryLater when Redis cannot do it now, and ForeignKeyError when what is stored is no badge.

    Args:
        store: the badges.
    """

    def __init__(self, store: BadgeStore) -> None:
        self._store = store
        self._holder = uuid.uuid4().hex
        self._expire, self._export, self._relayout, self._merge = (
            badge_script(f"badges_{name}.lua") for name in ("expire", "export", "relayout", "merge")
        )
        self._hold, self._note_let_go = script("lease.lua"), script("let_go_note.lua")

    async def merge(self, rows: Mapping[Owner, PackedBadge]) -> None:
        """Bring in badges from elsewhere: of each the newest of both stays."""
        if not rows:
            return
        owners: list[Owner] = []
        calls: list[ScriptCall] = []
        for group in (await self._store.by_slot(rows)).values():
            owners += group
            calls.append((list(map(badge_key, group)), [self._store.layout, *(rows[owner] for owner in group)]))
        keys = list(map(badge_key, owners))
        replies = await self._store.connection.run(lambda client: self._merge.run_all(client, calls), badges=keys)
        is_stale = list(chain.from_iterable(replies))
        stale = [owner for owner, state in zip(owners, is_stale, strict=True) if state > 0]
        apps = sorted({owner.app_id for owner in owners})
        await self._store.connection.run(lambda client: client.sadd(APPS_KEY, *apps), others=[APPS_KEY])
        await self._store.stale_sets.note_later(stale, [])

    async def scan(self) -> AsyncIterator[list[Owner]]:
        """Whose badges there are, some at a time; one that is there all the while comes once at least."""
        found: list[Owner] = []
        try:
            async with self._store.connection.lease() as client:
                async for key in client.scan_iter(match=f"{KEY_PREFIX}*", count=_SCANNED_AT_A_TIME):
                    owner = owner_of(key if isinstance(key, bytes) else key.encode())
                    if owner is not None:
                        found.append(owner)
                    if len(found) >= _SCANNED_AT_A_TIME:
                        yield found
                        found = []
        except (redis.exceptions.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
            raise self._store.connection.away(error) from error
        if found:
            yield found

    async def older(self, owners: Sequence[Owner], before_ms: int) -> dict[Owner, PackedBadge]:
        """Those whose badges have no event since `before_ms`, Unix ms, and what these badges are."""
        return {owner: packed for owner, packed in await self._on_badges(self._expire, owners, [before_ms]) if packed}

    async def remove_older(self, found: Mapping[Owner, PackedBadge], before_ms: int) -> list[Owner]:
        """Remove badges that `older` has found and that are still what they were; whose those were."""
        replies = await self._on_badges(self._expire, list(found), [before_ms], of_each=found)
        gone = [owner for owner, packed in replies if packed]
        await self._store.stale_sets.note_later([], gone)
        return gone

    async def let_go(self, written_ms: Mapping[Owner, int]) -> None:
        """Remove badges that had left before: those without an event since their tombstones were written, Unix ms."""
        if not written_ms:
            return
        before_ms = max(written_ms.values())
        found = await self.older(list(written_ms), before_ms)
        gone = {owner: packed for owner, packed in found.items() if _newest_ms(packed) < written_ms[owner]}
        if gone:
            await self.remove_older(gone, before_ms)

    async def note_let_go(self, before_ms: int) -> None:
        """Note that badges without an event since `before_ms`, Unix ms, are about to be let go."""
        await self._store.connection.run(
            lambda client: self._note_let_go.run(client, [_LET_GO_KEY], [before_ms]), others=[_LET_GO_KEY]
        )

    async def let_go_before(self) -> int:
        """The latest time that `note_let_go` was given; 0 where none ever was."""
        return int(await self._store.connection.run(lambda client: client.get(_LET_GO_KEY), others=[_LET_GO_KEY]) or 0)

    async def relayout(self, owners: Sequence[Owner]) -> int:
        """Write the badges anew that are stored in another layout; how many those were."""
        return sum([changed for _, changed in await self._on_badges(self._relayout, owners, [])])

    async def note_stale(self, owners: Sequence[Owner]) -> int:
        """Put those whose badges are stale among the stale ones, where they are not; how many are stale."""
        badges = await self._store.update({owner: [] for owner in owners})
        stale = [badge.owner for badge in badges if badge.stale]
        await self._store.stale_sets.note_later(stale, [])
        return len(stale)

    async def export(self, owners: Sequence[Owner]) -> dict[Owner, PackedBadge]:
        """Badges in the form that `merge` takes; those that are there."""
        return {owner: packed for owner, packed in await self._on_badges(self._export, owners, []) if packed}

    async def forget_former_keys(self) -> None:
        """Remove the keys that a server of another kind has: its sets of stale badges, and the states of its badges."""
        for app in await self._store.apps():
            await self._store.stale_sets.forget_former(app)
        keys = former_state_keys(await self._store.kind())

        async def remove(client: RedisClient, part: list[str]) -> None:
            async with client.pipeline(transaction=False) as pipeline:
                for key in part:
                    pipeline.delete(key)
                await pipeline.execute()

        for start in range(0, len(keys), _REMOVED_AT_A_TIME):
            part = keys[start : start + _REMOVED_AT_A_TIME]
            await self._store.connection.run(lambda client: remove(client, part), others=part[:3])  # noqa: B023

    async def _on_badges(
        self,
        run: LuaScript,
        owners: Sequence[Owner],
        arguments: list[Any],
        of_each: Mapping[Owner, Any] | None = None,
    ) -> list[tuple[Owner, Any]]:
        groups = list((await self._store.by_slot(owners)).values())
        calls: list[ScriptCall] = []
        for group in groups:
            own = [of_each[owner] for owner in group] if of_each is not None else []
            calls.append((list(map(badge_key, group)), [self._store.layout, *arguments, *own]))
        if not calls:
            return []
        keys = [badge_key(owner) for owner in owners]
        replies = await self._store.connection.run(lambda client: run.run_all(client, calls), badges=keys)
        return list(zip(chain.from_iterable(groups), chain.from_iterable(replies), strict=True))

    async def hold_expiry(self, *, for_s: float) -> bool:
        """Take the right to let old badges go for some time; whether we have it now, and had it not before."""
        key, arguments = _EXPIRING_KEY, [uuid.uuid4().hex, int(for_s * 1000)]
        return bool(
            await self._store.connection.run(lambda client: self._hold.run(client, [key], arguments), others=[key])
        )

    async def hold_restoration(self) -> bool:
        """Take, or keep, the right to put badges back, which one process has at a time; whether we have it."""
        return await self._take(_RESTORING_KEY, self._holder, _RESTORATION_LEASE_MS)

    async def release_restoration(self) -> None:
        """Give that right back, if we have it."""
        await self._take(_RESTORING_KEY, self._holder, 0)

    async def _take(self, key: str, holder: str, for_ms: int) -> bool:
        run = self._store.connection.run
        return bool(await run(lambda client: self._hold.run(client, [key], [holder, for_ms]), others=[key]))


def _newest_ms(packed: PackedBadge) -> int:
    _, time_ms, _, stale_ms, *_ = _decode(packed)
    return max(int(time_ms), int(stale_ms))
