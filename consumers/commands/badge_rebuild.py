"""Rebuilds all badges behind a progress bar."""

from __future__ import annotations

from common.terminal import progress_bar
from consumers.badges.rebuild import RebuildProgress, rebuild
from consumers.commands.execution import quiet_settings, run_to_end


def rebuild_badges() -> None:
    """See `consumers.commands.badge.rebuild`."""
    settings = quiet_settings()
    title = f"reading {settings.topic}"
    with progress_bar(title) as show:

        def report(progress: RebuildProgress) -> None:
            waiting = f"waiting: {progress.waiting_for}" if progress.waiting_for else title
            show(progress.read, progress.total, title=waiting)

        done = run_to_end(rebuild(settings, report))
    unreadable = f", {done.unreadable} were no events" if done.unreadable else ""
    print(f"{done.read} records read, {done.events} events about badges applied{unreadable}")  # noqa: T201
