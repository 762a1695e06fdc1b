"""What `bridge dlq` and `consumers dlq` print: the progress bar, the last line, why nothing could be done."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from common.dead_letter_replay import ReplayProgress, ReportReplay
from common.kafka.diagnosis import explain
from common.terminal import progress_bar
from common.text import plural, printable


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
