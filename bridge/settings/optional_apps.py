"""Settings of commands that verify no callback: they do without BRIDGE_APPS, as on a machine that rescues a journal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bridge.settings.audit import AuditSettings
from bridge.settings.bridge_settings import BridgeSettings
from bridge.settings.journal import JournalSettings
from bridge.settings.limits import LimitSettings
from bridge.settings.processes import ProcessSettings
from bridge.settings.topics import TopicSettings
from common.secret_files import SecretFiles, variable_name
from common.settings import Settings, meaning_of

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


class _PublishingSettings(ProcessSettings, TopicSettings, JournalSettings, LimitSettings, AuditSettings, Settings):
    """What it takes to publish a journal, and to state for an audit what became of it."""

    model_config = SettingsConfigDict(env_prefix="BRIDGE_")


class _KnownOfEnvFile(DotEnvSettingsSource):
    """A `.env` file, without what begins as our settings do and is none of the class: as it is, that is taken along."""

    def __call__(self) -> dict[str, Any]:
        """The settings that it has."""
        return {name: value for name, value in super().__call__().items() if name in self.settings_cls.model_fields}


class RescueSettings(InspectionSettings):
    """Settings of who publishes journals by hand, or looks at them: of all others not even what is wrong is read."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - those below are for fewer fields
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what publishing needs, and nothing else."""
        read = _PublishingSettings
        env, dotenv = EnvSettingsSource(read), _KnownOfEnvFile(read)
        return super().settings_customise_sources(read, init_settings, env, dotenv, file_secret_settings)

    def remarks(self) -> Iterator[str]:
        """What is set for Kafka and may not do what is meant."""
        yield from Settings.remarks(self)


class DeveloperSettings(_WithoutSecrets):
    """Settings of commands with which people try things out: `apps` may be absent, and is that of `bridge dev` then."""

    apps: dict[str, list[SecretStr]] = Field({DEV_APP: [SecretStr(DEV_TOKEN)]}, description=_APPS_MEANING)

    @property
    def are_apps_set(self) -> bool:
        """Whether BRIDGE_APPS is set."""
        return "apps" in self.model_fields_set
