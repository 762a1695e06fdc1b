"""Where the reading of the topics is, without a Kafka."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition

from consumers.audit.ledger import AuditLedger
from consumers.audit.reading import TopicReading

AUDIT = TopicPartition("im.audit", 0)


class SeekingConsumer:
    """Knows where it was told to read on."""

    def __init__(self) -> None:
        self.position: int | None = None

    def seek(self, _partition: TopicPartition, offset: int) -> None:
        self.position = offset


async def nothing() -> None: ...


@pytest.mark.parametrize("is_known_by_its_id", [True, False])
def test_a_topic_of_the_audit_that_was_made_anew_and_is_shorter_is_read_to_its_end_only(
    is_known_by_its_id: bool,
) -> None:
    ledger = AuditLedger(begun_ms=0, audit_position=1000)
    reading = TopicReading(dict[str, Any], ledger, AUDIT.topic, (), after_judging=nothing)
    reading._audit_end = 1000
    consumer: Any = SeekingConsumer()
    if is_known_by_its_id:
        ledger.begin_audit_topic_anew()
    reading._ends = {AUDIT: 3}
    reading._look_at_audit(consumer, 0)
    assert consumer.position in ((None,) if is_known_by_its_id else (0,))
    assert not reading.is_at_tail
    ledger.audit_position = 3
    assert reading.is_at_tail
