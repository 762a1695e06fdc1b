"""What events hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field, field_validator

from bridge.events import names
from bridge.events.base import SCHEMA_BASE
from bridge.events.envelope import check_schema_base
from common.settings import SettingsGroup


class EventSettings(SettingsGroup):
    """What of a callback an event has, and what not."""

    heading: ClassVar[str] = "Events"
    read_more: ClassVar[str] = "security.md#where-personal-data-is"

    schema_base: str = Field(
        SCHEMA_BASE, description="What `dataschema` begins with; the event type and `.json` follow."
    )
    drop_fields: str = Field(
        "",
        description="""Fields of callbacks that reach neither disk nor topic, at any depth, by the platform's names,
        e.g. `MsgBody,CloudCustomData`. A body that nobody can read is kept by its size and SHA-256 only.""",
    )
    keep_raw: bool = Field(
        False, description="Whether events carry the original body and query in the headers `raw-body`, `raw-query`."
    )

    @field_validator("schema_base")
    @classmethod
    def _check_schema_base(cls, base: str) -> str:
        return check_schema_base(base)

    @field_validator("drop_fields")
    @classmethod
    def _check_drop_fields(cls, text: str) -> str:
        return names.check_list(text)

    def remarks(self) -> Iterator[str]:
        """What is set and may not do what is meant."""
        yield from super().remarks()
        for name in names.names_in(self.drop_fields):
            if not names.is_field(name):
                nearest = names.nearest_field(name)
                meant = f"is {nearest} meant?" if nearest else "it is dropped where it comes nevertheless."
                yield f"BRIDGE_DROP_FIELDS: {name} is a field of no documented callback; {meant}"
