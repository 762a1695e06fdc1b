"""The event contract from outside: batches, answers, privacy and drift of the real ingress."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import orjson
import pytest

from bridge.contract.examples import made_body
from bridge.events import Reply, registry
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import SENT, PostedCallback, sample, samples
from tests.support.commands import IngressProcess
from tests.support.paths import ROOT
from tests.support.topic import TopicMessage, wait_for_events

SCHEMAS = ROOT / "schemas" / "events"
OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
OK_CALL = {"ErrorCode": 0, "ErrorMessage": ""}


def events_of(broker: Broker, bridge: IngressProcess, number: int) -> list[TopicMessage]:
    return wait_for_events(broker.bootstrap, bridge.topics.events, lambda messages: len(messages) >= number)


def test_every_sample_is_accepted_and_arrives_as_its_type_and_in_its_committed_form(
    ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker)
    expected = []
    for callback in samples().values():
        entry = registry.find(callback.command)
        assert entry is not None
        reply = bridge.post(callback)
        assert reply.status == 200
        assert isinstance(reply.json, dict)
        ok = OK_CALL if entry.callback.reply is Reply.ERROR_MESSAGE else OK
        assert {name: reply.json[name] for name in ok} == ok
        expected += [entry.callback.type] * len(callback.json.get(entry.callback.batch, [None]))
    assert len(expected) > 50
    messages = events_of(broker, bridge, len(expected))
    assert sorted(message.event["type"] for message in messages) == sorted(expected)
    for message in messages:
        schema = orjson.loads((SCHEMAS / f"{message.event['type']}.json").read_bytes())
        jsonschema.validate(message.event, schema, jsonschema.Draft202012Validator)


def test_a_batch_is_acknowledged_when_all_of_it_is_kept_and_its_bad_items_are_dead_letters(
    ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker)
    items = [{"CallbackCommand": "Push.OfflinePush", "To_Account": f"user-{number}"} for number in range(99)]
    reply = bridge.post(PostedCallback("Push.OfflinePush", orjson.dumps({"Events": [*items, "not an object"]})))
    assert (reply.status, reply.json) == (200, OK)
    messages = events_of(broker, bridge, 99)
    assert {message.key for message in messages} == {f"user-{number}".encode() for number in range(99)}
    (letter,) = wait_for_events(broker.bootstrap, bridge.topics.dlq, len)
    assert letter.value == b'"not an object"'
    assert dict(letter.headers)["reason"] == b"not_an_object"
    assert bridge.metric("bridge_dead_letters_total", reason="not_an_object") == 1
    assert bridge.metric("bridge_accepted_total", command="Push.OfflinePush") == 1


def test_a_before_callback_is_allowed_in_its_documented_form_even_unreadable_and_without_kafka(
    ingress: MakeIngress,
) -> None:
    bridge = ingress("127.0.0.1:9")
    entries = [entry for entry in registry.ENTRIES if entry.callback.is_before]
    assert len(entries) > 5
    for entry in entries:
        for body in (made_body(entry), b"not json"):
            reply = bridge.post(PostedCallback(entry.callback.command, body))
            assert reply.status == 200
            assert isinstance(reply.json, dict)
            assert {name: reply.json[name] for name in OK} == OK
    friends = sample("Sns.CallbackPrevFriendAdd")
    reply = bridge.post(friends)
    assert isinstance(reply.json, dict)
    assert [item["To_Account"] for item in reply.json["ResultItem"]] == ["sun.hao", "ana_p"]


def test_the_old_call_webhook_is_accepted_and_answered_in_its_own_form(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker)
    entry = registry.find("call_end")
    assert entry is not None
    body = orjson.dumps({**orjson.loads(made_body(entry)), "EventTime": 1670574414})
    reply = bridge.post(PostedCallback("", body), CallbackCommand=None, Command="call_end")
    assert (reply.status, reply.json) == (200, OK_CALL)
    (message,) = events_of(broker, bridge, 1)
    assert message.event["type"] == "im.call.old_call.ended"
    assert message.event["time"] == "2022-12-09T08:26:54.000Z"


def test_an_old_call_webhook_that_nobody_can_read_is_kept_once_and_told_so_that_it_is_not_repeated(
    ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker)
    reply = bridge.post(PostedCallback("", b"not json"), CallbackCommand=None, Command="call_end")
    assert reply.status == 200
    assert reply.json["ErrorCode"] == 0, "with another one the platform posts it six times more"
    assert reply.json.keys() == {"ErrorCode", "ErrorMessage"}
    assert reply.json["ErrorMessage"].startswith("kept as a dead letter: ")
    (letter,) = wait_for_events(broker.bootstrap, bridge.topics.dlq, len)
    assert letter.value == b"not json"


def _on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("body", "is_kept"), [(b'"MsgBody":"SECRET"}', b"PUBLIC"), (b'"MsgBody":"SECRET', b"body-sha256")]
)
def test_dropped_content_reaches_no_disk(ingress: MakeIngress, tmp_path: Path, body: bytes, is_kept: bytes) -> None:
    bridge = ingress("127.0.0.1:9", BRIDGE_DROP_FIELDS="MsgBody,CloudCustomData", BRIDGE_KEEP_RAW="true")
    reply = bridge.post(PostedCallback(SENT, b'{"To_Account":"PUBLIC",' + body))
    assert reply.status == 200
    with bridge.frozen():  # Files of the journal come and go while it is read.
        kept = _on_disk(tmp_path)
    assert b"SECRET" not in kept
    assert is_kept in kept
    assert bridge.terminate() == 0
    assert b"SECRET" not in _on_disk(tmp_path)


def test_the_original_travels_in_headers_where_it_is_asked_for(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker, BRIDGE_KEEP_RAW="true")
    callback = sample(f"{SENT}.v3")
    assert bridge.post(callback).status == 200
    (message,) = events_of(broker, bridge, 1)
    headers = dict(message.headers)
    assert headers["raw-body"] == callback.body
    assert headers["raw-query"].startswith(b"SdkAppid=1400000000&CallbackCommand=C2C.CallbackAfterSendMsg")
    assert b"Sign" not in headers["raw-query"]
    assert b"RequestTime" not in headers["raw-query"]


def test_drift_is_counted_and_logged_without_content(ingress: MakeIngress) -> None:
    bridge = ingress("127.0.0.1:9")
    for _ in range(3):
        bridge.post(PostedCallback(SENT, orjson.dumps({**sample(f"{SENT}.v3").json, "Nickname": "SECRET"})))
    bridge.post(PostedCallback("New.Thing", b'{"Text":"SECRET"}'))
    assert bridge.metric("bridge_drift_total", kind="unknown_field", command=SENT, field="Nickname") == 3
    assert bridge.metric("bridge_drift_total", kind="unknown_command", command="New.Thing") == 1
    output = bridge.output()
    assert output.count("Nickname") == 1
    assert "SECRET" not in output
