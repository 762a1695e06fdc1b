"""A broker with topics, on which `consumers run audit` runs and numbered records are written."""

from __future__ import annotations

from collections.abc import Callable

from consumers.audit.summary import AuditReport
from tests.support.broker import Broker
from tests.support.commands import Command
from tests.support.numbered import NumberedIngress, wait_for_audit
from tests.support.topic import Topics, create_topic
from tests.support.workers import StartWorker


class AuditStage:
    """A broker with topics, on which the audit runs."""

    def __init__(self, broker: Broker, topics: Topics, start_worker: StartWorker) -> None:
        self.broker = broker
        self.bootstrap = broker.bootstrap
        self.topics = topics
        self.audit_topic = f"im.audit.{topics.group}"
        self._start_worker = start_worker
        topics.create(self.bootstrap)
        create_topic(self.bootstrap, self.audit_topic, partitions=1, config={"cleanup.policy": "compact"})

    def start(self) -> Command:
        """Start an audit."""
        return self._start_worker(
            "audit",
            self.bootstrap,
            CONSUMERS_AUDIT_TOPIC=self.audit_topic,
            CONSUMERS_AUDIT_CHECKPOINT_S="0.3",
        )

    def ingress(self, process: str = "a", epoch: int = 1) -> NumberedIngress:
        """A life of an ingress process."""
        return NumberedIngress(
            self.bootstrap, self.topics.events, self.audit_topic, process=process, epoch=epoch, folder="f"
        )

    def wait(self, condition: Callable[[AuditReport], object], *, timeout: float = 20) -> AuditReport:
        """Wait until the ledger says what is expected."""
        return wait_for_audit(self.bootstrap, self.audit_topic, condition, timeout=timeout)
