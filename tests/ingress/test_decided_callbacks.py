"""Before-callbacks that an endpoint decides: what is kept, and what the platform is told when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from bridge import metrics
from tests.support.callbacks import RECALLED, sample
from tests.support.decider import DecidingEndpoint
from tests.support.ingress_parts import FakeJournal, FakeRequest, ingress_with

BEFORE = "C2C.CallbackBeforeSendMsg"
OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


def counted(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"bridge_{name}", labels) or 0.0


@pytest.fixture
def endpoint() -> Iterator[DecidingEndpoint]:
    with DecidingEndpoint() as started:
        yield started


def asks(endpoint: DecidingEndpoint, **given: Any) -> dict[str, Any]:
    """Settings by which the endpoint decides."""
    return {"decision_urls": {BEFORE: endpoint.url()}, **given}


async def replied(request: FakeRequest) -> None:
    async with asyncio.timeout(60):
        while not request.replies:  # noqa: ASYNC110 - a request has no event for it
            await asyncio.sleep(0.005)


async def test_what_an_endpoint_decides_is_noted_in_the_event_and_told_when_that_is_durable(
    endpoint: DecidingEndpoint,
) -> None:
    endpoint.answer = lambda _event: (200, {"ErrorCode": 120001})
    journal = FakeJournal()
    ingress = ingress_with(journal, **asks(endpoint))
    request = FakeRequest(sample(f"{BEFORE}.v1"))
    ingress.accept(request)
    assert journal.records == []
    await asyncio.sleep(0)
    assert ingress.in_flight == 0, "a question is not in flight"
    async with asyncio.timeout(60):
        while not journal.records:  # noqa: ASYNC110 - a list has no event for it
            await asyncio.sleep(0.005)
    assert [(event["decision"], event["decisioncode"]) for event in journal.events] == [("refused", 120001)]
    assert ingress.in_flight == 1
    journal.resolve(True)
    await replied(request)
    assert (request.status, request.json) == (200, {**OK, "ErrorCode": 120001})
    assert ingress.in_flight == 0
    await ingress.close()


async def test_a_decision_is_told_by_the_deadline_although_the_journal_says_nothing(endpoint: DecidingEndpoint) -> None:
    journal = FakeJournal()
    ingress = ingress_with(journal, **asks(endpoint, reply_deadline_ms=300, decision_deadline_ms=200))
    late = counted("refused_total", reason="deadline")
    request = FakeRequest(sample(f"{BEFORE}.v1"))
    ingress.accept(request)
    await replied(request)
    assert request.json == OK
    assert counted("refused_total", reason="deadline") == late + 1
    journal.resolve(True)
    assert request.json == OK
    assert ingress.in_flight == 0
    await ingress.close()


async def test_a_decision_is_told_at_once_where_the_journal_takes_nothing(endpoint: DecidingEndpoint) -> None:
    endpoint.answer = lambda _event: (200, {"ErrorCode": 2})
    ingress = ingress_with(FakeJournal(room=0), **asks(endpoint))
    request = FakeRequest(sample(f"{BEFORE}.v1"))
    ingress.accept(request)
    await replied(request)
    assert request.json == {**OK, "ErrorCode": 2}
    assert ingress.in_flight == 0
    await ingress.close()


@pytest.mark.parametrize(("on_failure", "code"), [("allow", 0), ("refuse", 1)])
async def test_a_fault_of_ours_while_an_endpoint_is_asked_is_answered_as_one_of_the_endpoint(
    endpoint: DecidingEndpoint, monkeypatch: pytest.MonkeyPatch, on_failure: str, code: int
) -> None:
    ingress = ingress_with(FakeJournal(), **asks(endpoint, decision_on_failure=on_failure))
    faults = counted("refused_total", reason="fault")
    monkeypatch.setattr("bridge.ingress.decisions.Decider.decide", lambda *_: 1 / 0)
    request = FakeRequest(sample(f"{BEFORE}.v1"))
    ingress.accept(request)
    await replied(request)
    assert (request.status, request.json["ErrorCode"]) == (200, code)
    assert counted("refused_total", reason="fault") == faults + 1
    assert ingress.in_flight == 0


async def test_at_a_stop_a_callback_that_an_endpoint_decides_is_kept_though_its_client_is_gone(
    endpoint: DecidingEndpoint,
) -> None:
    journal = FakeJournal()
    ingress = ingress_with(journal, **asks(endpoint))
    ingress.accept(FakeRequest(sample(f"{BEFORE}.v1")))
    await ingress.finish(5.0)
    await ingress.close()
    assert len(journal.records) == 1


async def test_callbacks_that_are_being_decided_leave_room_for_the_others_of_their_lot(
    endpoint: DecidingEndpoint,
) -> None:
    journal = FakeJournal()
    ingress = ingress_with(journal, max_in_flight=1, **asks(endpoint))
    for _ in range(3):
        ingress.accept(FakeRequest(sample(f"{BEFORE}.v1")))
    ordinary = FakeRequest(sample(f"{RECALLED}.v1"))
    ingress.accept(ordinary)
    assert len(journal.records) == 1
    journal.resolve(True)
    assert ordinary.status == 200
    await ingress.finish(5.0)
    await ingress.close()


async def test_an_answer_that_cannot_be_passed_on_is_no_decision_and_the_event_is_kept(
    endpoint: DecidingEndpoint,
) -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    endpoint.answer = lambda _event: (200, {"MsgBody": [{"nested": deep}]})
    journal = FakeJournal()
    ingress = ingress_with(journal, **asks(endpoint))
    request = FakeRequest(sample(f"{BEFORE}.v1"))
    ingress.accept(request)
    await ingress.finish(5.0)
    journal.resolve(True)
    await replied(request)
    assert (request.status, request.json) == (200, OK)
    assert [event["decision"] for event in journal.events] == ["failed"]
    await ingress.close()
