"""The options with which `bridge dlq` and `consumers dlq` choose dead letters."""

from __future__ import annotations

from typing import Annotated

import typer

from common.dead_letter_filter import INGRESS, DeadLetterFilter, parse_name, parse_time

TypeOption = Annotated[str | None, typer.Option("--type", help="Event type, with wildcards.")]
CommandOption = Annotated[str | None, typer.Option("--command", help="Callback command, with wildcards.")]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="Account or group that it is about, or that occurs in it.")
]
GroupOption = Annotated[
    str | None, typer.Option("--group", help=f"Consumer group that gave it up; `{INGRESS}`: the bridge itself.")
]
ReasonOption = Annotated[
    str | None,
    typer.Option("--reason", help="Why: of the bridge as `not_json`, `stale_time`; of a worker as `handler_failed`."),
]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="Given up since: 2026-01-31T12:00 (UTC), or 2h, 7d for so long ago.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Given up before.")]
LetterOption = Annotated[
    str | None,
    typer.Option("--letter", help="This one alone: partition-offset, as `consumers dlq list` names it."),
]
RateOption = Annotated[float | None, typer.Option("--rate", min=0.001, help="Most letters a second.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Write nothing; only say how many it would be.")]


def letter_filter(
    *,
    letter: str | None = None,
    type_: str | None = None,
    command: str | None = None,
    account: str | None = None,
    group: str | None = None,
    reason: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> DeadLetterFilter:
    """The filter that the options of a `dlq` command mean.

    Raises:
        typer.BadParameter: an option has no such form, or nothing can fit.
    """
    since_ms, until_ms = _time("--since", since), _time("--until", until)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise typer.BadParameter("nothing is given up since then and before that: --until must be later than --since")
    return DeadLetterFilter(
        name=None if letter is None else letter_name(letter, parameter="--letter"),
        type=type_,
        command=command,
        account=account,
        group=group,
        reason=reason,
        since_ms=since_ms,
        until_ms=until_ms,
    )


def letter_name(text: str, *, parameter: str = "LETTER") -> str:
    """The name of a letter, given as this parameter.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return parse_name(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=parameter) from None


def _time(option: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
