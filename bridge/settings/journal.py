"""The journal: where it is, what it may take, and how long it gathers."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from bridge.settings.units import MEBIBYTE
from common.settings import SettingsGroup


class JournalSettings(SettingsGroup):
    """The journals on disk, and when they are written."""

    heading: ClassVar[str] = "Journal"
    read_more: ClassVar[str] = "operations.md"

    journal_dir: Path = Field(Path("./journal"), description="Folder of the journals; each process has one of its own.")
    journal_max_bytes: int = Field(
        2048 * MEBIBYTE, ge=MEBIBYTE, description="Disk budget of a process's journal; beyond it callbacks are refused."
    )
    quarantine_max_bytes: int = Field(
        256 * MEBIBYTE,
        ge=MEBIBYTE,
        description="What records that Kafka refuses for good may take on disk; what is beyond counts as the journal.",
    )
    adopt_interval_s: float = Field(
        60.0, gt=0, description="How often a process looks for journals whose owner is gone, to publish them."
    )
    gather_ms: float = Field(
        2.0,
        ge=0,
        le=100,
        description="How long callbacks gather at most, to be sent as one group: until no more arrive, but all of it"
        " while Kafka confirms nothing.",
    )
    sync_after_ms: float = Field(
        10.0, ge=0, le=1000, description="A group that Kafka has not confirmed by then, or a little later, is synced."
    )
