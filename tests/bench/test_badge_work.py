"""The badge work of the plain workers is that of the worker which is measured beside them."""

from __future__ import annotations

import importlib

import orjson
import pytest

from tests.support.badge_model import APP, NOON_MS, badge_event
from tests.support.redis import RedisServer


async def test_the_plain_work_makes_the_badge_of_an_event(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TOPIC", "BADGES_TOPIC", "GROUP", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.setenv(f"CONSUMERS_{name}", "unused")
    monkeypatch.setenv("CONSUMERS_REDIS_URL", redis_server.url)
    work = importlib.import_module("bench.workers.badge_work").BadgeWork()
    made = await work.apply(orjson.dumps(badge_event("a", "plain", 7, time=NOON_MS)))
    assert made is not None
    assert made[0] == f"{APP}:plain".encode()
    assert orjson.loads(made[1]) == {
        "app_id": APP,
        "account": "plain",
        "unread": 7,
        "time": NOON_MS,
        "event_id": "a",
        "stale": False,
    }
    assert await work.apply(orjson.dumps(badge_event("a", "plain", 7) | {"type": "im.group.created"})) is None
    await work.close()
