"""The ledgers of a folder: who lived there, and how each life ended."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bridge.audit import ledger as ledger_module
from bridge.audit.ends import ENDS, marks_without_ledger
from bridge.audit.folder import FOLDER, LEDGER
from bridge.audit.ledger import Claim, LifeLedger, claim_late, take_ends
from bridge.audit.marks import SHARED_MEMORY, LifeMarks, description_of
from bridge.journal.numbering import LEAST_RING
from bridge.journal.record import Record
from common.audit.header import Life, parse_life
from common.audit.statement import Previous, Statement, TopicStatement
from tests.audit.claims import TEMPLATE, TOPIC, begin, killed, nothing, take


@pytest.fixture(autouse=True)
def _no_memory_left_behind(tmp_path: Path) -> Iterator[None]:
    yield
    for path in SHARED_MEMORY.glob("im-bridge-*"):  # Of the tests that run beside this one, too.
        if (found := description_of(path)) is not None and Path(found.ledger).is_relative_to(tmp_path):
            path.unlink(missing_ok=True)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def statement_of(claimed: Claim, *, given: int, confirmed_through: int = 0, durable_through: int = 0) -> Statement:
    topic = TopicStatement(given=given, confirmed_through=confirmed_through, durable_through=durable_through)
    return msgspec.structs.replace(
        TEMPLATE,
        process=claimed.life.process,
        epoch=claimed.life.epoch,
        folder=claimed.folder,
        topics={TOPIC: topic},
    )


def test_a_life_follows_the_one_before_under_the_same_name(tmp_path: Path) -> None:
    first = begin(tmp_path)
    assert (first.previous, first.ends) == (None, {})
    first.ledger.write_end(statement_of(first, given=5))
    first.ledger.close()
    second = begin(tmp_path)
    assert second.life.process == first.life.process
    assert second.life.epoch > first.life.epoch
    assert second.previous == Previous(epoch=first.life.epoch, given={TOPIC: 5})
    assert second.folder == first.folder
    assert second.ends == {}


def test_those_who_live_at_once_have_names_of_their_own(tmp_path: Path) -> None:
    first, second = begin(tmp_path), begin(tmp_path)
    assert first.life.process != second.life.process
    assert first.folder == second.folder


def test_names_are_no_more_than_were_in_use_at_once(tmp_path: Path) -> None:
    for _ in range(5):
        alive = [begin(tmp_path), begin(tmp_path)]
        for one in alive:
            one.ledger.close()
    assert len(list((tmp_path / FOLDER).glob(f"*{LEDGER}"))) == 2


def test_the_end_of_a_process_that_was_killed_is_exact(tmp_path: Path) -> None:
    killed(lambda: take(begin(tmp_path), 5, 1, 2, 4))
    after = begin(tmp_path)
    (end,) = after.ends.values()
    assert (end.ended, end.process, end.folder) == ("killed", after.life.process, after.folder)
    assert end.topics == {TOPIC: TopicStatement(given=5, durable_through=2, never_durable=[(3, 3), (5, 5)])}
    assert after.previous == Previous(epoch=end.epoch, given={TOPIC: 5})


def test_what_was_confirmed_is_as_the_process_said_last(tmp_path: Path) -> None:
    def live() -> None:
        claimed = begin(tmp_path)
        take(claimed, 5, 1, 2, 3, 4, 5)
        claimed.ledger.write(statement_of(claimed, given=4, confirmed_through=3, durable_through=4))

    killed(live)
    (end,) = begin(tmp_path).ends.values()
    assert end.topics[TOPIC] == TopicStatement(given=5, confirmed_through=3, durable_through=5)


def test_where_its_memory_is_gone_too_only_what_it_said_last_is_known_and_that_is_told(tmp_path: Path) -> None:
    def live() -> None:
        claimed = begin(tmp_path)
        claimed.ledger.write(statement_of(claimed, given=4, confirmed_through=3, durable_through=4))
        take(claimed, 9)
        claimed.marks.remove()  # As the machine does, or the container.

    killed(live)
    (end,) = begin(tmp_path).ends.values()
    assert end.topics[TOPIC] == TopicStatement(given=4, confirmed_through=3, durable_through=4, is_exact=False)


def test_an_end_is_kept_until_it_is_stated_whoever_begins_and_is_killed_meanwhile(tmp_path: Path) -> None:
    for given in (1, 2, 3):
        killed(lambda given=given: take(begin(tmp_path), given))  # type: ignore[misc]
    after = begin(tmp_path)
    assert sorted(end.topics[TOPIC].given for end in after.ends.values()) == [1, 2, 3]
    after.ledger.write_ends({})
    after.ledger.write_end(statement_of(after, given=0))
    after.ledger.close()
    assert begin(tmp_path).ends == {}


def test_a_killed_process_whose_name_nobody_takes_is_ended_by_its_neighbour(tmp_path: Path) -> None:
    neighbour = begin(tmp_path)
    killed(lambda: take(begin(tmp_path), 7))
    ends = take_ends(neighbour.ledger, neighbour.folder, nothing, TEMPLATE)
    assert [end.topics[TOPIC].given for end in ends.values()] == [7]
    neighbour.ledger.close()
    after = begin(tmp_path)  # It finds them in the ledger of the neighbour, beside the neighbour's own end.
    assert sorted(end.topics[TOPIC].given for end in after.ends.values()) == [0, 7]


def test_the_ends_that_a_process_could_not_state_are_stated_by_whoever_comes(tmp_path: Path) -> None:
    first, second = begin(tmp_path), begin(tmp_path)
    for one, given in ((first, 3), (second, 4)):
        end = msgspec.structs.replace(statement_of(one, given=given), ended="stopped")
        one.ledger.write_ends({end.life.name: end})
        one.ledger.write_end(end)
        one.ledger.close()
    after = begin(tmp_path)
    assert sorted((end.ended, end.topics[TOPIC].given) for end in after.ends.values()) == [
        ("stopped", 3),
        ("stopped", 4),
    ]
    assert [path.stem for path in (tmp_path / FOLDER).glob(f"*{ENDS}")] == [after.life.process]


def test_where_the_disk_is_full_for_whoever_comes_first_the_end_is_exact_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(lambda: take(begin(tmp_path), 5, 1, 2, 4))
    kept = []

    with monkeypatch.context() as while_full:
        while_full.setattr(LifeLedger, "write_ends", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left") as refused:
                begin(tmp_path)
            kept.append(refused)  # As where the collector comes late: with all that the frames of the error know.
    (end,) = begin(tmp_path).ends.values()
    assert end.topics == {TOPIC: TopicStatement(given=5, durable_through=2, never_durable=[(3, 3), (5, 5)])}


def test_where_the_disk_takes_no_ledger_those_of_others_are_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(lambda: begin(tmp_path / "original"))
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    with monkeypatch.context() as while_full:
        while_full.setattr(LifeLedger, "create", full)
        with pytest.raises(OSError, match="No space left"):
            begin(tmp_path / "copy")
    assert [end.ended for end in begin(tmp_path / "copy").ends.values()] == ["killed"]


def without_ledger(folder: Path, life: Life, count: int) -> LifeMarks:
    """Marks of a life for which the disk took no ledger, and which took so many records, the first of them for good."""
    marks = marks_without_ledger(folder, life, [TOPIC], LEAST_RING)
    take(Claim(None, "", life, None, marks, {}), count, 1)  # type: ignore[arg-type]
    return marks


def test_a_life_that_began_without_a_ledger_and_was_killed_is_stated_exactly_by_whoever_comes(tmp_path: Path) -> None:
    life = Life("0dd0", 1_800_000_000)
    killed(lambda: without_ledger(tmp_path, life, 3))
    killed(lambda: without_ledger(tmp_path / "elsewhere", Life("e15e", 1), 3))
    after = begin(tmp_path)
    end = after.ends["0dd0/1800000000"]
    assert (end.ended, end.folder, end.started_ms) == ("killed", after.folder, 1_800_000_000_000)
    assert end.pid not in {0, os.getpid()}
    assert end.topics == {TOPIC: TopicStatement(given=3, durable_through=1, never_durable=[(2, 3)])}
    assert list(after.ends) == [end.life.name], "the other is of another folder"
    assert not LifeMarks.open_left(SHARED_MEMORY / "im-bridge-none-0dd0-0", life)


def test_a_life_that_began_without_a_ledger_gets_one_as_soon_as_the_disk_takes_it(tmp_path: Path) -> None:
    life = Life("0dd1", 1_800_000_000)

    def live() -> None:
        marks = without_ledger(tmp_path, life, 3)
        statement = msgspec.structs.replace(TEMPLATE, process=life.process, epoch=life.epoch)
        claimed = claim_late(tmp_path, statement, marks)
        claimed.ledger.write(statement_of(claimed, given=3, confirmed_through=1))

    killed(lambda: take(begin(tmp_path), 7))
    killed(live)
    after = begin(tmp_path)
    assert after.ends[life.name].topics[TOPIC] == TopicStatement(
        given=3, confirmed_through=1, durable_through=1, never_durable=[(2, 3)]
    )
    assert sorted(end.topics[TOPIC].given for end in after.ends.values()) == [3, 7], "and it states who died before"
    assert not [path for path in SHARED_MEMORY.glob("im-bridge-*0dd1*") if path != after.marks.path]


def test_a_ledger_that_the_disk_takes_but_for_its_last_sync_costs_no_end_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(lambda: take(begin(tmp_path), 7))

    with monkeypatch.context() as while_full:
        while_full.setattr(ledger_module, "sync_folder", full)
        statement = msgspec.structs.replace(TEMPLATE, process="0dd2", epoch=1_800_000_000)
        with pytest.raises(OSError, match="No space left"):
            claim_late(tmp_path, statement, without_ledger(tmp_path, statement.life, 3))
    names = {path.name for path in (tmp_path / FOLDER).iterdir()}
    assert not [name for name in names if name.startswith("0dd2") or name.endswith(ENDS)]
    assert 7 in {end.topics[TOPIC].given for end in begin(tmp_path).ends.values()}


def test_ends_whose_ledger_was_removed_are_stated_by_whoever_comes(tmp_path: Path) -> None:
    first = begin(tmp_path)
    first.ledger.write_ends({"dead/7": statement_of(first, given=7)})
    first.ledger.path.unlink()
    first.ledger.close()
    after = begin(tmp_path)
    assert 7 in {end.topics[TOPIC].given for end in after.ends.values()}
    assert [path.stem for path in (tmp_path / FOLDER).glob(f"*{ENDS}")] == [after.life.process]
    assert set(after.ledger.read_ends()) == set(after.ends)


def test_of_a_process_whose_folder_was_removed_and_that_was_killed_then_the_end_is_exact(tmp_path: Path) -> None:
    def live() -> None:
        take(begin(tmp_path / "journal"), 4, 1, 2)
        shutil.rmtree(tmp_path / "journal")

    killed(live)
    (end,) = begin(tmp_path / "journal").ends.values()
    assert end.topics == {TOPIC: TopicStatement(given=4, durable_through=2, never_durable=[(3, 4)])}


def test_what_is_in_quarantine_is_told_with_an_end(tmp_path: Path) -> None:
    killed(lambda: take(begin(tmp_path), 3, 1, 2, 3))
    quarantined = [Record(TOPIC, b"", b"", [("bridge-seq", b"f00d/9/2")], 0)]
    (end,) = begin(tmp_path, lambda: quarantined).ends.values()
    assert end.set_aside == {"f00d/9": {TOPIC: [(2, 2)]}}


def test_a_copy_of_a_folder_ends_its_lives_and_goes_on_with_none_of_their_names(tmp_path: Path) -> None:
    original = begin(tmp_path / "original")
    take(original, 5, 1)
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    copied = begin(tmp_path / "copy")
    assert copied.folder == original.folder
    assert copied.life.process != original.life.process
    (end,) = copied.ends.values()
    assert end.life == original.life
    assert not end.topics[TOPIC].is_exact
    assert original.marks.path is not None
    assert original.marks.path.exists()
    assert [path.stem for path in (tmp_path / "copy" / FOLDER).glob(f"*{LEDGER}")] == [copied.life.process]


def test_two_machines_that_begin_with_one_image_have_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a disk that is cloned, or an image of a container, inodes are the same; and they may begin in one second."""
    before = begin(tmp_path)
    before.ledger.write(statement_of(before, given=4))
    image = {path: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()}
    before.ledger.close()
    names = set()
    for machine in ("one", "another"):
        monkeypatch.setattr(ledger_module, "place_of", lambda _, machine=machine: machine)
        for path in (tmp_path / FOLDER).iterdir():
            if path not in image:
                path.unlink()
        for path, content in image.items():
            path.write_bytes(content)
        claimed = begin(tmp_path)
        assert claimed.ends[before.life.name].topics[TOPIC].given == 4
        claimed.ledger.close()
        names.add(claimed.life.process)
    assert len(names | {before.life.process}) == 3


def test_who_starts_on_a_copy_takes_no_marks_of_a_process_that_lives(tmp_path: Path) -> None:
    original = begin(tmp_path)
    assert original.marks.path is not None
    assert LifeMarks.open_left(original.marks.path, original.life) is None
    killed(lambda: take(begin(tmp_path), 1))
    assert original.marks.path.exists()


def test_a_clock_that_was_far_in_the_future_costs_no_more_than_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as wrong:
        wrong.setattr(time, "time", lambda: 32_503_680_000.0)  # The year 3000.
        future = begin(tmp_path)
        future.ledger.close()
        assert parse_life(future.life.name) == future.life, "what has no room in a header is not audited"
    after = begin(tmp_path)
    assert after.life.process != future.life.process
    assert after.life.epoch < 5_000_000_000
    assert list(after.ends) == [future.life.name]


@pytest.mark.parametrize(
    "content", [b"", b"nonsense\n", b"00000000 {}\n", b"\0" * 4096], ids=["empty", "nonsense", "wrong sum", "zeros"]
)
def test_a_damaged_ledger_is_taken_as_one_of_a_first_life(tmp_path: Path, content: bytes) -> None:
    first = begin(tmp_path)
    first.ledger.close()
    first.ledger.path.write_bytes(content)
    after = begin(tmp_path)
    assert after.life.process == first.life.process
    assert (after.previous, after.ends) == (None, {})
    assert after.life.epoch >= first.life.epoch


def test_an_epoch_comes_once_also_where_the_clock_or_the_disk_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 2_000_000_000
    monkeypatch.setattr(time, "time", lambda: float(now))
    first = begin(tmp_path)
    first.ledger.close()
    now -= 3600
    second = begin(tmp_path)
    assert second.life.epoch == first.life.epoch + 1


def test_without_shared_memory_a_life_begins_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "SHARED_MEMORY", tmp_path / "nowhere")
    killed(lambda: take(begin(tmp_path), 3, 1, 2, 3))
    (end,) = begin(tmp_path).ends.values()
    assert end.topics[TOPIC] == TopicStatement(given=0, is_exact=False)


def test_nobody_but_us_can_read_what_is_made(tmp_path: Path) -> None:
    claimed = begin(tmp_path / "journal")
    claimed.ledger.write_ends({claimed.life.name: statement_of(claimed, given=1)})
    made = [tmp_path / "journal", *(tmp_path / "journal").rglob("*"), claimed.marks.path]
    assert len(made) == 6
    assert [path for path in made if path and path.stat().st_mode & 0o077] == []
