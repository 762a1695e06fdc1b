"""The badges in Redis: one hash `im:badge:{app_id}:{account}` each. `badges.lua` has its fields and the rule."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

import msgspec
import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from common.timestamps import rfc3339
from consumers.errors import RetryLater, WorkerRefusedError, describe, is_passing
from consumers.settings import ConsumersSettings

REMEMBERED_IDS = 16
"""How many events without a time of their own a badge knows again."""

NO_COUNT = -1
"""Stands for the count of an event that should have had one."""

_APPS_KEY = "im:badges:apps"


class Owner(NamedTuple):
    """Whose badge."""

    app_id: str
    account: str

    @property
    def key(self) -> str:
        """`{app_id}:{account}`: the Kafka key; in Redis behind `im:badge:`."""
        return f"{self.app_id}:{self.account}"


class Badge(msgspec.Struct, frozen=True, kw_only=True):
    """A badge as it stands in Redis and, as JSON, in the topic of badges."""

    app_id: str
    account: str
    unread: int | None
    """Newest known count of unread one-to-one messages; None, and so `time` and `event_id`, while none is known."""
    time: str | None
    """When it was so: RFC 3339, UTC, milliseconds."""
    event_id: str | None
    """Event that said so."""
    stale: bool
    """Whether the count has changed since, and no event said to what."""


Events = list[int | str | bool]
"""For each event of a badge: time in Unix ms, id, unread or NO_COUNT, whether it is ordered by its receipt."""

_Stored = tuple[int | bool, int | bool, str | bool, bool]
_decode = msgspec.msgpack.Decoder(list[_Stored]).decode
_encode = msgspec.msgpack.Encoder().encode


class BadgeStore:
    """Access to the badges in Redis.

    Every method raises RetryLater when Redis cannot do it now, WorkerRefusedError when it never can, and
    redis.exceptions.ResponseError when what is stored is no badge.
    """

    def __init__(self, settings: ConsumersSettings) -> None:
        self._shown_url = str(settings.redis_url)
        self._redis: Redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=settings.redis_timeout_s,
            socket_connect_timeout=settings.redis_timeout_s,
            retry=Retry(NoBackoff(), 1),  # a connection that an idle time-out or a restart has closed
        )
        script = files("consumers.badges").joinpath("badges.lua").read_text(encoding="utf-8")
        self._update = self._redis.register_script(script)

    async def check(self) -> None:
        """See that Redis answers, is no cluster, and runs the script: else events would seem to be at fault later."""
        try:
            cluster = await self._redis.info("cluster")
        except redis.exceptions.NoPermissionError:
            cluster = {}
        except (redis.exceptions.RedisError, OSError) as error:
            raise self.away(error) from error
        if cluster.get("cluster_enabled"):
            raise self._cluster_error()
        try:
            await self.update({})
        except redis.exceptions.ResponseError as error:
            raise WorkerRefusedError(
                f"Redis at {self._shown_url} does not run the script of the badges ({describe(error)}): "
                "it must allow EVALSHA and SCRIPT LOAD, and have cmsgpack, as Redis and Valkey do"
            ) from error

    async def ping(self) -> None:
        """See that Redis answers."""
        try:
            await self._redis.ping()
        except (redis.exceptions.RedisError, OSError) as error:
            raise self.away(error) from error

    async def update(self, events: Mapping[Owner, Events]) -> list[Badge]:
        """Bring badges up to date, all in one step.

        Args:
            events: owner → events of the badge; with no events the badge is only read.

        Returns:
            each badge as it is stored then, in the order of `events`, also those that did not change.
        """
        owners = list(events)
        apps = {app: number for number, app in enumerate(dict.fromkeys(owner.app_id for owner in owners), 1)}
        # As bytes, which the client packs in half the time of text.
        badges = (f"im:badge:{app}:{account}".encode() for app, account in owners)
        keys: list[bytes | str | memoryview[int]] = [_APPS_KEY, *map(stale_key, apps), *badges]
        numbers = [apps.get(owner.app_id, 0) for owner in owners]
        arguments: list[int | bytes] = [REMEMBERED_IDS, _encode((list(apps), numbers, list(events.values())))]
        try:
            reply = await self._update(keys=keys, args=arguments)
        except (redis.exceptions.ClusterCrossSlotError, redis.exceptions.MovedError) as error:
            raise self._cluster_error() from error
        except (redis.exceptions.RedisError, OSError) as error:
            raise self.away(error) from error
        return [_badge(owner, stored) for owner, stored in zip(owners, _decode(reply), strict=True)]

    async def find(self, account: str, app_id: str | None) -> list[Badge]:
        """The badges that an account has in one app, or (None) in all apps."""
        apps = [app_id] if app_id is not None else await self._apps()
        badges = await self.update({Owner(app, account): [] for app in apps}) if apps else []
        return [badge for badge in badges if badge.unread is not None or badge.stale]

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()

    async def _apps(self) -> list[str]:
        try:
            apps = await self._redis.smembers(_APPS_KEY)
        except (redis.exceptions.RedisError, OSError) as error:
            raise self.away(error) from error
        return sorted(app.decode() if isinstance(app, bytes) else app for app in apps)

    @property
    def client(self) -> Redis:
        """The connection, for what else is kept beside the badges."""
        return self._redis

    def away(self, error: Exception) -> Exception:
        """What to raise for an error of Redis: RetryLater where waiting helps, else the error itself."""
        if not is_passing(error) and not isinstance(error, OSError):
            return error
        if isinstance(error, redis.exceptions.AuthenticationError):
            return RetryLater(f"Redis at {self._shown_url} refuses the password: set it in CONSUMERS_REDIS_URL")
        return RetryLater(f"Redis at {self._shown_url} cannot be used ({describe(error)})")

    def _cluster_error(self) -> WorkerRefusedError:
        return WorkerRefusedError(
            f"Redis at {self._shown_url} is a cluster. Badges of many users are updated in one step, so give "
            "CONSUMERS_REDIS_URL the address of a Redis or Valkey without cluster mode"
        )


def stale_key(app_id: str) -> str:
    """Key of the sorted set of an app's accounts whose badges are stale."""
    return f"im:badges:stale:{app_id}"


def _badge(owner: Owner, stored: _Stored) -> Badge:
    unread, time, event_id, stale = stored
    known = event_id is not False
    return Badge(
        app_id=owner.app_id,
        account=owner.account,
        unread=int(unread) if known else None,
        time=rfc3339(int(time)) if known else None,
        event_id=str(event_id) if known else None,
        stale=stale,
    )
