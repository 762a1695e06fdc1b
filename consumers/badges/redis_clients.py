"""Makes the client for an address: of one server, of a cluster, or of the primary that Sentinels name."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from common.redis_url import RedisAddress
from consumers.badges.redis_packing import pack_fast

RedisClient = Redis | RedisCluster
_OF_TLS = "ssl_"


def replied_text(value: bytes | str | None) -> str:
    """A text in a reply, which a client may have decoded already; empty where there is none."""
    return value.decode() if isinstance(value, bytes) else value or ""


class ClusterCommands:
    """What commands the nodes know, asked for once.

    A client of a cluster asks the primary of the first slots for them when it connects, and no other. While that one
    hangs, a new client could do nothing on the other nodes either.
    """

    def __init__(self) -> None:
        self._parser: Any = None

    def share_with(self, client: RedisCluster) -> None:
        """Have a client take these for its own."""
        if self._parser is None:
            self._parser = client.commands_parser
        client.commands_parser = self  # type: ignore[assignment]

    async def initialize(self, node: ClusterNode) -> None:
        """Ask the node, unless one was asked before."""
        self._parser.node = node
        if not self._parser.commands:
            await self._parser.initialize(node)

    async def get_keys(self, *command: Any) -> Any:
        """The keys of a command."""
        return await self._parser.get_keys(*command)


def make_client(address: RedisAddress, *, as_cluster: bool, timeout_s: float, commands: ClusterCommands) -> RedisClient:
    """A client that connects at its first command.

    Args:
        address: of the settings.
        as_cluster: whether to ask for the nodes of a cluster, also where the address does not say that it is one.
        timeout_s: for connecting, and for an answer.
        commands: of the cluster, as a client before has learnt them.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 1),  # a connection that an idle time-out or a restart has closed
    }
    if as_cluster:
        nodes = [ClusterNode(host, port) for host, port in address.nodes]
        # One attempt more of the client's own: it follows a slot that has moved at once. All else is tried again by us.
        cluster = RedisCluster.from_url(address.url, startup_nodes=nodes, require_full_coverage=False, **options)
        commands.share_with(cluster)
        return cluster
    if address.topology == "sentinel":
        client = _of_sentinels(address, options)
    else:
        client = Redis.from_url(address.url, **options)
    pack_fast(client)
    return client


async def close_client(client: RedisClient) -> None:
    """Close its connections, those to Sentinels too."""
    pool = getattr(client, "connection_pool", None)
    try:
        await client.aclose()
    finally:
        if isinstance(pool, SentinelConnectionPool):
            for sentinel in pool.sentinel_manager.sentinels:
                await sentinel.aclose()


def _of_sentinels(address: RedisAddress, options: dict[str, Any]) -> Redis:
    given = dict(parse_url(address.url))
    for name in ("host", "port"):
        given.pop(name, None)
    is_tls = given.pop("connection_class", None) is SSLConnection
    tls = {name: value for name, value in given.items() if name.startswith(_OF_TLS)} if is_tls else {}
    own = {"username": address.sentinel_user, "password": address.sentinel_password, "ssl": is_tls, **tls}
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        list(address.nodes),
        sentinel_kwargs={**own, "socket_timeout": options["socket_timeout"], **_time_limits(options)},
        ssl=is_tls,
        **{**options, **given},
    )
    client: Redis = sentinels.master_for(address.service)
    return client


def _time_limits(options: dict[str, Any]) -> dict[str, Any]:
    return {"socket_connect_timeout": options["socket_connect_timeout"], "retry": Retry(NoBackoff(), 0)}
