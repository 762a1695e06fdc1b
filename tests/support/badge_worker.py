"""The worker of badges in this process, with a Redis of the test and no Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import orjson
import pytest
import redis

from consumers.badges import Badges
from consumers.badges.badge_event import read_badge_event
from consumers.badges.store import Badge, Owner
from consumers.errors import RetryLater
from consumers.metrics import Metrics
from consumers.settings import ConsumersSettings
from consumers.worker import Context, OutgoingRecord
from tests.support.badge_model import APP, badge_event
from tests.support.badges import FakeTopic
from tests.support.redis import RedisServer

PATIENT_S = 30.0
"""For Redis to answer on a busy machine, also where the states of all slots are asked for, a thousand at once."""


class NoKafka:
    """Takes every record."""

    async def publish(self, _topic: str, _records: list[OutgoingRecord]) -> None: ...


class BadgeWorker:
    """The worker of badges as the runtime has it, with `url` as its Redis; `resumes`: its group has worked before."""

    def __init__(self, url: str, *, resumes: bool = False, alone: bool = True, rebuilds: bool = False) -> None:
        async def asked() -> bool:
            return resumes

        self.topic = FakeTopic()
        self.worker = Badges(rebuilds=rebuilds, source=self.topic)
        self.metrics = Metrics("badges")
        settings = ConsumersSettings.model_validate({"redis_url": url, "redis_timeout_s": PATIENT_S})
        self.context = Context(settings, NoKafka(), self.metrics, alone=alone, resumes=asked)  # type: ignore[arg-type]

    async def start(self) -> BadgeWorker:
        await self.worker.start(self.context)
        return self

    async def handle(self, event_id: str, unread: int | None, time: int) -> Badge:
        event = read_badge_event(orjson.dumps(badge_event(event_id, "ann", unread, time=time, received=time)))
        assert event is not None
        await self.until_it_passes(lambda: self.worker.handle([event]))
        return await self.badge()

    async def count_all(self, accounts: Sequence[str], unread: int, *, time: int) -> None:
        """Have an event of each account handled, all in one batch."""
        made = [badge_event(f"{unread}-{one}", one, unread, time=time, received=time + 500) for one in accounts]
        events = [event for event in (read_badge_event(orjson.dumps(one)) for one in made) if event is not None]
        await self.until_it_passes(lambda: self.worker.handle(events))

    async def all_of(self, accounts: Sequence[str]) -> list[Badge]:
        """Their badges as Redis has them."""
        return await self.worker._store.update({Owner(APP, account): [] for account in accounts})

    async def until_it_passes(self, action: Callable[[], Awaitable[None]]) -> None:
        """Do it as the runtime does: again while badges are put back."""
        while True:
            try:
                await action()
            except RetryLater as error:
                if "put back" not in str(error):
                    raise
                await asyncio.sleep(0.01)
            else:
                return

    async def until_redis_answers(self) -> None:
        """Probe it as the runtime does, until it is there and has all."""
        while True:
            try:
                return await self.worker.probe()
            except RetryLater:
                await asyncio.sleep(0.05)

    async def badge(self) -> Badge:
        [badge] = await self.worker._store.update({Owner(APP, "ann"): []})
        return badge

    async def handle_one_of_old(self, now: int) -> Badge:
        """A badge of a minute ago, published, and none of those that the worker has written of late."""
        badge = await self.handle("new", 7, now - 60_000)
        self.topic.add(badge, now)
        self.worker._restoration._written.clear()  # As where so many others were written since.
        await self.worker.probe()
        assert self.evicted == 0
        return badge

    async def notice_eviction(self) -> None:
        with pytest.raises(RetryLater, match="has lost badges"):
            await self.worker.probe()
        assert self.evicted

    async def get_back(self, badge: Badge) -> None:
        await self.until_it_passes(self.worker.probe)
        assert await self.badge() == badge
        assert not self.lost

    @property
    def evicted(self) -> float | None:
        return self.metrics.registry.get_sample_value("consumers_redis_evicted_keys_total", {"worker": "badges"})

    @property
    def lost(self) -> float | None:
        return self.metrics.registry.get_sample_value("consumers_badges_lost", {"worker": "badges"})


def copy_of(client: redis.Redis, key: str) -> bytes:
    """What a key holds, in the form that RESTORE takes."""
    found: bytes | None = client.dump(key)
    assert found is not None, key
    return found


def now_ms(server: RedisServer) -> int:
    with redis.Redis(port=server.port) as client:
        seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


async def take(published: list[Badge], records: list[OutgoingRecord]) -> None:
    published += [msgspec.json.decode(record.value or b"", type=Badge) for record in records]
