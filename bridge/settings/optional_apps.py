"""Settings of commands that verify no callback: they do without BRIDGE_APPS, as on a machine that rescues a journal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from bridge.settings.bridge_settings import BridgeSettings
from common.secret_files import SecretFiles, variable_name
from common.settings import meaning_of

DEV_APP = "1400000000"
DEV_TOKEN = "dev-token"  # noqa: S105 - what `bridge dev` accepts where nothing is configured

_APPS_MEANING = meaning_of(BridgeSettings, "apps")


class _WithoutSecrets(BridgeSettings):
    """Does without what only the ingress needs: secrets of apps and of endpoints, or their files."""

    dispensable: ClassVar[frozenset[str]] = frozenset({"apps", "im_apps", "decision_urls"})
    """Fields whose `<NAME>_FILE` may be missing."""

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        return self

    def remarks(self) -> Iterator[str]:
        """What is set and may not do what is meant."""
        yield from super().remarks()
        for name, path in SecretFiles(type(self)).missing().items():
            yield f"{variable_name(type(self), name)}_FILE names {path}, which is not here: this goes on without it"


class InspectionSettings(_WithoutSecrets):
    """Settings of commands that look at things and accept no callback: `apps` may be absent, and is empty then."""

    apps: dict[str, list[SecretStr]] = Field({}, validate_default=False, description=_APPS_MEANING)


class DeveloperSettings(_WithoutSecrets):
    """Settings of commands with which people try things out: `apps` may be absent, and is that of `bridge dev` then."""

    apps: dict[str, list[SecretStr]] = Field({DEV_APP: [SecretStr(DEV_TOKEN)]}, description=_APPS_MEANING)

    @property
    def are_apps_set(self) -> bool:
        """Whether BRIDGE_APPS is set."""
        return "apps" in self.model_fields_set
