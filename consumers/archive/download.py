"""Downloads a file of the archive into the work folder, goes on where a former attempt ended, and checks it.

What is asked for is the part that is missing (`Range`); a server that answers with the whole file is taken at its word,
and the file begun anew. Redirects are not followed: the platform names the address of the file itself.
"""

from __future__ import annotations

import asyncio
import os
import re
from io import FileIO
from pathlib import Path

import aiohttp
from yarl import URL

from common.text import plural
from common.unreachable import why_unreachable
from consumers.archive.check import check_file
from consumers.archive.errors import ArchiveError
from consumers.archive.history import ArchiveFile
from consumers.archive.hosts import FileHosts, HostRefusedError
from consumers.archive.retry_policy import RetryPolicy
from consumers.archive.threads import in_thread
from consumers.archive.work_folder import HourFolder

_BLOCK_BYTES = 256 * 1024
_NO_LIMIT = aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None)
_OF_NETWORK = (aiohttp.ClientError, OSError, TimeoutError, ValueError)
_EXPIRED = frozenset({401, 403, 404, 410})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


class UrlExpiredError(Exception):
    """An address is not good any more, or never was: another one must be asked for."""


class WrongFileError(Exception):
    """A downloaded file is not what was promised. The message says how it differs."""


class _InterruptedError(Exception):
    """An attempt has ended before the file did. The message says why."""


class Downloader:
    """Downloads files.

    Args:
        session: of `download_session`.
        hosts: where files may lie.
        timeout_s: for an answer, and for each block of it.
        retries: with downloads that come no further.
    """

    def __init__(
        self, session: aiohttp.ClientSession, hosts: FileHosts, *, timeout_s: float, retries: RetryPolicy
    ) -> None:
        self._session = session
        self._hosts = hosts
        self._timeout_s = timeout_s
        self._retries = retries

    async def fetch(self, file: ArchiveFile, folder: HourFolder) -> None:
        """See that a file is in the folder, whole and checked.

        Raises:
            UrlExpiredError: its address is not good any more.
            WrongFileError: what is there is not what was promised; it has been removed.
            ArchiveError: it cannot be had.
        """
        part, whole = folder.part(file.name), folder.whole(file.name)
        if whole.exists():
            whole.replace(part)  # It is checked again: who knows what has happened to it since.
        await self._complete(file, part, folder)
        if wrong := await _what_is_wrong(part, file):
            part.unlink()
            raise WrongFileError(wrong)
        part.replace(whole)

    async def _complete(self, file: ArchiveFile, part: Path, folder: HourFolder) -> None:
        """Download until the file has the size that it should have, or more."""
        _begin(part, file)
        waits = self._retries.waits()
        failures, furthest = 0, _size_of(part)
        least_step = min(_BLOCK_BYTES, file.gzip_size // 100 + 1)  # Less is a trickle, which would never end.
        folder.check_room(file.gzip_size - furthest)
        while _size_of(part) < file.gzip_size:
            try:
                await self._get(file, part)
            except _InterruptedError as error:
                failures += 1
                if (size := _size_of(part)) >= furthest + least_step:
                    furthest, failures = size, 0
                    waits.reset()
                if size < file.gzip_size and failures >= self._retries.attempts:
                    raise ArchiveError(
                        "failing",
                        f"a file of the archive cannot be downloaded beyond {size} of {file.gzip_size} bytes, "
                        f"tried {plural(failures, 'time')}: {error}. Try again later: it goes on from what is there",
                    ) from None
                await asyncio.sleep(next(waits))

    async def _get(self, file: ArchiveFile, part: Path) -> None:
        """One request for what is missing."""
        try:
            url = self._hosts.check_url(file.url)
        except HostRefusedError as error:
            raise ArchiveError("refused", str(error)) from None
        async with await self._ask(url, _size_of(part)) as response:
            with part.open("r+b", buffering=0) as out:
                begun = _begins_at(response, _size_of(part))
                out.truncate(begun or 0)
                if begun is None:
                    raise _InterruptedError(f"{url.host} does not have the range that it was asked for")
                out.seek(begun)
                while begun <= file.gzip_size:
                    block, failure = await self._block(response)
                    await asyncio.to_thread(_write, out, block)
                    if failure is not None:
                        raise failure
                    if not block:
                        break
                    begun += len(block)
        if begun < file.gzip_size:
            raise _InterruptedError(f"{url.host} ended it after {begun} bytes")

    async def _ask(self, url: URL, begun: int) -> aiohttp.ClientResponse:
        headers = {"Accept-Encoding": "identity"}
        if begun:
            headers["Range"] = f"bytes={begun}-"
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._session.get(url, headers=headers, allow_redirects=False, timeout=_NO_LIMIT)
        except _OF_NETWORK as error:
            refusal = getattr(error, "os_error", error)
            if isinstance(refusal, HostRefusedError):
                raise ArchiveError("refused", str(refusal)) from None
            raise self._interrupted(url, error) from None

    async def _block(self, response: aiohttp.ClientResponse) -> tuple[bytes, _InterruptedError | None]:
        """What came, empty at the end, and why no more will."""
        block = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                while len(block) < _BLOCK_BYTES and (chunk := await response.content.read(_BLOCK_BYTES - len(block))):
                    block += chunk
        except _OF_NETWORK as error:
            return bytes(block), self._interrupted(response.url, error)
        return bytes(block), None

    def _interrupted(self, url: URL, error: Exception) -> _InterruptedError:
        # Not the error's own words: they may hold the address, which gives the file to whoever has it.
        if isinstance(error, TimeoutError):
            return _InterruptedError(
                f"{url.host} sends too little within {self._timeout_s:g} s (CONSUMERS_ARCHIVE_TIMEOUT_S)"
            )
        if isinstance(error, aiohttp.ClientConnectorError):
            return _InterruptedError(f"{url.host} cannot be reached ({why_unreachable(error.os_error)})")
        return _InterruptedError(f"{url.host} breaks off ({type(error).__name__})")


def _begins_at(response: aiohttp.ClientResponse, asked: int) -> int | None:
    """Where in the file an answer begins; None: behind what is missing, or it has nothing of it."""
    host, status = response.url.host, response.status
    if status == 200:
        return 0
    if status in {206, 416}:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return int(found[1]) if found is not None and int(found[1]) <= asked else None
    if status in _EXPIRED:
        raise UrlExpiredError(f"{host} answers with HTTP status {status}")
    if 300 <= status < 400:
        raise ArchiveError(
            "refused",
            f"{host} answers with a redirect (HTTP status {status}), and none is followed: the platform names"
            " where its files are",
        )
    raise _InterruptedError(f"{host} answers with HTTP status {status}")


def _write(out: FileIO, block: bytes) -> None:
    """Write all of it, or raise: the system may take a part, and say only of the next one that there is no room."""
    left = memoryview(block)
    while left:
        left = left[out.write(left) :]


def _begin(part: Path, file: ArchiveFile) -> None:
    """Have a file to write to; one that is longer than it should be is of no use."""
    part.touch()
    if _size_of(part) > file.gzip_size:
        os.truncate(part, 0)


def _size_of(path: Path) -> int:
    return path.stat().st_size


async def _what_is_wrong(part: Path, file: ArchiveFile) -> str:
    wrong = [found async for found in in_thread(check_file(part, file)) if found is not None]
    return wrong[-1]
