"""What a process tells of itself leads to the times that an operator plans with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.journal.budget import DiskBudget
from bridge.journal.journal import Journal
from bridge.process.status_watch import StatusWatch
from bridge.publish.publisher import Publisher


class WatchedParts:
    """A journal and a publisher of which only figures are known."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        monkeypatch.setattr("bridge.process.status_watch.time.monotonic", lambda: self.now)
        monkeypatch.setattr("bridge.process.status_watch.time.time", lambda: self.now)
        self.journal: Any = SimpleNamespace(
            budget=DiskBudget(1_000_000), folder="/j", disk_ok=True, disk_problem="", file_names=[], oldest_ms=None
        )
        self.publisher: Any = SimpleNamespace(
            topic="im.events",
            confirms=True,
            state="confirming",
            problems={},
            oldest_ms=None,
            quarantine=SimpleNamespace(usage=SimpleNamespace(files=0, bytes=0)),
        )
        self.hold(0)
        self.watch = StatusWatch(cast(Journal, self.journal), cast(Publisher, self.publisher), servers="kafka:9092")

    def hold(self, size: int) -> None:
        self.journal.budget.stored_bytes = size
        self.journal.state = SimpleNamespace(waiting_events=size // 1000, waiting_bytes=size, stored_bytes=size)

    def pass_seconds(self, seconds: int, *, growth: int = 0) -> None:
        for _ in range(seconds):
            self.now += 1
            self.hold(max(0, self.journal.budget.stored_bytes + growth))
            self.watch.observe()


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> WatchedParts:
    return WatchedParts(monkeypatch)


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


def test_of_a_moment_no_growth_is_told_and_of_standing_still_no_end(parts: WatchedParts) -> None:
    parts.watch.observe()
    assert parts.watch.waiting().bytes_per_s is None
    parts.hold(5000)
    parts.pass_seconds(70)
    waiting = parts.watch.waiting()
    assert (waiting.bytes_per_s, waiting.full_at, waiting.drained_at) == (0.0, None, None)
