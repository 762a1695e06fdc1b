"""A command on a terminal of its own, as a person has it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.devstack.service import environment

LINES, COLUMNS = 24, 100
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>()][A-Z0-9]?)")


class TerminalCommand:
    """A command while the block lasts.

    Args:
        command: its words.
        env: added to that of pytest, cleared of the project's own settings.
        folder: its working directory.
    """

    def __init__(self, command: Sequence[str | Path], *, env: Mapping[str, str], folder: Path) -> None:
        self._command = [str(part) for part in command]
        self._env = environment({"TERM": "xterm-256color", **env})
        self._folder = folder
        self._read = b""
        self._seen = 0

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            self._command, env=self._env, cwd=self._folder, stdin=theirs, stdout=theirs, stderr=theirs
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    def wait_for(self, pattern: str, *, timeout: float = 60) -> str:
        """What was shown since the last time, once the pattern is in it, without the escapes.

        Raises:
            AssertionError: it is not, in this time.
        """
        until = time.monotonic() + timeout
        while not re.search(pattern, self._shown()):
            assert time.monotonic() < until, f"{pattern} is not in:\n{self._shown()}"
            self._read_some(0.2)
        shown = self._shown()
        self._seen = len(self._read)
        return shown

    def end(self, *, timeout: float = 30) -> int:
        """The status of the command, which ends. All that it has shown is read then."""
        until = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < until:
            self._read_some(0.1)  # Else it could not write.
        status = self.process.wait(1)
        while self._read_some(0):
            pass
        return status

    def is_as_before(self) -> bool:
        """Whether the terminal has the modes that it had."""
        return termios.tcgetattr(self._theirs) == self._before

    def raw(self) -> bytes:
        """All that was shown, with the escapes."""
        return self._read

    def _read_some(self, timeout_s: float) -> bool:
        """Take what is shown, waiting so long for it. Whether there was something."""
        if not select.select([self._ours], [], [], timeout_s)[0]:
            return False
        self._read += os.read(self._ours, 65_536)
        return True

    def _shown(self) -> str:
        return _ESCAPES.sub("", self._read[self._seen :].decode(errors="replace"))
