"""Reads the topics and the statements into a ledger, and has it judge when statements are due.

All partitions are read side by side in the order of time, more or less: none is read far ahead of the others. So the
numbers of a process arrive nearly in their order, and the ledger needs little memory also while much is read.
Of a record nothing but its headers is looked at.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from common.kafka.clients import MakeClientArguments
from common.kafka.consumer import partitions_by_topic, stop_consumer
from common.kafka.light_records import LightRecord, RecordStamp, make_light
from common.kafka.topic_ids import topic_ids
from common.kafka.topics import topic_config
from common.logs import fields
from consumers.audit.absences import Absences, note_lost_end
from consumers.audit.judging import judge
from consumers.audit.ledger import AuditLedger
from consumers.audit.partition_log import PartitionLog, Retention
from consumers.audit.stamps import number_of, tellable
from consumers.audit.statements import PendingStatements
from consumers.audit.topics_anew import TopicsAnew
from consumers.audit.window_tally import WindowTally
from consumers.errors import describe
from consumers.runtime.since import since

log = logging.getLogger(__name__)

LOOK_S = 2.0
JUDGE_S = 5.0
REST_PER_JUDGING = 9
"""So many times as long as the last judging took is read before the next: with ten thousand lives one takes seconds."""
ON_ITS_WAY_S = 3.0
"""How long a record that was stated and is not there may take to come, before it is said that it waits."""
MAX_SKEW_MS = 5000
"""So far one partition may be read ahead of another, by the time of the records."""
MAX_RECORDS = 2000
SHORT_LOOKS = 3
"""So often a log must end before what was read: while leaders change, ends may be told that are older."""
GONE_LOOKS = 30
"""So often a partition must not be there: a broker that has just started may not know all of them."""
_ANSWER_S = 20.0
_FETCH_MS = 200


class TopicReading:
    """One connection; used once. Reading goes on where the ledger is.

    Its fields are many because each thing that may happen to a topic while it is read has one.

    Args:
        make_arguments: of a Kafka client.
        ledger: what is known; it is changed.
        audit_topic: where statements are.
        topics: those that are read besides those that statements name.
        after_judging: awaited each time that the ledger was judged.
        tally: of a window: what was received before it is left out; None: begin where the ledger is.
    """

    def __init__(
        self,
        make_arguments: MakeClientArguments,
        ledger: AuditLedger,
        audit_topic: str,
        topics: Iterable[str],
        *,
        after_judging: Callable[[], Awaitable[None]],
        tally: WindowTally | None = None,
    ) -> None:
        self._make_arguments = make_arguments
        self._ledger = ledger
        self._audit = TopicPartition(audit_topic, 0)
        self._topics = set(topics)
        self._tally = tally
        self._after_judging = after_judging
        self._ends: dict[TopicPartition, int] = {}
        self._audit_end = 0
        """Of the topic for the audit, when this connection began; or where it ended later, if that was before."""
        self._statements = PendingStatements(ledger, tally)
        self._unverified: set[TopicPartition] = set()
        self._short: dict[TopicPartition, int] = {}
        self._patient_until = 0.0
        self._anew = TopicsAnew(ledger, audit_topic)
        gone_looks = GONE_LOOKS if tally is None else SHORT_LOOKS
        self._absences = Absences(ledger, gone_looks, begins_without=tally is None)

    async def run(self, *, until_due: bool = False) -> None:
        """Read for ever, or until all statements are due that are there now.

        Raises:
            KafkaError, OSError, TimeoutError: Kafka cannot be read any more.
        """
        consumer = AIOKafkaConsumer(
            **self._make_arguments(),
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=_FETCH_MS,
        )
        try:
            async with asyncio.timeout(_ANSWER_S):
                await consumer.start()
                make_light(consumer)
                await self._look(consumer)
            self._audit_end = self._ends.get(self._audit, 0)
            self._ledger.listening_ms = now_ms()
            look_at = judge_at = rested_at = time.monotonic()
            is_due = False
            while not (until_due and self._has_all()):
                if time.monotonic() >= look_at:
                    async with asyncio.timeout(_ANSWER_S):
                        await self._look(consumer)
                    look_at = time.monotonic() + LOOK_S
                await self._fetch(consumer)
                is_due |= await self._make_due(consumer, may_be_none=until_due)
                began = time.monotonic()
                if (is_due and (until_due or began >= rested_at)) or began >= max(judge_at, rested_at):
                    await self._judge()
                    is_due = False
                    judge_at = time.monotonic() + JUDGE_S
                    rested_at = time.monotonic() + REST_PER_JUDGING * (time.monotonic() - began)
        finally:
            await stop_consumer(consumer)

    def _has_all(self) -> bool:
        """Whether all is read that was stated, or that is not there has had time to come."""
        if not self._statements.due_batches:
            return False
        self._patient_until = self._patient_until or time.monotonic() + ON_ITS_WAY_S
        open_gaps = (
            stream.open_gaps(life.given.get(topic, 0))
            for life in self._ledger.lives.values()
            for topic, stream in life.streams.items()
        )
        return time.monotonic() >= self._patient_until or not any(open_gaps)

    async def _judge(self) -> None:
        if self._tally is not None and self._statements.due_batches:
            self._tally.begin(self._ledger)  # Not before all is read: who has no record yet would seem to have none.
        judge(self._ledger, now_ms())
        await self._after_judging()

    @property
    def is_at_tail(self) -> bool:
        """Whether all statements were read that were there when this connection began."""
        return self._ledger.audit_position >= self._audit_end

    # Where to read

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Find the partitions that there are now, where each begins and ends, and what is gone."""
        found = await partitions_by_topic(consumer)
        partitions = [one for topic in sorted(self._topics | self._stated_topics()) for one in found.get(topic, ())]
        self._absences.look(found, now_ms())
        there = sorted({one.topic for one in partitions} | ({self._audit.topic} & found.keys()))
        anew = self._anew.look(await topic_ids(consumer, there), now_ms()) if there else set()
        if self._audit.topic in found:
            partitions.append(self._audit)
        if not partitions:
            self._ends = {}
            consumer.unsubscribe()
            return
        begins = await consumer.beginning_offsets(partitions)
        self._ends = await consumer.end_offsets(partitions)
        new = set(partitions) - consumer.assignment()
        is_changed = bool(anew) or set(partitions) != consumer.assignment()
        if is_changed:
            consumer.assign(partitions)
        for one in partitions:
            if one == self._audit:
                self._look_at_audit(consumer, begins[one])
            else:
                await self._look_at(consumer, one, begins[one], is_new=one in new)
        if is_changed:
            for one in partitions:  # To be assigned anew is to lose the positions.
                self._seek(consumer, one)

    def _look_at_audit(self, consumer: AIOKafkaConsumer, begin: int) -> None:
        before = self._ledger.audit_position
        self._audit_end = min(self._audit_end, self._ends[self._audit])  # It may be shorter since it was made anew.
        if self._ends[self._audit] < before:
            self._ledger.begin_audit_topic_anew()
        self._ledger.audit_position = max(self._ledger.audit_position, begin)
        if self._ledger.audit_position != before:
            self._seek(consumer, self._audit)

    async def _look_at(self, consumer: AIOKafkaConsumer, one: TopicPartition, begin: int, *, is_new: bool) -> None:
        name = f"{one.topic}/{one.partition}"
        log_of_partition = self._ledger.logs.get(name)
        is_initial = log_of_partition is None
        if log_of_partition is None:
            log_of_partition = self._ledger.logs[name] = PartitionLog(one.topic, one.partition)
        position = log_of_partition.position
        if begin > log_of_partition.begin:
            retention = await self._retention(one.topic)
            lost = log_of_partition.begins_at(begin, retention, now_ms(), is_initial=is_initial)
            if lost is not None:
                self._ledger.note_lost(lost)
                log.error(
                    "records of %s that were read are gone, and retention has not taken them: partition %d, offsets %d"
                    " to %d",
                    *(one.topic, one.partition, lost.first, lost.end - 1),
                    extra=fields("records_gone", topic=one.topic, partition=one.partition, records=lost.count),
                )
        if is_initial and self._tally is not None:
            begin_ms = self._tally.window.begin_ms
            found = (await since(consumer, {one: begin}, self._ends, begin_ms))[one]
            log_of_partition.position = max(log_of_partition.position, found.offset)
            if begin > 0 and not found.is_preceded:
                first = (await consumer.offsets_for_times({one: begin_ms})).get(one)
                await self._note_expired(self._tally, one, now_ms() if first is None else first.timestamp)
        self._check_end(one, log_of_partition, begin)
        if is_new and log_of_partition.begin <= log_of_partition.last_offset < self._ends[one]:
            self._unverified.add(one)
        if log_of_partition.position != position:
            self._seek(consumer, one)

    def _check_end(self, one: TopicPartition, found: PartitionLog, begin: int) -> None:
        if self._ends[one] >= found.position:
            self._short.pop(one, None)
            return
        self._short[one] = self._short.get(one, 0) + 1
        if self._short[one] < SHORT_LOOKS:
            return
        lost = found.ends_at(self._ends[one], now_ms())
        if 0 <= begin <= found.last_offset:
            self._unverified.add(one)  # It may be another topic of that name, of which nothing was read yet.
        if lost is not None:
            note_lost_end(self._ledger, lost)

    async def _note_expired(self, tally: WindowTally, one: TopicPartition, first_ms: int) -> None:
        """Note that the first record of a log is of the window, so that some before it may have been of it too."""
        retention = await self._retention(one.topic)
        if retention.size_bytes < 0:
            first_ms = min(first_ms, now_ms() - retention.time_ms if retention.time_ms >= 0 else 0)
        tally.note_expired(first_ms)

    async def _retention(self, topic: str) -> Retention:
        """What takes records of a topic away; where nobody tells, anything might."""
        try:
            names = ("retention.ms", "retention.bytes")
            time_ms, size_bytes = [await topic_config(self._make_arguments(), topic, name) for name in names]
            return Retention(int(time_ms or ""), int(size_bytes or ""))
        except (KafkaError, OSError, TimeoutError, ValueError) as error:
            log.warning(
                "the retention of %s is not known (%s): what is gone from its beginning is taken for expired. Allow"
                " the audit to describe the configuration of topics",
                *(topic, describe(error)),
                extra=fields("retention_unknown", topic=topic, reason=describe(error)),
            )
            return Retention(0, 0)

    def _seek(self, consumer: AIOKafkaConsumer, one: TopicPartition) -> None:
        if one == self._audit:
            consumer.seek(one, self._ledger.audit_position)
            return
        found = self._log(one)
        # The last record is read again: if it is another one by now, the topic was made anew.
        consumer.seek(one, found.last_offset if one in self._unverified else found.position)

    def _stated_topics(self) -> set[str]:
        lives = self._ledger.lives.values()
        return {topic for life in lives if life.latest is not None for topic in life.latest.statement.topics}

    # Reading

    async def _fetch(self, consumer: AIOKafkaConsumer) -> None:
        chosen = self._next_in_time(consumer)
        if not chosen:
            await asyncio.sleep(_FETCH_MS / 1000)
            return
        try:
            fetched = await consumer.getmany(*chosen, timeout_ms=_FETCH_MS, max_records=MAX_RECORDS)
        except OffsetOutOfRangeError:
            async with asyncio.timeout(_ANSWER_S):
                await self._look(consumer)
            for one in chosen:  # A fetch that failed is not tried again by itself.
                self._seek(consumer, one)
            await asyncio.sleep(_FETCH_MS / 1000)
            return
        for one, records in fetched.items():
            if one == self._audit:
                self._statements.read(records, now_ms() if self.is_at_tail else None)
            else:
                self._read_records(consumer, one, records)

    def _next_in_time(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        """Of the partitions those that are not far ahead of another."""
        assigned = consumer.assignment()
        behind = [self._log(one) for one in assigned if one != self._audit]
        behind_ms = [
            one.last_ms for one in behind if one.position < self._ends.get(TopicPartition(one.topic, one.partition), 0)
        ]
        limit_ms = min(behind_ms, default=0) + MAX_SKEW_MS
        return [one for one in assigned if one == self._audit or not behind_ms or self._log(one).last_ms <= limit_ms]

    def _read_records(self, consumer: AIOKafkaConsumer, one: TopicPartition, records: Sequence[LightRecord]) -> None:
        found = self._log(one)
        stamps = list(tellable((record.stamp() for record in records), found.last_ms))
        if one in self._unverified:
            self._unverified.discard(one)
            first = stamps[0]
            if first.offset == found.last_offset and first.timestamp_ms != found.last_ms:
                log.error(
                    "%s is another topic than the one that was read: it is read from its beginning",
                    one.topic,
                    extra=fields("topic_anew", topic=one.topic, partition=one.partition),
                )
                found.begin_anew()
                consumer.seek(one, 0)
                return
        stamps = [stamp for stamp in stamps if stamp.offset >= found.position]
        if not stamps:
            return
        for stamp in stamps:
            self._note(one.topic, stamp)
        first, last = stamps[0], stamps[-1]
        found.read((first.offset, first.timestamp_ms), (last.offset, last.timestamp_ms))

    def _note(self, topic: str, stamp: RecordStamp) -> None:
        tally, time_ms = self._tally, stamp.timestamp_ms
        number = number_of(stamp.headers)
        if tally is not None and time_ms < tally.window.begin_ms:
            if number is None or (begun_ms := number.epoch * 1000) < tally.window.begin_ms:
                return
            time_ms = begun_ms  # It carries no time, as where the clock of its process is ahead, and is not older.
        if number is None:
            self._ledger.unnumbered += 1
            return
        is_new = self._ledger.note_record(topic, number, time_ms)
        if tally is not None:
            tally.count(time_ms, is_new=is_new)

    # When statements are due

    async def _make_due(self, consumer: AIOKafkaConsumer, *, may_be_none: bool) -> bool:
        """Note ends for statements that were read; whether some have become due."""
        if not self.is_at_tail:
            self._ledger.audit_position = await consumer.position(self._audit)  # Compaction may have taken the last.
            return False
        self._ledger.has_caught_up = True
        if self._is_unsure():
            return False
        if self._statements.want_ends(may_be_none=may_be_none):
            async with asyncio.timeout(_ANSWER_S):
                await self._look(consumer)  # They may name topics that are not read yet.
            if self._is_unsure():
                return False
            self._statements.note_ends(self._ends)
        if self._statements.ends is None:
            return False
        for one, end in self._statements.ends.items():
            if one != self._audit and one in self._ends and self._log(one).position < end:
                # Behind the last record there may be others than records.
                position = await consumer.position(one)
                if position < end or one in self._unverified:
                    return False
                self._log(one).position = position
        self._statements.make_due()
        return True

    def _is_unsure(self) -> bool:
        """Whether it is not certain which records there are: nothing is due then."""
        return self._absences.are_open or self._anew.are_open

    def _log(self, one: TopicPartition) -> PartitionLog:
        return self._ledger.logs[f"{one.topic}/{one.partition}"]


def now_ms() -> int:
    """Unix milliseconds."""
    return int(time.time() * 1000)
