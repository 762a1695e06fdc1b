"""What `consumers backfill` publishes, and how fast."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from bridge.events import names
from bridge.events.base import SCHEMA_BASE
from bridge.events.envelope import check_schema_base
from common.settings import SettingsGroup


class BackfillSettings(SettingsGroup):
    """What is made of messages of which no event is on the topic. The first two are those of the ingress."""

    heading: ClassVar[str] = "Backfill"
    read_more: ClassVar[str] = "backfill.md"

    backfill_schema_base: str = Field(
        SCHEMA_BASE, description="What `dataschema` of backfilled events begins with: as BRIDGE_SCHEMA_BASE."
    )
    backfill_drop_fields: str = Field(
        "",
        description="Fields of messages that must not reach the topic, at any depth: as BRIDGE_DROP_FIELDS.",
    )
    backfill_events_per_s: float = Field(
        1000.0, gt=0, le=1_000_000, description="Most events a second that are published: workers have to handle them."
    )
    backfill_look_every_s: float = Field(
        300.0,
        ge=1,
        le=3600,
        description="With `--watch`: how often the platform is asked for an hour whose file it has not made yet.",
    )

    @field_validator("backfill_schema_base")
    @classmethod
    def _check_schema_base(cls, base: str) -> str:
        return check_schema_base(base)

    @field_validator("backfill_drop_fields")
    @classmethod
    def _check_drop_fields(cls, text: str) -> str:
        return names.check_list(text)
