"""Finds the ledger that counts on the topic for the audit, and writes it there."""

from __future__ import annotations

import contextlib
import logging
import secrets
from typing import NamedTuple

from common.kafka.clients import ClientArguments
from common.kafka.reader import TopicReader
from common.logs import fields
from consumers.audit.checkpoint import (
    LEDGER_KEYS,
    MAX_CHECKPOINT_BYTES,
    UnknownFormatError,
    decode_ledger,
    encode_ledger,
    ledger_key,
)
from consumers.audit.ledger import AuditLedger
from consumers.worker import OutgoingRecord, RecordProducer

log = logging.getLogger(__name__)


class FoundLedgers(NamedTuple):
    """What the topic for the audit has of auditors."""

    latest: AuditLedger | None
    """The one that counts; None where there is none that this version reads."""
    keys: set[bytes]
    """Of all ledgers."""
    unreadable: str
    """Why one cannot be read; empty where all can."""


async def find_ledgers(arguments: ClientArguments, topic: str) -> FoundLedgers:
    """Read the topic for the audit whole.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    values: dict[bytes, bytes] = {}
    async with TopicReader(arguments, topic) as reader, contextlib.aclosing(reader.batches()) as batches:
        async for records in batches:
            for record in records:
                key: bytes = record.key or b""
                if not key.startswith(LEDGER_KEYS):
                    continue
                if record.value:
                    values[key] = record.value
                else:
                    values.pop(key, None)
    ledgers: list[AuditLedger] = []
    unreadable = ""
    for value in values.values():
        try:
            ledgers.append(decode_ledger(value))
        except UnknownFormatError as error:
            unreadable = str(error)
    latest = max(ledgers, key=lambda one: (one.term, one.sequence), default=None)
    return FoundLedgers(latest, set(values), unreadable)


class StoredLedger:
    """The ledger of one auditor, from when it takes over until another does.

    Args:
        topic: for the audit.
        producer: writes it.
        found: what was there when it took over.
        now_ms: Unix milliseconds.
    """

    def __init__(self, topic: str, producer: RecordProducer, found: FoundLedgers, now_ms: int) -> None:
        self._topic = topic
        self._producer = producer
        self._key = ledger_key(secrets.token_hex(6))
        self._former = found.keys
        if found.unreadable:
            log.warning(
                "a ledger on %s cannot be read, and is left alone: %s",
                *(topic, found.unreadable),
                extra=fields("ledger_unreadable", reason=found.unreadable),
            )
            self._former = set()
        self.ledger = found.latest or AuditLedger(begun_ms=now_ms)
        self.ledger.term += 1
        self.ledger.sequence = 0
        self._is_too_large = False

    async def save(self) -> None:
        """Write it as it is, and wait until that is confirmed. What former auditors wrote is emptied then.

        One that is too large for a record is not written: a restart goes on from the one before, which says how far
        was read then.

        Raises:
            RetryLater: Kafka is away.
        """
        self.ledger.sequence += 1
        value = encode_ledger(self.ledger)
        was_too_large, self._is_too_large = self._is_too_large, len(value) > MAX_CHECKPOINT_BYTES
        if self._is_too_large:
            if not was_too_large:
                log.warning(
                    "the ledger is too large to be written, %d bytes: very many records wait between others that are"
                    " there. It is kept in memory until they have come; see the ingress for what keeps them",
                    len(value),
                    extra=fields("ledger_too_large", bytes=len(value)),
                )
            return
        await self._producer.publish(self._topic, [OutgoingRecord(self._key, value, partition=0)])
        if self._former:
            former = [OutgoingRecord(key, b"") for key in self._former]
            former += [OutgoingRecord(key, b"", partition=0) for key in self._former]
            await self._producer.publish(self._topic, former)
            self._former = set()
