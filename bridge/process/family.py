"""The children of a parent, whatever part they play: begun, serving, leaving."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bridge.process import child
from bridge.process.child_process import ChildProcess
from bridge.process.forking import Forks
from bridge.process.handover import HandedChild
from bridge.process.status import StatusReport
from bridge.process.totals import ProcessPage
from bridge.settings import BridgeSettings

SOCKET_PATH_BYTES = 107
"""Longer paths the system takes for no socket."""
SHORT_PLACES = ("/tmp", "/run", "/dev/shm")  # noqa: S108 - a folder of ours alone is made there
TOKEN_BYTES = 4


class Family:
    """Starts children, and knows all that are alive.

    Args:
        settings: of the children.
        forks: where they come from.
        listener: the bound socket that they share.
        folder: for the sockets of their admin pages.
        on_end: called with each that has ended.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        forks: Forks,
        listener: socket.socket,
        folder: Path,
        on_end: Callable[[ChildProcess], object],
    ) -> None:
        self._settings = settings
        self._forks = forks
        self._listener = listener
        self.folder = folder
        self._on_end = on_end
        self._alive: set[ChildProcess] = set()

    async def start(self, number: int, start_timeout_s: float) -> ChildProcess:
        """Start a child.

        Args:
            number: its name in logs and metrics.
            start_timeout_s: within which it has to accept callbacks.

        Raises:
            OSError: it cannot be started.
        """
        self._ensure_folder()
        admin_socket = socket_path(self.folder, number)
        name = str(number) if self._settings.workers > 1 else ""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid = await self._forks.fork(
                    partial(
                        child.run,
                        self._settings,
                        self._listener,
                        theirs,
                        admin_socket,
                        name,
                        is_awaited=self._is_awaited,
                    ),
                    keep=(self._listener.fileno(), theirs.fileno()),
                )
            except OSError:
                ours.close()
                raise
        return self.adopt(HandedChild(number, pid, ours.detach(), str(admin_socket)), start_timeout_s)

    @property
    def _is_awaited(self) -> bool:
        """Whether callbacks may wait for a child that begins now: connections are taken, and nobody accepts them."""
        is_listening = self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        accepts = (one.accepting.is_set() and one.is_alive and not one.is_leaving for one in self._alive)
        return bool(is_listening) and not any(accepts)

    def _ensure_folder(self) -> None:
        """Whoever tidies up TMPDIR may have removed the folder, or TMPDIR itself."""
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            self.folder = make_socket_folder()

    def adopt(self, handed: HandedChild, start_timeout_s: float) -> ChildProcess:
        """Take in a child that there is."""
        made = ChildProcess(handed, self._settings, start_timeout_s)
        self._alive.add(made)
        made.ended.add_done_callback(lambda _: self._note_end(made))
        return made

    async def refresh(self) -> None:
        """Fetch readiness and metrics of each."""
        await asyncio.gather(*(one.refresh() for one in self._alive))

    async def status(self) -> StatusReport:
        """How each is, whatever part it plays; of those that begin, as soon as they tell it."""
        asked = list(self._alive)
        reports = await asyncio.gather(*(one.status() for one in asked))
        processes = [process for report in reports if report is not None for process in report.processes]
        silent = sum(report is None and one.accepting.is_set() for one, report in zip(asked, reports, strict=True))
        return StatusReport(sorted(processes, key=lambda one: (one.process, one.pid)), silent)

    def pages(self) -> list[ProcessPage]:
        """What each told last."""
        return [one.page() for one in self._alive]

    def hand_over(self) -> list[HandedChild]:
        """What a successor of this parent has to know of them."""
        return [one.hand_over() for one in self._alive]

    def look(self) -> None:
        """One of them has ended, perhaps."""
        for one in self._alive:
            one.look()

    def _note_end(self, child: ChildProcess) -> None:
        self._alive.discard(child)
        self._on_end(child)

    async def end(self) -> None:
        """Ask all of them to stop, and wait until they have."""
        while self._alive:  # One may have begun meanwhile.
            for one in self._alive:
                one.terminate()
            await asyncio.wait({one.ended for one in self._alive}, return_when=asyncio.ALL_COMPLETED)
            await asyncio.sleep(0)


def socket_path(folder: Path, number: int) -> Path:
    """Where a child may serve its admin pages to its parent, beside the one that it takes the place of."""
    return folder / f"{number}-{secrets.token_hex(TOKEN_BYTES)}.sock"


def make_socket_folder() -> Path:
    """A new folder, of ours alone, for the sockets of children; elsewhere where TMPDIR is too deep for them.

    Raises:
        OSError: there is no place for it.
    """
    for place in _places():
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="bridge-", dir=place))
            if len(os.fsencode(socket_path(folder, 99))) <= SOCKET_PATH_BYTES:
                return folder
            shutil.rmtree(folder, ignore_errors=True)
    raise OSError(
        errno.ENAMETOOLONG,
        f"the path of {next(iter(_places()))} is too long for sockets, and {', '.join(SHORT_PLACES)} cannot be written:"
        " set TMPDIR to a folder with a shorter one",
    )


def _places() -> tuple[str, ...]:
    try:
        return tempfile.gettempdir(), *SHORT_PLACES
    except OSError:  # Python finds none that takes a file, as while the disk is full. Sockets need no room on it.
        return SHORT_PLACES
