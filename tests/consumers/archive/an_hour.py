"""An hour of the archive as the tests read it, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from consumers.archive.archive import open_archive
from consumers.archive.errors import ArchiveError
from consumers.archive.hour import Hour
from consumers.archive.lines import HourReport
from consumers.archive.message import ArchivedChat, ArchivedMessage
from consumers.settings import ConsumersSettings
from tests.support.im_archive import c2c_line
from tests.support.im_platform import APP_ID

HOUR = Hour.of(datetime.now(UTC) - timedelta(hours=30))
LINES = [c2c_line(HOUR, number) for number in range(5000)]
NUMBERS = list(range(5000))


async def read(
    settings: ConsumersSettings, hour: Hour = HOUR, chat: ArchivedChat = "c2c"
) -> tuple[list[ArchivedMessage], HourReport]:
    async with open_archive(settings, APP_ID) as archive, archive.hour(hour, chat) as archived:
        found = [message async for batch in archived.batches() for message in batch]
        return found, archived.report


async def failure(settings: ConsumersSettings, hour: Hour = HOUR, chat: ArchivedChat = "c2c") -> ArchiveError:
    with pytest.raises(ArchiveError) as caught:
        await read(settings, hour, chat)
    return caught.value


def sequence(found: list[ArchivedMessage]) -> list[int]:
    return sorted(message.seq for message in found)


def files_in(settings: ConsumersSettings) -> dict[str, int]:
    """What the work folder has, and how large it is; locks are not told."""
    paths = settings.archive_dir.rglob("*.*")
    return {path.name.rpartition(".")[2]: path.stat().st_size for path in paths if path.is_file()}
