"""What is logged, and in which form."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from common.settings.settings_group import SettingsGroup


class LogSettings(SettingsGroup):
    """The log on standard error."""

    heading: ClassVar[str] = "Log"
    read_more: ClassVar[str] = "operations.md"

    log_format: Literal["text", "json"] = Field("text", description="`text` for people, `json` for collectors.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
