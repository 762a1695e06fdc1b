"""Compares one hour of the archive with the topic, and publishes what is missing."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import NamedTuple

from consumers.archive.archive import MessageArchive
from consumers.archive.errors import ArchiveError
from consumers.archive.hour import ArchiveWindow, Hour
from consumers.archive.message import ArchivedChat, ArchivedMessage
from consumers.backfill.event import EventMaker, sent_message
from consumers.backfill.hour_count import HourCount
from consumers.backfill.identity import CallbackFields, Key, id_of, key_of_id, keys_it_has, keys_to_look_up
from consumers.backfill.known_messages import FoundIn
from consumers.backfill.publishing import BackfillPublisher, MissingEvent, ReportWait, waiting
from consumers.backfill.topic_index import TopicIndex

CATCH_UP_S = 5.0
"""The topic is read on before a batch is looked up, if that was done longer ago: what arrives late is not published
again."""

MessageBatch = list[ArchivedMessage]
ReportCount = Callable[[HourCount], None]


class LineKeys(NamedTuple):
    """By which keys a line is looked up, and which its event will have."""

    looked_up: list[Key]
    has: list[Key]
    is_exact: bool


class HourComparison:
    """Compares hours of the archive with the topic.

    Args:
        index: what the topic has.
        maker: makes the events of messages that are missing.
        publisher: writes them; None: they are only counted.
        waits_for: told while Kafka is away.
        despite_retention: whether messages are published that the topic may have had, and has deleted.
    """

    def __init__(
        self,
        index: TopicIndex,
        maker: EventMaker,
        publisher: BackfillPublisher | None,
        *,
        waits_for: ReportWait,
        despite_retention: bool = False,
    ) -> None:
        self._index = index
        self._maker = maker
        self._publisher = publisher
        self._waits_for = waits_for
        self._despite_retention = despite_retention
        self.report: ReportCount = lambda _: None
        """Told of the count of an hour as it grows."""
        self._caught_up = -math.inf

    async def compare(
        self, archive: MessageArchive, app_id: str, chat: ArchivedChat, hour: Hour, window: ArchiveWindow | None = None
    ) -> HourCount:
        """Compare an hour.

        Args:
            archive: of the app.
            app_id: SdkAppid.
            chat: which messages.
            hour: which hour.
            window: messages outside are left alone; None: the hour as a whole.

        Raises:
            whatever Kafka and the disk raise that waiting does not help.
        """
        count = HourCount.of(app_id, chat, hour)
        self._caught_up = -math.inf  # Another run may have published this hour just before it came to be ours.
        is_cut = window is not None and (window.start > hour.start or window.end < hour.end)
        try:
            async with archive.hour(hour, chat) as archived:
                if not archived.has_file:
                    count.state = "no_file"
                    return count
                async with _closing(archived.batches()) as batches:
                    async for batch in batches:
                        inside = batch
                        if is_cut and window is not None:
                            inside = [one for one in batch if window.covers(one.timestamp)]
                        count.outside += len(batch) - len(inside)
                        await self._compare_batch(inside, count, hour)
                        count.bad_lines = archived.report.bad_lines
                        self.report(count)
                report = archived.report
                count.bad_lines, count.samples, count.reasons = report.bad_lines, [*report.samples], [*report.reasons]
        except ArchiveError as error:
            count.state, count.problem = error.kind, str(error)
        if not count.problem:
            count.problem = self._problem(count)
        return count

    def _problem(self, count: HourCount) -> str:
        """Why not all that is missing was published, where that was asked for, or the count proves nothing."""
        if count.withheld:
            return (
                f"the topic has deleted records that are so old ({self._index.kept_since}): what is missing may have "
                "been there, and is not published. To publish it nevertheless, which consumers know by the ids, add "
                "--despite-retention"
            )
        if count.too_large:
            return "the topic does not take events that are so large: see its max.message.bytes"
        return ""

    def _is_kept(self, message: ArchivedMessage, hour: Hour) -> bool:
        since_s = min(message.timestamp, int(hour.start.timestamp()))
        return self._despite_retention or self._index.is_kept_since(since_s)

    async def _compare_batch(self, batch: Sequence[ArchivedMessage], count: HourCount, hour: Hour) -> None:
        await self._catch_up(batch)
        missing, has = self._looked_up(batch, count)
        self._index.known.add(has, FoundIn.ARCHIVE)
        kept = [message for message in missing if self._is_kept(message, hour)]
        count.withheld += len(missing) - len(kept)
        if not kept or self._publisher is None:
            return
        now_ms = time.time_ns() // 1_000_000
        events = [
            MissingEvent(self._maker.record(one, self._form(one), now_ms=now_ms), self._keys_of(one).looked_up[0])
            for one in kept
        ]
        written = await self._publisher.publish(events, self._not_on_topic)
        count.published += written
        count.too_large += len(events) - written

    async def _not_on_topic(self, events: Sequence[MissingEvent]) -> list[MissingEvent]:
        await self._index.catch_up()
        known = self._index.known.find([event.key for event in events])
        return [event for event in events if known.get(event.key) is not FoundIn.TOPIC]

    async def _catch_up(self, batch: Sequence[ArchivedMessage]) -> None:
        index = self._index
        if not all(index.covers(message.timestamp) for message in batch):
            await waiting(index.widen, self._waits_for)
        elif time.monotonic() - self._caught_up < CATCH_UP_S:
            return
        else:
            await waiting(index.catch_up, self._waits_for)
        self._caught_up = time.monotonic()

    def _looked_up(self, batch: Sequence[ArchivedMessage], count: HourCount) -> tuple[list[ArchivedMessage], list[Key]]:
        """The messages of a batch that are missing, and the keys that their events have."""
        keys = [self._keys_of(message) for message in batch]
        known = self._index.known.find([key for one in keys for key in one.looked_up])
        missing: list[ArchivedMessage] = []
        for message, of_line in zip(batch, keys, strict=True):
            count.archived += 1
            place = min((known[key] for key in of_line.looked_up if key in known), default=None)
            if place is FoundIn.TOPIC:
                count.there += 1
            elif place is FoundIn.LETTER:
                count.dead_letters += 1
            elif place is FoundIn.ARCHIVE:
                count.repeated += 1
            else:
                count.missing += 1
                count.weak += not of_line.is_exact
                missing.append(message)
                known.update(dict.fromkeys(of_line.has, FoundIn.ARCHIVE))
        return missing, [key for key, place in known.items() if place is FoundIn.ARCHIVE]

    def _keys_of(self, message: ArchivedMessage) -> LineKeys:
        return keys_of(message, self._form(message))

    def _form(self, message: ArchivedMessage) -> CallbackFields:
        return self._maker.form(self._index.form(message.app_id))


def keys_of(message: ArchivedMessage, form: CallbackFields) -> LineKeys:
    """The keys of a line of the archive."""
    sent = sent_message(message)
    identifier, is_exact = id_of(message, sent.random, sent.topic_id, form)
    own = key_of_id(identifier)
    looked_up = [own, *keys_to_look_up(sent)]
    if sent.is_group and is_exact:
        weak, _ = id_of(message, None, sent.topic_id, form)
        looked_up.append(key_of_id(weak))
    return LineKeys(looked_up, [own, *keys_it_has(sent)], is_exact)


@contextlib.asynccontextmanager
async def _closing(batches: AsyncIterator[MessageBatch]) -> AsyncIterator[AsyncIterator[MessageBatch]]:
    """Batches that are ended with the block, however it ends: a thread may be at work for them."""
    try:
        yield batches
    finally:
        if isinstance(batches, AsyncGenerator):
            await batches.aclose()
