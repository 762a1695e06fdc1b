"""The helper with which teams test their workers, and the example that the documentation shows."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from aiohttp import web
from aiokafka import ConsumerRecord

from consumers import testing
from consumers.badges.store import Badge
from consumers.errors import RetryLater
from consumers.testing import Trial, WorkerHarness, badge, event
from consumers.worker import Context, Message, OutgoingRecord, RecordWorker, Worker
from examples.push_worker import Push
from tests.support.broker import Broker
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.topic import Topics
from tests.support.workers import StartWorker

RECALLED = "im.c2c.message.recalled"


class Audit(Worker):
    name = "audit"
    event_types = frozenset({RECALLED})

    def __init__(self) -> None:
        self.away = 0

    async def start(self, context: Context) -> None:
        self._context = context

    async def handle(self, batch: Sequence[Message]) -> None:
        if self.away:
            self.away -= 1
            raise RetryLater("the archive is away")
        for message in batch:
            if message.event.subject == "poison":
                raise ValueError("no such user")
        await self._context.producer.publish("audit", [OutgoingRecord(b"k", message.value) for message in batch])


async def test_the_harness_shows_what_was_handled_skipped_poison_and_published() -> None:
    async with WorkerHarness(Audit()) as harness:
        await harness.feed(
            event(RECALLED, "ann", to_account="ann"), event("im.other", "x"), event(RECALLED, "poison"), b"no event"
        )
    assert [message.event.subject for message in harness.handled] == ["ann"]
    assert [(one.reason, one.detail.partition(":")[0]) for one in harness.poison] == [
        ("handler_failed", "ValueError"),
        ("not_an_event", "InvalidEventError"),
    ]
    [published] = harness.published["audit"]
    assert orjson.loads(published.value or b"")["data"] == {"to_account": "ann"}


async def test_the_harness_tries_again_while_something_is_away_and_gives_up_in_the_end() -> None:
    audit = Audit()
    async with WorkerHarness(audit, tries=3) as harness:
        audit.away = 2
        await harness.feed(event(RECALLED, "ann"))
        assert (harness.retried, harness.waiting, len(harness.handled)) == (2, None, 1)
        audit.away = 9
        await harness.feed(event(RECALLED, "bob"))
        assert (harness.waiting, len(harness.handled)) == ("the archive is away", 1)
        assert not harness.poison


async def test_the_example_pushes_the_last_badge_of_each_account_of_a_batch() -> None:
    pushed: list[tuple[str, int]] = []

    class Recorded(Push):
        async def push(self, account: str, unread: int) -> None:
            pushed.append((account, unread))

    async with WorkerHarness(Recorded()) as harness:
        await harness.feed(badge("ann", 3), badge("bob", 1), badge("ann", 4), badge("cleo", None), None)
    assert harness.handled
    assert sorted(pushed) == [("ann", 4), ("bob", 1)]


async def test_the_example_of_the_documentation_works() -> None:
    assert testing.__doc__ is not None
    source = textwrap.dedent(testing.__doc__.partition("\n\n")[2].partition("\n\nFor a worker on")[0])
    names: dict[str, Any] = {}
    exec(source, names)
    await names["test_the_receiver_of_a_recalled_message_is_told"]()


async def test_a_push_that_the_gateway_does_not_take_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_URL", f"http://127.0.0.1:{free_port()}")
    async with WorkerHarness(Push(), tries=2) as harness:
        await harness.feed(badge("ann", 3))
    assert (harness.retried, harness.handled, harness.poison) == (2, [], [])
    assert harness.waiting is not None


async def test_a_badge_has_the_form_and_the_key_of_those_on_the_topic() -> None:
    class Keys(RecordWorker):
        name = "keys"

        async def handle(self, batch: Sequence[ConsumerRecord]) -> None: ...

    async with WorkerHarness(Keys()) as harness:
        await harness.feed(badge("ann", 3, app_id="1"), badge("bob", None, app_id="2"))
    assert [record.key for record in harness.handled] == [b"1:ann", b"2:bob"]
    for record in harness.handled:
        assert msgspec.json.encode(msgspec.json.decode(record.value, type=Badge)) == record.value


def test_the_example_is_as_short_as_the_documentation_says() -> None:
    source = Path("examples/push_worker.py")
    assert len((ROOT / source).read_text().splitlines()) < 40


def test_tests_that_were_written_for_the_former_name_go_on() -> None:
    assert Trial is WorkerHarness


async def test_the_example_runs_on_the_topic_of_badges(
    broker: Broker, topics: Topics, start_worker: StartWorker
) -> None:
    from confluent_kafka import Producer

    posts: list[dict[str, Any]] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        posts.append(await request.json())
        return web.Response(status=500 if len(posts) == 1 else 200)

    port = free_port()
    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    topics.create(broker.bootstrap)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    producer.produce(topics.badges, orjson.dumps(badge("ann", 3)), b"1:ann")
    assert not producer.flush(20)
    root = str(ROOT)
    make = asyncio.to_thread
    process = await make(
        start_worker,
        "examples.push_worker:Push",
        broker.bootstrap,
        PYTHONPATH=root,
        PUSH_URL=f"http://127.0.0.1:{port}",
    )
    try:
        async with asyncio.timeout(60):
            while len(posts) < 2:  # noqa: ASYNC110 - another process posts
                await asyncio.sleep(0.02)
    finally:
        await make(process.close)
        await runner.cleanup()
    assert posts == [{"to": "ann", "aps": {"badge": 3}}] * 2, "a gateway in trouble is asked again"
