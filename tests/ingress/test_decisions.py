"""An endpoint of the user's decides before-callbacks: real HTTP, the real ingress, what the platform is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import orjson
import pytest

from bridge.contract import schemas
from bridge.ingress.decisions import OPEN_S, SILENT_TO_OPEN, Decider, Endpoint
from bridge.ingress.endpoint_answer import NoDecisionError
from bridge.settings import BridgeSettings
from common.settings import load_settings
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import RECALLED, PostedCallback, recalled, sample, samples
from tests.support.commands import PATIENT_DECISION_MS, IngressProcess
from tests.support.decider import DecidingEndpoint
from tests.support.topic import wait_for_events
from tests.support.waiting import wait_until

BEFORE = "C2C.CallbackBeforeSendMsg"
SIGNAL = "Chatbot.OnC2CSignalMessage"
OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
MESSAGE = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "***"}}]
NOBODY = "127.0.0.1:9"


@pytest.fixture
def endpoint() -> Iterator[DecidingEndpoint]:
    with DecidingEndpoint() as started:
        yield started


def by(*urls: tuple[str, str]) -> str:
    return orjson.dumps(dict(urls)).decode()


def asked(number: int = 0) -> PostedCallback:
    return PostedCallback(BEFORE, orjson.dumps({**sample(f"{BEFORE}.v3").json, "MsgKey": f"1_2_{number}"}))


def outcomes(bridge: IngressProcess) -> dict[str, float]:
    found = [sample for sample in bridge.samples() if sample.name == "bridge_decisions_total" and sample.value]
    return {one.labels["outcome"]: one.value for one in found}


def test_each_answer_reaches_the_platform_completed_and_the_event_carries_it(
    ingress: MakeIngress, broker: Broker, endpoint: DecidingEndpoint
) -> None:
    cases: list[tuple[tuple[int, Any], dict[str, Any], str, int]] = [
        ((204, None), OK, "allowed", 0),
        ((200, {}), OK, "allowed", 0),
        ((200, {"ErrorCode": 1}), {**OK, "ErrorCode": 1}, "refused", 1),
        (
            (200, {"ErrorCode": 120001, "ErrorInfo": "be kind"}),
            {**OK, "ErrorCode": 120001, "ErrorInfo": "be kind"},
            "refused",
            120001,
        ),
        ((200, {"ErrorCode": 2, "ErrorInfo": None}), {**OK, "ErrorCode": 2}, "dropped", 2),
        (
            (200, {"MsgBody": MESSAGE, "CloudCustomData": "x"}),
            {**OK, "MsgBody": MESSAGE, "CloudCustomData": "x"},
            "changed",
            0,
        ),
    ]
    bridge = ingress(broker, BRIDGE_DECISION_URLS=by((BEFORE, endpoint.url())))
    for number, (answer, expected, _, _) in enumerate(cases):
        endpoint.answer = lambda _event, answer=answer: answer  # type: ignore[misc]
        reply = bridge.post(asked(number))
        assert (reply.status, reply.json) == (200, expected)
    messages = wait_for_events(broker.bootstrap, bridge.topics.events, lambda found: len(found) == len(cases))
    by_id = {message.event["id"]: message.event for message in messages}
    events = [by_id[event["id"]] for event in endpoint.events]
    assert [(event["decision"], event["decisioncode"]) for event in events] == [case[2:] for case in cases]
    for question, event in zip(endpoint.events, events, strict=True):
        assert event == {**question, "decision": event["decision"], "decisioncode": event["decisioncode"]}
    schema = orjson.loads(schemas.documents()["events/im.c2c.message_send.requested.json"])
    for event in [*endpoint.events, *events]:
        jsonschema.validate(event, schema, jsonschema.Draft202012Validator)
    assert endpoint.content_types == {"application/cloudevents+json"}
    assert outcomes(bridge) == {"allowed": 2, "refused": 2, "dropped": 1, "changed": 1}
    assert bridge.metric("bridge_decision_seconds_count") == len(cases)


def test_only_before_callbacks_are_asked_about_each_at_the_endpoint_that_is_for_it(
    ingress: MakeIngress, endpoint: DecidingEndpoint
) -> None:
    with DecidingEndpoint() as other:
        bridge = ingress(
            NOBODY,
            BRIDGE_DECISION_URLS=by(
                ("*.CallbackBefore*", other.url()),
                ("Group.*", endpoint.url("/second")),
                ("Group.CallbackBeforeCreateGroup", endpoint.url()),
            ),
        )
        for callback in samples().values():
            assert bridge.post(callback).status == 200
        bridge.post(PostedCallback("New.CallbackBeforeThing", b'{"To_Account":"a"}'))
        assert {event["callbackcommand"] for event in endpoint.events} == {"Group.CallbackBeforeCreateGroup"}
        asked_about = {event["callbackcommand"] for event in other.events}
    assert {"Group.CallbackBeforeSendMsg", BEFORE, "New.CallbackBeforeThing"} <= asked_about
    assert not [command for command in asked_about if "Before" not in command]


@pytest.mark.parametrize(
    ("on_failure", "expected"),
    [("allow", OK), ("refuse", {**OK, "ErrorCode": 1, "ErrorInfo": "it could not be decided"})],
)
def test_an_endpoint_that_does_not_decide_leaves_the_configured_choice(
    on_failure: str, expected: dict[str, Any], ingress: MakeIngress, broker: Broker, endpoint: DecidingEndpoint
) -> None:
    url = endpoint.url("/SECRET?key=SECRET", credentials="me:SECRET@")
    bridge = ingress(broker, BRIDGE_DECISION_URLS=by((BEFORE, url)), BRIDGE_DECISION_ON_FAILURE=on_failure)

    def post(number: int, answer: tuple[int, Any], delay_s: float = 0.0) -> float:
        endpoint.answer, endpoint.delay_s = (lambda _event: answer), delay_s
        began = time.monotonic()
        reply = bridge.post(asked(number))
        assert (reply.status, reply.json) == (200, expected)
        return time.monotonic() - began

    post(0, (500, {"ErrorCode": 0}))
    post(1, (302, None))
    post(2, (200, b"SECRET"))
    post(3, (200, b" " * 1_000_000))
    assert post(4, (204, None), delay_s=3) > 0.99 * int(PATIENT_DECISION_MS) / 1000
    endpoint.close()
    post(5, (204, None))
    messages = wait_for_events(broker.bootstrap, bridge.topics.events, lambda found: len(found) == 6)
    decided = {(message.event["decision"], message.event["decisioncode"]) for message in messages}
    assert decided == {("failed", expected["ErrorCode"])}
    assert outcomes(bridge) == {"status": 2, "invalid": 2, "late": 1, "unreachable": 1}
    told = bridge.output()
    assert f"no decision on {BEFORE} from http://127.0.0.1:{endpoint.port} (status: it answered with status 500" in told
    assert f"late: no answer within {PATIENT_DECISION_MS} ms (BRIDGE_DECISION_DEADLINE_MS)" in told
    assert "unreachable: nothing listens there" in told
    assert f"BRIDGE_DECISION_ON_FAILURE: it is {'refused' if on_failure == 'refuse' else 'allowed'})" in told
    assert "SECRET" not in told


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "it closed the connection without an answer"),
        (b"\x16\x03\x01SECRET\r\n\r\n", "what it answered is no HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"SECRET" * 20_000 + b"\r\n\r\n", "what it answered is no HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nSECRET", "its answer broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nSECRET", "encoded otherwise"),
    ],
    ids=["closed", "no HTTP", "huge head", "cut off", "no gzip"],
)
async def test_an_endpoint_that_does_not_speak_http_is_told_of_in_words_for_people(answer: bytes, told: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://me:SECRET@127.0.0.1:{server.sockets[0].getsockname()[1]}/SECRET"
    async with server, aiohttp.ClientSession() as session:
        with pytest.raises(NoDecisionError, match=told) as raised:
            await Endpoint(url, deadline_s=60, max_connections=1).ask(session, b"{}")
    assert raised.value.outcome == "unreachable"
    assert "SECRET" not in str(raised.value)


def test_a_body_that_nobody_can_read_is_not_asked_about_and_gets_the_configured_choice(
    ingress: MakeIngress, endpoint: DecidingEndpoint
) -> None:
    bridge = ingress(NOBODY, BRIDGE_DECISION_URLS=by((BEFORE, endpoint.url())), BRIDGE_DECISION_ON_FAILURE="refuse")
    reply = bridge.post(PostedCallback(BEFORE, b"not json"))
    assert isinstance(reply.json, dict)
    assert (reply.status, reply.json["ErrorCode"]) == (200, 1)
    assert endpoint.events == []
    assert outcomes(bridge) == {"unreadable": 1}


def test_a_slow_endpoint_holds_up_nothing_else_and_every_reply_leaves_in_time(
    ingress: MakeIngress, endpoint: DecidingEndpoint
) -> None:
    endpoint.delay_s = 30
    bridge = ingress(
        NOBODY,
        BRIDGE_DECISION_URLS=by((BEFORE, endpoint.url())),
        BRIDGE_DECISION_CONNECTIONS="2",
        BRIDGE_MAX_IN_FLIGHT="24",
    )
    with ThreadPoolExecutor(40) as pool:
        questions = [pool.submit(bridge.post, asked(number)) for number in range(40)]
        bridge.wait_for(lambda: len(endpoint.events) == 2, what="two questions")
        others = [bridge.post(recalled(f"u{number}", unread=1)).json for number in range(10)]
        waiting = [question for question in questions if not question.done()]
        assert others == [OK] * 10
        assert waiting, "the others were answered while the endpoint was asked"
        assert [question.result(timeout=20).json for question in questions] == [OK] * 40
    assert outcomes(bridge).keys() == {"late", "busy"}
    assert bridge.metric("bridge_refused_total", reason="in_flight") == 0


def test_a_decision_holds_although_the_event_cannot_be_kept_in_time(
    ingress: MakeIngress, endpoint: DecidingEndpoint
) -> None:
    endpoint.answer = lambda _event: (200, {"ErrorCode": 1})
    bridge = ingress(
        NOBODY,
        BRIDGE_DECISION_URLS=by((BEFORE, endpoint.url())),
        BRIDGE_DECISION_DEADLINE_MS="900",
        BRIDGE_REPLY_DEADLINE_MS="950",
        BRIDGE_SYNC_AFTER_MS="1000",
    )
    assert bridge.post(asked()).json == {**OK, "ErrorCode": 1}
    assert bridge.metric("bridge_refused_total", reason="deadline") == 1


def test_an_endpoint_that_is_gone_costs_a_few_deadlines_and_is_asked_again_when_it_is_back(
    ingress: MakeIngress, endpoint: DecidingEndpoint
) -> None:
    bridge = ingress(NOBODY, BRIDGE_DECISION_URLS=by((BEFORE, endpoint.url())), BRIDGE_DECISION_ON_FAILURE="refuse")
    endpoint.delay_s = 30
    for number in range(SILENT_TO_OPEN):
        bridge.post(asked(number))
    bridge.post(asked(100))
    assert outcomes(bridge) == {"late": SILENT_TO_OPEN, "skipped": 1}, "it must not cost each user its deadline"
    endpoint.delay_s = 0
    wait_until(lambda: bridge.post(asked(101)).json == OK, timeout=2 * OPEN_S, what="it to be asked again", every=0.1)
    assert bridge.post(asked(102)).json == OK
    assert "answers again" in bridge.output()


def test_a_connection_that_the_endpoint_closed_is_no_failure(ingress: MakeIngress, endpoint: DecidingEndpoint) -> None:
    bridge = ingress(NOBODY, BRIDGE_DECISION_URLS=by((BEFORE, endpoint.url())))
    bridge.post(asked(0))
    endpoint.close()
    endpoint.start()
    bridge.post(asked(1))
    assert outcomes(bridge) == {"allowed": 2}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"BRIDGE_DECISION_URLS": by((BEFORE, "http://x/")), "BRIDGE_DECISION_DEADLINE_MS": "500"},
            "must be less than BRIDGE_REPLY_DEADLINE_MS",
        ),
        ({"BRIDGE_DECISION_URLS": by((BEFORE, "ftp://x/"))}, "no http:// or https:// URL"),
        ({"BRIDGE_DECISION_URLS": by((BEFORE, "http:///path"))}, "no http:// or https:// URL"),
        ({"BRIDGE_DECISION_URLS": by((BEFORE, "http://x:99999/"))}, "BRIDGE_DECISION_URLS"),
        ({"BRIDGE_DECISION_URLS": by((RECALLED, "http://x/"))}, "is no callback to decide"),
        ({"BRIDGE_DECISION_URLS": by(("C2C.CallbackAfter*", "http://x/"))}, "is no callback to decide"),
        ({"BRIDGE_DECISION_URLS": by(("Sns.CallbackBefor", "http://x/"))}, "is no callback to decide"),
        ({"BRIDGE_DECISION_ON_FAILURE": "perhaps"}, "BRIDGE_DECISION_ON_FAILURE"),
    ],
)
def test_wrong_settings_are_explained_at_the_start(
    settings: dict[str, str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"BRIDGE_APPS": '{"1":[]}', **settings}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load_settings(BridgeSettings)
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("pattern", [SIGNAL, SIGNAL.lower(), "Chatbot.*", "*Signal*", "*"])
async def test_a_signal_to_a_chatbot_is_decided_by_name_and_by_pattern(
    pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIDGE_APPS", '{"1":[]}')
    monkeypatch.setenv("BRIDGE_DECISION_URLS", by((pattern, "http://x/")))
    decider = Decider.from_settings(load_settings(BridgeSettings))
    assert decider.endpoint(SIGNAL) is not None
    assert (decider.endpoint(BEFORE) is not None) == (pattern == "*")


def test_the_reply_deadline_alone_may_be_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIDGE_APPS", '{"1":[]}')
    monkeypatch.setenv("BRIDGE_REPLY_DEADLINE_MS", "100")
    assert Decider.from_settings(load_settings(BridgeSettings)).endpoint(BEFORE) is None
