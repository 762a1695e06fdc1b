"""What the journal knows of Kafka: a publisher implements it."""

from __future__ import annotations

from typing import Protocol

from bridge.journal.topic_queue import TopicQueue


class Outlet(Protocol):
    """Where records leave the journal."""

    @property
    def confirms(self) -> bool:
        """Whether Kafka is confirming records at present, as far as can be known."""

    def available(self, queue: TopicQueue, live: bool, /) -> None:
        """Groups can be leased from a queue, which may be a new one.

        Args:
            queue: the queue.
            live: whether they were appended just now; else a predecessor left them.
        """
