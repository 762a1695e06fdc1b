"""A subscriber of FastStream as its documentation has it: offsets are committed by a timer, so at most once."""

from __future__ import annotations

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from bench.workers.badge_work import BADGES, BOOTSTRAP, GROUP, TOPIC, BadgeWork

broker = KafkaBroker(BOOTSTRAP, enable_idempotence=True, acks="all", logger=None)
work: BadgeWork | None = None


@broker.subscriber(TOPIC, group_id=GROUP, auto_offset_reset="earliest", auto_commit_interval_ms=500)
async def handle(message: KafkaMessage) -> None:
    """One event."""
    global work  # noqa: PLW0603 - a client of Redis is made where its loop runs
    work = work or BadgeWork()
    badge = await work.apply(message.body)
    if badge is not None:
        await broker.publish(badge[1], BADGES, key=badge[0], no_confirm=True)


uvloop.run(FastStream(broker).run())
