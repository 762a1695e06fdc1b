"""Callbacks through the normalizer, without a server, and what every event must be."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import jsonschema
import orjson
from cloudevents.core.formats.json import JSONFormat

from bridge.contract import schemas
from bridge.events import DATA_TYPES, Event, parse_event
from bridge.events.base import SCHEMA_BASE
from bridge.journal.record import Record
from bridge.normalize.drift import Drift
from bridge.normalize.normalizer import Normalizer
from bridge.normalize.received import Received
from bridge.query import parse_query
from tests.support.callbacks import APP_ID, signed_query

EVENTS = "im.events"
DLQ = "im.events.dlq"
NOON_NS = 1_767_268_800_000_000_000


class Noted(Drift):
    """Remembers what differed."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[tuple[str, str, str]] = []

    def note(self, kind: str, command: str, field: str = "", value: Any = None) -> None:
        """Remember it, in place of logging it."""
        self.items.append((kind, command, field))


def normalizer(**settings: Any) -> Normalizer:
    """One as the ingress has it, deaf to drift."""
    return Normalizer(**{"topic": EVENTS, "dlq_topic": DLQ, "schema_base": SCHEMA_BASE, "drift": Noted(), **settings})


def received(command: str, body: bytes | dict[str, Any], *, time_ns: int = NOON_NS, **query: Any) -> Received:
    """A callback that passed verification. `query` replaces parameters of the URL."""
    raw = signed_query(APP_ID, "token-a", command, **{"request_time": int(time.time()), **query})
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return Received(parse_query(raw.removeprefix("?")), content, time_ns)


def records_of(command: str, body: bytes | dict[str, Any], **settings: Any) -> list[Record]:
    """The records of a callback."""
    return normalizer(**settings).event(received(command, body))


def event_of(command: str, body: bytes | dict[str, Any], **settings: Any) -> Event:
    """The one event of a callback."""
    (record,) = records_of(command, body, **settings)
    assert record.topic == EVENTS
    return parse_event(record.value)


def json_of(command: str, body: bytes | dict[str, Any], **settings: Any) -> dict[str, Any]:
    """The one event of a callback as plain JSON."""
    (record,) = records_of(command, body, **settings)
    parsed = orjson.loads(record.value)
    assert isinstance(parsed, dict)
    return parsed


_documents = cache(schemas.documents)


@cache
def _validator(event_type: str) -> Any:
    return jsonschema.Draft202012Validator(orjson.loads(_documents()[f"events/{event_type}.json"]))


def checked_event(record: Record) -> dict[str, Any]:
    """The event of a record, after everybody who must be able to read it has read it."""
    assert record.topic == EVENTS
    event = orjson.loads(record.value)
    assert isinstance(event, dict)
    by_sdk = JSONFormat().read(None, record.value)
    assert by_sdk.get_id() == event["id"]
    assert by_sdk.get_data() == event["data"]
    parsed = parse_event(record.value)
    assert isinstance(parsed.data, DATA_TYPES.get(event["type"], dict))
    assert record.key.decode() == event["subject"]
    _validator(event["type"]).validate(event)
    return event
