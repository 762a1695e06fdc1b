"""A command as a black box: environment in, log and exit code out.

Every command gets a process group of its own, and a `Guard` kills the groups still alive when pytest has ended: not
even `kill -9` of pytest leaves a server behind. Linux only (`/proc`).
"""

import atexit
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from bridge.devstack.guard import Guard
from bridge.devstack.service import environment
from tests.support.http import answers
from tests.support.waiting import wait_until

_PAGE = os.sysconf("SC_PAGE_SIZE")
_ENDED = "ZX"
"""States of what has ended: a zombie, and one that is being removed."""


class ProcessEndedError(Exception):
    """The command ended while something was awaited from it; the message has its exit code and the end of its log."""


class Process:
    """One command line, which can be started again after it ended (same environment, same log, appended).

    `log` receives stdout and stderr. `env` is added to that of pytest, cleared of the project's own settings; the
    working directory is the folder of the log, so that no `.env` file of the developer is read.
    """

    def __init__(self, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        self.env = dict(env or {})
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the command and return at once. Raises OSError when it cannot be executed."""
        assert not self.running, f"{self} runs already"
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                self.command,
                env=environment(self.env),
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _guard().add(self._child.pid)
        return self

    @property
    def pid(self) -> int:
        """Process id (and group id) of the last start."""
        assert self._child, f"{self} was never started"
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the command itself (not only a child of it) is alive."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the last start (negative: the signal that ended it), None while it runs."""
        return self._child.poll() if self._child else None

    def wait(self, timeout: float = 10) -> int:
        """The exit code, when the command ends by itself. Raises TimeoutError."""
        wait_until(lambda: not self.running, timeout=timeout, what=lambda: f"the end of {self}\n{self.tail()}")
        assert self._child
        return self._child.returncode

    def terminate(self, timeout: float = 10) -> int:
        """SIGTERM to the command itself; its exit code. Raises TimeoutError."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """SIGKILL to the command and all of its group at the same instant."""
        if self._child is None:
            return
        self.signal_group(signal.SIGKILL)
        self._child.wait()
        wait_until(lambda: not self.group(), timeout=10, what=f"the end of the group of {self}")

    def kill_parent(self, *, timeout: float) -> None:
        """SIGKILL to the command itself; returns when its children have ended by themselves. Raises TimeoutError."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait(timeout)
        wait_until(
            lambda: not self.group(), timeout=timeout, what=lambda: f"the children of {self} to end\n{self.tail()}"
        )

    def close(self) -> None:
        """Leave nothing behind; may be called at any time, more than once."""
        if self._child:
            self.kill()
            _guard().discard(self.pid)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the command and its children; a group that has ended is no error."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def freeze(self) -> None:
        """SIGSTOP to the whole group; returns when every thread has stopped."""
        self.signal_group(signal.SIGSTOP)
        wait_until(lambda: all(_stopped(pid) for pid in self.group()), timeout=5, what=f"{self} stopped")

    def thaw(self) -> None:
        """SIGCONT to the whole group; returns when nothing is stopped any more."""
        self.signal_group(signal.SIGCONT)
        wait_until(lambda: not any(_stopped(pid) for pid in self.group()), timeout=5, what=f"{self} continued")

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Within the block nothing of the group runs: what is done to its files is done at one moment for it."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def group(self) -> list[int]:
        """Ids of all processes alive in the group, ascending; the command itself is one of them."""
        return [found.pid for found in _processes() if found.group == self.pid]

    def children(self) -> list[int]:
        """Ids of the direct children alive, ascending."""
        return [found.pid for found in _processes() if found.parent == self.pid]

    @property
    def rss_bytes(self) -> int:
        """Resident memory of the whole group."""
        return sum(found.rss for found in _processes() if found.group == self.pid)

    def output(self) -> str:
        """What was written since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def tail(self, lines: int = 30) -> str:
        """The end of the output, for messages."""
        return "\n".join(self.output().splitlines()[-lines:])

    def wait_for(self, condition: Callable[[], object], *, timeout: float = 10, what: str) -> None:
        """Wait for a condition. Raises ProcessEndedError as soon as the command ends, TimeoutError."""

        def reached() -> bool:
            alive = self.running
            if condition():
                return True
            if not alive:
                raise ProcessEndedError(f"{self} ended ({self.exit_code}) before {what}\n{self.tail()}")
            return False

        wait_until(reached, timeout=timeout, what=lambda: f"{what} of {self}\n{self.tail()}")

    def wait_for_log(self, pattern: str, *, timeout: float = 10) -> re.Match[str]:
        """The first match of a regular expression in the lines since the start, each whole. Raises as `wait_for`."""
        found: list[re.Match[str]] = []

        def seen() -> bool:
            whole_lines = "".join(self.output().rpartition("\n")[:2])  # What comes behind is being written.
            found.extend(re.compile(pattern, re.MULTILINE).finditer(whole_lines))
            return bool(found)

        self.wait_for(seen, timeout=timeout, what=f"the log line /{pattern}/")
        return found[0]

    def wait_for_http(self, url: str, *, status: int = 200, timeout: float = 10) -> None:
        """Wait until a GET of `url` is answered with `status`. Raises as `wait_for`."""
        self.wait_for(lambda: answers(url, status), timeout=timeout, what=f"HTTP {status} at {url}")

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __str__(self) -> str:
        return f"`{Path(self.command[0]).name} {' '.join(self.command[1:3])}`"


class _Found(NamedTuple):
    pid: int
    parent: int
    group: int
    rss: int


def _processes() -> Iterator[_Found]:
    """Every process that is alive, by ascending id."""
    for pid in sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        fields = _stat(Path(f"/proc/{pid}/stat"))
        if fields and (fields[0] not in _ENDED or _has_threads(pid)):
            yield _Found(pid, int(fields[1]), int(fields[2]), int(fields[21]) * _PAGE)


def _has_threads(pid: int) -> bool:
    """Whether a thread lives. The first one may have ended before others, which keep the files of the process open."""
    return any(state not in _ENDED for state in _thread_states(pid))


def _stopped(pid: int) -> bool:
    """Whether every thread of the process is stopped."""
    states = _thread_states(pid)
    return bool(states) and all(state == "T" for state in states)


def _thread_states(pid: int) -> list[str]:
    """The state of each thread, see proc(5); empty when the process has gone."""
    try:
        return [fields[0] for task in Path(f"/proc/{pid}/task").iterdir() if (fields := _stat(task / "stat"))]
    except OSError:
        return []


def _stat(path: Path) -> list[str]:
    """The fields from the state on, see proc(5); empty when the process has gone."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []


@cache
def _guard() -> Guard:
    guard = Guard()
    atexit.register(guard.close)
    return guard
