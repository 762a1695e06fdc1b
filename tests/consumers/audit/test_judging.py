"""What is decided of numbers that are not there: no loss goes unnoticed, and nothing is called lost that may come."""

from __future__ import annotations

from typing import Any

import pytest

from common.audit.header import RecordNumber
from common.audit.statement import Statement, TopicStatement
from consumers.audit.life import AuditedLife, Stated
from consumers.audit.partition_log import PartitionLog, Retention
from tests.consumers.audit.scene import NOW_MS, TOPIC, Scene, killed_with_a_journal


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_what_kafka_has_confirmed_and_is_not_there_is_missing_and_named(scene: Scene) -> None:
    scene.arrive("a/1", 1, 2, 3, 6, 7)
    scene.state("a/1", 9, 7)
    assert scene.gaps("missing") == [("a/1", 4, 5)]
    [gap] = scene.report.gaps
    assert (gap.topic, gap.count) == (TOPIC, 2)
    assert gap.after is not None
    assert gap.before is not None
    assert gap.after < gap.before
    counts = scene.report.counts
    assert (counts.acknowledged, counts.arrived, counts.missing, counts.waiting) == (9, 5, 2, 2)


def test_what_is_not_confirmed_waits(scene: Scene) -> None:
    scene.arrive("a/1", 1)
    scene.state("a/1", 1000, 1)
    assert scene.report.counts.waiting == 999
    assert scene.report.is_lossless
    assert scene.report.is_proven


def test_a_statement_decides_nothing_before_all_is_read_that_was_there_when_it_was_read(scene: Scene) -> None:
    scene.state("a/1", 5, 5, is_due=False)
    assert scene.report.counts.missing == 0
    scene.arrive("a/1", 1, 2, 3, 4, 5)
    scene.state("a/1", 5, 5)
    assert scene.report.counts.missing == 0


def test_a_hole_that_is_filled_later_is_none(scene: Scene) -> None:
    scene.arrive("a/1", 1, 3)
    scene.state("a/1", 3, 3)
    assert scene.gaps("missing") == [("a/1", 2, 2)]
    scene.arrive("a/1", 2)
    assert scene.gaps("missing") == []
    assert scene.report.counts.duplicates == 0


def test_what_comes_again_is_a_duplicate_and_no_more(scene: Scene) -> None:
    scene.arrive("a/1", 1, 2, 2, 1, 3)
    scene.state("a/1", 3, 3)
    counts = scene.report.counts
    assert (counts.arrived, counts.duplicates, counts.missing) == (3, 2, 0)


def test_what_was_set_aside_is_not_missing_whoever_says_so(scene: Scene) -> None:
    scene.arrive("a/1", 1, 4)
    scene.state("b/1", 0, set_aside={"a/1": {TOPIC: [(2, 3)]}})
    scene.state("a/1", 4, 4, set_aside={"a/1": {TOPIC: [(2, 2)]}})
    scene.state("b/1", 0, set_aside={"a/1": {TOPIC: [(2, 3)]}})
    assert scene.report.counts.missing == 0
    assert scene.report.counts.set_aside == 2


def test_what_a_killed_process_left_waits_until_who_lives_has_looked_twice_and_nothing_waits_in_it(
    scene: Scene,
) -> None:
    killed_with_a_journal(scene)
    for looks, taken_over in ((5, 0), (6, 0), (7, 4)):
        scene.state("b/1", 0, looks=looks, taken_over=taken_over)
        assert scene.report.counts.waiting == 4, "5 to 8; 9 and 10 were not acknowledged"
        assert scene.report.counts.missing == 0
    scene.arrive("a/1", 5, 6, 8)
    scene.state("b/1", 0, looks=7)
    assert scene.gaps("missing") == [("a/1", 7, 7)]
    assert scene.report.counts.never_durable == 2
    assert scene.report.counts.acknowledged == 8


def test_looks_of_before_the_end_that_no_statement_told_of_do_not_count(scene: Scene) -> None:
    killed_with_a_journal(scene)
    scene.state("b/1", 0, looks=7)
    assert scene.report.counts.missing == 0
    scene.state("b/1", 0, looks=8)
    assert scene.report.counts.missing == 0
    scene.state("b/1", 0, looks=9)
    assert scene.report.counts.missing == 4


def test_a_second_process_that_lives_may_have_taken_the_journal_over(scene: Scene) -> None:
    scene.state("c/1", 0, looks=8)
    killed_with_a_journal(scene)
    scene.state("c/1", 0, looks=9)
    scene.state("b/1", 0, looks=5)
    scene.state("b/1", 0, looks=7)
    assert scene.report.counts.missing == 0
    scene.state("c/1", 0, looks=11, taken_over=4)
    assert scene.report.counts.missing == 0
    scene.arrive("a/1", *range(5, 9))
    scene.state("c/1", 0, looks=11)
    assert scene.report.counts.missing == 0
    assert [one.is_settled for one in scene.report.lives if one.process == "a"] == [True]


def test_who_took_a_journal_over_and_was_killed_too_left_it_to_the_next(scene: Scene) -> None:
    killed_with_a_journal(scene)
    scene.state("b/1", 0, looks=6, taken_over=4)
    scene.state("b/1", 0, ended="killed")
    scene.state("c/1", 0, looks=1, taken_over=4)
    assert scene.report.counts.missing == 0
    scene.arrive("a/1", *range(5, 9))
    scene.state("c/1", 0, looks=2)
    assert scene.report.counts.missing == 0
    assert all(one.is_settled for one in scene.report.lives if one.process in {"a", "b"})


def test_who_stops_with_all_published_does_not_hide_that_another_has_not_said_so(scene: Scene) -> None:
    killed_with_a_journal(scene)
    scene.state("c/1", 0, looks=3)
    scene.state("b/1", 0, looks=7, ended="stopped", is_due=False)
    scene.state("c/1", 0, looks=3)
    assert scene.report.counts.missing == 0
    assert scene.report.counts.waiting == 4


def test_a_drain_that_ended_is_witness_enough_where_nobody_lives(scene: Scene) -> None:
    scene.arrive("a/1", 1, 2, 3, 4)
    scene.state("a/1", 8, 4)
    scene.state("a/1", 8, 4, ended="killed", durable_through=8)
    scene.state("d/1", 0, looks=1, taken_over=4)
    scene.arrive("a/1", 5, 6, 8)
    scene.state("d/1", 0, looks=2, ended="stopped")
    assert scene.gaps("missing") == [("a/1", 7, 7)]
    assert all(one.is_settled for one in scene.report.lives)


def test_a_process_whose_records_are_seen_before_its_statements_may_hold_a_journal(scene: Scene) -> None:
    killed_with_a_journal(scene)
    scene.ledger.note_record(TOPIC, RecordNumber("new", 1, 1), NOW_MS - 1000)
    scene.state("b/1", 0, looks=5)
    scene.state("b/1", 0, looks=7)
    assert scene.report.counts.missing == 0
    scene.state("new/1", 1, 1, looks=2)
    assert scene.report.counts.missing == 4


def test_a_record_of_the_far_future_by_a_process_that_nobody_knows_holds_nothing_up(scene: Scene) -> None:
    killed_with_a_journal(scene)
    scene.ledger.note_record(TOPIC, RecordNumber("forged", 1, 1), NOW_MS + 86_400_000)
    scene.state("b/1", 0, looks=5)
    scene.state("b/1", 0, looks=7)
    assert scene.report.counts.missing == 4


class Uncounted(dict[str, AuditedLife]):
    """Lives that must not be gone through one by one."""

    def values(self) -> Any:
        """What costs more the more lives there are."""
        raise AssertionError("a statement costs as much as there are lives")


def test_a_statement_costs_the_same_however_many_lives_there_are(scene: Scene) -> None:
    killed_with_a_journal(scene)
    scene.ledger.lives = Uncounted(scene.ledger.lives)
    end = Statement(
        process="c",
        epoch=1,
        folder="f",
        host="host",
        pid=1,
        version="1",
        started_ms=NOW_MS,
        time_ms=NOW_MS,
        interval_s=10,
        topics={TOPIC: TopicStatement(given=5)},
        ended="killed",
    )
    scene.ledger.read_statement(Stated(100, end), NOW_MS)
    assert scene.ledger.unclean_ends == {"f": 100}


def test_a_process_of_another_folder_says_nothing_of_a_journal(scene: Scene) -> None:
    killed_with_a_journal(scene)
    scene.state("z/1", 0, looks=100, folder="other")
    assert scene.report.counts.missing == 0


def test_after_a_power_cut_what_is_above_the_last_durable_number_is_not_proven(scene: Scene) -> None:
    scene.arrive("a/1", 1, 2, 4, 8)
    scene.state("a/1", 4, 2)
    scene.state("a/1", 9, 2, ended="killed", durable_through=5, is_exact=False)
    scene.state("a/2", 0, looks=2)
    assert scene.gaps("missing") == [("a/1", 3, 3), ("a/1", 5, 5)]
    assert scene.gaps("unproven") == [("a/1", 6, 7), ("a/1", 9, 9)]
    assert not scene.report.is_proven


def test_a_clean_stop_needs_nobody_else(scene: Scene) -> None:
    scene.arrive("a/1", 1, 3)
    scene.state("a/1", 3, 3, ended="stopped")
    assert scene.gaps("missing") == [("a/1", 2, 2)]
    assert scene.report.lives[0].is_settled


def test_a_process_that_states_nothing_any_more_is_silent_and_holds_back_until_when_all_is_complete(
    scene: Scene,
) -> None:
    scene.arrive("a/1", 1, 2)
    scene.state("a/1", 2, 2, time_ms=NOW_MS - 500_000)
    scene.ledger.life(RecordNumber("a", 1, 1).life).heard_ms = NOW_MS - 31_000
    scene.state("b/1", 0, folder="other", time_ms=NOW_MS - 1000)
    report = scene.report
    assert report.silent == ["a/1"]
    assert not report.is_proven
    assert report.complete_until is not None
    assert report.complete_until.startswith("2027-01-15T07:51:40"), "half a million ms before now"


def test_nobody_is_silent_whom_nobody_could_hear(scene: Scene) -> None:
    scene.state("a/1", 0)
    scene.ledger.life(RecordNumber("a", 1, 1).life).heard_ms = NOW_MS - 3_600_000
    scene.ledger.listening_ms = NOW_MS - 29_000
    assert scene.report.silent == []


def test_a_process_that_is_given_up_is_neither_waited_for_nor_called_missing_until_it_states_something(
    scene: Scene,
) -> None:
    scene.arrive("a/1", 1, 2, 4, 9)
    scene.state("a/1", 8, 4)
    scene.ledger.forget("a", scene.offset + 1, NOW_MS)
    counts = scene.report.counts
    assert (counts.missing, counts.waiting, counts.forgotten) == (1, 0, 4)
    assert scene.report.is_proven
    scene.offset += 1
    scene.state("a/1", 12, 4)
    assert [one.state for one in scene.report.lives] == ["living"]
    assert scene.report.counts.waiting == 3


def test_complete_until_is_when_the_last_statement_was_made_of_which_all_is_confirmed(scene: Scene) -> None:
    scene.state("a/1", 10, 0, time_ms=NOW_MS - 90_000)
    scene.state("a/1", 20, 5, time_ms=NOW_MS - 80_000)
    scene.arrive("a/1", *range(1, 31))
    scene.state("a/1", 30, 20, time_ms=NOW_MS - 70_000)
    assert scene.report.complete_until == "2027-01-15T07:58:40.000Z"


def test_an_end_that_is_stated_from_older_books_takes_nothing_back(scene: Scene) -> None:
    scene.arrive("a/1", *range(1, 10))
    scene.state("a/1", 10, 9)
    scene.state("a/1", 7, 6, ended="killed", durable_through=7, is_exact=False)
    scene.state("a/2", 0, looks=2)
    assert scene.gaps("unproven") == [("a/1", 10, 10)]


def test_where_statements_may_have_been_compacted_two_more_looks_are_waited_for(scene: Scene) -> None:
    scene.ledger.has_caught_up = False
    scene.state("a/1", 5, 0, ended="killed", durable_through=5)
    scene.state("b/1", 0, looks=80)
    scene.ledger.has_caught_up = True
    scene.state("b/1", 0, looks=81)
    assert scene.report.counts.missing == 0
    scene.state("b/1", 0, looks=82)
    assert scene.report.counts.missing == 5


def expired_log(*, retention_ms: int, is_initial: bool) -> PartitionLog:
    log = PartitionLog(TOPIC, 0, noticed := 0, noticed)
    log.begins_at(100, Retention(retention_ms, -1), NOW_MS, is_initial=is_initial)
    stamp = 100, NOW_MS - 1_000_000 + 1000 * 11
    log.read(stamp, stamp)
    return log


@pytest.mark.parametrize(("is_initial", "kind"), [(True, "before"), (False, "expired")])
def test_what_retention_took_before_it_was_read_is_told_apart(scene: Scene, *, is_initial: bool, kind: str) -> None:
    scene.ledger.logs["im.events/0"] = expired_log(retention_ms=900_000, is_initial=is_initial)
    scene.arrive("a/1", 11, 12, 15)
    scene.state("a/1", 15, 15)
    counts = scene.report.counts
    assert getattr(counts, kind) == 10
    assert counts.missing == 2
    assert scene.gaps("missing") == [("a/1", 13, 14)]


def test_what_is_too_young_for_retention_is_missing_though_the_log_has_lost_its_beginning(scene: Scene) -> None:
    scene.ledger.logs["im.events/0"] = expired_log(retention_ms=3_600_000, is_initial=True)
    scene.arrive("a/1", 11, 12)
    scene.state("a/1", 12, 12)
    assert scene.gaps("missing") == [("a/1", 1, 10)]


def test_no_more_numbers_are_taken_for_expired_than_offsets_are_gone(scene: Scene) -> None:
    scene.ledger.logs["im.events/0"] = expired_log(retention_ms=900_000, is_initial=False)
    scene.ledger.logs["im.events/0"].jumps[0].unexplained = 4
    scene.arrive("a/1", 11)
    scene.state("a/1", 11, 11)
    counts = scene.report.counts
    assert (counts.expired, counts.missing) == (4, 6)
