"""What `consumers backfill` does: reads its options, runs behind a progress bar, prints what was found."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import msgspec
import typer

from common.kafka import diagnosis
from common.logs import configure
from common.program import command_line
from common.settings import load_settings
from common.terminal import Output, ShowProgress, progress_bar, show_table
from consumers.archive.hour import ArchiveWindow, parse_instant
from consumers.archive.message import CHAT_TYPES, ArchivedChat
from consumers.backfill import words
from consumers.backfill.backfill import BackfillOrder, BackfillProgress, ReportBackfill, backfill
from consumers.backfill.hour_count import HourCount
from consumers.backfill.watch import BackfillWatch
from consumers.commands.execution import fail, fail_for_use, quiet_settings, run_to_end
from consumers.errors import describe
from consumers.settings import ConsumersSettings

LONGEST_SPAN = timedelta(days=31)
_INTERRUPTED = 130


def run(
    start: str | None,
    end: str | None,
    *,
    chat: str | None,
    apps: Sequence[str],
    dry_run: bool,
    despite_retention: bool,
    as_json: bool,
) -> NoReturn:
    """See `consumers.commands.backfill`.

    Raises:
        typer.Exit: always.
    """
    if start is None or end is None:
        fail_for_use("say which messages: --from 2026-11-25T10:00 --to 13:00, or --watch for each hour from now on")
    try:
        window = ArchiveWindow.parse(start, end)
    except ValueError as error:
        fail_for_use(str(error))
    chats = _chats(chat)
    settings = quiet_settings()
    order = BackfillOrder(window, _apps(apps, settings), chats, not dry_run, despite_retention)
    _check_span(window)
    _check_certificates(settings)
    done = _run(settings, order)
    if as_json:
        _print_json(done)
    else:
        _print(done, order)
    well = all(one.is_settled and not one.bad_lines and one.state in {"compared", "no_file"} for one in done.hours)
    raise typer.Exit(0 if well else 1)


def watch(
    start: str | None,
    end: str | None,
    *,
    chat: str | None,
    apps: Sequence[str],
    publish: bool,
    dry_run: bool,
    despite_retention: bool,
    as_json: bool,
) -> None:
    """See `consumers.commands.backfill`."""
    if end is not None:
        fail_for_use("--watch has no end: leave --to away")
    if despite_retention and not publish:
        fail_for_use("--despite-retention is about what is published: add --publish")
    if dry_run or as_json:
        fail_for_use(f"--watch knows no {'--dry-run: it only counts without --publish' if dry_run else '--json'}")
    try:
        since = None if start is None else parse_instant(start)
    except ValueError as error:
        fail_for_use(str(error))
    chats = _chats(chat)
    settings = load_settings(ConsumersSettings)
    configure(log_format=settings.log_format, level=settings.log_level)
    diagnosis.watch()
    _check_certificates(settings)
    watched = BackfillWatch(
        settings,
        apps=_apps(apps, settings),
        chats=chats,
        since=since,
        publish=publish,
        despite_retention=despite_retention,
    )
    run_to_end(watched.run())


def _run(settings: ConsumersSettings, order: BackfillOrder) -> BackfillProgress:
    title = "comparing"
    with progress_bar(title) as show:
        try:
            return run_to_end(backfill(settings, order, _reporter(show)))
        except typer.Exit as end:
            if end.exit_code == _INTERRUPTED:
                command = f"{command_line('consumers')} backfill"
                Output().remark(f"interrupted: the same `{command}` goes on from there")
            raise


def _reporter(show: ShowProgress) -> ReportBackfill:
    told: set[str] = set()

    def report(progress: BackfillProgress) -> None:
        if progress.waiting_for:
            title = f"waiting: {progress.waiting_for}"
            if title not in told and not sys.stderr.isatty():
                Output().remark(title)  # The bar is shown on a terminal only.
            told.add(title)
        elif progress.current is not None:
            title = words.short(progress.current)
        elif progress.reading is not None:
            read, total = progress.reading
            title = f"reading what the topic has: {read:,} of {total:,}"
        else:
            title = "comparing"
        show(len(progress.hours), progress.total, title=title)

    return report


def _print(done: BackfillProgress, order: BackfillOrder) -> None:
    output = Output()
    if done.resumed:
        output.remark(f"{done.resumed} of {done.total} were done by a run that was interrupted")
    show_table(words.COLUMNS, map(words.row, done.hours))
    output.line(words.sentence(done.hours))
    if not order.publish and any(one.still_missing for one in done.hours):
        output.remark("nothing was published: leave --dry-run away to do it")
    for count in done.hours:
        if count.problem:
            output.remark(f"{count.start[:16]}Z, {count.chat} of {count.app}: {count.problem}", "red")
        for sample in count.samples:
            output.remark(f"{count.start[:16]}Z, {count.chat} of {count.app}: no message: {sample}")


def _print_json(done: BackfillProgress) -> None:
    output = Output()
    for count in done.hours:
        output.json(msgspec.json.encode(_whole(count)).decode())
    output.json(msgspec.json.encode({"sum": words.summed(done.hours)}).decode())


def _whole(count: HourCount) -> dict[str, object]:
    """All fields of a count, zeros included."""
    return msgspec.structs.asdict(count)


def _chats(chat: str | None) -> list[ArchivedChat]:
    if chat is None:
        return list(CHAT_TYPES)
    found = next((one for one in CHAT_TYPES if one == chat.lower()), None)
    if found is None:
        fail_for_use(f"{chat[:40]!r} is no kind of chat: write c2c or group")
    return [found]


def _check_span(window: ArchiveWindow) -> None:
    """See that the platform may have some of it, and that it is no mistake."""
    if window.start >= datetime.now(UTC):
        fail_for_use(
            f"{window.start.isoformat()} is still to come: the archive has what was sent in hours that are over"
        )
    if window.end - window.start > LONGEST_SPAN:
        fail_for_use(
            f"the span has {(window.end - window.start).days} days, and the platform keeps seven: ask for "
            f"{LONGEST_SPAN.days} days at most"
        )


def _check_certificates(settings: ConsumersSettings) -> None:
    """See that a Kafka client can be made: else it would be waited for."""
    try:
        settings.kafka_client()
    except OSError as error:
        fail(f"a certificate of the Kafka connection cannot be read ({describe(error)}): see CONSUMERS_KAFKA_SSL_*")


def _apps(apps: Sequence[str], settings: ConsumersSettings) -> list[str]:
    named = list(settings.im_apps)
    if not named:
        fail("the platform cannot be asked: set CONSUMERS_IM_APPS to the app's credentials", status=2)
    for app in apps:
        if app not in named:
            fail(f"app {app[:40]} has no credentials: CONSUMERS_IM_APPS names {', '.join(named)}", status=2)
    return list(dict.fromkeys(apps)) or named
