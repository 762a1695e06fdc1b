"""Records as the page reads them."""

from __future__ import annotations

from typing import Any

import orjson
from aiokafka import ConsumerRecord

from bridge.contract.examples import events_of

TOPIC = "im.events"


def record(
    value: bytes | None,
    *headers: tuple[str, bytes],
    key: bytes = b"ann",
    topic: str = TOPIC,
    offset: int = 7,
    at_ms: int = 1_670_574_414_987,
) -> ConsumerRecord[Any, Any]:
    """A record of partition 0."""
    return ConsumerRecord(topic, 0, offset, at_ms, 0, key, value, None, len(key), len(value or b""), headers)


def event_record(command: str, body: dict[str, Any], *headers: tuple[str, bytes], **place: Any) -> Any:
    """The record of the event that a callback becomes."""
    value = events_of(command, orjson.dumps(body))[0]
    return record(value, *headers, key=orjson.loads(value)["subject"].encode(), **place)
