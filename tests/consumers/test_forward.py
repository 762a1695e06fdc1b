"""The worker `forward`: what it posts to a handler, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Self

import orjson
import pytest
from aiokafka import ConsumerRecord

from consumers.errors import PoisonError, RetryLater, WorkerRefusedError
from consumers.forward import Forward, OriginalCallback
from consumers.metrics import Metrics
from consumers.settings import ConsumersSettings
from consumers.worker import Context
from tests.support.badge_model import badge_event
from tests.support.http_handler import HttpHandler

SECRET = "between-us"


@pytest.fixture
def handler() -> Iterator[HttpHandler]:
    with HttpHandler() as started:
        yield started


class ForwardHarness:
    """The worker in this process, without Kafka."""

    def __init__(self, **settings: Any) -> None:
        self.worker = Forward()
        self.metrics = Metrics("forward")
        self._settings = ConsumersSettings.model_validate({"forward_timeout_s": 10} | settings)

    async def __aenter__(self) -> Self:
        await self.worker.start(Context(self._settings, None, self.metrics))  # type: ignore[arg-type]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.worker.stop()
        await asyncio.sleep(0)

    def read(self, *records: ConsumerRecord) -> Sequence[OriginalCallback]:
        found = [self.worker.read(one) for one in records]
        return [one for one in found if one is not None]


def record(offset: int, event_id: str, *, raw: bool = True, query: bytes = b"SdkAppid=1&x=%E4%B8%AD") -> ConsumerRecord:
    headers = [("content-type", b"application/cloudevents+json")]
    if raw:
        headers += [("raw-body", b'{ "as": "it came",\t"\\ud83d":1}'), ("raw-query", query)]
    value = orjson.dumps(badge_event(event_id, "ann", 1))
    return ConsumerRecord("im.events", 0, offset, 1, 0, b"ann", value, None, 0, 0, tuple(headers))


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, 302, None])
async def test_what_may_pass_is_repeated_and_what_was_posted_before_is_not(
    handler: HttpHandler, status: int | None
) -> None:
    handler.status = lambda post: status if post.event_id == "b" and len(handler.posts) < 4 else 200
    async with ForwardHarness(forward_url=handler.url) as harness:
        batch = harness.read(record(0, "a"), record(1, "b"), record(2, "c"))
        for _ in range(2):
            with pytest.raises(RetryLater):
                await harness.worker.handle(batch)
        await harness.worker.handle(batch)
    assert [post.event_id for post in handler.posts] == list("abbbc")


@pytest.mark.parametrize("status", [400, 403, 404, 410, 422])
async def test_what_the_handler_refuses_is_poison_and_known_by_itself(handler: HttpHandler, status: int) -> None:
    handler.status = lambda post: status if post.event_id == "b" else 200
    async with ForwardHarness(forward_url=handler.url) as harness:
        batch = harness.read(record(0, "a"), record(1, "b"), record(2, "c"))
        with pytest.raises(PoisonError) as caught:
            await harness.worker.handle(batch)
        assert caught.value.message is batch[1]
        await harness.worker.handle(batch[2:])
    assert [post.event_id for post in handler.posts] == list("abc")


async def test_an_event_without_the_original_is_skipped_with_a_warning(
    handler: HttpHandler, caplog: pytest.LogCaptureFixture
) -> None:
    async with ForwardHarness(forward_url=handler.url) as harness:
        assert not harness.read(record(0, "a", raw=False), record(1, "b", raw=False))
        count = harness.metrics.registry.get_sample_value(
            "consumers_forward_without_original_total", {"worker": "forward"}
        )
    assert count == 2
    assert len([line for line in caplog.records if "BRIDGE_KEEP_RAW" in line.message]) == 1, "not one for each event"


async def test_a_sign_that_was_left_in_the_query_is_never_posted_and_the_urls_own_query_is_kept(
    handler: HttpHandler,
) -> None:
    async with ForwardHarness(forward_url=f"{handler.url}?tenant=7", forward_secret=SECRET) as harness:
        query = b"SdkAppid=1&Sign=abc&requesttime=1&a=%26b"
        await harness.worker.handle(harness.read(record(0, "a", query=query)))
    assert [post.query for post in handler.posts] == ["tenant=7&SdkAppid=1&a=%26b"]


async def test_without_an_address_it_says_how_to_set_it() -> None:
    with pytest.raises(WorkerRefusedError, match="CONSUMERS_FORWARD_URL"):
        await ForwardHarness().__aenter__()
