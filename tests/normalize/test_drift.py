"""Where callbacks differ from the documentation, it is counted and logged: bounded, and without content."""

from __future__ import annotations

import logging
import re

import pytest

from bridge import metrics
from bridge.normalize.drift import LOG_INTERVAL_S, MAX_ITEMS, Drift, mask
from tests.support.callbacks import RECALLED, SENT, sample
from tests.support.events import Noted, records_of


def noted(command: str, body: object) -> list[tuple[str, str, str]]:
    drift = Noted()
    records_of(command, body, drift=drift)  # type: ignore[arg-type]
    return drift.items


def test_each_kind_of_difference_is_told_by_command_and_field() -> None:
    state = {"Info": {"Action": "Login", "To_Account": 7, "Reason": "Register", "New": 1}, "Other": "x"}
    assert sorted(noted("State.StateChange", state)) == [
        ("type", "State.StateChange", "Info.To_Account"),
        ("unknown_field", "State.StateChange", "Info.New"),
        ("unknown_field", "State.StateChange", "Other"),
    ]
    assert noted(RECALLED, {"To_Account": "a", "MsgKey": "k"}) == [("missing_field", RECALLED, "From_Account")]
    assert ("missing_field", RECALLED, "From_Account") in noted(RECALLED, {"To_Account": "a", "MsgKey": "k", "New": 1})
    assert noted("New.Thing", {"a": 1}) == [("unknown_command", "New.Thing", "")]
    assert noted(RECALLED, sample(f"{RECALLED}.v1").json | {"CallbackCommand": SENT}) == [
        ("command", RECALLED, "CallbackCommand")
    ]


def test_optional_fields_are_not_missed_and_flags_are_no_surprise() -> None:
    assert noted(RECALLED, sample(f"{RECALLED}.v2").body) == []
    message = sample(f"{SENT}.v3").json | {"OnlineOnlyFlag": 0, "SupportMessageExtension": 1, "UnreadMsgNum": 3}
    assert noted(SENT, message) == []


def _count(kind: str, command: str, field: str) -> float:
    value = metrics.REGISTRY.get_sample_value("bridge_drift_total", {"kind": kind, "command": command, "field": field})
    return value or 0.0


def test_every_difference_counts_and_is_logged_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    drift = Drift(now=lambda: now[0])
    before = _count("unknown_field", RECALLED, "Nickname")
    with caplog.at_level(logging.WARNING):
        for second in (0.0, 1.0, LOG_INTERVAL_S - 1, LOG_INTERVAL_S + 1):
            now[0] = second
            drift.note("unknown_field", RECALLED.lower(), "Nickname", "secret text")
    assert _count("unknown_field", RECALLED, "Nickname") == before + 4
    assert len(caplog.records) == 2
    line = caplog.records[0].getMessage()
    assert RECALLED in line
    assert "Nickname" in line
    assert "secret" not in line


def test_labels_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    drift = Drift()
    for number in range(MAX_ITEMS + 200):
        drift.note("unknown_command", f"Made.Up{number}")
    labels = {
        sample.labels["command"]
        for family in metrics.DRIFT.collect()
        for sample in family.samples
        if sample.name == "bridge_drift_total" and sample.labels["command"].startswith(("Made.Up", "other"))
    }
    assert len(labels) == MAX_ITEMS + 1
    assert _count("unknown_command", "other", "other") >= 200
    assert len(caplog.records) <= MAX_ITEMS


def test_a_name_is_cut_and_has_nothing_that_breaks_a_line(caplog: pytest.LogCaptureFixture) -> None:
    Drift().note("unknown_field", "x\r\ny" * 50, "\ud83d\x00" + "n" * 500, {})
    (record,) = caplog.records
    assert re.fullmatch(r"[ -~…]+", record.getMessage())
    assert len(record.getMessage()) < 300


def test_a_masked_sample_shows_the_shape_and_no_content() -> None:
    body = {"Text": "hello", "Number": 7, "Flag": True, "None": None, "List": [{"Deep": {"Deeper": {"x": "y"}}}, 2]}
    shown = mask(body)
    assert shown == ("{Text: <text of 5>, Number: <int>, Flag: <bool>, None: null, List: [{Deep: <object of 1>}, …]}")
    assert len(mask({str(number): "x" for number in range(1000)})) <= 300
