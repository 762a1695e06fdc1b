"""What happens only once has happened before the first callback comes, and leaves no trace."""

from __future__ import annotations

import logging
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
