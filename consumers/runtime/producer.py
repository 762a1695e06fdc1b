"""Writes records to Kafka and returns when they are confirmed; replaces a client that cannot recover."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from common.kafka.clients import MakeClientArguments
from common.kafka.producer import fail_unconfirmed, is_dead, make_producer, stop_producer
from common.logs import fields
from consumers.errors import TOO_LARGE, RetryLater, describe
from consumers.runtime.outgoing_lanes import OutgoingLanes
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
        self._lanes: OutgoingLanes | None = None
        self._connecting = asyncio.Lock()

    async def publish(self, topic: str, records: Iterable[OutgoingRecord]) -> None:
        """See `RecordProducer.publish`."""
        lanes = await self._connected()
        client = lanes.client
        try:
            async with asyncio.timeout(_CONFIRM_TIMEOUT_S):
                await lanes.write(topic, list(records))
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
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            await stop_producer(lanes.client)

    async def _connected(self) -> OutgoingLanes:
        async with self._connecting:
            if self._lanes is None:
                self._lanes = OutgoingLanes(await self._connect())
            return self._lanes

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
            if self._lanes is not None and self._lanes.client is client:
                log.warning(
                    "the Kafka producer cannot go on (%s); it is replaced with a new one",
                    reason,
                    extra=fields("client_replaced", reason=reason),
                )
                self._lanes = None
                # Before the next one starts: an old record that arrived after a new one would bring back old state.
                await stop_producer(client)
                fail_unconfirmed(client)  # those of the other partitions, which began later and would wait longer
