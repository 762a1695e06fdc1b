"""The ledger on the topic for the audit: one record that has all of it, positions included.

Each auditor writes under a key of its own, so that none overwrites what another knows. Of several the one counts that
has the higher term: who takes over writes in a higher term than all that were there. An auditor that was stopped, and
wakes up when another has taken over, writes what nobody reads.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from consumers.audit.ledger import FORMAT, AuditLedger

LEDGER_KEYS = b"ledger:"
FORGET_KEYS = b"forget:"
MAX_CHECKPOINT_BYTES = 900_000
"""Below what a topic takes where nobody says otherwise, 1 MiB."""

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""A ledger of ten thousand lives has a tenth of it; whoever may write to the topic could have one that has a GiB."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AuditLedger)


class UnknownFormatError(Exception):
    """A ledger was written by another version, or is damaged."""


def ledger_key(auditor: str) -> bytes:
    """The key of an auditor's ledger."""
    return LEDGER_KEYS + auditor.encode()


def forget_key(process: str) -> bytes:
    """The key of the record that gives up a process."""
    return FORGET_KEYS + process.encode()


def encode_ledger(ledger: AuditLedger) -> bytes:
    """A ledger as the value of a record. Where it is too large, the gaps of its largest streams are folded first."""
    while True:
        value = zlib.compress(_encoder.encode(ledger), 3)
        largest = max((one for life in ledger.lives.values() for one in life.streams.values()), key=_size, default=None)
        if len(value) <= MAX_CHECKPOINT_BYTES or largest is None:
            return value
        before = _size(largest)
        largest.fold(leave=before // 4)
        if _size(largest) == before:
            return value


def decode_ledger(value: bytes) -> AuditLedger:
    """The ledger of a record.

    Raises:
        UnknownFormatError: it is none that this version reads.
    """
    try:
        unpacking = zlib.decompressobj()
        unpacked = unpacking.decompress(value, MAX_UNPACKED_BYTES)
        if not unpacking.eof:
            raise UnknownFormatError("it is cut, or larger than a ledger can be")
        ledger = _decoder.decode(unpacked)
    except (zlib.error, msgspec.DecodeError) as error:
        raise UnknownFormatError(str(error)) from error
    if ledger.format != FORMAT:
        raise UnknownFormatError(f"its format is {ledger.format}, this version knows {FORMAT}")
    return ledger


def _size(stream: Any) -> int:
    return len(stream.seen)
