"""Writes records to Kafka and returns when they are confirmed; replaces a client that cannot recover."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from common.kafka.clients import MakeClientArguments
from common.kafka.partition import partitions_of
from common.kafka.producer import fail_unconfirmed, fill_batch, is_dead, make_producer, stop_producer
from common.logs import fields
from consumers.errors import TOO_LARGE, RetryLater, describe
from consumers.worker import OutgoingRecord

log = logging.getLogger(__name__)

_CONFIRM_TIMEOUT_S = 30.0


class Producer:
    """An idempotent producer with acks=all that connects at its first use.

    Args:
        make_arguments: makes the arguments of a Kafka client, for each connection anew; `Settings.kafka_client`.
    """

    def __init__(self, make_arguments: MakeClientArguments) -> None:
        self._make_arguments = make_arguments
        self._client: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    async def publish(self, topic: str, records: Iterable[OutgoingRecord]) -> None:
        """See `RecordProducer.publish`."""
        client = await self._connected()
        try:
            async with asyncio.timeout(_CONFIRM_TIMEOUT_S):
                await _send(client, topic, records)
        except TOO_LARGE:
            raise
        except TimeoutError as error:
            # All brokers may have other addresses by now; a client looks for them only among those it knew.
            await self._replace(client, "nothing was confirmed")
            raise RetryLater(f"Kafka does not confirm what is written to {topic}") from error
        except KafkaError as error:
            if not error.retriable:
                await self._replace(client, describe(error))
            raise RetryLater(f"Kafka does not take records for {topic} ({describe(error)})") from error
        except Exception as error:
            if not is_dead(client):
                raise
            await self._replace(client, describe(error))  # a dead sender raises whatever it died of
            raise RetryLater(f"Kafka does not take records for {topic} ({describe(error)})") from error

    async def stop(self) -> None:
        """Disconnect, within about two seconds; what was not confirmed by then may be lost."""
        client, self._client = self._client, None
        if client is not None:
            await stop_producer(client)

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> AIOKafkaProducer:
        try:
            arguments = self._make_arguments()
        except OSError as error:
            raise RetryLater(f"no connection to Kafka can be made ({describe(error)})") from error
        client = make_producer(arguments)
        try:
            async with asyncio.timeout(_CONFIRM_TIMEOUT_S):
                await client.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await stop_producer(client)
            raise RetryLater(f"Kafka at {arguments['bootstrap_servers']} does not answer") from error
        except BaseException:
            await stop_producer(client)
            raise
        return client

    async def _replace(self, client: AIOKafkaProducer, reason: str) -> None:
        async with self._connecting:
            if self._client is client:
                log.warning(
                    "the Kafka producer cannot go on (%s); it is replaced with a new one",
                    reason,
                    extra=fields("client_replaced", reason=reason),
                )
                self._client = None
                # Before the next one starts: an old record that arrived after a new one would bring back old state.
                await stop_producer(client)
                fail_unconfirmed(client)  # those of the other partitions, which began later and would wait longer


async def _send(client: AIOKafkaProducer, topic: str, records: Iterable[OutgoingRecord]) -> None:
    partitions = sorted(await client.partitions_for(topic))
    records = list(records)
    by_partition: defaultdict[int, list[OutgoingRecord]] = defaultdict(list)
    for record, at in zip(records, partitions_of([one.key for one in records], len(partitions)), strict=True):
        by_partition[partitions[at] if record.partition is None else record.partition].append(record)
    # All of them end before an error is reported: none may write on while its records are already written again.
    outcomes = await asyncio.gather(
        *(_send_to(client, topic, *entry) for entry in by_partition.items()), return_exceptions=True
    )
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


async def _send_to(client: AIOKafkaProducer, topic: str, partition: int, records: Sequence[OutgoingRecord]) -> None:
    confirmations: list[asyncio.Future[Any]] = []
    try:
        done = 0
        while done < len(records):
            batch = client.create_batch()
            done = fill_batch(batch, records, done)
            confirmations.append(await client.send_batch(batch, topic, partition=partition))
        for confirmation in confirmations:
            await confirmation
    finally:
        for confirmation in confirmations:
            confirmation.cancel()
