"""All settings of the workers, composed of those of each concern."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator
from pydantic_settings import SettingsConfigDict

from common.audit.topic import audit_topic
from common.settings import Settings, retention_ms
from common.topic import Topic
from consumers.settings.admin import AdminSettings
from consumers.settings.archive import ArchiveSettings
from consumers.settings.audit import LedgerSettings
from consumers.settings.backfill import BackfillSettings
from consumers.settings.forward import ForwardSettings
from consumers.settings.group import MembershipSettings
from consumers.settings.handling import HandlingSettings
from consumers.settings.reconcile import ReconcileSettings
from consumers.settings.redis import RedisSettings
from consumers.settings.topics import WorkerTopicSettings
from consumers.settings.units import MEBIBYTE


class ConsumersSettings(
    WorkerTopicSettings,
    MembershipSettings,
    RedisSettings,
    AdminSettings,
    HandlingSettings,
    ReconcileSettings,
    ArchiveSettings,
    BackfillSettings,
    ForwardSettings,
    LedgerSettings,
    Settings,
):
    """Each field is the variable `CONSUMERS_<NAME>`; `consumers settings` prints the table of all of them.

    A new setting belongs into the class of its concern; here is only what needs several of them.
    """

    model_config = SettingsConfigDict(env_prefix="CONSUMERS_")

    @property
    def badges(self) -> Topic:
        """The topic for badges as it is created: each key's last record is kept for ever."""
        return Topic(self.badges_topic, self.topic_partitions, self.topic_replication, {"cleanup.policy": "compact"})

    @property
    def audit(self) -> Topic:
        """The topic for the audit as it is created."""
        return audit_topic(self.audit_topic, self.topic_replication)

    @model_validator(mode="after")
    def _check_audit_topic_differs(self) -> Self:
        if self.audit_topic in {self.topic, self.badges_topic, self.dlq_topic}:
            raise ValueError(
                f"CONSUMERS_AUDIT_TOPIC must be a topic of its own, and {self.audit_topic} is another one's"
            )
        return self

    @property
    def dead_letters(self) -> Topic:
        """The topic for dead letters as it is created. Its records are those of the events and some headers more."""
        return Topic(
            self.dlq_topic,
            self.topic_partitions,
            self.topic_replication,
            {"retention.ms": str(retention_ms(self.dlq_retention_hours)), "max.message.bytes": str(4 * MEBIBYTE)},
        )
