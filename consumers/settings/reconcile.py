"""The worker `reconcile`, which asks the platform for counts."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from common.rest.app import IM_APPS_FORM, ImApps
from common.settings import SettingsGroup


class ReconcileSettings(SettingsGroup):
    """In whose name the platform is asked, and how often."""

    heading: ClassVar[str] = "The worker reconcile"
    read_more: ClassVar[str] = "badges.md"

    im_apps: ImApps = Field({}, description=f"JSON, for `reconcile` and `backfill`: {IM_APPS_FORM}")
    reconcile_delay_s: float = Field(
        3.0,
        ge=0,
        le=86_400,
        description="How long a badge is stale before the platform is asked: often a newer count comes.",
    )
    reconcile_calls_per_s: float = Field(
        150.0,
        gt=0,
        le=200,
        description="Most calls per second and app, of all processes together. The platform takes 200, whoever calls.",
    )
    reconcile_lease_s: float = Field(
        60.0,
        ge=1,
        le=86_400,
        description="After so long without a result a process that asks about a badge is taken to be gone.",
    )
    reconcile_timeout_s: float = Field(5.0, gt=0, le=30, description="How long the platform may take to answer a call.")
