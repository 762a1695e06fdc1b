"""Settings of the workers: environment variables `CONSUMERS_*`, `<NAME>_FILE` for secrets, a `.env` file."""

from __future__ import annotations

from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from common.http_url import check_http_url
from common.redis_url import check_redis_url
from common.rest.app import IM_APPS_FORM, ImApps
from common.settings import Settings, check_topic, retention_ms
from common.topic import Topic

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE
MAX_GROUP_CHARS = 249


class SecretUrl(SecretStr):
    """An address that may hold a password; printed, it shows all but that."""

    def _display(self) -> str:
        parts = urlsplit(self._secret_value)
        query = "…" if parts.query else ""  # a password may stand there too
        credentials, at, place = parts.netloc.rpartition("@")
        user = credentials.partition(":")[0]
        shown = f"{user}:**********{at}" if ":" in credentials else f"{user}{at}"
        return urlunsplit((parts.scheme, shown + place, parts.path, query, ""))


def is_group_name(name: str) -> bool:
    """Whether a text can be the name of a consumer group, and be told from any other that looks the same."""
    return 0 < len(name) <= MAX_GROUP_CHARS and name.isprintable() and name == name.strip()


class ConsumersSettings(Settings):
    """Each field is the variable `CONSUMERS_<NAME>`; `consumers settings` prints the table of all of them.

    The fields are in one class, though many, because variables have no other structure than their names.
    """

    model_config = SettingsConfigDict(env_prefix="CONSUMERS_")

    topic: str = Field("im.events", description="Topic that the events are read from.")
    badges_topic: str = Field("im.badges", description="Compacted topic that every badge is written to.")
    dlq_topic: str = Field("im.events.dlq", description="Topic for what a worker cannot handle: the dead letters.")
    dlq_retention_hours: int = Field(
        720, ge=-1, description="How long a topic for dead letters that we create keeps them; -1 = for ever."
    )
    group: str | None = Field(None, description="Consumer group; default: the worker's name.")
    group_instance_id: str | None = Field(
        None,
        description="""Name of this process within the group, the same after a restart and different in each process:
        a restart then moves no partitions (static membership).""",
    )
    redis_url: SecretUrl = Field(
        SecretUrl("redis://localhost:6379/0"),
        description="Where the badges are: `redis://`, `rediss://` or `unix://`. No Redis Cluster.",
    )
    redis_timeout_s: float = Field(5.0, gt=0, le=60, description="How long Redis may take to connect or to answer.")
    admin_host: str = Field(
        "127.0.0.1", description="Address for health checks and metrics; `0.0.0.0` for whoever asks from outside."
    )
    admin_port: int = Field(9090, ge=0, le=65535, description="Port for `/healthz`, `/readyz`, `/metrics`; 0 = none.")
    batch_max_events: int = Field(1000, ge=1, le=100_000, description="Most events that a worker is given at a time.")
    fetch_max_bytes: int = Field(
        MEBIBYTE,
        ge=16 * KIBIBYTE,
        description="How much of a partition is fetched at a time; twice that is in memory at most.",
    )
    handle_timeout_s: float = Field(
        120.0,
        gt=0,
        le=86_400,
        description="A batch that takes a worker longer is given to it again, from its beginning.",
    )
    poison_attempts: int = Field(
        3, ge=1, le=100, description="How often an event that a worker fails on is tried before it is a dead letter."
    )
    breaker_dead_letters: int = Field(
        50,
        ge=0,
        description="""A worker that makes so many dead letters, each of another key, and handles nothing between them
        is at fault itself: it makes no more, and its events wait until it is repaired. 0 = never.""",
    )
    breaker_window_s: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="Within how many seconds CONSUMERS_BREAKER_DEAD_LETTERS counts.",
    )
    im_apps: ImApps = Field({}, description=f"JSON, for `reconcile`: {IM_APPS_FORM}")
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
    forward_url: str | None = Field(None, description="Where `forward` posts callbacks: your HTTP handler.")
    forward_secret: SecretStr | None = Field(
        None, description="Key of the signature that `forward` adds to each post; none: no signature."
    )
    forward_timeout_s: float = Field(10.0, gt=0, le=100, description="How long the handler may take to answer a post.")
    session_timeout_ms: int = Field(
        15_000,
        ge=1000,
        le=1_800_000,
        description="A process that the broker has not heard from for so long loses its partitions.",
    )
    stop_timeout_s: float = Field(8.0, ge=1, le=3600, description="A graceful stop takes no longer than this.")

    @field_validator("topic", "badges_topic", "dlq_topic")
    @classmethod
    def _check_topic(cls, name: str) -> str:
        return check_topic(name)

    @field_validator("group_instance_id")
    @classmethod
    def _check_group_instance_id(cls, name: str | None) -> str | None:
        return name if name is None else check_topic(name)

    @field_validator("group")
    @classmethod
    def _check_group(cls, name: str | None) -> str | None:
        if name is not None and not is_group_name(name):
            raise ValueError(
                f"{name[:60]!r} is no name for a group: it has characters that cannot be seen, spaces at an end, or "
                f"more than {MAX_GROUP_CHARS} characters"
            )
        return name

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: SecretUrl) -> SecretUrl:
        check_redis_url(url.get_secret_value())
        return url

    @field_validator("forward_url", "forward_secret", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("forward_url")
    @classmethod
    def _check_forward_url(cls, url: str | None) -> str | None:
        return url if url is None else check_http_url(url)

    @model_validator(mode="after")
    def _check_topics_differ(self) -> Self:
        if len({self.topic, self.badges_topic, self.dlq_topic}) < 3:
            raise ValueError("CONSUMERS_TOPIC, CONSUMERS_BADGES_TOPIC and CONSUMERS_DLQ_TOPIC must be different topics")
        return self

    @property
    def badges(self) -> Topic:
        """The topic for badges as it is created: each key's last record is kept for ever."""
        return Topic(self.badges_topic, self.topic_partitions, self.topic_replication, {"cleanup.policy": "compact"})

    @property
    def dead_letters(self) -> Topic:
        """The topic for dead letters as it is created. Its records are those of the events and some headers more."""
        return Topic(
            self.dlq_topic,
            self.topic_partitions,
            self.topic_replication,
            {"retention.ms": str(retention_ms(self.dlq_retention_hours)), "max.message.bytes": str(4 * MEBIBYTE)},
        )
