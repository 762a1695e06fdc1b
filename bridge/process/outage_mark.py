"""Since when Kafka confirms nothing, as the time of a file beside the journals, for processes that begin in an outage.

The file is empty, for a disk that is full takes no content.

Whoever comes after a reload, a restart or a `kill -9` has seen no more of the outage than its own time. All processes
of a folder write the one file, the earliest time stays, and who is confirmed something removes it.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from bridge.journal.own_file import ForeignError, own_status

NAME = "kafka-away-since"


class OutageMark:
    """The file. All of it waits for the disk, and none of it matters enough to be synced.

    Args:
        folder: of the journals.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def read(self) -> float | None:
        """Since when, as Unix seconds; None where there is no outage that anybody noted."""
        try:
            since = own_status(self._path).st_mtime
        except (OSError, ForeignError):
            return None
        return since if 0 < since <= time.time() else None

    def note(self, since: float) -> None:
        """Note an outage, unless one is noted that began before.

        Raises:
            OSError: the disk does not take it.
        """
        noted = self.read()
        if noted is not None and noted <= since:
            return
        unfinished = self._path.with_suffix(f".{os.getpid()}")
        try:
            unfinished.touch()
            os.utime(unfinished, (since, since))
            unfinished.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise

    def remove(self) -> None:
        """It is over.

        Raises:
            OSError: the disk does not take it.
        """
        self._path.unlink(missing_ok=True)
