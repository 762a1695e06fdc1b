"""Callback in, event out: the real ingress, a real Kafka, read by a client that is not ours."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import APP_ID, RECALLED, TOKEN, PostedCallback, recalled, sample, signed_query
from tests.support.commands import IngressProcess
from tests.support.http import request
from tests.support.topic import TopicMessage, partition_count, read_all, topic_config, wait_for_events

OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


def only_message(broker: Broker, topic: str) -> TopicMessage:
    (message,) = wait_for_events(broker.bootstrap, topic, len)
    return message


def headers(message: TopicMessage) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers}


def test_a_documented_callback_becomes_the_documented_event(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker, BRIDGE_TRACE_SHARE="0")
    body = {
        "CallbackCommand": RECALLED,
        "From_Account": "jared",
        "To_Account": "Jonh",
        "MsgKey": "48374_2837546_1557481126",
        "UnreadMsgNum": 7,
        "EventTime": 1557481126123,
    }
    reply = bridge.post(PostedCallback(RECALLED, orjson.dumps(body)), OptPlatform="iOS", ClientIP="203.0.113.7")
    assert (reply.status, reply.json) == (200, OK)

    message = only_message(broker, bridge.topics.events)
    assert message.key == b"Jonh"
    assert headers(message).pop("content-type") == "application/cloudevents+json"
    assert [name for name, _ in message.headers] == ["content-type", "bridge-seq"]
    event = message.event
    received = event.pop("receivedtime")
    assert received.startswith(time.strftime("%Y-", time.gmtime()))
    assert received.endswith("Z")
    assert len(event.pop("id")) == 32
    assert event == {
        "specversion": "1.0",
        "source": f"/tencent-im/{APP_ID}",
        "type": "im.c2c.message.recalled",
        "subject": "Jonh",
        "time": "2019-05-10T09:38:46.123Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:im-bridge:schemas/im.c2c.message.recalled.json",
        "callbackcommand": RECALLED,
        "platform": "ios",
        "clientip": "203.0.113.7",
        "data": {
            "from_account": "jared",
            "to_account": "Jonh",
            "msg_key": "48374_2837546_1557481126",
            "unread_total": 7,
        },
    }


def test_a_redelivered_callback_carries_the_same_id(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker)
    again = recalled("u1", unread=3)
    for callback in (again, again, recalled("u1", unread=3)):
        assert bridge.post(callback).json == OK
    first, second, other = [
        m.event["id"] for m in wait_for_events(broker.bootstrap, bridge.topics.events, lambda found: len(found) == 3)
    ]
    assert first == second != other


def test_a_wrong_signature_never_reaches_the_topic(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker)
    callback = recalled("victim", unread=1)
    now = int(time.time())
    forged = {
        "signature": {"token": "guessed"},
        "no signature": {"Sign": None},
        "no time": {"RequestTime": None},
        "another time": {"request_time": now, "RequestTime": now + 1},
        "unknown app": {"SdkAppid": "1400000001"},
        "no app": {"SdkAppid": None},
    }
    for kind, change in forged.items():
        reply = bridge.post(callback, **change)  # type: ignore[arg-type]
        assert reply.status == 403, kind
        assert reply.json["ActionStatus"] == "FAIL", kind
        assert reply.json["ErrorCode"] == 1, kind
    assert bridge.post(recalled("innocent", unread=1)).json == OK
    assert only_message(broker, bridge.topics.events).event["subject"] == "innocent"
    assert read_all(broker.bootstrap, bridge.topics.dlq) == []
    assert bridge.metric("bridge_refused_total") == len(forged)


def test_a_right_signature_with_a_stale_time_is_refused_and_kept_as_a_dead_letter(
    ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker, BRIDGE_STALE_PER_MINUTE="1")
    callback = recalled("late", unread=1)
    for _ in range(3):
        reply = bridge.post(callback, request_time=int(time.time()) - 61)
        assert (reply.status, reply.json["ActionStatus"]) == (403, "FAIL")
    message = only_message(broker, bridge.topics.dlq)
    assert message.value == callback.body
    assert headers(message)["reason"] == "stale_time"
    assert -120 < int(headers(message)["skew-seconds"]) <= -61
    assert bridge.post(callback, request_time=int(time.time()) - 30 * 86_400).status == 403
    assert bridge.metric("bridge_refused_total", reason="expired") == 1
    assert len(read_all(broker.bootstrap, bridge.topics.dlq)) == 1, "what is that old is not kept"
    assert read_all(broker.bootstrap, bridge.topics.events) == []
    told = bridge.wait_for_log(r"an authentic callback says it was sent (\d+) s before our time")
    assert 61 <= int(told[1]) < 120
    before_s = time.time()
    assert bridge.post(callback, request_time=int(before_s) + 55).json == OK
    most_s = int(before_s) + 55 - before_s
    least_s = most_s - (time.time() - before_s)
    bridge.wait_for(
        lambda: least_s - 1 <= bridge.metrics()["bridge_clock_skew_seconds"] <= most_s + 1, what="the skew to be shown"
    )


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"42", b"\xff\xfe", b"[" * 5000])
def test_what_cannot_be_understood_is_kept_raw_with_its_reason(
    body: bytes, ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker)
    reply = bridge.post(PostedCallback(RECALLED, body))
    assert (reply.status, reply.json["ActionStatus"], reply.json["ErrorCode"]) == (200, "FAIL", 1)
    message = only_message(broker, bridge.topics.dlq)
    assert (message.value or b"") == body
    assert headers(message)["reason"]
    assert RECALLED in headers(message)["query"]
    assert "ign=" not in headers(message)["query"]


@pytest.mark.parametrize("name", ["Group.CallbackBeforeSendMsg.v1", "C2C.CallbackBeforeSendMsg.v1"])
def test_a_before_callback_is_always_allowed_even_if_it_is_unreadable(
    name: str, ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker)
    assert bridge.post(sample(name)).json == OK
    assert bridge.post(PostedCallback(sample(name).command, b"{")).json == OK


def test_a_friend_request_is_allowed_for_each_account(ingress: MakeIngress, broker: Broker) -> None:
    callback = sample("Sns.CallbackPrevFriendAdd")
    reply = ingress(broker).post(callback).json
    asked = [item["To_Account"] for item in callback.json["FriendItem"]]
    assert reply["ResultItem"] == [{"To_Account": account, "ResultCode": 0, "ResultInfo": ""} for account in asked]
    assert (reply["ActionStatus"], reply["ErrorCode"]) == ("OK", 0)


def test_an_unheard_of_command_is_published_as_it_is(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker)
    body = {"CallbackCommand": "Moon.CallbackAfterLanding", "GroupId": "@TGS#1", "Crew": [{"Name": "A"}], "Fuel": 0.5}
    assert bridge.post(PostedCallback("Moon.CallbackAfterLanding", orjson.dumps(body))).json == OK
    message = only_message(broker, bridge.topics.events)
    assert message.key == b"@TGS#1"
    assert message.event["type"] == "im.unknown"
    assert message.event["callbackcommand"] == "Moon.CallbackAfterLanding"
    assert message.event["data"] == body


def test_other_methods_and_too_large_bodies_get_their_answer(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker, BRIDGE_MAX_BODY_BYTES="2000")
    assert request("GET", bridge.url + signed_query(APP_ID, TOKEN, RECALLED)).status == 405
    big = PostedCallback(RECALLED, orjson.dumps({"To_Account": "x" * 2000}))
    assert bridge.post(big).status == 413
    assert bridge.post(recalled("u", unread=1)).json == OK
    assert bridge.metric("bridge_refused_total", reason="method") == 1
    assert bridge.metric("bridge_refused_total", reason="too_large") == 1


def test_an_app_without_a_token_is_served_and_warned_about(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker, BRIDGE_APPS='{"1400000000":[],"1400000009":["a","b"]}')
    assert bridge.post(recalled("u", unread=1), token=None).json == OK
    assert bridge.post(recalled("u", unread=1), app_id="1400000009", token="b").json == OK
    assert bridge.post(recalled("u", unread=1), app_id="1400000009", token=None).status == 403
    bridge.wait_for_log("app 1400000000 has no token")


def test_neither_signatures_nor_tokens_nor_bodies_reach_log_or_metrics_or_topic(
    ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker, BRIDGE_APPS=orjson.dumps({APP_ID: ["s3cret-t0ken"]}).decode())
    secret = recalled("private-account", unread=1)
    query = secret.signed(token="s3cret-t0ken")
    assert bridge.post_raw(query, secret.body).json == OK
    bridge.post_raw(query.replace("Sign=", "Sign=0"), secret.body)
    bridge.post(secret, token="s3cret-t0ken", request_time=int(time.time()) - 3600)
    bridge.post_raw(query, b"{private-account")
    wait_for_events(broker.bootstrap, bridge.topics.dlq, lambda found: len(found) == 2)
    sign = query.partition("Sign=")[2].partition("&")[0]
    shown = bridge.output() + str(bridge.metrics())
    for value in ("s3cret-t0ken", sign, "private-account", "203.0.113.7"):
        assert value not in shown
    published = [
        part
        for topic in (bridge.topics.events, bridge.topics.dlq)
        for message in read_all(broker.bootstrap, topic)
        for part in (message.value, *(value for _, value in message.headers))
    ]
    assert not [part for part in published if part and (sign.encode() in part or b"s3cret" in part)]


def test_topics_are_created_as_configured(ingress: MakeIngress, own_broker: Broker, topics: Any) -> None:
    bridge: IngressProcess = ingress(
        own_broker.bootstrap, BRIDGE_TOPIC_PARTITIONS="3", BRIDGE_TOPIC_RETENTION_HOURS="2"
    )
    assert bridge.post(recalled("u", unread=1)).json == OK
    only_message(own_broker, topics.events)
    assert partition_count(own_broker.bootstrap, topics.events) == 3
    config = topic_config(own_broker.bootstrap, topics.events)
    assert config["retention.ms"] == str(2 * 3_600_000)
    assert int(config["max.message.bytes"] or 0) >= 2 * 1024 * 1024
    assert topic_config(own_broker.bootstrap, topics.dlq)["retention.ms"] == str(30 * 24 * 3_600_000)
