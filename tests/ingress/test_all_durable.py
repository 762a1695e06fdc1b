"""Of several records, one answer."""

from __future__ import annotations

import pytest

from bridge.ingress.all_durable import AllDurable
from bridge.journal.journal import JournalFullError
from bridge.journal.record import Record
from tests.support.ingress_parts import FakeJournal

RECORDS = [Record("topic", b"", name, [], 0) for name in (b"a", b"b", b"c")]


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ([True, True, True], [True]),
        ([True, True], []),
        ([False], [False]),
        ([True, False, True], [False]),
        ([False, False, True, True], [False]),
        ([True, True, True, False], [True]),
    ],
)
def test_it_is_true_when_all_are_durable_and_false_when_one_is_not_and_told_once(
    told: list[bool], outcome: list[bool]
) -> None:
    outcomes: list[bool] = []
    together = AllDurable(outcomes.append)
    together.append(RECORDS, FakeJournal())
    for durable in told:
        together(durable)
    assert outcomes == outcome


def test_records_reach_the_journal_in_their_order() -> None:
    outcomes: list[bool] = []
    journal = FakeJournal()
    AllDurable(outcomes.append).append(RECORDS, journal)
    assert journal.records == RECORDS
    journal.resolve(True)
    assert outcomes == [True]


def test_nothing_is_told_of_records_that_were_not_all_kept() -> None:
    outcomes: list[bool] = []
    journal = FakeJournal(room=2)
    with pytest.raises(JournalFullError):
        AllDurable(outcomes.append).append(RECORDS, journal)
    journal.resolve(True)
    journal.resolve(False)
    assert outcomes == []
