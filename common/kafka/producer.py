"""The one way in which this project makes a producer of aiokafka's, and the ways to end one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerClosed

from common.asyncio_tools import finish
from common.kafka.client_end import abandon_client, refuse_connections_once_abandoned
from common.kafka.clients import METADATA_MAX_AGE_MS, ClientArguments
from common.kafka.separate_connections import connect_to_each_by_itself
from common.logs import fields

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
NO_TIME_MS = -1
"""Kafka's own sign for a record without a time."""

_FLUSH_TIMEOUT_S = 2.0
_CLOSE_TIMEOUT_S = 1.0

log = logging.getLogger(__name__)


def make_producer(
    arguments: ClientArguments,
    *,
    max_batch_bytes: int = 256 * 1024,
    max_request_bytes: int = 8 * 1024 * 1024,
    compression: Compression = "none",
) -> AIOKafkaProducer:
    """A producer that writes each record once and in order, confirmed by all replicas in sync; not started yet.

    Args:
        arguments: of every client, from the settings.
        max_batch_bytes: a batch is sent when it has as many.
        max_request_bytes: of a request; a larger record is refused.
        compression: of batches.
    """
    producer = AIOKafkaProducer(
        **arguments,
        acks="all",
        enable_idempotence=True,
        max_batch_size=max_batch_bytes,
        max_request_size=max_request_bytes,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        compression_type=None if compression == "none" else compression,
    )
    producer._message_accumulator._pending_batches = _PendingBatches()
    connect_to_each_by_itself(producer.client)
    refuse_connections_once_abandoned(producer.client)
    return producer


class _PendingBatches(set[Any]):
    """The batches that are sent.

    aiokafka takes one out when it is to be sent again, and once more when it has ended. Where that came first, the
    event loop told of a KeyError.
    """

    def remove(self, batch: Any) -> None:
        """Take one out, if it is there."""
        self.discard(batch)


class Writable(Protocol):
    """A record to write."""

    @property
    def key(self) -> bytes:
        """Of the record."""

    @property
    def value(self) -> bytes | None:
        """Of the record."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Of the record."""


def fill_batch(batch: Any, records: Sequence[Writable], first: int) -> int:
    """Append records to a batch that a producer has created: as many as it takes, at least one.

    Its own `append` does the same for one record at a time, in twice as many instructions.

    Args:
        batch: empty.
        records: what is written.
        first: the place of the first of them that is appended.

    Returns:
        the place of the first that is left.
    """
    append = batch._builder.append
    now_ms = time.time_ns() // 1_000_000
    count = 0
    for record in records[first:]:
        headers = record.headers
        if append(count, now_ms, record.key, record.value, headers if type(headers) is list else list(headers)) is None:
            break
        count += 1
    batch._relative_offset = count
    batch.close()
    return first + count


def is_dead(producer: AIOKafkaProducer) -> bool:
    """Whether the task that sends has ended, so that nothing will ever be confirmed."""
    task = producer._sender.sender_task
    return task is not None and task.done()


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Let a producer send what it has, for about two seconds, and end it.

    Its own `stop` would leave tasks behind that wait for ever where the brokers are away.
    """
    producer._closed = True
    try:
        await finish(producer.flush(), within_s=_FLUSH_TIMEOUT_S)
    finally:
        await abandon(producer)


async def abandon(producer: AIOKafkaProducer) -> None:
    """End a producer, started or not, without its flush, which would wait for brokers that may be away for ever.

    When this returns it sends nothing any more: what another producer writes then cannot be followed by older records.
    """
    producer._closed = True
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    # The sender waits for the answers to what it has sent. It gets them as errors when the connections are closed, and
    # would then wait for newer metadata, which nobody fetches any more.
    await abandon_client(producer.client)
    if sender is not None:
        await asyncio.wait({sender}, timeout=_CLOSE_TIMEOUT_S)
        if not sender.done():
            log.warning(
                "a Kafka producer that was given up does not end; it can send nothing any more",
                extra=fields("client_stuck"),
            )


def fail_unconfirmed(producer: AIOKafkaProducer) -> None:
    """Raise ProducerClosed where somebody still waits for a producer that was ended: else they would, in vain.

    What they wrote may have been written, or not.
    """
    accumulator = producer._message_accumulator
    batches = [*accumulator._pending_batches, *(one for batches in accumulator._batches.values() for one in batches)]
    accumulator.fail_all(ProducerClosed())
    for batch in batches:
        batch._drain_waiter.exception()  # Nobody need wait for it, and then asyncio would log that nobody has.
