"""`consumers dlq`: look at dead letters, give them to their worker again, or mark them as done."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer

from common.dead_letter_filter import DeadLetterFilter
from common.dead_letter_options import (
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
)

app = typer.Typer(
    add_completion=False,
    help="Look at dead letters, give them to their worker again, or mark them as done.",
    no_args_is_help=True,
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
    chosen = letter_filter(
        type_=type_, command=command, account=account, group=group, reason=reason, since=since, until=until
    )
    from consumers.commands import dlq_list

    dlq_list.list_letters(chosen, limit=limit, done_too=done_too, as_json=as_json)


@app.command()
def show(
    letter: Annotated[str, typer.Argument(help="The letter, as `list` names it: partition-offset.")],
) -> None:
    """Print a dead letter whole: headers, then value."""
    name = letter_name(letter)
    from consumers.commands import dlq_list

    dlq_list.show_letter(name)


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
    chosen = letter_filter(
        letter=letter, type_=type_, command=command, account=account, reason=reason, since=since, until=until
    )
    from consumers.commands import dlq_done

    dlq_done.replay(worker, chosen, group=group, rate=rate, dry_run=dry_run)


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
        raise typer.BadParameter("say which: give a filter, or --every for all that are open")
    from consumers.commands import dlq_done

    dlq_done.drop(chosen, rate=rate, dry_run=dry_run)
