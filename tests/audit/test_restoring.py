"""A ledger that is removed under a process that lives, and how its end is stated all the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from bridge.audit.folder import FOLDER, read_folder_id
from bridge.audit.ledger import Claim
from bridge.audit.restoring import restore
from common.audit.statement import Statement, TopicStatement
from tests.audit.claims import TEMPLATE, TOPIC, begin, killed, take


def now(claimed: Claim) -> Statement:
    return msgspec.structs.replace(
        TEMPLATE,
        process=claimed.life.process,
        epoch=claimed.life.epoch,
        folder=claimed.folder,
        topics={TOPIC: TopicStatement(given=5, confirmed_through=2)},
    )


def remove_folder(journals: Path) -> None:
    shutil.rmtree(journals)


def remove_ledgers(journals: Path) -> None:
    shutil.rmtree(journals / FOLDER)


def replace_folder(journals: Path) -> None:
    """By one in which somebody lives who knows nothing of the former."""
    journals.rename(journals.with_name("former"))
    killed(lambda: begin(journals))


@pytest.mark.parametrize("hurt", [remove_folder, remove_ledgers, replace_folder])
def test_the_end_of_a_process_whose_ledger_was_removed_is_exact(tmp_path: Path, hurt: object) -> None:
    assert callable(hurt)
    journals = tmp_path / "journal"
    lives = tmp_path / "lives"

    def live() -> None:
        claimed = begin(journals)
        take(claimed, 5, 1, 2, 4)
        hurt(journals)
        folder_id = restore(claimed, now(claimed), {})
        assert folder_id == read_folder_id(journals / FOLDER)
        assert restore(claimed._replace(folder=folder_id), now(claimed), {}) == folder_id
        claimed.ledger.write(now(claimed))
        lives.write_text(claimed.life.name)

    killed(live)
    end = begin(journals).ends[lives.read_text()]
    assert end.ended == "killed"
    assert end.topics[TOPIC].is_exact
    assert (end.topics[TOPIC].given, end.topics[TOPIC].never_durable) == (5, [(3, 3), (5, 5)])


def test_a_ledger_that_is_in_its_place_is_left_as_it_is(tmp_path: Path) -> None:
    claimed = begin(tmp_path)
    before = (claimed.ledger.path.stat(), claimed.ledger.path.read_bytes())
    assert restore(claimed, now(claimed), {}) == claimed.folder
    assert (claimed.ledger.path.stat(), claimed.ledger.path.read_bytes()) == before


def test_another_file_in_its_place_is_left_as_it_is(tmp_path: Path) -> None:
    claimed = begin(tmp_path)
    claimed.ledger.path.rename(tmp_path / "moved")
    claimed.ledger.path.write_bytes(b"of somebody")
    restore(claimed, now(claimed), {})
    claimed.ledger.write(now(claimed))
    assert claimed.ledger.path.read_bytes() == b"of somebody"


def test_ends_that_were_to_be_stated_are_put_back_too(tmp_path: Path) -> None:
    journals = tmp_path / "journal"
    lives = tmp_path / "lives"

    def live() -> None:
        before = begin(journals)
        before.ledger.close()
        claimed = begin(journals)
        remove_folder(journals)
        restore(claimed, now(claimed), claimed.ends)
        lives.write_text(before.life.name)

    killed(live)
    assert begin(journals).ends[lives.read_text()].ended == "killed"
