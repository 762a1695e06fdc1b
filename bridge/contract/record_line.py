"""A record of one of our topics in one line: for people, or as JSON for programs."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
from aiokafka import ConsumerRecord
from rich.text import Text

from common.kafka.record_time import record_time
from common.text import printable, text_of

MAX_VALUE_CHARS = 80
MAX_TEXT_CHARS = 200

MAX_DEPTH = 100
"""Objects and lists within one another that are looked into: what nobody means goes deeper."""

NOT_WRITTEN = "…"
"""Stands for a value that goes deeper than JSON can be written."""

_NAMES_OF_ACCOUNTS = ("account", "account_list", "groupid", "group_id", "userid", "user_id")
"""Ends of the names, in small letters, of fields that hold an account or a group, or a list of them."""

_LINE_ENDS = re.compile(r"[\r\n]+")
"""Of JSON, whose strings have none."""


def describe_record(record: ConsumerRecord) -> Text:
    """One line about a record: an event, a dead letter, a badge, or anything else."""
    headers = dict(record.headers)
    content = content_of(record)
    if "reason" in headers:
        return _dead_letter(record, headers, content)
    if "specversion" in content:
        return _event(content)
    if "unread" in content:
        return _badge(content)
    value = "deleted" if record.value is None else _cut(_text(record.value), MAX_TEXT_CHARS)
    return _line(record_time(record), "record", "", key_of(record), {"value": value})


def json_line(record: ConsumerRecord) -> str:
    """The value as it is where that is JSON, on one line; else an object of all that the record is.

    That object has `partition`, `offset`, `key`, `headers`, and the `value` as text, or in Base64 as `value_base64`.
    """
    if record.value is None:
        return "null"
    try:
        orjson.loads(record.value)
    except orjson.JSONDecodeError:
        return json.dumps(_whole(record), ensure_ascii=False)
    return _LINE_ENDS.sub(" ", record.value.decode().strip())


def _whole(record: ConsumerRecord) -> dict[str, Any]:
    try:
        value = {"value": record.value.decode()}
    except UnicodeDecodeError:
        value = {"value_base64": b64encode(record.value).decode()}
    headers = {name: None if content is None else _text(content) for name, content in record.headers}
    return {
        "partition": record.partition,
        "offset": record.offset,
        "key": key_of(record),
        "headers": headers,
        **value,
    }


def content_of(record: ConsumerRecord) -> dict[str, Any]:
    """The JSON object that the value is; empty where it is none."""
    try:
        content = orjson.loads(record.value or b"null")
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def json_text(value: Any) -> str:
    """A value as JSON; NOT_WRITTEN for one that goes deeper than can be written."""
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        return NOT_WRITTEN


def key_of(record: ConsumerRecord) -> str:
    """The key as text; what is not UTF-8 is replaced."""
    return _text(record.key or b"")


def names_in(record: ConsumerRecord, content: dict[str, Any]) -> set[str]:
    """The accounts and groups that a record is about, or that take part in it.

    Args:
        record: it.
        content: the JSON object that it is, or what of that may be seen.
    """
    names = {key_of(record), text_of(content.get("subject")), text_of(content.get("account"))}
    return names | set(_accounts(content.get("data", content)))


def _accounts(value: Any, depth: int = MAX_DEPTH) -> Iterator[str]:
    if not depth:
        return
    if isinstance(value, list):
        for item in value:
            yield from _accounts(item, depth - 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name.lower().endswith(_NAMES_OF_ACCOUNTS):
                yield from map(text_of, item if isinstance(item, list) else [item])
            if not isinstance(item, str):
                yield from _accounts(item, depth - 1)


def _event(content: dict[str, Any]) -> Text:
    data = content.get("data")
    fields = data if isinstance(data, dict) else {"data": data}
    return _line(content.get("time"), text_of(content.get("type")), "green", text_of(content.get("subject")), fields)


def _badge(content: dict[str, Any]) -> Text:
    unread = "not known" if content["unread"] is None else content["unread"]
    fields = {"unread": unread, **({"stale": True} if content.get("stale") else {}), "app_id": content.get("app_id")}
    return _line(content.get("time"), "badge", "cyan", text_of(content.get("account")), fields)


def _dead_letter(record: ConsumerRecord, headers: dict[str, bytes | None], content: dict[str, Any]) -> Text:
    names = ("reason", "detail", "group", "attempts", "query")
    fields: dict[str, Any] = {name: _text(value) for name in names if (value := headers.get(name)) is not None}
    if "id" in content:
        fields["event"] = content["id"]
    else:
        fields["body"] = _cut(_text(record.value or b""), MAX_TEXT_CHARS)
    return _line(record_time(record), "dead letter", "red", text_of(content.get("subject")) or key_of(record), fields)


def _line(time: Any, kind: str, style: str, subject: str, fields: dict[str, Any]) -> Text:
    line = Text(no_wrap=True)
    line.append(_clock(time), "dim").append("  ")
    line.append(f"{printable(kind):<28}", style).append(" ")
    line.append(f"{printable(subject):<16}", "bold")
    for name, value in fields.items():
        if value is not None:
            line.append(f" {printable(name)}=", "dim").append(_value(value))
    return line


def _clock(time: Any) -> str:
    """Time of day here; with the date where that is not today.

    Args:
        time: RFC 3339; anything else has no time of day.
    """
    try:
        moment = datetime.fromisoformat(time).astimezone()
    except (TypeError, ValueError, OverflowError, OSError):
        return "--:--:--"
    today = moment.date() == datetime.now().astimezone().date()
    return f"{moment:%H:%M:%S}" if today else f"{moment:%Y-%m-%d %H:%M:%S}"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json_text(value)
    text = printable(_cut(text, MAX_VALUE_CHARS if not isinstance(value, str) else MAX_TEXT_CHARS))
    return json.dumps(text, ensure_ascii=False) if isinstance(value, str) and (" " in text or not text) else text


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
