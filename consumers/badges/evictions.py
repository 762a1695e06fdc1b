"""Notices that Redis throws keys away to make room. Badges may be among them, and nothing says which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import redis.exceptions
from redis.asyncio import RedisCluster

from consumers.badges.keys import WHOLE, Slot
from consumers.badges.redis_clients import RedisClient
from consumers.badges.redis_connection import RedisConnection
from consumers.errors import redis_code

_SINGLE_SERVER = ""


class Eviction(NamedTuple):
    """What a server has thrown away since it was last asked."""

    keys: int
    policy: str
    """Its `maxmemory-policy`."""
    slots: list[Slot]
    """Those that it serves."""


class EvictionWatch:
    """Asks all primaries how many keys they have evicted. What went before it first asks is none of its business.

    Args:
        connection: to Redis. A proxy that does not let us ask is not watched.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._counts: dict[str, int] = {}
        """Server → how many keys it had evicted when it was asked."""
        self._seen: dict[str, int] | None = None
        """The same when that was noted."""
        self._may_ask = True

    async def look(self) -> list[Eviction]:
        """What was evicted since the last look, where badges may be among it: one for each server.

        The same comes again until `noted` is called.

        Raises:
            RetryLater: Redis is away.
        """
        self._counts = {name: int(told.get("evicted_keys", 0)) for name, told in (await self._ask("stats")).items()}
        seen = self._counts if self._seen is None else self._seen
        # A server that has restarted counts from 0 again; one that has taken over was never asked.
        risen = {name: _since(seen.get(name, 0), count) for name, count in self._counts.items()}
        memory = await self._ask("memory") if any(risen.values()) else {}
        found = [
            Eviction(keys, policy, await self._slots_of(name))
            for name, keys in risen.items()
            # Badges have no time to live, and of the others only such keys go.
            if keys and not (policy := str(memory.get(name, {}).get("maxmemory_policy", ""))).startswith("volatile")
        ]
        if not found:
            self.noted()
        return found

    def noted(self) -> None:
        """What was found is noted elsewhere."""
        self._seen = self._counts

    async def _ask(self, section: str) -> Mapping[str, Mapping[str, Any]]:
        """Server → what it says; none where it may not be asked."""
        if not self._may_ask:
            return {}
        try:
            return await self._connection.attempt(lambda client: _information(client, section))
        except redis.exceptions.ResponseError as error:
            if redis_code(error) in {"", "NOPERM"}:
                self._may_ask = False  # For each error a new connection is made.
                return {}
            raise self._connection.away(error) from error
        except (redis.exceptions.RedisError, OSError) as error:
            raise self._connection.away(error) from error

    async def _slots_of(self, name: str) -> list[Slot]:
        async with self._connection.lease() as client:
            if not isinstance(client, RedisCluster):
                return [WHOLE]
            served = client.nodes_manager.slots_cache
            return [slot for slot, nodes in served.items() if nodes[0].name == name]


async def _information(client: RedisClient, section: str) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(client, RedisCluster):
        return {_SINGLE_SERVER: await client.info(section)}
    told = await client.execute_command("INFO", section, target_nodes=RedisCluster.PRIMARIES)
    is_by_node = told and all(isinstance(of_node, Mapping) for of_node in told.values())
    return told if is_by_node else {client.get_primaries()[0].name: told}


def _since(before: int, now: int) -> int:
    return now - before if now >= before else now
