"""The keys under which it is kept which badges of an app are stale, and who asks about them; see reconcile/stale.py.

A single server has one set an app. In a cluster the accounts of an app are spread over buckets, each of which has its
keys in one slot, so that no node has them all.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable

import redis.exceptions

from consumers.badges.owner import Owner
from consumers.badges.redis_clients import RedisClient
from consumers.badges.redis_connection import RedisConnection, ScriptCall, ServerKind
from consumers.badges.scripts import script

BUCKETS = 16
"""Of an app in a cluster."""


class StaleSets:
    """Which badges are stale.

    Args:
        connection: to the Redis that they are in.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._note = script("stale_note.lua")
        self._kind: ServerKind = "single"

    async def buckets(self, app_id: str) -> list[str]:
        """What stands behind the names of the keys of an app, for each bucket.

        Raises:
            redis.exceptions.RedisError, OSError: it cannot be found out now.
        """
        self._kind = await self._connection.kind()
        if self._kind == "single":
            return [app_id]
        return _cluster_buckets(app_id)

    async def bucket(self, owner: Owner) -> str:
        """What stands behind the names of the keys that an account is kept under; raises as `buckets` does."""
        names = await self.buckets(owner.app_id)
        return names[_number(owner) % len(names)]

    async def note(self, stale: Iterable[Owner], fresh: Iterable[Owner]) -> None:
        """Put some among the stale ones, and take others out.

        Raises:
            redis.exceptions.RedisError, OSError: Redis cannot do it.
        """
        changes: dict[str, tuple[list[str], list[str]]] = {}
        for at, owners in enumerate((stale, fresh)):
            for owner in owners:
                changes.setdefault(await self.bucket(owner), ([], []))[at].append(owner.account)
        calls: list[ScriptCall] = [
            ([stale_key(bucket)], [len(added), *added, *removed]) for bucket, (added, removed) in changes.items()
        ]
        if calls:
            await self._connection.attempt(lambda client: self._note.run_all(client, calls))

    async def note_later(self, stale: Iterable[Owner], fresh: Iterable[Owner]) -> None:
        """As `note`.

        Raises:
            RetryLater: Redis cannot do it.
        """
        stale, fresh = list(stale), list(fresh)
        try:
            await self.note(stale, fresh)
        except (redis.exceptions.RedisError, OSError) as error:
            keys = self.keys_of([*stale, *fresh])
            raise await self._connection.explained(error, badges=[], others=keys) from error

    async def forget_former(self, app_id: str) -> None:
        """Remove the keys that an app would have if the server were of another kind: a cluster, or none.

        Raises:
            RetryLater: Redis cannot do it.
        """

        async def remove(client: RedisClient) -> None:
            async with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.delete(key)
                await pipeline.execute()

        kind = await self._connection.run(lambda _: self._connection.kind())
        former = _cluster_buckets(app_id) if kind == "single" else [app_id]
        keys = [make(bucket) for bucket in former for make in (stale_key, asking_key, failed_key)]
        await self._connection.run(remove, others=keys)

    def keys_of(self, owners: Iterable[Owner]) -> list[str]:
        """The keys of the sets that these are kept in, as far as it is known where."""
        if self._kind == "single":
            return [stale_key(app) for app in dict.fromkeys(owner.app_id for owner in owners)]
        return list(dict.fromkeys(stale_key(_bucket_name(owner.app_id, _number(owner))) for owner in owners))


def stale_key(bucket: str) -> str:
    """Key of the sorted set of accounts whose badges are stale."""
    return f"im:badges:stale:{bucket}"


def asking_key(bucket: str) -> str:
    """Key of the sorted set of accounts that somebody asks about."""
    return f"im:badges:asking:{bucket}"


def failed_key(bucket: str) -> str:
    """Key of the hash of how often asking about an account has failed."""
    return f"im:badges:failed:{bucket}"


def _cluster_buckets(app_id: str) -> list[str]:
    return [_bucket_name(app_id, number) for number in range(BUCKETS)]


def _number(owner: Owner) -> int:
    return crc_hqx(owner.account.encode(errors="surrogateescape"), 0) % BUCKETS


def _bucket_name(app_id: str, number: int) -> str:
    return f"{{{app_id}/{number}}}"
