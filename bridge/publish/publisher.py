"""Fourth step: from the journal's topic queues to Kafka, in order, until every record is confirmed.

Each topic has a publisher and a producer of its own, so that a topic that is missing, forbidden or slow holds up no
other. It spreads what it leases from its queue over the partitions, makes a batch of what waits for each, and sends
each leader in one request what it leads (`produce`). The producer is idempotent with acks=all. What may pass later is
sent again for ever under the same sequence numbers, which keep the order of a key whatever happens to a batch, and let
nothing be there twice.

What a producer cannot recover from by itself is answered by a new one (`topic_publisher`), which is given everything
again that was not confirmed (`window`), in order: its id is not known any more, the topic is not ours to write to, a
batch is not confirmed for long (all brokers may have moved to other addresses). What dies with a producer is its
`producer_session`. This may duplicate, and never reorders first occurrences.

A record that the broker refuses for good is looked for (`rejection_search`), kept on disk and announced on the
dead-letter topic (`quarantine`), so that it holds up nothing behind it. Where the disk does not take it now, those
behind it pass, and it is tried again.

A backlog leaves slowly on purpose (`pacing`): its replies went long ago, and whoever comes now is to find the event
loop free.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

from bridge.journal.topic_queue import TopicQueue
from bridge.journal.writer import FileThread
from bridge.publish.pacing import Arrivals
from bridge.publish.publish_spans import PublishSpans
from bridge.publish.quarantine import Quarantine
from bridge.publish.source import Source
from bridge.publish.topic_publisher import TopicPublisher
from bridge.settings import BridgeSettings
from common.logs import Throttle

REPORT_INTERVAL_S = 60.0
STATE_INTERVAL_S = 0.25
QUARANTINE_INTERVAL_S = 15.0
"""Between two looks at how much is in quarantine, where others put something or take it away."""


class Publisher:
    """One `TopicPublisher` for each topic of the journal, of which it is the outlet.

    It is made before the journal, which is given it as its outlet, and given the journal when it starts.

    Args:
        settings: connection, topics, compression.
        spans: of traced records; None: there are none.
    """

    def __init__(self, settings: BridgeSettings, spans: PublishSpans | None = None) -> None:
        self.confirms = False
        """Whether Kafka is confirming events; looked at a few times a second."""
        self.topic = settings.topic
        """Of events."""
        self._settings = settings
        self._spans = spans
        self._throttle = Throttle(REPORT_INTERVAL_S)
        self._arrivals = Arrivals()
        self.quarantine = Quarantine(
            settings.journal_dir, dlq_topic=settings.dlq_topic, max_bytes=settings.quarantine_max_bytes
        )
        self._source: Source | None = None
        self._topics: dict[str, TopicPublisher] = {}
        self._tasks: list[asyncio.Task[None]] = []
        # Not behind the journal's file work: many files may be there, and replies wait for a sync. Nor in a thread of
        # the event loop's own, whose end is waited for: the disk may hang.
        self._counter = FileThread(asyncio.get_running_loop(), "quarantine-counter")

    def start(self, source: Source) -> None:
        """Publish what is in the journal and what it is given, for ever; connect in the background."""
        self._source = source
        self.quarantine.move_to(source.folder)
        self._counter.start()
        for topic in (self._settings.topic, self._settings.dlq_topic, *source.queues):
            self.available(source.queue(topic), False)
        self._tasks.append(asyncio.get_running_loop().create_task(self._watch()))
        self._tasks.append(asyncio.get_running_loop().create_task(self._watch_quarantine(source)))

    async def settle(self, within_s: float) -> None:
        """Wait until each topic has a producer, or its first attempt to connect one has failed; no longer than that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for publisher in list(self._topics.values()):
                    await publisher.settle()
        self._look_at_state()

    async def stop(self) -> None:
        """Give up what is in flight; it stays in the journal."""
        self._source = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._counter.stop()

    def available(self, queue: TopicQueue, live: bool, /) -> None:
        """Groups can be leased from a queue, which may be new: adopted, from a time when topics had other names."""
        if live:
            self._arrivals.note()
        if (publisher := self._topics.get(queue.topic)) is not None:
            publisher.wake()
        elif self._source is not None:
            self._add(queue, self._source)

    @property
    def state(self) -> Literal["confirming", "slow", "away"]:
        """Of Kafka, for events: confirming them; connected, and nothing confirmed for a second; not connected."""
        events = self._topics.get(self._settings.topic)
        if events is None or not events.is_connected:
            return "away"
        return "confirming" if events.confirms else "slow"

    @property
    def unconfirmed_s(self) -> float:
        """How long Kafka has owed an answer for events; 0: it owes none."""
        events = self._topics.get(self._settings.topic)
        return 0.0 if events is None else events.unconfirmed_s

    @property
    def problems(self) -> dict[str, str]:
        """Topic → why it cannot be published to at present, without those that can."""
        return {name: topic.problem for name, topic in self._topics.items() if topic.problem}

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record was received that is on its way and not confirmed, Unix ms; None: there is none."""
        times = (topic.oldest_ms for topic in self._topics.values())
        return min((time_ms for time_ms in times if time_ms is not None), default=None)

    def record_limit(self, topic: str) -> int | None:
        """Bytes of the largest record (key, value, headers) that a topic takes, as its broker said; None: not known."""
        publisher = self._topics.get(topic)
        return None if publisher is None else publisher.max_record_bytes

    def _add(self, queue: TopicQueue, source: Source) -> None:
        publisher = TopicPublisher(
            queue,
            source,
            self.quarantine,
            self._settings,
            arrivals=self._arrivals,
            throttle=self._throttle,
            spans=self._spans,
        )
        self._topics[queue.topic] = publisher
        self._tasks.append(asyncio.get_running_loop().create_task(publisher.run()))

    async def _watch_quarantine(self, source: Source) -> None:
        while True:
            with contextlib.suppress(OSError):  # Whoever keeps something there is told.
                self.quarantine.note(await self._counter.call(self.quarantine.counted))
            source.budget.elsewhere_bytes = self.quarantine.excess_bytes
            await asyncio.sleep(QUARANTINE_INTERVAL_S)

    async def _watch(self) -> None:
        while True:
            self._look_at_state()
            await asyncio.sleep(STATE_INTERVAL_S)

    def _look_at_state(self) -> None:
        self.confirms = self.state == "confirming"
