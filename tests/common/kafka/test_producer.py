"""What a producer of aiokafka's does not do when it ends."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import ProducerClosed

from common.kafka.producer import abandon, fail_unconfirmed, make_producer

PARTITION = TopicPartition("im.badges", 0)


async def test_a_batch_that_was_to_be_sent_again_fails_without_an_error_in_the_event_loop() -> None:
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: told.append(context))
    producer = make_producer({"bootstrap_servers": "127.0.0.1:1"})
    accumulator = producer._message_accumulator
    accumulator._txn_manager.set_pid_and_epoch(1, 0)
    batch = accumulator._append_batch(accumulator.create_builder(), PARTITION)
    accumulator._pop_batch(PARTITION)
    accumulator.reenqueue(batch)
    fail_unconfirmed(producer)
    await asyncio.sleep(0)
    assert isinstance(batch.future.exception(), ProducerClosed)
    assert told == []
    await abandon(producer)
