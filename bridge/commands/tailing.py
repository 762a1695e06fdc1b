"""What `bridge tail` does: shows what is on a topic, in lines for people or for programs, or on the whole terminal."""

from __future__ import annotations

import contextlib
import os
import sys

import typer

from bridge.commands.tail_filter import RecordFilter
from bridge.contract.record_line import describe_record, json_line
from bridge.devstack.foreground import run_in_foreground
from bridge.settings import DeveloperSettings
from common import logs
from common.kafka import diagnosis
from common.kafka.follower import Follower
from common.settings import load_settings
from common.terminal import Output, is_terminal


def run(
    topic: str | None, *, from_beginning: bool, type_: str, account: str | None, as_json: bool, plain: bool
) -> None:
    """Show a topic until Ctrl-C; for the arguments see `bridge.commands.tail`.

    Raises:
        typer.Exit: with status 2, if a certificate cannot be used.
    """
    output = Output()
    logs.configure(log_format="text", level="error")
    diagnosis.watch()
    settings = load_settings(DeveloperSettings)
    shown = RecordFilter(type=type_, account=account)
    topic = topic or settings.topic
    is_viewed = not as_json and not plain and _has_keys_and_screen()
    try:
        if is_viewed:
            from bridge.commands.tail_view import TailView  # noqa: PLC0415 - lines need none of it

            work = TailView(settings, topic, shown, output, from_beginning=from_beginning).run
        else:
            follower = Follower(settings.kafka_client, [topic], from_beginning=from_beginning, report=output.remark)

            async def work() -> None:
                await _show(follower, shown, output, as_json=as_json)

    except OSError as error:
        output.error(str(error))
        raise typer.Exit(2) from None
    run_in_foreground(work)


def _has_keys_and_screen() -> bool:
    return is_terminal() and sys.stdout.isatty() and sys.stdin.isatty() and os.environ.get("TERM", "dumb") != "dumb"


async def _show(follower: Follower, shown: RecordFilter, output: Output, *, as_json: bool) -> None:
    """Print what comes. Ends never."""
    async with contextlib.aclosing(follower.records()) as records:
        async for record in records:
            if not shown.admits(record):
                continue
            if as_json:
                output.json(json_line(record))
            else:
                output.line(describe_record(record))
