"""The check sums of what is fetched, computed by the processor's own instruction where it has one.

aiokafka computes them by a table: of an event of 700 bytes in 355 ns, where the instruction takes 25, and the copy that
it is given 20.
"""

from __future__ import annotations

from typing import Any

import aiokafka.consumer.fetcher
import google_crc32c
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_AT, _LENGTH_END = 8, 12
_MAGIC_AT = 16
_CHECKSUM_AT, _CHECKED_FROM = 17, 21
_WITH_CRC32C = 2
"""The version of the form of batches since which that is the check sum."""


class CheckedRecords:
    """In the place of aiokafka's `MemoryRecords`: batches that were fetched, one after the other.

    Args:
        data: all of them, and perhaps a part of one more.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._begin = self._end = 0
        """Of the batch that was given last."""
        records = MemoryRecords(data)
        self.has_next, self.size_in_bytes, self._next_batch = (
            records.has_next,
            records.size_in_bytes,
            records.next_batch,
        )

    def next_batch(self) -> Any:
        """The next batch, `DefaultRecordBatch` or `LegacyRecordBatch`, unchecked."""
        batch = self._next_batch()
        self._begin = self._end
        self._end += _LENGTH_END + int.from_bytes(
            self._data[self._begin + _LENGTH_AT : self._begin + _LENGTH_END], "big"
        )
        self._last = batch
        return batch

    def is_whole(self) -> bool:
        """Whether the batch that was given last has its check sum."""
        data, begin = self._data, self._begin
        if data[begin + _MAGIC_AT] != _WITH_CRC32C:
            return bool(self._last.validate_crc())
        stored = int.from_bytes(data[begin + _CHECKSUM_AT : begin + _CHECKED_FROM], "big")
        checksum: int = google_crc32c.value(data[begin + _CHECKED_FROM : self._end])
        return checksum == stored


def keep_what_is_fetched() -> None:
    """Let all consumers that are made in this process have such records."""
    aiokafka.consumer.fetcher.MemoryRecords = CheckedRecords
