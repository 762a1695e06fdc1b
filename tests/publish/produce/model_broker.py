"""Brokers of a model, with the rules of real ones: sequence numbers, leaders, connections that break at any point.

What a broker has read of a connection it goes on with after the connection broke: late, and beside what comes on
others.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from io import BytesIO
from random import Random
from typing import NamedTuple

from aiokafka.errors import (
    KafkaConnectionError,
    KafkaStorageError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    UnknownProducerId,
)
from aiokafka.protocol.produce import ProduceResponse_v7
from aiokafka.record.memory_records import MemoryRecords

from bridge.publish.produce.request import ProduceAnswer, ProduceRequest
from tests.support.produce_frames import batches_of, body_for

REMEMBERED_BATCHES = 5
NODES = (1, 2)

REFUSED_FOR_NOW = (
    NotEnoughReplicasError.errno,
    NotLeaderForPartitionError.errno,
    KafkaStorageError.errno,
)
"""And not appended."""
APPENDED_FOR_ALL_THAT = (NotEnoughReplicasAfterAppendError.errno, RequestTimedOutError.errno)
FATAL = (TopicAuthorizationFailedError.errno, UnknownProducerId.errno)


class Appended(NamedTuple):
    """A record in the log of a partition."""

    key: bytes
    value: bytes
    producer_id: int


class ModelBrokers:
    """Two nodes and a topic. `random` decides about all that goes wrong.

    Args:
        random: where from chance comes.
        partitions: of the topic.
        fault_rate: how often something goes wrong with a batch, or with a connection; 0 to 1.
        fatal_rate: how often a batch is refused in a way that the producer's id does not survive.
    """

    def __init__(self, random: Random, *, partitions: int, fault_rate: float, fatal_rate: float = 0.0) -> None:
        self.random = random
        self.fault_rate = fault_rate
        self.fatal_rate = fatal_rate
        self.logs: list[list[Appended]] = [[] for _ in range(partitions)]
        self.leaders: list[int | None] = [random.choice(NODES) for _ in range(partitions)]
        self.max_pipelined = 0
        """How many batches of a partition were in flight at once."""
        self._remembered: defaultdict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(
            lambda: deque(maxlen=REMEMBERED_BATCHES)
        )
        """Partition and producer → first and last sequence number of the last batches."""
        self._producers = 0

    def new_producer_id(self) -> int:
        """As InitProducerId gives one."""
        self._producers += 1
        return self._producers

    def goes_wrong(self) -> bool:
        """Whether chance wants something to."""
        return self.random.random() < self.fault_rate

    def move_a_leader(self) -> None:
        """Another node leads a partition, or none for a while."""
        self.leaders[self.random.randrange(len(self.leaders))] = self.random.choice((*NODES, None))
        for partition, leader in enumerate(self.leaders):
            if leader is None and self.random.random() < 0.5:
                self.leaders[partition] = self.random.choice(NODES)

    def produce(self, node: int, body: bytes) -> dict[int, int]:
        """What a node does with a request. Gives partition → error code."""
        return {partition: self._append(node, partition, data) for partition, data in batches_of(body)}

    def _append(self, node: int, partition: int, data: bytes) -> int:
        if self.leaders[partition] != node:
            return int(NotLeaderForPartitionError.errno)
        if self.random.random() < self.fatal_rate:
            return int(self.random.choice(FATAL))
        if self.goes_wrong() and self.random.random() < 0.6:
            return int(self.random.choice(REFUSED_FOR_NOW))
        batch = MemoryRecords(data).next_batch()
        assert batch.validate_crc()
        records = [Appended(one.key, one.value, batch.producer_id) for one in batch]
        first, last = batch.base_sequence, batch.base_sequence + len(records) - 1
        remembered = self._remembered[partition, batch.producer_id]
        if (first, last) not in remembered:
            if remembered and first != remembered[-1][1] + 1:
                return int(OutOfOrderSequenceNumber.errno)
            remembered.append((first, last))  # The first that a broker hears of a producer may have any number.
            self.logs[partition] += records
        return int(self.random.choice(APPENDED_FOR_ALL_THAT)) if self.goes_wrong() else 0


class ModelClient:
    """In the place of an `IdempotentClient`."""

    def __init__(self, brokers: ModelBrokers) -> None:
        self.producer_id = brokers.new_producer_id()
        self.producer_epoch = 0
        self.leaders = list(brokers.leaders)
        self._brokers = brokers
        self._connections: dict[int, ModelConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight: defaultdict[int, int] = defaultdict(int)

    def look_for_leaders(self) -> None:
        """They are known a moment later."""
        asyncio.get_running_loop().call_later(0.01, self._look)

    def _look(self) -> None:
        if self._brokers.goes_wrong():
            self._brokers.move_a_leader()
        self.leaders = list(self._brokers.leaders)

    def send(self, node: int, request: ProduceRequest) -> asyncio.Future[ProduceAnswer]:
        """On the connection to a node, made anew where it is broken."""
        body = body_for(request)
        batches = batches_of(body)
        answer: asyncio.Future[ProduceAnswer] = asyncio.get_running_loop().create_future()
        for partition, _ in batches:
            self._in_flight[partition] += 1
            self._brokers.max_pipelined = max(self._brokers.max_pipelined, self._in_flight[partition])
        answer.add_done_callback(lambda _: self._done([partition for partition, _ in batches]))
        connection = self._connections.get(node)
        if connection is None or connection.is_broken:
            connection = self._connections[node] = ModelConnection(node, self._brokers)
            self._tasks.add(asyncio.ensure_future(connection.serve()))
        connection.send(body, request.decode, answer)
        return answer

    def _done(self, partitions: list[int]) -> None:
        for partition in partitions:
            self._in_flight[partition] -= 1

    async def answers(self, *, timeout_s: float) -> bool:
        """Always."""
        return True

    async def abandon(self) -> None:
        """Break all connections. The nodes go on with what they have read of them."""
        for connection in self._connections.values():
            connection.close()


class ModelConnection:
    """A connection to a node, which works on one request after the other, also when nobody waits for them any more."""

    def __init__(self, node: int, brokers: ModelBrokers) -> None:
        self.is_broken = False
        self._node = node
        self._brokers = brokers
        self._requests: deque[tuple[bytes, Callable[[BytesIO], ProduceAnswer], asyncio.Future[ProduceAnswer]]] = deque()
        self._more = asyncio.Event()

    def send(
        self, body: bytes, decode: Callable[[BytesIO], ProduceAnswer], answer: asyncio.Future[ProduceAnswer]
    ) -> None:
        """Put a request behind those that are on their way."""
        self._requests.append((body, decode, answer))
        self._more.set()

    def close(self) -> None:
        """Nobody hears anything any more."""
        self.is_broken = True
        self._more.set()
        for _, _, answer in self._requests:
            if not answer.done():
                answer.set_exception(KafkaConnectionError("closed"))

    async def serve(self) -> None:
        """Work on requests."""
        chance = self._brokers.random
        while True:
            while not self._requests:
                if self.is_broken:
                    return
                self._more.clear()
                await self._more.wait()
            await asyncio.sleep(chance.random() * (0.5 if self.is_broken else 0.02))
            if self._brokers.goes_wrong() and chance.random() < 0.3:
                self.close()
                if chance.random() < 0.5:  # It had read nothing of what was on its way.
                    self._requests.clear()
                continue
            body, decode, answer = self._requests[0]
            codes = self._brokers.produce(self._node, body)
            self._requests.popleft()
            if not answer.done():
                answer.set_result(decode(BytesIO(_encoded(codes))))


def _encoded(codes: dict[int, int]) -> bytes:
    partitions = [(partition, code, 0, -1, 0) for partition, code in codes.items()]
    encoded: bytes = ProduceResponse_v7(topics=[("topic", partitions)], throttle_time_ms=0).encode()
    return encoded
