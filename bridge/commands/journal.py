"""Looking into journals, also into those of living processes: `bridge journal`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
import uvloop
from rich.console import Console
from rich.progress import Progress

from bridge.journal.journal import Journal
from bridge.journal.record import Record, unpack
from bridge.journal.store import (
    DAMAGED_SUFFIX,
    SUFFIX,
    Backlog,
    DamagedError,
    Store,
    UnavailableError,
    is_owned,
    log_of,
)
from bridge.publish.publisher import Publisher
from bridge.publish.quarantine import Quarantine
from bridge.settings import BridgeSettings, InspectionSettings
from common import logs
from common.settings import load
from common.terminal import show_table

app = typer.Typer(no_args_is_help=True, help="See and publish by hand what the journals hold.")
console = Console()

Folder = Annotated[Path | None, typer.Argument(help="Folder of the journals; default: BRIDGE_JOURNAL_DIR.")]
READ_BYTES = 1024 * 1024


class Held(NamedTuple):
    """A journal file, seen from outside."""

    path: Path
    owned: bool
    size: int
    """Bytes on disk."""
    backlogs: list[Backlog] | None
    """What it holds; None where it cannot be read."""

    @property
    def owner(self) -> str:
        """Host and process id of who made it, from its name."""
        _, _, rest = self.path.name.partition("-")
        host, process, _ = rest.rsplit("-", 2)
        return f"{host}:{process}"


@contextlib.contextmanager
def opened_copy(path: Path) -> Iterator[Store]:
    """A copy of a journal, which may be in use: its owner holds a lock, and copying asks for none.

    Raises:
        DamagedError, UnavailableError, OSError: it cannot be read, or its owner wrote to it just now: try again.
    """
    with tempfile.TemporaryDirectory(prefix=".bridge-journal-", dir=_roomiest(path.parent)) as folder:
        copy = Path(folder) / path.name
        for part in (path, log_of(path)):
            if part.exists():
                shutil.copyfile(part, copy.with_name(part.name))
        store = Store.open(copy)
        try:
            yield store
        finally:
            store.close()


def _roomiest(folder: Path) -> Path:
    """Where there is most room for a copy: the usual place may be small, or in memory."""
    places = [place for place in (Path(tempfile.gettempdir()), folder) if os.access(place, os.W_OK)]
    return max(places or [folder], key=lambda place: shutil.disk_usage(place).free)


def look_into(folder: Path) -> Iterator[Held]:
    """Every journal in `folder`, oldest first."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            with opened_copy(path) as store:
                yield Held(path, is_owned(path), store.size_on_disk(), store.backlog())
        except FileNotFoundError:
            continue
        except (DamagedError, UnavailableError, OSError) as error:
            typer.echo(f"{path.name} cannot be read now: {error}", err=True)
            yield Held(path, is_owned(path), path.stat().st_size, None)


def records_of(path: Path) -> Iterator[Record]:
    """The records that a journal holds, in order of each topic."""
    with opened_copy(path) as store:
        for backlog in store.backlog():
            after = 0
            while rows := store.read(backlog.topic, after, backlog.last_seq, READ_BYTES):
                for row in rows:
                    yield from unpack(row.packed)
                after = rows[-1].seq


@app.command("list")
def list_journals(folder: Folder = None) -> None:
    """List each journal: its owner, its size, and what it holds for Kafka."""
    place = _existing(folder)
    show_table(("journal", "owner", "bytes", "topic", "events", "oldest"), _rows(place))
    refused = list(Quarantine(place, dlq_topic=""))
    typer.echo(f"{len(refused)} records that Kafka refuses for good are set aside in {place / 'refused'}")


def _rows(folder: Path) -> Iterator[tuple[str, ...]]:
    for held in look_into(folder):
        shown = (held.path.name, f"{held.owner} {'alive' if held.owned else 'gone'}", f"{held.size:,}")
        if not held.backlogs:
            yield (*shown, "", "unreadable" if held.backlogs is None else "0", "")
        for backlog in held.backlogs or []:
            yield (*shown, backlog.topic, f"{backlog.records:,}", f"{time.time() - backlog.oldest:.0f} s")


@app.command()
def show(
    folder: Folder = None,
    refused: Annotated[bool, typer.Option(help="Those that Kafka refuses for good, instead.")] = False,
    limit: Annotated[int, typer.Option(help="Most records to print.")] = 20,
) -> None:
    """Print the records that are held: topic, key and value, one a line."""
    place = _existing(folder)
    if refused:
        records: Iterator[Record] = (item.record for item in Quarantine(place, dlq_topic=""))
    else:
        records = (record for held in look_into(place) if held.backlogs for record in records_of(held.path))
    for number, record in enumerate(records):
        if number == limit:
            typer.echo(f"… and more: raise --limit above {limit}", err=True)
            break
        typer.echo(f"{record.topic}\t{_text(record.key)}\t{_text(record.value)}")


@app.command()
def drain(folder: Folder = None) -> None:
    """Publish what journals hold whose process is gone, and remove them. For a folder that no process serves."""
    settings = load(InspectionSettings)
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    place = _existing(folder or settings.journal_dir)
    owned = {path for path in place.glob(f"*{SUFFIX}") if is_owned(path)}
    damaged = set(place.glob(f"*{DAMAGED_SUFFIX}"))
    if owned:
        typer.echo(f"left to their living owners: {_names(owned)}", err=True)
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
        with Progress(console=console) as progress:
            task = progress.add_task("publishing", total=total)
            while not journal.is_drained:
                progress.update(task, completed=total - journal.state.stored_bytes)
                await asyncio.sleep(0.1)
            progress.update(task, completed=total)
    finally:
        await publisher.stop()
        await journal.stop(settings.stop_timeout_s)


def _existing(folder: Path | None) -> Path:
    place = folder or load(InspectionSettings).journal_dir
    if not place.is_dir():
        raise SystemExit(f"error: {place} is no folder. Name the folder of the journals, or set BRIDGE_JOURNAL_DIR")
    return place


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(sorted(path.name for path in paths))


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace").replace("\n", "\\n")
