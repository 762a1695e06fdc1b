"""`bridge tail`: what is on a topic, in lines for people or for programs."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from aiokafka import ConsumerRecord
from rich.text import Text

from common.kafka.follower import Follower
from common.terminal import Output, printable

MAX_VALUE = 80
MAX_BODY = 200


@dataclass(frozen=True)
class Filter:
    """Which records are shown."""

    type: str = "*"
    """Of events: their type, with wildcards. Dead letters and badges have none, and are left out unless it is `*`."""
    account: str | None = None
    """Account or group that it is about, or that takes part."""

    def admits(self, record: ConsumerRecord) -> bool:
        """Whether the record is shown."""
        content = _content(record)
        if self.type != "*" and not fnmatch.fnmatchcase(str(content.get("type", "")), self.type):
            return False
        return self.account is None or self.account in _names(record, content)


async def tail(follower: Follower, shown: Filter, output: Output, *, as_json: bool) -> None:
    """Print what comes. Ends never."""
    async for record in follower.records():
        if not shown.admits(record):
            continue
        if as_json:
            output.raw(one_line(record.value))
        else:
            output.line(describe(record))


def describe(record: ConsumerRecord) -> Text:
    """One line about a record: an event, a dead letter, a badge, or anything else."""
    headers = dict(record.headers)
    content = _content(record)
    if "reason" in headers:
        return _dead_letter(record, headers, content)
    if "specversion" in content:
        return _event(content)
    if "unread" in content:
        return _badge(content)
    value = "deleted" if record.value is None else _cut(_text(record.value), MAX_BODY)
    return _line(record.timestamp, "record", "", _key(record), {"value": value})


def one_line(value: bytes | None) -> bytes:
    """The value as it is, or, where that would be several lines or none, as the same JSON or a JSON string in one."""
    if value is None:
        return b"null"
    if value and not value.splitlines()[1:]:
        return value.rstrip(b"\r\n")
    try:
        return orjson.dumps(orjson.loads(value))
    except orjson.JSONDecodeError:
        return json.dumps(_text(value)).encode()


def _event(content: dict[str, Any]) -> Text:
    data = content.get("data")
    fields = data if isinstance(data, dict) else {"data": data}
    return _line(content.get("time"), str(content.get("type")), "green", str(content.get("subject")), fields)


def _badge(content: dict[str, Any]) -> Text:
    unread = "not known" if content["unread"] is None else content["unread"]
    fields = {"unread": unread, **({"stale": True} if content.get("stale") else {}), "app_id": content.get("app_id")}
    return _line(content.get("time"), "badge", "cyan", str(content.get("account")), fields)


def _dead_letter(record: ConsumerRecord, headers: dict[str, bytes], content: dict[str, Any]) -> Text:
    names = ("reason", "detail", "group", "attempts", "query")
    fields: dict[str, Any] = {name: _text(headers[name]) for name in names if name in headers}
    if "id" in content:
        fields["event"] = content["id"]
    else:
        fields["body"] = _cut(_text(record.value or b""), MAX_BODY)
    return _line(record.timestamp, "dead letter", "red", str(content.get("subject") or _key(record)), fields)


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
    """Time of day here; with the date where that is not today."""
    try:
        moment = (
            datetime.fromisoformat(time) if isinstance(time, str) else datetime.fromtimestamp(time / 1000).astimezone()
        )
    except (TypeError, ValueError, OverflowError, OSError):
        return "--:--:--"
    moment = moment.astimezone()
    today = moment.date() == datetime.now().astimezone().date()
    return f"{moment:%H:%M:%S}" if today else f"{moment:%Y-%m-%d %H:%M:%S}"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    text = printable(_cut(text, MAX_VALUE if not isinstance(value, str) else MAX_BODY))
    return json.dumps(text, ensure_ascii=False) if isinstance(value, str) and (" " in text or not text) else text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _content(record: ConsumerRecord) -> dict[str, Any]:
    try:
        content = orjson.loads(record.value or b"null")
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _names(record: ConsumerRecord, content: dict[str, Any]) -> set[str]:
    names = {_key(record), str(content.get("subject")), str(content.get("account"))}
    return names | set(_accounts(content.get("data", content)))


def _accounts(value: Any) -> Iterator[str]:
    """Every account and group that the data names, however deep."""
    if isinstance(value, list):
        for item in value:
            yield from _accounts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str):
                if name.lower().endswith(("account", "groupid", "group_id")):
                    yield item
            else:
                yield from _accounts(item)


def _key(record: ConsumerRecord) -> str:
    return _text(record.key or b"")


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
