"""The proof that nothing is missed: where a process states what it took."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from common.settings import SettingsGroup, check_topic


class AuditSettings(SettingsGroup):
    """Statements of each process about its records, for whoever proves that none is missing."""

    heading: ClassVar[str] = "Proof of completeness"
    read_more: ClassVar[str] = "audit.md"

    audit: bool = Field(
        True,
        description="""`off`: records have no numbers, and nothing is stated, so that nobody can prove that none is
        missing.""",
    )
    audit_topic: str = Field(
        "im.audit", description="Topic on which each process states how many records it took, and how far they are."
    )
    audit_interval_s: float = Field(10.0, gt=0, le=3600, description="How often it does.")

    @field_validator("audit_topic")
    @classmethod
    def _check_audit_topic(cls, name: str) -> str:
        return check_topic(name)
