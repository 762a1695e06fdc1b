"""The commands when their output cannot be written to its end, as in `bridge settings | head -1`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.commands import BRIDGE

CONSUMERS = BRIDGE.with_name("consumers")
MANY_LINES = """
import asyncio
import json as json_module
import typer
import uvloop
from common.lazy_command import LazyCommand
from common.program import run_program
from common.terminal import Output, show_table

async def work():
    for number in range(50_000):
        print(number)
        await asyncio.sleep(0)

async def tasks():
    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        group.create_task(asyncio.sleep(30))

def table(): show_table(("number",), ([str(number)] for number in range(200_000)))
def line(): [Output().line(str(number)) for number in range(50_000)]
def json(): [Output().json("x" * 1000) for _ in range(1000)]
def one(): print("x" * 1_000_000)
def handled():
    try:
        print("x" * 1_000_000)
    except (OSError, Exception):
        raise SystemExit("error: no file, no connection, failed")
def loop(): asyncio.run(tasks())
def uv(): uvloop.run(tasks())
def foreign(): Output().json(json_module.dumps({"é": "未读 \\U0001f600"}, ensure_ascii=False))
def fail():
    print("beginning")
    raise typer.Exit(3)

names = ("table", "line", "json", "one", "handled", "loop", "uv", "foreign", "fail")
run_program("bridge", "", {name: LazyCommand(f"__main__:{name}", "") for name in names})
"""

buffering = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
COMMANDS: list[list[str | Path]] = [
    [BRIDGE],
    [BRIDGE, "--help"],
    [BRIDGE, "settings"],
    [BRIDGE, "send"],
    [BRIDGE, "send", "--help"],
    [BRIDGE, "journal", "--help"],
    [BRIDGE, "schemas", "--check"],
    [CONSUMERS, "--help"],
    [CONSUMERS, "settings"],
    [CONSUMERS, "run", "--help"],
    [CONSUMERS, "dlq", "list", "--help"],
]
every_command = pytest.mark.parametrize(
    "command", COMMANDS, ids=lambda command: " ".join([command[0].name, *map(str, command[1:])])
)


def run_unread(command: list[str | Path], unbuffered: str = "", *, lines: int = 0) -> tuple[int, bytes]:
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


def run_redirected(command: list[str | Path], redirection: str) -> tuple[int, str]:
    """Run it by a shell that has redirected its streams: its exit status, and what it printed on standard error."""
    shell = ["sh", "-c", f'"$@" {redirection}', "sh", *command]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


@buffering
@every_command
def test_a_command_that_nobody_reads_ends_in_silence(command: list[str | Path], unbuffered: str) -> None:
    status, errors = run_unread(command, unbuffered)
    if command == [BRIDGE]:
        assert (status, errors[:7]) == (2, b"Usage: "), "help that nobody asked for"
    else:
        assert (status, errors) == (0, b"")


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_command_without_standard_streams_ends_in_silence(redirection: str) -> None:
    for command in COMMANDS[1:3]:
        assert run_redirected(command, redirection) == (0, "")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", ">&- 2>&-"])
def test_where_errors_cannot_be_written_the_status_still_tells_of_them(redirection: str) -> None:
    assert run_redirected([BRIDGE, "nosuch"], redirection) == (2, "")


@pytest.mark.parametrize("command", COMMANDS[:4], ids=str)
def test_a_full_disk_is_told_in_one_line(command: list[str | Path]) -> None:
    status, errors = run_redirected(command, ">/dev/full")
    if command == [BRIDGE]:
        assert status == 2
    else:
        assert (status, errors) == (1, "error: standard output cannot be written: No space left on device\n")


@pytest.mark.parametrize("command", [["demo"], ["dev", "--port", "0"]], ids=lambda command: command[0])
def test_a_full_disk_ends_what_was_started_too(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    status, errors = run_redirected([BRIDGE, *command], ">/dev/full")
    assert (status, errors) == (1, "error: standard output cannot be written: No space left on device\n")
    assert leftovers.processes(tmp_path) == []


@buffering
def test_the_commands_on_the_journal_end_in_silence_too(tmp_path: Path, unbuffered: str) -> None:
    assert run_unread([BRIDGE, "journal", "list", tmp_path], unbuffered) == (0, b"")


@buffering
@pytest.mark.parametrize("command", ["table", "line", "json", "loop", "uv"])
def test_a_long_output_of_which_the_first_line_is_read_ends_in_silence(command: str, unbuffered: str) -> None:
    assert run_unread([sys.executable, "-c", MANY_LINES, command], unbuffered, lines=1) == (0, b"")


@buffering
@pytest.mark.parametrize("command", ["one", "handled"])
def test_one_write_larger_than_a_pipe_ends_in_silence(command: str, unbuffered: str) -> None:
    assert run_unread([sys.executable, "-c", MANY_LINES, command], unbuffered) == (0, b"")


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "latin-1", "utf-8"])
def test_json_stays_json_where_the_encoding_lacks_a_character(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_LINES, "foreign"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert json.loads(done.stdout.decode(encoding)) == {"é": "未读 \U0001f600"}


@buffering
def test_a_command_that_fails_before_it_notices_keeps_its_status(unbuffered: str) -> None:
    status, errors = run_unread([sys.executable, "-c", MANY_LINES, "fail"], unbuffered)
    assert (status, errors) == ((0 if unbuffered else 3), b"")
