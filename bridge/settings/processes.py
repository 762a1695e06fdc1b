"""The processes of an ingress: how many, when one is taken to be stuck, how long a stop may take."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from common.settings import SettingsGroup


class ProcessSettings(SettingsGroup):
    """How many processes there are, and how long they may take."""

    heading: ClassVar[str] = "Processes"

    workers: int = Field(1, ge=1, le=64, description="Processes on the port; each has a journal of its own.")
    hung_after_s: float = Field(
        10.0, gt=1, description="A process whose event loop has not moved for this long is killed and started again."
    )
    start_timeout_s: float = Field(
        60.0,
        gt=1,
        description="""The same for a process that does not accept callbacks yet; doubled with each that was killed. For
        neither does the time count in which the machine did not let the process run.""",
    )
    stop_timeout_s: float = Field(8.0, gt=0, description="A graceful stop takes no longer than this.")
    stop_linger_s: float = Field(
        0.0,
        ge=0,
        description="""At a stop, how long new connections are still accepted, while `/readyz` says 503 already: for a
        front that notices late. BRIDGE_STOP_TIMEOUT_S begins after it.""",
    )
    drain_s: float = Field(
        10.0,
        ge=0,
        description="""At a reload, how long clients of a process that is replaced have for their next request, whose
        reply closes their connection; then idle connections are closed.""",
    )
