"""Reads the statements of ingress processes, and says when they are due."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

import msgspec
from aiokafka import TopicPartition

from common.audit.header import parse_life
from common.audit.statement import decode_statement
from common.kafka.light_records import LightRecord
from common.logs import Throttle, fields
from consumers.audit.checkpoint import FORGET_KEYS
from consumers.audit.ledger import MAX_LIVES, AuditLedger
from consumers.audit.life import Stated
from consumers.audit.window_tally import WindowTally

log = logging.getLogger(__name__)

NOTE_ENDS_S = 0.5
REPORT_INTERVAL_S = 3600.0


class PendingStatements:
    """Statements that were read, and how far must be read until they are due.

    Of each life the last one is kept. While some are pending others are gathered, and become pending together: how
    many there are does not depend on how far the reading is behind.

    Args:
        ledger: told of each statement.
        tally: of a window, told too.
    """

    def __init__(self, ledger: AuditLedger, tally: WindowTally | None = None) -> None:
        self._ledger = ledger
        self._tally = tally
        # A ledger that is gone on with may have been kept when a statement had been read, and was not due.
        self._gathered = ledger.undue_statements()
        self._pending: list[Stated] = []
        self._note_ends_at = 0.0
        self.ends: Mapping[TopicPartition, int] | None = None
        """Of the partitions, when the pending ones had been read; None while none are pending."""
        self._throttle = Throttle(REPORT_INTERVAL_S)
        self.due_batches = 0
        """How often some have become due."""

    def read(self, records: Sequence[LightRecord], now_ms: int | None) -> None:
        """Note records of the topic for the audit.

        Args:
            records: in their order.
            now_ms: the time; None: they are old.
        """
        ledger = self._ledger
        for record in records:
            key, offset = record.key or b"", record.offset
            ledger.audit_position = offset + 1
            if key.startswith(FORGET_KEYS):
                process = key.removeprefix(FORGET_KEYS).decode(errors="replace")
                if record.value is None:
                    ledger.forgotten.pop(process, None)
                else:
                    ledger.forget(process, offset, record.timestamp)
            elif record.value is not None and parse_life(key.decode(errors="replace")) is not None:
                self._read_statement(offset, key, record.value, now_ms)

    def want_ends(self, *, may_be_none: bool) -> bool:
        """Whether `note_ends` is due.

        Args:
            may_be_none: also where no statement was read.
        """
        is_free = self.ends is None and time.monotonic() >= self._note_ends_at
        return is_free and (may_be_none or bool(self._gathered))

    def note_ends(self, ends: Mapping[TopicPartition, int]) -> None:
        """Make those pending that were read by now, until all is read up to these ends, which are of later."""
        self._note_ends_at = time.monotonic() + NOTE_ENDS_S
        self._pending, self._gathered = list(self._gathered.values()), {}
        self.ends = ends

    def make_due(self) -> None:
        """Note that all was read up to the ends."""
        self._ledger.make_due(self._pending)
        self._pending, self.ends = [], None
        self.due_batches += 1

    def _read_statement(self, offset: int, key: bytes, value: bytes, now_ms: int | None) -> None:
        try:
            statement = decode_statement(value)
        except msgspec.DecodeError as error:
            self._pass_over(offset, f"this version cannot read it: {error}")
            return
        if statement.key != key:
            self._pass_over(offset, "it lies under another key than its own")
            return
        if self._tally is not None:
            self._tally.hear(statement)
            lives = self._ledger.lives
            if len(lives) >= MAX_LIVES and statement.life.name not in lives and self._tally.is_before(statement):
                return  # Of years of lives those have to be known that matter, and there is no room for all.
        stated = Stated(offset, statement)
        self._ledger.read_statement(stated, statement.time_ms if now_ms is None else now_ms)
        if statement.life.name in self._ledger.lives:
            self._gathered[statement.life.name] = stated

    def _pass_over(self, offset: int, reason: str) -> None:
        self._ledger.unreadable += 1
        if self._throttle.admits(reason):
            log.warning(
                "a record of the topic for the audit, offset %d, is passed over, and others like it: %s",
                *(offset, reason),
                extra=fields("statement_unreadable", offset=offset, reason=reason),
            )
