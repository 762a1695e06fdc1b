"""A loop over aiokafka as its documentation has it, at least once."""

from __future__ import annotations

import asyncio

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.workers.badge_work import BADGES, BOOTSTRAP, GROUP, TOPIC, BadgeWork


async def main() -> None:
    """Work for ever."""
    work = BadgeWork()
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=BOOTSTRAP, group_id=GROUP, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", enable_idempotence=True)
    await consumer.start()
    await producer.start()
    while True:
        confirmations = []
        for records in (await consumer.getmany(timeout_ms=500, max_records=1000)).values():
            for record in records:
                badge = await work.apply(record.value)
                if badge is not None:
                    confirmations.append(await producer.send(BADGES, key=badge[0], value=badge[1]))
        await asyncio.gather(*confirmations)
        await consumer.commit()


uvloop.run(main())
