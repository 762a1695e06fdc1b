"""Brings badges into the layout and under the keys of the settings, also from another Redis, while workers run.

Of each badge the newest of both places stays. So a migration that broke off is just begun anew, and events that are
handled meanwhile are not lost, wherever they are handled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consumers.badges.bulk import BadgeBulk
from consumers.badges.store import BadgeStore


@dataclass
class MigrationProgress:
    """How far a migration is, in badges."""

    seen: int = 0
    written: int = 0
    stale: int = 0
    """Accounts that were put among the stale ones under the keys of now."""
    waiting_for: str | None = None
    """What is away, while something is."""


ReportMigration = Callable[[MigrationProgress], None]


async def migrate(
    store: BadgeStore, source: BadgeStore | None, progress: MigrationProgress, report: ReportMigration
) -> None:
    """Write every badge as the settings say; from `source`, if there is one, into `store`.

    Raises:
        RetryLater: Redis is away.
        ForeignKeyError: a key of a badge holds something else.
    """
    bulk = BadgeBulk(store)
    progress.seen = progress.written = progress.stale = 0
    async for owners in BadgeBulk(source or store).scan():
        progress.seen += len(owners)
        if source is None:
            progress.written += await bulk.relayout(owners)
            progress.stale += await bulk.note_stale(owners)
        else:
            rows = await BadgeBulk(source).export(owners)
            await bulk.merge(rows)
            progress.written += len(rows)
        report(progress)
    if source is None:
        await bulk.forget_former_keys()
