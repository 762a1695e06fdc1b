"""What a worker is. Subclass `Worker`, then `consumers run your.module:YourWorker`.

    class Notify(Worker):
        name = "notify"
        event_types = frozenset({"im.c2c.message.recalled"})

        async def handle(self, batch: Sequence[Message]) -> None:
            for message in batch:
                await notify(message.event.subject)

Delivery is at least once: after a crash, a rebalance or a retry a worker sees events again, whole batches included,
with the same `event.id`. So `handle` must do no harm when it repeats.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from bridge.events import Event
from common.topics import Topic
from consumers.metrics import Metrics
from consumers.producer import Producer
from consumers.settings import ConsumersSettings


class Message(msgspec.Struct, frozen=True, gc=False):
    """An event and the record that carried it."""

    event: Event
    topic: str
    partition: int
    offset: int
    timestamp: int
    """Of the record, Unix milliseconds: when the bridge received it."""
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Context:
    """What the runtime lends a worker."""

    settings: ConsumersSettings
    producer: Producer
    metrics: Metrics


class Worker(ABC):
    """Base of all workers; made without arguments. One instance serves all partitions of a process."""

    name: ClassVar[str]
    """Also the consumer group, unless CONSUMERS_GROUP is set."""
    event_types: ClassVar[frozenset[str] | None] = None
    """The types that it wants, None for all. The others are skipped before they are parsed."""

    def topics(self, settings: ConsumersSettings) -> Sequence[Topic]:  # noqa: ARG002 - for subclasses
        """The topics that it writes to: created, where the broker lets us, before `start`."""
        return ()

    async def start(self, context: Context) -> None:  # noqa: B027 - a worker may have nothing to start
        """Connect. No partition is taken before it returns.

        Raises:
            RetryLater, ConnectionError, TimeoutError, …: called again, for ever.
            WorkerRefusedError: the process ends with its message.
        """

    @abstractmethod
    async def handle(self, batch: Sequence[Message]) -> None:
        """Do the work for some events of one partition, in their order. When it returns their offsets are committed.

        Batches of different partitions run side by side; those of one partition never do.

        Raises:
            RetryLater, ConnectionError, TimeoutError, errors of Kafka and of Redis's connection: the batch comes again,
                for ever, while its partition waits.
            any other Exception: the batch comes again in halves, until the one event that it fails on is found; that
                is tried CONSUMERS_POISON_ATTEMPTS times, and is then a dead letter.
        """

    async def stop(self) -> None:  # noqa: B027 - a worker may have nothing to stop
        """Disconnect; bounded by the runtime to one second."""
