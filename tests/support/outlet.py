"""In the place of a publisher, for tests of what stands before it."""

from __future__ import annotations

from bridge.journal.topic_queue import TopicQueue


class ToldOutlet:
    """An outlet that confirms if the test says so, and remembers which queues had something for it."""

    def __init__(self, *, confirms: bool = True) -> None:
        self.confirms = confirms
        self.queues: list[TopicQueue] = []

    def available(self, queue: TopicQueue, _live: bool, /) -> None:
        """Note the queue."""
        self.queues.append(queue)
