"""Topics: their names, and how those are made that are missing."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field

from common.settings.settings_group import SettingsGroup


class CreatedTopicSettings(SettingsGroup):
    """What every topic has that we create."""

    heading: ClassVar[str] = "Topics that we create"

    topic_partitions: int = Field(
        12, ge=1, description="Partitions of a topic that we create. Raising them later breaks the order of keys."
    )
    topic_replication: int = Field(
        -1, ge=-1, description="Replication factor of a topic that we create; -1 = the broker's default."
    )


def check_topic(name: str) -> str:
    """See that Kafka takes a name for a topic, and give it back.

    Raises:
        ValueError: it does not.
    """
    if name in {".", ".."} or not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name):
        raise ValueError(f"{name!r} is no name that Kafka takes: letters, digits, `.`, `_` and `-` only, 249 at most")
    return name


def retention_ms(hours: int) -> int:
    """Kafka's `retention.ms` of a topic that keeps its records for so many hours, or for ever if none or negative."""
    return hours * 3_600_000 if hours > 0 else -1
