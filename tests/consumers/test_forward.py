"""`consumers run forward`: callbacks reach a handler that knows nothing of Kafka as the platform sent them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import pytest
from aiohttp import web
from aiokafka import ConsumerRecord

from consumers.errors import PoisonError, RetryLater, WorkerRefusedError
from consumers.forward import Forward, Original
from consumers.metrics import Metrics
from consumers.settings import ConsumersSettings
from consumers.worker import Context
from tests.support.badge_model import badge_event
from tests.support.broker import Broker
from tests.support.callbacks import RECALLED, Callback
from tests.support.process import free_port
from tests.support.topic import Topics, read_all
from tests.support.workers import Make, started_workers

SECRET = "between-us"


@dataclass(frozen=True)
class Post:
    query: str
    body: bytes
    headers: dict[str, str]

    @property
    def event_id(self) -> str:
        return self.headers["X-Im-Bridge-Event-Id"]


class Handler:
    """A team's HTTP handler; `status` decides what it answers to a post, None: nothing, the connection is closed."""

    def __init__(self) -> None:
        self.port = free_port()
        self.posts: list[Post] = []
        self.status: Callable[[Post], int | None] = lambda _: 200
        self._started = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/callbacks"

    @property
    def accepted(self) -> list[Post]:
        return [post for post in self.posts if self.status(post) == 200]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self._started.set()
        await self._end.wait()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        post = Post(request.raw_path.partition("?")[2], await request.read(), dict(request.headers))
        self.posts.append(post)
        status = self.status(post)
        if status is None:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status or 200, headers={"Location": "/elsewhere"} if status == 302 else {})


@pytest.fixture
def handler() -> Iterator[Handler]:
    with Handler() as made:
        yield made


@pytest.fixture
def start(tmp_path: Path, topics: Topics) -> Iterator[Make]:
    with started_workers(tmp_path, topics) as make:
        yield make


class Trial:
    """The worker in this process."""

    def __init__(self, **settings: Any) -> None:
        self.worker = Forward()
        self.metrics = Metrics("forward")
        self._settings = ConsumersSettings.model_validate({"forward_timeout_s": 0.3} | settings)

    async def __aenter__(self) -> Self:
        await self.worker.start(Context(self._settings, None, self.metrics))  # type: ignore[arg-type]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.worker.stop()
        await asyncio.sleep(0)

    def read(self, *records: ConsumerRecord) -> Sequence[Original]:
        found = [self.worker.read(one) for one in records]
        return [one for one in found if one is not None]


def record(offset: int, event_id: str, *, raw: bool = True, query: bytes = b"SdkAppid=1&x=%E4%B8%AD") -> ConsumerRecord:
    headers = [("content-type", b"application/cloudevents+json")]
    if raw:
        headers += [("raw-body", b'{ "as": "it came",\t"\\ud83d":1}'), ("raw-query", query)]
    value = orjson.dumps(badge_event(event_id, "ann", 1))
    return ConsumerRecord("im.events", 0, offset, 1, 0, b"ann", value, None, 0, 0, tuple(headers))


def test_callbacks_reach_the_handler_as_the_platform_sent_them_signed_and_in_order(
    broker: Broker, topics: Topics, handler: Handler, ingress: Any, start: Make
) -> None:
    server = ingress(broker, BRIDGE_KEEP_RAW="true")
    refused = {2}
    handler.status = lambda post: 422 if orjson.loads(post.body)["UnreadMsgNum"] in refused else 200
    process = start("forward", broker.bootstrap, CONSUMERS_FORWARD_URL=handler.url, CONSUMERS_FORWARD_SECRET=SECRET)
    bodies = [
        orjson.dumps({"CallbackCommand": RECALLED, "To_Account": "ann", "MsgKey": f"k{n}", "UnreadMsgNum": n}) + b" \n"
        for n in range(6)
    ]
    sent = [Callback(RECALLED, body) for body in bodies]
    for callback in sent:
        assert server.post_raw(callback.signed(), callback.body).status == 200
    process.wait_for(lambda: len(handler.accepted) == 5, what="the posts", timeout=20)
    assert [post.body for post in handler.posts] == bodies, "each once, and in order"
    for post in handler.posts:
        assert (
            post.query
            == f"SdkAppid=1400000000&CallbackCommand={RECALLED}&contenttype=json&ClientIP=203.0.113.7&OptPlatform=iOS"
        )
        timestamp = post.headers["X-Im-Bridge-Timestamp"]
        signed = f"{timestamp}\n{post.query}\n".encode() + post.body
        right = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert post.headers["X-Im-Bridge-Signature"] == f"v1={right}"
    events = [message.event for message in read_all(broker.bootstrap, topics.events)]
    assert [post.event_id for post in handler.posts] == [event["id"] for event in events]
    process.wait_for(lambda: len(read_all(broker.bootstrap, topics.dlq)) == 1, what="the dead letter")
    [letter] = read_all(broker.bootstrap, topics.dlq)
    assert dict(letter.headers)["detail"].endswith(b"HTTP status 422")
    assert SECRET not in process.log.read_text()
    assert process.terminate() == 0


def test_a_handler_that_is_away_gets_everything_when_it_is_back(
    broker: Broker, topics: Topics, ingress: Any, start: Make
) -> None:
    server = ingress(broker, BRIDGE_KEEP_RAW="true")
    handler = Handler()
    process = start("forward", broker.bootstrap, CONSUMERS_FORWARD_URL=handler.url)
    for number in range(40):
        body = {"CallbackCommand": RECALLED, "To_Account": f"user-{number % 4}", "MsgKey": f"{number}"}
        assert server.post(Callback(RECALLED, orjson.dumps(body))).status == 200
    process.wait_for_log("waiting, nothing is lost: http://127.0.0.1:.* does not answer")
    assert process.metric("consumers_connected", to="handler") == 0
    with handler:
        process.wait_for(lambda: len(handler.posts) == 40, what="the posts", timeout=20)
        keys = [int(orjson.loads(post.body)["MsgKey"]) for post in handler.posts]
        for account in range(4):
            mine = [key for key in keys if key % 4 == account]
            assert mine == sorted(mine)
    assert process.metric("consumers_dead_letters_total") == 0


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, 302, None])
async def test_what_may_pass_is_repeated_and_what_was_posted_before_is_not(
    handler: Handler, status: int | None
) -> None:
    handler.status = lambda post: status if post.event_id == "b" and len(handler.posts) < 4 else 200
    async with Trial(forward_url=handler.url) as trial:
        batch = trial.read(record(0, "a"), record(1, "b"), record(2, "c"))
        for _ in range(2):
            with pytest.raises(RetryLater):
                await trial.worker.handle(batch)
        await trial.worker.handle(batch)
    assert [post.event_id for post in handler.posts] == list("abbbc")


@pytest.mark.parametrize("status", [400, 403, 404, 410, 422])
async def test_what_the_handler_refuses_is_poison_and_known_by_itself(handler: Handler, status: int) -> None:
    handler.status = lambda post: status if post.event_id == "b" else 200
    async with Trial(forward_url=handler.url) as trial:
        batch = trial.read(record(0, "a"), record(1, "b"), record(2, "c"))
        with pytest.raises(PoisonError) as caught:
            await trial.worker.handle(batch)
        assert caught.value.message is batch[1]
        await trial.worker.handle(batch[2:])
    assert [post.event_id for post in handler.posts] == list("abc")


async def test_an_event_without_the_original_is_skipped_with_a_warning(
    handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    async with Trial(forward_url=handler.url) as trial:
        assert not trial.read(record(0, "a", raw=False), record(1, "b", raw=False))
        count = trial.metrics.registry.get_sample_value(
            "consumers_forward_without_original_total", {"worker": "forward"}
        )
    assert count == 2
    assert [line.message for line in caplog.records if "BRIDGE_KEEP_RAW" in line.message] != []


async def test_a_sign_that_was_left_in_the_query_is_never_posted_and_the_urls_own_query_is_kept(
    handler: Handler,
) -> None:
    async with Trial(forward_url=f"{handler.url}?tenant=7", forward_secret=SECRET) as trial:
        query = b"SdkAppid=1&Sign=abc&requesttime=1&a=%26b"
        await trial.worker.handle(trial.read(record(0, "a", query=query)))
    assert [post.query for post in handler.posts] == ["tenant=7&SdkAppid=1&a=%26b"]


async def test_without_an_address_it_says_how_to_set_it() -> None:
    with pytest.raises(WorkerRefusedError, match="CONSUMERS_FORWARD_URL"):
        await Trial().__aenter__()
