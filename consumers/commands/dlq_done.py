"""Gives dead letters to their worker again, or drops them, behind a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from common.dead_letter_commands import show_replay
from common.dead_letter_filter import DeadLetterFilter
from common.dead_letter_replay import ReplayProgress, ReportReplay
from consumers.commands.dlq_replay import Replay
from consumers.commands.dlq_run import run
from consumers.commands.execution import quiet_settings
from consumers.commands.find_worker import make_worker
from consumers.settings import ConsumersSettings


def replay(worker: str, chosen: DeadLetterFilter, *, group: str | None, rate: float | None, dry_run: bool) -> None:
    """See `consumers.commands.dlq.replay`."""
    settings = quiet_settings()
    handler = make_worker(worker)
    of_group = group or settings.group or handler.name

    def work(report: ReportReplay) -> Coroutine[Any, Any, ReplayProgress]:
        return Replay(settings, chosen, rate=rate, dry_run=dry_run, report=report).replay(handler, of_group)

    _show(settings, f"replaying for {of_group}", work, done="would be replayed" if dry_run else "replayed")


def drop(chosen: DeadLetterFilter, *, rate: float | None, dry_run: bool) -> None:
    """See `consumers.commands.dlq.drop`."""
    settings = quiet_settings()

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
    show_replay(title, lambda report: run(settings, work(report)), done=done, stay="failed again and stay")
