"""How all is goes on being asked, whatever answers at the addresses that are named."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.console import health as module
from bridge.console.desk import DeskClient
from bridge.console.health import Health, HealthReport
from bridge.console.hiding import Hiding
from bridge.console.live import Live
from bridge.settings import DeveloperSettings
from tests.support.http import until

METRICS = 'bridge_accepted_total{command="other"} 2.0\n'
STRANGE = {
    "half a line": METRICS[:30],
    "no value": "bridge_accepted_total\n",
    "no bound": "bridge_reply_seconds_bucket 1.0\n",
    "too deep": "[" * 100_000,
    "objects too deep": '{"a":' * 100_000,
}
"""What an ingress that is killed has sent, or somebody else who listens there."""


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.1)


def health_of(folder: Path, ingress: str) -> Health:
    given = {"journal_dir": folder, "console_ingress": [ingress], "console_workers": {}}
    settings = DeveloperSettings.model_validate(given)
    live = Live(settings.kafka_client, ["im.events"], Hiding(()), badges_topic="im.badges")
    return Health(settings, live, DeskClient())


async def looked_again(report: HealthReport) -> None:
    before_s = report.time_s
    await until(lambda: report.time_s > before_s)


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_whatever_answers_at_an_admin_port_it_is_asked_again(tmp_path: Path, strange: str) -> None:
    answer = strange

    async def told(_request: web.Request) -> web.Response:
        return web.Response(text=answer)

    application = web.Application()
    application.router.add_get("/{path:.*}", told)
    async with TestServer(application) as server:
        health = health_of(tmp_path, str(server.make_url("/")).rstrip("/"))
        running = asyncio.create_task(health.run())
        try:
            for _ in range(2):
                await looked_again(health.report)
            answer = METRICS
            await until(lambda: health.report.latest is not None and health.report.latest.accepted_per_s is not None)
        finally:
            await ended(running)


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".example"], ids=["an empty label", "a label too long"])
async def test_a_name_that_nobody_can_have_does_not_answer(tmp_path: Path, host: str) -> None:
    health = health_of(tmp_path, f"http://{host}:9090")
    running = asyncio.create_task(health.run())
    try:
        await looked_again(health.report)
        assert health.report.ingress is not None
        assert [one.host for one in health.report.ingress.silent] == [f"http://{host}:9090"]
    finally:
        await ended(running)


async def test_a_look_that_fails_for_a_fault_of_ours_is_told_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([OSError("a fault"), None])

    async def fail(_page: object) -> str | None:
        if failure := next(failures, None):
            raise failure
        return None

    monkeypatch.setattr("bridge.console.ingress_metrics._text", fail)
    health = health_of(tmp_path, "http://127.0.0.1:9")
    running = asyncio.create_task(health.run())
    try:
        await until(lambda: "console failed (OSError)" in health.report.ingress_problem)
        assert health.report.well is False
        await until(lambda: health.report.ingress_problem == "")
    finally:
        await ended(running)


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
