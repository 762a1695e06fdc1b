"""Compares each hour of the archive with the topic once its file is there: `consumers backfill --watch`.

An hour whose file is not made yet is asked for again, one in which something is missing is compared again once an hour,
until all is there, as somebody may have published it: so the metric says what is missing now. Which hours are still to
be compared is kept in the work folder, and a watch that was down goes on where it was, up to the seven days that the
platform keeps.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NoReturn

from common.admin import Readiness
from common.logs import fields
from common.program import command_line
from common.rest.app import ImApp
from common.text import plural
from consumers.archive.archive import open_archive
from consumers.archive.hour import ArchiveWindow, Hour
from consumers.archive.message import ArchivedChat
from consumers.backfill.backfill import BackfillOrder, comparing
from consumers.backfill.hour_comparison import HourComparison
from consumers.backfill.hour_count import HourCount
from consumers.backfill.publishing import waiting
from consumers.backfill.watch_state import WatchedChat, load_watched, save_watched
from consumers.errors import WorkerRefusedError
from consumers.metrics import (
    BACKFILL_BAD_LINES,
    BACKFILL_COMPLETE_UNTIL,
    BACKFILL_EXPIRED_HOURS,
    BACKFILL_MESSAGES,
    BACKFILL_MISSING,
    Metrics,
)
from consumers.runtime.leadership import Leadership
from consumers.runtime.process import run_process
from consumers.runtime.producer import Producer
from consumers.runtime.status import WaitStatus
from consumers.settings import ConsumersSettings

log = logging.getLogger(__name__)

NAME = "backfill"

COMPARED_AGAIN_S = 3600.0
"""An hour in which something is missing, or whose file is wrong, is a download each time."""


class BackfillWatch:
    """The process, until SIGTERM or SIGINT.

    Args:
        settings: connections, topics, the archive.
        apps, chats: which messages.
        since: the first hour, where no former watch in the work folder has begun; None: the last one that is over.
        publish: whether what is missing is published, too.
        despite_retention: also what the topic may have had, and has deleted.
    """

    def __init__(
        self,
        settings: ConsumersSettings,
        *,
        apps: Sequence[str],
        chats: Sequence[ArchivedChat],
        since: datetime | None,
        publish: bool,
        despite_retention: bool = False,
    ) -> None:
        self._settings = settings
        self._publish = publish
        self._despite_retention = despite_retention
        self._metrics = Metrics(NAME)
        self._metrics.ready.set_function(lambda: float(self._readiness().ready))
        self._waiting = WaitStatus(self._metrics.waiting.set)
        self._producer = Producer(settings.kafka_client)
        self._apps = settings.im_apps
        self._not_before: dict[tuple[str, str, str], float] = {}
        """App, chat and hour → when it is compared again, of the monotonic clock."""
        self._told: dict[tuple[str, str, str], str] = {}
        self._last: HourCount | None = None
        self._problem = ""
        self._is_active = not publish
        """Of several that publish the same, one works, and the others stand by."""
        known = {(one.app, one.chat): one for one in load_watched(settings.archive_dir)}
        first = Hour.of(since) if since is not None else _last_hour()
        places = [(app, chat) for app in apps for chat in chats]
        self._watched = [known.get(place) or WatchedChat(*place, first.name) for place in places]
        self._left_alone = [watched for place, watched in known.items() if place not in places]
        """What another watch of the folder, of other apps or chats, has still to compare."""

    async def run(self) -> None:
        """Work until a signal asks to stop.

        Raises:
            WorkerRefusedError: the topic does not exist, or the work folder cannot be used.
            OSError: the admin port is taken.
        """
        await run_process(
            self._settings,
            self._work(),
            readiness=self._readiness,
            metrics=self._metrics,
            stops=(self._producer.stop,),
        )

    def _readiness(self) -> Readiness:
        detail = {"backfill": "publishes what is missing" if self._publish else "compares only"}
        if not self._is_active:
            detail["backfill"] = "stands by: another watch publishes"
        if self._last is not None:
            detail["compared"] = _sentence(self._last)
        if self._problem:
            detail["problem"] = self._problem
        if self._waiting.reason is not None:
            detail["waiting"] = self._waiting.reason
        return Readiness(self._waiting.reason is None, detail)

    async def _work(self) -> NoReturn:
        self._show()
        if self._publish:
            settings = self._settings
            await waiting(
                lambda: Leadership(settings, self._group, settings.topic, self._watch, self._report_active).run(),
                self._note_waiting,
            )
        await self._watch()
        raise AssertionError("a watch ends with an error only")

    @property
    def _group(self) -> str:
        """Of the watches that publish the same messages."""
        places = sorted(f"{one.app}.{one.chat}" for one in self._watched)
        return ".".join((self._settings.group or NAME, *places))

    def _report_active(self, is_active: bool) -> None:
        self._is_active = is_active
        self._note_waiting(None)
        self._show()

    async def _watch(self) -> NoReturn:
        while True:
            await self._look(datetime.now(UTC))
            self._show()
            await asyncio.sleep(self._settings.backfill_look_every_s)

    async def _look(self, now: datetime) -> None:
        """Compare the hours that are due."""
        due = sorted(
            (hour, number)
            for number, watched in enumerate(self._watched)
            for hour in watched.due(now)
            if self._is_due(watched, hour)
        )
        if not due:
            return
        window = ArchiveWindow(due[0][0].start, due[-1][0].end)
        order = BackfillOrder(window, [], [], self._publish, self._despite_retention)
        async with comparing(
            self._settings,
            window.start,
            order,
            reading=lambda _read, _total: None,
            waits_for=self._note_waiting,
            producer=self._producer,
        ) as comparison:
            for hour, number in due:
                await self._compare(comparison, self._watched[number], hour)

    def _is_due(self, watched: WatchedChat, hour: Hour) -> bool:
        return time.monotonic() >= self._not_before.get((watched.app, watched.chat, hour.name), 0.0)

    async def _compare(self, comparison: HourComparison, watched: WatchedChat, hour: Hour) -> None:
        async with open_archive(self._settings, watched.app, lambda: self._app(watched.app)) as archive:
            count = await comparison.compare(archive, watched.app, watched.chat, hour)
        if count.state == "disk":
            raise WorkerRefusedError(count.problem)
        if count.state in {"compared", "corrupt"}:
            self._not_before[watched.app, watched.chat, hour.name] = time.monotonic() + COMPARED_AGAIN_S
        is_over = count.state in {"expired", "no_file"} or (count.state == "compared" and not count.still_missing)
        lacked = watched.missing.get(hour.name, 0)
        watched.note(count, is_over=is_over)
        save_watched(self._settings.archive_dir, [*self._watched, *self._left_alone])
        self._tell(count, lacked)
        self._count(count)
        self._show()

    def _tell(self, count: HourCount, lacked: int) -> None:
        """Log what was found of an hour; that its file is still not made, or cannot be had, once.

        Args:
            count: of the hour.
            lacked: messages that were missing of it before.
        """
        facts = fields(
            "hour_compared",
            app=count.app,
            chat=count.chat,
            hour=count.hour,
            archived=count.archived,
            missing=count.missing,
            published=count.published,
        )
        place = (count.app, count.chat, count.hour)
        if count.state == "compared" and count.still_missing:
            log.error("%s%s", _sentence(count), self._advice(count), extra=facts)
        elif count.state in {"compared", "no_file"}:
            log.log(logging.WARNING if count.missing else logging.INFO, "%s", _sentence(count), extra=facts)
        elif self._told.get(place) != count.state:
            level = logging.INFO if count.state == "not_made" else logging.ERROR
            problem = fields("hour_not_compared", app=count.app, chat=count.chat, hour=count.hour, reason=count.problem)
            former = f". Of its messages {lacked:,} were missing before" if lacked else ""
            log.log(level, "%s%s", _sentence(count), former, extra=problem)
            self._told[place] = count.state
            return
        self._told.pop(place, None)
        self._tell_of_bad_lines(count)

    def _tell_of_bad_lines(self, count: HourCount) -> None:
        if count.reasons:
            log.warning(
                "%s, %s of %s: %s of the files %s no message, and `%s backfill --dry-run` shows how they begin: %s",
                Hour.parse(count.hour),
                count.chat,
                count.app,
                plural(count.bad_lines, "line"),
                "is" if count.bad_lines == 1 else "are",
                command_line("consumers"),
                "; ".join(count.reasons),
                extra=fields(
                    "archive_lines_bad", app=count.app, chat=count.chat, hour=count.hour, lines=count.bad_lines
                ),
            )

    def _advice(self, count: HourCount) -> str:
        if count.problem:
            return f". {count.problem}"
        start = Hour.parse(count.hour)
        command = f"`{command_line('consumers')} backfill --from {start.name} --to {start.next().name}`"
        return f". To publish them run {command}, or watch with --publish"

    def _count(self, count: HourCount) -> None:
        self._problem = "" if count.state in {"compared", "no_file", "not_made"} else _sentence(count)
        if count.state not in {"compared", "no_file"}:
            return
        self._last = count
        messages = self._metrics.own_counter(BACKFILL_MESSAGES, count.app, count.chat)
        for outcome in BACKFILL_MESSAGES.known:
            messages.labels(NAME, count.app, count.chat, outcome).inc(getattr(count, outcome))
        self._metrics.own_counter(BACKFILL_BAD_LINES).labels(NAME, count.app, count.chat).inc(count.bad_lines)

    def _show(self) -> None:
        """Set the gauges to what is kept."""
        for watched in self._watched:
            self._metrics.own_gauge(BACKFILL_MISSING).labels(NAME, watched.app, watched.chat).set(
                sum(watched.missing.values()) if self._is_active else 0
            )
            self._metrics.own_gauge(BACKFILL_COMPLETE_UNTIL).labels(NAME, watched.app, watched.chat).set(
                watched.complete_until.start.timestamp()
            )
            self._metrics.own_gauge(BACKFILL_EXPIRED_HOURS).labels(NAME, watched.app, watched.chat).set(
                len(watched.expired_hours(time.time())) if self._is_active else 0
            )

    def _note_waiting(self, reason: str | None) -> None:
        if reason is None:
            self._waiting.end(NAME)
        else:
            self._waiting.begin(NAME, reason)

    def _app(self, app_id: str) -> ImApp:
        """The credentials of an app as they are now; the last ones if it is just not named any more."""
        return self._settings.latest().im_apps.get(app_id) or self._apps[app_id]


def _last_hour() -> Hour:
    """The last one that is over."""
    now = time.time()
    return Hour.of(datetime.fromtimestamp(now - 3600, UTC))


def _sentence(count: HourCount) -> str:
    """What was found of an hour, in a line."""
    where = f"{Hour.parse(count.hour)}, {count.chat} of {count.app}"
    if count.state == "no_file":
        return f"{where}: the platform has no file, so nothing was sent"
    if count.state != "compared":
        return f"{where} cannot be compared: {count.problem}"
    here = count.there + count.dead_letters + count.published
    published = f", {count.published:,} of these published just now" if count.published else ""
    letters = f", {count.dead_letters:,} of these dead letters" if count.dead_letters else ""
    missing = f", {count.still_missing:,} missing" if count.still_missing else ""
    is_one = count.bad_lines == 1
    lines = f"{plural(count.bad_lines, 'line')} of the files {'is' if is_one else 'are'} no message"
    bad = f"; {lines}" if count.bad_lines else ""
    numbers = f"the platform sent {count.archived - count.repeated:,}, we have {here:,}"
    return f"{where}: {numbers}{published}{letters}{missing}{bad}"
