"""`consumers run forward` as a process: callbacks reach a handler as the platform sent them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.support.broker import Broker
from tests.support.callbacks import RECALLED, PostedCallback
from tests.support.http_handler import HttpHandler
from tests.support.topic import Topics, read_all
from tests.support.workers import StartWorker

SECRET = "between-us"


@pytest.fixture
def handler() -> Iterator[HttpHandler]:
    with HttpHandler() as started:
        yield started


def test_callbacks_reach_the_handler_as_the_platform_sent_them_signed_and_in_order(
    broker: Broker, topics: Topics, handler: HttpHandler, ingress: Any, start_worker: StartWorker
) -> None:
    server = ingress(broker, BRIDGE_KEEP_RAW="true")
    refused = {2}
    handler.status = lambda post: 422 if orjson.loads(post.body)["UnreadMsgNum"] in refused else 200
    process = start_worker(
        "forward", broker.bootstrap, CONSUMERS_FORWARD_URL=handler.url, CONSUMERS_FORWARD_SECRET=SECRET
    )
    bodies = [
        orjson.dumps({"CallbackCommand": RECALLED, "To_Account": "ann", "MsgKey": f"k{n}", "UnreadMsgNum": n}) + b" \n"
        for n in range(6)
    ]
    sent = [PostedCallback(RECALLED, body) for body in bodies]
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
    broker: Broker, topics: Topics, ingress: Any, start_worker: StartWorker
) -> None:
    server = ingress(broker, BRIDGE_KEEP_RAW="true")
    handler = HttpHandler()
    process = start_worker("forward", broker.bootstrap, CONSUMERS_FORWARD_URL=handler.url)
    for number in range(40):
        body = {"CallbackCommand": RECALLED, "To_Account": f"user-{number % 4}", "MsgKey": f"{number}"}
        assert server.post(PostedCallback(RECALLED, orjson.dumps(body))).status == 200
    process.wait_for_log("waiting, nothing is lost: http://127.0.0.1:.* does not answer")
    assert process.metric("consumers_connected", to="handler") == 0
    with handler:
        process.wait_for(lambda: len(handler.posts) == 40, what="the posts", timeout=20)
        keys = [int(orjson.loads(post.body)["MsgKey"]) for post in handler.posts]
        for account in range(4):
            assert [key for key in keys if key % 4 == account] == list(range(account, 40, 4)), "each once, and in order"
    assert process.metric("consumers_dead_letters_total") == 0
