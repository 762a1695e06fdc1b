"""The commands when nobody reads their output to its end, as in `bridge settings | head -1`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import BRIDGE

CONSUMERS = BRIDGE.with_name("consumers")
MANY_LINES = """
import typer
from common.terminal import CommandGroup, Output, run_program, show_table

app = typer.Typer(cls=CommandGroup)
app.command("table")(lambda: show_table(("number",), ([str(number)] for number in range(200_000))))
app.command("line")(lambda: [Output().line(str(number)) for number in range(50_000)])
app.command("raw")(lambda: [Output().raw(b"x" * 1000) for _ in range(1000)])
app.command("one")(lambda: print("x" * 1_000_000))

@app.command("fail")
def fail() -> None:
    print("beginning")
    raise typer.Exit(3)

run_program(app)
"""

pytestmark = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])


def run_unread(command: list[str | Path], unbuffered: str, *, lines: int = 0) -> tuple[int, bytes]:
    """Read so many lines of what a command prints, and no more: its exit status, and standard error."""
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}  # empty is as if it were not set
    reader, writer = os.pipe()
    if not lines:
        os.close(reader)  # before the command begins, so that nothing that it writes arrives
    with subprocess.Popen(command, env=env, stdout=writer, stderr=subprocess.PIPE) as running:
        os.close(writer)
        if lines:
            with os.fdopen(reader, "rb") as read:
                for _ in range(lines):
                    assert read.readline()
        _, errors = running.communicate(timeout=30)
        return running.returncode, errors


@pytest.mark.parametrize(
    "command",
    [
        [BRIDGE, "settings"],
        [BRIDGE, "--help"],
        [BRIDGE, "journal", "--help"],
        [BRIDGE, "schemas", "--check"],
        [CONSUMERS, "settings"],
        [CONSUMERS, "dlq", "list", "--help"],
    ],
    ids=lambda command: " ".join(map(str, command[1:])),
)
def test_a_command_that_nobody_reads_ends_in_silence(command: list[str | Path], unbuffered: str) -> None:
    assert run_unread(command, unbuffered) == (0, b"")


def test_the_commands_on_the_journal_end_in_silence_too(tmp_path: Path, unbuffered: str) -> None:
    assert run_unread([BRIDGE, "journal", "list", tmp_path], unbuffered) == (0, b"")


@pytest.mark.parametrize("command", ["table", "line", "raw"])
def test_a_long_output_of_which_the_first_line_is_read_ends_in_silence(command: str, unbuffered: str) -> None:
    assert run_unread([sys.executable, "-c", MANY_LINES, command], unbuffered, lines=1) == (0, b"")


def test_one_write_larger_than_a_pipe_ends_in_silence(unbuffered: str) -> None:
    assert run_unread([sys.executable, "-c", MANY_LINES, "one"], unbuffered) == (0, b"")


def test_a_command_that_fails_before_it_notices_keeps_its_status(unbuffered: str) -> None:
    status, errors = run_unread([sys.executable, "-c", MANY_LINES, "fail"], unbuffered)
    assert (status, errors) == ((0 if unbuffered else 3), b"")
