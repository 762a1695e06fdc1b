"""A real ingress, and the audit of it."""

from __future__ import annotations

from collections.abc import Callable

from consumers.audit.summary import AuditReport
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.commands import Command, IngressProcess
from tests.support.numbered import wait_for_audit
from tests.support.topic import Topics, create_topic
from tests.support.workers import StartWorker


class AuditedIngress:
    """An ingress, and the audit of it."""

    def __init__(self, broker: Broker, topics: Topics, ingress: MakeIngress, start_worker: StartWorker) -> None:
        self.broker = broker
        self.audit_topic = f"im.audit.{topics.group}"
        self._ingress = ingress
        self._start_worker = start_worker
        create_topic(broker.bootstrap, self.audit_topic, partitions=1, config={"cleanup.policy": "compact"})

    def start(self, *, ready: bool = True, **settings: str) -> IngressProcess:
        """Start the ingress."""
        return self._ingress(
            self.broker,
            ready=ready,
            BRIDGE_AUDIT_TOPIC=self.audit_topic,
            BRIDGE_AUDIT_INTERVAL_S="0.5",
            BRIDGE_ADOPT_INTERVAL_S="0.4",
            **settings,
        )

    def start_audit(self, **settings: str) -> Command:
        """Start the audit."""
        own = {"CONSUMERS_AUDIT_TOPIC": self.audit_topic, "CONSUMERS_AUDIT_CHECKPOINT_S": "0.3"}
        return self._start_worker("audit", self.broker.bootstrap, **own, **settings)

    def wait(self, condition: Callable[[AuditReport], object], timeout: float = 60) -> AuditReport:
        """Wait until the ledger says what is expected."""
        return wait_for_audit(self.broker.bootstrap, self.audit_topic, condition, timeout=timeout)

    def wait_complete(self, at_least: int) -> AuditReport:
        """Wait until all has come that was acknowledged, no end of a life is open, and nobody seems to be silent."""
        return self.wait(
            lambda told: (
                told.counts.arrived >= at_least and not (told.counts.waiting or told.silent) and are_settled(told)
            )
        )


def are_settled(told: AuditReport) -> bool:
    """Whether no life that has ended is waited for."""
    return all(one.is_settled for one in told.lives if one.state != "living")
