"""Makes the client for an address: of one server, of a cluster, or of the primary that Sentinels name."""

from __future__ import annotations

from typing import Any

import redis.exceptions
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from common.redis_url import RedisAddress
from common.unreachable import why_unreachable
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


def told_by_a_node(error: BaseException) -> Exception:
    """The error of a node that the client of the cluster has put into words of its own.

    It takes a wrong password for a cluster that is away, and a missing permission for a server that is no cluster.
    """
    found: BaseException | None = error
    while isinstance(found, redis.exceptions.RedisClusterException):
        found = found.__cause__ or found.__context__
    if isinstance(found, redis.exceptions.RedisError | OSError):
        return found
    return redis.exceptions.ConnectionError(str(error))


class _Sentinels(Sentinel):
    """Says in words why they name no primary: the client would show all that their connections are made of."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port of the primary, as the first Sentinel says that knows it.

        Raises:
            MasterNotFoundError: none does.
        """
        why = "none of them knows one that is up"
        for sentinel in list(self.sentinels):
            try:
                told: Any = await sentinel.sentinel_masters()
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
                why = _why_silent(error)
                continue
            state = told.get(service_name)
            if state and self.check_master_state(state, service_name):
                self.sentinels.remove(sentinel)
                self.sentinels.insert(0, sentinel)  # It is asked first the next time.
                return state["ip"], state["port"]
        raise MasterNotFoundError(f"the Sentinels name no primary of {service_name!r}: {why}")


def _why_silent(error: redis.exceptions.RedisError) -> str:
    if isinstance(error, redis.exceptions.AuthenticationError):
        return "they want another user name or password: set sentinel_username and sentinel_password in the address"
    cause = error.__cause__ or error.__context__
    return why_unreachable(cause if isinstance(cause, OSError) else error)


def _of_sentinels(address: RedisAddress, options: dict[str, Any]) -> Redis:
    given = dict(parse_url(address.url))
    for name in ("host", "port"):
        given.pop(name, None)
    is_tls = given.pop("connection_class", None) is SSLConnection
    tls = {name: value for name, value in given.items() if name.startswith(_OF_TLS)} if is_tls else {}
    own = {"username": address.sentinel_user, "password": address.sentinel_password, "ssl": is_tls, **tls}
    sentinels = _Sentinels(  # type: ignore[no-untyped-call]
        list(address.nodes),
        sentinel_kwargs={**own, "socket_timeout": options["socket_timeout"], **_time_limits(options)},
        ssl=is_tls,
        **{**options, **given},
    )
    client: Redis = sentinels.master_for(address.service)
    return client


def _time_limits(options: dict[str, Any]) -> dict[str, Any]:
    return {"socket_connect_timeout": options["socket_connect_timeout"], "retry": Retry(NoBackoff(), 0)}
