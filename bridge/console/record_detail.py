"""One record whole, and the way of an event: received, durable, published, handled, and what became of the badge."""

from __future__ import annotations

from base64 import b64encode

import msgspec
import orjson
from aiokafka import ConsumerRecord

from bridge.console.health import HealthReport
from bridge.console.hiding import HIDDEN, Hiding
from bridge.console.live import KeptRecord, Live
from bridge.console.rebuilt_callback import RebuiltCallback, callback_of
from bridge.console.rows import kind_of
from bridge.contract.json_schema import Json
from bridge.contract.record_line import content_of
from bridge.events import registry
from bridge.settings import DeveloperSettings
from common.kafka.recent import recent_records, record_at
from common.kafka.record_time import record_time
from common.text import text_of

FRESH_MS = 60_000
"""What was read later than this after its receipt tells nothing of how fast Kafka was."""
BADGE_OFFSETS = 2000
BADGES_WORKER = "badges"
"""Who has handled an event of which there is a badge."""


class WayStep(msgspec.Struct, omit_defaults=True):
    """A step of an event's way. The page has the words."""

    step: str
    """`received`, `answered`, `durable`, `published`, `handled`, `badge`."""
    time: str = ""
    known: bool = True
    facts: Json = {}


class RecordDetail(msgspec.Struct):
    """A record whole."""

    kind: str
    topic: str
    partition: int
    offset: int
    time: str
    key: str
    headers: list[tuple[str, str]]
    json: str
    """The value as JSON in lines, as text: a browser would round what has more digits than it counts with.

    Empty where it is none: see `text`.
    """
    text: str
    size: int
    base64: str
    """What is neither JSON nor UTF-8."""
    callback: RebuiltCallback | None
    way: list[WayStep]


async def detail_of(
    settings: DeveloperSettings, live: Live, health: HealthReport, place: tuple[str, int, int]
) -> RecordDetail | None:
    """The record at topic, partition and offset; None where there is none.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    topic, partition, offset = place
    kept = live.find(topic, partition, offset)
    record = kept.record if kept else await record_at(settings.kafka_client(), topic, partition, offset)
    if record is None:
        return None
    event = content_of(record)
    detail = whole_record(record, live.hiding)
    if detail.kind == "event":
        url = settings.console_send_url or f"http://127.0.0.1:{settings.port}/"
        detail.callback = callback_of(record, event, live.hiding, url=url)
        detail.way = await _way(settings, live, health, KeptRecord(kept.seen_ms if kept else 0, record))
    return detail


def whole_record(record: ConsumerRecord, hiding: Hiding) -> RecordDetail:
    """A record without its way."""
    value = record.value or b""
    shown, text, as_base64 = "", "", ""
    try:
        shown = orjson.dumps(hiding.shown(orjson.loads(value)), option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # What goes too deep to be written is text, too.
        text, as_base64 = _not_json(value, hiding)
    return RecordDetail(
        kind=kind_of(record, content_of(record)),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        time=record_time(record),
        key=hiding.shown_key(record),
        headers=[(name, hiding.shown_header(name, given or b"")) for name, given in record.headers],
        json=shown,
        text=text,
        size=len(value),
        base64=as_base64,
        callback=None,
        way=[],
    )


def _not_json(value: bytes, hiding: Hiding) -> tuple[str, str]:
    if hiding.is_active:
        return HIDDEN if value else "", ""
    try:
        return value.decode(), ""
    except UnicodeDecodeError:
        return value.decode(errors="backslashreplace"), b64encode(value).decode()


async def _way(settings: DeveloperSettings, live: Live, health: HealthReport, kept: KeptRecord) -> list[WayStep]:
    record = kept.record
    event = content_of(record)
    seen = live.hiding.shown(event)
    received = text_of(event.get("receivedtime"))
    steps = [WayStep("received", received, facts={"client": seen.get("clientip"), "platform": seen.get("platform")})]
    steps += [_answered(event), _durable(settings, kept)]
    place = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": live.hiding.shown_key(record),
    }
    steps.append(WayStep("published", facts=place))
    workers = [one for one in health.workers or () if (one.get("place") or {}).get("topic") == record.topic]
    steps += [_handled(one, record) for one in workers]
    if badge := await _badge(settings, live, event):
        for step in steps:
            if step.facts.get("worker") == BADGES_WORKER:  # Offsets are committed now and then, and asked now and then.
                step.known, step.facts["done"] = True, True
        steps.append(badge)
    return steps


def _answered(event: Json) -> WayStep:
    command = text_of(event.get("callbackcommand"))
    decision = event.get("decision")
    if decision is not None:
        facts = {"decision": decision, "code": event.get("decisioncode")}
    else:
        facts = {"decision": "not_asked" if registry.awaits_answer(command) else "acknowledged", "code": 0}
    return WayStep("answered", facts=facts)


def _durable(settings: DeveloperSettings, kept: KeptRecord) -> WayStep:
    """Whether Kafka was faster than the disk is asked. No record says it: it follows from when Kafka gave it to us."""
    took_ms = kept.seen_ms - int(kept.record.timestamp)
    disk_after_ms = settings.gather_ms + settings.sync_after_ms
    if not kept.seen_ms or not 0 <= took_ms <= FRESH_MS:
        return WayStep("durable", known=False, facts={"disk_after_ms": disk_after_ms})
    by = "kafka" if took_ms <= disk_after_ms else "first_of_both"
    return WayStep("durable", facts={"by": by, "in_kafka_within_ms": took_ms, "disk_after_ms": disk_after_ms})


def _handled(worker: Json, record: ConsumerRecord) -> WayStep:
    facts = {"worker": worker["worker"], "group": worker["place"]["group"]}
    for partition, _events, committed, _oldest in (worker.get("lag") or {}).get("partitions", ()):
        if partition == record.partition:
            return WayStep("handled", facts=facts | {"done": committed is not None and committed > record.offset})
    return WayStep("handled", known=False, facts=facts)


async def _badge(settings: DeveloperSettings, live: Live, event: Json) -> WayStep | None:
    """The badge that the event made, and the one before it."""
    topic = live.badges_topic
    event_id, subject = text_of(event.get("id")), text_of(event.get("subject"))
    key = f"{text_of(event.get('source')).rpartition('/')[2]}:{subject}".encode()
    records = [one.record for one in live.kept(topic) if one.record.key == key]
    if not any(content_of(one).get("event_id") == event_id for one in records):
        found = await recent_records(settings.kafka_client(), topic, key, offsets=BADGE_OFFSETS, at_most=200)
        records = found.records
    for number, record in enumerate(records):
        badge = content_of(record)
        if badge.get("event_id") == event_id:
            before = content_of(records[number - 1]) if number else None
            told = {
                "account": live.hiding.shown_account(subject),
                "before": before and before.get("unread"),
                "after": badge.get("unread"),
            }
            facts = told | {"is_first": before is None, "stale": badge.get("stale"), "offset": record.offset}
            return WayStep("badge", record_time(record), facts=facts)
    return None
