"""The process audit, which proves that nothing is missing."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from common.settings import SettingsGroup, check_topic


class LedgerSettings(SettingsGroup):
    """What the ingress processes state, and how often the audit keeps what it knows."""

    heading: ClassVar[str] = "The process audit"
    read_more: ClassVar[str] = "audit.md"

    audit_topic: str = Field(
        "im.audit",
        description="Compacted topic that the ingress processes make their statements on, and the audit keeps its"
        " ledger.",
    )
    audit_checkpoint_s: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="How often `consumers run audit` writes its ledger; `consumers audit` shows it.",
    )

    @field_validator("audit_topic")
    @classmethod
    def _check_audit_topic(cls, name: str) -> str:
        return check_topic(name)
