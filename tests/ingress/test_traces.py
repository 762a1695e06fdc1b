"""Which callbacks are traced, what their records carry, and what their spans say."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from bridge.ingress.ingress import Ingress
from bridge.ingress.traces import CallbackTraces
from common.tracing.context import context_of
from tests.support.callbacks import APP_ID, RECALLED, PostedCallback, recalled, signed_query
from tests.support.decider import DecidingEndpoint
from tests.support.ingress_parts import FakeJournal, FakeRequest, settings
from tests.support.spans import MemoryTracer
from tests.support.waiting import wait_until

CAME = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = CAME[:-1] + "0"
BEFORE = "C2C.CallbackBeforeSendMsg"


def traced(journal: FakeJournal, tracer: MemoryTracer | None = None, *, share: float = 1.0, **given: Any) -> Ingress:
    return Ingress(settings(**given), journal, traces=CallbackTraces(share, tracer))


def header(journal: FakeJournal, name: str = "traceparent") -> str | None:
    value = dict(journal.records[0].headers).get(name)
    return None if value is None else value.decode()


# -- Which are traced --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "all_are"), [(1.0, True), (0.0, False)])
def test_all_or_none_begin_a_trace_also_where_nobody_makes_spans(share: float, all_are: bool) -> None:
    journal = FakeJournal()
    ingress = traced(journal, share=share)
    for number in range(50):
        ingress.accept(FakeRequest(recalled(f"user-{number}")))
    contexts = [context_of(record.headers) for record in journal.records]
    assert [context is not None and context.is_sampled for context in contexts] == [all_are] * 50
    assert len({context.trace_id for context in contexts if context}) == 50 * all_are


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_the_share_is_what_it_says_and_at_random(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.ingress.traces.random", random.Random(7))
    traces = CallbackTraces(share)
    steps = [traces.draw() for _ in range(20_000)]
    assert min(steps) == 1
    assert sum(steps) / len(steps) == pytest.approx(1 / share, rel=0.03)
    # Nothing of what was drawn before says what comes: after a long step the mean is the same.
    after = [step for before, step in pairwise(steps) if before > 1 / share]
    assert sum(after) / len(after) == pytest.approx(1 / share, rel=0.06)


def test_what_is_not_authentic_is_never_traced_whatever_it_carries() -> None:
    tracer = MemoryTracer()
    ingress = traced(FakeJournal(), tracer)
    request = FakeRequest(recalled("ann"), signed_query(APP_ID, "other", RECALLED), traceparent=CAME)
    ingress.accept(request)
    assert request.status == 403
    assert not tracer.spans


@pytest.mark.parametrize("with_tracer", [True, False])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_one_that_comes_and_is_not_sampled_is_passed_on_and_makes_no_span(with_tracer: bool, share: float) -> None:
    journal, tracer = FakeJournal(), MemoryTracer()
    ingress = traced(journal, tracer if with_tracer else None, share=share)
    ingress.accept(FakeRequest(recalled("ann"), traceparent=NOT_SAMPLED, tracestate="a=b"))
    journal.resolve(True)
    assert (header(journal), header(journal, "tracestate")) == (NOT_SAMPLED, "a=b")
    assert not tracer.spans


def test_one_that_comes_is_passed_on_as_it_is_where_nobody_makes_spans() -> None:
    journal = FakeJournal()
    traced(journal, share=0).accept(FakeRequest(recalled("ann"), traceparent=CAME, tracestate="a=b"))
    assert (header(journal), header(journal, "tracestate")) == (CAME, "a=b")


# -- What spans say ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_kafka", [True, False])
def test_the_span_lasts_until_the_reply_and_says_what_made_it_durable(by_kafka: bool) -> None:
    journal, tracer = FakeJournal(), MemoryTracer()
    request = FakeRequest(recalled("ann"), traceparent=CAME, tracestate="a=b")
    Ingress(settings(), journal, traces=CallbackTraces(0, tracer, lambda: by_kafka)).accept(request)
    assert not tracer.spans
    journal.resolve(True)
    assert request.status == 200
    [span] = tracer.spans
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (CAME[3:35], CAME[36:52])
    assert header(journal) == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"
    assert header(journal, "tracestate") == "a=b"
    assert dict(span.attributes or {}) == {
        "im.command": RECALLED,
        "im.app": APP_ID,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "im.durable_by": "kafka" if by_kafka else "disk",
    }
    assert span.status.is_unset
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time <= span.end_time


@pytest.mark.parametrize(
    ("make_journal", "body", "status", "reason", "is_error"),
    [
        (FakeJournal, None, 503, "deadline", True),
        (lambda: FakeJournal(room=0), None, 503, "journal_full", True),
        (FakeJournal, b"x" * 2000, 413, "too_large", False),
    ],
)
def test_the_span_of_what_is_refused_says_why(
    make_journal: Callable[[], FakeJournal], body: bytes | None, status: int, reason: str, is_error: bool
) -> None:
    journal, tracer = make_journal(), MemoryTracer()
    request = FakeRequest(recalled("ann") if body is None else PostedCallback(RECALLED, body))
    ingress = traced(journal, tracer, max_body_bytes=1024)
    ingress.accept(request)
    journal.resolve(False)
    assert request.status == status
    [span] = tracer.spans
    attributes = dict(span.attributes or {})
    assert (attributes["http.response.status_code"], attributes["error.type"]) == (status, reason)
    assert "im.durable_by" not in attributes
    assert span.status.is_ok is not is_error
    assert ingress.in_flight == 0


def test_an_unknown_command_gives_attributes_no_new_values() -> None:
    journal, tracer = FakeJournal(), MemoryTracer()
    ingress = traced(journal, tracer)
    for number in range(3):
        ingress.accept(FakeRequest(PostedCallback(f"Made.Up{number}", b"{}")))
    journal.resolve(True)
    assert len(tracer.spans) == 3
    assert len({dict(span.attributes or {})["im.command"] for span in tracer.spans}) == 1


def test_a_fault_in_tracing_costs_the_trace_and_no_callback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("broken")

    journal, tracer = FakeJournal(), MemoryTracer()
    monkeypatch.setattr(tracer, "begin", fail)
    request = FakeRequest(recalled("ann"))
    traced(journal, tracer).accept(request)
    journal.resolve(True)
    assert request.status == 200
    assert header(journal) is None
    assert "a callback cannot be traced" in caplog.text


def test_the_log_of_a_refusal_names_the_trace(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    tracer = MemoryTracer()
    traced(FakeJournal(room=0), tracer).accept(FakeRequest(recalled("ann"), traceparent=CAME))
    [line] = [record for record in caplog.records if "fields" in record.__dict__]
    assert line.__dict__["fields"]["trace_id"] == CAME[3:35]


# -- Those who are asked -----------------------------------------------------------------------------------------------


async def answered(endpoint: DecidingEndpoint, tracer: MemoryTracer | None, *, traceparent: str = CAME) -> FakeJournal:
    journal = FakeJournal(True)
    ingress = traced(journal, tracer, share=0, decision_urls={BEFORE: endpoint.url()})
    request = FakeRequest(PostedCallback(BEFORE, b"{}"), traceparent=traceparent, tracestate="a=b")
    ingress.accept(request)
    await ingress.finish(10)
    await asyncio.to_thread(wait_until, lambda: request.replies, timeout=10, what="the reply")
    assert request.status == 200
    await ingress.close()
    return journal


async def test_the_endpoint_that_decides_is_asked_within_the_trace() -> None:
    tracer = MemoryTracer()
    with DecidingEndpoint() as endpoint:
        journal = await answered(endpoint, tracer)
    ask, receive = tracer.spans
    assert (ask.name, receive.name) == ("ask for a decision", "receive callback")
    assert ask.parent is not None
    assert ask.parent.span_id == receive.context.span_id
    assert endpoint.headers[0]["traceparent"] == f"00-{CAME[3:35]}-{ask.context.span_id:016x}-01"
    assert endpoint.headers[0]["tracestate"] == "a=b"
    # What follows the decision does not continue the question.
    assert header(journal) == f"00-{CAME[3:35]}-{receive.context.span_id:016x}-01"
    attributes = dict(ask.attributes or {})
    assert (attributes["im.command"], attributes["im.decision"]) == (BEFORE, "allowed")


async def test_a_question_that_nobody_answers_is_a_failed_span() -> None:
    tracer = MemoryTracer()
    await answered(DecidingEndpoint(), tracer)
    ask = tracer.spans[0]
    assert (ask.name, ask.status.description) == ("ask for a decision", "nobody decided")


@pytest.mark.parametrize(("came", "told"), [(CAME, CAME), (NOT_SAMPLED, NOT_SAMPLED), ("", None)])
async def test_the_endpoint_is_told_what_came_where_nobody_makes_spans(came: str, told: str | None) -> None:
    with DecidingEndpoint() as endpoint:
        await answered(endpoint, None, traceparent=came)
    assert endpoint.headers[0].get("traceparent") == told
