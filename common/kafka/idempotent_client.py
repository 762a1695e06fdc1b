"""What aiokafka does for somebody who makes his own batches and requests: connections, leaders, the producer's id."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaClient, TopicPartition
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from common.kafka.client_end import abandon_client, refuse_connections_once_abandoned
from common.kafka.clients import METADATA_MAX_AGE_MS, ClientArguments
from common.kafka.connection import FramedRequest
from common.kafka.separate_connections import bootstrap, connect_to_each_by_itself, connected_node, open_connection

RETRY_INTERVAL_S = 0.1
_NO_TRANSACTIONS_MS = 2**31 - 1
"""Sent in the place of a transaction's time-out, as Kafka's own clients do."""


class IdempotentClient:
    """A connected client with a producer's id, under which a broker takes each batch of a partition once and in order.

    Args:
        arguments: of every client, from the settings.
        topic: what is produced to.
        client_id: how brokers name it in their logs and metrics.
        request_timeout_s: how long a broker has for an answer. Its connection is closed then.
    """

    def __init__(
        self, arguments: ClientArguments, topic: str, *, client_id: str, request_timeout_s: float = 40.0
    ) -> None:
        self._client = AIOKafkaClient(
            **arguments,
            client_id=client_id,
            request_timeout_ms=int(request_timeout_s * 1000),
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
        )
        self._topic = topic
        self._request_timeout_s = request_timeout_s
        self._leaders: list[int | None] | None = None
        self._connecting: Counter[int] = Counter()
        """Node → requests that wait for a connection to it."""
        self.producer_id = -1
        self.producer_epoch = -1
        connect_to_each_by_itself(self._client)
        refuse_connections_once_abandoned(self._client)

    async def start(self) -> None:
        """Connect, and be given a producer's id, however often a broker has to be asked for it.

        Raises:
            KafkaConnectionError: no broker answers.
            KafkaError: the broker gives us no id.
        """
        await bootstrap(self._client)
        self._client.cluster.add_listener(self._metadata_changed)
        while not await self._init_producer_id():
            await asyncio.sleep(RETRY_INTERVAL_S)
            await self._client.force_metadata_update()

    async def partitions(self) -> int:
        """How many partitions the topic has, asked for until the time of a request is over.

        Raises:
            UnknownTopicOrPartitionError: it does not exist.
            TopicAuthorizationFailedError: it is not ours to use.
        """
        cluster = self._client.cluster
        give_up_at = asyncio.get_running_loop().time() + self._request_timeout_s
        await self._client.set_topics([self._topic])
        while (found := cluster.partitions_for_topic(self._topic)) is None:
            if self._topic in cluster.unauthorized_topics:
                raise TopicAuthorizationFailedError(self._topic)
            if asyncio.get_running_loop().time() > give_up_at:
                raise UnknownTopicOrPartitionError
            await asyncio.sleep(RETRY_INTERVAL_S)
            await self._client.force_metadata_update()
        return len(found)

    @property
    def leaders(self) -> Sequence[int | None]:
        """The node that leads each partition, as far as it is known; empty where the topic is not there at present."""
        if self._leaders is None:
            cluster = self._client.cluster
            known = cluster.partitions_for_topic(self._topic) or ()
            nodes = [cluster.leader_for_partition(TopicPartition(self._topic, one)) for one in range(len(known))]
            self._leaders = [None if node == -1 else node for node in nodes]
        return self._leaders

    def look_for_leaders(self) -> None:
        """Ask who leads the partitions; in the background."""
        self._client.force_metadata_update()

    def send(self, node: int, request: FramedRequest) -> asyncio.Future[Any]:
        """Send a request, behind those that were sent to the node before. The future has its answer.

        It fails with KafkaError (RequestTimedOutError, NodeNotReadyError, KafkaConnectionError…), and nobody knows then
        whether the broker did what it was asked to.

        Args:
            node: a leader.
            request: see `bridge.publish.produce.request`.
        """
        loop = asyncio.get_running_loop()
        connection = open_connection(self._client, node)
        if connection is None or self._connecting[node]:  # What waits for a connection must not be overtaken.
            self._connecting[node] += 1
            return loop.create_task(self._send_once_connected(node, request))
        try:
            return connection.ask(request)
        except KafkaError as error:
            failed: asyncio.Future[Any] = loop.create_future()
            failed.set_exception(error)
            return failed

    async def _send_once_connected(self, node: int, request: FramedRequest) -> Any:
        try:
            await self._client.ready(node)  # Who came first goes on first.
            connection = open_connection(self._client, node)
            if connection is None:
                raise NodeNotReadyError(f"there is no connection to node {node}")
            answer = connection.ask(request)
        finally:
            self._connecting[node] -= 1
        return await answer

    async def greet_leaders(self, *, within_s: float) -> None:
        """Have each leader answer something, over a connection that is made where there is none.

        So the next request to it waits for no connection, nor for a broker or a firewall to say that it has closed an
        idle one. Who does not answer is none of the caller's business: whatever is sent to it next will be told.

        Args:
            within_s: for so long it is waited for. A greeting that takes longer goes on by itself.
        """
        if greetings := self._greetings():
            await asyncio.wait(greetings, timeout=within_s)

    async def hear_a_leader(self, *, within_s: float) -> None:
        """Have one of the leaders answer something, whichever is the first, also while nothing is sent.

        Raises:
            KafkaError: none can be asked.
            TimeoutError: none has answered in that time.
        """
        greetings = self._greetings()
        if not greetings:
            raise LeaderNotAvailableError
        async with asyncio.timeout(within_s):
            while greetings:
                answered, greetings = await asyncio.wait(greetings, return_when=asyncio.FIRST_COMPLETED)
                errors = [one.exception() for one in answered]
                if None in errors:
                    return
        raise next(error for error in errors if error is not None)

    def _greetings(self) -> set[asyncio.Task[Any]]:
        """Under way to each leader. Nobody has to wait for them."""
        nodes = {node for node in self.leaders if node is not None}
        loop = asyncio.get_running_loop()
        greetings = {loop.create_task(self._client.send(node, ApiVersionRequest())) for node in nodes}
        for greeting in greetings:
            greeting.add_done_callback(_ignore_outcome)
        return greetings

    async def abandon(self) -> None:
        """End it, started or not. When this returns it sends nothing any more."""
        await abandon_client(self._client)

    def _metadata_changed(self, _cluster: object) -> None:
        self._leaders = None

    async def _init_producer_id(self) -> bool:
        """Ask for a producer's id. Gives False where it has to be asked for again."""
        node = await connected_node(self._client)
        if node is None:
            return False
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=_NO_TRANSACTIONS_MS)
        try:
            response = await self._client.send(node, request)
        except KafkaError as error:
            if not error.retriable:
                raise
            return False
        if response.error_code:
            error_class = for_code(response.error_code)
            if not error_class.retriable:
                raise error_class
            return False
        self.producer_id, self.producer_epoch = response.producer_id, response.producer_epoch
        return True


def _ignore_outcome(task: asyncio.Task[Any]) -> None:
    """Else asyncio would log that nobody has asked for an error."""
    if not task.cancelled():
        task.exception()
