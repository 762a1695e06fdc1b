"""What a runtime tells of itself between two sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from consumers.errors import RetryLater, WorkerRefusedError
from consumers.runtime.runtime import Runtime
from consumers.runtime.session import SessionLostError
from consumers.settings import ConsumersSettings
from consumers.worker import Context, RecordWorker


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
    delivery: Any = SimpleNamespace(deliver=None)
    assert not await runtime._one_session(delivery)
    assert runtime._readiness().detail["group"] == "joining"
    labels = {"worker": "idle"}
    assert runtime._metrics.registry.get_sample_value("consumers_oldest_unhandled_seconds", labels) == 0


class Odd(Idle):
    """Says of itself what cannot be said."""

    name = "odd"
    told: dict[str, Any] | None = None

    def remarks(self) -> dict[str, Any]:
        if self.told is None:
            raise KeyError("nothing")
        return self.told


async def test_remarks_that_cannot_be_made_or_shown_do_not_hide_the_rest() -> None:
    worker = Odd()
    runtime = Runtime(worker, ConsumersSettings.model_validate({}))
    assert str(runtime._readiness().detail["remarks"]).startswith("KeyError: 'nothing'")
    worker.told = {"since": 5}
    assert runtime._readiness().detail["since"] == "5"
    assert runtime._readiness().detail["worker"] == "starting"


class Anxious(Idle):
    """What it needs is away as long as `away` says."""

    name = "anxious"
    away = True

    async def probe(self) -> None:
        if self.away:
            raise RetryLater("the printer has no paper")

    def remarks(self) -> dict[str, str]:
        return {"printer": "out of paper"} if self.away else {}


async def test_a_worker_whose_needs_are_away_is_not_ready_also_while_it_is_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumers.runtime.runtime._PROBE_EVERY_S", 0.01)
    worker = Anxious()
    runtime = Runtime(worker, ConsumersSettings.model_validate({}))
    runtime._session = JoinedSession()  # type: ignore[assignment]
    runtime._started = True
    runtime._kafka.reached()
    probing = asyncio.create_task(runtime._probe())
    while runtime._readiness().ready:  # noqa: ASYNC110 - what the task does has no event to wait for
        await asyncio.sleep(0.01)
    detail = runtime._readiness().detail
    assert (detail["waiting"], detail["printer"]) == ("the printer has no paper", "out of paper")
    worker.away = False
    while not runtime._readiness().ready:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    assert "printer" not in runtime._readiness().detail
    probing.cancel()


async def test_a_worker_that_fails_at_its_start_is_refused_with_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Idle):
        async def start(self, context: Context) -> None:
            raise KeyError("PUSH_URL")

    runtime = Runtime(Broken(), ConsumersSettings.model_validate({}))
    with pytest.raises(
        WorkerRefusedError, match=r"the worker idle cannot start: KeyError: 'PUSH_URL' \(at \S*test_runtime\.py:\d+\)"
    ):
        await runtime._work()


async def test_a_worker_that_refuses_while_it_handles_ends_the_process() -> None:
    runtime = Runtime(Idle(), ConsumersSettings.model_validate({}))
    refused = WorkerRefusedError("PUSH_URL must begin with https://")

    class EndedSession(JoinedSession):
        async def run(self) -> None:
            raise SessionLostError("the work on partition 0 broke off") from refused

        async def close(self, *, within_s: float) -> None: ...

    runtime._new_session = lambda _delivery: EndedSession()  # type: ignore[method-assign, assignment, return-value]
    delivery: Any = None
    with pytest.raises(WorkerRefusedError, match="PUSH_URL"):
        await runtime._one_session(delivery)
