"""Notices that Redis throws keys away to make room. Badges may be among them, and nothing says which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import redis.exceptions
from redis.asyncio import RedisCluster

from consumers.badges.keys import slots_of_all_nodes, state_key
from consumers.badges.redis_clients import RedisClient, replied_text
from consumers.badges.redis_connection import RedisConnection
from consumers.badges.scripts import script
from consumers.errors import redis_code

_SINGLE_SERVER = ""


class Eviction(NamedTuple):
    """What a server has thrown away since it was last asked."""

    keys: int
    policy: str
    """Its `maxmemory-policy`."""


class _ServerCounts(NamedTuple):
    """What a server says."""

    evicted: int
    policy: str


class EvictionWatch:
    """Asks all primaries how many keys they have evicted. What went before it first asks is none of its business.

    Args:
        connection: to Redis. One that does not let us ask is not watched.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._counts: dict[str, int] = {}
        """Server → how many keys it had evicted when it was asked."""
        self._seen: dict[str, int] | None = None
        """The same when that was noted."""
        self._may_ask = True
        self._ask_behind_proxy = script("evicted.lua")

    async def look(self) -> list[Eviction]:
        """What was evicted since the last look, where badges may be among it: one for each server.

        The same comes again until `noted` is called.

        Raises:
            RetryLater: Redis is away.
        """
        told = await self._ask()
        self._counts = {name: one.evicted for name, one in told.items()}
        seen = self._counts if self._seen is None else self._seen
        # A server that has restarted counts from 0 again; one that has taken over was never asked.
        risen = {name: _since(seen.get(name, 0), count) for name, count in self._counts.items()}
        # Badges have no time to live, and of the others only such keys go.
        found = [
            Eviction(keys, told[name].policy)
            for name, keys in risen.items()
            if keys and not told[name].policy.startswith("volatile")
        ]
        if not found:
            self.noted()
        return found

    def noted(self) -> None:
        """What was found is noted elsewhere."""
        self._seen = (self._seen or {}) | self._counts

    async def _ask(self) -> Mapping[str, _ServerCounts]:
        """What each server says; none where it may not be asked."""
        if not self._may_ask:
            return {}
        try:
            if await self._connection.kind() == "proxy":
                return await self._connection.attempt(self._of_servers_behind_proxy)
            return await self._connection.attempt(_of_servers)
        except redis.exceptions.ResponseError as error:
            if redis_code(error) in {"", "NOPERM"}:
                self._may_ask = False  # For each error a new connection is made.
                return {}
            raise self._connection.away(error) from error
        except (redis.exceptions.RedisError, OSError) as error:
            raise self._connection.away(error) from error

    async def _of_servers_behind_proxy(self, client: RedisClient) -> Mapping[str, _ServerCounts]:
        """Asked by scripts, which go where their keys are: INFO would go to any server, or to the proxy."""
        rows = await self._ask_behind_proxy.run_all(client, [([state_key(slot)], []) for slot in slots_of_all_nodes()])
        return {replied_text(name): _ServerCounts(int(evicted), replied_text(policy)) for name, evicted, policy in rows}


async def _of_servers(client: RedisClient) -> Mapping[str, _ServerCounts]:
    if not isinstance(client, RedisCluster):
        return {_SINGLE_SERVER: _told(await client.info())}
    told = await client.execute_command("INFO", target_nodes=RedisCluster.PRIMARIES)
    is_by_node = told and all(isinstance(of_node, Mapping) for of_node in told.values())
    by_node = told if is_by_node else {client.get_primaries()[0].name: told}
    return {name: _told(of_node) for name, of_node in by_node.items()}


def _told(information: Mapping[str, Any]) -> _ServerCounts:
    return _ServerCounts(int(information.get("evicted_keys", 0)), str(information.get("maxmemory_policy", "")))


def _since(before: int, now: int) -> int:
    return now - before if now >= before else now
