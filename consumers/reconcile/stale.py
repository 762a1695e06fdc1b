"""The accounts whose badges are stale, in Redis, and who is asking the platform about them.

For each app there are

| key | holds |
| --- | --- |
| `im:badges:stale:{app}` | sorted set: account → from when on the platform may be asked, Unix ms |
| `im:badges:asking:{app}` | sorted set: account → when the lease of whoever asks about it ends, Unix ms |
| `im:badges:failed:{app}` | hash: account → how often asking has failed in a row |
| `im:badges:calls:{app}` | until when the calls that were given out fill their rate, Unix ms |

The script of the badges puts an account into the first set in the same step that makes its badge stale, and takes it
out in the same step that makes it fresh. All times are of the clock of Redis. No key grows beyond the number of badges.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, NamedTuple

import redis.exceptions
from redis.asyncio import Redis

from consumers.badges.store import BadgeStore, Owner, stale_key

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

    Every method raises RetryLater when Redis cannot do it now, and redis.exceptions.ResponseError when what is stored
    is no badge.
    """

    def __init__(self, store: BadgeStore) -> None:
        self._store = store
        self._lease = self._script("stale_lease.lua")
        self._resolve = self._script("stale_resolve.lua")
        self._postpone = self._script("stale_postpone.lua")

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
        keys = [stale_key(app_id), _asking_key(app_id), f"im:badges:calls:{app_id}"]
        arguments = [max_accounts, 1000 / calls_per_s, int(delay_s * 1000), int(lease_s * 1000)]
        leased = await self._run(self._lease(keys=keys, args=arguments))
        return [account.decode() for account in leased]

    async def snapshot(self, owner: Owner) -> BadgeSnapshot:
        """A badge as it is, to be given to `resolve`."""
        fields = await self._run(self._redis.hmget(f"im:badge:{owner.key}", list(BadgeSnapshot._fields)))
        return BadgeSnapshot(*(field or b"" for field in fields))

    async def resolve(self, owner: Owner, snapshot: BadgeSnapshot, unread: int) -> bool:
        """Make `unread` the badge's count, in the place of the event that had none, if it still is as in the snapshot.

        Returns:
            whether it was; False: something newer had come.
        """
        changed = await self._run(self._resolve(keys=[f"im:badge:{owner.key}"], args=[*snapshot, unread]))
        return bool(changed)

    async def release(self, owner: Owner) -> None:
        """End the lease of a badge that is fresh, and published."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.zrem(_asking_key(owner.app_id), owner.account)
            pipeline.hdel(_failed_key(owner.app_id), owner.account)
            await self._run(pipeline.execute())

    async def postpone(self, owner: Owner, *, jitter: float, long: bool = False) -> None:
        """End the lease of a badge that is still stale: it is leased again after 1, 2, 4, … s, five minutes at most.

        Args:
            owner: whose badge.
            jitter: 0.5 … 1, what the wait is multiplied with.
            long: wait for an hour instead.
        """
        keys = [stale_key(owner.app_id), _asking_key(owner.app_id), _failed_key(owner.app_id)]
        min_wait_ms = int(_UNKNOWN_ACCOUNT_WAIT_S * 1000) if long else 0
        await self._run(self._postpone(keys=keys, args=[owner.account, jitter, min_wait_ms]))

    async def count(self, app_id: str) -> int:
        """How many badges of an app are stale, those that are asked about included."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.zcard(stale_key(app_id))
            pipeline.zcard(_asking_key(app_id))
            return sum(await self._run(pipeline.execute()))

    @property
    def _redis(self) -> Redis:
        return self._store.client

    def _script(self, name: str) -> Any:
        return self._redis.register_script(files("consumers.reconcile").joinpath(name).read_text(encoding="utf-8"))

    async def _run(self, command: Any) -> Any:
        try:
            return await command
        except (redis.exceptions.RedisError, OSError) as error:
            raise self._store.away(error) from error


def _asking_key(app_id: str) -> str:
    return f"im:badges:asking:{app_id}"


def _failed_key(app_id: str) -> str:
    return f"im:badges:failed:{app_id}"
