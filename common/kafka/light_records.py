"""Records of aiokafka's consumer that cost little until somebody looks at more than their values.

aiokafka makes an object of eleven attributes of each record, in some eight thousand instructions. Who reads a topic of
events wants the value of most records, and of a few of them the rest.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException

from common.kafka.checked_records import CheckedRecords
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


class LightBatch(Sequence[ConsumerRecord]):
    """Records of one partition, each of which is made when it is asked for, and again when it is asked for again."""

    def __init__(self, partition: TopicPartition, reads: list[Any]) -> None:
        self._partition = partition
        self._reads = reads

    def __len__(self) -> int:
        return len(self._reads)

    @overload
    def __getitem__(self, at: int) -> LightRecord: ...
    @overload
    def __getitem__(self, at: slice) -> LightBatch: ...
    def __getitem__(self, at: int | slice) -> LightRecord | LightBatch:
        if isinstance(at, slice):
            return LightBatch(self._partition, self._reads[at])
        return LightRecord(self._partition, self._reads[at])

    def __iter__(self) -> Iterator[LightRecord]:
        partition = self._partition
        return (LightRecord(partition, read) for read in self._reads)

    def values(self) -> list[bytes | None]:
        """The values alone."""
        return [read.value for read in self._reads]

    def headers(self) -> list[Sequence[tuple[str, bytes]]]:
        """The headers alone, of each record."""
        return [read.headers for read in self._reads]


def values_of(records: Sequence[ConsumerRecord]) -> list[bytes | None]:
    """The values of records, whoever made them."""
    return records.values() if isinstance(records, LightBatch) else [record.value for record in records]


def headers_of(records: Sequence[ConsumerRecord]) -> list[Sequence[tuple[str, bytes]]]:
    """The headers of records, whoever made them."""
    return records.headers() if isinstance(records, LightBatch) else [record.headers for record in records]


def make_light(consumer: AIOKafkaConsumer) -> None:
    """Have a consumer, which is started and has neither deserializers nor transactions to heed, give light records.

    What it has of a partition is a `LightBatch` then.
    """
    fetcher = consumer._fetcher
    fetcher._records = _Fetched(fetcher._records)
    take = fetcher.fetched_records

    async def fetched_records(*arguments: Any, **options: Any) -> dict[TopicPartition, LightBatch]:
        found = await take(*arguments, **options)
        return {partition: LightBatch(partition, reads) for partition, reads in found.items()}

    fetcher.fetched_records = fetched_records


class _Fetched(OrderedDict[TopicPartition, Any]):
    """Partition → what was fetched of it and is not taken yet."""

    def __setitem__(self, partition: TopicPartition, fetched: Any) -> None:
        whole = fetched._partition_records if isinstance(fetched, FetchResult) else None
        if whole is not None:
            fetched._partition_records = LightRecords(partition, whole._records, whole.next_fetch_offset)
        super().__setitem__(partition, fetched)


class LightRecords:
    """What `PartitionRecords` is to the consumer, but that whoever takes all is given the records of the C code.

    Args:
        partition: where they are from.
        batches: those that were fetched.
        offset: what was asked for; a batch may begin before it.
    """

    def __init__(self, partition: TopicPartition, batches: CheckedRecords, offset: int) -> None:
        self.next_fetch_offset = offset
        self._partition = partition
        self._batches = batches
        self._reads = self._unpacked()

    def __iter__(self) -> Iterator[Any]:
        return self._reads

    def __next__(self) -> LightRecord:
        return LightRecord(self._partition, next(self._reads))

    def _unpacked(self) -> Iterator[Any]:
        topic, number = self._partition
        while self._batches.has_next():
            batch = self._batches.next_batch()
            if not self._batches.is_whole():
                raise CorruptRecordException(f"a batch of {topic}, partition {number}, has arrived damaged")
            if not batch.is_control_batch:
                try:
                    for read in batch:
                        offset = read.offset
                        if offset >= self.next_fetch_offset:
                            self.next_fetch_offset = offset + 1
                            yield read
                except UnicodeDecodeError as error:
                    # aiokafka would stop here for ever. A batch is of one producer, which is none of ours.
                    log.error(
                        "a record of %s, partition %d, offset %d, is passed over with what its writer sent along with"
                        " it, up to offset %d: the name of a header of it is no text in UTF-8 (%s)",
                        *(topic, number, self.next_fetch_offset, batch.next_offset - 1, error),
                        extra=fields("record_unreadable", topic=topic, partition=number),
                    )
            self.next_fetch_offset = batch.next_offset  # Compaction may have taken the last records of a batch.
