"""What several write to a partition at a time goes to Kafka together, and each is told of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from consumers.runtime.outgoing_lanes import OutgoingLanes
from consumers.worker import OutgoingRecord


class ValueBuilder:
    """In the place of aiokafka's builder of a batch."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, _offset: int, _time: None, _key: bytes, value: bytes, _headers: object) -> object:
        self.values.append(value)
        return self


class ValueBatch:
    """In the place of aiokafka's batch."""

    def __init__(self) -> None:
        self._builder = ValueBuilder()

    def close(self) -> None: ...


class HeldClient:
    """In the place of a producer: has each batch wait until the test says what becomes of it."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, list[bytes]]] = []
        self.confirmations: list[asyncio.Future[Any]] = []

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0, 1}

    def create_batch(self) -> ValueBatch:
        return ValueBatch()

    async def send_batch(self, batch: ValueBatch, _topic: str, *, partition: int) -> asyncio.Future[Any]:
        self.sent.append((partition, batch._builder.values))
        self.confirmations.append(asyncio.get_running_loop().create_future())
        return self.confirmations[-1]


def record(value: bytes, partition: int = 0) -> OutgoingRecord:
    return OutgoingRecord(b"key", value, partition=partition)


def write(lanes: OutgoingLanes, *records: OutgoingRecord) -> asyncio.Task[None]:
    return asyncio.create_task(lanes.write("topic", records))


async def settled() -> None:
    """Let all that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def with_one_in_flight() -> tuple[HeldClient, OutgoingLanes, asyncio.Task[None]]:
    """Lanes, a batch of the value 1 in flight to the first partition, and who wrote it."""
    client = HeldClient()
    lanes = OutgoingLanes(client)
    writing = write(lanes, record(b"1"))
    await settled()
    return client, lanes, writing


async def test_what_is_written_while_a_batch_is_in_flight_is_the_next_batch() -> None:
    client = HeldClient()
    lanes = OutgoingLanes(client)
    first = write(lanes, record(b"1"), record(b"other", 1))
    await settled()
    later = [write(lanes, record(b"%d" % number)) for number in (2, 3, 4)]
    await settled()
    assert client.sent == [(0, [b"1"]), (1, [b"other"])]
    client.confirmations[0].set_result(None)
    await settled()
    assert client.sent[2:] == [(0, [b"2", b"3", b"4"])]
    assert not first.done(), "its other partition has not confirmed"
    client.confirmations[1].set_result(None)
    client.confirmations[2].set_result(None)
    await asyncio.gather(first, *later)


async def test_a_slow_partition_holds_up_nobody_who_writes_to_others() -> None:
    client = HeldClient()
    lanes = OutgoingLanes(client)
    slow = write(lanes, record(b"slow", 1))
    await settled()
    other = write(lanes, record(b"1"))
    await settled()
    client.confirmations[1].set_result(None)
    await other
    assert not slow.done()
    client.confirmations[0].set_result(None)
    await slow


async def test_of_what_went_together_the_one_that_is_too_large_alone_is_refused() -> None:
    client, lanes, begun = await with_one_in_flight()
    writes = [write(lanes, record(value)) for value in (b"2", b"large", b"3")]
    await settled()
    for outcome in (None, MessageSizeTooLargeError(), None, MessageSizeTooLargeError(), None):
        if outcome is None:
            client.confirmations[-1].set_result(None)
        else:
            client.confirmations[-1].set_exception(outcome)
        await settled()
    await begun
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in outcomes] == [type(None), MessageSizeTooLargeError, type(None)]
    assert [values for _, values in client.sent] == [[b"1"], [b"2", b"large", b"3"], [b"2"], [b"large"], [b"3"]]


async def test_another_failure_is_told_to_all_and_what_waits_goes_on() -> None:
    client, lanes, first = await with_one_in_flight()
    second = write(lanes, record(b"2"))
    await settled()
    client.confirmations[0].set_exception(KafkaTimeoutError())
    with pytest.raises(KafkaTimeoutError):
        await first
    await settled()
    client.confirmations[1].set_result(None)
    await second


async def test_what_nobody_waits_for_any_more_is_not_sent() -> None:
    """It comes again, and must not be written after newer records."""
    client, lanes, first = await with_one_in_flight()
    given_up, kept = write(lanes, record(b"2")), write(lanes, record(b"3"))
    await settled()
    given_up.cancel()
    await settled()
    client.confirmations[0].set_result(None)
    await settled()
    assert client.sent[1:] == [(0, [b"3"])]
    client.confirmations[1].set_result(None)
    await asyncio.gather(first, kept)


async def test_nobody_waits_for_a_batch_that_the_client_has_given_up() -> None:
    client, lanes, first = await with_one_in_flight()
    second = write(lanes, record(b"2"))
    await settled()
    client.confirmations[0].cancel()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(one) for one in outcomes] == [asyncio.CancelledError] * 2
    third = write(lanes, record(b"3"))
    await settled()
    client.confirmations[-1].set_result(None)
    await third
