"""How the one record is found for which a broker rejects a batch."""

from __future__ import annotations

from bridge.journal.groups import Group, PendingRecord
from bridge.journal.record import Record
from bridge.publish.rejection_search import MAX_BATCH_RECORDS, RejectionSearch


def records(number: int) -> list[PendingRecord]:
    group = Group("t", 0.0)
    for one in range(number):
        group.add(Record("t", b"", b"%d" % one, [], 0), None)
    return group.records


def test_each_rejection_halves_the_batches_until_one_record_is_alone() -> None:
    search = RejectionSearch()
    batch = records(100)
    rounds = 0
    while (found := search.found) is None:
        assert rounds < 10
        rounds += 1
        search.rejected(batch[: search.batch_records], "invalid")
    assert (found.pending, found.reason) == (batch[0], "invalid")


def test_after_a_rejection_batches_grow_again_with_each_that_is_accepted() -> None:
    search = RejectionSearch()
    search.rejected(records(8), "invalid")
    sizes = []
    while search.batch_records < MAX_BATCH_RECORDS:
        sizes.append(search.batch_records)
        search.accepted()
    assert sizes[:3] == [4, 8, 16]
    search.accepted()
    assert search.batch_records == MAX_BATCH_RECORDS


def test_whether_it_has_narrowed_is_told_once() -> None:
    search = RejectionSearch()
    search.rejected(records(2), "invalid")
    assert [search.pop_has_narrowed(), search.pop_has_narrowed()] == [True, False]
