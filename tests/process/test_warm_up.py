"""What happens only once has happened before the first callback comes, and leaves no trace."""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from typing import Any

import orjson
import pytest
from prometheus_client import generate_latest

from bridge import metrics
from bridge.events import registry
from bridge.process.warm_up import ROUNDS, warm_up
from bridge.settings import BridgeSettings


def counted() -> list[str]:
    """What metrics say of callbacks, but what is 0."""
    lines = generate_latest(metrics.REGISTRY).decode().splitlines()
    return [line for line in lines if line.startswith("bridge_") and not line.endswith(" 0.0")]


def least(**more: Any) -> BridgeSettings:
    """Settings of an app with a token that allow as little as they can."""
    least_of_all = {"clock_skew_s": 1, "stale_per_minute": 0, "stale_bytes_per_minute": 0, "max_body_bytes": 1024}
    return BridgeSettings.model_validate({"apps": {"1400000000": ["token-a"]}, **least_of_all, **more})


async def test_a_process_that_waits_for_the_processor_is_warm_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(int(time.time()))
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: float(next(clock)))
        records = warm_up(least())
    assert len(records) == ROUNDS + 2 + len(registry.ENTRIES)


async def test_a_clock_that_is_set_meanwhile_keeps_no_process_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(int(time.time()), 1_000_000)
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: float(next(clock)))
        assert len(warm_up(least())) < ROUNDS  # The others were refused.


@pytest.mark.parametrize("tokens", [["token-a"], []], ids=["signed", "unsigned"])
async def test_a_callback_becomes_an_event_that_nobody_keeps_or_counts(
    tokens: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    fields: dict[str, Any] = {
        "apps": {"1400000000": tokens},
        "allowed_networks": ["203.0.113.0/24"],
        "decision_urls": {"*": "http://127.0.0.1:1/"},
        "max_in_flight": 1,
    }
    before = counted()
    with caplog.at_level(logging.DEBUG):
        records = warm_up(BridgeSettings.model_validate(fields))
    topics = Counter(record.topic for record in records)
    assert topics == {"im.events": ROUNDS + 1 + len(registry.ENTRIES), "im.events.dlq": 1}
    read = {orjson.loads(record.value)["callbackcommand"] for record in records if record.topic == "im.events"}
    assert read == {entry.callback.command for entry in registry.ENTRIES}
    assert counted() == before
    assert not caplog.records
