"""The worker of badges: each user's unread one-to-one messages, in Redis and on a compacted topic.

It is fast because it reads no more than it needs: one pass over the JSON of an event for the eight fields that decide a
badge, one call to Redis a batch, and one record an account and batch on the topic.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NoReturn, cast

from aiokafka import ConsumerRecord

from common.kafka.light_records import headers_of, values_of
from common.logs import Throttle, fields
from common.program import command_line
from common.timestamps import rfc3339
from common.topic import Topic
from common.tracing.context import TRACEPARENT
from consumers.badges.badge_event import BadgeEvent, TracedBadgeEvent, collect, read_badge_event, read_badge_events
from consumers.badges.badge_topic import BadgeSource, BadgeTopic
from consumers.badges.evictions import Eviction, EvictionWatch
from consumers.badges.expiry import keep_expiring
from consumers.badges.publishing import (
    NO_TRACES,
    WRITTEN_WITHIN_S,
    Traces,
    changed_badges,
    later_badges,
    publish_badges,
    publish_latest,
)
from consumers.badges.restoration import Restoration
from consumers.badges.store import Badge, BadgeStore, Owner, Slot, StoreState, UpdateMode
from consumers.errors import RetryLater
from consumers.metrics import BADGES_LOST, REDIS_EVICTED_KEYS
from consumers.settings import ConsumersSettings
from consumers.worker import BaseWorker, Context

log = logging.getLogger(__name__)

_EVICTIONS_TOLD_EVERY_S = 60.0


class Badges(BaseWorker[BadgeEvent]):
    """Keeps badges. Of all events of a user that it has seen, the newest by (time, id) that has a count sets it."""

    name = "badges"

    def __init__(self, *, rebuilds: bool = False, source: BadgeSource | None = None) -> None:
        self._source = source
        """Where lost badges are read back from; None: their topic."""
        self._rebuilds = rebuilds
        """Whether it is given all events that there are, from the first."""
        self._told: StoreState | None = None
        self._is_traced = False
        """Whether any event so far belonged to a trace."""
        self._told_evictions = Throttle(_EVICTIONS_TOLD_EVERY_S)
        self._was_away = False
        """Whether Redis, or a node of it, did not answer the last probe."""
        self._expiring: asyncio.Task[NoReturn] | None = None
        self._unsure: dict[Owner, Badge] = {}
        """Badges of which nobody knows whether, or when, they come to the topic."""

    def topics(self, settings: ConsumersSettings) -> Sequence[Topic]:
        """The compacted topic of badges."""
        return [settings.badges]

    def read(self, record: ConsumerRecord) -> BadgeEvent | None:
        """What of an event decides a badge, None for an event that decides none.

        Raises:
            InvalidEventError: the record carries no event.
        """
        event = read_badge_event(record.value)
        if event is not None and _has_trace(record.headers):
            self._is_traced = True
            return TracedBadgeEvent.of(event, record)
        return event

    def read_batch(self, records: Sequence[ConsumerRecord]) -> Sequence[BadgeEvent | None]:
        """What `read` gives for each of many records.

        Raises:
            InvalidEventError, TypeError: one carries no event.
        """
        events = read_badge_events(cast("list[bytes]", values_of(records)))
        headers = headers_of(records)
        if TRACEPARENT not in dict(chain.from_iterable(headers)):
            return events
        self._is_traced = True
        return [
            TracedBadgeEvent.of(event, records[at]) if event is not None and _has_trace(headers[at]) else event
            for at, event in enumerate(events)
        ]

    async def start(self, context: Context) -> None:
        """Connect to Redis and see that it can keep badges, and still has those that it was given.

        Raises:
            RetryLater, KafkaError: Redis is away; or it is empty, and Kafka, which knows whether it ever was not.
            WorkerRefusedError: it runs no scripts.
        """
        self._context = context
        settings = context.settings
        mode: UpdateMode = "rebuild" if self._rebuilds else "watch" if context.alone else "look"
        self._store = BadgeStore(settings, mode=mode)
        self._restoration = Restoration(
            self._store,
            self._source or BadgeTopic(settings),
            topic=settings.badges_topic,
            ttl_days=settings.badge_ttl_days,
            publish=lambda badges: publish_latest(context, self._store, badges),
        )
        self._evictions = EvictionWatch(self._store.connection)
        self._lost = context.metrics.own_gauge(BADGES_LOST).labels(context.metrics.worker)
        self._evicted = context.metrics.own_counter(REDIS_EVICTED_KEYS).labels(context.metrics.worker)
        try:
            await self._store.check()
            if mode == "watch":
                await self._store.begin(lost=not await self._store.has_state() and await context.resumes())
            await self._store.update({})
            await self._evictions.look()
        except BaseException:
            context.metrics.set_connected("redis", False)
            await self._store.close()
            raise
        context.metrics.set_connected("redis", True)
        self._note_state()
        if mode == "watch" and settings.badge_ttl_days and self._expiring is None:
            self._expiring = asyncio.create_task(keep_expiring(context, self._store))

    async def handle(self, batch: Sequence[BadgeEvent]) -> None:
        """Bring the badges that the events are about up to date, first in Redis, then on the topic.

        Every badge is written to the topic, changed or not: a crash between the two steps heals at the redelivery.
        """
        began = time.monotonic()
        badges = await (self.update(batch) if self._rebuilds else self._update_undoubted(batch))
        # Of several events that one record is made of, the last says to which trace that belongs.
        traces = NO_TRACES if not self._is_traced else self._traces_of(batch)
        if not self._context.alone:
            await publish_latest(self._context, self._store, badges, traces)
            return
        try:
            await self._write(badges, traces, began)
        except (RetryLater, asyncio.CancelledError):
            # They may come to the topic yet, after what another process writes that has the partition by then.
            self._unsure.update((badge.owner, badge) for badge in badges)
            raise

    async def _write(self, badges: Sequence[Badge], traces: Traces, began: float) -> None:
        """Write badges to the topic, and again those that others have changed and written meanwhile.

        Args:
            badges: as Redis had them.
            traces: of those that belong to one.
            began: on the monotonic clock, before Redis was asked for them.
        """
        doubts = self._store.doubts
        await self.publish(badges, traces)
        self._restoration.written(badges)
        if doubts != self._store.doubts:
            # Who looked at the topic, or put badges back from it, while they were written did not find them there.
            await self._restoration.look_at(badges)
        # `reconcile` may have resolved and published stale ones while Kafka was slow, and whoever has the partition now
        # any of them, where this process was stopped for long. Ours would be the last of the two.
        doubted = badges if time.monotonic() - began > WRITTEN_WITHIN_S else [badge for badge in badges if badge.stale]
        if doubted:
            later = await later_badges(self._context, self._store, doubted)
            await publish_latest(self._context, self._store, later, traces)

    async def _update_undoubted(self, batch: Sequence[BadgeEvent]) -> list[Badge]:
        """Apply events to the badges in Redis, again where the answer may be older than what is on the topic.

        Who answered may have lacked what is there again by now, put back by another process. So an answer counts only
        where no doubt came between the look at the topic before it and itself. Events that are applied twice change
        nothing.
        """
        while True:
            await self._restoration.look()
            self._restoration.require()
            doubts = self._store.doubts
            badges = await self.update(batch)
            if doubts == self._store.doubts:
                return badges

    async def update(self, batch: Iterable[BadgeEvent]) -> list[Badge]:
        """Apply events to the badges in Redis; returns those badges as they are stored then, changed or not.

        Raises:
            RetryLater: Redis is away.
        """
        events = collect(batch)
        if not events:
            return []
        try:
            badges = await self._store.update(events)
        except RetryLater:
            self._context.metrics.set_connected("redis", False)
            raise
        self._context.metrics.set_connected("redis", True)
        self._note_state()
        return badges

    @property
    def state(self) -> StoreState:
        """What Redis says of all badges together, as of the last update."""
        return self._store.state

    async def losses(self) -> Mapping[Slot, StoreState]:
        """What is lost in Redis, to be given to `end_rebuild`.

        Raises:
            RetryLater: Redis is away.
        """
        return await self._store.losses()

    async def end_rebuild(self, before: Mapping[Slot, StoreState]) -> None:
        """Note in Redis that nothing is lost any more: all events were applied again.

        Args:
            before: what was lost when that began; what was lost since stays lost.

        Raises:
            RetryLater: Redis is away.
        """
        await self._store.end_rebuild(before)

    async def publish(self, badges: Iterable[Badge], traces: Traces = NO_TRACES) -> None:
        """Write badges to their topic.

        Args:
            badges: what is written.
            traces: of those that belong to one.

        Raises:
            RetryLater: Kafka is away.
        """
        await publish_badges(self._context, badges, traces)

    async def probe(self) -> None:
        """See that Redis is there, takes writes, and still has the badges.

        Raises:
            RetryLater: it is not, or does not.
        """
        timeout_s = self._context.settings.redis_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._store.update({})
                evictions = await self._evictions.look()
                await self._restoration.look_again()
        except (RetryLater, TimeoutError) as error:
            self._was_away = True
            self._context.metrics.set_connected("redis", False)
            if isinstance(error, TimeoutError):
                raise RetryLater(f"Redis at {self._store.connection.shown_url} does not answer") from error
            raise
        self._context.metrics.set_connected("redis", True)
        if self._was_away:
            self._was_away = False
            self._store.connection.note_change()
        if evictions:
            await self._note_evictions(evictions)
        self._note_state()
        await self._restoration.look()
        self._restoration.all_answer()
        self._note_state()
        self._restoration.require()
        await self._make_sure()

    def remarks(self) -> Mapping[str, str]:
        """Whether badges were lost, and what to do then."""
        state = self._told
        if state is None or not state.lost_at_ms:
            return {}
        rebuild = f"`{command_line('consumers')} badge rebuild`"
        lost = f"lost by Redis, noticed at {rfc3339(state.lost_at_ms)}"
        topic = self._context.settings.badges_topic
        return {"badges": f"{lost}: put back from {topic} before the worker goes on; if that has none run {rebuild}"}

    async def stop(self) -> None:
        """Disconnect from Redis."""
        if hasattr(self, "_store"):
            if self._expiring is not None:
                self._expiring.cancel()
                await asyncio.gather(self._expiring, return_exceptions=True)
            await self._restoration.stop()
            await self._store.close()

    async def _make_sure(self) -> None:
        """Write badges anew that may come to the topic late: behind these nothing of ours is older than what is there.

        Raises:
            RetryLater: Kafka or Redis is away.
        """
        if not self._unsure:
            return
        unsure = dict(self._unsure)
        latest = unsure | {badge.owner: badge for badge in await changed_badges(self._store, list(unsure.values()))}
        await publish_latest(self._context, self._store, list(latest.values()))
        for owner, badge in unsure.items():
            if self._unsure.get(owner) is badge:
                del self._unsure[owner]

    def _traces_of(self, batch: Sequence[BadgeEvent]) -> Traces:
        return {
            event.owner: self._context.record_headers(event) for event in batch if isinstance(event, TracedBadgeEvent)
        }

    async def _note_evictions(self, evictions: Sequence[Eviction]) -> None:
        """Take what Redis has evicted for a loss: it has fewer badges then, and nobody knows which.

        Of a cluster also for one of other nodes: slots may have moved since, or another node have taken over.
        """
        await self._store.note_loss_anywhere()
        self._store.connection.note_change()  # What is put back at this moment may be gone again.
        self._evictions.noted()
        keys = sum(eviction.keys for eviction in evictions)
        self._evicted.inc(keys)
        if self._told_evictions.admits("evictions"):
            log.error(
                "Redis at %s has thrown away %d keys to make room (maxmemory-policy %s), and badges may be among them: "
                "set maxmemory-policy to noeviction, and raise maxmemory. The badges are put back from the topic %s",
                self._store.connection.shown_url,
                keys,
                evictions[0].policy or "unknown",
                self._context.settings.badges_topic,
                extra=fields("badges_evicted", keys=keys),
            )

    def _note_state(self) -> None:
        state = self._store.state
        before = self._told.lost_at_ms if self._told is not None else 0
        if state.lost_at_ms == before and self._told is not None:
            return
        if state.lost_at_ms and not before:
            log.error(
                "Redis at %s has lost badges: it was emptied or put back to older data, or such a one has taken its "
                "place (noticed at %s). They are put back from the topic %s before the worker goes on. If nothing is "
                "there run `%s badge rebuild`. See that Redis keeps its data (appendonly, no eviction)",
                self._store.connection.shown_url,
                rfc3339(state.lost_at_ms),
                self._context.settings.badges_topic,
                command_line("consumers"),
                extra=fields("badges_lost"),
            )
        elif before and not state.lost_at_ms:
            log.info("the badges are rebuilt", extra=fields("badges_rebuilt"))
        self._lost.set(bool(state.lost_at_ms))
        self._told = state


def _has_trace(headers: Sequence[tuple[str, bytes]]) -> bool:
    return any(name == TRACEPARENT for name, _ in headers)
