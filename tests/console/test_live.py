"""What comes in reaches every browser: too much is sampled and counted, and no slow browser holds up the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession, ClientTimeout, web
from aiohttp.test_utils import TestServer
from aiokafka import TopicPartition

from bridge.console import live as live_module
from bridge.console.hiding import Hiding
from bridge.console.live import (
    MAX_KEPT,
    MAX_KEPT_BYTES,
    MAX_PENDING,
    MAX_VIEWERS,
    ROWS_A_TICK,
    Live,
    TooManyViewersError,
)
from bridge.console.live_filter import LiveFilter
from bridge.console.viewer import MAX_BEHIND_BYTES, Viewer, sse
from tests.console.records import TOPIC, record
from tests.support.http import until


class FedFollower:
    """Gives what it is fed, in place of Kafka."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.missing: frozenset[str] = frozenset()
        self._fed: asyncio.Queue[list[Any]] = asyncio.Queue()

    def feed(self, records: list[Any]) -> None:
        """Records of one fetch."""
        self._fed.put_nowait(records)

    async def batches(self) -> AsyncIterator[dict[TopicPartition, list[Any]]]:
        """As `Follower.batches`."""
        while True:
            yield {TopicPartition(TOPIC, 0): await self._fed.get()}


class ReadingViewer(Viewer):
    """A browser that keeps what it is told."""

    def __init__(self, **chosen: str) -> None:
        super().__init__(LiveFilter(**chosen))
        self.ticks: list[dict[str, Any]] = []

    def push(self, message: bytes) -> None:
        """Keep it."""
        self.ticks.append(orjson.loads(message.split(b"data: ")[1]))

    @property
    def shown(self) -> list[int]:
        """Offsets of the rows."""
        return [row["offset"] for tick in self.ticks for row in tick["rows"]]

    def total(self, name: str) -> int:
        """The sum of a count of all ticks."""
        return sum(tick[name] for tick in self.ticks)


@pytest.fixture
async def followed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Live, FedFollower]]:
    follower = FedFollower()
    monkeypatch.setattr(live_module, "Follower", lambda *_, **__: follower)
    live = Live(dict, [TOPIC], Hiding(()), badges_topic="im.badges")
    task = asyncio.create_task(live.run())
    yield live, follower
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def events(begin: int, end: int, subject: str = "ann") -> list[Any]:
    value = orjson.dumps({"specversion": "1.0", "type": "im.c2c.message.sent", "subject": subject, "data": {}})
    return [record(value, offset=offset, at_ms=offset, key=subject.encode()) for offset in range(begin, end)]


async def test_what_was_there_is_shown_at_once_and_what_comes_follows(followed: tuple[Live, FedFollower]) -> None:
    live, follower = followed
    follower.feed(events(0, 3))
    await until(lambda: len(live.kept(TOPIC)) == 3)
    viewer = ReadingViewer()
    live.join(viewer)
    assert viewer.shown == [0, 1, 2]
    await until(lambda: live.per_s == 0 or len(viewer.ticks) > 1)
    follower.feed(events(3, 5))
    await until(lambda: 4 in viewer.shown)
    assert sorted(set(viewer.shown)) == [0, 1, 2, 3, 4]


async def test_of_too_much_a_sample_is_shown_and_the_rest_is_counted(
    followed: tuple[Live, FedFollower], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, follower = followed
    monkeypatch.setattr(live_module, "FILTERING_S", 60)
    viewer, of_bob = ReadingViewer(), ReadingViewer(account="bob")
    live.join(viewer)
    live.join(of_bob)
    follower.feed(events(0, 2000) + events(2000, 2003, "bob"))
    await until(lambda: len(viewer.shown) + viewer.total("left_out") + viewer.total("unseen") == 2003)
    assert len(viewer.shown) <= ROWS_A_TICK
    assert viewer.total("left_out") > 1900
    assert max(tick["per_s"] for tick in viewer.ticks) > 0
    assert of_bob.shown == [2000, 2001, 2002], "whoever filters misses nothing that there was time to look at"
    assert of_bob.total("left_out") == 0


async def test_what_there_is_no_time_to_look_at_is_counted(
    followed: tuple[Live, FedFollower], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, follower = followed
    monkeypatch.setattr(live_module, "FILTERING_S", 0)
    viewer = ReadingViewer(account="ann")
    live.join(viewer)
    follower.feed(events(0, 500))
    await until(lambda: len(viewer.shown) + viewer.total("left_out") + viewer.total("unseen") == 500)
    assert viewer.total("unseen") > 0


async def test_memory_is_bounded_whatever_comes(followed: tuple[Live, FedFollower]) -> None:
    live, follower = followed
    live.join(ReadingViewer())
    large = [record(b"x" * 1_000_000, ("raw-body", b"x" * 1_000_000), offset=offset) for offset in range(40)]
    follower.feed(large)
    await until(lambda: live.counts[TOPIC] == 40)
    assert 2_000_000 * len(live.kept(TOPIC)) <= MAX_KEPT_BYTES
    follower.feed(events(0, 3 * MAX_PENDING))
    await until(lambda: live.counts[TOPIC] == 40 + 3 * MAX_PENDING)
    assert len(live.kept(TOPIC)) <= MAX_KEPT
    assert len(live._pending) <= MAX_PENDING


async def test_viewers_are_told_that_kafka_is_away_and_only_so_many_may_follow(
    followed: tuple[Live, FedFollower], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, follower = followed
    viewer = ReadingViewer()
    live.join(viewer)
    follower.problem = "nothing listens there"
    await until(lambda: viewer.ticks[-1]["problem"] == "nothing listens there")
    follower.problem = None
    await until(lambda: viewer.ticks[-1]["problem"] == "")
    monkeypatch.setattr(live_module, "MAX_VIEWERS", 1)
    with pytest.raises(TooManyViewersError):
        live.join(ReadingViewer())
    live.leave(viewer)
    live.join(ReadingViewer())


def test_a_viewer_that_is_too_far_behind_is_dropped_and_holds_nothing() -> None:
    viewer = Viewer(LiveFilter())
    message = sse("tick", b"x" * 1000)
    for _ in range(MAX_BEHIND_BYTES // len(message)):
        viewer.push(message)
    states = [viewer.is_dropped]
    viewer.push(message)
    viewer.push(message)
    states.append(viewer.is_dropped)
    assert states == [False, True]
    assert not viewer._waiting


async def test_a_browser_that_does_not_read_is_cut_off_and_others_are_not() -> None:
    viewers: list[Viewer] = []
    ended: list[Viewer] = []

    async def follow(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        viewer = Viewer(LiveFilter(), cut_off=request.transport.abort)
        viewers.append(viewer)
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            await viewer.send(response, lambda: True)
        finally:
            ended.append(viewer)
        return response

    application = web.Application()
    application.router.add_get("/", follow)
    async with TestServer(application) as server, ClientSession(timeout=ClientTimeout(total=60)) as session:
        slow, quick = await session.get(server.make_url("/")), await session.get(server.make_url("/"))
        read = 0

        async def reading() -> None:
            nonlocal read
            async for part in quick.content.iter_any():
                read += len(part)

        task = asyncio.create_task(reading())
        message = sse("tick", b"y" * 60_000)
        sent = 0
        while not viewers[0].is_dropped:
            for viewer in viewers:
                viewer.push(message)
            sent += len(message)
            await until(lambda: read >= sent)  # noqa: B023 - it is awaited here
        # Not when it goes away: one that stays, and reads nothing, would keep its place for ever.
        await until(lambda: ended == [viewers[0]])
        assert not viewers[1].is_dropped
        task.cancel()
        slow.close()
        quick.close()
        for viewer in viewers:
            viewer.drop()


async def test_a_browser_that_comes_while_all_records_are_long_is_shown_what_it_can_take(
    followed: tuple[Live, FedFollower],
) -> None:
    live, follower = followed
    data = {f"{'名' * 50}{number}": "字" * 200 for number in range(20)}
    value = orjson.dumps({"specversion": "1.0", "type": "t" * 500, "subject": "安" * 500, "data": data})
    follower.feed([record(value, offset=offset, at_ms=offset) for offset in range(400)])
    await until(lambda: len(live.kept(TOPIC)) == 400)
    viewer = Viewer(LiveFilter())
    live.join(viewer)
    assert not viewer.is_dropped
    assert viewer.behind_bytes < MAX_BEHIND_BYTES
    reading = ReadingViewer()
    live.join(reading)
    assert reading.shown[-1] == 399
    assert len(reading.shown) > ROWS_A_TICK


async def test_five_hundred_browsers_that_do_not_read_take_bounded_memory_and_one_that_reads_goes_on(
    followed: tuple[Live, FedFollower], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, follower = followed
    monkeypatch.setattr(live_module, "MAX_ALL_BEHIND_BYTES", 4 * 1024 * 1024)
    reading = ReadingViewer()
    live.join(reading)
    slow = [Viewer(LiveFilter(account="ann", text=" " * (number % 7))) for number in range(MAX_VIEWERS - 1)]
    for viewer in slow:
        live.join(viewer)
    sent = 0
    while not any(viewer.is_dropped for viewer in slow):
        follower.feed(events(sent, sent + ROWS_A_TICK))
        sent += ROWS_A_TICK
        await until(lambda: len(reading.shown) >= sent)  # noqa: B023 - it is awaited here
        assert sum(viewer.behind_bytes for viewer in live.viewers) <= 4 * 1024 * 1024
    assert not reading.is_dropped
