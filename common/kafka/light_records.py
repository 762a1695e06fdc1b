"""Records of aiokafka's consumer that cost little until somebody looks at more than their values.

aiokafka makes an object of eleven attributes of each record, in some eight thousand instructions. Who reads a topic of
events wants the value of most records, and of a few of them the rest.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException

from common.logs import fields

log = logging.getLogger(__name__)


class RecordStamp(NamedTuple):
    """Where a record is, of when it is, and its headers."""

    offset: int
    timestamp_ms: int
    headers: list[tuple[str, bytes | None]]


class LightRecord(ConsumerRecord[bytes, bytes]):  # type: ignore[misc]
    """A `ConsumerRecord` that has its value, and takes all else from aiokafka's C record when it is asked for it."""

    def __init__(self, partition: TopicPartition, read: Any) -> None:
        self._partition = partition
        self._read = read
        self.value = read.value

    def stamp(self) -> RecordStamp:
        """Offset, time and headers alone, at a fraction of what all of the record would cost."""
        read = self._read
        return RecordStamp(read.offset, read.timestamp, read.headers)

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there yet."""
        if name not in ConsumerRecord.__dataclass_fields__:
            raise AttributeError(f"a record has no {name}")
        partition, read = self._partition, self._read
        key, value = read.key, read.value
        super().__init__(
            topic=partition.topic,
            partition=partition.partition,
            offset=read.offset,
            timestamp=read.timestamp,
            timestamp_type=read.timestamp_type,
            key=key,
            value=value,
            checksum=read.checksum,
            serialized_key_size=-1 if key is None else len(key),
            serialized_value_size=-1 if value is None else len(value),
            headers=tuple(read.headers),
        )
        return self.__dict__[name]


def make_light(consumer: AIOKafkaConsumer) -> None:
    """Have a consumer, which is started and has neither deserializers nor transactions to heed, give light records."""
    fetcher = consumer._fetcher
    fetcher._records = _Fetched(fetcher._records)


class _Fetched(OrderedDict[TopicPartition, Any]):
    """Partition → what was fetched of it and is not taken yet."""

    def __setitem__(self, partition: TopicPartition, fetched: Any) -> None:
        whole = fetched._partition_records if isinstance(fetched, FetchResult) else None
        if whole is not None:
            fetched._partition_records = LightRecords(partition, whole._records, whole.next_fetch_offset)
        super().__setitem__(partition, fetched)


class LightRecords:
    """What `PartitionRecords` is to the consumer.

    Args:
        partition: where they are from.
        batches: of aiokafka, `MemoryRecords`.
        offset: what was asked for; a batch may begin before it.
    """

    def __init__(self, partition: TopicPartition, batches: Any, offset: int) -> None:
        self.next_fetch_offset = offset
        self._partition = partition
        self._batches = batches
        self._records = self._unpacked()

    def __iter__(self) -> Iterator[LightRecord]:
        return self._records

    def __next__(self) -> LightRecord:
        return next(self._records)

    def _unpacked(self) -> Iterator[LightRecord]:
        partition = self._partition
        while self._batches.has_next():
            batch = self._batches.next_batch()
            if not batch.validate_crc():
                raise CorruptRecordException(f"a batch of {partition} has arrived damaged")
            if not batch.is_control_batch:
                try:
                    for read in batch:
                        offset = read.offset
                        if offset >= self.next_fetch_offset:
                            self.next_fetch_offset = offset + 1
                            yield LightRecord(partition, read)
                except UnicodeDecodeError as error:
                    # aiokafka would stop here for ever. A batch is of one producer, which is none of ours.
                    log.error(
                        "a record of %s, partition %d, offset %d, is passed over with what its writer sent along with"
                        " it, up to offset %d: the name of a header of it is no text in UTF-8 (%s)",
                        *(partition.topic, partition.partition, self.next_fetch_offset, batch.next_offset - 1, error),
                        extra=fields("record_unreadable", topic=partition.topic, partition=partition.partition),
                    )
            self.next_fetch_offset = batch.next_offset  # Compaction may have taken the last records of a batch.
