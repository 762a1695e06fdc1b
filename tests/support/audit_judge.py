"""The second judge of long runs: `consumers run audit`, which knows nothing of what was sent but what topics say."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.timestamps import rfc3339
from consumers.audit.summary import AuditReport
from tests.support.commands import Command
from tests.support.numbered import read_audit
from tests.support.ports import free_port
from tests.support.topic import Topics
from tests.support.waiting import wait_until

OFTEN_S = "1"
"""How often an ingress states what it took, and the audit writes its ledger, where somebody waits for it."""
TOLD_GAPS = 5


class AuditProcess(Command):
    """`consumers run audit` of these topics; `settings` are added or replace."""

    def __init__(self, folder: Path, bootstrap: str, topics: Topics, **settings: str) -> None:
        admin_port = free_port()
        env = {
            "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "CONSUMERS_TOPIC": topics.events,
            "CONSUMERS_DLQ_TOPIC": topics.dlq,
            "CONSUMERS_AUDIT_TOPIC": topics.audit,
            "CONSUMERS_GROUP": f"audit.{topics.group}",
            "CONSUMERS_AUDIT_CHECKPOINT_S": OFTEN_S,
            "CONSUMERS_SESSION_TIMEOUT_MS": "6000",  # After a broker was killed it stands by for as long.
            "CONSUMERS_ADMIN_PORT": str(admin_port),
        }
        command = ("consumers", "run", "audit")
        super().__init__(*command, log=folder / "audit.log", env={**env, **settings}, admin_port=admin_port)


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What the audit says at the end of a run."""

    report: AuditReport | None
    """None: it has written no ledger."""
    complaints: list[str]
    """Why it does not say that all is there; one line each."""

    @property
    def ok(self) -> bool:
        """Whether it says that nothing is missing, and that this is proven."""
        return not self.complaints


def wait_for_verdict(read: Callable[[], AuditReport | None], since: str, *, timeout: float) -> AuditVerdict:
    """Ask for the ledger until it says that all is there up to a time, and give what it says then, or at last.

    Args:
        read: gives what the ledger says now.
        since: RFC 3339, when all was on the topics: what it says of an earlier time is no proof.
        timeout: seconds, after which it is judged as it is.
    """
    told: list[AuditReport | None] = [None]

    def agrees() -> bool:
        told[0] = read()
        return not complaints(told[0], since)

    with contextlib.suppress(TimeoutError):
        wait_until(agrees, timeout=timeout, every=0.5, what="the audit to say that all is there")
    return AuditVerdict(told[0], complaints(told[0], since))


def wait_for_audit_of(bootstrap: str, topics: Topics, *, timeout: float) -> AuditVerdict:
    """`wait_for_verdict` of an audit that runs, from now on."""
    return wait_for_verdict(
        lambda: read_audit(bootstrap, topics.audit), rfc3339(time.time_ns() // 10**6), timeout=timeout
    )


def complaints(report: AuditReport | None, since: str) -> list[str]:
    """Why a report does not prove that nothing is missing of what was taken until a time (RFC 3339)."""
    if report is None:
        return ["there is no ledger: the audit does not run, or cannot write"]
    found = [
        f"{number:,} are {kind}: {_gaps(report, kind)}"
        for kind in ("missing", "unproven", "expired", "set_aside", "forgotten", "before")
        if (number := getattr(report.counts, kind))
    ]
    if report.gone or report.gone_records:
        found.append(f"{report.gone_records:,} were read and are gone: {report.gone[:TOLD_GAPS]}")
    if report.silent:
        found.append(f"silent, though nobody has said that they ended: {', '.join(report.silent)}")
    if report.counts.waiting:
        found.append(f"{report.counts.waiting:,} are still waited for")
    if report.unnumbered:
        found.append(f"{report.unnumbered:,} records have no number")
    if not report.counts.arrived:
        found.append("no record has arrived")
    if report.complete_until is None or report.complete_until < since:
        found.append(f"complete until {report.complete_until}, and all was there at {since}")
    return found


def _gaps(report: AuditReport, kind: str) -> str:
    gaps = [one for one in report.gaps if one.kind == kind]
    told = ", ".join(f"{one.process}/{one.epoch} {one.topic} {one.first}-{one.last}" for one in gaps[:TOLD_GAPS])
    return told + (" …" if len(gaps) > TOLD_GAPS else "")
