"""The way of a callback without HTTP and without a disk: what reaches the journal, and the one reply."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from bridge import metrics
from bridge.ingress.refusals import RefusedError
from bridge.normalize.normalizer import Normalizer
from bridge.query import Query, query_of
from tests.support.callbacks import APP_ID, RECALLED, TOKEN, PostedCallback, recalled, sample, signed_query
from tests.support.ingress_parts import FakeJournal, FakeRequest, ingress_with

BEFORE = "C2C.CallbackBeforeSendMsg"
OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BATCH = PostedCallback("Push.OfflinePush", orjson.dumps({"Events": [{"To_Account": name} for name in "abc"]}))


def counted(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"bridge_{name}", labels) or 0.0


# -- Durable, then answered --------------------------------------------------------------------------------------------


def test_a_callback_is_answered_when_it_is_durable_and_not_before() -> None:
    journal = FakeJournal()
    ingress = ingress_with(journal)
    accepted = counted("accepted_total", command=RECALLED)
    request = FakeRequest(recalled("ann", unread=1))
    ingress.accept(request)
    assert [event["subject"] for event in journal.events] == ["ann"]
    assert request.replies == []
    assert ingress.in_flight == 1
    journal.resolve(True)
    assert (request.status, request.json) == (200, OK)
    assert ingress.in_flight == 0
    assert counted("accepted_total", command=RECALLED) == accepted + 1


def test_a_callback_that_is_not_durable_in_time_is_refused() -> None:
    journal = FakeJournal()
    ingress = ingress_with(journal)
    request = FakeRequest(recalled("ann", unread=1))
    ingress.accept(request)
    journal.resolve(False)
    assert (request.status, request.json["ErrorCode"]) == (503, 1)
    assert ingress.in_flight == 0


def test_of_a_batch_all_events_must_be_durable_for_its_one_reply() -> None:
    for durable, status in ((True, 200), (False, 503)):
        journal = FakeJournal()
        request = FakeRequest(BATCH)
        ingress = ingress_with(journal)
        ingress.accept(request)
        assert len(journal.events) == 3
        journal.resolve(durable)
        assert request.status == status
        assert ingress.in_flight == 0


def test_a_batch_that_the_journal_takes_in_part_is_refused_once() -> None:
    journal = FakeJournal(room=2)
    request = FakeRequest(BATCH)
    ingress = ingress_with(journal)
    ingress.accept(request)
    assert request.status == 503
    journal.resolve(True)
    assert request.status == 503
    assert ingress.in_flight == 0


def test_a_body_that_nobody_can_read_is_kept_and_told_so() -> None:
    journal = FakeJournal()
    request = FakeRequest(PostedCallback(RECALLED, b"{"))
    ingress_with(journal).accept(request)
    assert request.replies == []
    journal.resolve(True)
    assert (request.status, request.json["ActionStatus"]) == (200, "FAIL")
    assert [(record.topic, record.value) for record in journal.records] == [("im.events.dlq", b"{")]


def test_the_old_call_webhook_is_answered_in_its_own_form() -> None:
    journal = FakeJournal()
    request = FakeRequest(PostedCallback("call_end", b"{}"))
    ingress_with(journal).accept(request)
    journal.resolve(True)
    assert request.json == {"ErrorCode": 0, "ErrorMessage": ""}


@pytest.mark.parametrize(("given", "kept"), [(TRACE, TRACE.encode()), ("nonsense", None), ("", None)])
def test_a_trace_context_is_kept_if_it_is_one(given: str, kept: bytes | None) -> None:
    journal = FakeJournal()
    ingress_with(journal).accept(FakeRequest(recalled("ann"), traceparent=given))
    assert dict(journal.records[0].headers).get("traceparent") == kept


# -- Refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make_request", "status", "reason"),
    [
        (lambda: FakeRequest(recalled("ann"), method="GET"), 405, "method"),
        (lambda: FakeRequest(recalled("ann"), peer="198.51.100.1"), 403, "address"),
        (lambda: FakeRequest(recalled("ann"), signed_query("1", TOKEN, RECALLED)), 403, "unknown_app"),
        (lambda: FakeRequest(recalled("ann"), signed_query(APP_ID, None, RECALLED)), 403, "signature_missing"),
        (lambda: FakeRequest(recalled("ann"), signed_query(APP_ID, "other", RECALLED)), 403, "bad_signature"),
        (lambda: FakeRequest(PostedCallback(RECALLED, b"x" * 1025)), 413, "too_large"),
    ],
)
def test_what_is_refused_is_told_at_once_counted_and_not_kept(
    make_request: Callable[[], FakeRequest], status: int, reason: str
) -> None:
    journal = FakeJournal()
    ingress = ingress_with(journal, allowed_networks=["203.0.113.0/24"], max_body_bytes=1024)
    before = counted("refused_total", reason=reason)
    request = make_request()
    ingress.accept(request)
    assert (request.status, request.json["ActionStatus"], request.json["ErrorCode"]) == (status, "FAIL", 1)
    assert journal.records == []
    assert ingress.in_flight == 0
    assert counted("refused_total", reason=reason) == before + 1


def test_a_full_journal_and_too_many_callbacks_in_flight_refuse_the_next() -> None:
    full = FakeRequest(recalled("ann"))
    ingress_with(FakeJournal(room=0)).accept(full)
    assert (full.status, full.json["ErrorInfo"]) == (503, "no room is left")

    journal = FakeJournal()
    ingress = ingress_with(journal, max_in_flight=2)
    requests = [FakeRequest(recalled(name)) for name in ("ann", "bob", "eve")]
    for request in requests:
        ingress.accept(request)
    assert [len(request.replies) for request in requests] == [0, 0, 1]
    journal.resolve(True)
    assert [request.status for request in requests] == [200, 200, 503]
    again = FakeRequest(recalled("eve"))
    ingress.accept(again)
    assert again.replies == []


def test_the_log_of_a_refusal_has_the_shape_of_the_request_and_none_of_its_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = FakeRequest(
        PostedCallback(RECALLED, b"SECRET"), signed_query("SECRET", "SECRET", RECALLED, SECRET="SECRET")
    )
    with caplog.at_level(logging.WARNING):
        ingress_with(FakeJournal()).accept(request)
    (line,) = (record.getMessage() for record in caplog.records)
    assert "unknown_app" in line
    assert "requesttime, sdkappid, sign, 1 undocumented; body of 6 bytes" in line
    assert "SECRET" not in line


def test_the_log_names_the_addresses_that_are_refused_and_what_to_do(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("common.logs.time.monotonic", lambda: now[0])
    ingress = ingress_with(FakeJournal(), allowed_networks=["203.0.113.0/24"], trusted_proxies=["10.0.0.0/8"])

    def refuse(*peers: str, **facts: str) -> str:
        caplog.clear()
        for peer in peers:
            ingress.accept(FakeRequest(recalled("ann"), peer=peer, **facts))
        (line,) = (record.getMessage() for record in caplog.records)
        return line

    line = refuse("198.51.100.1")
    assert "answered 403 to 198.51.100.1 of app 1400000000 (address: " in line
    assert "BRIDGE_ALLOWED_NETWORKS" in line
    for last in range(30):
        ingress.accept(FakeRequest(recalled("ann"), peer=f"198.51.100.{last % 3}"))
        ingress.accept(FakeRequest(recalled("ann"), peer="10.0.0.1", forwarded_for=f"a{last}\n\x1bb"))
    now[0] = 1.0
    line = refuse("198.51.100.9")
    assert "to 198.51.100.0, 'a0\\n\\x1bb', 198.51.100.1" in line
    assert "60 more like it before" in line
    now[0] = 2.0
    assert "BRIDGE_TRUSTED_PROXIES and names nobody in X-Forwarded-For" in refuse("10.0.0.1")


def test_who_guesses_learns_nothing_about_the_apps() -> None:
    replies = []
    for query in (
        signed_query("1", TOKEN, RECALLED),
        signed_query(APP_ID, "other", RECALLED),
        signed_query("1", None, RECALLED),
        signed_query(APP_ID, None, RECALLED),
        "",
    ):
        request = FakeRequest(recalled("ann"), query)
        ingress_with(FakeJournal()).accept(request)
        replies += request.replies
    assert len({(reply.status, reply.content, reply.headers, reply.closes) for reply in replies}) == 1


def test_the_head_alone_may_be_refused_before_there_is_a_body() -> None:
    ingress = ingress_with(FakeJournal())
    request = FakeRequest(PostedCallback(RECALLED, b""), "")
    with pytest.raises(RefusedError) as refused:
        ingress.admit(request)
    assert ingress.in_flight == 1
    ingress.refuse(request, refused.value.refusal)
    assert request.status == 403
    assert ingress.in_flight == 0


def test_a_head_that_was_admitted_is_not_verified_again_when_its_body_has_come() -> None:
    journal = FakeJournal()
    ingress = ingress_with(journal)
    callback = recalled("ann")
    request = FakeRequest(callback)
    request.body = b""
    verdict = ingress.admit(request)
    assert ingress.in_flight == 1
    request.query, request.body = query_of("/"), callback.body
    ingress.accept(request, verdict)
    journal.resolve(True)
    assert request.status == 200
    assert ingress.in_flight == 0


def test_a_fault_of_ours_is_answered_500_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    normalize = Normalizer.usual

    def fail_for_eve(self: Normalizer, query: Query, body: bytes, *others: Any) -> Any:
        if b"eve" in body:
            raise RuntimeError("a bug")
        return normalize(self, query, body, *others)

    monkeypatch.setattr(Normalizer, "usual", fail_for_eve)
    journal = FakeJournal()
    ingress = ingress_with(journal)
    requests = [FakeRequest(recalled(name)) for name in ("ann", "eve", "bob")]
    for request in requests:
        ingress.accept(request)
    journal.resolve(True)
    assert [request.status for request in requests] == [200, 500, 200]
    assert requests[1].replies[0].closes
    assert ingress.in_flight == 0


# -- A stale time ------------------------------------------------------------------------------------------------------


def stale(age_s: int = 90, size: int = 0) -> FakeRequest:
    callback = recalled("late")
    callback = PostedCallback(callback.command, callback.body.ljust(size))
    return FakeRequest(callback, callback.signed(request_time=int(time.time()) - age_s))


def near(skew_s: float, began: float, age_s: int) -> bool:
    """Whether a skew is that of a callback which was signed at `began` with a time `age_s` before that."""
    return began - time.time() - 1 <= skew_s + age_s <= 1


@pytest.mark.parametrize("age_s", [90, -90, 11 * 3600])
def test_a_stale_time_is_refused_when_the_callback_is_kept_as_a_dead_letter(age_s: int) -> None:
    for durable, reason in ((True, "stale_time"), (False, "stale_not_kept")):
        refused = counted("refused_total", reason=reason)
        kept = counted("dead_letters_total", reason="stale_time")
        journal = FakeJournal()
        ingress = ingress_with(journal)
        began = time.time()
        request = stale(age_s)
        ingress.accept(request)
        assert request.replies == []
        journal.resolve(durable)
        assert request.status == 403
        assert ingress.in_flight == 0
        (record,) = journal.records
        assert record.topic == "im.events.dlq"
        headers = dict(record.headers)
        assert headers["reason"] == b"stale_time"
        assert near(int(headers["skew-seconds"]), began, age_s)
        assert near(ingress.clock_skew_s, began, age_s)
        assert counted("refused_total", reason=reason) == refused + 1
        assert counted("dead_letters_total", reason="stale_time") == kept + durable


@pytest.mark.parametrize("age_s", [13 * 3600, -13 * 3600, 30 * 86_400])
def test_a_time_that_is_hours_away_is_refused_by_the_head_alone_and_kept_nowhere(
    age_s: int, caplog: pytest.LogCaptureFixture
) -> None:
    refused = counted("refused_total", reason="expired")
    journal = FakeJournal()
    ingress = ingress_with(journal)
    began = time.time()
    request = stale(age_s)
    with pytest.raises(RefusedError) as raised:
        ingress.admit(request)
    ingress.refuse(request, raised.value.refusal)
    assert request.status == 403
    assert journal.records == []
    assert counted("refused_total", reason="expired") == refused + 1
    assert near(ingress.clock_skew_s, began, age_s)
    assert "is the clock of this machine right?" in caplog.text
    assert "BRIDGE_STALE_MAX_AGE_HOURS" in caplog.text


def test_stale_callbacks_that_are_too_many_or_find_no_room_are_refused_at_once_and_kept_nowhere() -> None:
    filling = FakeJournal()
    filling.fraction_used = 0.1
    cases: list[tuple[FakeJournal, dict[str, int]]] = [
        (FakeJournal(), {"stale_per_minute": 0}),
        (FakeJournal(), {"stale_bytes_per_minute": 100}),
        (FakeJournal(room=0), {}),
        (filling, {}),
    ]
    for journal, limits in cases:
        ingress = ingress_with(journal, **limits)
        before = counted("refused_total", reason="stale_not_kept")
        request = stale()
        ingress.accept(request)
        assert request.status == 403
        assert ingress.in_flight == 0
        assert journal.records == []
        assert counted("refused_total", reason="stale_not_kept") == before + 1


def test_of_large_stale_callbacks_few_are_kept_and_the_others_are_refused_before_their_body_is_read() -> None:
    journal = FakeJournal()
    ingress = ingress_with(journal)
    for _ in range(20):
        ingress.accept(stale(size=1_000_000))
    assert len(journal.records) == 4, "of 4 MiB a minute"
    with pytest.raises(RefusedError):
        ingress.admit(stale(size=1_000_000))
    ingress.forget()
    ingress.accept(stale())
    assert len(journal.records) == 5, "a small one still has room"
    real = FakeRequest(recalled("ann"))
    ingress.accept(real)
    journal.resolve(True)
    assert real.status == 200


# -- Before-callbacks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [True, False])
def test_a_before_callback_is_allowed_whether_it_is_durable_or_not(durable: bool) -> None:
    journal = FakeJournal()
    ingress = ingress_with(journal)
    request = FakeRequest(sample("Sns.CallbackPrevFriendAdd"))
    late = counted("refused_total", reason="deadline")
    ingress.accept(request)
    assert request.replies == []
    journal.resolve(durable)
    assert request.status == 200
    assert [item["To_Account"] for item in request.json["ResultItem"]] == ["sun.hao", "ana_p"]
    assert ingress.in_flight == 0
    assert counted("refused_total", reason="deadline") == late + (not durable)


def test_a_before_callback_that_cannot_be_kept_is_allowed_at_once() -> None:
    full = counted("refused_total", reason="journal_full")
    for body in (sample(f"{BEFORE}.v1").body, b"{"):
        request = FakeRequest(PostedCallback(BEFORE, body))
        ingress_with(FakeJournal(room=0)).accept(request)
        assert (request.status, request.json) == (200, OK)
    assert counted("refused_total", reason="journal_full") == full + 2


def test_a_before_callback_is_known_by_its_body_where_the_url_names_no_command() -> None:
    request = FakeRequest(
        PostedCallback("", orjson.dumps({"CallbackCommand": BEFORE, "To_Account": "a"})),
        signed_query(APP_ID, TOKEN, ""),
    )
    ingress_with(FakeJournal(room=0)).accept(request)
    assert (request.status, request.json) == (200, OK)
