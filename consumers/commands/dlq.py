"""`consumers dlq`: look at dead letters, give them to their worker again, or mark them as done."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer

from common.dead_letter_commands import (
    AccountOption,
    CommandOption,
    DryRunOption,
    GroupOption,
    LetterOption,
    RateOption,
    ReasonOption,
    SinceOption,
    TypeOption,
    UntilOption,
    letter_filter,
    show_replay,
)
from common.dead_letter_replay import ReplayProgress, ReportReplay
from common.kafka.dead_letters import DeadLetter, DeadLetterFilter, open_letters
from common.terminal import printable
from consumers.commands.dlq_replay import Replay
from consumers.commands.execution import fail, quiet_settings, run_to_end
from consumers.commands.find_worker import find_worker
from consumers.runtime.dead_letters import ADDED_HEADERS
from consumers.settings import ConsumersSettings

app = typer.Typer(
    help="Look at dead letters, give them to their worker again, or mark them as done.", no_args_is_help=True
)


@app.command("list")
def list_letters(
    *,
    type_: TypeOption = None,
    command: CommandOption = None,
    account: AccountOption = None,
    group: GroupOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Most letters to print.")] = 100,
    done_too: Annotated[bool, typer.Option("--all", help="Those that are done too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the dead letters that are open, one a line."""
    settings = quiet_settings()
    chosen = _chosen(
        type_=type_, command=command, account=account, group=group, reason=reason, since=since, until=until
    )

    async def work() -> None:
        shown = 0
        async with contextlib.aclosing(_letters(settings, chosen, done_too=done_too)) as letters:
            async for letter in letters:
                shown += 1
                if shown <= limit:
                    print(_json(letter) if as_json else _line(letter))  # noqa: T201
        more = f", of which {limit} are shown: raise --limit" if shown > limit else ""
        print(f"{shown} dead letters{more}", file=sys.stderr)  # noqa: T201

    run_to_end(work())


@app.command()
def show(
    letter: Annotated[str, typer.Argument(help="The letter, as `list` names it: partition-offset.")],
) -> None:
    """Print a dead letter whole: headers, then value."""
    settings = quiet_settings()

    async def work() -> None:
        async with contextlib.aclosing(_letters(settings, DeadLetterFilter(name=letter), done_too=True)) as letters:
            async for found in letters:
                for name, value in found.record.headers:
                    print(printable(f"{name}: {value.decode(errors='backslashreplace')}"))  # noqa: T201
                value = (found.record.value or b"").decode(errors="backslashreplace")
                print(f"\n{printable(value, keep_newlines=True)}")  # noqa: T201
                return
        fail(f"there is no dead letter {letter} on {settings.dlq_topic}")

    run_to_end(work())


@app.command()
def replay(
    worker: Annotated[
        str, typer.Argument(metavar="WORKER", help="Who handles them: a name or class, as `consumers run` takes it.")
    ],
    *,
    type_: TypeOption = None,
    command: CommandOption = None,
    account: AccountOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    letter: LetterOption = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Whose letters; default: CONSUMERS_GROUP or the worker's name.")
    ] = None,
    rate: RateOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Give the dead letters of a worker to that worker again, in this process, and to no other."""
    settings = quiet_settings()
    chosen = _chosen(
        letter=letter, type_=type_, command=command, account=account, reason=reason, since=since, until=until
    )
    handler = find_worker(worker)()
    of_group = group or settings.group or handler.name

    def work(report: ReportReplay) -> Coroutine[Any, Any, ReplayProgress]:
        return Replay(settings, chosen, rate=rate, dry_run=dry_run, report=report).replay(handler, of_group)

    _show(f"replaying for {of_group}", work, done="would be replayed" if dry_run else "replayed")


@app.command()
def drop(
    *,
    type_: TypeOption = None,
    command: CommandOption = None,
    account: AccountOption = None,
    group: GroupOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    letter: LetterOption = None,
    every: Annotated[
        bool, typer.Option("--every", help="All that are open: needed where nothing else is given.")
    ] = False,
    rate: RateOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Mark dead letters as done without handling them. They stay on the topic as long as it keeps them."""
    settings = quiet_settings()
    chosen = _chosen(
        letter=letter,
        type_=type_,
        command=command,
        account=account,
        group=group,
        reason=reason,
        since=since,
        until=until,
    )
    if chosen == DeadLetterFilter() and not every:
        fail("say which: give a filter, or --every for all that are open")

    def work(report: ReportReplay) -> Coroutine[Any, Any, ReplayProgress]:
        return Replay(settings, chosen, rate=rate, dry_run=dry_run, report=report).drop()

    _show("dropping", work, done="would be dropped" if dry_run else "dropped")


def _show(title: str, work: Callable[[ReportReplay], Coroutine[Any, Any, ReplayProgress]], *, done: str) -> None:
    show_replay(title, lambda report: run_to_end(work(report)), done=done, stay="failed again and stay")


def _letters(
    settings: ConsumersSettings, chosen: DeadLetterFilter, *, done_too: bool
) -> AsyncGenerator[DeadLetter, None]:
    return open_letters(settings.kafka_client(), settings.dlq_topic, chosen, done_too=done_too)


def _chosen(**options: str | None) -> DeadLetterFilter:
    try:
        return letter_filter(**options)
    except ValueError as error:
        fail(str(error))


def _row(letter: DeadLetter) -> dict[str, Any]:
    return {
        "letter": letter.name,
        "time": datetime.fromtimestamp(letter.record.timestamp / 1000, UTC).isoformat(timespec="seconds"),
        "group": letter.group,
        "reason": letter.reason,
        "type": letter.type or letter.command,
        "subject": letter.subject,
        "detail": letter.headers.get("detail", ""),
        **{name: value for name, value in letter.headers.items() if name in ADDED_HEADERS and name.startswith("orig")},
    }


def _line(letter: DeadLetter) -> str:
    row = _row(letter)
    names = ("letter", "time", "group", "reason", "type", "subject", "detail")
    return printable("  ".join(str(row[name]) or "-" for name in names))


def _json(letter: DeadLetter) -> str:
    # Not by `printable`, whose escapes of some characters are none in JSON.
    text = orjson.dumps(_row(letter)).decode()
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
