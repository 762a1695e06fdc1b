"""The mark in Redis of how old a badge was that was let go for its age: all processes have to know it."""

from __future__ import annotations

import math
import time

from consumers.badges.redis_connection import RedisConnection
from consumers.badges.scripts import script

KNOWN_AFTER_S = 1.0
"""So long after it was noted each process knows of a mark: nobody goes by one that it has read longer ago."""

_KEY = "im:badges:let-go"


class LetGoMark:
    """Until when badges were let go: those that had no event since.

    Every method raises RetryLater when Redis cannot do it now.

    Args:
        connection: to the Redis that the badges are in.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._note = script("let_go_note.lua")
        self._read_ms = 0
        self._read_at = -math.inf
        """On the monotonic clock, before Redis was asked."""

    async def note(self, before_ms: int) -> None:
        """Note that badges without an event since `before_ms`, Unix ms, are to be let go: after KNOWN_AFTER_S."""
        await self._connection.run(lambda client: self._note.run(client, [_KEY], [before_ms]), others=[_KEY])

    async def before(self) -> int:
        """The latest time that `note` was given, Unix ms; 0 where none ever was."""
        asked_at = time.monotonic()
        self._read_ms = int(await self._connection.run(lambda client: client.get(_KEY), others=[_KEY]) or 0)
        self._read_at = asked_at
        return self._read_ms

    async def known_before(self) -> int:
        """What `before` gave no longer than KNOWN_AFTER_S ago: Redis is not asked for each batch."""
        if time.monotonic() - self._read_at < KNOWN_AFTER_S:
            return self._read_ms
        return await self.before()
