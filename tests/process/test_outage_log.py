"""An outage is told once a minute, with how long there is; what is over at once is not."""

from __future__ import annotations

import logging

import msgspec
import pytest

from bridge.process.outage_log import OutageLog
from bridge.process.status import DiskStatus, KafkaStatus, WaitingStatus

NOON = "2026-11-26T12:00:00.000Z"


def kafka(since_s: float, *, state: str = "away") -> KafkaStatus:
    problem = "" if state == "confirming" else "nothing listens there"
    return KafkaStatus(state, NOON, since_s, problem, "kafka:9092", {})  # type: ignore[arg-type]


def waiting(events: int = 0, *, full_in_s: float | None = None) -> WaitingStatus:
    full_at = None if full_in_s is None else NOON
    return WaitingStatus(events, 1024 * events, NOON, 30.0, 1.0, 1024.0, full_at, full_in_s, None, None)


def disk(*, ok: bool = True) -> DiskStatus:
    return DiskStatus("/j", ok, "" if ok else "all of BRIDGE_JOURNAL_MAX_BYTES is used", 0, 10, 2**30, None, [], 0, 0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("bridge.process.outage_log.time.monotonic", lambda: now[0])
    return now


def test_an_outage_is_told_once_a_minute_and_its_end_once(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    log = OutageLog()
    with caplog.at_level(logging.INFO):
        log.tell(kafka(1), waiting(), disk())
        log.tell(kafka(3, state="confirming"), waiting(), disk())
        assert caplog.messages == [], "what is over at once is not told"
        for second in range(126):
            clock[0] = 1000.0 + second
            log.tell(kafka(second), waiting(3, full_in_s=7300), disk())
        first, *others = caplog.messages
        assert len(others) == 2
        assert first == (
            "Kafka has confirmed nothing for 5 s: nothing listens there; 3 events (3.0 KiB) wait for it, the oldest for"
            " 30 s; room for 1.0 GiB more, which is full in 2 h if it goes on like this"
        )
        told = caplog.records[0].fields  # type: ignore[attr-defined]
        assert (told["event"], told["waiting_events"], told["room_bytes"]) == ("kafka_outage", 3, 2**30)
        caplog.clear()
        for _ in range(5):
            log.tell(kafka(1, state="confirming"), waiting(2), disk())
        for _ in range(5):
            log.tell(kafka(2, state="confirming"), waiting(), disk())
    assert [record.fields["event"] for record in caplog.records] == [  # type: ignore[attr-defined]
        "kafka_draining",
        "kafka_drained",
    ]
    draining, drained = caplog.messages
    assert draining.startswith("Kafka confirms again, after 2 min; 2 events")
    assert "after an outage of 2 min" in drained


def test_an_outage_in_which_no_callback_comes_is_told_as_one(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    log = OutageLog()
    log.tell(kafka(4), waiting(), disk())
    clock[0] += 5
    log.tell(kafka(9), waiting(), disk())
    assert "nothing listens there; nothing waits for it; room for 1.0 GiB more" in caplog.text


def test_a_disk_that_takes_nothing_is_told_with_why(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    log = OutageLog()
    log.tell(kafka(4), waiting(3), disk(ok=False))
    clock[0] += 5
    log.tell(kafka(9), waiting(3), disk(ok=False))
    assert "the disk takes nothing (all of BRIDGE_JOURNAL_MAX_BYTES is used): callbacks are refused" in caplog.text


def test_an_outage_that_began_before_the_process_is_told_when_it_lasts_and_not_while_that_connects(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    log = OutageLog()
    log.tell(kafka(3600), waiting(3), disk())
    assert not caplog.messages
    clock[0] += 5
    log.tell(kafka(3605), waiting(3), disk())
    assert "Kafka has confirmed nothing for 60 min" in caplog.text


def test_a_relapse_of_a_moment_is_part_of_the_outage_that_was_told_and_a_long_one_is_an_outage_of_its_own(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    log = OutageLog()
    with caplog.at_level(logging.INFO):
        for second in range(7):
            clock[0] = 1000.0 + second
            log.tell(kafka(360 + second), waiting(3), disk())
        log.tell(kafka(0, state="confirming"), waiting(2), disk())
        log.tell(kafka(0.5), waiting(2), disk())
        log.tell(kafka(0, state="confirming"), waiting(), disk())
        assert "after an outage of 6 min" in caplog.messages[-1]

        caplog.clear()
        for second in range(7):
            clock[0] = 2000.0 + second
            log.tell(kafka(second), waiting(3), disk())
        log.tell(kafka(0, state="confirming"), waiting(), disk())
        assert "after an outage of 6 s" in caplog.messages[-1]


def test_of_a_disk_that_others_fill_too_no_time_is_promised(caplog: pytest.LogCaptureFixture) -> None:
    log = OutageLog()
    for second in (0, 6):
        with pytest.MonkeyPatch.context() as clock:
            clock.setattr("bridge.process.outage_log.time.monotonic", lambda at=second: 1000.0 + at)
            log.tell(kafka(6), waiting(3, full_in_s=7300), msgspec.structs.replace(disk(), free_bytes=2**30))
    (told,) = caplog.messages
    assert "room for 1.0 GiB more on the disk, which this process alone fills in 2 h if it goes on like this" in told
