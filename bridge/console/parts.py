"""What the console consists of, wired together and running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bridge.console.desk import DeskClient
from bridge.console.health import Health
from bridge.console.hiding import Hiding
from bridge.console.jobs import Jobs
from bridge.console.live import Live
from bridge.settings import DeveloperSettings


@dataclass(frozen=True)
class ConsoleParts:
    """The parts that answer."""

    settings: DeveloperSettings
    live: Live
    health: Health
    desk: DeskClient
    jobs: Jobs


@asynccontextmanager
async def running_parts(settings: DeveloperSettings) -> AsyncIterator[ConsoleParts]:
    """Start the parts, and end them with the block."""
    desk = DeskClient()
    try:
        badges_topic = settings.console_badges_topic
        topics = list(dict.fromkeys((settings.topic, settings.dlq_topic, badges_topic)))
        hiding = Hiding(settings.hidden_fields)
        live = Live(settings.kafka_client, topics, hiding, badges_topic=badges_topic)
        health = Health(settings, live, desk)
        jobs = Jobs(settings, desk, hiding, health.count_letters_soon)
        tasks = [asyncio.create_task(live.run()), asyncio.create_task(health.run())]
        try:
            yield ConsoleParts(settings, live, health, desk, jobs)
        finally:
            for viewer in list(live.viewers):
                viewer.drop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await jobs.stop()
    finally:
        await desk.stop()
