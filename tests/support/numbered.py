"""Records with numbers, and statements about them, as an ingress process writes them, and what the audit says."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from bridge.devstack.service import environment
from common.audit.header import HEADER, Life, prefix_of
from common.audit.statement import SetAside, Statement, TopicStatement
from consumers.audit.stored_ledger import find_ledgers
from consumers.audit.summary import AuditReport, summarize
from tests.support.topic import ANSWERS_WITHIN_S
from tests.support.waiting import wait_until


class NumberedIngress:
    """One life of an ingress process that writes to a topic of so many partitions, in turn."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        audit_topic: str,
        *,
        process: str = "a",
        epoch: int = 1,
        folder: str = "f",
        partitions: int = 4,
        value: bytes = b"{}",
    ) -> None:
        self.life = Life(process, epoch)
        self.topic = topic
        self.given = 0
        self.confirmed = 0
        self.started_ms = _now_ms()
        self._audit_topic = audit_topic
        self._folder = folder
        self._partitions = partitions
        self._value = value
        self._producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "linger.ms": 1})

    def take(self, count: int, *, without: Collection[int] = (), received_ms: int | None = None) -> None:
        """Number so many records more, and publish all but some of them."""
        numbers = range(self.given + 1, self.given + count + 1)
        self.given += count
        self.publish((number for number in numbers if number not in without), received_ms=received_ms)

    def publish(self, numbers: Iterable[int], *, received_ms: int | None = None) -> None:
        """Publish records of these numbers, and wait until they are confirmed."""
        prefix = prefix_of(self.life)
        for number in numbers:
            self._producer.poll(0)
            self._producer.produce(
                self.topic,
                self._value,
                b"key",
                partition=number % self._partitions,
                headers=[(HEADER, prefix + b"%d" % number)],
                timestamp=received_ms or _now_ms(),
            )
        assert self._producer.flush(60) == 0
        self.confirmed = self.given

    def state(
        self,
        *,
        given: int | None = None,
        confirmed: int | None = None,
        looks: int = 1,
        taken_over: int = 0,
        ended: Any = "",
        set_aside: SetAside | None = None,
        interval_s: float = 10.0,
        time_ms: int | None = None,
        **of_topic: Any,
    ) -> None:
        """Make a statement: by default that all is confirmed that was published."""
        statement = Statement(
            process=self.life.process,
            epoch=self.life.epoch,
            folder=self._folder,
            host="test",
            pid=1,
            version="1",
            started_ms=self.started_ms,
            time_ms=_now_ms() if time_ms is None else time_ms,
            interval_s=interval_s,
            topics={
                self.topic: TopicStatement(
                    given=self.given if given is None else given,
                    confirmed_through=self.confirmed if confirmed is None else confirmed,
                    **of_topic,
                )
            },
            ended=ended,
            looks=looks,
            taken_over=taken_over,
            set_aside=set_aside or {},
        )
        self._producer.produce(self._audit_topic, statement.encode(), statement.key, partition=0)
        assert self._producer.flush(60) == 0


def run_audit(bootstrap: str, audit_topic: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `consumers audit …` to its end."""
    of_kafka = {"CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": bootstrap, "CONSUMERS_AUDIT_TOPIC": audit_topic}
    return subprocess.run(
        [Path(sys.executable).parent / "consumers", "audit", *arguments],
        env=environment({**of_kafka, **settings}),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def wait_for_audit(
    bootstrap: str, audit_topic: str, condition: Callable[[AuditReport], object], *, timeout: float = 20
) -> AuditReport:
    """Read the ledger until what it says fulfils a condition, and give that."""
    told: list[AuditReport | None] = [None]

    def holds() -> bool:
        told[0] = read_audit(bootstrap, audit_topic)
        return told[0] is not None and bool(condition(told[0]))

    wait_until(holds, timeout=timeout, what=lambda: f"what is expected of the audit, which says {told[0]}", every=0.2)
    assert told[0] is not None
    return told[0]


def read_audit(bootstrap: str, audit_topic: str) -> AuditReport | None:
    """What the ledger says now; None where there is none."""
    found = asyncio.run(find_ledgers({"bootstrap_servers": bootstrap}, audit_topic)).latest
    return None if found is None else summarize(found, found.time_ms)


def missing(told: AuditReport) -> list[tuple[str, int, int, int]]:
    """Process, epoch, first and last number of what is missing."""
    return [(gap.process, gap.epoch, gap.first, gap.last) for gap in told.gaps if gap.kind == "missing"]


def delete_records(bootstrap: str, topic: str, partition: int, before: int) -> None:
    """Delete what a partition has before an offset."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    at = TopicPartition(topic, partition, before)
    admin.delete_records([at])[at].result(timeout=ANSWERS_WITHIN_S)


def _now_ms() -> int:
    return int(time.time() * 1000)
