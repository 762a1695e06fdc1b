"""All settings of the workers, composed of those of each concern."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from common.settings import Settings, retention_ms
from common.topic import Topic
from consumers.settings.admin import AdminSettings
from consumers.settings.audit import AuditSettings
