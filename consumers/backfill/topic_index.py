"""The messages that the topic has in a span of time: read once, kept up to date, looked up on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from aiokafka import ConsumerRecord

from common.timestamps import rfc3339
from consumers.archive.lines import MAX_OFF_S
from consumers.backfill.identity import DOCUMENTED, CallbackFields, Key
from consumers.backfill.known_messages import FoundIn, KnownMessages
from consumers.backfill.topic_messages import FoundMessage, message_in_event, message_in_letter
from consumers.backfill.topic_tail import ReportTail, TopicTail
from consumers.errors import WorkerRefusedError
from consumers.settings import ConsumersSettings

CLOCK_SLACK_S = 900
"""The callback of a message arrives after it was sent; that its record may carry an earlier time, the clocks of the
platform and of an ingress must differ. An ingress that checks signatures refuses callbacks by a clock that is wrong by
more than BRIDGE_CLOCK_SKEW_S; where none is checked, a machine whose clock is off by a quarter of an
hour is off for all."""
NEAR_S = 3600
"""The archive is cut by the hour, and no page says by which of a message's times: an hour may hold a neighbour's."""


class TopicIndex:
    """What the topic and the dead letters have of the messages of a span of time.

    The topic is read from before the span to its end, wherever that is: an event may come long after its message, since
    the ingress keeps what Kafka does not take. Kept are the keys of messages of the span alone.

    Args:
        settings: connections and topics.
        known: where the keys are kept; empty.
        start_s, end_s: the span, Unix seconds.
        report: told as the reading proceeds.
    """

    def __init__(
        self,
        settings: ConsumersSettings,
        known: KnownMessages,
        *,
        start_s: int,
        end_s: int,
        report: ReportTail = lambda _read, _total: None,
    ) -> None:
        self.known = known
        self._settings = settings
        self._report = report
        self._start_s, self._end_s = start_s, end_s
        self._from_s, self._to_s = start_s - NEAR_S, end_s + NEAR_S
        self._is_wide = False
        self._forms: dict[str, CallbackFields] = {}
        self._events, self._letters = self._tails()

    def covers(self, time_s: int) -> bool:
        """Whether a message of that second would have been found."""
        return self._from_s <= time_s <= self._to_s

    def form(self, app_id: str) -> CallbackFields:
        """What the app's callbacks of one-to-one messages come with, by the last of them that was read."""
        return self._forms.get(app_id, DOCUMENTED)

    def is_kept_since(self, time_s: int) -> bool:
        """Whether the topic still has all that came since that second, as far as anybody can tell."""
        since_ms = self._events.kept_since_ms
        return since_ms is None or since_ms <= time_s * 1000

    @property
    def kept_since(self) -> str:
        """Since when that is certain, in words."""
        since_ms = self._events.kept_since_ms
        return "all of them are there" if since_ms is None else f"all of them are there since {rfc3339(since_ms)}"

    async def catch_up(self) -> None:
        """Read what came since the last time.

        Raises:
            KafkaError, OSError, TimeoutError: Kafka cannot be read; called again it goes on.
            WorkerRefusedError: there is no such topic.
        """
        await self._read(self._events, _of_events, FoundIn.TOPIC)
        if not self._events.exists:
            raise WorkerRefusedError(
                f"the topic {self._settings.topic} does not exist: set CONSUMERS_TOPIC to the topic of the events"
            )
        await self._read(self._letters, message_in_letter, FoundIn.LETTER)

    async def widen(self) -> None:
        """From now on any second is covered that a line of the span's files may have. The topic is read anew.

        Raises:
            KafkaError, OSError, TimeoutError: as `catch_up`.
        """
        if not self._is_wide:
            await self.close()
            self._from_s, self._to_s, self._is_wide = self._start_s - MAX_OFF_S, self._end_s + MAX_OFF_S, True
            self._events, self._letters = self._tails()
        await self.catch_up()

    async def close(self) -> None:
        """Disconnect."""
        await self._events.close()
        await self._letters.close()

    def _tails(self) -> tuple[TopicTail, TopicTail]:
        from_ms = max(0, self._from_s - CLOCK_SLACK_S) * 1000

        def tail(topic: str) -> TopicTail:
            return TopicTail(
                self._settings.kafka_client,
                topic,
                from_ms=from_ms,
                max_fetch_bytes=self._settings.fetch_max_bytes,
                report=self._report,
            )

        return tail(self._settings.topic), tail(self._settings.dlq_topic)

    async def _read(
        self, tail: TopicTail, message_in: Callable[[ConsumerRecord], FoundMessage | None], place: FoundIn
    ) -> None:
        async with contextlib.aclosing(tail.batches()) as batches:
            async for records in batches:
                self.known.add(self._keys(records, message_in), place)

    def _keys(
        self, records: Sequence[ConsumerRecord], message_in: Callable[[ConsumerRecord], FoundMessage | None]
    ) -> list[Key]:
        keys: list[Key] = []
        for record in records:
            found = message_in(record)
            if found is None:
                continue
            if found.form is not None:
                self._forms[found.sent.app_id] = found.form
            if found.sent.time_s is None or self.covers(found.sent.time_s):
                keys += found.keys
        return keys


def _of_events(record: ConsumerRecord) -> FoundMessage | None:
    return message_in_event(record.value)
