"""The connection to Redis."""

from __future__ import annotations

from typing import ClassVar, Literal
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
        description="Where the badges are: `redis://`, `rediss://` (TLS) or `unix://`; "
        "`redis+cluster://host:6379,other:6379` for a cluster, `redis+sentinel://host:26379,other:26379/service` for "
        "what Sentinels watch; `rediss+…` with TLS.",
    )
    redis_timeout_s: float = Field(5.0, gt=0, le=60, description="How long Redis may take to connect or to answer.")

    badge_layout: Literal["hash", "packed"] = Field(
        "hash",
        description="How badges are stored: a `hash` that others can read by field, or `packed` into the least memory.",
    )
    badge_ttl_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="A badge whose newest event is older leaves Redis, and gets a tombstone on the topic; 0 = keep. "
        "The platform itself counts nothing older than 7 days.",
    )

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: SecretUrl) -> SecretUrl:
        check_redis_url(url.get_secret_value())
        return url
