"""What a program of ours does around its command: signals from its first moment, its streams, the name it goes by.

Little is imported here, and by the modules with `main`: Ctrl-C while the rest is imported shows no traceback.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from common import streams

OTHER_NAMES = {"im-bridge": "bridge"}
"""Commands under a name that no other program has: a plain `bridge` is iproute2's on most Linux systems."""


class LazyCommand(NamedTuple):
    """A command that is imported when it is used."""

    place: str
    """Where it is: `package.module:name` of a function, or of a `typer.Typer` with commands of its own."""
    summary: str
    """What it does, in the words of its own help."""


def run_program(summary: str, commands: Mapping[str, LazyCommand]) -> NoReturn:
    """Run the command that the arguments of this process name, and end the process: the entry point of a program.

    Raises:
        SystemExit: always, with the status of the command.
    """
    end_quietly_when_signalled()
    streams.protect()
    run = import_module("common.command_group").run
    status: int | str | None = 0
    try:
        run(summary, commands)
    except SystemExit as end:
        status = end.code
    end_quietly_when_signalled()
    if isinstance(status, str):
        print(status, file=sys.stderr)  # noqa: T201
        status = 1
    _flush(status or 0)
    raise SystemExit(status)


def end_quietly_when_signalled() -> None:
    """Let Ctrl-C and SIGTERM end this process at once and in silence, until `be_interruptible`.

    By a handler and not the system's own action, which has no effect on the first process of a container.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def be_interruptible() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again: for a command that has something to put right before it ends."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def command_line(program: str) -> str:
    """How one of our programs is started here, to be pasted into a shell: by the way in which this one was started.

    Args:
        program: `bridge` or `consumers`.
    """
    started = Path(sys.argv[0])
    ours = OTHER_NAMES.get(started.name, started.name)
    if ours not in {"bridge", "consumers"}:
        # By `python -m bridge.cli`, where the name is that of a file, or by another program.
        return f"{shlex.quote(sys.executable)} -m {program}.cli" if started.name == "cli.py" else program
    path = started if ours == program else started.with_name(program)
    found = shutil.which(path.name)
    if found is not None and _is_same_file(Path(found), path):
        return path.name
    return shlex.quote(f"./{path}" if len(path.parts) == 1 else str(path))


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _flush(status: int) -> None:
    """Write what is left. The interpreter would do so too; where that fails its status is 120, whatever ours was."""
    try:
        sys.stdout.flush()
    except SystemExit as end:
        if not status:
            raise SystemExit(end.code) from None


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)
