"""The worker `forward`: what it posts to a handler, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import orjson
import pytest
import trustme
from aiokafka import ConsumerRecord

from consumers.errors import PoisonError, RetryLater, WorkerRefusedError
from consumers.forward import Forward, OriginalCallback, signature
from consumers.metrics import Metrics
from consumers.runtime.process_spans import ProcessSpans
from consumers.settings import ConsumersSettings
from consumers.worker import Context
from tests.support.badge_model import badge_event
from tests.support.http_handler import HttpHandler
from tests.support.spans import MemoryTracer

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

    async def start(self, **traced: Any) -> None:
        await self.worker.start(Context(self._settings, None, self.metrics, **traced))  # type: ignore[arg-type]

    async def __aenter__(self) -> Self:
        await self.start()
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


async def test_a_certificate_that_is_not_accepted_is_waited_for_and_no_fault_of_an_event() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server, ForwardHarness(forward_url=f"https://127.0.0.1:{port}/") as harness:
        with pytest.raises(RetryLater, match="has a certificate that is not accepted here"):
            await harness.worker.handle(harness.read(record(0, "a")))


async def test_a_post_belongs_to_the_trace_of_its_callback(handler: HttpHandler) -> None:
    trace = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"a=b")]
    traced = record(0, "a")
    traced.headers = (*traced.headers, *trace)
    async with ForwardHarness(forward_url=handler.url) as harness:
        await harness.worker.handle(harness.read(traced, record(1, "b")))
    sent = [{name.lower(): value for name, value in post.headers.items()} for post in handler.posts]
    assert [(one.get("traceparent"), one.get("tracestate")) for one in sent] == [
        (trace[0][1].decode(), "a=b"),
        (None, None),
    ]


async def test_each_post_of_a_traced_callback_is_a_span_and_its_trace_goes_on_from_there(handler: HttpHandler) -> None:
    traced, other = record(0, "a"), record(1, "b")
    traced.headers = (*traced.headers, ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
    handler.status = lambda _: 200 if len(handler.posts) > 1 else 503
    tracer = MemoryTracer()
    spans = ProcessSpans(tracer, worker="forward", group="forward")
    async with ForwardHarness(forward_url=handler.url) as harness:
        await harness.start(span_context=spans.context, tracer=tracer)
        with spans.handling([traced, other]):
            with pytest.raises(RetryLater):
                await harness.worker.handle(harness.read(traced, other))
            await harness.worker.handle(harness.read(traced, other))
    failed, posted, process = tracer.spans
    assert (failed.name, posted.name, process.name) == ("post to handler", "post to handler", "process im.events")
    assert [one.status.is_ok for one in (failed, posted)] == [False, True]
    assert [(one.attributes or {}).get("http.response.status_code") for one in (failed, posted)] == [503, 200]
    assert process.context is not None
    assert {one.parent.span_id for one in (failed, posted) if one.parent} == {process.context.span_id}
    sent = [{name.lower(): value for name, value in post.headers.items()} for post in handler.posts]
    parents = [one["traceparent"].split("-")[2] if "traceparent" in one else None for one in sent]
    assert parents == [*(f"{one.context.span_id:016x}" for one in (failed, posted) if one.context), None]


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


@pytest.mark.parametrize(
    ("query", "posted"),
    [
        (b"a=b#c?d", "a=b%23c?d"),
        (b"a=1+2&b=%2B&c=%zz&d=%", "a=1+2&b=%2B&c=%zz&d=%"),
        (b"a=b c\x01\x7f", "a=b%20c%01%7F"),
        ("a=\u4e2d".encode(), "a=%E4%B8%AD"),
        (b"a=\xff", "a=%FF"),
        (b"a=[1]{2}|^`\\\"'<>", "a=[1]{2}|^`\\\"'<>"),
        (b"a=%e4%b8%ad&&b", "a=%e4%b8%ad&&b"),
        (b"%53ign=x&a=1#&sign=y", "a=1%23"),
    ],
)
async def test_exactly_the_query_that_is_sent_is_signed(handler: HttpHandler, query: bytes, posted: str) -> None:
    async with ForwardHarness(forward_url=f"{handler.url}?own=%7e", forward_secret=SECRET) as harness:
        await harness.worker.handle(harness.read(record(0, "a", query=query)))
    [post] = handler.posts
    assert post.query == f"own=%7e&{posted}"
    right = signature(SECRET.encode(), post.headers["X-Im-Bridge-Timestamp"], post.query, post.body)
    assert post.headers["X-Im-Bridge-Signature"] == right


async def test_the_secret_is_read_from_its_file_at_each_post(
    handler: HttpHandler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("first\n")
    monkeypatch.setenv("CONSUMERS_FORWARD_SECRET_FILE", str(file))
    async with ForwardHarness(forward_url=handler.url) as harness:
        for number, secret in enumerate(("first", "second-one")):
            file.write_text(f"{secret}\n")
            await harness.worker.handle(harness.read(record(number, "a")))
            post = handler.posts[-1]
            right = signature(secret.encode(), post.headers["X-Im-Bridge-Timestamp"], post.query, post.body)
            assert post.headers["X-Im-Bridge-Signature"] == right


async def test_an_id_that_no_header_can_carry_is_the_fault_of_its_event(handler: HttpHandler) -> None:
    async with ForwardHarness(forward_url=handler.url) as harness:
        with pytest.raises(PoisonError, match="its id"):
            await harness.worker.handle(harness.read(record(0, "a\r\nX-Evil: 1")))
    assert not handler.posts
