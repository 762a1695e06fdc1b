"""Gives up an ingress process whose disk is gone."""

from __future__ import annotations

import re
import time

import msgspec

from consumers.audit.checkpoint import forget_key
from consumers.audit.ledger import AuditLedger
from consumers.audit.stored_ledger import find_ledgers
from consumers.audit.summary import summarize
from consumers.commands.audit_display import found_ledger
from consumers.commands.execution import fail, fail_for_use, quiet_settings, run_to_end
from consumers.runtime.producer import Producer
from consumers.settings import ConsumersSettings
from consumers.worker import OutgoingRecord


def forget(process: str) -> None:
    """See `consumers.commands.audit.forget`."""
    process = process.partition("/")[0]
    if not re.fullmatch(r"[a-z0-9]{1,32}", process):
        fail_for_use(f"{process!r} is no id of a process: `consumers audit` names them, such as 73f3b0a3")
    settings = quiet_settings()
    ledger = found_ledger(run_to_end(find_ledgers(settings.kafka_client(), settings.audit_topic)), settings)
    _check(ledger, process)
    run_to_end(_write(settings, process))
    print(  # noqa: T201
        f"{process} is given up. What it had not published is counted as forgotten within seconds, and nobody waits for"
        " it; should it state something again, it counts again"
    )


def _check(ledger: AuditLedger, process: str) -> None:
    """See that a process may be given up."""
    lives = [one for one in summarize(ledger, ledger.time_ms).lives if one.process == process]
    if not lives:
        known = sorted({life.process for life in ledger.lives.values()})
        fail(f"no process {process} has stated anything. There are {', '.join(known) or 'none'}")
    if any(life.state == "living" for life in lives):
        fail(f"{process} lives: it states how it is. Stop it first, if it is to be given up")


async def _write(settings: ConsumersSettings, process: str) -> None:
    producer = Producer(settings.kafka_client)
    value = msgspec.json.encode({"process": process, "time_ms": int(time.time() * 1000)})
    try:
        await producer.publish(settings.audit_topic, [OutgoingRecord(forget_key(process), value, partition=0)])
    finally:
        await producer.stop()
