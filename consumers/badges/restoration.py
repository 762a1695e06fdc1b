"""Notices that Redis has lost badges, or was put back to what it had before, and puts them back from their topic.

What is on the topic was in Redis before it was written there. So a badge that Redis lacks, or has in an older state,
was lost: by an emptied server, by a copy of the data from before, by a replica that took over and had not yet got all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import msgspec

from common.logs import fields
from common.retry import retry
from common.timestamps import rfc3339
from consumers.badges.badge_topic import BadgeSource, PublishedBadge
from consumers.badges.bulk import BadgeBulk, PackedBadge
from consumers.badges.store import Badge, BadgeStore, Owner, badge_order
from consumers.errors import RetryLater, is_passing

log = logging.getLogger(__name__)

LOOKED_AT = 100
"""Of the last badges of each partition that a process begins with, and of those that it has written."""
_WAIT_FOR_OTHERS_S = 1.0
_DAY_MS = 86_400_000
_LET_GO_EARLY_MS = 3_600_000
"""So long before a badge is old enough it may be missing: the clocks of several machines differ."""

_encode = msgspec.msgpack.Encoder().encode


class Restoration:
    """Sees whether Redis has the badges that are on their topic, and puts them back.

    Args:
        store: the badges in Redis.
        source: their topic.
        topic: its name.
        ttl_days: badges that are older may be missing; 0: none may.
    """

    def __init__(self, store: BadgeStore, source: BadgeSource, *, topic: str, ttl_days: int) -> None:
        self._store = store
        self._bulk = BadgeBulk(store)
        self._source = source
        self._topic = topic
        self._ttl_ms = ttl_days * _DAY_MS
        self._task: asyncio.Task[None] | None = None
        self._seen_topic = False
        self._nothing_found_at = 0
        self._written: dict[Owner, Badge] = {}

    async def look(self) -> None:
        """See once that Redis has the last badges of the topic; else note that there is a loss.

        Raises:
            RetryLater: Kafka or Redis is away.
        """
        if self._seen_topic:
            return
        published: dict[Owner, Badge] = {}
        async for badges in self._source.read(last=LOOKED_AT):
            published |= {Owner(one.badge.app_id, one.badge.account): one.badge for one in badges}
        await self._compare(published)
        self._seen_topic = True

    async def look_again(self) -> None:
        """See that Redis still has what was written to the topic of late; else note that there is a loss.

        Raises:
            RetryLater: Redis is away.
        """
        await self._compare(dict(self._written))

    def written(self, badges: Sequence[Badge]) -> None:
        """Remember the last badges that were written to the topic."""
        for badge in badges[-LOOKED_AT:]:
            owner = Owner(badge.app_id, badge.account)
            self._written.pop(owner, None)
            self._written[owner] = badge
        for owner in list(self._written)[: max(0, len(self._written) - LOOKED_AT)]:
            del self._written[owner]

    def require(self) -> None:
        """See that nothing is lost; else begin to put it back.

        Raises:
            RetryLater: it is not there yet.
        """
        lost_at = self._store.state.lost_at_ms
        if not lost_at or lost_at == self._nothing_found_at:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._put_back())
        raise RetryLater(
            f"Redis at {self._store.connection.shown_url} has lost badges: they are put back from the topic "
            f"{self._topic} first"
        )

    async def stop(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _put_back(self) -> None:
        def report(error: Exception) -> None:
            log.warning("badges cannot be put back now: %s", error, extra=fields("badges_wait", reason=str(error)))

        await retry(self._put_back_once, on=is_passing, report=report)

    async def _put_back_once(self) -> None:
        while losses := await self._store.losses():
            if not await self._bulk.hold_restoration():
                await asyncio.sleep(_WAIT_FOR_OTHERS_S)  # Somebody else is at it.
                continue
            try:
                count = await self._merge_all()
                if count:
                    await self._store.end_rebuild(losses)
                    log.info(
                        "%d badges were put back from the topic %s",
                        count,
                        self._topic,
                        extra=fields("badges_rebuilt", badges=count),
                    )
                else:
                    self._nothing_found_at = max(state.lost_at_ms for state in losses.values())
                    return
            finally:
                await self._bulk.release_restoration()

    async def _merge_all(self) -> int:
        count = 0
        async for badges in self._source.read():
            rows = {Owner(one.badge.app_id, one.badge.account): _row(one) for one in badges if self._may_be(one)}
            await self._bulk.merge(rows)
            await self._bulk.hold_restoration()
            count += len(rows)
        return count

    def _may_be(self, one: PublishedBadge) -> bool:
        return not self._ttl_ms or max(one.time_ms or 0, one.written_ms) > time.time() * 1000 - self._ttl_ms

    async def _compare(self, published: dict[Owner, Badge]) -> None:
        """Note a loss where Redis has less than these, but for those that are so old that they were let go."""
        if self._ttl_ms:
            # By the count alone: which event has made a badge stale, and when that was, is not on the topic.
            oldest = rfc3339(int(time.time() * 1000) - self._ttl_ms + _LET_GO_EARLY_MS)
            published = {owner: badge for owner, badge in published.items() if (badge.time or "") > oldest}
        if not published:
            return
        stored = await self._store.update({owner: [] for owner in published})
        if lacking := [
            owner
            for owner, after in zip(published, stored, strict=True)
            if badge_order(after) < badge_order(published[owner])
        ]:
            await self._store.note_loss(lacking)
            for owner in lacking:
                self._written.pop(owner, None)


def _row(one: PublishedBadge) -> PackedBadge:
    """A badge as `BadgeStore.merge` takes it: the topic tells that one is stale, not by which event."""
    badge = one.badge
    count = (badge.unread, one.time_ms, badge.event_id) if badge.event_id is not None else (False, False, False)
    return _encode((*count, one.written_ms if badge.stale else False, False, ""))
