"""Which records a viewer wants to see."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from bridge.console.hiding import Hiding
from bridge.console.rows import kind_of
from bridge.contract.record_line import NOT_WRITTEN, content_of, json_text, key_of, names_in
from common.text import text_of

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
        kind = kind_of(record, content)
        if self.kind and kind != self.kind:
            return False
        # Nobody may find out by a filter what is hidden, as what a callback that is no event calls its type.
        type_ = text_of(content.get("type")) if kind == "event" or not hiding.is_active else ""
        if self.type and not _fits_type(type_, self.type):
            return False
        content = hiding.shown(content)
        return (
            (not self.app or self.app == _app(content))
            and (not self.account or self.account in _names(record, content, hiding))
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
    return text_of(content.get("app_id")) or text_of(content.get("source")).rpartition("/")[2]


def _names(record: ConsumerRecord, content: dict[str, Any], hiding: Hiding) -> set[str]:
    return names_in(record, content) - ({key_of(record)} if hiding.hides_accounts else set())


def _whole(record: ConsumerRecord, content: dict[str, Any], hiding: Hiding) -> str:
    headers = " ".join(f"{name} {hiding.shown_header(name, value or b'')}" for name, value in record.headers)
    if content:
        # Written anew, so that what JSON may write in several ways is found in each.
        written = json_text(content)
        if written != NOT_WRITTEN:
            return f"{hiding.shown_key(record)} {headers} {written}"
    shown = "" if hiding.is_active else (record.value or b"").decode(errors="replace")
    return f"{hiding.shown_key(record)} {headers} {shown}"
