"""The socket in the journal's folder on which a process is asked how it is: whoever may read the journal may ask.

It needs no port, so it is there whatever BRIDGE_ADMIN_PORT is, one for each process, also where containers share the
folder. What lies in the folder when its process is gone answers nobody, and is removed by the others, or by the next
that starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
import time
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Protocol, TypeVar

from bridge.process.status import STATUS_PATH
from common.get_server import GetServer, ServedPage
from common.logs import Throttle, fields

log = logging.getLogger(__name__)

T = TypeVar("T")
SUFFIX = ".status"
LISTEN_BACKLOG = 16
REPORT_INTERVAL_S = 3600.0
TIDY_INTERVAL_S = 15.0
"""Between two looks for sockets of processes that are gone."""
JSON = "application/json"


class OnDisk(Protocol):
    """Calls a function where the event loop does not wait for the disk: `Journal.on_disk`."""

    async def __call__(self, function: Callable[[], T], /) -> T: ...


def status_sockets_in(folder: Path) -> list[Path]:
    """The sockets of processes, also of those that are gone. Nothing, where there is no such folder.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(SUFFIX) and _is_socket(entry)]
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names)]


def _is_socket(entry: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def owner_of(path: Path) -> tuple[str, int]:
    """Host and process id of who made a socket, from its name; 0 where that is not of our form."""
    host, _, pid = path.name.removesuffix(SUFFIX).rpartition("-")
    return host, int(pid) if pid.isascii() and pid.isdigit() else 0


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A path for a socket, whose own may be longer than the 107 bytes that the system takes.

    Raises:
        OSError: its folder cannot be opened.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def remove_dead_sockets(folder: Path) -> None:
    """Remove the sockets of processes that are gone.

    Raises:
        OSError: the folder cannot be read.
    """
    for path in status_sockets_in(folder):
        if is_dead(path):
            with contextlib.suppress(OSError):
                path.unlink()


def is_dead(path: Path) -> bool:
    """Whether nobody listens at a socket. It is in its place only while somebody does."""
    with socket.socket(socket.AF_UNIX) as asking, short_path(path) as short:
        asking.setblocking(False)
        return asking.connect_ex(short) == errno.ECONNREFUSED


class StatusSocket:
    """Answers on a socket in the folder, as long as it can be made there; nothing depends on it.

    Args:
        folder: of the journal.
        on_disk: for what touches the disk.
        page: makes the JSON of the status.
    """

    def __init__(self, folder: Path, on_disk: OnDisk, page: Callable[[], Awaitable[bytes]]) -> None:
        self._path = folder / f"{socket.gethostname()}-{os.getpid()}{SUFFIX}"
        self._on_disk = on_disk
        self._page = page
        self._listener: socket.socket | None = None
        self._server: GetServer | None = None
        self._throttle = Throttle(REPORT_INTERVAL_S)
        self._tidied_at = 0.0
        self._is_stopped = False
        self._removing: asyncio.Task[None] | None = None

    async def ensure(self) -> None:
        """Be there: the folder may have been missing or full, or the socket be removed with it."""
        try:
            if self._server is not None and await self._on_disk(self._is_there):
                return
            listener = await self._on_disk(self._listen)
        except OSError as error:
            if self._throttle.admits(str(error)):
                log.warning(
                    "`bridge status` cannot ask this process at %s (%s); it is tried again",
                    self._path,
                    error,
                    extra=fields("no_status_socket", folder=str(self._path.parent), reason=str(error)),
                )
            return
        if not self._is_stopped:  # Else who stops it closes it.
            await self._close()
            self._server = GetServer(listener, self._answer)

    async def stop(self) -> None:
        """Answer no more; to be called before the journal stops, which waits for what is asked of the disk here."""
        self._is_stopped = True
        await self._close()
        self._removing = asyncio.create_task(self._remove_in_turn())
        await asyncio.sleep(0)  # So that it has its turn, which is not waited for: the disk may hang.

    async def _remove_in_turn(self) -> None:
        with contextlib.suppress(OSError):  # Whoever starts next removes it.
            await self._on_disk(self._remove)

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    # All where the disk is used, one after the other: one that is made during the stop is removed all the same.

    def _is_there(self) -> bool:
        now = time.monotonic()
        if now - self._tidied_at > TIDY_INTERVAL_S:
            self._tidied_at = now
            remove_dead_sockets(self._path.parent)
        return self._path.exists()

    def _listen(self) -> socket.socket:
        self._listener = _listen_at(self._path)
        return self._listener

    def _remove(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._path.unlink(missing_ok=True)

    async def _answer(self, path: str) -> ServedPage:
        if path == STATUS_PATH:
            return ServedPage(await self._page(), JSON)
        return ServedPage(f"there is {STATUS_PATH}\n".encode(), status=HTTPStatus.NOT_FOUND)


def _listen_at(path: Path) -> socket.socket:
    """Listen at a path. It is there at once as one that answers: else another would take it for dead."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_dead_sockets(path.parent)
    beginning = path.with_name(f"{path.name}.new")
    beginning.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with short_path(beginning) as short:
            listener.bind(short)
        beginning.chmod(0o600)
        listener.listen(LISTEN_BACKLOG)
        beginning.rename(path)
    except BaseException:
        listener.close()
        beginning.unlink(missing_ok=True)
        raise
    return listener
