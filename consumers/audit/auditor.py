"""Proves that nothing is missing: `consumers run audit`.

This is the process. runtime/leadership.py says whether it works or stands by, reading.py reads the topics and the
statements of the ingress processes, judging.py decides, ledger.py is what is known, stored_ledger.py keeps it on the
audit's topic.

What is known and how far was read are one record, so that a restart goes on exactly: no record is counted twice, and
none is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import NoReturn

from aiokafka.errors import KafkaError

from common.admin import Readiness
from common.kafka.topics import TopicsMissingError, ensure_topics
from common.logs import fields
from common.retry import Backoff
from consumers.audit.audit_gauges import AuditGauges
from consumers.audit.reading import TopicReading, now_ms
from consumers.audit.stored_ledger import StoredLedger, find_ledgers
from consumers.audit.summary import AuditReport, summarize
from consumers.errors import RetryLater, describe
from consumers.metrics import Metrics
from consumers.runtime.leadership import Leadership
from consumers.runtime.process import run_process
from consumers.runtime.producer import Producer
from consumers.runtime.status import WaitStatus
from consumers.settings import ConsumersSettings

log = logging.getLogger(__name__)

NAME = "audit"

_TOPICS_TIMEOUT_S = 20.0
_LAST_SAVE_TIMEOUT_S = 3.0
_TOLD_GAPS = 5


class Auditor:
    """The process `consumers run audit`, until SIGTERM or SIGINT."""

    def __init__(self, settings: ConsumersSettings) -> None:
        self._settings = settings
        settings.kafka_client()  # Made anew for each client; here to fail at once where it cannot be.
        self._metrics = Metrics(NAME)
        self._metrics.ready.set_function(lambda: float(self._readiness().ready))
        self._waiting = WaitStatus(self._metrics.waiting.set)
        self._gauges = AuditGauges(self._metrics)
        self._producer = Producer(settings.kafka_client)
        self._group = settings.group or NAME
        self._is_active: bool | None = None
        self._stored: StoredLedger | None = None
        self._saved_at = 0.0
        self._told_missing = 0

    async def run(self) -> None:
        """Work until a signal asks to stop.

        Raises:
            OSError: the admin port is taken.
        """
        await run_process(
            self._settings,
            self._work(),
            readiness=self._readiness,
            metrics=self._metrics,
            stops=(self._producer.stop,),
        )

    def _readiness(self) -> Readiness:
        state = {True: "keeps the ledger", False: "stands by", None: "starting"}[self._is_active]
        detail: dict[str, object] = {"audit": state, "group": self._group}
        if self._waiting.reason is not None:
            detail["waiting"] = self._waiting.reason
        return Readiness(self._is_active is not None and self._waiting.reason is None, detail)

    async def _work(self) -> NoReturn:
        waits = Backoff()
        while True:
            try:
                async with asyncio.timeout(_TOPICS_TIMEOUT_S):
                    await ensure_topics(self._settings.kafka_client(), [self._settings.audit])
                await Leadership(
                    self._settings, self._group, self._settings.audit_topic, self._keep, self._report_active
                ).run()
            except (RetryLater, TopicsMissingError, KafkaError, OSError, TimeoutError) as error:
                is_ours = isinstance(error, RetryLater | TopicsMissingError)
                at = f"Kafka at {self._settings.kafka_bootstrap_servers}"
                self._waiting.begin(NAME, str(error) if is_ours else f"{at}: {describe(error)}")
                self._metrics.set_connected("kafka", False)
                if self._is_active is not None:
                    waits.reset()
                self._is_active = None
            await asyncio.sleep(next(waits))

    def _report_active(self, is_active: bool) -> None:
        self._is_active = is_active
        self._gauges.set_active(is_active)
        self._waiting.end(NAME)
        self._metrics.set_connected("kafka", True)

    async def _keep(self) -> NoReturn:
        """Keep the ledger, until another process does or Kafka is away."""
        settings = self._settings
        found = await find_ledgers(settings.kafka_client(), settings.audit_topic)
        stored = self._stored = StoredLedger(settings.audit_topic, self._producer, found, now_ms())
        self._told_missing = summarize(stored.ledger, now_ms()).counts.missing
        log.info(
            "going on with the ledger of %s" if found.latest else "beginning a ledger on %s",
            settings.audit_topic,
            extra=fields("ledger_opened", topic=settings.audit_topic),
        )
        reading = TopicReading(
            settings.kafka_client,
            stored.ledger,
            settings.audit_topic,
            {settings.topic, settings.dlq_topic},
            after_judging=self._after_judging,
        )
        try:
            await reading.run()
        finally:
            with contextlib.suppress(RetryLater, TimeoutError):
                async with asyncio.timeout(_LAST_SAVE_TIMEOUT_S):
                    await stored.save()
        raise AssertionError("reading ends with an error only")

    async def _after_judging(self) -> None:
        stored = self._stored
        if stored is None:
            return
        report = summarize(stored.ledger, now_ms())
        self._gauges.show(report, stored.ledger)
        self._tell_missing(report)
        if time.monotonic() >= self._saved_at + self._settings.audit_checkpoint_s:
            await stored.save()
            self._saved_at = time.monotonic()

    def _tell_missing(self, report: AuditReport) -> None:
        """Log what has been found missing since the last time."""
        before, self._told_missing = self._told_missing, report.counts.missing
        if report.counts.missing <= before:
            return
        missing = [gap for gap in report.gaps if gap.kind == "missing"]
        named = "; ".join(
            f"{gap.process}/{gap.epoch} {gap.topic} {gap.first} to {gap.last}, received between {gap.after or '?'} and"
            f" {gap.before or '?'}"
            for gap in missing[-_TOLD_GAPS:]
        )
        log.error(
            "%d records that were acknowledged are not on the topics: %s",
            report.counts.missing,
            named,
            extra=fields("records_missing", records=report.counts.missing),
        )
