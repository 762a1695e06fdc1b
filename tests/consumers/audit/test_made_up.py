"""What somebody makes up, and clocks that are set, cost the audit neither its memory nor its word."""

from __future__ import annotations

import pytest

from common.audit.header import RecordNumber
from consumers.audit.checkpoint import decode_ledger, encode_ledger
from consumers.audit.judging import judge
from consumers.audit.ledger import MAX_UNSTATED_LIVES
from consumers.audit.stream import MAX_COUNT
from consumers.audit.summary import summarize
from tests.consumers.audit.scene import NOW_MS, TOPIC, Scene, killed_with_a_journal


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_lives_that_somebody_makes_up_one_after_the_other_keep_no_loss_from_being_found_for_long(scene: Scene) -> None:
    killed_with_a_journal(scene)
    scene.state("b/1", 0, looks=5)
    scene.state("b/1", 0, looks=7)
    now_ms = NOW_MS
    for number in range(6):
        now_ms += 120_000
        scene.ledger.note_record(TOPIC, RecordNumber(f"forged{number}", 1, 1), now_ms)
        judge(scene.ledger, now_ms)
    assert summarize(scene.ledger, now_ms).counts.missing == 4


def test_a_clock_that_is_set_back_hides_nobody_who_is_silent(scene: Scene) -> None:
    scene.state("a/1", 0)
    hour_ms = 3_600_000
    for since_ms in (0, 31_000):
        judge(scene.ledger, NOW_MS - hour_ms + since_ms)
    assert summarize(scene.ledger, NOW_MS - hour_ms + 31_000).silent == ["a/1"]


def test_statements_that_are_read_again_count_no_life_again_that_is_only_in_the_sums(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the end of the topic for the audit was lost, and it is read from its beginning."""
    monkeypatch.setattr("consumers.audit.ledger.MAX_LIVES", 3)
    for epoch in range(1, 9):
        scene.arrive(f"a/{epoch}", 1, 2)
        scene.state(f"a/{epoch}", 3, 3, ended="stopped")
    before = scene.report
    assert (before.retired_lives, before.counts.missing, before.counts.arrived) == (5, 8, 16)
    statements = [life.latest.statement for life in scene.ledger.lives.values() if life.latest]
    scene.ledger.audit_position = scene.offset + 1
    scene.ledger.begin_audit_topic_anew()
    scene.offset = 0
    for epoch in range(1, 9):
        scene.state(f"a/{epoch}", 3, 3, ended="stopped", time_ms=NOW_MS - 100_000 + epoch)
    assert statements
    assert scene.report.counts == before.counts
    scene.state("new/1", 2, 2, ended="stopped")
    assert scene.report.counts.missing == 10


def test_lives_that_are_made_up_take_no_memory_and_make_no_loss_of_what_came_before(scene: Scene) -> None:
    scene.ledger.listening_ms = NOW_MS
    scene.arrive("a/1", 1, 2, 3)
    for number in range(5000):
        scene.ledger.note_record(TOPIC, RecordNumber(f"forged{number}", 1, 10**17), NOW_MS)
    assert len(scene.ledger.lives) <= 2 * MAX_UNSTATED_LIVES
    scene.state("a/1", 3, 3)
    counts = scene.report.counts
    assert (counts.missing, counts.unproven) == (0, 3), "it was forgotten that they had come"


def test_statements_of_lives_that_are_made_up_are_passed_over_when_there_are_too_many(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.audit.ledger.MAX_STATED_LIVES", 50)
    monkeypatch.setattr("consumers.audit.ledger.MAX_LIVES", 10)
    scene.state("a/1", 3)
    for number in range(200):
        scene.state(f"forged{number}/1", 10**18 - 1, folder=f"f{number}", ended="killed")
    scene.state("a/1", 5)
    assert len(scene.ledger.lives) == 60
    assert scene.ledger.lives["a/1"].given == {TOPIC: 5}
    assert decode_ledger(encode_ledger(scene.ledger)).lives.keys() == scene.ledger.lives.keys()


def test_sums_of_numbers_that_are_made_up_have_room_in_a_checkpoint(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.audit.ledger.MAX_LIVES", 2)
    for number in range(40):
        scene.state(f"forged{number}/1", 10**18 - 1, 10**18 - 1, folder=f"f{number}", ended="stopped")
    assert scene.report.retired_lives == 38
    assert decode_ledger(encode_ledger(scene.ledger)).retired.counts.missing == MAX_COUNT
    assert len(scene.ledger.unclean_ends) <= 2
