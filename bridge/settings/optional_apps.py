"""Settings of commands that need no BRIDGE_APPS."""

from __future__ import annotations

from pydantic import Field, SecretStr

from bridge.settings.bridge_settings import BridgeSettings
from common.settings import meaning_of

DEV_APP = "1400000000"
DEV_TOKEN = "dev-token"  # noqa: S105 - what `bridge dev` accepts where nothing is configured

_APPS_MEANING = meaning_of(BridgeSettings, "apps")


class InspectionSettings(BridgeSettings):
    """Settings of commands that look at things and accept no callback: `apps` may be absent, and is empty then."""

    apps: dict[str, list[SecretStr]] = Field({}, validate_default=False, description=_APPS_MEANING)


class DeveloperSettings(BridgeSettings):
    """Settings of commands with which people try things out: `apps` may be absent, and is that of `bridge dev` then."""

    apps: dict[str, list[SecretStr]] = Field({DEV_APP: [SecretStr(DEV_TOKEN)]}, description=_APPS_MEANING)

    @property
    def are_apps_set(self) -> bool:
        """Whether BRIDGE_APPS is set."""
        return "apps" in self.model_fields_set
