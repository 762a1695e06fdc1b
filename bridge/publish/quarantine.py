"""Records that the broker refuses for good: kept as files beside the journals, announced on the dead-letter topic."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec

from bridge.journal.own_file import ForeignError, opened
from bridge.journal.record import Record, pack, unpack
from bridge.journal.store import sync_folder
from common.logs import Throttle, fields
from common.program import command_line

log = logging.getLogger(__name__)

FOLDER = "refused"
SUFFIX = ".record"
REPORT_INTERVAL_S = 60.0


class QuarantinedRecord(NamedTuple):
    """A record in quarantine."""

    path: Path
    record: Record


def refused_in(journal_dir: Path) -> Iterator[Record]:
    """The records in the quarantine of a folder of journals."""
    return (item.record for item in Quarantine(journal_dir, dlq_topic="", max_bytes=0))


class QuarantineUsage(NamedTuple):
    """How much is in quarantine."""

    files: int
    bytes: int


class Quarantine:
    """The folder of records that Kafka refuses for good. What is in it stays until somebody moves it away.

    It has a budget of its own, so that it takes nothing from the journal. It takes what is beyond it all the same,
    because it was acknowledged, and because one record must never hold up a topic; that counts as the journal's.

    Args:
        journal_dir: root of the journals; the folder is inside.
        dlq_topic: topic of the announcements.
        max_bytes: the budget.
    """

    def __init__(self, journal_dir: Path, *, dlq_topic: str, max_bytes: int) -> None:
        self.folder = journal_dir / FOLDER
        self.max_bytes = max_bytes
        self.usage = QuarantineUsage(0, 0)
        """As it was last counted, and what was put into it since."""
        self.kept = Counter[str]()
        """Topic → records that this process has put into it."""
        self._dlq_topic = dlq_topic
        self._throttle = Throttle(REPORT_INTERVAL_S)

    def move_to(self, journal_dir: Path) -> None:
        """The journals are there, not where the settings say."""
        self.folder = journal_dir / FOLDER

    @property
    def excess_bytes(self) -> int:
        """How much is beyond the budget."""
        return max(0, self.usage.bytes - self.max_bytes)

    @property
    def state(self) -> dict[str, int | bool]:
        """For readiness."""
        files, size = self.usage
        return {"files": files, "bytes": size, "limit_bytes": self.max_bytes, "full": size >= self.max_bytes}

    def counted(self) -> QuarantineUsage:
        """How much is in it now: others may have put something there, or moved it away. Touches the disk.

        Raises:
            OSError: it cannot be looked at.
        """
        files = size = 0
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX):
                    files += 1
                    size += entry.stat(follow_symlinks=False).st_size
        return QuarantineUsage(files, size)

    def note(self, usage: QuarantineUsage) -> None:
        """This is how much is in it."""
        self.usage = usage
        self.warn_if_full()

    def warn_if_full(self) -> None:
        """Say now and then what to do, while there is too much in it."""
        if self.usage.bytes >= self.max_bytes and self._throttle.admits("full"):
            log.error(
                "the quarantine %s is full: %d files of %d bytes, of BRIDGE_QUARANTINE_MAX_BYTES=%d. What comes on top"
                " is kept, and counts for BRIDGE_JOURNAL_MAX_BYTES. See why Kafka refuses them (`%s journal show"
                " --refused`; mostly max.message.bytes of the topic), then move the files elsewhere",
                *(self.folder, *self.usage, self.max_bytes, command_line("bridge")),
                extra=fields("quarantine_full", folder=str(self.folder)),
            )

    def keep(self, record: Record, reason: str) -> Record:
        """Keep a record as a file, synced. Gives the record that announces it. Touches the disk.

        Raises:
            OSError: the disk does not take it.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{time.time_ns():020d}-{uuid4().hex[:8]}{SUFFIX}"
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                size = file.write(pack([record]))
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self.folder)
        except BaseException:  # It is tried again and again, each time with a file more.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        self.usage = QuarantineUsage(self.usage.files + 1, self.usage.bytes + size)
        self.kept[record.topic] += 1
        log.error(
            "Kafka refuses a record of %s for good (%s); it was put into quarantine: %s",
            record.topic,
            reason,
            path.name,
            extra=fields("set_aside", topic=record.topic, reason=reason),
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
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                with opened(path) as file:
                    (record,) = unpack(file.read())
            except (ForeignError, OSError, ValueError, msgspec.DecodeError) as error:
                log.warning(
                    "%s cannot be read: %s", path, error, extra=fields("set_aside_unreadable", reason=str(error))
                )
                continue
            yield QuarantinedRecord(path, record)
