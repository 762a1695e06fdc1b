"""The archive of messages as the platform documents it: hours, their files, and addresses that expire."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from consumers.archive.hour import Hour
from consumers.archive.message import CHAT_TYPES, ArchivedChat

NONE_YET, EXPIRED = 1004, 1005


@dataclass
class StoredFile:
    """A file of an hour, and what is promised of it."""

    packed: bytes | Path
    gzip_size: int
    gzip_md5: str
    file_size: int
    file_md5: str
    url: str | None = None
    """Named instead of our own."""

    @classmethod
    def of(cls, text: bytes, *, level: int = 6) -> StoredFile:
        """A file that is as it is promised."""
        packed = gzip.compress(text, level, mtime=0)
        return cls(packed, len(packed), md5(packed), len(text), md5(text))


def md5(data: bytes) -> str:
    """As the platform writes it."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def archive_text(
    app_id: str, chat: ArchivedChat, hour: Hour, lines: Iterable[bytes | Mapping[str, Any]], *, end: bytes = b"\n"
) -> bytes:
    """A file as it is documented: the head, a message a line with a comma but for the last, the end."""
    head = {"SdkAppId": int(app_id), "ChatType": CHAT_TYPES[chat], "MsgTime": hour.name, "MsgList": []}
    written = [line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in lines]
    body = (b"," + end).join(written)
    return json.dumps(head).encode().removesuffix(b"]}") + end + body + (end if body else b"") + b"]}"


def c2c_line(hour: Hour, number: int, **changes: Any) -> dict[str, Any]:
    """A one-to-one message of an hour, as a file has it."""
    return {
        "From_Account": f"user{number % 97}",
        "To_Account": f"user{number % 89 + 100}",
        "MsgTimestamp": int(hour.start.timestamp()) + number % 3600,
        "MsgSeq": number,
        "MsgRandom": number * 7919 % 2**32,
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": f"message {number}"}}],
        **changes,
    }


def group_line(hour: Hour, number: int, **changes: Any) -> dict[str, Any]:
    """A message of a group, as the documented file has it: without MsgRandom."""
    line = c2c_line(hour, number)
    del line["To_Account"], line["MsgRandom"]
    return {**line, "GroupId": f"@TGS#{number % 7}", **changes}


def huge_file(path: Path, app_id: str, hour: Hour, messages: int) -> StoredFile:
    """A file of one-to-one messages, written to `path` line by line."""
    packed_md5, file_md5 = (hashlib.md5(usedforsecurity=False) for _ in range(2))
    packer, file_size = zlib.compressobj(1, wbits=31), 0
    with path.open("wb") as file:
        for text in _huge_text(app_id, hour, messages):
            file_md5.update(text)
            file_size += len(text)
            packed = packer.compress(text)
            packed_md5.update(packed)
            file.write(packed)
        packed_md5.update(end := packer.flush())
        file.write(end)
    return StoredFile(path, path.stat().st_size, packed_md5.hexdigest(), file_size, file_md5.hexdigest())


def _huge_text(app_id: str, hour: Hour, messages: int) -> Iterator[bytes]:
    begin, end = archive_text(app_id, "c2c", hour, [b"|"]).split(b"|")
    yield begin
    template = json.dumps(c2c_line(hour, 0, MsgSeq="%d", ClientIP="203.0.113.7", MsgFromPlatform="Android"))
    line = template.replace('"%d"', "%d").encode()
    for first in range(0, messages, 1000):
        block = b",\n".join(line % number for number in range(first, min(first + 1000, messages)))
        yield (b",\n" if first else b"") + block
    yield end


class PlatformArchive:
    """The archive of the app of `ImPlatform`, which serves it.

    An hour without files is answered with 1004. `faults` has what becomes of the next downloads, one each:

    | fault | the download |
    | --- | --- |
    | `cut:N` | ends after N bytes of its answer |
    | `stall:N` | sends N bytes, and then nothing |
    | `flip` | has a wrong byte |
    | `more` | has a byte more than was promised, without a length |
    | `status:N` | is answered with that HTTP status |
    | `redirect:URL` | is redirected there |
    | empty | is as it should be |
    """

    def __init__(self) -> None:
        self.hours: dict[tuple[ArchivedChat, str], list[StoredFile]] = {}
        self.expired: set[str] = set()
        self.faults: deque[str] = deque()
        self.has_ranges = True
        self.downloads: list[tuple[str, str, int]] = []
        """Of each download: GzipMD5, the header Range, HTTP status."""
        self._addresses: dict[str, StoredFile] = {}
        self._given = 0

    def put(
        self, app_id: str, chat: ArchivedChat, hour: Hour, lines: Iterable[bytes | Mapping[str, Any]], *, files: int = 1
    ) -> None:
        """Make the files of an hour, as documented; a list without any lines makes one with an empty list."""
        every = list(lines)
        shares = [every[number::files] for number in range(files)]
        self.store(chat, hour, *(StoredFile.of(archive_text(app_id, chat, hour, share)) for share in shares))

    def store(self, chat: ArchivedChat, hour: Hour, *files: StoredFile) -> None:
        """Make these the files of an hour."""
        self.hours[chat, hour.name] = list(files)

    def expire_addresses(self) -> None:
        """None that was given so far is good any more."""
        self._addresses.clear()

    def code(self, chat_type: Any, hour: Any) -> int:
        """The error code for a request, 0 where there are files."""
        if chat_type not in CHAT_TYPES.values():
            return 1001
        if not (isinstance(hour, str) and len(hour) == 10 and hour.isdigit()):
            return 1002
        if hour in self.expired:
            return EXPIRED
        return 0 if self.hours.get((self._chat(chat_type), hour)) else NONE_YET

    def files(self, base_url: str, chat_type: str, hour: str) -> list[dict[str, Any]]:
        """What is answered, each time with new addresses."""
        return [self._named(base_url, file) for file in self.hours[self._chat(chat_type), hour]]

    @staticmethod
    def _chat(chat_type: str) -> ArchivedChat:
        return "c2c" if chat_type == "C2C" else "group"

    def _named(self, base_url: str, file: StoredFile) -> dict[str, Any]:
        self._given += 1
        key = f"{self._given}.gz"
        self._addresses[key] = file
        return {
            "URL": file.url or f"{base_url}/archive/{key}?sign=q%2Bx%3D",
            "ExpireTime": "2026-12-02 10:00:00",
            "FileSize": file.file_size,
            "FileMD5": file.file_md5,
            "GzipSize": file.gzip_size,
            "GzipMD5": file.gzip_md5,
        }

    async def download(self, request: web.Request) -> web.StreamResponse:
        """A GET of a file."""
        file = self._addresses.get(request.match_info["key"])
        fault, _, argument = (self.faults.popleft() if self.faults else "").partition(":")
        wants = request.headers.get("Range", "")
        if file is None or request.query_string != "sign=q%2Bx%3D":
            return self._told(file, wants, web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>"))
        if fault == "status":
            return self._told(file, wants, web.Response(status=int(argument)))
        if fault == "redirect":
            return self._told(file, wants, web.Response(status=302, headers={"Location": argument}))
        if not fault and isinstance(file.packed, Path):
            return self._told(file, wants, web.FileResponse(file.packed, chunk_size=1024 * 1024))
        packed = file.packed if isinstance(file.packed, bytes) else file.packed.read_bytes()
        begin = int(wants.removeprefix("bytes=").removesuffix("-")) if wants and self.has_ranges else 0
        if begin >= len(packed) > 0:
            return self._told(
                file, wants, web.Response(status=416, headers={"Content-Range": f"bytes */{len(packed)}"})
            )
        response = web.StreamResponse(status=206 if begin else 200)
        if begin:
            response.headers["Content-Range"] = f"bytes {begin}-{len(packed) - 1}/{len(packed)}"
        self._told(file, wants, response)
        return await _send(request, response, packed[begin:], fault, argument)

    def _told(self, file: StoredFile | None, wants: str, response: web.StreamResponse) -> web.StreamResponse:
        self.downloads.append((file.gzip_md5 if file else "", wants, response.status))
        return response


async def _send(
    request: web.Request, response: web.StreamResponse, data: bytes, fault: str, argument: str
) -> web.StreamResponse:
    if fault == "flip":
        data = data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]
    if fault == "more":
        data += b"!"
        response.enable_chunked_encoding()
    else:
        response.content_length = len(data)
    await response.prepare(request)
    await response.write(data[: int(argument)] if fault in {"cut", "stall"} else data)
    if fault == "stall":
        await asyncio.sleep(60)
    if fault in {"cut", "stall"}:
        assert request.transport is not None
        request.transport.close()
    return response
