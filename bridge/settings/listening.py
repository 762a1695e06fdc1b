"""Where callbacks and questions of operators are taken, and how long a connection may take."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from common.settings import SettingsGroup


class ListeningSettings(SettingsGroup):
    """Addresses, ports and connections."""

    heading: ClassVar[str] = "Addresses and connections"

    host: str = Field("0.0.0.0", description="Address for callbacks.")  # noqa: S104 - the platform calls from outside
    port: int = Field(8080, ge=0, le=65535, description="Port for callbacks.")
    admin_host: str = Field(
        "127.0.0.1", description="Address for health checks and metrics; `0.0.0.0` for whoever asks from outside."
    )
    admin_port: int = Field(
        9090, ge=0, le=65535, description="Port for `/healthz`, `/readyz`, `/metrics`, `/drift`; 0 = none."
    )
    max_connections: int = Field(
        10_000,
        ge=1,
        description="""Most connections of a process, and never more than its limit of open files allows. When all are
        in use, those that have brought no authentic request give way to new ones, the oldest first.""",
    )
    head_timeout_s: float = Field(
        10.0,
        gt=0,
        description="""How long the head of a request may take to arrive. Until a connection has brought an authentic
        request, the wait for it counts.""",
    )
    body_timeout_s: float = Field(5.0, gt=0, description="How long the body of a request may take to arrive.")
    keepalive_s: float = Field(
        3600.0,
        gt=0,
        description="""How long an idle connection is kept that has brought an authentic request. Must exceed that of
        a proxy in front.""",
    )
