"""Badge events for tests, and an independent account of what the badges must be after them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from confluent_kafka import Producer

from bridge.events.base import SCHEMA_BASE

APP = "1400000000"
RECALLED = "im.c2c.message.recalled"
SENT = "im.c2c.message.sent"
READ = "im.c2c.conversation.read"
ALL_READ = "im.c2c.all_conversations.read"
OWNER_FIELD = {RECALLED: "to_account", SENT: "to_account", READ: "report_account", ALL_READ: "report_account"}

NOON_MS = 1_790_000_000_000
"""An instant to count milliseconds from."""


def rfc3339(time_ms: int) -> str:
    text = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def badge_event(
    event_id: str,
    account: str,
    unread: int | None = None,
    *,
    time: int | None = None,
    received: int = NOON_MS,
    kind: str = RECALLED,
    app: str = APP,
    subject: str | None = None,
    **data: Any,
) -> dict[str, Any]:
    """An event as it stands on the topic; `time` (None: the body has none) and `received` in Unix ms."""
    fields: dict[str, Any] = {OWNER_FIELD[kind]: account, **data}
    if unread is not None:
        fields["unread_total"] = unread
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/tencent-im/{app}",
        "type": kind,
        "subject": account if subject is None else subject,
        "time": rfc3339(received if time is None else time),
        "datacontenttype": "application/json",
        "dataschema": f"{SCHEMA_BASE}{kind}.json",
        "callbackcommand": "C2C.Whatever",
        "receivedtime": rfc3339(received),
        "data": fields,
    }


@dataclass
class Model:
    """Takes every event ever delivered, in the order of first delivery; compares all of them at the end."""

    counts: list[tuple[str, str, int]] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    seen: deque[str] = field(default_factory=lambda: deque(maxlen=16))

    def deliver(self, event: Mapping[str, Any]) -> None:
        data = event["data"]
        unread = data.get("unread_total") if event["type"] != ALL_READ else None
        if data.get("send_msg_result", 0) != 0 or (unread is not None and unread < 0) or event["id"] in self.seen:
            return
        time, received = event["time"], event["receivedtime"]
        ahead = (datetime.fromisoformat(time) - datetime.fromisoformat(received)).total_seconds()
        if ahead == 0 or ahead > 300:
            time = received
            self.seen.append(event["id"])
        if unread is None:
            self.missing.append((time, event["id"]))
        else:
            self.counts.append((time, event["id"], unread))

    def badge(self) -> dict[str, Any] | None:
        """`unread`, `time`, `event_id`, `stale`; None where there is no badge."""
        if not self.counts and not self.missing:
            return None
        time, event_id, unread = max(self.counts, default=(None, None, None))
        newest_missing = max(self.missing, default=None)
        stale = newest_missing is not None and (time is None or newest_missing > (time, event_id))
        return {"unread": unread, "time": time, "event_id": event_id, "stale": stale}


def expected(events: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Account → its badge after these events, for all accounts that have one. All events must be of their subjects."""
    models: dict[str, Model] = {}
    for event in events:
        if event["type"] in OWNER_FIELD:
            models.setdefault(event["subject"], Model()).deliver(event)
    badges = {account: model.badge() for account, model in models.items()}
    return {account: badge for account, badge in badges.items() if badge is not None}


def produce(bootstrap: str, topic: str, values: Iterable[Mapping[str, Any] | bytes | None]) -> None:
    """Write events (or raw values) to the topic under their subjects, and wait until they are confirmed."""
    errors: list[object] = []
    headers: list[tuple[str, str | bytes | None]] = [
        ("content-type", b"application/cloudevents+json"),
        ("traceparent", b"00-1-2-01"),
    ]
    settings = {"enable.idempotence": True, "linger.ms": 2, "log_level": 0}
    # Keys lie where the bridge puts them.
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", **settings})
    for value in values:
        key = value["subject"].encode() if isinstance(value, Mapping) else b"raw"
        raw = orjson.dumps(dict(value)) if isinstance(value, Mapping) else value
        producer.produce(
            topic, raw, key, headers=headers, on_delivery=lambda error, _: errors.append(error) if error else None
        )
        producer.poll(0)
    left = producer.flush(30)
    assert not left, f"{left} events not confirmed"
    assert not errors, errors
