"""What a runtime tells of itself between two sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from consumers.runtime.runtime import Runtime
from consumers.settings import ConsumersSettings
from consumers.worker import RecordWorker


class Idle(RecordWorker):
    name = "idle"

    async def handle(self, batch: Sequence[ConsumerRecord]) -> None:
        raise NotImplementedError


class JoinedSession:
    """One that has come to its end."""

    joined = True

    def oldest_seconds(self) -> float:
        return 7.0


async def test_with_a_certificate_that_cannot_be_read_it_is_joined_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(Idle(), ConsumersSettings.model_validate({}))
    runtime._session = JoinedSession()  # type: ignore[assignment]
    assert runtime._readiness().detail["group"] == "joined"

    def unreadable(_settings: ConsumersSettings) -> dict[str, Any]:
        raise FileNotFoundError(2, "No such file", "client.pem")

    monkeypatch.setattr(ConsumersSettings, "kafka_client", unreadable)
    delivery: Any = None
    assert not await runtime._one_session(delivery)
    assert runtime._readiness().detail["group"] == "joining"
    labels = {"worker": "idle"}
    assert runtime._metrics.registry.get_sample_value("consumers_oldest_unhandled_seconds", labels) == 0
