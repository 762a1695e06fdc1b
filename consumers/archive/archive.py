"""The archive of one app: an hour's files are asked for, downloaded, checked and read.

Nothing of a file is given before all of it has been checked. What 1004, "no file", means is decided here: the platform
says it for an hour whose file is not made yet, and for one without messages. Up to CONSUMERS_ARCHIVE_EMPTY_AFTER_HOURS
after the end of the hour it is taken to be the first, from then on the second.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from common.logs import fields
from common.rest.api import RestApi, rest_session
from common.rest.app import ImApp
from common.text import byte_size, plural
from consumers.archive.download import Downloader, UrlExpiredError, WrongFileError
from consumers.archive.errors import ArchiveError
from consumers.archive.history import ArchiveFile, History
from consumers.archive.hosts import FileHosts, download_session
from consumers.archive.hour import Hour
from consumers.archive.lines import FileReader, ForeignFileError, HourReport
from consumers.archive.message import ArchivedChat, ArchivedMessage
from consumers.archive.retry_policy import RetryPolicy
from consumers.archive.threads import in_thread
from consumers.archive.unpack import UnpackError, unpacked
from consumers.archive.work_folder import HourFolder, disk_error, hour_folder
from consumers.settings import ConsumersSettings

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(days=7)
"""How long the platform keeps an hour."""
MAX_LOOKS = 3
"""So often in a row an hour's files are asked for without coming further."""


class ArchivedHour:
    """The messages of one hour, whose files are in the work folder, whole and checked.

    Args:
        app_id: SdkAppid.
        hour, chat: which messages.
        files: names and unpacked sizes of its files.
        folder: where they are.
    """

    def __init__(
        self, app_id: str, hour: Hour, chat: ArchivedChat, files: list[ArchiveFile], folder: HourFolder
    ) -> None:
        self.app_id = app_id
        self.hour = hour
        self.chat = chat
        self.has_file = bool(files)
        """False: the platform has none, so long after the hour's end that it is taken to be empty."""
        self.report = HourReport()
        """Of the last pass over it."""
        self._files = files
        self._folder = folder

    async def batches(self) -> AsyncIterator[list[ArchivedMessage]]:
        """The messages in the order of the files, so many at a time that memory stays small.

        It may be called again when a pass has ended: then it begins anew, and so does the report.

        Raises:
            ArchiveError: `corrupt`: a file is of another app, chat or hour; `disk`: it cannot be read any more.
        """
        self.report = HourReport()
        async for batch in in_thread(self._read()):
            yield batch

    def _read(self) -> Iterator[list[ArchivedMessage]]:
        reader = FileReader(self.hour, self.chat, self.app_id, self.report)
        for file in self._files:
            path = self._folder.whole(file.name)
            try:
                yield from reader.batches(unpacked(path, max_bytes=file.file_size))
            except ForeignFileError as error:
                raise ArchiveError(
                    "corrupt", f"a file that the platform names for {self.hour} is not what was asked for: {error}"
                ) from None
            except UnpackError as error:
                raise ArchiveError("corrupt", f"{path} has changed since it was checked: {error}") from None
            except OSError as error:
                raise disk_error(path, error) from None


class MessageArchive:
    """The archive of one app. Made by `open_archive`.

    Args:
        app_id: SdkAppid.
        history: names the files.
        downloader: gets them.
        folder: the work folder, which is made where it is missing.
        empty_after: how long after its end an hour without a file is taken to be empty.
        now: the time.
    """

    def __init__(
        self,
        app_id: str,
        history: History,
        downloader: Downloader,
        folder: Path,
        *,
        empty_after: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._app_id = app_id
        self._history = history
        self._downloader = downloader
        self._folder = folder
        self._empty_after = empty_after
        self._now = now

    @asynccontextmanager
    async def hour(self, hour: Hour, chat: ArchivedChat) -> AsyncIterator[ArchivedHour]:
        """An hour, downloaded and checked; its files are kept until the block ends, and after an error in it.

        What a former attempt left in the work folder is gone on with.

        Raises:
            ArchiveError: it cannot be had.
        """
        if not hour.has_ended(self._now()):
            raise ArchiveError("not_made", f"{hour} is not over: the platform makes its files when it has ended")
        if self._now() - hour.end > KEPT_FOR + timedelta(days=1):
            raise _expired(hour)  # It is not asked for: a span of years would take a day.
        with hour_folder(self._folder, self._app_id, hour, chat) as folder:
            try:
                files = await self._download(hour, chat, folder)
            except OSError as error:
                raise disk_error(folder.path, error) from None
            if not files:
                self._judge_absence(hour)
            yield ArchivedHour(self._app_id, hour, chat, files, folder)

    async def _download(self, hour: Hour, chat: ArchivedChat, folder: HourFolder) -> list[ArchiveFile]:
        """Have all files of an hour. Where one is wrong, or its address, they are asked for anew: it may have changed.

        Raises:
            ArchiveError: they cannot be had.
            OSError: of the work folder.
        """
        had: set[str] = set()
        failures: Counter[type[Exception]] = Counter()
        while True:
            files = await self._history.files(hour, chat)
            self._drop_what_changed(hour, chat, files, folder)
            size = byte_size(sum(file.gzip_size for file in files))
            log.info("%s (%s) has %s, %s packed", hour, chat, plural(len(files), "file"), size)
            had.intersection_update(file.name for file in files)
            before = len(had), folder.size()
            try:
                for file in files:
                    if file.name not in had:
                        await self._downloader.fetch(file, folder)
                        had.add(file.name)
            except (UrlExpiredError, WrongFileError) as error:
                kind = type(error)
                has_more_bytes = kind is UrlExpiredError and folder.size() > before[1]
                failures[kind] = 1 if len(had) > before[0] or has_more_bytes else failures[kind] + 1
                if failures[kind] >= MAX_LOOKS:
                    raise _given_up(hour, error) from None
                self._tell_of_look(hour, error)
            else:
                return files

    def _tell_of_look(self, hour: Hour, error: UrlExpiredError | WrongFileError) -> None:
        if isinstance(error, UrlExpiredError):
            log.info("an address of a file of %s is not good any more, the files are asked for anew: %s", hour, error)
        else:
            log.warning(
                "a file of %s is not what was promised, the files are asked for anew: %s",
                hour,
                error,
                extra=fields("archive_file_wrong", app=self._app_id, hour=hour.name, reason=str(error)),
            )

    def _drop_what_changed(self, hour: Hour, chat: ArchivedChat, files: list[ArchiveFile], folder: HourFolder) -> None:
        gone = folder.names() - {file.name for file in files}
        if gone:
            log.warning(
                "%s of %s (%s) changed at the platform since they were downloaded, and are taken anew",
                plural(len(gone), "file"),
                hour,
                chat,
                extra=fields("archive_file_changed", app=self._app_id, hour=hour.name, files=len(gone)),
            )
            folder.drop(gone)

    def _judge_absence(self, hour: Hour) -> None:
        """See that an hour without a file is one without messages, as far as that can be told."""
        age = self._now() - hour.end
        if age > KEPT_FOR:
            raise _expired(hour)
        if age < self._empty_after:
            raise ArchiveError(
                "not_made",
                f"the platform has no file of {hour} yet, or the hour has no messages, which it does not tell apart: "
                f"from {self._empty_after.total_seconds() / 3600:g} h after its end on it is taken to have none "
                "(CONSUMERS_ARCHIVE_EMPTY_AFTER_HOURS)",
            )


def _expired(hour: Hour) -> ArchiveError:
    return ArchiveError("expired", f"the platform has no file of {hour}, and keeps seven days: it cannot be had")


def _given_up(hour: Hour, error: UrlExpiredError | WrongFileError) -> ArchiveError:
    if isinstance(error, WrongFileError):
        return ArchiveError(
            "corrupt",
            f"a file that the platform names for {hour} is not what it promised, {MAX_LOOKS} times: {error}. Nothing "
            "of it was used; try again later, and if it stays so tell the platform's support",
        )
    return ArchiveError(
        "failing",
        f"the addresses that the platform names for the files of {hour} are not good, also when they are asked for "
        f"anew ({error}). Try again later: it goes on from what is there",
    )


@asynccontextmanager
async def open_archive(
    settings: ConsumersSettings, app_id: str, app: Callable[[], ImApp] | None = None
) -> AsyncIterator[MessageArchive]:
    """The archive of an app that CONSUMERS_IM_APPS names, until the block ends.

    Args:
        settings: `CONSUMERS_ARCHIVE_…` and, where `app` is not given, the app's credentials.
        app_id: SdkAppid.
        app: gives the credentials as they are now.

    Raises:
        ArchiveError: `refused`: the app is not named there.
    """
    known = settings.im_apps.get(app_id)
    if known is None:
        raise ArchiveError("refused", f"app {app_id} has no credentials: name it in CONSUMERS_IM_APPS")
    credentials = app or (lambda: known)
    retries = RetryPolicy(settings.archive_attempts)
    hosts = FileHosts([*settings.archive_private_hosts, urlsplit(known.url).hostname or ""])
    async with rest_session() as calls, download_session(hosts) as downloads:
        api = RestApi(calls, app_id, credentials, timeout_s=settings.archive_timeout_s)
        yield MessageArchive(
            app_id,
            History(api, calls_per_s=settings.archive_calls_per_s, retries=retries),
            Downloader(downloads, hosts, timeout_s=settings.archive_timeout_s, retries=retries),
            settings.archive_dir,
            empty_after=timedelta(hours=settings.archive_empty_after_hours),
        )
