"""A record of a topic as the page lists it: one line of it, bounded, with nothing that is to be hidden."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from aiokafka import ConsumerRecord

from bridge.console.hiding import HIDDEN, Hiding
from bridge.contract.record_line import content_of, json_text, key_of
from common.dead_letter_filter import INGRESS
from common.kafka.dead_letters import DeadLetter
from common.kafka.record_time import record_time
from common.text import text_of

MAX_VALUE_CHARS = 120
MAX_NAME_CHARS = 60
MAX_FIELDS = 12

RowKind = Literal["event", "badge", "letter", "record"]


class PageRow(msgspec.Struct, omit_defaults=True):
    """What the page lists of a record."""

    kind: RowKind
    topic: str
    partition: int
    offset: int
    time: str
    """When it happened, RFC 3339: of the event or the badge, else of the record."""
    received: str
    """When the bridge received it, or who wrote the record did."""
    type: str
    """Of an event; of a dead letter its reason."""
    subject: str
    app: str
    fields: list[tuple[str, str]]
    """The first of its fields: names, and values as text that is cut."""
    id: str = ""
    command: str = ""
    """Of an event, the platform's name of its callback."""
    decision: str = ""
    decision_code: int | None = None


def row_of(record: ConsumerRecord, hiding: Hiding) -> PageRow:
    """The row of a record, whatever that is."""
    content = content_of(record)
    kind = kind_of(record, content)
    data: Any = content.get("data") if kind == "event" else content
    time = content.get("time") if kind in {"event", "badge"} else None
    subject = text_of(content.get("subject")) or text_of(content.get("account")) or key_of(record)
    row = PageRow(
        kind=kind,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        time=_cut(time) if isinstance(time, str) else record_time(record),
        received=record_time(record),
        type=_cut(content.get("type", "")),
        subject=_cut(hiding.shown_account(subject)),
        app=_cut(text_of(content.get("source")).rpartition("/")[2] or content.get("app_id", "")),
        fields=_fields(hiding.shown(data)),
        id=_cut(content.get("id") or content.get("event_id") or ""),
    )
    if kind == "event":
        row.command = _cut(content.get("callbackcommand", ""))
        row.decision = _cut(content.get("decision", ""))
        code = content.get("decisioncode")
        row.decision_code = code if isinstance(code, int) else None
    elif kind == "badge":
        row.fields = [one for one in row.fields if one[0] not in {"app_id", "account"}]
    elif kind == "letter":
        _tell_of_letter(row, DeadLetter(record), hiding)
    return row


def subject_of_letter(letter: DeadLetter, hiding: Hiding) -> str:
    """Whom it is about, as far as that may be seen: in a callback that is no event anything may be called so."""
    is_told = not hiding.is_active or hiding.shown(letter.content).get("subject") == letter.content.get("subject")
    return hiding.shown_account(letter.subject) if is_told else HIDDEN


def kind_of_letter(letter: DeadLetter, hiding: Hiding) -> str:
    """Type of its event, else the command; what a callback that is no event calls its type is text of a callback."""
    return letter.command if hiding.is_active and letter.group == INGRESS else letter.type or letter.command


def detail_of_letter(letter: DeadLetter, hiding: Hiding) -> str:
    """What was said of why it is one, as far as that may be seen."""
    return hiding.shown_header("detail", letter.headers.get("detail", "").encode())


def kind_of(record: ConsumerRecord, content: dict[str, Any]) -> RowKind:
    """What a record is, by its form: topics may have any names."""
    if any(name == "reason" for name, _ in record.headers):
        return "letter"
    if "specversion" in content:
        return "event"
    return "badge" if "unread" in content else "record"


def _tell_of_letter(row: PageRow, letter: DeadLetter, hiding: Hiding) -> None:
    row.type = _cut(letter.reason)
    row.subject = _cut(subject_of_letter(letter, hiding))
    detail = detail_of_letter(letter, hiding)
    told = (("group", letter.group), ("what", kind_of_letter(letter, hiding)), ("detail", detail))
    if letter.group == INGRESS and hiding.is_active:
        row.app, row.id = "", ""
    row.fields = [(name, _cut(value)) for name, value in told if value]


def _fields(data: Any) -> list[tuple[str, str]]:
    if not isinstance(data, dict):
        return [("value", _text(data))] if data is not None else []
    some = list(data.items())[:MAX_FIELDS]
    return [(name[:MAX_NAME_CHARS], _text(value)) for name, value in some if value is not None]


def _text(value: Any) -> str:
    return _cut(value if isinstance(value, str) else json_text(value))


def _cut(value: Any) -> str:
    text = text_of(value)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 1]}…"
