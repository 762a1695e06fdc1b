"""The ledger as metrics."""

from __future__ import annotations

from consumers.audit.ledger import AuditLedger
from consumers.audit.summary import AuditReport, complete_until_ms
from consumers.metrics import (
    AUDIT_ACTIVE,
    AUDIT_COMPLETE_SECONDS,
    AUDIT_DUPLICATES,
    AUDIT_GONE_RECORDS,
    AUDIT_RECORDS,
    AUDIT_SILENT,
    Metrics,
)

STATES = ("acknowledged", "arrived", "missing", "waiting", "unproven", "expired", "set_aside", "forgotten")


class AuditGauges:
    """Shows what the ledger says; of a process that stands by nothing but that."""

    def __init__(self, metrics: Metrics) -> None:
        self._worker = metrics.worker
        self._active = metrics.own_gauge(AUDIT_ACTIVE)
        self._records = metrics.own_gauge(AUDIT_RECORDS)
        self._duplicates = metrics.own_gauge(AUDIT_DUPLICATES)
        self._gone = metrics.own_gauge(AUDIT_GONE_RECORDS)
        self._complete_age = metrics.own_gauge(AUDIT_COMPLETE_SECONDS)
        self._silent = metrics.own_gauge(AUDIT_SILENT)
        self._active.labels(self._worker).set(0)

    def set_active(self, is_active: bool) -> None:
        """Tell whether this process keeps the ledger."""
        self._active.labels(self._worker).set(is_active)
        if not is_active:
            for gauge in (self._records, self._duplicates, self._gone, self._complete_age, self._silent):
                gauge.clear()

    def show(self, report: AuditReport, ledger: AuditLedger) -> None:
        """Show a ledger as it is now."""
        for state in STATES:
            self._records.labels(self._worker, state).set(getattr(report.counts, state))
        self._duplicates.labels(self._worker).set(report.counts.duplicates)
        self._gone.labels(self._worker).set(report.gone_records)
        self._silent.labels(self._worker).set(len(report.silent))
        until_ms = complete_until_ms(ledger)
        if until_ms is not None:
            self._complete_age.labels(self._worker).set(max(0, ledger.time_ms - until_ms) / 1000)
