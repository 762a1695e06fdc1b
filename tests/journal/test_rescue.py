"""What a vanished file held is copied, and a copy is never lost, whenever the process ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.journal.folder import take_over
from bridge.journal.journal_file import JournalFile
from bridge.journal.record import Record, pack
from bridge.journal.rescue import Rescuer, has_vanished, rescue
from bridge.journal.store import Row, Store
from tests.journal.stepping import StepThread

STEPS = 12
"""More than a rescue takes: to look, to make a copy, to fill and sync it, to exchange it."""


async def settled() -> None:
    """Let all tasks of the event loop go on as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def stepped(thread: StepThread) -> bool:
    """Begin or end a piece of the thread's work, and let the event loop learn of it. Whether there was any."""
    did = thread.step()
    await settled()
    return did


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def file(folder: Path) -> JournalFile:
    """A file that holds a record, and is not in its folder any more."""
    packed = pack([Record("events", b"key", b"value", [], 0)])
    made = JournalFile(Store.create(folder))
    made.store.write([Row(1, "events", 1, len(packed), packed)], (), sync=True)
    made.add(1, 1, len(packed))
    for part in folder.iterdir():
        part.unlink()
    return made


async def looking(folder: Path, file: JournalFile) -> tuple[Rescuer, StepThread]:
    """A rescuer that was told to look at a file, and the thread in which it does so step by step."""
    thread = StepThread(asyncio.get_running_loop(), "files")
    rescuer = Rescuer(folder, thread, retired=lambda: [file])
    rescuer.start()
    rescuer.look_now()
    await settled()
    return rescuer, thread


def records_found(folder: Path) -> int:
    """How many records whoever comes next finds."""
    taken = take_over(folder)
    found = sum(backlog.records for _, backlogs in taken for backlog in backlogs)
    for store, _ in taken:
        store.remove()
    return found


async def test_a_vanished_file_is_copied(folder: Path, file: JournalFile) -> None:
    original = file.store
    rescuer, thread = await looking(folder, file)
    while await stepped(thread):
        pass
    assert file.store is not original
    assert not has_vanished(file)
    await rescuer.stop()
    file.close()
    assert records_found(folder) == 1


@pytest.mark.parametrize("steps", range(STEPS))
async def test_a_stop_at_any_step_of_copying_leaves_what_the_file_held(
    steps: int, folder: Path, file: JournalFile
) -> None:
    rescuer, thread = await looking(folder, file)
    for _ in range(steps):
        await stepped(thread)
    stopping = asyncio.create_task(rescuer.stop())
    await settled()
    while await stepped(thread):
        pass
    await stopping
    if has_vanished(file):
        rescue(file, folder)
    file.close()
    assert records_found(folder) == 1


async def test_the_copy_of_a_file_with_a_name_of_another_form_comes_first_as_the_file_did(folder: Path) -> None:
    packed = pack([Record("events", b"key", b"value", [], 0)])
    made = Store.create(folder)
    made.write([Row(1, "events", 1, len(packed), packed)], (), sync=True)
    made.close()
    backup = made.path.rename(folder / "backup.journal")
    later = Store.create(folder)
    file = JournalFile(Store.open(backup))
    file.add(1, 1, len(packed))
    backup.unlink()
    rescue(file, folder)
    assert file.store.number < later.number
    file.store.remove()
    later.remove()
