"""What is gone from a log: by retention, or before its time."""

from __future__ import annotations

from consumers.audit.partition_log import MAX_SAMPLES, PartitionLog, Retention, explaining_jumps

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
DAY = Retention(24 * HOUR_MS, -1)


def read_log(*, records: int, from_ms: int, to_ms: int) -> PartitionLog:
    """A log that was read: so many records, received at even distances."""
    log = PartitionLog("im.events", 0)
    step = (to_ms - from_ms) // records
    for offset in range(records):
        stamp = offset, from_ms + offset * step
        log.read(stamp, stamp)
    return log


def test_what_retention_took_after_it_was_read_is_no_loss() -> None:
    log = read_log(records=1000, from_ms=NOW_MS - 40 * HOUR_MS, to_ms=NOW_MS)
    assert log.begins_at(350, DAY, NOW_MS, is_initial=False) is None
    assert log.position == 1000


def test_what_was_read_and_is_gone_before_its_time_is_told_with_offsets_and_times() -> None:
    log = read_log(records=1000, from_ms=NOW_MS - HOUR_MS, to_ms=NOW_MS)
    lost = log.begins_at(350, DAY, NOW_MS, is_initial=False)
    assert lost is not None
    assert (lost.first, lost.end, lost.count, lost.is_end) == (0, 350, 350, False)
    assert lost.after_ms == NOW_MS - HOUR_MS
    assert lost.before_ms is not None
    assert NOW_MS - HOUR_MS < lost.before_ms < NOW_MS
    again = log.begins_at(360, DAY, NOW_MS, is_initial=False)
    assert again is not None
    assert (again.first, again.end) == (350, 360)


def test_retention_by_size_may_take_what_is_young() -> None:
    log = read_log(records=100, from_ms=NOW_MS - 1000, to_ms=NOW_MS)
    assert log.begins_at(50, Retention(-1, 1_000_000), NOW_MS, is_initial=False) is None


def test_nothing_is_taken_where_nothing_takes() -> None:
    log = read_log(records=100, from_ms=1000, to_ms=2000)
    assert log.begins_at(50, Retention(-1, -1), NOW_MS, is_initial=False) is not None


def test_a_log_that_ends_before_what_was_read_has_lost_its_end() -> None:
    log = read_log(records=100, from_ms=NOW_MS - 100_000, to_ms=NOW_MS)
    lost = log.ends_at(60, NOW_MS)
    assert lost is not None
    assert (lost.first, lost.end, lost.is_end) == (60, 100, True)
    assert log.position == 60
    assert log.ends_at(60, NOW_MS) is None


def test_a_jump_explains_what_is_as_old_as_retention_takes_and_nothing_that_is_younger() -> None:
    log = read_log(records=10, from_ms=NOW_MS - 50 * HOUR_MS, to_ms=NOW_MS - 40 * HOUR_MS)
    assert log.begins_at(500, DAY, NOW_MS, is_initial=False) is None
    stamp = 500, NOW_MS - 20 * HOUR_MS
    log.read(stamp, stamp)
    [jump] = explaining_jumps([log], NOW_MS - 40 * HOUR_MS)
    assert (jump.first, jump.end, jump.unexplained, jump.is_early) == (10, 500, 490, False)
    assert not explaining_jumps([log], NOW_MS - 23 * HOUR_MS), "retention cannot have taken it"
    assert not explaining_jumps([log], NOW_MS - 19 * HOUR_MS), "it would be behind the jump"


def test_a_jump_over_what_is_young_is_early() -> None:
    log = read_log(records=10, from_ms=NOW_MS - HOUR_MS, to_ms=NOW_MS)
    log.begins_at(50, DAY, NOW_MS, is_initial=False)
    assert log.jumps[0].is_early
    assert not explaining_jumps([log], NOW_MS - HOUR_MS)


def test_memory_is_bounded_and_recent_times_are_known_better_than_old_ones() -> None:
    log = read_log(records=50_000, from_ms=NOW_MS - 50_000_000, to_ms=NOW_MS)
    assert len(log.samples) <= MAX_SAMPLES
    offsets = [offset for offset, _ in log.samples]
    assert offsets == sorted(offsets)
    assert offsets[0] == 0
    assert offsets[-1] - offsets[-2] < offsets[2] - offsets[1]
    for begin in range(1, 100):
        log.begins_at(50_000 + begin * 10, DAY, NOW_MS, is_initial=False)
    assert len(log.jumps) <= 8
    assert sum(jump.unexplained for jump in log.jumps) == 990


def test_of_a_topic_that_was_made_anew_while_it_was_read_all_is_to_be_read() -> None:
    log = PartitionLog("im.events", 0)
    log.begins_at(500, DAY, NOW_MS, is_initial=True)
    log.read((500, NOW_MS - 1000), (999, NOW_MS))
    lost = log.ends_at(10, NOW_MS)
    assert lost is not None
    assert (log.position, log.last_offset, log.begin) == (0, -1, 0), "none of the ten is one that was read"
