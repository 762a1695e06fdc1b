"""Which records `bridge tail` shows."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from bridge.contract.record_line import MAX_DEPTH, content_of, key_of


@dataclass(frozen=True)
class RecordFilter:
    """Which records are shown."""

    type: str = "*"
    """Of events: their type, with wildcards. Dead letters and badges have none, and are left out unless it is `*`."""
    account: str | None = None
    """Account or group that it is about, or that takes part."""

    def admits(self, record: ConsumerRecord) -> bool:
        """Whether the record is shown."""
        content = content_of(record)
        if self.type != "*" and not fnmatch.fnmatchcase(str(content.get("type", "")), self.type):
            return False
        return self.account is None or self.account in _names(record, content)


def _names(record: ConsumerRecord, content: dict[str, Any]) -> set[str]:
    names = {key_of(record), str(content.get("subject")), str(content.get("account"))}
    return names | set(_accounts(content.get("data", content)))


def _accounts(value: Any, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Every account and group that the data names."""
    if not depth:
        return
    if isinstance(value, list):
        for item in value:
            yield from _accounts(item, depth - 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str):
                if name.lower().endswith(("account", "groupid", "group_id")):
                    yield item
            else:
                yield from _accounts(item, depth - 1)
