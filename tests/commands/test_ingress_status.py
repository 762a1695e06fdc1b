"""What several processes tell, together: those of one disk fill it together, those of others do not."""

from __future__ import annotations

from bridge.commands.ingress_status import status_now
from bridge.process.status import DiskStatus, KafkaStatus, ProcessStatus, WaitingStatus

SINCE = "2026-01-01T00:00:00.000Z"


def process(
    *, growth: float | None, room: int, free: int | None, full_in_s: float | None = None, budget: int = 0
) -> ProcessStatus:
    waiting = WaitingStatus(3, 300, SINCE, 5.0, growth, growth, None, full_in_s, None, None)
    disk = DiskStatus("/journals", True, "", 0, budget, room, free, [], 0, 0)
    kafka = KafkaStatus("confirming", SINCE, 9.0, "", "kafka:9092", {})
    return ProcessStatus("", 1, "h", "1", SINCE, "serving", True, kafka, waiting, disk, [])


def test_processes_of_one_disk_have_what_is_free_there_once_and_those_of_others_each_theirs() -> None:
    one, other = process(growth=None, room=80, free=100), process(growth=None, room=80, free=100)
    assert status_now([[one, other]], folder="/journals").total.room_bytes == 100
    apart = status_now([[one], [other]], addresses=["http://a:1", "http://b:1"]).total
    assert (apart.room_bytes, apart.free_bytes, apart.events) == (160, 100, 6)
    assert status_now([[process(growth=None, room=80, free=None)]]).total.room_bytes == 80


def test_the_first_to_be_full_is_told_or_the_disk_that_they_share() -> None:
    one = process(growth=10.0, room=1000, free=1000, full_in_s=100.0)
    assert status_now([[one, one]]).total.full_in_s == 50.0
    assert status_now([[one], [one]]).total.full_in_s == 100.0
    draining = process(growth=-10.0, room=1000, free=1000)
    assert status_now([[draining]]).total.full_in_s is None


def test_of_those_that_are_full_already_no_time_is_told_but_of_the_others() -> None:
    full = process(growth=10.0, room=0, free=5000, full_in_s=0.0)
    one = process(growth=10.0, room=1000, free=5000, full_in_s=100.0)
    assert status_now([[full, one]]).total.full_in_s == 100.0
    assert status_now([[full, full]]).total.full_in_s == 0.0


def test_a_disk_is_short_where_the_budgets_that_share_it_want_more_than_is_free() -> None:
    one = process(growth=None, room=60, free=100, budget=60)
    assert not status_now([[one]]).total.is_disk_short
    assert not status_now([[one], [one]]).total.is_disk_short
    assert status_now([[one, one]]).total.is_disk_short


def test_nobody_is_not_well() -> None:
    assert not status_now([]).well
    assert status_now([[process(growth=None, room=1, free=1)]]).well
