"""How events are given to a worker, and when it is given up on."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from common.settings import SettingsGroup
from consumers.settings.units import KIBIBYTE, MEBIBYTE


class HandlingSettings(SettingsGroup):
    """Batches, retries, dead letters, and the stop."""

    heading: ClassVar[str] = "Handling of events"
    read_more: ClassVar[str] = "workers.md"

    batch_max_events: int = Field(1000, ge=1, le=100_000, description="Most events that a worker is given at a time.")
    fetch_max_bytes: int = Field(
        MEBIBYTE,
        ge=16 * KIBIBYTE,
        description="How much of a partition is fetched at a time; twice that is in memory at most.",
    )
    kafka_client_rack: str | None = Field(
        None,
        max_length=255,
        description="""Where this process runs, as brokers call it by `broker.rack`: it reads from a replica there, if
        they have a `replica.selector.class` that allows it, and none of another zone is paid for.""",
    )
    handle_timeout_s: float = Field(
        120.0,
        gt=0,
        le=86_400,
        description="A batch that takes a worker longer is given to it again, from its beginning.",
    )
    poison_attempts: int = Field(
        3, ge=1, le=100, description="How often an event that a worker fails on is tried before it is a dead letter."
    )
    breaker_dead_letters: int = Field(
        50,
        ge=0,
        description="""A worker that makes so many dead letters, each of another key, and handles nothing between them
        is at fault itself: it makes no more, and its events wait until it is repaired. 0 = never.""",
    )
    breaker_window_s: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="Within how many seconds CONSUMERS_BREAKER_DEAD_LETTERS counts.",
    )
    stop_timeout_s: float = Field(8.0, ge=1, le=3600, description="A graceful stop takes no longer than this.")
