"""The connection to Redis."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator

from common.redis_url import check_redis_url
from common.settings import SettingsGroup


class SecretUrl(SecretStr):
    """An address that may hold a password; printed, it shows all but that."""

    def _display(self) -> str:
        parts = urlsplit(self._secret_value)
        query = "…" if parts.query else ""  # a password may stand there too
        credentials, at, place = parts.netloc.rpartition("@")
        user = credentials.partition(":")[0]
        shown = f"{user}:**********{at}" if ":" in credentials else f"{user}{at}"
        return urlunsplit((parts.scheme, shown + place, parts.path, query, ""))


class RedisSettings(SettingsGroup):
    """Where the badges are."""

    heading: ClassVar[str] = "Connection to Redis"
    read_more: ClassVar[str] = "badges.md#rights-in-redis"

    redis_url: SecretUrl = Field(
        SecretUrl("redis://localhost:6379/0"),
        description="Where the badges are: `redis://`, `rediss://` or `unix://`. No Redis Cluster.",
    )
    redis_timeout_s: float = Field(5.0, gt=0, le=60, description="How long Redis may take to connect or to answer.")

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: SecretUrl) -> SecretUrl:
        check_redis_url(url.get_secret_value())
        return url
