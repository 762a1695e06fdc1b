"""The commands on dead letters: `consumers dlq`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from common.kafka.dead_letters import INGRESS, DeadLetter, Filter, open_letters, parse_time
from common.logs import configure
from common.settings import load
from consumers.commands.find import fail, find_worker, run_to_end
from consumers.commands.replay import ADDED_HEADERS, Outcome, Replay
from consumers.settings import ConsumersSettings

app = typer.Typer(
    help="Look at dead letters, give them to their worker again, or mark them as done.", no_args_is_help=True
)

TypeOption = Annotated[str | None, typer.Option("--type", help="Event type, with wildcards.")]
CommandOption = Annotated[str | None, typer.Option("--command", help="Callback command, with wildcards.")]
AccountOption = Annotated[str | None, typer.Option("--account", help="Account or group that it is about.")]
GroupOption = Annotated[
    str | None, typer.Option("--group", help=f"Consumer group that gave it up; `{INGRESS}`: the bridge itself.")
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why, as `handler_failed`.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="Set aside since: 2026-01-31T12:00 (UTC), or 2h, 7d for so long ago.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Set aside before.")]
LetterOption = Annotated[str | None, typer.Option("--letter", help="This one alone, as `list` names it.")]
RateOption = Annotated[float | None, typer.Option("--rate", min=0.001, help="Most letters a second.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say how many it would be.")]


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
    settings = _settings()
    chosen = _filter(type=type_, command=command, account=account, group=group, reason=reason, since=since, until=until)

    async def work() -> None:
        shown = 0
        async with contextlib.aclosing(_letters(settings, chosen, done_too=done_too)) as letters:
            async for letter in letters:
                shown += 1
                if shown <= limit:
                    _print(orjson.dumps(_row(letter)).decode() if as_json else _line(letter))
        more = f", of which {limit} are shown: raise --limit" if shown > limit else ""
        print(f"{shown} dead letters{more}", file=sys.stderr)  # noqa: T201

    run_to_end(work())


@app.command()
def show(
    letter: Annotated[str, typer.Argument(help="The letter, as `list` names it: partition-offset.")],
) -> None:
    """Print a dead letter whole: headers, then value."""
    settings = _settings()

    async def work() -> None:
        async with contextlib.aclosing(_letters(settings, Filter(name=letter), done_too=True)) as letters:
            async for found in letters:
                for name, value in found.record.headers:
                    _print(f"{name}: {value.decode(errors='backslashreplace')}")
                _print("")
                _print((found.record.value or b"").decode(errors="backslashreplace"))
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
    settings = _settings()
    chosen = _filter(name=letter, type=type_, command=command, account=account, reason=reason, since=since, until=until)
    made = find_worker(worker)()
    of_group = group or settings.group or made.name
    verb = "would be replayed" if dry_run else "replayed"

    def work(report: Callable[[Outcome], None]) -> Coroutine[Any, Any, Outcome]:
        return Replay(settings, chosen, rate=rate, dry_run=dry_run, report=report).replay(made, of_group)

    _work(f"replaying for {of_group}", verb, work)


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
    settings = _settings()
    chosen = _filter(
        name=letter, type=type_, command=command, account=account, group=group, reason=reason, since=since, until=until
    )
    if chosen == Filter() and not every:
        fail("say which: give a filter, or --every for all that are open")

    def work(report: Callable[[Outcome], None]) -> Coroutine[Any, Any, Outcome]:
        return Replay(settings, chosen, rate=rate, dry_run=dry_run, report=report).drop()

    _work("dropping", "would be dropped" if dry_run else "dropped", work)


def _work(title: str, verb: str, work: Callable[[Callable[[Outcome], None]], Coroutine[Any, Any, Outcome]]) -> None:
    bar = Bar(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(title, total=None)

        def report(outcome: Outcome) -> None:
            waiting = f"waiting: {outcome.waiting_for}" if outcome.waiting_for else f"{title}: {outcome.done} done"
            bar.update(task, total=outcome.total or None, completed=outcome.read, description=waiting)

        outcome = run_to_end(work(report))
    for name, why in outcome.failed:
        print(f"{name} stays: {why}", file=sys.stderr)  # noqa: T201
    failed = f", {outcome.failures} failed again and stay" if outcome.failures else ""
    print(f"{outcome.done} {verb}{failed}")  # noqa: T201
    if outcome.failures:
        raise typer.Exit(1)


def _settings() -> ConsumersSettings:
    settings = load(ConsumersSettings)
    configure(log_format=settings.log_format, level="error")
    return settings


def _letters(settings: ConsumersSettings, chosen: Filter, *, done_too: bool) -> AsyncGenerator[DeadLetter, None]:
    return open_letters(settings.kafka_client(), settings.dlq_topic, chosen, done_too=done_too)


def _filter(*, since: str | None, until: str | None, **exact: str | None) -> Filter:
    try:
        since_ms = None if since is None else parse_time(since)
        until_ms = None if until is None else parse_time(until)
    except ValueError as error:
        fail(str(error))
    return Filter(**exact, since_ms=since_ms, until_ms=until_ms)


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
    return "  ".join(str(row[name]) or "-" for name in names)


def _print(text: str) -> None:
    """Print what may come from users of the app: nothing in it is obeyed by a terminal."""
    if not text.isprintable():
        text = "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)
    print(text)  # noqa: T201
