"""The badges in Redis: one hash `im:badge:{app_id}:{account}` each. `badges.lua` has its fields and the rule."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal

import msgspec
import redis.exceptions

from common.timestamps import rfc3339
from consumers.badges.redis_connection import (
    ForeignKeyError,
    LuaScript,
    RedisConnection,
    is_of_cluster,
)
from consumers.errors import WorkerRefusedError, describe, is_passing, redis_code
from consumers.settings import ConsumersSettings

REMEMBERED_IDS = 16
"""How many events without a time of their own a badge knows again."""

NO_COUNT = -1
"""Stands for the count of an event that should have had one."""

_APPS_KEY = "im:badges:apps"
_STATE_KEY = "im:badges:state"


class Owner(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Whose badge."""

    app_id: str
    account: str

    @property
    def key(self) -> str:
        """`{app_id}:{account}`: the Kafka key; in Redis behind `im:badge:`."""
        return f"{self.app_id}:{self.account}"


class Badge(msgspec.Struct, frozen=True, gc=False):
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


_PROBES = (Owner("0", "probe-1"), Owner("1", "probe-2"))
"""Of no user: their keys lie in different slots of a cluster."""

Events = list[int | str | bool]
"""For each event of a badge: time in Unix ms, id, unread or NO_COUNT, whether it is ordered by its receipt."""


class StoreState(msgspec.Struct, frozen=True, array_like=True):
    """What Redis says of all badges together, in `im:badges:state`."""

    id: str | bool
    """Of the data: another one where Redis has lost all and began anew. False: none was given yet."""
    lost_at_ms: int
    """When a loss was noticed, Unix ms; 0 where nothing is lost, or all badges were rebuilt since."""


_Stored = tuple[int | bool, int | bool, str | bool, bool]
_NOTHING_LOST = StoreState(False, 0)
_decode_reply = msgspec.msgpack.Decoder(tuple[StoreState, list[_Stored]]).decode
_decode_any = msgspec.msgpack.Decoder(tuple[Any, list[Any]]).decode
_encode = msgspec.msgpack.Encoder().encode

UpdateMode = Literal["watch", "look", "rebuild"]
"""`watch`: that the state is missing means that Redis has lost all. `rebuild`: events are all that there are."""


class BadgeStore:
    """Access to the badges in Redis.

    Every method raises RetryLater when Redis cannot do it now, and ForeignKeyError when what is stored is no badge.

    Args:
        settings: where Redis is.
        mode: what the events are that it is given; see UpdateMode.
    """

    def __init__(self, settings: ConsumersSettings, *, mode: UpdateMode = "look") -> None:
        self.connection = RedisConnection(settings)
        self.state = _NOTHING_LOST
        """As of the last update."""
        self._mode = mode
        self._update, self._begin, self._rebuilt = (
            LuaScript(files("consumers.badges").joinpath(name).read_text(encoding="utf-8"))
            for name in ("badges.lua", "state_begin.lua", "state_rebuilt.lua")
        )

    async def check(self) -> None:
        """See that Redis answers, is no cluster, and runs the script: else events would seem to be at fault later.

        Raises:
            WorkerRefusedError: it is a cluster, has no such database, or does not run the script.
        """
        try:
            information = await self._information()
            if information.get("cluster_enabled") or information.get("redis_mode") == "cluster":
                raise self.connection.cluster_error()
            # Keys of several slots: a proxy before a cluster refuses these, or answers for a part of them only.
            await self._run_update({owner: [] for owner in _PROBES}, mode="look")
        except (redis.exceptions.RedisError, OSError) as error:
            if is_of_cluster(error):
                raise self.connection.cluster_error() from error
            if not isinstance(error, redis.exceptions.ResponseError) or is_passing(error):
                raise self.connection.away(error) from error
            raise WorkerRefusedError(
                f"Redis at {self.connection.shown_url} does not run the script of the badges ({describe(error)}): "
                "CONSUMERS_REDIS_URL must lead to a database of a single Redis or Valkey, with EVAL, EVALSHA and "
                "cmsgpack"
            ) from error

    async def has_state(self) -> bool:
        """Whether Redis knows of badges: whether it has their state, or had badges before there was one."""
        return bool(await self.connection.run(lambda client: client.exists(_STATE_KEY, _APPS_KEY)))

    async def begin(self, *, lost: bool) -> None:
        """Note the state of the badges where there is none yet.

        Args:
            lost: whether there were badges, which are gone.
        """
        arguments = [uuid.uuid4().hex, "1" if lost else ""]
        await self.connection.run(lambda client: self._begin.run(client, [_STATE_KEY], arguments), others=[_STATE_KEY])

    async def end_rebuild(self, state: StoreState) -> None:
        """Note that what was lost is there again, if no more was lost since.

        Args:
            state: as it was when the rebuild began.
        """
        arguments = [state.id or "", state.lost_at_ms]
        await self.connection.run(
            lambda client: self._rebuilt.run(client, [_STATE_KEY], arguments), others=[_STATE_KEY]
        )

    async def update(self, events: Mapping[Owner, Events]) -> list[Badge]:
        """Bring badges up to date, all in one step.

        Args:
            events: owner → events of the badge; with no events the badge is only read.

        Returns:
            each badge as it is stored then, in the order of `events`, also those that did not change.
        """
        apps = dict.fromkeys(owner.app_id for owner in events)
        try:
            return await self._run_update(events, mode=self._mode)
        except redis.exceptions.DataError:
            raise
        except (redis.exceptions.RedisError, OSError) as error:
            others = [_APPS_KEY, _STATE_KEY, *map(stale_key, apps)]
            raise await self.connection.explained(error, badges=list(map(badge_key, events)), others=others) from error

    async def find(self, account: str, app_id: str | None) -> list[Badge]:
        """The badges that an account has in one app, or (None) in all apps."""
        apps = [app_id] if app_id is not None else await self._apps()
        badges = await self.update({Owner(app, account): [] for app in apps}) if apps else []
        return [badge for badge in badges if badge.unread is not None or badge.stale]

    async def close(self) -> None:
        """Disconnect."""
        await self.connection.close()

    async def _run_update(self, events: Mapping[Owner, Events], *, mode: UpdateMode) -> list[Badge]:
        owners = list(events)
        apps = {app: number for number, app in enumerate(dict.fromkeys(owner.app_id for owner in owners), 1)}
        keys: list[bytes | str] = [_APPS_KEY, _STATE_KEY, *map(stale_key, apps), *map(badge_key, owners)]
        numbers = [apps[owner.app_id] for owner in owners]
        packed = _encode((list(apps), numbers, list(events.values())))
        arguments: list[int | bytes | str] = [REMEMBERED_IDS, packed, mode, uuid.uuid4().hex if mode == "watch" else ""]
        reply = await self.connection.attempt(lambda client: self._update.run(client, keys, arguments))
        try:
            self.state, stored = _decode_reply(reply)
        except msgspec.ValidationError:
            raise self._foreign(owners, reply) from None
        return [_badge(owner, one) for owner, one in zip(owners, stored, strict=True)]

    def _foreign(self, owners: Sequence[Owner], reply: bytes) -> ForeignKeyError:
        stored = _decode_any(reply)[1]
        wrong = [badge_key(owner).decode() for owner, one in zip(owners, stored, strict=True) if not _is_stored(one)]
        return ForeignKeyError(
            f"the key {', '.join(wrong[:3])} in Redis at {self.connection.shown_url} holds what is no badge: "
            "delete that key"
        )

    async def _information(self) -> dict[str, Any]:
        """What INFO says; nothing where it may not be asked for, as behind some proxies."""
        try:
            return dict(await self.connection.attempt(lambda client: client.info()))
        except redis.exceptions.ResponseError as error:
            if redis_code(error) in {"", "NOPERM"} and not is_of_cluster(error):
                return {}
            raise

    async def _apps(self) -> list[str]:
        apps = await self.connection.run(lambda client: client.smembers(_APPS_KEY), others=[_APPS_KEY])
        return sorted(app.decode() if isinstance(app, bytes) else app for app in apps)


def badge_key(owner: Owner) -> bytes:
    """Key of a badge; as bytes, which the client packs in half the time of text."""
    return f"im:badge:{owner.app_id}:{owner.account}".encode()


def stale_key(app_id: str) -> str:
    """Key of the sorted set of an app's accounts whose badges are stale."""
    return f"im:badges:stale:{app_id}"


def _is_stored(found: Any) -> bool:
    try:
        msgspec.convert(found, _Stored)
    except msgspec.ValidationError:
        return False
    return True


def _badge(owner: Owner, stored: _Stored) -> Badge:
    unread, time_ms, event_id, stale = stored
    if isinstance(event_id, str):
        return Badge(owner.app_id, owner.account, int(unread), rfc3339(time_ms), event_id, stale)
    return Badge(owner.app_id, owner.account, None, None, None, stale)
