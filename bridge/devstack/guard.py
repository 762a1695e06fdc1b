"""Sees that child processes do not outlive the process that started them, whatever ends it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_TIMEOUT_S = 10.0

_HELPER = """
import os, shutil, signal, sys, time
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
for folder in sys.argv[1:]:
    for attempt in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            break
        time.sleep(0.05)
"""


class Guard:
    """A helper process that kills process groups, and removes a folder, once the process that made it has ended.

    It learns of that by the end of its standard input, so it works for SIGKILL too.

    Args:
        remove: the folder; None: none.
    """

    def __init__(self, *, remove: Path | None = None) -> None:
        folders = [] if remove is None else [str(remove)]
        # A session of its own: Ctrl-C in the terminal and a signal to our process group do not reach it.
        self._helper = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-I", "-S", "-c", _HELPER, *folders],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def add(self, group: int) -> None:
        """Watch over a process group."""
        self._tell(f"+{group}\n")

    def discard(self, group: int) -> None:
        """The process group has ended."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Kill what is left, remove the folder, and wait until that is done.

        Raises:
            subprocess.TimeoutExpired: it takes too long.
        """
        assert self._helper.stdin
        self._helper.stdin.close()
        self._helper.wait(timeout=STOP_TIMEOUT_S)

    def _tell(self, line: str) -> None:
        assert self._helper.stdin
        with contextlib.suppress(BrokenPipeError):
            self._helper.stdin.write(line)
            self._helper.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Workspace(Guard):
    """A temporary folder for all that child processes write, and their guard, which removes it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="im-bridge-"))
        super().__init__(remove=self.folder)
