"""Callbacks to whose answer the platform listens: it is given whatever becomes of them here, and in its form."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from bridge import metrics
from bridge.events import Reply, registry
from bridge.ingress import refusals
from bridge.ingress.ingress import Ingress
from bridge.ingress.refusals import Refusal, RefusedError
from tests.support.callbacks import APP_ID, RECALLED, TOKEN, PostedCallback, recalled, signed_query
from tests.support.ingress_parts import FakeJournal, FakeRequest, ingress_with

GIFT = "Live.CallbackBeforeSendGift"
FRIEND = "Sns.CallbackPrevFriendAdd"
SIGNAL = "Chatbot.OnC2CSignalMessage"
OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
DEFAULTS: list[tuple[str, dict[str, Any]]] = [
    ("C2C.CallbackBeforeSendMsg", OK),
    (GIFT, OK),
    (FRIEND, {**OK, "ResultItem": []}),
    (SIGNAL, {**OK, "ErrorCode": 1, "RspData": ""}),
]
OLD = [entry.callback.command for entry in registry.ENTRIES if entry.callback.reply is Reply.ERROR_MESSAGE]
NOBODY = "http://127.0.0.1:9/"


def counted(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"bridge_{name}", labels) or 0.0


def accepted(command: str, body: bytes, ingress: Ingress, **given: str) -> FakeRequest:
    request = FakeRequest(PostedCallback(command, body), **given)
    ingress.accept(request)
    return request


# -- Whatever happens, an answer ---------------------------------------------------------------------------------------


def full() -> Ingress:
    return ingress_with(FakeJournal(room=0))


def crowded() -> Ingress:
    made = ingress_with(FakeJournal(), max_in_flight=1)
    made.accept(FakeRequest(recalled("ann")))
    return made


def narrow() -> Ingress:
    return ingress_with(FakeJournal(), max_body_bytes=1024)


@pytest.mark.parametrize(
    ("make", "body", "reason"),
    [
        (full, b"{}", "journal_full"),
        (full, b"not json", "journal_full"),
        (crowded, b"{}", "in_flight"),
        (narrow, b"x" * 1025, "too_large"),
    ],
)
@pytest.mark.parametrize("told", DEFAULTS, ids=[command for command, _ in DEFAULTS])
def test_what_cannot_be_kept_is_answered_all_the_same_counted_and_told(
    make: Callable[[], Ingress],
    body: bytes,
    reason: str,
    told: tuple[str, dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    command, expected = told
    ingress = make()
    waiting = ingress.in_flight
    before = counted("refused_total", reason=reason)
    with caplog.at_level(logging.WARNING):
        request = accepted(command, body, ingress)
    assert (request.status, request.json) == (200, expected)
    assert ingress.in_flight == waiting
    assert counted("refused_total", reason=reason) == before + 1
    assert f" ({reason}: " in caplog.text


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("body", [b"{}", b"not json"])
@pytest.mark.parametrize(("command", "expected"), DEFAULTS)
def test_what_is_late_or_cannot_be_read_is_answered_as_ever(
    command: str, expected: dict[str, Any], body: bytes, durable: bool
) -> None:
    journal = FakeJournal()
    request = accepted(command, body, ingress_with(journal))
    assert request.replies == []
    journal.resolve(durable)
    assert (request.status, request.json) == (200, expected)


@pytest.mark.parametrize(
    "refusal",
    [
        refusals.SLOW_BODY,
        refusals.BROKEN_BODY,
        refusals.SMALL_CHUNKS,
        refusals.CONTENT_CODING,
        refusals.NO_ROOM_FOR_BODY,
        refusals.too_large(1),
    ],
    ids=lambda refusal: refusal.reason,
)
@pytest.mark.parametrize(("command", "expected"), DEFAULTS)
def test_a_body_that_does_not_arrive_is_no_reason_to_block_a_user(
    command: str, expected: dict[str, Any], refusal: Refusal
) -> None:
    ingress = ingress_with(FakeJournal())
    request = FakeRequest(PostedCallback(command, b"{}"))
    ingress.refuse(request, refusal, ingress.admit(request))
    assert (request.status, request.json) == (200, expected)
    assert ingress.in_flight == 0
    after = FakeRequest(recalled("ann"))
    ingress.refuse(after, refusal, ingress.admit(after))
    assert (after.status, after.json["ErrorCode"]) == (refusal.status, 1)


@pytest.mark.parametrize(("command", "expected"), DEFAULTS)
def test_what_is_not_authentic_is_refused_whatever_it_claims_to_be(command: str, expected: dict[str, Any]) -> None:
    ingress = ingress_with(FakeJournal())
    callback = PostedCallback(command, b"{}")
    stale = callback.signed(request_time=int(time.time()) - 86_400)
    for query in (signed_query(APP_ID, "other", command), signed_query("1", TOKEN, command), stale):
        request = FakeRequest(callback, query)
        ingress.accept(request)
        assert (request.status, request.json["ActionStatus"]) == (403, "FAIL")
        with pytest.raises(RefusedError) as raised:
            ingress.admit(FakeRequest(callback, query))
        ingress.refuse(again := FakeRequest(callback, query), raised.value.refusal)
        assert again.status == 403
    assert ingress.in_flight == 0


@pytest.mark.parametrize("on_failure", ["allow", "refuse"])
async def test_where_an_endpoint_would_decide_and_cannot_be_asked_its_failure_is_told(on_failure: str) -> None:
    urls = dict.fromkeys([GIFT, FRIEND, SIGNAL], NOBODY)
    chosen = {"decision_urls": urls, "decision_on_failure": on_failure}
    code = 1 if on_failure == "refuse" else 0
    told = {"ErrorInfo": "it could not be decided"} if code else {}
    unreadable = counted("decisions_total", command=GIFT, outcome="unreadable")
    for ingress, body in (
        (ingress_with(FakeJournal(True), **chosen, max_body_bytes=1024), b"x" * 1025),
        (ingress_with(FakeJournal(room=0), **chosen), b"not json"),
    ):
        assert accepted(GIFT, body, ingress).json == {**OK, "ErrorCode": code, **told}
        assert accepted(FRIEND, body, ingress).json["ErrorCode"] == 0, "another code lets all of them pass, too"
        assert accepted(SIGNAL, body, ingress).json == {
            **OK,
            "ErrorCode": 1,
            "ErrorInfo": "it could not be decided",
            "RspData": "",
        }
        await ingress.close()
    assert counted("decisions_total", command=GIFT, outcome="unreadable") == unreadable + 2


async def test_a_callback_that_nobody_knows_and_that_looks_like_a_batch_is_answered_too() -> None:
    command = "New.CallbackBeforeThing"
    journal = FakeJournal(True)
    ingress = ingress_with(journal, decision_urls={"*": NOBODY}, decision_on_failure="refuse")
    body = orjson.dumps({"Events": [{"To_Account": "a"}, {"To_Account": "b"}]})
    request = accepted(command, body, ingress)
    await asyncio.sleep(0)
    await ingress.finish(5.0)
    assert (request.status, request.json["ErrorCode"]) == (200, 1)
    assert len(journal.records) == 2
    assert ingress.in_flight == 0
    await ingress.close()


FRIENDS_BODY = orjson.dumps({"FriendItem": [{"To_Account": "ann"}, {"To_Account": "bob"}]})
ALLOWED_FRIENDS = [{"To_Account": name, "ResultCode": 0, "ResultInfo": ""} for name in ("ann", "bob")]


@pytest.mark.parametrize(
    ("wrong", "allowed_friends"),
    [
        ("bridge.normalize.normalizer.Normalizer.usual", ALLOWED_FRIENDS),
        ("bridge.ingress.decisions.Decider.unasked", []),
        ("bridge.ingress.ingress.Ingress._append", []),
    ],
)
@pytest.mark.parametrize("told", DEFAULTS, ids=[command for command, _ in DEFAULTS])
def test_a_fault_of_ours_blocks_no_user_and_acknowledges_nothing(
    told: tuple[str, dict[str, Any]],
    wrong: str,
    allowed_friends: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    command, expected = told
    monkeypatch.setattr(wrong, lambda *_, **__: 1 / 0)
    ingress = ingress_with(FakeJournal())
    faults = counted("refused_total", reason="fault")
    request = accepted(command, FRIENDS_BODY, ingress)
    assert (request.status, request.json) == (
        200,
        {**expected, "ResultItem": allowed_friends} if command == FRIEND else expected,
    )
    assert "ZeroDivisionError" in caplog.text
    assert " (fault: internal error)" in caplog.text
    assert counted("refused_total", reason="fault") == faults + 1
    if not wrong.endswith("unasked"):
        after = accepted(RECALLED, b"{}", ingress)
        assert (after.status, after.json["ActionStatus"]) == (500, "FAIL")
    assert ingress.in_flight == 0


# -- An old webhook repeats what it believes to be lost ----------------------------------------------------------------


def old_query(command: str, age_s: int = 0) -> str:
    """As the platform calls an old webhook, but that nobody knows whether it signs."""
    signed = signed_query(APP_ID, TOKEN, command, request_time=int(time.time()) - age_s)
    return signed.replace("CallbackCommand=", "command=")


def repeats(request: FakeRequest) -> bool:
    """Whether the platform, as it is documented, posts this again."""
    return request.status != 200 or request.json["ErrorCode"] != 0


@pytest.mark.parametrize("command", OLD)
@pytest.mark.parametrize("body", [b"{}", b"not json", b"", b"[]", b'{"a":' * 500])
def test_an_old_webhook_that_is_durable_is_not_repeated_and_one_that_is_not_is(command: str, body: bytes) -> None:
    for durable in (True, False):
        journal = FakeJournal()
        request = FakeRequest(PostedCallback(command, body), old_query(command))
        ingress_with(journal).accept(request)
        assert len(journal.records) == 1
        journal.resolve(durable)
        assert repeats(request) is not durable
        assert request.json.keys() == {"ErrorCode", "ErrorMessage"}
        assert isinstance(request.json["ErrorMessage"], str)


@pytest.mark.parametrize("command", OLD)
@pytest.mark.parametrize(("make", "size"), [(full, 2), (crowded, 2), (narrow, 1025)])
def test_an_old_webhook_that_is_not_kept_is_repeated(command: str, make: Callable[[], Ingress], size: int) -> None:
    request = FakeRequest(PostedCallback(command, b" " * size), old_query(command))
    make().accept(request)
    assert repeats(request)
    assert request.status >= 400
    assert request.json.keys() == {"ErrorCode", "ErrorMessage"}


@pytest.mark.parametrize("command", OLD)
def test_an_old_webhook_with_a_stale_time_is_repeated_only_where_it_is_not_kept(command: str) -> None:
    refused = counted("refused_total", reason="stale_time")
    for durable in (True, False):
        journal = FakeJournal()
        request = FakeRequest(PostedCallback(command, b"{}"), old_query(command, age_s=90))
        ingress = ingress_with(journal)
        ingress.accept(request)
        journal.resolve(durable)
        assert repeats(request) is not durable
        assert request.json.keys() == {"ErrorCode", "ErrorMessage"}
        assert ingress.in_flight == 0
    assert counted("refused_total", reason="stale_time") == refused + 1


@pytest.mark.parametrize("command", OLD)
def test_a_fault_of_ours_has_an_old_webhook_repeated(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.normalize.normalizer.Normalizer.usual", lambda *_: 1 / 0)
    request = FakeRequest(PostedCallback(command, b"{}"), old_query(command))
    ingress_with(FakeJournal()).accept(request)
    assert (request.status, request.json) == (500, {"ErrorCode": 1, "ErrorMessage": "internal error"})


# -- Every reply -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["", RECALLED, "New.Thing", *(entry.callback.command for entry in registry.ENTRIES)]
)
@pytest.mark.parametrize("body", [b"{}", b"not json", b"\xff\xfe", b'{"Events":[]}'])
def test_every_reply_has_the_required_fields_in_their_types(command: str, body: bytes) -> None:
    told = []
    for journal in (FakeJournal(), FakeJournal(room=0)):
        request = FakeRequest(PostedCallback(command, body), signed_query(APP_ID, TOKEN, command))
        ingress_with(journal).accept(request)
        journal.resolve(True)
        told += request.replies
    strange = FakeRequest(PostedCallback(command, body), signed_query("1", TOKEN, command))
    ingress_with(FakeJournal()).accept(strange)
    for reply in [*told, *strange.replies]:
        fields = orjson.loads(reply.content)
        entry = registry.find(command)
        expected = {"ActionStatus": str, "ErrorCode": int, "ErrorInfo": str}
        if entry is not None and entry.callback.reply is Reply.ERROR_MESSAGE:
            expected = {"ErrorCode": int, "ErrorMessage": str}
        elif entry is not None and reply.status == 200:
            expected |= {"ResultItem": list} if entry.callback.reply is Reply.ALLOW_EACH else {}
            expected |= {"RspData": str} if entry.callback.reply is Reply.DATA else {}
        assert {name: type(value) for name, value in fields.items()} == expected
        assert fields.get("ActionStatus", "OK") in {"OK", "FAIL"}
