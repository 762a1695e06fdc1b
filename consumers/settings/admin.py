"""Where operators ask."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from common.settings import SettingsGroup


class AdminSettings(SettingsGroup):
    """The admin port."""

    heading: ClassVar[str] = "Health checks and metrics"

    admin_host: str = Field(
        "127.0.0.1", description="Address for health checks and metrics; `0.0.0.0` for whoever asks from outside."
    )
    admin_port: int = Field(9090, ge=0, le=65535, description="Port for `/healthz`, `/readyz`, `/metrics`; 0 = none.")
