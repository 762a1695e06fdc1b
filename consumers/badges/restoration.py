"""Notices that Redis has lost badges, or was put back to what it had before, and puts them back from their topic.

What is on the topic was in Redis before it was written there. So a badge that Redis lacks, or has in an older state,
was lost: by an emptied server, by a copy of the data from before, by a replica that took over and had not yet got all.

Where the state of the badges is there and only they are not, it takes a moment until that is noticed. What was written
to the topic in that moment may be older than what stood there before. So it is written again from what was put back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import msgspec

from common.logs import fields
from common.retry import retry
from common.timestamps import rfc3339
from consumers.badges.badge_topic import BadgeSource, PublishedBadge
from consumers.badges.bulk import BadgeBulk, PackedBadge
from consumers.badges.publishing import changed_badges
from consumers.badges.store import Badge, BadgeStore, Owner, Slot, StoreState, badge_order
from consumers.errors import RetryLater, is_passing

log = logging.getLogger(__name__)

LOOKED_AT = 100
"""Of the last badges of each partition that a process begins with, and of those that it has written."""
_WAIT_FOR_OTHERS_S = 1.0
_WAIT_BEFORE_AGAIN_S = 1.0
"""Where Redis throws away what is put back, it may do so for long."""
_NOTICED_WITHIN_MS = 10_000
"""A loss is noticed at the next probe; this is a few of them, and what the clocks of several machines differ."""
_DOUBTED_MS = 60_000
"""What a server that was replaced took so long before its last answer may not be in the one that took its place."""
_READ_AT_A_TIME = 1000
_DAY_MS = 86_400_000
_LET_GO_EARLY_MS = 3_600_000
"""So long before a badge is old enough it may be missing: the clocks of several machines differ."""

_encode = msgspec.msgpack.Encoder().encode

PublishLatest = Callable[[Sequence[Badge]], Awaitable[None]]


class Restoration:
    """Sees whether Redis has the badges that are on their topic, and puts them back.

    Args:
        store: the badges in Redis.
        source: their topic.
        topic: its name.
        ttl_days: badges that are older may be missing; 0: none may.
        publish: writes badges to the topic, as they are in Redis by then.
    """

    def __init__(
        self, store: BadgeStore, source: BadgeSource, *, topic: str, ttl_days: int, publish: PublishLatest
    ) -> None:
        self._store = store
        self._publish = publish
        self._bulk = BadgeBulk(store)
        self._source = source
        self._topic = topic
        self._ttl_ms = ttl_days * _DAY_MS
        self._task: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self._seen_topic_after: int | None = None
        """How often the connection had been lost when the topic was looked at."""
        self._nothing_found_at = 0
        self._answered_ms: int | None = None
        """When all servers last answered, as far as that is known. Of a cluster one may be away while others go on."""
        self._written: dict[Owner, Badge] = {}

    async def look(self) -> None:
        """See that Redis has the last badges of the topic, once for each time that another server may have taken over.

        Else note that there is a loss. Each process by itself sees only that its own last updates are there.

        Raises:
            RetryLater: Kafka or Redis is away.
        """
        if self._seen_topic_after == self._store.connection.losses:
            return
        async with self._looking:
            while self._seen_topic_after != (losses := self._store.connection.losses):
                asked_ms = int(time.time() * 1000)
                await self._store.update({})  # While Redis is away there is nothing to compare with.
                published: dict[Owner, Badge] = {}
                since_ms = self._answered_ms and self._answered_ms - _DOUBTED_MS
                async for badges in self._source.read(last=LOOKED_AT, since_ms=since_ms):
                    _note_newest(published, badges)
                await self._compare(published)
                await self._bulk.note_stale(list(published))  # What tells `reconcile` of them may be lost as well.
                self._seen_topic_after = losses
                self._answered_ms = asked_ms

    def all_answer(self) -> None:
        """Note that all servers answer, and that `look` has seen no other one in the place of one of them since."""
        self._answered_ms = int(time.time() * 1000)

    async def look_again(self) -> None:
        """See that Redis still has what was written to the topic of late; else note that there is a loss.

        Raises:
            RetryLater: Redis is away.
        """
        await self._compare(dict(self._written))

    async def look_at(self, badges: Sequence[Badge]) -> None:
        """See that Redis still has these badges, which are on the topic; else note that there is a loss.

        Raises:
            RetryLater: Redis is away.
        """
        await self._compare({badge.owner: self._to_find(badge) for badge in badges})

    def written(self, badges: Sequence[Badge]) -> None:
        """Remember the last badges that were written to the topic."""
        for badge in badges[-LOOKED_AT:]:
            self._written.pop(badge.owner, None)
            self._written[badge.owner] = self._to_find(badge)
        for owner in list(self._written)[: max(0, len(self._written) - LOOKED_AT)]:
            del self._written[owner]

    def _to_find(self, badge: Badge) -> Badge:
        """What Redis must have of a badge: it may be stale for a loss alone, and is not once all events came again."""
        if badge.stale and self._store.state.lost_at_ms:
            return msgspec.structs.replace(badge, stale=False)
        return badge

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
            servers = self._store.connection.losses
            try:
                count = await self._merge_all(losses)
                if servers != self._store.connection.losses:  # What was put back may be lost again.
                    await asyncio.sleep(_WAIT_BEFORE_AGAIN_S)
                    continue
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

    async def _merge_all(self, losses: Mapping[Slot, StoreState]) -> int:
        count = 0
        doubted_from_ms = min(state.lost_at_ms for state in losses.values()) - _NOTICED_WITHIN_MS
        doubted: dict[Owner, Badge] = {}
        async for badges in self._source.read():
            rows = {one.owner: _row(one.badge, one) for one in badges if one.badge is not None and self._may_be(one)}
            await self._bulk.merge(rows)
            await self._bulk.let_go({one.owner: one.written_ms for one in badges if one.badge is None})
            await self._bulk.hold_restoration()
            _note_last(doubted, [one for one in badges if one.written_ms >= doubted_from_ms])
            count += len(rows)
        # Where nothing is lost others go on, and write what they change themselves.
        by_slot = await self._store.by_slot(doubted)
        await self._publish_again({owner: doubted[owner] for slot in losses for owner in by_slot.get(slot, ())})
        return count

    async def _publish_again(self, published: dict[Owner, Badge]) -> None:
        """Write those badges to the topic of which Redis has other ones than are there."""
        badges = list(published.values())
        for start in range(0, len(badges), _READ_AT_A_TIME):
            await self._publish(await changed_badges(self._store, badges[start : start + _READ_AT_A_TIME]))
            await self._bulk.hold_restoration()

    async def _stored(self, owners: Sequence[Owner]) -> AsyncIterator[tuple[Owner, Badge]]:
        """The badges of some as Redis has them."""
        for start in range(0, len(owners), _READ_AT_A_TIME):
            part = owners[start : start + _READ_AT_A_TIME]
            for row in zip(part, await self._store.update({owner: [] for owner in part}), strict=True):
                yield row

    def _may_be(self, one: PublishedBadge) -> bool:
        return not self._ttl_ms or max(one.time_ms or 0, one.written_ms) > time.time() * 1000 - self._ttl_ms

    async def _compare(self, published: dict[Owner, Badge]) -> None:
        """Note a loss where Redis has less than these, but for those that are so old that they were let go."""
        if self._ttl_ms:
            # By the count alone: which event has made a badge stale, and when that was, is not on the topic.
            oldest = rfc3339(int(time.time() * 1000) - self._ttl_ms + _LET_GO_EARLY_MS)
            published = {owner: badge for owner, badge in published.items() if (badge.time or "") > oldest}
        lacking = [owner async for owner, after in self._stored(list(published)) if _is_older(after, published[owner])]
        if lacking and (let_go_ms := await self._bulk.let_go_before()):
            # Others may let badges go that we keep, or did so before the settings were changed.
            let_go = rfc3339(let_go_ms)
            lacking = [owner for owner in lacking if (published[owner].time or "") >= let_go]
        if lacking:
            await self._store.note_loss(lacking)
            for owner in lacking:
                self._written.pop(owner, None)


def _note_newest(newest: dict[Owner, Badge], badges: Sequence[PublishedBadge]) -> None:
    for one in badges:
        before = newest.get(one.owner)
        if one.badge is None:
            newest.pop(one.owner, None)
        elif before is None or badge_order(before) <= badge_order(one.badge):
            newest[one.owner] = one.badge


def _note_last(last: dict[Owner, Badge], badges: Sequence[PublishedBadge]) -> None:
    for one in badges:
        if one.badge is None:
            last.pop(one.owner, None)
        else:
            last[one.owner] = one.badge


def _is_older(stored: Badge, published: Badge) -> bool:
    """Whether Redis has less of a badge than its topic: an older count, or none of that it was made stale since."""
    order, published_order = badge_order(stored), badge_order(published)
    return order < published_order or (order == published_order and published.stale and not stored.stale)


def _row(badge: Badge, one: PublishedBadge) -> PackedBadge:
    """A badge as `BadgeBulk.merge` takes it: the topic tells that one is stale, not by which event."""
    count = (badge.unread, one.time_ms, badge.event_id) if badge.event_id is not None else (False, False, False)
    return _encode((*count, one.written_ms if badge.stale else False, False, ""))
