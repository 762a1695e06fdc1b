"""What of the Redis of the badges is set up in a way that loses some: eviction, a replica, slots that nobody serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis.exceptions
from redis.asyncio import RedisCluster

from consumers.badges.redis_connection import RedisConnection
from consumers.badges.slots import SLOTS


async def examine_redis(connection: RedisConnection) -> tuple[str, list[str]]:
    """What answers there, and what is wrong with it; each with what to do.

    Raises:
        RetryLater: it is away.
    """
    try:
        kind = await connection.kind()
        if kind == "cluster":
            return await _examine_cluster(connection)
        problems = _problems("it", await connection.information())
    except (redis.exceptions.RedisError, OSError) as error:
        raise connection.away(error) from error
    return ("a proxy before a cluster" if kind == "proxy" else "a single server"), problems


async def _examine_cluster(connection: RedisConnection) -> tuple[str, list[str]]:
    async with connection.lease() as client:
        if not isinstance(client, RedisCluster):
            return "a cluster", []
        try:
            told: Mapping[str, Any] = await client.execute_command("CLUSTER INFO", target_nodes=RedisCluster.RANDOM)
            nodes: Mapping[str, Any] = await client.execute_command("INFO", target_nodes=RedisCluster.PRIMARIES)
        except redis.exceptions.ResponseError:
            return "a cluster, which tells nothing of itself", []
        primaries = client.get_primaries()
    problems: list[str] = []
    served = int(told.get("cluster_slots_ok", SLOTS))
    if served < SLOTS:
        problems.append(f"{SLOTS - served} of its {SLOTS} slots are served by no node: see `redis-cli --cluster check`")
    by_node = nodes if nodes and all(isinstance(one, Mapping) for one in nodes.values()) else {"a node": nodes}
    for name, information in by_node.items():
        problems += _problems(name, information)
    return f"a cluster of {len(primaries)} primaries", problems


def _problems(name: str, information: Mapping[str, Any]) -> list[str]:
    problems: list[str] = []
    policy = str(information.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and int(information.get("maxmemory", 0) or 0):
        problems.append(f"{name} throws badges away when its memory is full: set maxmemory-policy to noeviction")
    if information.get("role") == "slave":
        problems.append(f"{name} is a replica: CONSUMERS_REDIS_URL must lead to the primary")
    return problems
