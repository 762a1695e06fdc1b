"""Numbers of records, and the ring in which it is marked which of them became durable."""

import random
from itertools import pairwise
from mmap import mmap

import pytest

from bridge.journal.groups import Group
from bridge.journal.numbering import (
    BLOCK,
    LEAST_RING,
    MAX_RANGES,
    TAIL_BYTES,
    Counters,
    Ring,
    SetAsideNumbers,
    TopicNumbers,
    add_number,
    number_of,
    ring_size,
)
from bridge.journal.record import Record
from common.audit.header import Life, RecordNumber

LIFE = Life("k3f9a2", 7)
TOPIC = "im.events"


def made(size: int = LEAST_RING) -> TopicNumbers:
    return TopicNumbers(LIFE, Ring(bytearray(size + TAIL_BYTES), size))


def record(*headers: tuple[str, bytes]) -> Record:
    return Record(TOPIC, b"ann", b"{}", list(headers), 0)


def numbered(numbers: TopicNumbers, count: int) -> Group:
    group = Group(TOPIC, 0.0)
    for _ in range(count):
        group.add(record(("content-type", b"x")), None)
    group.first_number = numbers.number(group.records)
    group.ring = numbers.ring
    return group


def mark(numbers: TopicNumbers, *wanted: int) -> None:
    for number in wanted:
        numbers.ring.marks[number % numbers.ring.size] = 1


def test_numbers_follow_each_other_and_stand_behind_the_headers_that_are_there() -> None:
    numbers = made()
    first, second = numbered(numbers, 2), numbered(numbers, 1)
    assert (first.first_number, second.first_number, numbers.given) == (1, 3, 3)
    assert first.records[1].record.headers == [("content-type", b"x"), ("bridge-seq", b"k3f9a2/7/2")]
    assert number_of(second.records[0].record) == RecordNumber("k3f9a2", 7, 3)


def test_of_several_headers_the_last_is_the_number_and_of_none_there_is_none() -> None:
    assert number_of(record()) is None
    assert number_of(record(("bridge-seq", b"forged"))) is None
    assert number_of(record(("bridge-seq", b"a/1/1"), ("bridge-seq", b"b/2/2"))) == RecordNumber("b", 2, 2)


def test_a_number_is_where_the_marks_are_before_its_record_leaves() -> None:
    numbers = made()
    numbered(numbers, 5)
    assert numbers.ring.counters == Counters(given=5, durable_through=0)


def test_what_never_became_durable_is_known_by_the_marks() -> None:
    numbers = made()
    numbered(numbers, 10)
    mark(numbers, 1, 2, 3, 6, 9)
    assert numbers.count() == Counters(given=10, durable_through=3)
    undecided = numbers.ring.undecided()
    assert (undecided.never_durable, undecided.durable_through, undecided.is_exact) == (
        [(4, 5), (7, 8), (10, 10)],
        3,
        True,
    )


def test_where_all_is_durable_nothing_is_undecided() -> None:
    numbers = made()
    assert numbers.ring.undecided().never_durable == []
    numbered(numbers, 3).mark_durable()
    assert numbers.ring.undecided().never_durable == []
    assert numbers.count() == Counters(3, 3)


@pytest.mark.parametrize("seed", range(3))
def test_the_marks_are_right_however_often_the_ring_has_gone_around(seed: int) -> None:
    drawn = random.Random(seed)
    size = 8 * BLOCK
    numbers = made(size)
    undurable: set[int] = set()
    while numbers.given < 2.5 * size:
        group = numbered(numbers, drawn.choice([1, 3, 500, BLOCK, BLOCK + 1]))
        given = range(group.first_number, numbers.given + 1)
        late = set(drawn.sample(given, k=min(2, len(given))))
        mark(numbers, *(number for number in given if number not in late))
        due = {number for number in undurable if drawn.random() < 0.5 or number < numbers.given - size // 2}
        mark(numbers, *due)
        undurable = undurable - due | late
        assert numbers.count() == Counters(numbers.given, min(undurable) - 1)
        found = numbers.ring.undecided()
        assert {one for first, last in found.never_durable for one in range(first, last + 1)} == undurable
        assert found.is_exact


def test_a_ring_that_was_overrun_claims_nothing() -> None:
    numbers = made(4 * BLOCK)
    numbered(numbers, 3).mark_durable()
    assert numbers.count().durable_through == 3
    numbered(numbers, 1)  # It is never decided.
    for _ in range(4):
        numbered(numbers, BLOCK).mark_durable()
    assert numbers.count().durable_through == 3
    found = numbers.ring.undecided()
    assert (found.is_exact, found.never_durable, found.durable_through) == (False, [], 3)


def test_too_many_ranges_to_be_told_are_not_exact() -> None:
    numbers = made()
    numbered(numbers, 2 * MAX_RANGES + 2)
    mark(numbers, *range(1, 2 * MAX_RANGES + 2, 2))
    assert not numbers.ring.undecided().is_exact


def test_a_record_that_was_dropped_is_not_marked_as_durable() -> None:
    numbers = made()
    group = numbered(numbers, 3)
    group.records[1].is_dropped, group.is_whole = True, False
    group.mark_durable()
    assert numbers.ring.undecided().never_durable == [(2, 2)]


def test_of_a_group_that_kafka_has_in_part_that_part_is_marked() -> None:
    numbers = made()
    group = numbered(numbers, 4)
    for position in (1, 3):
        group.records[position].confirmed = True
        group.mark_confirmed()
    assert numbers.ring.undecided().never_durable == [(1, 1), (3, 3)]


@pytest.mark.parametrize("counts", [(1100,), (998, 3, 2500), (1,) * 1005, (999, 1, 1000, 1), (0, 5)], ids=len)
def test_however_many_come_at_once_each_has_its_own_number(counts: tuple[int, ...]) -> None:
    numbers = made()
    found: list[RecordNumber | None] = []
    for count in counts:
        found += [number_of(pending.record) for pending in numbered(numbers, count).records]
    assert found == [RecordNumber(*LIFE, number) for number in range(1, sum(counts) + 1)]


def test_marks_go_on_at_the_beginning_where_the_ring_ends() -> None:
    numbers = made(4 * BLOCK)
    for _ in range(4):
        numbered(numbers, BLOCK - 1).mark_durable()
        numbers.count()
    group = numbered(numbers, 20)
    group.records[2].is_dropped = group.records[17].is_dropped = True
    group.is_whole = False
    group.mark_durable()
    last = group.first_number
    assert numbers.ring.undecided().never_durable == [(last + 2, last + 2), (last + 17, last + 17)]


def test_a_ring_spans_what_memory_can_hold() -> None:
    assert ring_size(64 << 20) == 1 << 18
    assert ring_size(1) == LEAST_RING
    assert ring_size(1 << 40) == 1 << 22
    assert ring_size(100 << 20) == 1 << 19


def test_memory_that_is_shared_serves_as_well() -> None:
    marks = mmap(-1, LEAST_RING + TAIL_BYTES)
    numbers = TopicNumbers(LIFE, Ring(marks, LEAST_RING))
    numbered(numbers, 3).mark_durable()
    numbered(numbers, 2)
    assert numbers.count() == Counters(5, 3)
    assert numbers.ring.undecided().never_durable == [(4, 5)]


@pytest.mark.parametrize("seed", range(5))
def test_ranges_of_numbers_are_those_of_a_set_of_them(seed: int) -> None:
    drawn = random.Random(seed)
    ranges: list[tuple[int, int]] = []
    expected: set[int] = set()
    for _ in range(300):
        number = drawn.randrange(1, 200)
        add_number(ranges, number)
        expected.add(number)
        assert {one for first, last in ranges for one in range(first, last + 1)} == expected
        assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))


def test_what_is_set_aside_is_told_by_life_and_topic() -> None:
    numbers = SetAsideNumbers()
    for value in (b"a/1/5", b"a/1/6", b"b/2/1", b"none"):
        numbers.add(record(("bridge-seq", value)))
    assert numbers.by_life == {"a/1": {TOPIC: [(5, 6)]}, "b/2": {TOPIC: [(1, 1)]}}
    for number in range(2 * MAX_RANGES):
        numbers.add(record(("bridge-seq", b"c/1/%d" % (2 * number + 1))))
    assert numbers.is_full
    assert sum(len(one) for topics in numbers.by_life.values() for one in topics.values()) == MAX_RANGES
