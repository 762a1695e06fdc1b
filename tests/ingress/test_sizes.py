"""What is too large, or holds too much, is told so before it is acknowledged."""

from __future__ import annotations

import logging

import orjson
import pytest

from bridge import metrics
from tests.support.callbacks import RECALLED, PostedCallback
from tests.support.ingress_parts import FakeJournal, FakeRequest, ingress_with


def _refused() -> float:
    return metrics.REGISTRY.get_sample_value("bridge_refused_total", {"reason": "record_too_large"}) or 0.0


def test_a_body_that_would_become_a_larger_record_than_kafka_takes_is_kept_as_it_came_and_told_so() -> None:
    journal = FakeJournal()
    body = orjson.dumps({"To_Account": "a", "New": "\x01" * 500_000})  # Written as JSON it has six times as many bytes.
    swelling = PostedCallback(RECALLED, b'{"To_Account":"a","New":"%b"}' % (b"\x01" * 900_000))
    for callback in (swelling, PostedCallback(RECALLED, body[:-2] + b"x" * 400_000 + b'"}')):
        request = FakeRequest(callback)
        ingress_with(journal, max_body_bytes=4_000_000, max_record_bytes=4_100_000).accept(request)
        journal.resolve(True)
        assert (request.status, request.json["ActionStatus"]) == (200, "FAIL" if callback is swelling else "OK")
    letter, event = journal.records
    assert (letter.topic, letter.value) == ("im.events.dlq", swelling.body)
    assert dict(letter.headers)["reason"] == b"too_large"
    assert event.topic == "im.events"


def test_what_fits_into_no_record_at_all_is_refused_counted_and_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    journal = FakeJournal()
    refused = _refused()
    ingress = ingress_with(journal, drop_fields="Secret", max_record_bytes=1_200_000)
    request = FakeRequest(PostedCallback(RECALLED, b'{"Secret":1,"New":"%b"}' % (b"\x01" * 900_000)))
    with caplog.at_level(logging.WARNING):
        ingress.accept(request)
    assert request.status == 413
    assert journal.records == []
    assert ingress.in_flight == 0
    assert _refused() == refused + 1
    assert "BRIDGE_MAX_RECORD_BYTES" in caplog.text


@pytest.mark.parametrize(
    "command", ["Push.OfflinePush", RECALLED, "C2C.CallbackBeforeSendMsg", "New.Thing", "Sns.CallbackPrevFriendAdd"]
)
def test_a_body_of_absurdly_many_values_is_one_dead_letter_as_it_came(command: str) -> None:
    journal = FakeJournal()
    bomb = PostedCallback(command, b'{"Events":[%b]}' % b",".join([b"{}"] * 300_000))
    request = FakeRequest(bomb)
    ingress_with(journal).accept(request)
    journal.resolve(True)
    assert request.status == 200
    assert [(record.topic, record.value) for record in journal.records] == [("im.events.dlq", bomb.body)]
