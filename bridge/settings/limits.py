"""What callbacks may take: bytes and numbers beyond which they are refused."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from bridge.settings.units import MEBIBYTE
from common.settings import SettingsGroup

DEAD_LETTER_BYTES = 64 * 1024
"""What a dead letter has beside the body: the query above all."""


class LimitSettings(SettingsGroup):
    """How large bodies and records may be, and how much there may be of them at a time."""

    heading: ClassVar[str] = "Limits"

    max_body_bytes: int = Field(MEBIBYTE, ge=1024, description="Largest body that is accepted, also once unpacked.")
    bodies_max_bytes: int = Field(
        64 * MEBIBYTE,
        ge=MEBIBYTE,
        description="""What the bodies of a process may take from their first byte to the reply; beyond it callbacks
        are refused with 503. Bodies that are not whole yet may take half of it, and the oldest of them give way.""",
    )
    max_record_bytes: int = Field(
        0,
        ge=0,
        validate_default=True,
        description="""Largest record that the topics take; a callback whose event is larger becomes a dead letter.
        Topics that we create get it as `max.message.bytes`; those that exist must have at least that.
        0 = twice BRIDGE_MAX_BODY_BYTES and 256 KiB, and no less than 1.25 MiB.""",
    )
    max_in_flight: int = Field(10_000, ge=1, description="Most callbacks that wait for their reply at a time.")
    memory_max_bytes: int = Field(
        64 * MEBIBYTE, ge=MEBIBYTE, description="What a process may hold that is neither on disk nor in Kafka yet."
    )

    @field_validator("max_record_bytes")
    @classmethod
    def _check_record_bytes(cls, record_bytes: int, info: ValidationInfo) -> int:
        body_bytes = info.data.get("max_body_bytes")
        if body_bytes is None:  # It is wrong, which is told.
            return record_bytes
        if record_bytes == 0:
            return max(2 * int(body_bytes), MEBIBYTE) + MEBIBYTE // 4
        if record_bytes < body_bytes + DEAD_LETTER_BYTES:
            raise ValueError(
                f"{record_bytes} bytes are too few for bodies of BRIDGE_MAX_BODY_BYTES ({body_bytes}): a body that"
                f" cannot become an event is kept as it came, in a record of up to {body_bytes + DEAD_LETTER_BYTES}"
                " bytes. Raise this one, or lower the other"
            )
        return record_bytes

    @model_validator(mode="after")
    def _check_bodies(self) -> Self:
        if self.bodies_max_bytes < 2 * self.max_body_bytes:
            raise ValueError(
                f"BRIDGE_BODIES_MAX_BYTES ({self.bodies_max_bytes}) must be at least twice BRIDGE_MAX_BODY_BYTES"
                f" ({self.max_body_bytes}): half of it is for bodies that are not whole yet"
            )
        return self
