"""The archive of one app: an hour's files are asked for, downloaded, checked and read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from common.rest.api import RestApi
from consumers.archive.hour import Hour
from consumers.archive.message import ArchivedChat, ArchivedMessage
from consumers.settings import ConsumersSettings


@dataclass
class HourReport:
    """What an hour had, as far as it has been read."""

    files: int = 0
    messages: int = 0
    bad_lines: int = 0
    samples: list[str] = field(default_factory=list)
    """Of bad lines: file, number, why it is bad, and its beginning; a few at most."""


class ArchivedHour:
    """The messages of one hour, whose files are in the work folder, whole and checked."""

    def __init__(self, hour: Hour, chat: ArchivedChat) -> None:
        self.hour = hour
        self.chat = chat
        self.has_file = True
        """False: the platform has none, so long after the hour's end that it is taken to be empty."""
        self.report = HourReport()
        """Of the last pass over it."""

    def batches(self) -> AsyncIterator[list[ArchivedMessage]]:
        """The messages in the order of the files, so many at a time that memory stays small.

        It may be called again: then it begins anew, and so does the report.

        Raises:
            ArchiveError: the files cannot be read any more.
        """
        raise NotImplementedError


class MessageArchive:
    """The archive of one app.

    Args:
        app_id: SdkAppid.
        api: the platform's REST API for this app.
        session: downloads the files.
        settings: `CONSUMERS_ARCHIVE_…`.
    """

    def __init__(self, app_id: str, api: RestApi, session: aiohttp.ClientSession, settings: ConsumersSettings) -> None:
        self._app_id = app_id

    @asynccontextmanager
    async def hour(self, hour: Hour, chat: ArchivedChat) -> AsyncIterator[ArchivedHour]:
        """An hour, downloaded and checked; its files are kept until the block ends, and after an error in it.

        What a former attempt left in the work folder is gone on with.

        Raises:
            ArchiveError: it cannot be had.
        """
        raise NotImplementedError
        yield
