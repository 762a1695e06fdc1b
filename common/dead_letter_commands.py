"""What `bridge dlq` and `consumers dlq` share: the options that choose letters, the progress bar, the last line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from common.dead_letter_replay import ReplayProgress, ReportReplay
from common.kafka.dead_letters import INGRESS, DeadLetterFilter, parse_name, parse_time
from common.kafka.diagnosis import explain
from common.terminal import progress_bar
from common.text import plural, printable

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


def no_letter_fits(unfit: int) -> str:
    """That no letter is meant, although so many are open."""
    return f"no open dead letter fits these options; without them {'1 does' if unfit == 1 else f'{unfit} do'}"


def unusable(error: BaseException, servers: str, variable: str) -> str:
    """That Kafka cannot be used, why, and which setting names it."""
    return f"Kafka at {printable(servers)} ({variable}) cannot be used: {printable(explain(error))}"


def show_replay(
    title: str, run: Callable[[ReportReplay], ReplayProgress], *, done: str, stay: str, left_out: str = ""
) -> None:
    """Run a command on dead letters behind a progress bar, then print what became of them.

    Args:
        title: what it does, for the bar.
        run: does it, and returns where it ended.
        done: what happened to the letters that were dealt with, as `replayed`.
        stay: what happened to the others, as `failed again and stay`.
        left_out: why some were left out, if they were, and how to ask for them.

    Raises:
        typer.Exit: with status 1, if letters stay.
    """
    with progress_bar(title) as show:

        def report(progress: ReplayProgress) -> None:
            waiting = f"waiting: {progress.waiting_for}" if progress.waiting_for else f"{title}: {progress.done} done"
            show(progress.read, progress.total or None, title=waiting)

        progress = run(report)
    for name, why in progress.failed:
        print(f"{name} stays: {printable(why)}", file=sys.stderr)  # noqa: T201
    failed = f", {progress.failures} {stay}" if progress.failures else ""
    typer.echo(f"{progress.done} {done}{failed}")
    if progress.left_out:
        print(f"{plural(progress.left_out, 'dead letter')} left out: {left_out}", file=sys.stderr)  # noqa: T201
    if progress.unfit:
        print(no_letter_fits(progress.unfit), file=sys.stderr)  # noqa: T201
    if progress.failures:
        raise typer.Exit(1)
