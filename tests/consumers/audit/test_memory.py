"""The audit takes no more memory than it says, whatever is missing and whoever makes numbers up; and it says so."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.audit.header import RecordNumber
from common.audit.statement import Statement, TopicStatement
from consumers.audit import ledger as ledger_module
from consumers.audit.checkpoint import decode_ledger, encode_ledger
from consumers.audit.judging import judge
from consumers.audit.ledger import AuditLedger
from consumers.audit.life import Stated
from consumers.audit.stream import NumberedStream, StreamCount
from consumers.audit.summary import summarize

NOW_MS = 1_800_000_000_000
TOPIC = "im.events"
EVERY = 3
"""Of so many partitions one has no leader."""
TAKEN = 3000


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_INTERVALS", 50)
    monkeypatch.setattr(ledger_module, "MAX_OPEN_INTERVALS", 100)


class GappyAudit:
    """One life, of which records arrive, and which states."""

    def __init__(self) -> None:
        self.ledger = AuditLedger(begun_ms=0, has_caught_up=True)
        self.offset = 0

    def arrive(self, numbers: Iterable[int]) -> None:
        for at, number in enumerate(numbers):
            self.ledger.note_record(TOPIC, RecordNumber("a", 1, number), NOW_MS + number)
            if not at % 50:
                judge(self.ledger, NOW_MS)

    def state(self, given: int, confirmed: int) -> StreamCount:
        self.offset += 1
        topics = {TOPIC: TopicStatement(given=given, confirmed_through=confirmed)}
        of_whom = {"process": "a", "epoch": 1, "folder": "f", "host": "h", "pid": 1, "version": "1"}
        statement = Statement(**of_whom, started_ms=0, time_ms=NOW_MS, interval_s=10, topics=topics)  # type: ignore[arg-type]
        stated = Stated(self.offset, statement)
        self.ledger.read_statement(stated, NOW_MS)
        self.ledger.make_due([stated])
        judge(self.ledger, NOW_MS)
        self.ledger = decode_ledger(encode_ledger(self.ledger))
        return summarize(self.ledger, NOW_MS).counts

    @property
    def intervals(self) -> int:
        return sum(len(one.seen) for life in self.ledger.lives.values() for one in life.streams.values())


@pytest.fixture
def audit() -> GappyAudit:
    """So many numbers were given, and all have come but those of a partition without a leader."""
    made = GappyAudit()
    made.state(TAKEN, 0)
    made.arrive(number for number in range(1, TAKEN + 1) if number % EVERY)
    counts = made.state(TAKEN, 0)
    assert made.intervals <= 200
    assert (counts.arrived, counts.waiting, counts.unproven) == (TAKEN * 2 // 3, TAKEN // 3, 0)
    return made


LATE = range(EVERY, TAKEN + 1, EVERY)


def test_what_comes_late_is_there_also_where_only_the_sum_of_the_gaps_was_kept(
    audit: GappyAudit, caplog: pytest.LogCaptureFixture
) -> None:
    audit.arrive(random.Random(1).sample(LATE, len(LATE)))
    counts = audit.state(TAKEN, TAKEN)
    assert (counts.arrived, counts.missing, counts.waiting, counts.unproven) == (TAKEN, 0, 0, 0)
    assert counts.duplicates == 0


@pytest.mark.parametrize("lost", [[30], [30, 33, 36, 2940]])
@pytest.mark.parametrize("again", [[], [60], [60, 60, 63, 63]])
def test_a_loss_among_very_many_gaps_is_not_hidden(audit: GappyAudit, lost: list[int], again: list[int]) -> None:
    audit.arrive([number for number in LATE if number not in lost] + again)
    counts = audit.state(TAKEN, TAKEN)
    assert counts.unproven + counts.missing >= len(lost)
    assert counts.acknowledged == TAKEN
    assert counts.waiting == 0
    assert {gap.kind for gap in summarize(audit.ledger, NOW_MS).gaps} <= {"unproven", "missing"}


def test_numbers_far_ahead_that_somebody_makes_up_take_no_memory_and_hide_no_loss() -> None:
    audit = GappyAudit()
    audit.arrive(range(1, 101))
    audit.state(100, 100)
    audit.arrive(range(10**6, 10**6 + 20_000, 2))
    audit.arrive(random.Random(2).sample(range(10**15, 10**18), 5000))
    assert audit.intervals <= 150
    audit.arrive(number for number in range(101, 5001) if number != 4000)
    counts = audit.state(5000, 5000)
    assert counts.missing == 1
    assert counts.unproven == 0
    assert audit.intervals <= 150


@given(st.integers(0, 2**32), st.integers(0, 4), st.integers(0, 4))
def test_a_sum_comes_out_even_only_where_all_have_come(seed: int, lost: int, again: int) -> None:
    pick = random.Random(seed)
    numbers = list(range(1, 201))
    late = pick.sample(numbers, 80)
    never = set(late[:lost])
    stream = NumberedStream()
    for number in sorted(set(numbers) - set(late)):
        stream.add(number, number)
    stream.sum_up(200, leave=4)
    coming = [number for number in late if number not in never]
    coming += pick.choices(coming, k=again)
    pick.shuffle(coming)
    for number in coming:
        stream.add(number, number)
    stream.judge(200, lambda _: None)
    counts = stream.count(200)
    assert counts.acknowledged == 200
    if never:
        assert counts.unproven + counts.missing >= len(never)
    elif not again:
        assert (counts.arrived, counts.missing, counts.unproven) == (200, 0, 0)


def summed(absent: set[int]) -> NumberedStream:
    """A stream of 200 numbers, of whose gaps only the sum is kept."""
    stream = NumberedStream()
    for number in set(range(1, 201)) - absent:
        stream.add(number, number)
    stream.sum_up(200, leave=4)
    assert stream.summed
    return stream


@given(st.integers(0, 2**32), st.integers(0, 9), st.integers(0, 9), st.integers(0, 2))
def test_what_is_in_quarantine_or_was_never_acknowledged_is_no_hole_in_a_sum(
    seed: int, quarantined: int, never: int, lost: int
) -> None:
    late = random.Random(seed).sample(range(1, 151), 80)
    absent, coming = late[: quarantined + never + lost], late[quarantined + never + lost :]
    stream = summed(set(late))
    for number in coming:
        stream.add(number, number)
    for at, number in enumerate(absent[: quarantined + never]):
        stream.mark("set_aside" if at < quarantined else "never_durable", [(number, number)])
    stream.judge(200, lambda _: None)
    counts = stream.count(200)
    assert counts.acknowledged + counts.never_durable == 200
    if lost:
        assert counts.unproven + counts.missing >= lost
        assert counts.arrived <= 200 - len(absent)
    else:
        assert (counts.set_aside, counts.never_durable) == (quarantined, never)
        assert (counts.unproven, counts.missing, counts.arrived) == (0, 0, 200 - len(absent))


def test_what_was_in_quarantine_and_is_published_later_is_there_in_a_sum_too() -> None:
    late = set(range(2, 100, 2))
    stream = summed(late)
    stream.mark("set_aside", [(4, 4), (90, 90)])
    for number in late:
        stream.add(number, number)
    stream.judge(200, lambda _: None)
    assert stream.count(200) == StreamCount(acknowledged=200, arrived=200)


def test_of_a_process_that_was_given_up_what_did_not_come_of_a_sum_is_forgotten_and_not_unproven() -> None:
    stream = summed(set(range(2, 100, 2)))
    for number in (2, 4, 6):
        stream.add(number, number)
    stream.mark("forgotten", [(1, 200)])
    stream.judge(200, lambda _: None)
    assert stream.count(200) == StreamCount(acknowledged=200, arrived=154, forgotten=46)


@pytest.mark.usefixtures("_real_bounds")
def test_so_many_gaps_as_a_long_outage_makes_have_room() -> None:
    audit = GappyAudit()
    audit.state(10**6, 0)
    for number in range(1, 500_000, 2):
        audit.ledger.note_record(TOPIC, RecordNumber("a", 1, number), NOW_MS + number)
    judge(audit.ledger, NOW_MS)
    assert audit.intervals <= 200_000
    [stream] = [one for life in audit.ledger.lives.values() for one in life.streams.values()]
    assert stream.summed
    assert stream.count(10**6).waiting == 10**6 - 250_000


@pytest.fixture
def _real_bounds(_little_memory: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
