"""Dead letters as the commands see them: which are meant, and which are done."""

from __future__ import annotations

import time

import orjson
import pytest
from aiokafka import ConsumerRecord

from common.dead_letter_filter import DeadLetterFilter, parse_time
from common.kafka.dead_letters import DeadLetter, done_topic
from consumers.settings import ConsumersSettings
from tests.support.badge_model import badge_event


def as_letter(headers: list[tuple[str, bytes | None]], value: bytes = b"{}") -> DeadLetter:
    return DeadLetter(ConsumerRecord("dlq", 3, 7, 1000, 0, b"ann", value, None, 0, 0, tuple(headers)))


def test_a_header_without_a_value_is_an_empty_one() -> None:
    assert as_letter([("reason", None), ("detail", b"\xff")]).headers == {"reason": "", "detail": "\ufffd"}


def test_a_marker_names_no_letter_of_a_topic_that_was_made_anew() -> None:
    first = as_letter([])
    anew = DeadLetter(ConsumerRecord("dlq", 3, 7, 2000, 0, b"ann", b"{}", None, 0, 0, ()))
    assert first.name == anew.name == "3-7"
    assert first.marker_key != anew.marker_key


def test_markers_are_kept_longer_than_letters_and_not_for_ever() -> None:
    topic = done_topic(ConsumersSettings.model_validate({"dlq_retention_hours": 24}).dead_letters)
    assert topic.name == "im.events.dlq.done"
    assert topic.configs == {"cleanup.policy": "compact,delete", "retention.ms": str(15 * 86_400_000)}


def test_times_are_absolute_or_so_long_ago() -> None:
    assert parse_time("2026-01-31T12:00") == parse_time("2026-01-31T13:00+01:00") == 1_769_860_800_000
    assert abs(parse_time("2h") - (time.time() - 7200) * 1000) < 5000
    with pytest.raises(ValueError, match="no time"):
        parse_time("yesterday")


def test_a_filter_admits_what_fits_all_of_it() -> None:
    value = orjson.dumps(badge_event("a", "ann", 1))
    found = as_letter([("group", b"badges"), ("reason", b"handler_failed")], value)
    assert found.fits(
        DeadLetterFilter(type="im.c2c.*", account="ann", group="badges", reason="handler_failed", since_ms=1000)
    )
    for wrong in (
        DeadLetterFilter(type="im.group.*"),
        DeadLetterFilter(account="bob"),
        DeadLetterFilter(group="x"),
        DeadLetterFilter(until_ms=1000),
    ):
        assert not found.fits(wrong)
