"""`consumers dlq`: look at dead letters, give them to their worker again, or mark them as done."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import orjson
import typer
from aiokafka.errors import KafkaError

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
    letter_name,
    no_letter_fits,
    show_replay,
    unusable,
)
from common.dead_letter_replay import (
    LetterMissingError,
    ReplayProgress,
    ReportReplay,
    count_others,
    no_such_letter,
)
from common.kafka.dead_letters import DeadLetter, DeadLetterFilter, open_letters
from common.text import plural, printable, safe_output
from consumers.commands.dlq_replay import Replay
from consumers.commands.execution import fail, quiet_settings, run_to_end
from consumers.commands.find_worker import make_worker
from consumers.runtime.dead_letters import ADDED_HEADERS
from consumers.settings import ConsumersSettings

Result = TypeVar("Result")
LetterRow = dict[str, Any]
"""What `list` says of a letter."""
_COLUMNS = ("letter", "time", "state", "group", "reason", "type", "subject", "detail")

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
    """List the dead letters that are open, one a line below a line of headings."""
    settings = quiet_settings()
    chosen = letter_filter(
        type_=type_, command=command, account=account, group=group, reason=reason, since=since, until=until
    )

    async def work() -> None:
        count = 0
        rows: list[LetterRow] = []
        async with contextlib.aclosing(_letters(settings, chosen, done_too=done_too)) as letters:
            async for letter in letters:
                count += 1
                if count <= limit:
                    rows.append(_row(letter))
        _print_list(rows, as_json=as_json)
        unfit = 0 if count else await count_others(settings.kafka_client(), settings.dlq_topic, chosen)
        more = f", of which {limit} are shown: raise --limit" if count > limit else ""
        told = no_letter_fits(unfit) if unfit else f"{plural(count, 'dead letter')}{more}"
        print(told, file=sys.stderr)  # noqa: T201

    _run(settings, work())


@app.command()
def show(
    letter: Annotated[str, typer.Argument(help="The letter, as `list` names it: partition-offset.")],
) -> None:
    """Print a dead letter whole: headers, then value."""
    settings = quiet_settings()
    chosen = DeadLetterFilter(name=letter_name(letter))

    async def work() -> None:
        async with contextlib.aclosing(_letters(settings, chosen, done_too=True)) as letters:
            async for found in letters:
                for name, value in found.record.headers:
                    text = f"{name}: {(value or b'').decode(errors='backslashreplace')}"
                    print(printable(text, keep_newlines=name == "traceback"))  # noqa: T201
                value = (found.record.value or b"").decode(errors="backslashreplace")
                print(f"\n{printable(value, keep_newlines=True)}")  # noqa: T201
                return
        fail(no_such_letter(chosen.name or "", settings.dlq_topic))

    _run(settings, work())


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
    chosen = letter_filter(
        letter=letter, type_=type_, command=command, account=account, reason=reason, since=since, until=until
    )
    handler = make_worker(worker)
    of_group = group or settings.group or handler.name

    def work(report: ReportReplay) -> Coroutine[Any, Any, ReplayProgress]:
        return Replay(settings, chosen, rate=rate, dry_run=dry_run, report=report).replay(handler, of_group)

    _show(settings, f"replaying for {of_group}", work, done="would be replayed" if dry_run else "replayed")


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
    chosen = letter_filter(
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

    _show(settings, "dropping", work, done="would be dropped" if dry_run else "dropped")


def _show(
    settings: ConsumersSettings,
    title: str,
    work: Callable[[ReportReplay], Coroutine[Any, Any, ReplayProgress]],
    *,
    done: str,
) -> None:
    show_replay(title, lambda report: _run(settings, work(report)), done=done, stay="failed again and stay")


def _run(settings: ConsumersSettings, work: Coroutine[Any, Any, Result]) -> Result:
    """Run what a command does, as `run_to_end`; that Kafka cannot be used names its address."""

    async def explained() -> Result:
        try:
            return await work
        except (KafkaError, TimeoutError) as error:
            fail(unusable(error, settings.kafka_bootstrap_servers, "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS"))
        except LetterMissingError as error:
            fail(str(error))

    return run_to_end(explained())


def _letters(
    settings: ConsumersSettings, chosen: DeadLetterFilter, *, done_too: bool
) -> AsyncGenerator[DeadLetter, None]:
    return open_letters(settings.kafka_client(), settings.dlq_topic, chosen, done_too=done_too)


def _row(letter: DeadLetter) -> LetterRow:
    return {
        "letter": letter.name,
        "time": datetime.fromtimestamp(letter.record.timestamp / 1000, UTC).isoformat(timespec="seconds"),
        "state": letter.outcome or "open",
        "group": letter.group,
        "reason": letter.reason,
        "type": letter.type or letter.command,
        "subject": letter.subject,
        "detail": letter.headers.get("detail", ""),
        **{name: value for name, value in letter.headers.items() if name in ADDED_HEADERS and name.startswith("orig")},
    }


def _print_list(rows: Sequence[LetterRow], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(_json(row))  # noqa: T201
    elif rows:
        lines = [_COLUMNS, *([printable(str(row[name])) or "-" for name in _COLUMNS] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())  # noqa: T201


def _json(row: LetterRow) -> str:
    return safe_output(orjson.dumps(row).decode())
