"""One run of `consumers backfill`: the hours of a span of time, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from consumers.archive.archive import MessageArchive, open_archive
from consumers.archive.hour import ArchiveWindow, Hour
from consumers.archive.message import ArchivedChat
from consumers.backfill.event import EventMaker
from consumers.backfill.hour_comparison import HourComparison
from consumers.backfill.hour_count import HourCount
from consumers.backfill.known_messages import KnownMessages
from consumers.backfill.publishing import BackfillPublisher, ReportWait
from consumers.backfill.run_state import drop_state, load_state, save_state
from consumers.backfill.topic_index import TopicIndex
from consumers.errors import WorkerRefusedError, describe
from consumers.runtime.producer import Producer
from consumers.settings import ConsumersSettings
from consumers.worker import RecordProducer


@dataclass(frozen=True)
class BackfillOrder:
    """What is asked for."""

    window: ArchiveWindow
    apps: Sequence[str]
    chats: Sequence[ArchivedChat]
    publish: bool
    despite_retention: bool = False
    """Whether messages are published that the topic may have had, and has deleted."""

    @property
    def name(self) -> str:
        """By which an interrupted run is known again."""
        span = f"{self.window.start.isoformat()} {self.window.end.isoformat()}"
        return f"{span} {','.join(self.apps)} {','.join(self.chats)} {self.publish} {self.despite_retention}"

    def parts(self) -> list[tuple[Hour, str, ArchivedChat]]:
        """Hour, app and chat of each part of the work, in order of time."""
        return [(hour, app, chat) for hour in self.window.hours() for app in self.apps for chat in self.chats]


@dataclass
class BackfillProgress:
    """How far a run is."""

    total: int = 0
    """Parts of the work: an hour of an app and a chat each."""
    hours: list[HourCount] = field(default_factory=list)
    """Those that are done."""
    current: HourCount | None = None
    resumed: int = 0
    """Of the done ones: those that an interrupted run did."""
    reading: tuple[int, int] | None = None
    """How many offsets of the topic were read, of how many, while it is read."""
    waiting_for: str | None = None
    """What is away, while something is."""


ReportBackfill = Callable[[BackfillProgress], None]


async def backfill(settings: ConsumersSettings, order: BackfillOrder, report: ReportBackfill) -> BackfillProgress:
    """Compare the hours of a span with the topic, and publish what is missing, if that is asked for.

    Args:
        settings: connections, topics, the archive.
        order: what is asked for.
        report: told of the progress, also of what is waited for.

    Raises:
        WorkerRefusedError: the topic does not exist, or the work folder cannot be used.
    """
    return await _BackfillRun(settings, order, report).run()


class _BackfillRun:
    def __init__(self, settings: ConsumersSettings, order: BackfillOrder, report: ReportBackfill) -> None:
        self._settings = settings
        self._order = order
        self._report = report
        self._progress = BackfillProgress(total=len(order.parts()))
        self._name = f"{order.name} {settings.topic} {settings.kafka_bootstrap_servers}"

    async def run(self) -> BackfillProgress:
        order, progress = self._order, self._progress
        folder = self._settings.archive_dir
        progress.hours = load_state(folder, self._name)
        progress.resumed = len(progress.hours)
        done = {(one.hour, one.app, one.chat) for one in progress.hours}
        parts = [(hour, app, chat) for hour, app, chat in order.parts() if (hour.name, app, chat) not in done]
        if not parts:
            drop_state(folder)
            return progress
        async with comparing(
            self._settings, parts[0][0].start, order, reading=self._note_reading, waits_for=self._note_waiting
        ) as comparison:
            comparison.report = self._note_count
            archives: dict[str, MessageArchive] = {}
            async with contextlib.AsyncExitStack() as stack:
                for hour, app, chat in parts:
                    if app not in archives:
                        archives[app] = await stack.enter_async_context(open_archive(self._settings, app))
                    count = await comparison.compare(archives[app], app, chat, hour, order.window)
                    progress.hours.append(count)
                    progress.current = None
                    self._report(progress)
                    if count.state == "disk":
                        raise WorkerRefusedError(count.problem)
                    save_state(folder, self._name, [one for one in progress.hours if self._is_done(one)])
        drop_state(folder)
        return progress

    def _is_done(self, count: HourCount) -> bool:
        return not count.problem and (count.is_settled or not self._order.publish)

    def _note_count(self, count: HourCount) -> None:
        self._progress.current = count
        self._progress.reading = None
        self._report(self._progress)

    def _note_reading(self, read: int, total: int) -> None:
        self._progress.reading = read, total
        self._report(self._progress)

    def _note_waiting(self, reason: str | None) -> None:
        self._progress.waiting_for = reason
        self._report(self._progress)


@contextlib.asynccontextmanager
async def comparing(
    settings: ConsumersSettings,
    start: datetime,
    order: BackfillOrder,
    *,
    reading: Callable[[int, int], None],
    waits_for: ReportWait,
    producer: RecordProducer | None = None,
) -> AsyncIterator[HourComparison]:
    """What compares the hours of an order. It reads the topic once there is something to compare.

    Args:
        settings: connections and topics.
        start: of the earliest hour that will be compared.
        order: what is asked for.
        reading: told as the topic is read.
        waits_for: told while Kafka is away.
        producer: writes to Kafka; None: one of our own.

    Raises:
        WorkerRefusedError: the topic does not exist, or the work folder cannot be used.
    """
    folder = settings.archive_dir
    own = Producer(settings.kafka_client)  # It connects at its first use.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with KnownMessages(folder) as known:
            span = {"start_s": int(start.timestamp()), "end_s": int(order.window.end.timestamp())}
            index = TopicIndex(settings, known, **span, report=reading)
            try:
                publisher = None
                if order.publish:
                    publisher = BackfillPublisher(
                        own if producer is None else producer,
                        settings.topic,
                        events_per_s=settings.backfill_events_per_s,
                        waits_for=waits_for,
                    )
                maker = EventMaker(
                    schema_base=settings.backfill_schema_base, drop_fields=settings.backfill_drop_fields.split(",")
                )
                yield HourComparison(
                    index, maker, publisher, waits_for=waits_for, despite_retention=order.despite_retention
                )
            finally:
                await index.close()
    except (OSError, sqlite3.Error) as error:
        raise WorkerRefusedError(
            f"the work folder {folder} cannot be used ({describe(error)}): it needs room and rights, or set "
            "CONSUMERS_ARCHIVE_DIR to another one"
        ) from error
    finally:
        with contextlib.suppress(Exception):
            await asyncio.shield(own.stop())
