"""Journals of the dead are taken over while we run: all of them by one process, in their order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.journal import adopter
from bridge.journal.adopter import Adopter
from bridge.journal.files import give_back
from bridge.journal.folder import Unowned, look_through, take_over
from bridge.journal.journal_file import JournalFile
from bridge.journal.store import Store
from bridge.journal.taking_turns import turn
from tests.journal.test_store import row


def left(folder: Path, count: int) -> list[Path]:
    made = []
    for number in range(1, count + 1):
        store = Store.create(folder, number=number)
        store.write([row(number)], [], sync=True)
        store.close()
        made.append(store.path)
    return made


async def test_what_a_process_gives_back_one_by_one_is_taken_over_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = left(tmp_path, 2)
    seen = [[first], [first, second], [first, second]]
    adopted: list[Path] = []
    looks_before = []
    done = asyncio.Event()

    def look(_folder: Path) -> Unowned:
        looks_before.append(list(adopted))
        return Unowned(seen.pop(0) if seen else [], True)

    monkeypatch.setattr(adopter, "look_through", look)
    ours = Adopter(
        tmp_path,
        interval_s=0.01,
        room=lambda: 24,
        on_adopted=lambda store, _: adopted.append(store.path) or store.close(),  # type: ignore[func-returns-value]
        on_cleared=done.set,
    )
    ours.start()
    await asyncio.wait_for(done.wait(), 60)
    ours.stop()
    assert adopted == [first, second]
    assert looks_before[:3] == [[], [], []]


def test_with_room_for_one_file_all_is_taken_over_in_it(tmp_path: Path) -> None:
    left(tmp_path, 3)
    ((store, (backlog,)),) = take_over(tmp_path, room=1)
    assert backlog.records == 3
    store.remove()
    left(tmp_path, 1)
    assert take_over(tmp_path, room=0) == []
    assert len(look_through(tmp_path).takeable) == 1


def test_files_are_taken_over_and_given_back_by_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left(tmp_path, 2)
    files = []
    for store, _ in take_over(tmp_path):
        files.append(JournalFile(store))
        files[-1].add(1, 1, 100)
    close = Store.close
    given_back = []

    def closed(store: Store) -> None:
        close(store)
        with turn(tmp_path, 0) as is_ours:
            given_back.append((store.number, is_ours))

    monkeypatch.setattr(Store, "close", closed)
    give_back(files, tmp_path, removes_empty=True)
    assert given_back == [(1, False), (2, False)]
    with turn(tmp_path, 0) as is_ours:
        assert is_ours
    with turn(tmp_path / "nowhere", 0) as is_ours:
        assert is_ours
