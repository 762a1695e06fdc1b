"""What the base classes of workers offer."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aiokafka import ConsumerRecord

from consumers.worker import RecordWorker


class Slow(RecordWorker):
    name = "slow"
    most_events = 20

    async def handle(self, batch: Sequence[ConsumerRecord]) -> None:
        """Nothing is to be done."""


class Slower(Slow):
    max_events = 3


class AsSlow(Slow):
    pass


def test_a_worker_that_sets_the_former_name_of_max_events_is_given_as_many_events() -> None:
    assert RecordWorker.max_events == sys.maxsize
    assert (Slow.max_events, AsSlow.max_events, Slower.max_events) == (20, 20, 3)
