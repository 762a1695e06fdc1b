"""Prints what the journals hold, also those of living processes, and publishes it by hand."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import orjson
import typer
import uvloop

from bridge.commands.journal_folder import existing_folder, told_in_a_line
from bridge.journal.inspection import JournalSummary, records_in, summaries, told_of
from bridge.journal.journal_name import journals_in
from bridge.journal.own_file import ForeignError
from bridge.journal.record import Record
from bridge.journal.store import DamagedError
from bridge.process.status_socket import remove_dead_sockets
from bridge.publish.draining import Drained, drain_folder
from bridge.publish.quarantine import Quarantine, refused_in
from bridge.settings import RescueSettings
from common import logs
from common.interrupts import be_interruptible
from common.kafka import diagnosis
from common.program import command_line
from common.settings import load_settings
from common.terminal import Output, ShowProgress, plural, printable, progress_bar, show_table

HEADINGS = ("journal", "owner", "bytes", "topic", "events", "oldest")


def list_journals(folder: Path | None, *, as_json: bool) -> None:
    """See `bridge.commands.journal.list_journals`."""
    place = existing_folder(folder)
    with told_in_a_line(place):
        found = list(summaries(place))
        quarantine = _quarantine(place)
        quarantined = quarantine.counted()
    if as_json:
        _print_json(
            {
                "folder": str(place),
                "journals": [_as_dict(journal) for journal in found],
                "quarantine": {"folder": str(quarantine.folder), **quarantined._asdict()},
            }
        )
        return
    for journal in found:
        if journal.problem:
            Output().remark(printable(f"{journal.path.name} cannot be read: {journal.problem}"))
    if not found:
        typer.echo(f"There are no journals in {place}.")
    else:
        rows = [row for journal in found for row in _rows(journal)]
        show_table(HEADINGS, rows, always_headed=True)
    if quarantined.files:
        records = plural(quarantined.files, "record that Kafka refuses", "records that Kafka refuses")
        typer.echo(f"{records} for good in quarantine ({quarantined.bytes:,} bytes): {quarantine.folder}")


def _rows(journal: JournalSummary) -> Iterator[tuple[str, ...]]:
    file = (journal.path.name, f"{journal.maker} {_state_of_owner(journal)}".strip(), f"{journal.bytes_on_disk:,}")
    if not journal.backlogs:
        yield (*file, "", "unreadable" if journal.problem else "0", "")
    for backlog in journal.backlogs:
        yield (*file, backlog.topic, f"{backlog.records:,}", f"{max(0.0, time.time() - backlog.oldest):.0f} s")


def _state_of_owner(journal: JournalSummary) -> str:
    if not journal.is_owner_known:
        return "unknown"
    if journal.holder is None:
        return "gone"
    return f"alive ({journal.holder})" if journal.holder else "alive"


def _as_dict(journal: JournalSummary) -> dict[str, Any]:
    return {
        "name": journal.path.name,
        "maker": journal.maker,
        "owner_pid": journal.holder,
        "alive": journal.is_owned if journal.is_owner_known else None,
        "bytes": journal.bytes_on_disk,
        "problem": journal.problem,
        "topics": [
            {"topic": one.topic, "events": one.records, "bytes": one.bytes, "oldest": one.oldest}
            for one in journal.backlogs
        ],
    }


def show(folder: Path | None, *, refused: bool, limit: int, as_json: bool) -> None:
    """See `bridge.commands.journal.show`."""
    place = existing_folder(folder)
    unreadable: list[Path] = []
    records = refused_in(place) if refused else _held(place, unreadable)
    number = 0
    with told_in_a_line(place):
        for number, record in enumerate(records, start=1):
            if number > limit:
                Output().remark(f"… and more: raise --limit above {limit}")
                return
            if as_json:
                _print_json(_record_as_dict(record))
            else:
                typer.echo(f"{printable(record.topic)}\t{_text(record.key)}\t{_text(record.value)}")
        is_all = number >= _quarantine(place).counted().files if refused else not unreadable
    if not is_all:
        what = "files of the quarantine" if refused else "journals"
        Output().error(
            f"not all {what} can be read: what these hold is still in them. {plural(number, 'record')} shown"
        )
        raise typer.Exit(1)
    if not number:
        Output().remark(f"{'The quarantine in' if refused else 'The journals in'} {place} hold{'s' * refused} nothing.")


def _quarantine(folder: Path) -> Quarantine:
    return Quarantine(folder, dlq_topic="", max_bytes=0)


def _held(folder: Path, unreadable: list[Path]) -> Iterator[Record]:
    """What the journals hold; those that cannot be read to their end are added to the list."""
    for path in journals_in(folder):
        try:
            yield from records_in(path)
        except FileNotFoundError:  # All of it was published just now.
            continue
        except (DamagedError, ForeignError, msgspec.DecodeError, OSError) as error:
            unreadable.append(path)
            Output().remark(printable(f"{path.name} cannot be read to its end: {told_of(error)}"))


def drain(folder: Path | None, *, give_up_after_s: float, may_be_empty: bool, as_json: bool) -> None:
    """See `bridge.commands.journal.drain`."""
    settings = load_settings(RescueSettings)
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    diagnosis.watch()
    place = existing_folder(folder or settings.journal_dir)
    be_interruptible()
    try:
        with told_in_a_line(place), _progress() as show_progress:
            drained = uvloop.run(
                drain_folder(place, settings, give_up_after_s=give_up_after_s, show_progress=show_progress)
            )
    except KeyboardInterrupt:
        raise SystemExit("error: interrupted; what was not published is still in the journal") from None
    with suppress(OSError):
        remove_dead_sockets(place)
    if as_json:
        _print_json(_drained_as_dict(place, drained))
    elif may_be_empty and not drained.journals:
        Output().line(printable(f"there are no journals in {place}: nothing is left"))
    else:
        _report(place, drained)
    is_done = drained.is_complete
    if may_be_empty:
        # Who drains twice finds no journal the second time; what Kafka refused the first time is still in the folder.
        is_done = _has_nothing_refused(place) and (is_done or not drained.journals)
    raise typer.Exit(0 if is_done else 1)


def _has_nothing_refused(folder: Path) -> bool:
    """Whether no quarantine keeps the folder from being deleted; what is there is told."""
    quarantine = _quarantine(folder)
    if files := quarantine.counted().files:
        records = plural(files, "record that Kafka refuses is", "records that Kafka refuses are")
        Output().error(printable(f"{records} in {quarantine.folder}, and nowhere else: do not delete it"))
    return not files


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Shows a bar as soon as there is anything to show."""
    with ExitStack() as bar:
        show: ShowProgress | None = None

        def show_progress(completed: int, total: int) -> None:
            nonlocal show
            show = show or bar.enter_context(progress_bar("publishing", in_bytes=True))
            show(completed, total)

        yield show_progress


def _report(folder: Path, drained: Drained) -> None:
    output = Output()
    if not drained.journals:
        output.error(f"there are no journals in {folder}: nothing was published. Is it the right folder?")
        return
    journals = plural(drained.journals, "journal")
    output.line(f"found {plural(drained.found.total(), 'event')} in {journals} in {folder}")
    for topic, count in drained.published.items():
        output.line(printable(f"published {plural(count, 'event')} to {topic}"))
    for topic, count in drained.quarantined.items():
        records = f"{plural(count, 'event')} of {topic}"
        show = f"{command_line('bridge')} journal show --refused"
        output.remark(printable(f"Kafka refuses {records} for good, now in quarantine: {show}"))
    for one in drained.left:
        held = "" if one.events is None else f" with {plural(one.events, 'event')}"
        output.remark(printable(f"left: {one.path.name}{held}: {one.reason}"))
    if drained.is_complete:
        output.line("nothing is left")
    else:
        output.error("not everything was published")


def _drained_as_dict(folder: Path, drained: Drained) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "complete": drained.is_complete,
        "journals": drained.journals,
        "found": dict(drained.found),
        "published": dict(drained.published),
        "quarantined": dict(drained.quarantined),
        "left": [
            {"name": one.path.name, "events": one.events, "reason": one.reason, "owner_pid": one.process}
            for one in drained.left
        ],
        "kafka_problem": drained.kafka_problem,
    }


def _record_as_dict(record: Record) -> dict[str, Any]:
    return {
        "topic": record.topic,
        **_bytes_as_dict("key", record.key),
        **_bytes_as_dict("value", record.value),
        "headers": [{"name": name, **_bytes_as_dict("value", value)} for name, value in record.headers],
        "timestamp_ms": record.timestamp_ms,
    }


def _bytes_as_dict(name: str, value: bytes) -> dict[str, str]:
    """As text; what is none in base64, under another name."""
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode()}


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(orjson.dumps(value).decode())


def _text(value: bytes) -> str:
    return printable(value.decode(errors="backslashreplace"))
