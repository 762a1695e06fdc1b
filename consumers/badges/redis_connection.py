"""The connection to Redis, made anew whenever Redis says no: then another server may be the right one.

Commands and scripts are ours, and so are their arguments. So whatever the server answers to them, in whatever words, it
is trouble with Redis and passes: RetryLater. Only one fault is an event's own: the key of its badge holds something
else. That is looked up, not taken from the words of the error.

After each answer that is an error the connections are given up. The next attempt looks up the host's name, asks the
Sentinels or the cluster for its nodes, reads CONSUMERS_REDIS_URL_FILE, and connects: a server that was demoted, or a
password that was replaced, costs one attempt.

What answers at the address is found out before the first command: a single server, a cluster, or a proxy before one,
which looks like a single server and takes keys of one slot at a time only.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar

import redis.exceptions
from redis.asyncio import RedisCluster

from common.redis_url import parse_redis_url
from consumers.badges.redis_advice import why_away
from consumers.badges.redis_clients import ClusterCommands, RedisClient, close_client, make_client, told_by_a_node
from consumers.errors import RetryLater, WorkerRefusedError, describe, is_passing, redis_code
from consumers.settings import ConsumersSettings

T = TypeVar("T")
Key = bytes | str
RedisCommand = Callable[[RedisClient], Awaitable[T]]
ServerKind = Literal["single", "cluster", "proxy"]
"""`proxy`: before a cluster, whose commands it hides."""
ScriptCall = tuple[Sequence[Key], Sequence[Any]]
"""Keys and arguments."""

log = logging.getLogger(__name__)

_OF_A_CLUSTER = re.compile(r"\bslots?\b|\bcluster\b(?! connections)", re.IGNORECASE)
"""In the words of servers, and of proxies before them, that take commands on keys of one slot only."""
_IS_NO_CLUSTER = re.compile(r"Cluster mode is not enabled|cluster support disabled|unknown command", re.IGNORECASE)
_CLUSTER_CODES = frozenset({"ASK", "CLUSTERDOWN", "CROSSSLOT", "MOVED"})
_OF_A_CHANGE = frozenset({"CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY"})
"""Answers after which another server, or the same with other data, may have the badges."""
_PROBE = "redis.call('EXISTS', KEYS[1]) return redis.call('EXISTS', KEYS[2])"
_PROBED_KEYS = ("im:badge:0:probe-1", "im:badge:1:probe-2")
"""Of no user, and in different slots of a cluster."""
_MAX_PIPELINED = 1000


class ForeignKeyError(Exception):
    """A key of ours holds something that is not ours. The message names it and says what to do."""


class LuaScript:
    """A script, sent whole only to a server that does not know it yet.

    Args:
        text: in Lua.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: RedisClient, keys: Sequence[Key], arguments: Sequence[Any]) -> Any:
        """What it returns for these keys, which are of one slot, and arguments."""
        try:
            return await client.evalsha(self._sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            return await client.eval(self._text, len(keys), *keys, *arguments)

    async def run_all(self, client: RedisClient, calls: Sequence[ScriptCall]) -> list[Any]:
        """What it returns for each call, all sent to their servers at once.

        Raises:
            redis.exceptions.RedisError: the first error; the other calls may have been done.
        """
        if len(calls) == 1:
            return [await self.run(client, *calls[0])]
        replies: list[Any] = []
        for start in range(0, len(calls), _MAX_PIPELINED):
            replies += await _pipelined(client, "EVALSHA", self._sha, calls[start : start + _MAX_PIPELINED])
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)]
        if unknown:
            again = await _pipelined(client, "EVAL", self._text, [calls[at] for at in unknown])
            for at, reply in zip(unknown, again, strict=True):
                replies[at] = reply
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies


async def _pipelined(client: RedisClient, name: str, script: str, calls: Sequence[ScriptCall]) -> list[Any]:
    async with client.pipeline(transaction=False) as pipeline:
        for keys, arguments in calls:
            pipeline.execute_command(name, script, len(keys), *keys, *arguments)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies


class RedisConnection:
    """Runs commands on the Redis of the settings.

    Every method raises RetryLater for whatever is wrong with Redis or the way to it.
    """

    def __init__(self, settings: ConsumersSettings) -> None:
        self._settings = settings
        self._kind: ServerKind | None = None
        self.losses = 0
        """How often it was lost, or what answered was not the right one: another server may have taken over since."""
        self._primaries: set[str] = set()
        self._commands = ClusterCommands()
        self._lease = self._connect()

    async def kind(self) -> ServerKind:
        """What answers at the address, found out once.

        Raises:
            redis.exceptions.RedisError, OSError: it cannot be found out now.
        """
        if self._kind is None:
            self._kind = await self._find_kind()
        return self._kind

    @property
    def shown_url(self) -> str:
        """Its address without the password."""
        return str(self._settings.latest().redis_url)

    async def run(self, command: RedisCommand[T], *, badges: Sequence[Key] = (), others: Sequence[Key] = ()) -> T:
        """What a command returns.

        Args:
            command: given the client.
            badges: the keys of badges that it uses, which are hashes.
            others: the other keys that it uses.

        Raises:
            RetryLater: Redis cannot do it now.
            ForeignKeyError: the key of a badge is no hash.
        """
        try:
            return await self.attempt(command)
        except redis.exceptions.DataError:
            raise  # It was not even sent: something of ours that Redis has no form for.
        except (redis.exceptions.RedisError, OSError) as error:
            raise await self.explained(error, badges=badges, others=others) from error

    async def explained(
        self, error: Exception, *, badges: Sequence[Key], others: Sequence[Key]
    ) -> RetryLater | ForeignKeyError:
        """What to raise for an error of a command that uses these keys, as `run` raises it."""
        return await self._blame(badges, others) if redis_code(error) == "WRONGTYPE" else self.away(error)

    async def attempt(self, command: RedisCommand[T]) -> T:
        """What a command returns; whatever it raises, the connections are given up.

        Raises:
            redis.exceptions.RedisError, OSError: Redis cannot do it.
        """
        await self.kind()
        return await self._attempt(command)

    async def _attempt(self, command: RedisCommand[T]) -> T:
        lease = self._lease
        lease.users += 1
        try:
            result = await _cancellable(command(lease.client))
        except redis.exceptions.RedisClusterException as error:
            self._renew(lease)
            told = told_by_a_node(error)
            raise told from (told.__cause__ or told.__context__)
        except (redis.exceptions.RedisError, OSError) as error:
            if redis_code(error) != "WRONGTYPE":
                self._renew(lease)
            if not isinstance(lease.client, RedisCluster):
                # Of a cluster one node may be away for hours, and the others go on.
                self.losses += redis_code(error) in _OF_A_CHANGE or not isinstance(
                    error, redis.exceptions.ResponseError
                )
            if is_of_cluster(error) and self._kind == "single":
                self._kind = None  # Another kind of server has taken its place.
            raise
        else:
            if isinstance(lease.client, RedisCluster):
                self._note_primaries(lease.client)
            return result
        finally:
            lease.users -= 1
            if lease.is_over and not lease.users:
                await lease.close()

    def note_change(self) -> None:
        """Note that Redis may have less than before, for another reason than a lost connection."""
        self.losses += 1

    def _note_primaries(self, client: RedisCluster) -> None:
        """The client follows a replica that took over without a word, and that one may lack what it had not got."""
        primaries = {node.name for node in client.get_primaries()}
        self.losses += bool(self._primaries and primaries - self._primaries)
        self._primaries = primaries

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[RedisClient]:
        """The client, for several commands one after the other; it is not closed within the block.

        Raises:
            redis.exceptions.RedisError, OSError: what answers there cannot be found out now.
        """
        await self.kind()
        lease = self._lease
        lease.users += 1
        try:
            yield lease.client
        except (redis.exceptions.RedisError, redis.exceptions.RedisClusterException, OSError):
            self._renew(lease)
            raise
        finally:
            lease.users -= 1
            if lease.is_over and not lease.users:
                await lease.close()

    async def close(self) -> None:
        """Disconnect."""
        await self._lease.close()

    def away(self, error: Exception) -> RetryLater:
        """What to raise for an error of Redis."""
        return RetryLater(f"Redis at {self.shown_url} cannot be used: {why_away(error, self._address)}")

    async def _find_kind(self) -> ServerKind:
        if self._address.topology == "cluster":
            await self._see_cluster()
            return "cluster"
        information = await self.information()
        if not (information.get("cluster_enabled") or information.get("redis_mode") == "cluster"):
            try:
                await self._attempt(lambda client: client.eval(_PROBE, len(_PROBED_KEYS), *_PROBED_KEYS))
            except redis.exceptions.ResponseError as error:
                if not is_of_cluster(error):
                    return self._unless_passing(error, "single")
            else:
                return "single"
        try:
            slots = await self._attempt(lambda client: client.execute_command("CLUSTER SLOTS"))
        except redis.exceptions.ResponseError as error:
            return self._unless_passing(error, "proxy")
        if not slots or not self._address.nodes or self._address.topology == "sentinel":
            return "proxy"
        self._kind = "cluster"
        before = self._lease
        self._renew(before)
        if not before.users:
            await before.close()
        return "cluster"

    async def _see_cluster(self) -> None:
        try:
            await self._attempt(lambda client: client.execute_command("CLUSTER SLOTS", target_nodes="random"))
        except redis.exceptions.RedisError as error:
            if _IS_NO_CLUSTER.search(str(error)):
                raise WorkerRefusedError(
                    f"Redis at {self.shown_url} is no cluster ({describe(error)}): give CONSUMERS_REDIS_URL the "
                    "address redis://host:port of a single server, or of a proxy before a cluster"
                ) from error
            raise

    @staticmethod
    def _unless_passing(error: redis.exceptions.ResponseError, kind: ServerKind) -> ServerKind:
        if is_passing(error):
            raise error
        return kind

    async def information(self) -> dict[str, Any]:
        """What INFO says of the server; nothing where it may not be asked for, as behind some proxies.

        Raises:
            redis.exceptions.RedisError, OSError: it cannot be asked.
        """
        try:
            told = await self._attempt(lambda client: client.execute_command("INFO"))
        except redis.exceptions.ResponseError as error:
            if redis_code(error) in {"", "NOPERM"}:
                return {}
            raise
        return dict(told)

    def _connect(self) -> _ClientLease:
        settings = self._settings.latest()
        self._address = parse_redis_url(settings.redis_url.get_secret_value())
        as_cluster = self._address.topology == "cluster" or self._kind == "cluster"
        timeout_s = settings.redis_timeout_s
        return _ClientLease(
            make_client(self._address, as_cluster=as_cluster, timeout_s=timeout_s, commands=self._commands)
        )

    def _renew(self, lease: _ClientLease) -> None:
        if lease is self._lease:
            lease.is_over = True
            self._lease = self._connect()

    async def _blame(self, badges: Sequence[Key], others: Sequence[Key]) -> RetryLater | ForeignKeyError:
        """Whose fault it is that a key is of the wrong type: an event's where it is that of its badge alone."""

        async def types(client: RedisClient) -> list[bytes]:
            async with client.pipeline(transaction=False) as pipeline:
                for key in (*badges, *others):
                    pipeline.type(key)
                return await pipeline.execute()

        try:
            found = [kind.decode() for kind in await self.attempt(types)]
        except (redis.exceptions.RedisError, OSError) as error:
            return self.away(error)
        of_badges, of_others = found[: len(badges)], found[len(badges) :]
        for key, kind in zip(badges, of_badges, strict=True):
            if kind not in {"none", "hash", "string"}:
                return ForeignKeyError(
                    f"the key {_text(key)} in Redis at {self.shown_url} holds a {kind} where a badge should be: "
                    "delete that key"
                )
        held = ", ".join(f"{_text(key)} ({kind})" for key, kind in zip(others, of_others, strict=True))
        return RetryLater(
            f"a key in Redis at {self.shown_url} holds something of another type than all badges need: delete the "
            f"wrong one of {held}"
        )


class _ClientLease:
    """A client and how many commands use it; closed when it is over and the last of them has ended."""

    def __init__(self, client: RedisClient) -> None:
        self.client = client
        self.users = 0
        self.is_over = False

    async def close(self) -> None:
        with contextlib.suppress(redis.exceptions.RedisError, redis.exceptions.RedisClusterException, OSError):
            await close_client(self.client)


async def _cancellable(work: Awaitable[T]) -> T:
    """What it returns, unless this task was cancelled meanwhile and the work did not notice.

    The client sends with `asyncio.wait_for`, which in Python 3.11 loses a cancellation that comes as the sending ends.
    A task that works for ever would go on then, and whoever waits for its end would wait for ever too.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    result = await work
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return result


def is_of_cluster(error: Exception) -> bool:
    """Whether an answer is that of a cluster, or of a proxy before one, to a command on keys of several slots."""
    if not isinstance(error, redis.exceptions.ResponseError):
        return False
    code = redis_code(error)
    if code in _CLUSTER_CODES:
        return code != "CLUSTERDOWN"
    return not code.isupper() and bool(_OF_A_CLUSTER.search(str(error)))


def _text(key: Key) -> str:
    return key.decode(errors="backslashreplace") if isinstance(key, bytes) else key
