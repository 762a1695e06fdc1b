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
from typing import NamedTuple

from redis.asyncio import Redis

from consumers.badges.redis_connection import LuaScript
from consumers.badges.store import BadgeStore, Owner, badge_key, stale_key

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
        self._run = store.connection.run
        self._lease = _script("stale_lease.lua")
        self._resolve = _script("stale_resolve.lua")
        self._postpone = _script("stale_postpone.lua")

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
        leased = await self._run(lambda client: self._lease.run(client, keys, arguments), others=keys)
        return [account.decode() for account in leased]

    async def snapshot(self, owner: Owner) -> BadgeSnapshot:
        """A badge as it is, to be given to `resolve`."""
        key, names = badge_key(owner), list(BadgeSnapshot._fields)
        fields = await self._run(lambda client: client.hmget(key, names), badges=[key])
        return BadgeSnapshot(*(field if isinstance(field, bytes) else b"" for field in fields))

    async def resolve(self, owner: Owner, snapshot: BadgeSnapshot, unread: int) -> bool:
        """Make `unread` the badge's count, in the place of the event that had none, if it still is as in the snapshot.

        Returns:
            whether it was; False: something newer had come.
        """
        key = badge_key(owner)
        changed = await self._run(lambda client: self._resolve.run(client, [key], [*snapshot, unread]), badges=[key])
        return bool(changed)

    async def release(self, owner: Owner) -> None:
        """End the lease of a badge that is fresh, and published."""

        async def release(client: Redis) -> None:
            async with client.pipeline(transaction=True) as pipeline:
                pipeline.zrem(_asking_key(owner.app_id), owner.account)
                pipeline.hdel(_failed_key(owner.app_id), owner.account)
                await pipeline.execute()

        await self._run(release, others=[_asking_key(owner.app_id), _failed_key(owner.app_id)])

    async def postpone(self, owner: Owner, *, jitter: float, long: bool = False) -> None:
        """End the lease of a badge that is still stale: it is leased again after 1, 2, 4, … s, five minutes at most.

        Args:
            owner: whose badge.
            jitter: 0.5 … 1, what the wait is multiplied with.
            long: wait for an hour instead.
        """
        keys = [stale_key(owner.app_id), _asking_key(owner.app_id), _failed_key(owner.app_id)]
        min_wait_ms = int(_UNKNOWN_ACCOUNT_WAIT_S * 1000) if long else 0
        arguments = [owner.account, jitter, min_wait_ms]
        await self._run(lambda client: self._postpone.run(client, keys, arguments), others=keys)

    async def count(self, app_id: str) -> int:
        """How many badges of an app are stale, those that are asked about included."""
        keys = [stale_key(app_id), _asking_key(app_id)]

        async def count(client: Redis) -> int:
            async with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.zcard(key)
                return sum(await pipeline.execute())

        return await self._run(count, others=keys)


def _script(name: str) -> LuaScript:
    return LuaScript(files("consumers.reconcile").joinpath(name).read_text(encoding="utf-8"))


def _asking_key(app_id: str) -> str:
    return f"im:badges:asking:{app_id}"


def _failed_key(app_id: str) -> str:
    return f"im:badges:failed:{app_id}"
