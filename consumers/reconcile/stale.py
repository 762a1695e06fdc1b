"""The accounts whose badges are stale, in Redis, and who is asking the platform about them.

For each app there are

| key | holds |
| --- | --- |
| `im:badges:stale:…` | sorted set: account → from when on the platform may be asked, Unix ms |
| `im:badges:asking:…` | sorted set: account → when the lease of whoever asks about it ends, Unix ms |
| `im:badges:failed:…` | hash: account → how often asking has failed in a row |
| `im:badges:calls:APP` | until when the calls that were given out fill their rate, Unix ms |

In the place of `…` stands the app. In a cluster the accounts of an app are spread over buckets, and there stands
`{APP/NUMBER}`: the keys of a bucket share a slot (`badges/stale_sets.py`).

The worker of the badges puts an account into the first set after the step that makes its badge stale, and takes it out
after the one that makes it fresh. It may die between the two: then the events come again, and with them the account;
and one that stays there although its badge is fresh is looked at, and taken off. All times are of the clock of Redis.
No key grows beyond the number of badges.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import redis.exceptions

from consumers.badges.redis_clients import RedisClient
from consumers.badges.redis_connection import ForeignKeyError, LuaScript
from consumers.badges.scripts import badge_script, script
from consumers.badges.stale_sets import asking_key, failed_key, stale_key
from consumers.badges.store import BadgeStore, Owner, badge_key

_UNKNOWN_ACCOUNT_WAIT_S = 3600.0


class BadgeSnapshot(NamedTuple):
    """A badge as it was before the platform was asked: its fields in Redis, empty where absent."""

    time: bytes
    event_id: bytes
    stale_time: bytes
    stale_id: bytes

    @property
    def is_stale(self) -> bool:
        """Whether a number is wanted."""
        return bool(self.stale_time)


class StaleBadges:
    """The stale badges of all apps in Redis, and the leases of those who ask the platform about them.

    Args:
        store: the badges, whose connection it uses.

    Every method raises RetryLater when Redis cannot do it now, and ForeignKeyError when what is stored is no badge.
    """

    def __init__(self, store: BadgeStore) -> None:
        self._connection = store.connection
        self._run = store.connection.run
        self._layout = store.layout
        self._sets = store.stale_sets
        self._lease, self._calls, self._postpone = map(
            _script, ("stale_lease.lua", "stale_calls.lua", "stale_postpone.lua")
        )
        self._snapshot, self._resolve = map(_badge_script, ("badge_snapshot.lua", "stale_resolve.lua"))

    async def lease(
        self, app_id: str, max_accounts: int, *, calls_per_s: float, delay_s: float, lease_s: float
    ) -> list[str]:
        """Accounts to ask about now; nobody else is given them for `lease_s`, unless they are postponed before.

        Args:
            app_id: SdkAppid.
            max_accounts: how many at most.
            calls_per_s: how many a second at most, of all processes together.
            delay_s: how long a badge must be stale before it is asked about.
            lease_s: after so long without `release` or `postpone` others are given them.
        """
        calls_key, between = f"im:badges:calls:{app_id}", 1000 / calls_per_s
        buckets = await self._buckets(app_id)
        random.shuffle(buckets)  # None of them is always the last, for which no call is left.

        async def take(client: RedisClient, count: int) -> int:
            return int(await self._calls.run(client, [calls_key], [count, between]))

        async def lease(client: RedisClient, bucket: str, count: int) -> list[bytes]:
            arguments = [count, int(delay_s * 1000), int(lease_s * 1000)]
            leased: list[bytes] = await self._lease.run(client, [stale_key(bucket), asking_key(bucket)], arguments)
            return leased

        due = await self._filled(buckets)
        free = await self._run(lambda client: take(client, max_accounts), others=[calls_key]) if due else 0
        found: list[bytes] = []
        try:
            for bucket in due:
                keys = [stale_key(bucket), asking_key(bucket)]
                left = free - len(found)
                found += await self._run(lambda client: lease(client, bucket, left), others=keys)  # noqa: B023
        finally:
            if unused := free - len(found):
                await self._run(lambda client: take(client, -unused), others=[calls_key])
        return [account.decode() for account in found]

    async def _filled(self, buckets: list[str]) -> list[str]:
        """The buckets that may have an account to ask about, or one whose lease has ended."""
        keys = [key for bucket in buckets for key in (stale_key(bucket), asking_key(bucket))]

        async def lengths(client: RedisClient) -> list[int]:
            async with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.zcard(key)
                counts: list[int] = await pipeline.execute()
                return counts

        counts = await self._run(lengths, others=keys)
        return [bucket for at, bucket in enumerate(buckets) if counts[2 * at] or counts[2 * at + 1]]

    async def snapshot(self, owner: Owner) -> BadgeSnapshot:
        """A badge as it is, to be given to `resolve`."""
        key = badge_key(owner)
        fields = await self._run(lambda client: self._snapshot.run(client, [key], [self._layout]), badges=[key])
        if not fields:
            raise ForeignKeyError(f"the key {key.decode()} in Redis holds what is no badge: delete that key")
        return BadgeSnapshot(*fields)

    async def resolve(self, owner: Owner, snapshot: BadgeSnapshot, unread: int) -> bool:
        """Make `unread` the badge's count, in the place of the event that had none, if it still is as in the snapshot.

        Returns:
            whether it was; False: something newer had come.
        """
        key = badge_key(owner)
        arguments = [self._layout, *snapshot, unread]
        changed = await self._run(lambda client: self._resolve.run(client, [key], arguments), badges=[key])
        return bool(changed)

    async def release(self, owner: Owner) -> None:
        """End the lease of a badge that is fresh, and published."""
        bucket = await self._bucket(owner)

        async def release(client: RedisClient) -> None:
            async with client.pipeline(transaction=False) as pipeline:
                pipeline.hdel(failed_key(bucket), owner.account)
                pipeline.zrem(asking_key(bucket), owner.account)
                await pipeline.execute()

        await self._run(release, others=[asking_key(bucket), failed_key(bucket)])

    async def postpone(self, owner: Owner, *, jitter: float, long: bool = False) -> None:
        """End the lease of a badge that is still stale: it is leased again after 1, 2, 4, … s, five minutes at most.

        Args:
            owner: whose badge.
            jitter: 0.5 … 1, what the wait is multiplied with.
            long: wait for an hour instead.
        """
        bucket = await self._bucket(owner)
        keys = [stale_key(bucket), asking_key(bucket), failed_key(bucket)]
        min_wait_ms = int(_UNKNOWN_ACCOUNT_WAIT_S * 1000) if long else 0
        arguments = [owner.account, jitter, min_wait_ms]
        await self._run(lambda client: self._postpone.run(client, keys, arguments), others=keys)

    async def count(self, app_id: str) -> int:
        """How many badges of an app are stale, those that are asked about included."""
        keys = [make(bucket) for bucket in await self._buckets(app_id) for make in (stale_key, asking_key)]

        async def count(client: RedisClient) -> int:
            async with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.zcard(key)
                return sum(await pipeline.execute())

        return await self._run(count, others=keys)

    async def _buckets(self, app_id: str) -> list[str]:
        try:
            return await self._sets.buckets(app_id)
        except (redis.exceptions.RedisError, OSError) as error:
            raise self._connection.away(error) from error

    async def _bucket(self, owner: Owner) -> str:
        try:
            return await self._sets.bucket(owner)
        except (redis.exceptions.RedisError, OSError) as error:
            raise self._connection.away(error) from error


def _script(name: str) -> LuaScript:
    return script(name, "consumers.reconcile")


def _badge_script(name: str) -> LuaScript:
    return badge_script(name, "consumers.reconcile")
