"""The platform does as we answer: each documented answer of an endpoint is tried, and what the platform makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson
import pytest

from bridge.contract.examples import made_body
from bridge.events import registry
from tests.conftest import MakeIngress
from tests.support import asking_platform
from tests.support.asking_platform import FRIENDS, MESSAGES, OWN_CODES, REFUSED_LISTS, SIGNAL, Effect
from tests.support.broker import Broker
from tests.support.callbacks import PostedCallback
from tests.support.commands import IngressProcess
from tests.support.decider import DecidingEndpoint, Event
from tests.support.topic import wait_for_events

NOBODY = "127.0.0.1:9"
MESSAGE = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "***"}}]
GIFT = "Live.CallbackBeforeSendGift"


@pytest.fixture
def endpoint() -> Iterator[DecidingEndpoint]:
    with DecidingEndpoint() as started:
        yield started


def body_of(command: str) -> dict[str, Any]:
    """A body with every documented field."""
    entry = registry.find(command)
    assert entry is not None
    body = orjson.loads(made_body(entry))
    assert isinstance(body, dict)
    return body


def answers(command: str) -> Iterator[tuple[Any, Effect, str]]:
    """Every kind of answer that the page of a command documents: what comes of it, and the event's decision."""
    if command == SIGNAL:
        yield {"ErrorCode": 0, "RspData": '{"msg":"x"}'}, Effect(True, '{"msg":"x"}'), "answered"
        yield {"ErrorCode": 1, "ErrorInfo": "no", "RspData": ""}, Effect(False), "ignored"
        yield None, Effect(False), "ignored"
    elif command in FRIENDS:
        accounts = [item["To_Account"] for item in body_of(command)[FRIENDS[command]]]
        full = {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}
        for code in (0, 38000, 39000):
            items = [{"To_Account": account, "ResultCode": code, "ResultInfo": "x"} for account in accounts]
            outcome = Effect(False, dict.fromkeys(accounts, code)) if code else Effect(True)
            yield {**full, "ResultItem": items}, outcome, "refused" if code else "allowed"
        yield None, Effect(True), "allowed"
        yield {"ErrorCode": 1}, Effect(False, dict.fromkeys(accounts, 38000)), "refused"
    else:
        for code in {1, *OWN_CODES[command]}:
            yield {"ErrorCode": code, "ErrorInfo": "be kind"}, Effect(False, code), "refused"
        yield {"ErrorCode": 0}, Effect(True), "allowed"
        yield None, Effect(True), "allowed"
    if command in MESSAGES:
        yield {"ErrorCode": 2}, Effect(False, 0), "dropped"
        changed = {"MsgBody": MESSAGE, "CloudCustomData": "new"}
        yield {"ErrorCode": 0, **changed}, Effect(True, changed), "changed"
        yield {"MsgBody": MESSAGE}, Effect(True, {"MsgBody": MESSAGE}), "changed"
    if command in REFUSED_LISTS:
        lists = {REFUSED_LISTS[command]: refused_of(command)}
        yield {"ErrorCode": 0, **lists}, Effect(True, refused_of(command)), "partly_refused"


def refused_of(command: str) -> list[str]:
    body = body_of(command)
    if command == "Group.CallbackBeforeInviteJoinGroup":
        return [str(body["DestinationMembers"][0]["Member_Account"])]
    return [str(body["SubscribeAccountList"][0]["Subscriber_Account"])]


def _told(answer: Any, _event: Event) -> tuple[int, Any]:
    return (204 if answer is None else 200), answer


def everything(endpoint: DecidingEndpoint) -> str:
    """BRIDGE_DECISION_URLS by which the endpoint decides all there is to decide."""
    return orjson.dumps({"*": endpoint.url()}).decode()


def post(bridge: IngressProcess, command: str, body: dict[str, Any]) -> Effect:
    return asking_platform.outcome(command, body, bridge.post(PostedCallback(command, orjson.dumps(body))))


def test_each_documented_answer_does_what_its_page_says_and_the_event_has_it(
    ingress: MakeIngress, broker: Broker, endpoint: DecidingEndpoint
) -> None:
    assert set(asking_platform.COMMANDS) == {
        entry.callback.command for entry in registry.ENTRIES if entry.callback.awaits_answer
    }
    bridge = ingress(broker, BRIDGE_DECISION_URLS=everything(endpoint), BRIDGE_DECISION_ON_FAILURE="refuse")
    decisions: Counter[tuple[str, str]] = Counter()
    for command in asking_platform.COMMANDS:
        for answer, expected, decision in answers(command):
            endpoint.answer = partial(_told, answer)
            assert post(bridge, command, body_of(command)) == expected, (command, answer)
            decisions[command, decision] += 1
    events = wait_for_events(broker.bootstrap, bridge.topics.events, lambda found: len(found) >= decisions.total())
    found = [message.event for message in events]
    assert Counter((event["callbackcommand"], event["decision"]) for event in found) == decisions


@pytest.mark.parametrize("on_failure", ["allow", "refuse"])
def test_what_no_page_documents_never_reaches_the_platform(
    on_failure: str, ingress: MakeIngress, endpoint: DecidingEndpoint
) -> None:
    bridge = ingress(NOBODY, BRIDGE_DECISION_URLS=everything(endpoint), BRIDGE_DECISION_ON_FAILURE=on_failure)
    endpoint.answer = lambda _event: (200, {"ErrorCode": 9999, "ErrorInfo": "no"})
    for command in asking_platform.COMMANDS:
        made = post(bridge, command, body_of(command))
        assert made.happens is (on_failure == "allow" and command != SIGNAL)
    undocumented = bridge.metric("bridge_decisions_total", outcome="undocumented_code")
    assert undocumented == len(asking_platform.COMMANDS)
    told = f"no decision on {GIFT} from http://127.0.0.1:{endpoint.port} (undocumented_code: its ErrorCode is 9999,"
    assert f"{told} and the documented ones are 0, 1, 102100-102200; " in bridge.output()


def test_a_gift_is_not_blocked_because_an_endpoint_is_late_or_a_body_is_not_taken(
    ingress: MakeIngress, endpoint: DecidingEndpoint
) -> None:
    endpoint.delay_s = 30
    bridge = ingress(NOBODY, BRIDGE_DECISION_URLS=everything(endpoint), BRIDGE_MAX_BODY_BYTES="2048")
    assert post(bridge, GIFT, body_of(GIFT)) == Effect(True)
    assert post(bridge, GIFT, {**body_of(GIFT), "Blob": "x" * 4096}) == Effect(True)
    assert bridge.metric("bridge_decisions_total", command=GIFT, outcome="late") == 1
    assert bridge.metric("bridge_refused_total", reason="too_large") == 1
    assert post(bridge, SIGNAL, body_of(SIGNAL)) == Effect(False)


def test_without_an_endpoint_everything_happens_and_a_chatbot_gets_nothing(ingress: MakeIngress) -> None:
    bridge = ingress(NOBODY)
    for command in asking_platform.COMMANDS:
        assert post(bridge, command, body_of(command)) == Effect(command != SIGNAL)
