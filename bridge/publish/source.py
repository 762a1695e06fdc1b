"""What a publisher needs of the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from bridge.journal.budget import DiskBudget
from bridge.journal.groups import PendingRecord, Resolve
from bridge.journal.record import Record
from bridge.journal.topic_queue import TopicQueue

T = TypeVar("T")


class Source(Protocol):
    """Where records come from: `bridge.journal.journal.Journal`."""

    @property
    def folder(self) -> Path:
        """Where its files are."""

    @property
    def queues(self) -> Mapping[str, TopicQueue]:
        """Topic → what waits for Kafka."""

    @property
    def budget(self) -> DiskBudget:
        """Of the disk."""

    @property
    def disk_ok(self) -> bool:
        """Whether the disk takes records at present."""

    def queue(self, topic: str) -> TopicQueue:
        """The queue of a topic."""

    def confirm(self, records: Sequence[PendingRecord]) -> None:
        """Kafka confirmed these records, of groups that were leased."""

    def set_aside(self, pending: PendingRecord, *, kept: bool) -> None:
        """A record never comes, since Kafka refuses it for good. `kept`: on disk; else nobody was told of it."""

    def append(self, record: Record, resolve: Resolve | None = None, *, forced: bool = False) -> None:
        """Take a record of ours, the announcement of another one: see `Journal.append`."""

    async def on_disk(self, function: Callable[[], T]) -> T:
        """The result of `function`, which touches files, called behind the journal's own file work."""
