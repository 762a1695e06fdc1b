"""Promise 1 for what is large: how large a record is, is known before it is acknowledged."""

from __future__ import annotations

import orjson

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import RECALLED, PostedCallback, recalled
from tests.support.topic import Topics, create_topic, wait_for_events

OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


def test_what_would_be_larger_than_its_topic_takes_is_a_dead_letter_and_never_in_quarantine(
    ingress: MakeIngress, broker: Broker, topics: Topics
) -> None:
    create_topic(broker.bootstrap, topics.events, config={"max.message.bytes": "100000"})
    bridge = ingress(broker)
    assert bridge.post(recalled("first", unread=1)).json == OK
    wait_for_events(broker.bootstrap, topics.events, len)  # The broker has told by then what the topic takes.
    large = recalled("large", unread=1, Blob="x" * 120_000)
    for callback in (large, recalled("last", unread=2)):
        reply = bridge.post(callback)
        assert (reply.status, reply.json["ActionStatus"]) == (200, "FAIL" if callback is large else "OK")
    (letter,) = wait_for_events(broker.bootstrap, topics.dlq, len)
    assert letter.value == large.body
    assert dict(letter.headers)["reason"] == b"too_large"
    events = wait_for_events(broker.bootstrap, topics.events, lambda found: len(found) == 2)
    assert {message.key for message in events} == {b"first", b"last"}
    assert bridge.metric("bridge_set_aside_total") == 0


def test_a_body_of_control_characters_is_kept_as_it_came_and_reaches_the_topic(
    ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker)
    swelling = PostedCallback(RECALLED, b'{"To_Account":"a","New":"%b"}' % (b"\x01" * 1_000_000))
    many = PostedCallback("Push.OfflinePush", orjson.dumps({"Events": [{}] * 300_000}))
    for callback in (swelling, many):
        reply = bridge.post(callback)
        assert (reply.status, reply.json["ActionStatus"]) == (200, "FAIL")
    letters = wait_for_events(broker.bootstrap, bridge.topics.dlq, lambda found: len(found) == 2)
    assert {letter.value for letter in letters} == {swelling.body, many.body}
    assert bridge.post(recalled("last", unread=1)).json == OK
    assert bridge.metric("bridge_set_aside_total") == 0
