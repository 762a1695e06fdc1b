"""The topics of the ingress, and how records get there."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from bridge.settings.units import MEBIBYTE
from common.settings import SettingsGroup, check_topic


class TopicSettings(SettingsGroup):
    """Names and retention of the topics, and the way of records to them."""

    heading: ClassVar[str] = "Topics"

    topic: str = Field("im.events", description="Topic for events.")
    dlq_topic: str = Field("im.events.dlq", description="Topic for what could not be understood: the dead letters.")
    topic_retention_hours: int = Field(
        168, ge=-1, description="How long a topic of events that we create keeps them; -1 = for ever."
    )
    dlq_retention_hours: int = Field(720, ge=-1, description="The same for dead letters.")
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "none", description="How records are compressed on their way to Kafka."
    )
    read_ahead_bytes: int = Field(
        4 * MEBIBYTE,
        ge=MEBIBYTE,
        description="How much of the backlog of a topic is read at a time; twice that is in memory: waiting, leased.",
    )
    kafka_stall_s: float = Field(
        20.0,
        gt=0,
        description="A producer that has confirmed nothing for this long is replaced, its brokers looked up anew.",
    )

    @field_validator("topic", "dlq_topic")
    @classmethod
    def _check_topic(cls, name: str) -> str:
        return check_topic(name)

    @field_validator("topic_retention_hours", "dlq_retention_hours")
    @classmethod
    def _check_retention(cls, hours: int) -> int:
        if hours == 0:
            raise ValueError("0 hours would keep nothing: give a number of hours, or -1 for ever")
        return hours

    @model_validator(mode="after")
    def _check_topics_differ(self) -> Self:
        if self.topic == self.dlq_topic:
            raise ValueError(
                f"BRIDGE_TOPIC and BRIDGE_DLQ_TOPIC are both {self.topic}: dead letters are no events, and need a topic"
                " of their own"
            )
        return self
