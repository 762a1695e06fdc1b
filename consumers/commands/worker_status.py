"""Asks Kafka and the processes of a worker how it is."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
from aiokafka.errors import KafkaError

from common.admin_address import admin_page, asked_host
from common.dead_letter_filter import DeadLetterFilter
from common.kafka.dead_letters import open_letters
from common.kafka.lag import PartitionLag, lag_of
from common.timestamps import rfc3339
from common.unreachable import why_unreachable
from consumers.errors import describe
from consumers.settings import ConsumersSettings

ANSWER_TIMEOUT_S = 3.0
LETTERS_TIMEOUT_S = 20.0
MAX_PAGE_BYTES = 1024 * 1024
READY_PATH = "/readyz"


class AskedWorker(msgspec.Struct):
    """A process of a worker, as its admin port tells."""

    url: str
    answers: bool
    problem: str
    """Why it does not answer, for people."""
    ready: bool = False
    detail: dict[str, Any] = {}
    """As `/readyz` has it: `worker`, `kafka`, `group`, `waiting`, `breaker`, …."""

    @property
    def is_well(self) -> bool:
        """Whether it works, and waits for nothing."""
        return self.answers and self.ready


class Lag(msgspec.Struct):
    """What of its topic a group has not handled."""

    events: int
    oldest: str | None
    """When the oldest was received, RFC 3339; None where nothing waits, or it could not be read in time."""
    oldest_s: float | None
    partitions: list[PartitionLag]


class DeadLetterCount(msgspec.Struct):
    """The open dead letters of a group."""

    count: int
    is_complete: bool
    """Whether all were counted in the time that there is for it."""
    latest: str | None


class GroupPlace(msgspec.Struct):
    """Where a worker stands: its consumer group, and the topic that it reads."""

    group: str
    topic: str


class WorkerStatus(msgspec.Struct):
    """How a worker is."""

    worker: str
    place: GroupPlace | None
    """None: it reads no topic."""
    time: str
    well: bool
    """Whether a process answers, all are ready, and Kafka can be asked."""
    lag: Lag | None
    """None: see `kafka_problem`."""
    dead_letters: DeadLetterCount | None
    kafka_problem: str
    processes: list[AskedWorker]


async def status_of(
    worker: str,
    place: GroupPlace | None,
    settings: ConsumersSettings,
    urls: Sequence[str],
    *,
    counts_letters: bool = True,
) -> WorkerStatus:
    """Ask Kafka of the group and its dead letters, and each process at its admin port.

    Args:
        worker: its name.
        place: its group and topic; None: it reads no topic.
        settings: connection and topics.
        urls: admin addresses.
        counts_letters: whether to read the topic of the dead letters, which may be long.
    """
    asked = await asyncio.gather(*(_ask(url) for url in urls))
    lag, letters, problem = None, None, ""
    try:
        if place is not None:
            lag = _summed(await lag_of(settings.kafka_client(), place.group, place.topic))
            problem = f"the topic {place.topic} does not exist" if lag is None else ""
            letters = await _count_letters(settings, place.group) if counts_letters else None
    except (KafkaError, OSError, TimeoutError) as error:
        problem = f"Kafka at {settings.kafka_bootstrap_servers} cannot be asked: {describe(error) or 'no answer'}"
    return WorkerStatus(
        worker=worker,
        place=place,
        time=rfc3339(int(time.time() * 1000)),
        well=not problem and bool(asked) and all(one.is_well for one in asked),
        lag=lag,
        dead_letters=letters,
        kafka_problem=problem,
        processes=list(asked),
    )


def own_url(settings: ConsumersSettings) -> str | None:
    """Where the process with these settings is asked on its own machine; None: it has no admin port."""
    if settings.admin_port == 0:
        return None
    host = asked_host(settings.admin_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.admin_port}"


def _summed(partitions: list[PartitionLag] | None) -> Lag | None:
    if partitions is None:
        return None
    times = (one.oldest_ms for one in partitions if one.oldest_ms is not None and one.oldest_ms >= 0)
    oldest_ms = min(times, default=None)
    return Lag(
        events=sum(one.events for one in partitions),
        oldest=None if oldest_ms is None else rfc3339(oldest_ms),
        oldest_s=None if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000),
        partitions=partitions,
    )


async def _count_letters(settings: ConsumersSettings, group: str) -> DeadLetterCount:
    found = DeadLetterCount(0, False, None)
    latest_ms = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LETTERS_TIMEOUT_S):
            letters = open_letters(settings.kafka_client(), settings.dlq_topic, DeadLetterFilter(group=group))
            async with contextlib.aclosing(letters):
                async for letter in letters:
                    found.count += 1
                    latest_ms = max(latest_ms, letter.record.timestamp)
        found.is_complete = True
    found.latest = rfc3339(latest_ms) if latest_ms else None
    return found


async def _ask(url: str) -> AskedWorker:
    """What the process at an admin address says."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(admin_page(url, READY_PATH), allow_redirects=False) as reply,
        ):
            detail = msgspec.json.decode(await reply.content.read(MAX_PAGE_BYTES), type=dict[str, Any])
    except TimeoutError:
        return AskedWorker(url, False, f"no answer within {ANSWER_TIMEOUT_S:.0f} s")
    except aiohttp.ClientConnectorError as error:
        return AskedWorker(url, False, why_unreachable(error.os_error))
    except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
        return AskedWorker(url, False, f"it does not answer as the admin port of a worker does ({describe(error)})")
    if "disk" in detail or "processes" in detail:
        return AskedWorker(url, False, "what answers is an ingress, no worker: see CONSUMERS_ADMIN_PORT")
    return AskedWorker(url, True, "", bool(detail.pop("ready", False)), detail)
