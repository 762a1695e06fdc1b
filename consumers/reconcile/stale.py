"""The accounts whose badges are stale, in Redis, and who is asking the platform about them.

For each app there are

| key | holds |
| --- | --- |
| `im:badges:stale:{app}` | sorted set: account → from when on the platform may be asked, Unix ms |
| `im:badges:asking:{app}` | sorted set: account → when whoever asks about it is taken to be gone |
| `im:badges:failed:{app}` | hash: account → how often asking has failed in a row |
| `im:badges:calls:{app}` | until when the calls that were given out fill their rate |

The script of the badges puts an account into the first set in the same step that makes its badge stale, and takes it
out in the same step that makes it fresh. All times are of the clock of Redis. No key grows beyond the number of badges.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, NamedTuple

import redis.exceptions
from redis.asyncio import Redis

from consumers.badges.store import BadgeStore, Owner, stale_key

_ACCOUNT_FAILED_S = 3600.0


class Seen(NamedTuple):
    """A badge as it was before the platform was asked."""

    time: bytes
    event_id: bytes
    stale_time: bytes
    stale_id: bytes

    @property
    def is_stale(self) -> bool:
        """Whether a number is wanted."""
        return bool(self.stale_time)


class StaleBadges:
    """Access to those keys; every method raises what those of BadgeStore do."""

    def __init__(self, store: BadgeStore) -> None:
        self._store = store
        self._lease = self._script("stale_lease.lua")
        self._settle = self._script("stale_settle.lua")
        self._retry = self._script("stale_retry.lua")

    async def take(self, app_id: str, most: int, *, calls_per_s: float, delay_s: float, lease_s: float) -> list[str]:
        """Accounts to ask about now, `most` at most and no more than the rate allows; ours for `lease_s`.

        They go back to the others by themselves unless `done` or `put_back` is called.
        """
        keys = [stale_key(app_id), _asking(app_id), f"im:badges:calls:{app_id}"]
        arguments = [most, 1000 / calls_per_s, int(delay_s * 1000), int(lease_s * 1000)]
        taken = await self._run(self._lease(keys=keys, args=arguments))
        return [account.decode() for account in taken]

    async def see(self, owner: Owner) -> Seen:
        """A badge as it is, to be given to `settle`."""
        fields = await self._run(self._redis.hmget(f"im:badge:{owner.key}", list(Seen._fields)))
        return Seen(*(field or b"" for field in fields))

    async def settle(self, owner: Owner, seen: Seen, unread: int) -> bool:
        """Make `unread` the badge's count, in the place of the event that had none; whether nothing newer had come."""
        changed = await self._run(self._settle(keys=[f"im:badge:{owner.key}"], args=[*seen, unread]))
        return bool(changed)

    async def done(self, owner: Owner) -> None:
        """It is settled, and published."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.zrem(_asking(owner.app_id), owner.account)
            pipeline.hdel(_failed(owner.app_id), owner.account)
            await self._run(pipeline.execute())

    async def put_back(self, owner: Owner, *, jitter: float, long: bool = False) -> None:
        """It could not be settled: again later, each time later than the last, or (`long`) in an hour.

        Args:
            jitter: 0.5 … 1, what the wait is multiplied with.
        """
        keys = [stale_key(owner.app_id), _asking(owner.app_id), _failed(owner.app_id)]
        least_ms = int(_ACCOUNT_FAILED_S * 1000) if long else 0
        await self._run(self._retry(keys=keys, args=[owner.account, jitter, least_ms]))

    async def count(self, app_id: str) -> int:
        """How many badges of an app are stale, those that are asked about included."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.zcard(stale_key(app_id))
            pipeline.zcard(_asking(app_id))
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


def _asking(app_id: str) -> str:
    return f"im:badges:asking:{app_id}"


def _failed(app_id: str) -> str:
    return f"im:badges:failed:{app_id}"
