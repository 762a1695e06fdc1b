"""`bridge journal`: what the journals hold, also those of living processes, and publishing it by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from bridge.journal.inspection import JournalSummary, records_in, summaries
from bridge.journal.journal import Journal
from bridge.journal.journal_name import DAMAGED_SUFFIX, SUFFIX
from bridge.journal.record import Record
from bridge.publish.publisher import Publisher
from bridge.publish.quarantine import Quarantine
from bridge.settings import BridgeSettings, InspectionSettings
from common import logs
from common.kafka import diagnosis
from common.program import be_interruptible
from common.settings import load_settings
from common.terminal import printable, progress_bar, show_table

app = typer.Typer(no_args_is_help=True, help="See and publish by hand what the journals hold.")

Folder = Annotated[Path | None, typer.Argument(help="Folder of the journals; default: BRIDGE_JOURNAL_DIR.")]
PROGRESS_INTERVAL_S = 0.1


@app.command("list")
def list_journals(folder: Folder = None) -> None:
    """List each journal: its owner, its size, and what it holds for Kafka."""
    place = _existing(folder)
    show_table(("journal", "owner", "bytes", "topic", "events", "oldest"), _rows(place))
    quarantined = len(list(Quarantine(place, dlq_topic="", max_bytes=0)))
    typer.echo(f"{quarantined} records that Kafka refuses for good are in quarantine in {place / 'refused'}")


def _rows(folder: Path) -> Iterator[tuple[str, ...]]:
    for journal in _summaries(folder):
        owner = f"{journal.maker} {'alive' if journal.is_owned else 'gone'}"
        file = (journal.path.name, owner, f"{journal.bytes_on_disk:,}")
        if not journal.backlogs:
            yield (*file, "", "unreadable" if journal.problem else "0", "")
        for backlog in journal.backlogs:
            yield (*file, backlog.topic, f"{backlog.records:,}", f"{time.time() - backlog.oldest:.0f} s")


def _summaries(folder: Path) -> Iterator[JournalSummary]:
    for journal in summaries(folder):
        if journal.problem:
            typer.echo(f"{journal.path.name} cannot be read now: {journal.problem}", err=True)
        yield journal


@app.command()
def show(
    folder: Folder = None,
    refused: Annotated[bool, typer.Option(help="Those that Kafka refuses for good, instead.")] = False,
    limit: Annotated[int, typer.Option(help="Most records to print.")] = 20,
) -> None:
    """Print the records that are held: topic, key and value, one a line."""
    place = _existing(folder)
    if refused:
        records: Iterator[Record] = (item.record for item in Quarantine(place, dlq_topic="", max_bytes=0))
    else:
        records = (record for journal in _summaries(place) if journal.backlogs for record in records_in(journal.path))
    for number, record in enumerate(records):
        if number == limit:
            typer.echo(f"… and more: raise --limit above {limit}", err=True)
            break
        typer.echo(f"{record.topic}\t{_text(record.key)}\t{_text(record.value)}")


@app.command()
def drain(folder: Folder = None) -> None:
    """Publish what journals hold whose process is gone, and remove them. For a folder that no process serves."""
    settings = load_settings(InspectionSettings)
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    diagnosis.watch()
    place = _existing(folder or settings.journal_dir)
    owned = {path for path in place.glob(f"*{SUFFIX}") if False}
    damaged = set(place.glob(f"*{DAMAGED_SUFFIX}"))
    if owned:
        typer.echo(f"left to their living owners: {_names(owned)}", err=True)
    be_interruptible()
    try:
        uvloop.run(_drain(place, settings))
    except KeyboardInterrupt:
        raise SystemExit("error: interrupted; what was not published is still in the journal") from None
    left = {*place.glob(f"*{SUFFIX}"), *place.glob(f"*{DAMAGED_SUFFIX}")} - owned - damaged
    if left:
        raise SystemExit(f"error: not everything was published; still there, see above for why: {_names(left)}")
    typer.echo(f"published everything that was in {place}")


async def _drain(folder: Path, settings: BridgeSettings) -> None:
    publisher = Publisher(settings)
    journal = Journal.from_settings(settings, outlet=publisher, folder=folder)
    await journal.start()
    total = journal.state.stored_bytes
    publisher.start(journal)
    try:
        with progress_bar("publishing", in_bytes=True) as show_progress:
            while not journal.is_drained:
                show_progress(total - journal.state.stored_bytes, total)
                await asyncio.sleep(PROGRESS_INTERVAL_S)
            show_progress(total, total)
    finally:
        await publisher.stop()
        await journal.stop(settings.stop_timeout_s)


def _existing(folder: Path | None) -> Path:
    place = folder or load_settings(InspectionSettings).journal_dir
    if not place.is_dir():
        raise SystemExit(f"error: {place} is no folder. Name the folder of the journals, or set BRIDGE_JOURNAL_DIR")
    return place


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(sorted(path.name for path in paths))


def _text(value: bytes) -> str:
    return printable(value.decode(errors="backslashreplace"))
