"""One trace from a callback to its badge: real processes, a real Kafka and Redis, a collector that speaks OTLP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.collector import CollectedSpan, Collector
from tests.support.http import request
from tests.support.redis import RedisServer
from tests.support.topic import Topics, read_all

Processes = tuple[Any, Any]
"""What starts an ingress, and what starts a worker of badges."""
CAME = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as started:
        yield started


@pytest.fixture
def processes(ingress: Any, worker: Any) -> Processes:
    return ingress, worker


def variables(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}


def test_one_trace_leads_from_a_callback_to_its_badge(
    broker: Broker, redis_server: RedisServer, topics: Topics, processes: Processes, collector: Collector
) -> None:
    ingress, worker = processes
    server = ingress(broker, BRIDGE_TRACE_SHARE="1", **variables(collector))
    consumers = worker(broker, redis_server, **variables(collector))
    assert server.post(recalled("traced-ann", unread=3)).status == 200
    consumers.wait_for(lambda: len(collector.spans) == 3, what="the spans", timeout=20)
    spans = {span.name: span for span in collector.spans}
    receive = spans["receive callback"]
    send, process = spans[f"send {topics.events}"], spans[f"process {topics.events}"]
    assert {span.trace_id for span in spans.values()} == {receive.trace_id}
    assert receive.parent_id == ""
    assert {send.parent_id, process.parent_id} == {receive.span_id}
    assert [receive.service, process.service] == ["im-bridge", "im-bridge-badges"]
    assert receive.attributes["im.command"] == "C2C.CallbackAfterMsgWithDraw"
    assert receive.attributes["im.durable_by"] in {"kafka", "disk"}
    assert receive.attributes["http.response.status_code"] == 200
    assert process.attributes["im.worker"] == "badges"
    assert all(span.began_ns <= span.ended_ns for span in spans.values())
    assert receive.began_ns <= process.began_ns
    [message] = read_all(broker.bootstrap, topics.events)
    assert dict(message.headers)["traceparent"].decode().split("-")[1:3] == [receive.trace_id, receive.span_id]
    [badge] = read_all(broker.bootstrap, topics.badges)
    assert dict(badge.headers)["traceparent"].decode().split("-")[1:3] == [process.trace_id, process.span_id]
    assert (server.terminate(), consumers.terminate()) == (0, 0)


def test_the_last_spans_are_exported_at_a_stop_and_a_trace_that_comes_is_continued(
    broker: Broker, topics: Topics, ingress: Any, collector: Collector
) -> None:
    # Exported by nothing but the stop: the next time is in an hour.
    server = ingress(
        broker, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="3600000", BRIDGE_TRACE_SHARE="0"
    )
    sent: list[dict[str, str]] = [{}, {"traceparent": CAME, "tracestate": "a=b"}, {"traceparent": CAME[:-1] + "0"}]
    for headers in sent:
        callback = recalled("ann", unread=1)
        reply = request("POST", server.url + callback.signed(), callback.body, headers=headers)
        assert reply.status == 200
    server.wait_for(server.has_published_all, what="all on the topic")
    assert server.terminate() == 0
    found: dict[str, CollectedSpan] = {span.name: span for span in collector.spans}
    assert len(collector.spans) == 2
    receive = found["receive callback"]
    assert (receive.trace_id, receive.parent_id) == (CAME[3:35], CAME[36:52])
    kept = [dict(message.headers) for message in read_all(broker.bootstrap, topics.events)]
    assert [one.get("traceparent") for one in kept] == [
        None,
        f"00-{receive.trace_id}-{receive.span_id}-01".encode(),
        (CAME[:-1] + "0").encode(),
    ]
    assert [one.get("tracestate") for one in kept] == [None, b"a=b", None]


def test_a_collector_that_is_away_costs_no_callback_and_no_time_at_the_stop(
    broker: Broker, topics: Topics, ingress: Any
) -> None:
    server = ingress(broker, BRIDGE_TRACE_SHARE="1", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    for number in range(20):
        assert server.post(recalled(f"user-{number}", unread=1)).status == 200
    server.wait_for(server.has_published_all, what="all on the topic")
    assert server.terminate() == 0
    assert len(read_all(broker.bootstrap, topics.events)) == 20
