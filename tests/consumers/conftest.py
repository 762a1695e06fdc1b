"""What the tests of the workers ask for by name."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from consumers.badges.store import BadgeStore
from consumers.settings import ConsumersSettings
from tests.support.badge_worker import PATIENT_S
from tests.support.redis import RedisServer


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[BadgeStore]:
    """The badges in the Redis that tests share."""
    store = BadgeStore(ConsumersSettings.model_validate({"redis_url": redis_server.url, "redis_timeout_s": PATIENT_S}))
    yield store
    await store.close()
