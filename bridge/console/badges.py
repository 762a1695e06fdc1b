"""What the page shows of an account: its badge, the events that touched it, how it was before."""

from __future__ import annotations

import asyncio

import msgspec
from aiokafka.errors import KafkaError

from bridge.console.desk import DeskClient, DeskError
from bridge.console.live import Live
from bridge.console.rows import PageRow, row_of
from bridge.contract.json_schema import Json
from bridge.contract.record_line import content_of
from bridge.settings import DeveloperSettings
from common.dead_letter_commands import unusable
from common.kafka.recent import RecentRecords, recent_records

EVENT_OFFSETS = 20_000
BADGE_OFFSETS = 20_000
MOST_EVENTS = 50
MOST_STEPS = 500
TOUCHING = (
    "im.c2c.message.sent",
    "im.c2c.message.recalled",
    "im.c2c.conversation.read",
    "im.c2c.all_conversations.read",
)
"""Types of the events that the worker for badges looks at."""


class BadgeReport(msgspec.Struct):
    """An account's badges."""

    badges: list[Json]
    """As `consumers badge get --json` has them, one for each app."""
    lost_at_ms: int
    problem: str
    """Why the badges cannot be read, for people."""
    events: list[PageRow]
    """The last events about the account that may touch a badge, the latest first."""
    events_are_all: bool
    """Whether the topic was looked through to its beginning."""
    events_problem: str
    """Why Kafka cannot be read, for people: then events and history are not known."""
    history: list[tuple[str, str, int | None, bool]]
    """App, time, count, stale: as the topic of badges still has it, in its order."""


async def badges_of(
    settings: DeveloperSettings, live: Live, desk: DeskClient, account: str, app: str | None
) -> BadgeReport:
    """Look at an account's badges, in one app or (None) in all. What cannot be asked says so, and lacks alone."""
    report = BadgeReport([], 0, "", [], True, "", [])
    # Side by side: who is away takes seconds to be known to be.
    asked = asyncio.create_task(_ask(live, desk, report, account, app))
    try:
        events = await _events(settings, account)
        report.events = [row_of(record, live.hiding) for record in reversed(events.records)]
        report.events_are_all = events.is_complete
        await asked
        for each in [app] if app else _apps(report):
            report.history += await _history(settings, live, each, account)
    except (KafkaError, OSError, TimeoutError) as error:
        report.events_problem = unusable(error, settings.kafka_bootstrap_servers, "BRIDGE_KAFKA_BOOTSTRAP_SERVERS")
    finally:
        await asked
    return report


async def _ask(live: Live, desk: DeskClient, report: BadgeReport, account: str, app: str | None) -> None:
    """Add what Redis has, or why that cannot be known."""
    try:
        found: Json = await desk.ask({"do": "badge", "account": account, "app": app})
        report.badges, report.lost_at_ms = found["badges"], found["lost_at_ms"]
    except DeskError as error:
        report.problem = error.shown(live.hiding)


async def _events(settings: DeveloperSettings, account: str) -> RecentRecords:
    return await recent_records(
        settings.kafka_client(),
        settings.topic,
        account.encode(),
        offsets=EVENT_OFFSETS,
        at_most=MOST_EVENTS,
        wanted=lambda record: content_of(record).get("type") in TOUCHING,
    )


async def _history(
    settings: DeveloperSettings, live: Live, app: str, account: str
) -> list[tuple[str, str, int | None, bool]]:
    key = f"{app}:{account}".encode()
    steps = await recent_records(
        settings.kafka_client(), live.badges_topic, key, offsets=BADGE_OFFSETS, at_most=MOST_STEPS
    )
    badges = map(content_of, steps.records)
    return [(app, str(badge.get("time")), badge.get("unread"), bool(badge.get("stale"))) for badge in badges]


def _apps(report: BadgeReport) -> list[str]:
    named = [str(one["app_id"]) for one in report.badges] + [one.app for one in report.events]
    return list(dict.fromkeys(one for one in named if one))
