"""Callbacks whose time is not ours: how much is no fault, and which of the rest are kept."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bridge.settings.units import MEBIBYTE
from common.settings import SettingsGroup


class StaleSettings(SettingsGroup):
    """How far RequestTime may be from our clock, and what is kept of what is farther."""

    heading: ClassVar[str] = "Callbacks of a stale time"
    read_more: ClassVar[str] = "security.md#stale-callbacks"

    clock_skew_s: int = Field(60, ge=1, description="Most by which RequestTime may differ from our clock.")
    stale_per_minute: int = Field(
        600,
        ge=0,
        description="Callbacks with a right signature and a stale time that are kept as dead letters per minute.",
    )
    stale_bytes_per_minute: int = Field(
        4 * MEBIBYTE,
        ge=0,
        description="The same in bytes. None are kept while a tenth of BRIDGE_JOURNAL_MAX_BYTES is used.",
    )
    stale_max_age_hours: float = Field(
        12.0, gt=0, le=72, description="Callbacks whose time differs by more than this are refused and never kept."
    )
