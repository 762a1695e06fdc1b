"""What is synced to a file that vanished from the folder is found by nobody after our end: so it is copied."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from bridge.journal.journal_file import JournalFile
from bridge.journal.presence import VanishedError
from bridge.journal.store import Store
from bridge.journal.writer import FileThread
from common.logs import Throttle, fields

log = logging.getLogger(__name__)

LOOK_INTERVAL_S = 0.5
COPY_BYTES = 1024 * 1024
"""So much at a time: replies that wait for a sync wait for the copying under way."""
REPORT_INTERVAL_S = 60.0


class Rescuer:
    """Copies files that have vanished and hold what Kafka has not confirmed, as long as they are open.

    The copy has the number of the original, so that whoever takes the files over finds them in the same order.

    Args:
        folder: where the copies go.
        thread: where the files are used.
        retired: gives the files that are not written any more.
    """

    def __init__(self, folder: Path, thread: FileThread, retired: Callable[[], Sequence[JournalFile]]) -> None:
        self._folder = folder
        self._thread = thread
        self._retired = retired
        self._throttle = Throttle(REPORT_INTERVAL_S)
        self._failed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._copy: Store | None = None
        """The one that is being made."""

    def start(self) -> None:
        """Look now and then from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def look_now(self) -> None:
        """A file has failed just now."""
        self._failed.set()

    async def stop(self) -> None:
        """Look no more. What is vanished then must be copied by `rescue`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._copy is not None:
            await self._thread.call(self._copy.remove)

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL_S):
                    await self._failed.wait()
            self._failed.clear()
            if not (files := [file for file in self._retired() if file.groups]):
                continue
            for file in await self._thread.call(partial(_vanished, files)):
                try:
                    await self._rescue(file)
                except (OSError, sqlite3.Error) as error:
                    if self._throttle.admits(f"{file.path}: {error}"):
                        log.error(
                            "what the journal %s held could not be copied (%s); trying again",
                            file.path,
                            error,
                            extra=fields("journal_not_copied", journal=file.path.name, reason=str(error)),
                        )
                except Exception:
                    log.exception("copying the journal %s failed; it is tried again", file.path)

    async def _rescue(self, file: JournalFile) -> None:
        original = file.store
        copy = self._copy = await self._thread.call(lambda: Store.create(self._folder, number=original.number))
        try:
            steps = _copied(original, copy)
            while await self._thread.call(lambda: next(steps, False)):
                pass
            if file in self._retired():
                _exchange(file, copy)
                self._thread.run_in_steps(original.remove_in_steps())
            else:  # Kafka has confirmed all of it meanwhile.
                await self._thread.call(copy.remove)
        except (OSError, sqlite3.Error):
            await self._thread.call(copy.remove)
            raise
        finally:
            if (task := asyncio.current_task()) is None or not task.cancelling():
                self._copy = None


def rescue(file: JournalFile, folder: Path) -> None:
    """Copy a file that has vanished, in one go, and remove what is there of it. For the writer's thread.

    Raises:
        OSError, sqlite3.Error: it cannot be done.
    """
    copy = Store.create(folder, number=file.store.number)
    try:
        for _ in _copied(file.store, copy):
            pass
    except BaseException:
        copy.remove()
        raise
    original = file.store
    _exchange(file, copy)
    original.remove()


def has_vanished(file: JournalFile) -> bool:
    """Whether a file is not in its folder any more. For the writer's thread."""
    try:
        file.store.check_presence()
    except VanishedError:
        return True
    except OSError:
        return False
    return False


def _vanished(files: Sequence[JournalFile]) -> list[JournalFile]:
    return [file for file in files if has_vanished(file)]


def _copied(original: Store, copy: Store) -> Iterator[bool]:
    """Copy it a bit at a time, and sync it in the end."""
    after = 0
    while rows := original.read_all(after, COPY_BYTES):
        after = rows[-1].seq
        copy.write(rows, (), sync=False)
        yield True
    copy.write((), (), sync=True)


def _exchange(file: JournalFile, copy: Store) -> None:
    log.warning(
        "what the journal %s held was copied to %s",
        file.path,
        copy.path.name,
        extra=fields("journal_copied", journal=file.path.name),
    )
    file.store = copy
