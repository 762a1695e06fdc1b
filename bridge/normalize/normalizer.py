"""Second step: the platform's body becomes events, whose bytes are final from here on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Self

import msgspec

from bridge.events import Event, registry
from bridge.events.envelope import EVENT_CONTENT_TYPE, attribute, event_id, is_subject, platform
from bridge.journal.record import BATCH_OVERHEAD_BYTES, Record
from bridge.normalize.batches import BatchItem, split_batch
from bridge.normalize.content import Content, ContentReader, command_in
from bridge.normalize.drift import Drift
from bridge.normalize.received import Received
from bridge.normalize.redaction import FieldFilter
from bridge.normalize.repair import UnreadableError
from bridge.normalize.usual import UsualEvents
from bridge.query import Query
from bridge.settings import BridgeSettings
from common.query_string import unsigned
from common.timestamps import rfc3339
from common.tracing.context import RecordHeaders

USUAL_BATCH = "Events"
"""Name of the list in a batch that has no entry."""
MOST_DECISION_BYTES = 128
"""`with_decision` adds less than that."""
SMALL_RECORD_BYTES = 8 * 1024
"""Any topic takes that, whoever made it, so that nobody need be asked."""
_NO_LIMIT = 2**63
TopicLimit = Callable[[str], int | None]
"""Topic → largest record that it takes, as Kafka says; None where that is not known."""
_EVENT_START = b'{"specversion":"1.0"'
"""What the value of each event begins with."""


class RecordTooLargeError(Exception):
    """The callback cannot be kept: not even its dead letter fits into a record. The message says how large it is."""


class Normalizer:
    """Makes records of callbacks.

    Args:
        topic: where events go.
        dlq_topic: where dead letters go.
        schema_base: what `dataschema` begins with.
        drop_fields: the platform's names of fields that must reach neither disk nor topic.
        keep_raw: whether events carry the original body and query in headers.
        max_record_bytes: `max.message.bytes` of the topics as they are made. A callback that becomes a larger record,
            or several that are larger than two of the largest, is a dead letter.
        topic_limit: asked what a topic really takes, as far as is known, where a record is not small.
        drift: told where bodies differ from the documentation.
    """

    def __init__(
        self,
        *,
        topic: str,
        dlq_topic: str,
        schema_base: str,
        drop_fields: Iterable[str] = (),
        keep_raw: bool = False,
        max_record_bytes: int = _NO_LIMIT,
        topic_limit: TopicLimit | None = None,
        drift: Drift | None = None,
    ) -> None:
        self._topic = topic
        self._dlq_topic = dlq_topic
        self._schema_base = schema_base
        self._filter = FieldFilter(drop_fields)
        self._keep_raw = keep_raw
        self._record_limit = max_record_bytes - BATCH_OVERHEAD_BYTES
        self._topic_limit = topic_limit
        # The value is nearly all of a record, but for one that keeps its original.
        self._small_value_bytes = 0 if keep_raw else min(SMALL_RECORD_BYTES, max_record_bytes) // 2
        self._reader = ContentReader(drift or Drift())
        self._encode = msgspec.json.Encoder().encode
        is_as_it_came = not (self._filter.is_active or keep_raw)
        self._usual = UsualEvents(topic=topic, schema_base=schema_base) if is_as_it_came else None

    @classmethod
    def from_settings(
        cls, settings: BridgeSettings, topic_limit: TopicLimit | None = None, drift: Drift | None = None
    ) -> Self:
        """The one that the settings describe."""
        return cls(
            topic=settings.topic,
            dlq_topic=settings.dlq_topic,
            schema_base=settings.schema_base,
            drop_fields=settings.drop_fields.split(","),
            keep_raw=settings.keep_raw,
            max_record_bytes=settings.max_record_bytes,
            topic_limit=topic_limit,
            drift=drift,
        )

    def event(self, received: Received) -> list[Record]:
        """The records of the callback: one event, or of a batch one for each item, some of which may be dead letters.

        Raises:
            UnreadableError: nothing in the body can become an event, or what it becomes is too large.
        """
        usual = self.usual(received.query, received.body, received.time_ns, received.trace)
        return self.unusual(received) if usual is None else [usual]

    def usual(self, query: Query, body: bytes, time_ns: int, trace: RecordHeaders) -> Record | None:
        """The record of a usual callback, of which one event is made, see `UsualEvents`; None where it is none, or its
        topic would not take it."""
        if self._usual is None or (record := self._usual.record(query, body, time_ns, trace)) is None:
            return None
        return record if len(record.value) <= self._small_value_bytes or self._excess(record) is None else None

    def unusual(self, received: Received) -> list[Record]:
        """The records of a callback that is no usual one. Raises as `event`."""
        query = received.query
        body, repaired = self._filter.apply(received.body) if self._filter.is_active else (received.body, False)
        entry = registry.find(query.command)
        items = None
        if entry is None or entry.callback.batch:
            items = split_batch(body, entry.callback.batch if entry else USUAL_BATCH, is_sure=entry is not None)
        if items is None:
            content = self._reader.read(entry, query.command, body, repaired, platform(query.platform))
            return [self._record(received, content, body)]
        if not any(item.is_object for item in items):
            raise UnreadableError("empty_batch", "the body has no events")
        return self._records_of_batch(received, items, repaired=repaired)

    def _read_item(self, query: Query, item: BatchItem) -> Content:
        """What an item of a batch says. Each is documented to name its own command, which may be another than the
        URL's where both come in batches."""
        entry, command = registry.find(query.command), query.command
        if entry is not None and (own := registry.find(command_in(item.body))) is not None and own.callback.batch:
            entry, command = own, own.callback.command
        return self._reader.read(entry, command, item.body, item.repaired, platform(query.platform))

    def dead_letter(self, received: Received, reason: str, detail: str) -> Record:
        """The record that keeps a callback which cannot become an event: its bytes as they came, and why.

        Where fields must be dropped, they are; where nobody can tell what is in the body, its size and SHA-256 stand
        for it.

        Raises:
            RecordTooLargeError: it does not fit into a record, since its query or its fields without those grew.
        """
        query = received.query
        headers = [
            ("content-type", b"application/octet-stream"),
            ("reason", reason.encode()),
            ("detail", detail.encode(errors="replace")),
            ("receivedtime", rfc3339(received.time_ns // 1_000_000).encode()),
            ("query", _query_to_keep(query)),
        ]
        headers += received.trace
        body = received.body
        if self._filter.is_active:
            try:
                body, _ = self._filter.apply(body)
            except UnreadableError:
                headers.append(("body-bytes", str(len(body)).encode()))
                headers.append(("body-sha256", hashlib.sha256(body).hexdigest().encode()))
                body = b""
        letter = Record(self._dlq_topic, query.app_id.encode(), body, headers, received.time_ns // 1_000_000)
        if (excess := self._excess(letter)) is not None:
            raise RecordTooLargeError(f"its dead letter has {excess}")
        return letter

    def _excess(self, record: Record) -> str | None:
        """How large a record is that its topic does not take, for people; None if it does."""
        limit = self._record_limit
        if self._topic_limit is not None and record.size > self._small_value_bytes:
            known = self._topic_limit(record.topic)
            limit = limit if known is None else min(limit, known)
        limit -= MOST_DECISION_BYTES
        return None if record.size <= limit else f"{record.size} bytes, and its topic takes {limit}"

    def _records_of_batch(self, received: Received, items: list[BatchItem], *, repaired: bool) -> list[Record]:
        records, size = [], 0
        self._reader.begin_batch()
        try:
            for item in items:
                record = self._record_of_batch(received, item._replace(repaired=repaired or item.repaired))
                size += record.size
                if size > 2 * self._record_limit:
                    raise UnreadableError("too_large", "the events of the batch are larger together than they may be")
                records.append(record)
        finally:
            self._reader.end_batch()
        return records

    def _record_of_batch(self, received: Received, item: BatchItem) -> Record:
        try:
            content = self._read_item(received.query, item)
            return self._record(received, content, item.body, item.position)
        except UnreadableError as error:
            alone = msgspec.structs.replace(received, body=item.body)
            try:
                return self.dead_letter(alone, error.reason, f"event {item.position + 1} of a batch: {error}")
            except RecordTooLargeError as too_large:
                raise UnreadableError("too_large", str(too_large)) from error

    def _record(self, received: Received, content: Content, body: bytes, position: int = 0) -> Record:
        query = received.query
        app_id = query.app_id
        received_ms = received.time_ns // 1_000_000
        # Text, because msgspec would write microseconds.
        received_text: Any = rfc3339(received_ms)
        time_text: Any = received_text if content.time_ms is None else rfc3339(content.time_ms)
        if content.identity is not None:
            identity: tuple[Any, ...] = (app_id, content.command, *content.identity)
        else:
            # The body too: other processes and other items of a batch may have the same time.
            identity = (app_id, content.command, received.time_ns, position, body)
        subject = content.subject or app_id
        if not is_subject(subject):
            subject = app_id
        event = Event(
            specversion="1.0",
            id=event_id(identity),
            source=f"/tencent-im/{app_id}",
            type=content.type,
            subject=subject,
            time=time_text,
            datacontenttype="application/json",
            dataschema=f"{self._schema_base}{content.type}.json",
            callbackcommand=content.command,
            receivedtime=received_text,
            platform=content.platform,
            clientip=attribute(query.client_ip),
            bodycommand=content.body_command,
            repaired=True if content.repaired else None,
            data=content.data,
        )
        headers = [EVENT_CONTENT_TYPE]
        headers += received.trace
        if self._keep_raw:
            headers += [("raw-body", body), ("raw-query", _query_to_keep(query))]
        return self._fitting(Record(self._topic, subject.encode(), self._encode(event), headers, received_ms))

    def _fitting(self, record: Record) -> Record:
        """The record of an event. Raises UnreadableError where it is too large."""
        if len(record.value) > self._small_value_bytes and (excess := self._excess(record)) is not None:
            raise UnreadableError("too_large", f"its event has {excess}: see BRIDGE_MAX_RECORD_BYTES")
        return record


def with_decision(record: Record, decision: str, code: int) -> Record:
    """The record of an event with the decision among its attributes."""
    attributes = msgspec.json.encode({"decision": decision, "decisioncode": code})
    assert record.value.startswith(_EVENT_START)
    return msgspec.structs.replace(
        record, value=b"%b,%b%b" % (_EVENT_START, attributes[1:-1], record.value[len(_EVENT_START) :])
    )


def _query_to_keep(query: Query) -> bytes:
    """The query string as it is kept beside a record."""
    return unsigned(query.raw).encode(errors="replace")
