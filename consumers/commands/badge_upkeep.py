"""Lets old badges go, and brings all into another form or from another Redis."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import sys

from common.redis_url import check_redis_url
from common.terminal import progress_bar
from consumers.badges.expiry import expire_badges
from consumers.badges.migration import MigrationProgress, ReportMigration, migrate
from consumers.badges.store import BadgeStore
from consumers.commands.execution import fail_for_use, quiet_settings, run_to_end
from consumers.metrics import Metrics
from consumers.progress import retry_and_report
from consumers.runtime.producer import Producer
from consumers.settings import ConsumersSettings
from consumers.settings.redis import SecretUrl
from consumers.worker import Context


def expire_now() -> None:
    """See `consumers.commands.badge.expire`."""
    settings = quiet_settings()
    if not settings.badge_ttl_days:
        fail_for_use("CONSUMERS_BADGE_TTL_DAYS is 0, so badges are kept: set it to a number of days")
    print(f"{run_to_end(_expire(settings))} badges let go")  # noqa: T201


def migrate_badges(source: str | None) -> None:
    """See `consumers.commands.badge.migrate`.

    Raises:
        typer.Exit: the address is none, or Redis cannot be used.
    """
    settings = quiet_settings()
    from_settings = None if source is None else _settings_of(settings, source)
    with progress_bar("badges") as show:

        def report(progress: MigrationProgress) -> None:
            show(
                progress.seen,
                progress.seen,
                title=f"waiting: {progress.waiting_for}" if progress.waiting_for else "badges",
            )

        done = run_to_end(_migrate(settings, from_settings, report))
    what = "written in the layout of the settings" if source is None else "brought over"
    print(f"{done.seen} badges seen, {done.written} {what}")  # noqa: T201


def _settings_of(settings: ConsumersSettings, source: str) -> ConsumersSettings:
    if source == "-":
        source = (getpass.getpass("address: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    try:
        check_redis_url(source)
    except ValueError as error:
        fail_for_use(f"--from: {error}")
    return _Fixed.model_construct(**{**dict(settings), "redis_url": SecretUrl(source)})


class _Fixed(ConsumersSettings):
    """Settings of an address that was given by hand: no file has another one."""

    def latest(self) -> _Fixed:
        """These."""
        return self


async def _expire(settings: ConsumersSettings) -> int:
    store, producer = BadgeStore(settings), Producer(settings.kafka_client)
    try:
        await store.check()
        return await expire_badges(Context(settings, producer, Metrics("badges"), alone=False), store)
    finally:
        with contextlib.suppress(Exception):
            await asyncio.gather(store.close(), producer.stop())


async def _migrate(
    settings: ConsumersSettings, source_settings: ConsumersSettings | None, report: ReportMigration
) -> MigrationProgress:
    store = BadgeStore(settings)
    source = None if source_settings is None else BadgeStore(source_settings)
    progress = MigrationProgress()
    try:
        await store.check()
        if source is not None:
            await source.check()
        await retry_and_report(lambda: migrate(store, source, progress, report), progress, report)
    finally:
        await store.close()
        if source is not None:
            await source.close()
    return progress
