"""Which records a viewer wants to see."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from bridge.console.hiding import Hiding
from bridge.console.rows import kind_of
from bridge.contract.record_line import MAX_DEPTH, NOT_WRITTEN, content_of, json_text, key_of

MAX_FILTER_CHARS = 200


@dataclass(frozen=True)
class LiveFilter:
    """Which records are shown: those that fit all that is given. Equal filters cost as much as one."""

    kind: str = ""
    type: str = ""
    """Of events, with wildcards; where it has none, any part of the type."""
    account: str = ""
    """Account or group that it is about, or that takes part."""
    app: str = ""
    text: str = ""
    """Anything in it, whatever the case; not in what is hidden."""

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> LiveFilter:
        """The filter in the query of a request; what is longer than any name is cut."""
        return cls(**{one.name: query.get(one.name, "").strip()[:MAX_FILTER_CHARS] for one in dataclasses.fields(cls)})

    @property
    def admits_all(self) -> bool:
        """Whether nothing is given."""
        return self == LiveFilter()

    def admits(self, record: ConsumerRecord, hiding: Hiding) -> bool:
        """Whether the record is shown."""
        if self.account and not _may_contain(record, self.account):
            return False
        content = content_of(record)
        if self.kind and kind_of(record, content) != self.kind:
            return False
        return (
            (not self.type or _fits_type(str(content.get("type", "")), self.type))
            and (not self.app or self.app == _app(content))
            and (not self.account or self.account in _names(record, content))
            and (not self.text or self.text.lower() in _whole(record, content, hiding).lower())
        )


def _may_contain(record: ConsumerRecord, account: str) -> bool:
    """Whether to look closer: a name that JSON writes without escapes stands there as it is."""
    as_bytes = account.encode()
    value = record.value or b""
    return as_bytes in value or b"\\" in value or as_bytes in (record.key or b"")


def _fits_type(type_: str, wanted: str) -> bool:
    return fnmatch.fnmatchcase(type_, wanted) if any(one in wanted for one in "*?[") else wanted in type_


def _app(content: dict[str, Any]) -> str:
    return str(content.get("app_id") or str(content.get("source", "")).rpartition("/")[2])


def _names(record: ConsumerRecord, content: dict[str, Any]) -> set[str]:
    names = {key_of(record), str(content.get("subject")), str(content.get("account"))}
    return names | set(_accounts(content.get("data", content)))


def _accounts(value: Any, depth: int = MAX_DEPTH) -> Iterator[str]:
    if not depth:
        return
    if isinstance(value, list):
        for item in value:
            yield from _accounts(item, depth - 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name.lower().endswith(("account", "account_list", "groupid", "group_id", "userid", "user_id")):
                yield from map(str, item if isinstance(item, list) else [item])
            if not isinstance(item, str):
                yield from _accounts(item, depth - 1)


def _whole(record: ConsumerRecord, content: dict[str, Any], hiding: Hiding) -> str:
    headers = " ".join(f"{name} {hiding.shown_header(name, value or b'')}" for name, value in record.headers)
    if content:
        # Written anew, so that what JSON may write in several ways is found in each.
        written = json_text(hiding.shown(content))
        if written != NOT_WRITTEN:
            return f"{key_of(record)} {headers} {written}"
    shown = "" if hiding.is_active else (record.value or b"").decode(errors="replace")
    return f"{key_of(record)} {headers} {shown}"
