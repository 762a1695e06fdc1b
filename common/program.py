"""What a program of ours does around its command: signals, its streams, the name it goes by."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from common import streams
from common.interrupts import end_quietly_when_signalled
from common.lazy_command import LazyCommand

PROGRAMS = {"bridge", "consumers"}
OTHER_NAMES = {"im-bridge": "bridge"}
"""Commands under a name that no other program has: a plain `bridge` is iproute2's on most Linux systems."""


def run_program(program: str, summary: str, commands: Mapping[str, LazyCommand]) -> NoReturn:
    """Run the command that the arguments of this process name, and end the process: the entry point of a program.

    Args:
        program: `bridge` or `consumers`.
        summary: what it does.
        commands: its commands by name.

    Raises:
        SystemExit: always, with the status of the command.
    """
    streams.protect()
    run = import_module("common.command_group").run
    status: int | str | None = 0
    try:
        started = command_line(program)
        run(started, f"{summary} Settings are environment variables: `{started} settings` lists them.", commands)
    except SystemExit as end:
        status = end.code
    end_quietly_when_signalled()
    if isinstance(status, str):
        print(status, file=sys.stderr)  # noqa: T201
        status = 1
    _flush(status or 0)
    raise SystemExit(status)


def command_line(program: str) -> str:
    """How one of our programs is started here, to be pasted into a shell: by the way in which this one was started.

    Args:
        program: `bridge` or `consumers`.
    """
    started = Path(sys.argv[0])
    script = started.resolve()  # it may have been started by a link
    ours = OTHER_NAMES.get(script.name, script.name)
    if ours not in PROGRAMS:  # by `python -m bridge`, where the name is that of a file, or by another program
        return f"{shlex.quote(sys.executable)} -m {program}"
    path = started if ours == program else _beside(started, program) or script.with_name(program)
    found = shutil.which(path.name)
    if found is not None and _is_same_file(Path(found), path):
        return path.name
    return shlex.quote(f"./{path}" if len(path.parts) == 1 else str(path))


def _beside(started: Path, program: str) -> Path | None:
    path = started.with_name(program)
    return path if path.exists() else None


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
