"""Topics and partitions that are not there, though they were, or statements name them.

A broker that has just started may not tell all that there are, so nothing is concluded at once, and no statement
becomes due meanwhile: what is not read could be there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition

from common.logs import fields
from consumers.audit.ledger import AuditLedger
from consumers.audit.partition_log import LostPart

log = logging.getLogger(__name__)


class Absences:
    """What is not there, and since how many looks.

    Args:
        ledger: told what is gone.
        gone_looks: so often it must not be there.
        begins_without: whether a topic that was never there is no loss: it was gone before anybody looked.
    """

    def __init__(self, ledger: AuditLedger, gone_looks: int, *, begins_without: bool = True) -> None:
        self._ledger = ledger
        self._gone_looks = gone_looks
        self._begins_without = begins_without
        self._lost: set[str] = set()
        """Topics that are not there, and whose records are asked for all the same."""
        self._looks: dict[str, int] = {}

    @property
    def are_open(self) -> bool:
        """Whether something is not there, and may be only for a moment."""
        return bool(self._looks)

    def look(self, found: Mapping[str, Sequence[TopicPartition]], now_ms: int) -> None:
        """Note which partitions there are now, of whatever topic."""
        ledger = self._ledger
        there = {f"{topic}/{one.partition}" for topic, partitions in found.items() for one in partitions}
        topics = {name.rpartition("/")[0] for name in there}
        ledger.absent_topics = [name for name in ledger.absent_topics if name not in topics]
        logs = {name for name, one in ledger.logs.items() if one.position and name not in there}
        known = {*topics, *ledger.absent_topics, *self._lost, *(one.topic for one in ledger.logs.values())}
        looks = {name: self._looks.get(name, 0) + 1 for name in logs | (_topics_with_records(ledger) - known)}
        for name in [name for name, count in looks.items() if count >= self._gone_looks]:
            del looks[name]
            if name in logs:
                lost = ledger.logs[name].ends_at(0, now_ms)
                if lost is not None:
                    note_lost_end(ledger, lost)
            elif self._begins_without:
                self._begin_without(name)
            else:
                self._lost.add(name)
        self._looks = looks

    def _begin_without(self, topic: str) -> None:
        self._ledger.absent_topics.append(topic)
        log.warning(
            "there is no topic %s, of which processes have stated records: it was gone when the audit began, and they"
            " are not asked for",
            topic,
            extra=fields("topic_absent", topic=topic),
        )


def note_lost_end(ledger: AuditLedger, lost: LostPart) -> None:
    """Note that the end of a log is gone, or all of it, and say so."""
    ledger.note_lost(lost)
    log.error(
        "the end of a log is lost, which had been read: %s, partition %d, offsets %d to %d",
        *(lost.topic, lost.partition, lost.first, lost.end - 1),
        extra=fields("records_gone", topic=lost.topic, partition=lost.partition, records=lost.count),
    )


def _topics_with_records(ledger: AuditLedger) -> set[str]:
    """Topics of which some process has stated that it gave numbers."""
    stated = (life.latest.statement for life in ledger.lives.values() if life.latest is not None)
    return {topic for statement in stated for topic, told in statement.topics.items() if told.given}
