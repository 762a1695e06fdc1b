"""All settings of the ingress, composed of those of each concern."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from bridge.settings.access import AccessSettings
from bridge.settings.audit import AuditSettings
from bridge.settings.console import ConsoleSettings
from bridge.settings.decisions import DecisionSettings
from bridge.settings.events import EventSettings
from bridge.settings.journal import JournalSettings
from bridge.settings.limits import LimitSettings
from bridge.settings.listening import ListeningSettings
from bridge.settings.processes import ProcessSettings
from bridge.settings.stale import StaleSettings
from bridge.settings.tls import TlsSettings
from bridge.settings.topics import TopicSettings
from bridge.settings.traces import TraceSettings
from common.audit.topic import audit_topic
from common.settings import Settings, retention_ms
from common.topic import Topic


class BridgeSettings(
    AccessSettings,
    ListeningSettings,
    TlsSettings,
    ProcessSettings,
    TopicSettings,
    JournalSettings,
    AuditSettings,
    DecisionSettings,
    EventSettings,
    StaleSettings,
    LimitSettings,
    TraceSettings,
    ConsoleSettings,
    Settings,
):
    """Each field is the variable `BRIDGE_<NAME>`; `bridge settings` prints the table of all of them.

    A new setting belongs into the class of its concern; here is only what needs several of them.
    """

    longest_s: ClassVar[int] = 7 * 86_400
    renewed: ClassVar[frozenset[str]] = frozenset({"apps", "allowed_networks", "im_apps", "kafka_sasl_password"})

    model_config = SettingsConfigDict(env_prefix="BRIDGE_")

    @field_validator("*")
    @classmethod
    def _check_seconds(cls, value: Any, info: ValidationInfo) -> Any:
        if (info.field_name or "").endswith("_s") and not value <= cls.longest_s:
            raise ValueError(f"{value} is more than a week ({cls.longest_s} s)")
        return value

    @model_validator(mode="after")
    def _check_audit_differs(self) -> Self:
        for field, topic in (("TOPIC", self.topic), ("DLQ_TOPIC", self.dlq_topic)):
            if self.audit_topic == topic:
                raise ValueError(
                    f"BRIDGE_AUDIT_TOPIC and BRIDGE_{field} are both {topic}: what a process states of its records"
                    " needs a topic of its own"
                )
        return self

    @model_validator(mode="after")
    def _check_fronts(self) -> Self:
        if self.proxy_protocol and not self.trusted_proxies:
            raise ValueError(
                "BRIDGE_PROXY_PROTOCOL is on, and BRIDGE_TRUSTED_PROXIES is empty: name the fronts that send its header"
            )
        return self

    def remarks(self) -> Iterator[str]:
        """What is set and may not do what is meant."""
        yield from super().remarks()
        if (synced_ms := self.gather_ms + self.sync_after_ms) >= self.reply_deadline_ms:
            yield (
                f"BRIDGE_GATHER_MS and BRIDGE_SYNC_AFTER_MS are {synced_ms:g} ms together, no less than"
                f" BRIDGE_REPLY_DEADLINE_MS ({self.reply_deadline_ms}): while Kafka is away the disk comes too late,"
                " and each callback is answered 503. Lower the first two"
            )
        for network in self.trusted_proxies if self.proxy_protocol else ():
            if network.prefixlen == 0:
                yield f"BRIDGE_TRUSTED_PROXIES has {network}, so anybody may say by the PROXY protocol who they are"

    @property
    def topics(self) -> list[Topic]:
        """The topics of the ingress as it creates them."""
        return [
            self._topic(self.topic, self.topic_retention_hours),
            self._topic(self.dlq_topic, self.dlq_retention_hours),
        ]

    @property
    def audited_by(self) -> Topic | None:
        """The topic of the statements as the ingress creates it; None: nothing is stated."""
        if not self.audit:
            return None
        return audit_topic(self.audit_topic, self.topic_replication)

    def _topic(self, name: str, retention_hours: int) -> Topic:
        return Topic(
            name,
            self.topic_partitions,
            self.topic_replication,
            {"retention.ms": str(retention_ms(retention_hours)), "max.message.bytes": str(self.max_record_bytes)},
        )
