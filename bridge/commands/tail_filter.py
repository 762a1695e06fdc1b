"""Which records `bridge tail` shows."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

from aiokafka import ConsumerRecord

from bridge.contract.record_line import content_of, names_in
from common.text import text_of


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
        if self.type != "*" and not fnmatch.fnmatchcase(text_of(content.get("type")), self.type):
            return False
        return self.account is None or self.account in names_in(record, content)
