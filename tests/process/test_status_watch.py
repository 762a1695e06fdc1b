"""What a process tells of itself leads to the times that an operator plans with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.journal.budget import DiskBudget
from bridge.journal.files import LeftByOthers
from bridge.journal.journal import Journal
from bridge.process.outage_mark import NAME, OutageMark
from bridge.process.status_watch import StatusWatch
from bridge.publish.publisher import Publisher
from tests.support import disk
from tests.support.disk import can_mount


class WatchedParts:
    """A journal and a publisher of which only figures are known."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.now = 1_000_000.0
        monkeypatch.setattr("bridge.process.status_watch.time.monotonic", lambda: self.now)
        monkeypatch.setattr("bridge.process.status_watch.time.time", lambda: self.now)
        self.journal: Any = SimpleNamespace(
            budget=DiskBudget(1_000_000),
            folder=folder,
            disk_ok=True,
            disk_problem="",
            file_names=[],
            oldest_ms=None,
            on_disk=self.on_disk,
            left_by_others=LeftByOthers(looks=0, waiting=0),
        )
        self.publisher: Any = SimpleNamespace(
            topic="im.events",
            confirms=True,
            state="confirming",
            problems={},
            unconfirmed_s=0.0,
            oldest_ms=None,
            quarantine=SimpleNamespace(usage=SimpleNamespace(files=0, bytes=0)),
        )
        self.hold(0)
        self.begin()

    def begin(self) -> None:
        """Let a process begin."""
        self.watch = StatusWatch(cast(Journal, self.journal), cast(Publisher, self.publisher), servers="kafka:9092")

    @staticmethod
    async def on_disk(function: Callable[[], Any]) -> Any:
        return function()

    def look(self) -> None:
        """Let it watch once, as it does now and then."""

        async def once() -> None:
            async def see_to_socket() -> None: ...

            watching = asyncio.create_task(self.watch.run(see_to_socket))
            for _ in range(20):  # The clock stands still: what is to happen happens in some rounds of the loop.
                await asyncio.sleep(0)
            watching.cancel()

        asyncio.run(once())

    def lose_kafka(self) -> None:
        self.publisher.confirms, self.publisher.state = False, "away"

    def hold(self, size: int) -> None:
        self.journal.budget.stored_bytes = size
        self.journal.state = SimpleNamespace(waiting_events=size // 1000, waiting_bytes=size, stored_bytes=size)

    def pass_seconds(self, seconds: int, *, growth: int = 0) -> None:
        for _ in range(seconds):
            self.now += 1
            self.hold(max(0, self.journal.budget.stored_bytes + growth))
            self.watch.observe()


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WatchedParts:
    return WatchedParts(monkeypatch, tmp_path)


def test_growth_leads_to_the_time_when_it_is_full_and_a_drain_to_its_end(parts: WatchedParts) -> None:
    parts.pass_seconds(10)
    parts.publisher.confirms, parts.publisher.state = False, "away"
    parts.publisher.problems = {"im.events": "nothing listens there", "im.events.dlq": "it is forbidden"}
    parts.pass_seconds(1)
    parts.journal.oldest_ms = int(parts.now * 1000) - 2000
    parts.pass_seconds(30, growth=1000)
    kafka, waiting = parts.watch.kafka(), parts.watch.waiting()
    assert (kafka.state, kafka.problem, kafka.since_s) == ("away", "nothing listens there", 30)
    assert kafka.other_topics == {"im.events.dlq": "it is forbidden"}
    assert (waiting.events_per_s, waiting.bytes_per_s) == (1.0, 1000.0)
    assert (waiting.full_in_s, waiting.drained_in_s, waiting.oldest_s) == ((1_000_000 - 30_000) / 1000, None, 32)

    parts.publisher.confirms, parts.publisher.state = True, "confirming"
    parts.pass_seconds(11, growth=-1000)
    waiting = parts.watch.waiting()
    assert waiting.bytes_per_s == -1000.0, "what grew before does not count once it drains"
    assert (waiting.full_at, waiting.drained_in_s) == (None, 19.0)
    assert parts.watch.kafka().problem == ""


def test_an_outage_begins_with_what_was_not_confirmed_first_not_when_that_is_noticed(parts: WatchedParts) -> None:
    parts.pass_seconds(10)
    parts.lose_kafka()
    parts.publisher.state, parts.publisher.unconfirmed_s = "slow", 1.75
    parts.watch.observe()
    assert parts.watch.kafka().since_s == 1.75
    assert parts.watch.kafka().problem == "it is connected, and does not confirm what it is sent"
    parts.publisher.problems = {"im.events": "nothing listens there"}
    assert parts.watch.kafka().problem == "nothing listens there"

    parts.publisher.confirms, parts.publisher.state = True, "confirming"
    parts.watch.observe()
    parts.lose_kafka()
    parts.publisher.unconfirmed_s = 60.0
    parts.pass_seconds(1)
    assert parts.watch.kafka().since_s == 1, "not before it confirmed last"


def test_of_a_moment_no_growth_is_told_and_of_standing_still_no_end(parts: WatchedParts) -> None:
    parts.lose_kafka()
    parts.watch.observe()
    assert parts.watch.waiting().bytes_per_s is None
    parts.hold(5000)
    parts.pass_seconds(70)
    waiting = parts.watch.waiting()
    assert (waiting.bytes_per_s, waiting.full_at, waiting.drained_at) == (0.0, None, None)


def test_while_kafka_confirms_what_is_on_its_way_fills_nothing_but_a_backlog_that_grows_does(
    parts: WatchedParts,
) -> None:
    parts.pass_seconds(60)
    parts.publisher.oldest_ms = int(parts.now * 1000) - 4
    parts.hold(1000)
    waiting = parts.watch.waiting()
    assert (waiting.events, waiting.events_per_s, waiting.bytes_per_s, waiting.full_at) == (1, 0.0, 0.0, None)
    parts.pass_seconds(60, growth=1000)
    waiting = parts.watch.waiting()
    assert waiting.events == 61
    assert waiting.events_per_s == pytest.approx(1.0, rel=0.05)
    assert waiting.full_in_s == pytest.approx(940, rel=0.05)


def test_while_callbacks_are_refused_nothing_grows_and_that_counts_no_more_when_they_are_taken(
    parts: WatchedParts,
) -> None:
    parts.lose_kafka()
    parts.pass_seconds(10, growth=1000)
    parts.journal.disk_ok = False
    parts.pass_seconds(10)
    assert parts.watch.waiting().bytes_per_s == 0.0
    parts.pass_seconds(40)
    parts.journal.disk_ok = True
    parts.pass_seconds(10, growth=1000)
    waiting = parts.watch.waiting()
    assert (waiting.bytes_per_s, waiting.full_in_s) == (1000.0, 980.0)


def test_what_a_dead_process_left_is_no_growth(parts: WatchedParts) -> None:
    parts.lose_kafka()
    parts.pass_seconds(3, growth=1000)
    parts.hold(500_000)
    parts.journal.left_by_others = LeftByOthers(looks=1, waiting=500)
    parts.pass_seconds(1, growth=1000)
    assert parts.watch.waiting().full_at is None, "of a moment no growth is told"
    parts.pass_seconds(10, growth=1000)
    waiting = parts.watch.waiting()
    assert (waiting.bytes_per_s, waiting.full_in_s) == (1000.0, 489.0)

    parts.journal.left_by_others = LeftByOthers(looks=1, waiting=400)
    parts.pass_seconds(1, growth=1000)
    assert parts.watch.waiting().bytes_per_s == 1000.0, "what Kafka takes of it has no effect"


def test_a_process_that_begins_in_an_outage_tells_since_when_that_is(parts: WatchedParts) -> None:
    parts.lose_kafka()
    parts.pass_seconds(3600)
    parts.look()
    began = parts.watch.kafka().since
    for _ in range(2):  # One after the other: each tells what the first one saw.
        parts.now += 60
        parts.begin()
        parts.look()
        assert parts.watch.kafka().since == began
    assert parts.watch.kafka().since_s == 3720


def test_an_outage_that_is_over_is_none_of_the_next(parts: WatchedParts) -> None:
    parts.lose_kafka()
    parts.pass_seconds(3600)
    parts.look()
    parts.publisher.confirms, parts.publisher.state = True, "confirming"
    parts.pass_seconds(1)
    parts.look()
    parts.now += 3600
    parts.lose_kafka()
    parts.begin()
    parts.look()
    assert parts.watch.kafka().since_s == 0


def test_a_process_to_which_kafka_confirmed_knows_itself_since_when_it_does_not(parts: WatchedParts) -> None:
    OutageMark(parts.journal.folder).note(parts.now - 3600)
    parts.pass_seconds(1)
    parts.lose_kafka()
    parts.pass_seconds(10)
    parts.look()
    assert parts.watch.kafka().since_s == 9


@pytest.mark.parametrize("held", [-5, 0, 99_999_999_999])
def test_a_note_that_can_not_be_is_none(held: int, tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    os.utime(tmp_path / NAME, (held, held))
    mark = OutageMark(tmp_path)
    assert mark.read() is None
    mark.note(1000.0)
    assert mark.read() == 1000.0


@pytest.mark.skipif(not can_mount(), reason="nothing may be mounted here")
def test_a_disk_that_is_full_takes_the_note_too(tmp_path: Path) -> None:
    disk.mount(tmp_path, size_bytes=1 << 20)
    try:
        disk.fill(tmp_path)
        OutageMark(tmp_path).note(1_700_000_000.25)
        assert OutageMark(tmp_path).read() == 1_700_000_000.25
        assert {path.name for path in tmp_path.iterdir()} == {NAME, "filler"}
    finally:
        disk.unmount(tmp_path)


def test_of_a_note_that_cannot_be_made_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(OSError, match="directory"):
        OutageMark(tmp_path).note(1000.0)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_folder_that_takes_nothing_keeps_nobody_from_watching(
    parts: WatchedParts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.journal.folder = parts.journal.folder / "gone"
    parts.lose_kafka()
    parts.begin()
    parts.pass_seconds(60)
    parts.look()
    assert parts.watch.kafka().since_s == 60
    assert "could not be watched" not in caplog.text
