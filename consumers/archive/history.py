"""The call that names the files of an hour: `get_history` of the platform's REST API."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import msgspec

from common.rest.api import CallError, RestAnswer, RestApi
from common.text import plural
from consumers.archive.errors import ArchiveError
from consumers.archive.hour import Hour
from consumers.archive.message import CHAT_TYPES, ArchivedChat
from consumers.archive.retry_policy import RetryPolicy

_PATH = "v4/open_msg_svc/get_history"
_MAX_REPLY_BYTES = 4 * 1024 * 1024

_BAD_REQUEST = frozenset({1001, 1002})
_NONE_YET = 1004
_EXPIRED = 1005
_NO_ADMINISTRATOR = 50003

Md5Hex = Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{32}$")]
ByteCount = Annotated[int, msgspec.Meta(ge=0)]


class ArchiveFile(msgspec.Struct, frozen=True):
    """A file of an hour, as the platform names it."""

    url: str = msgspec.field(name="URL")
    gzip_size: ByteCount = msgspec.field(name="GzipSize")
    """Bytes that are downloaded."""
    gzip_md5: Md5Hex = msgspec.field(name="GzipMD5")
    file_size: ByteCount = msgspec.field(name="FileSize")
    """Bytes that it unpacks to."""
    file_md5: Md5Hex = msgspec.field(name="FileMD5")

    @property
    def name(self) -> str:
        """Equal for two files that hold the same."""
        return self.gzip_md5.lower()


class _HistoryAnswer(RestAnswer):
    files: list[ArchiveFile] | None = msgspec.field(name="File", default=None)


class History:
    """Asks which files there are, at a bounded rate.

    Args:
        api: of the app.
        calls_per_s: how many at most.
        retries: with an API that is busy or fails.
    """

    def __init__(self, api: RestApi, *, calls_per_s: float, retries: RetryPolicy) -> None:
        self._api = api
        self._interval_s = 1 / calls_per_s
        self._retries = retries
        self._next_call = 0.0

    async def files(self, hour: Hour, chat: ArchivedChat) -> list[ArchiveFile]:
        """The files of an hour; none where the platform has none, or none yet.

        Raises:
            ArchiveError: `expired`, `refused` or `failing`.
        """
        waits = self._retries.waits()
        failures = 0
        while True:
            await self._take_turn()
            try:
                return await self._ask(hour, chat)
            except CallError as error:
                if error.code == _NONE_YET:
                    return []
                refusal = _as_refusal(error, hour)
                if refusal is not None:
                    raise refusal from None
                failures += 1
                if failures >= self._retries.attempts:
                    raise ArchiveError(
                        "failing",
                        f"the platform does not tell the files of {hour}, asked {plural(failures, 'time')}: {error}. "
                        "Try again later",
                    ) from None
            await asyncio.sleep(next(waits))

    async def _ask(self, hour: Hour, chat: ArchivedChat) -> list[ArchiveFile]:
        body = {"ChatType": CHAT_TYPES[chat], "MsgTime": hour.name}
        answer = await self._api.call(_PATH, body, _HistoryAnswer, max_reply_bytes=_MAX_REPLY_BYTES)
        named = {file.name: file for file in answer.files or ()}
        return list(named.values())

    async def _take_turn(self) -> None:
        now = time.monotonic()
        at, self._next_call = max(now, self._next_call), max(now, self._next_call) + self._interval_s
        await asyncio.sleep(at - now)


def _as_refusal(error: CallError, hour: Hour) -> ArchiveError | None:
    """What no waiting helps against."""
    if error.code == _EXPIRED:
        return ArchiveError(
            "expired", f"the platform does not have {hour} any more, it keeps seven days ({error}): it cannot be had"
        )
    if error.code == _NO_ADMINISTRATOR:
        return ArchiveError(
            "refused",
            f"the platform refuses the archive ({error}): `identifier` in CONSUMERS_IM_APPS must name an account that "
            "the console calls an administrator of the app",
        )
    if error.code in _BAD_REQUEST:
        return ArchiveError("refused", f"the platform does not take the request for {hour} ({error})")
    if error.error_class in {"refused", "account"}:
        return ArchiveError("refused", f"the platform refuses the archive ({error}): see CONSUMERS_IM_APPS")
    return None
