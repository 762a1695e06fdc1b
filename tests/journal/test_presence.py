"""A journal that is not in its folder any more has failed, whatever the disk says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.journal.presence import VanishedError
from bridge.journal.store import FREED_PER_STEP_BYTES, Row, Store
from tests.support.journal_faults import TAKEN_AWAY, TRUNCATED, Hurt


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.create(tmp_path / "journal")
    made.write([row(1)], [], sync=True)
    return made


@pytest.mark.parametrize("hurt", TAKEN_AWAY + TRUNCATED)
def test_a_sync_to_a_file_that_was_taken_away_or_truncated_fails(hurt: Hurt, store: Store) -> None:
    hurt(store.path.parent)
    with pytest.raises(VanishedError, match="while it was written"):
        store.write([row(2)], [], sync=True)
    store.close()


@pytest.mark.parametrize("hurt", TAKEN_AWAY)
def test_what_was_taken_away_can_still_be_read(hurt: Hurt, store: Store) -> None:
    hurt(store.path.parent)
    assert [found.seq for found in store.read("t", 0, 99, 10**6)] == [1]
    assert [found.seq for found in store.read_all(0, 10**6)] == [1]
    store.close()


def test_a_file_that_is_in_its_place_stays_well_while_it_grows_and_its_log_begins_anew(store: Store) -> None:
    for number in range(2, 1500):
        store.write([row(number)], [number - 1], sync=number % 5 == 0)
    store.check_presence()
    store.remove()


def test_to_remove_a_file_that_has_another_name_leaves_the_other_whole(store: Store) -> None:
    large = b"x" * (FREED_PER_STEP_BYTES + 1)
    store.write([Row(2, "t", 1, len(large), large)], [], sync=True)
    store.close()  # Then all of it is in the database.
    backup = store.path.with_name("backup")
    opened = Store.open(store.path)
    os.link(store.path, backup)
    size = backup.stat().st_size
    assert size > FREED_PER_STEP_BYTES
    opened.remove()
    assert not store.path.exists()
    assert backup.stat().st_size == size


def test_what_has_the_name_of_a_file_that_was_replaced_is_not_removed_with_it(store: Store) -> None:
    store.path.unlink()
    store.path.write_text("of somebody else")
    store.remove()
    assert store.path.read_text() == "of somebody else"


def row(seq: int) -> Row:
    return Row(seq, "t", 1, 4000, b"x" * 4000)
