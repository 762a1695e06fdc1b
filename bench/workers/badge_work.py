"""The badge work as it is written when speed is no concern: one event, one call to Redis, one record."""

from __future__ import annotations

import os

import msgspec
import orjson
from redis.asyncio import Redis

from bridge.events import parse_event
from consumers.badges.badge_event import collect, read_badge_event
from consumers.badges.scripts import badge_script
from consumers.badges.store import REMEMBERED_IDS, badge_key

TOPIC, BADGES = os.environ["CONSUMERS_TOPIC"], os.environ["CONSUMERS_BADGES_TOPIC"]
GROUP, BOOTSTRAP = os.environ["CONSUMERS_GROUP"], os.environ["CONSUMERS_KAFKA_BOOTSTRAP_SERVERS"]


class BadgeWork:
    """Applies single events, by the rule and the script of the worker."""

    def __init__(self) -> None:
        self._redis = Redis.from_url(os.environ["CONSUMERS_REDIS_URL"])
        self._update = badge_script("badges.lua")

    async def apply(self, value: bytes) -> tuple[bytes, bytes] | None:
        """Key and value of the badge's record; None for an event that changes none."""
        parse_event(value)
        event = read_badge_event(value)
        if event is None or not (events := collect([event])):
            return None
        [(owner, of_owner)] = events.items()
        keys = [b"im:badges:state", badge_key(owner)]
        packed = msgspec.msgpack.encode([of_owner])
        reply = await self._update.run(self._redis, keys, ["hash", REMEMBERED_IDS, packed, "look"])
        _, [unread], [time], [event_id], stale, *_ = msgspec.msgpack.decode(reply)
        badge = {"app_id": owner.app_id, "account": owner.account, "unread": unread, "time": time}
        return owner.key.encode(), orjson.dumps({**badge, "event_id": event_id, "stale": bool(stale)})

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()
