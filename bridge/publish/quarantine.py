"""Records that the broker refuses for good: kept as files beside the journals, announced on the dead-letter topic."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec

from bridge.journal.record import Record, pack, unpack
from bridge.journal.store import sync_folder

log = logging.getLogger(__name__)

FOLDER = "refused"
SUFFIX = ".record"
MAX_FILES = 10_000


class QuarantinedRecord(NamedTuple):
    """A record in quarantine."""

    path: Path
    record: Record


class Quarantine:
    """The folder of records that Kafka refuses for good. What is in it stays until somebody moves it away.

    Args:
        journal_dir: root of the journals; the folder is inside.
        dlq_topic: topic of the announcements.
    """

    def __init__(self, journal_dir: Path, *, dlq_topic: str) -> None:
        self._folder = journal_dir / FOLDER
        self._dlq_topic = dlq_topic

    def keep(self, record: Record, reason: str) -> Record:
        """Keep a record as a file, synced. Gives the record that announces it.

        Raises:
            OSError: the disk does not take it, or the folder is full.
        """
        path = self._folder / f"{time.time_ns():020d}-{uuid4().hex[:8]}{SUFFIX}"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sum(1 for _ in self._folder.iterdir()) >= MAX_FILES:
            raise OSError(f"{self._folder} holds {MAX_FILES} records already: move them elsewhere")
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(pack([record]))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._folder)
        log.error(
            "Kafka refuses a record of %s for good (%s); it was put into quarantine: %s",
            record.topic,
            reason,
            path.name,
        )
        return Record(
            self._dlq_topic,
            record.key,
            b"",
            [
                ("content-type", b"application/octet-stream"),
                ("reason", b"refused_by_broker"),
                ("detail", reason.encode()),
                ("original-topic", record.topic.encode()),
                ("original-size", b"%d" % record.size),
                ("set-aside", path.name.encode()),
            ],
            time.time_ns() // 1_000_000,
        )

    def __iter__(self) -> Iterator[QuarantinedRecord]:
        """The records in it, oldest first; files that cannot be read are left out, and told."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                (record,) = unpack(path.read_bytes())
            except (OSError, ValueError, msgspec.DecodeError) as error:
                log.warning("%s cannot be read: %s", path, error)
                continue
            yield QuarantinedRecord(path, record)
