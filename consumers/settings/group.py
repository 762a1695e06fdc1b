"""The consumer group."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from common.settings import SettingsGroup, check_topic

MAX_GROUP_CHARS = 249


def is_group_name(name: str) -> bool:
    """Whether a text can be the name of a consumer group, and be told from any other that looks the same."""
    return 0 < len(name) <= MAX_GROUP_CHARS and name.isprintable() and name == name.strip()


class MembershipSettings(SettingsGroup):
    """As whom a process shares the partitions with others, and when it is taken to be gone."""

    heading: ClassVar[str] = "Consumer group"

    group: str | None = Field(None, description="Consumer group; default: the worker's name.")
    group_instance_id: str | None = Field(
        None,
        description="""Name of this process within the group, the same after a restart and different in each process:
        a restart then moves no partitions (static membership).""",
    )
    session_timeout_ms: int = Field(
        15_000,
        ge=1000,
        le=1_800_000,
        description="A process that the broker has not heard from for so long loses its partitions.",
    )

    @field_validator("group_instance_id")
    @classmethod
    def _check_group_instance_id(cls, name: str | None) -> str | None:
        return name if name is None else check_topic(name)

    @field_validator("group")
    @classmethod
    def _check_group(cls, name: str | None) -> str | None:
        if name is not None and not is_group_name(name):
            raise ValueError(
                f"{name[:60]!r} is no name for a group: it has characters that cannot be seen, spaces at an end, or "
                f"more than {MAX_GROUP_CHARS} characters"
            )
        return name
