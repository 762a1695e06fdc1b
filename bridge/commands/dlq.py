"""`bridge dlq`: reads dead letters of the ingress again."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

import typer

from common.dead_letter_filter import INGRESS
from common.dead_letter_options import (
    AccountOption,
    CommandOption,
    DryRunOption,
    LetterOption,
    RateOption,
    ReasonOption,
    SinceOption,
    UntilOption,
    letter_filter,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Read dead letters of the ingress again.")


@app.callback()
def _root() -> None:
    """Keeps `replay` a command of its own."""


@app.command()
def replay(
    *,
    command: CommandOption = None,
    account: AccountOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    letter: LetterOption = None,
    rate: RateOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Make events of the dead letters of the ingress that can be read by now.

    Those with a stale time are left out unless `--reason stale_time` or `--letter` names them: they may be forged.
    """
    chosen = letter_filter(
        letter=letter, command=command, account=account, group=INGRESS, reason=reason, since=since, until=until
    )
    from bridge.commands import dlq_replay

    dlq_replay.run(chosen, rate=rate, dry_run=dry_run)
