"""The topics of the workers."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from common.settings import SettingsGroup, check_topic


class WorkerTopicSettings(SettingsGroup):
    """What is read, and where results and dead letters go."""

    heading: ClassVar[str] = "Topics"

    topic: str = Field("im.events", description="Topic that the events are read from.")
    badges_topic: str = Field("im.badges", description="Compacted topic that every badge is written to.")
    dlq_topic: str = Field("im.events.dlq", description="Topic for what a worker cannot handle: the dead letters.")
    dlq_retention_hours: int = Field(
        720, ge=-1, description="How long a topic for dead letters that we create keeps them; -1 = for ever."
    )

    @field_validator("topic", "badges_topic", "dlq_topic")
    @classmethod
    def _check_topic(cls, name: str) -> str:
        return check_topic(name)

    @model_validator(mode="after")
    def _check_topics_differ(self) -> Self:
        if len({self.topic, self.badges_topic, self.dlq_topic}) < 3:
            raise ValueError("CONSUMERS_TOPIC, CONSUMERS_BADGES_TOPIC and CONSUMERS_DLQ_TOPIC must be different topics")
        return self
