"""Where callbacks differ from the documentation, it is counted, kept and logged: bounded, and without content."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import metrics
from bridge.events import registry
from bridge.normalize.differences import Difference, DriftReport, merged
from bridge.normalize.drift import LOG_INTERVAL_S, MAX_LABELS, MAX_UNKNOWN_COMMANDS, MAX_UNKNOWN_FIELDS, Drift
from bridge.normalize.repair import UnreadableError
from tests.support.callbacks import RECALLED, SENT, sample
from tests.support.events import Noted, records_of


def noted(command: str, body: object) -> list[tuple[str, str, str]]:
    drift = Noted()
    records_of(command, body, drift=drift)  # type: ignore[arg-type]
    return drift.items


def test_each_kind_of_difference_is_told_by_command_and_field() -> None:
    state = {"Info": {"Action": "Login", "To_Account": "a", "Reason": 7, "New": 1}, "Other": "x"}
    assert sorted(noted("State.StateChange", state)) == [
        ("type", "State.StateChange", "Info.Reason"),
        ("unknown_field", "State.StateChange", "Info.New"),
        ("unknown_field", "State.StateChange", "Other"),
    ]
    odd_times: list[Any] = ["soon", [], -1, {"Seconds": 1}]
    for event_time in odd_times:
        assert noted(RECALLED, sample(f"{RECALLED}.v1").json | {"eventTime": event_time}) == [
            ("type", RECALLED, "EventTime")
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


def test_made_up_names_are_counted_together_beyond_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    drift = Drift()
    for number in range(900):
        drift.note("unknown_command", f"Made.Up{number}", "", {"Text": 1})
        drift.note("unknown_field", SENT, f"Made{number}", "text")
    differences = drift.report().differences
    assert len(differences) == MAX_UNKNOWN_COMMANDS + 1 + MAX_UNKNOWN_FIELDS + 1
    assert [(one.place, one.count) for one in differences[:2]] == [
        (("unknown_field", SENT, "other"), 900 - MAX_UNKNOWN_FIELDS),
        (("unknown_command", "other", "other"), 900 - MAX_UNKNOWN_COMMANDS),
    ]
    assert len(caplog.records) == len(differences)
    labels = {
        tuple(sample.labels.values())
        for family in metrics.DRIFT.collect()
        for sample in family.samples
        if sample.name == "bridge_drift_total" and "Made" in f"{sample.labels}"
    }
    assert len(labels) == MAX_UNKNOWN_COMMANDS + MAX_UNKNOWN_FIELDS


def test_the_metric_has_labels_for_so_many_and_counts_all() -> None:
    drift = Drift()
    before = _count("unknown_field", "other", "other")
    documented = [entry.callback.command for entry in registry.ENTRIES]
    for command in documented:
        for number in range(MAX_UNKNOWN_FIELDS):
            drift.note("unknown_field", command, f"Label{number}", 1)
    labels = [
        sample.labels
        for family in metrics.DRIFT.collect()
        for sample in family.samples
        if sample.name == "bridge_drift_total" and sample.labels["field"].startswith("Label")
    ]
    assert len(labels) == MAX_LABELS
    too_many = MAX_UNKNOWN_FIELDS * len(documented) - MAX_LABELS
    assert _count("unknown_field", "other", "other") == before + too_many
    assert len(drift.report().differences) == MAX_LABELS + too_many


def test_a_flood_of_made_up_names_hides_no_other_difference() -> None:
    drift = Drift()
    drift.note("unknown_field", RECALLED, "Early", 1)
    for entry in registry.ENTRIES:
        for number in range(2 * MAX_UNKNOWN_FIELDS):
            if entry.callback.command != RECALLED:
                drift.note("unknown_field", entry.callback.command, f"Made{number}", "text")
            drift.note("unknown_command", f"{entry.callback.command}X{number}", "", {})
    late = [
        ("unknown_field", RECALLED, "Late"),
        ("type", SENT, "MsgTime"),
        ("missing_field", SENT, "MsgKey"),
        ("command", SENT, "CallbackCommand"),
    ]
    for kind, command, field in late:
        drift.note(kind, command, field, "text")
    shown = {one.place for one in drift.report().differences}
    assert shown.issuperset([("unknown_field", RECALLED, "Early"), *late])


def test_an_example_is_made_only_when_it_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr("bridge.normalize.drift.shape_of", lambda value: f"<{made.append(value)}>")  # type: ignore[func-returns-value]
    now = [0.0]
    drift = Drift(now=lambda: now[0])
    for second in range(100):
        now[0] = float(second)
        for name in ("Known", *(f"Made{number}" for number in range(2 * MAX_UNKNOWN_FIELDS))):
            drift.note("unknown_field", SENT, name, "text")
    assert len(made) == MAX_UNKNOWN_FIELDS + 1
    now[0] = -10.0
    drift.note("unknown_field", SENT, "Known", "text")
    assert len(made) == MAX_UNKNOWN_FIELDS + 2, "a clock that is set back makes nothing silent"


def test_the_report_says_how_often_since_when_and_what_it_looked_like() -> None:
    now = [1_700_000_000.0]
    drift = Drift(now=lambda: now[0])
    for second, value in ((1, {"Text": "a"}), (2, "later"), (3, "later")):
        now[0] = 1_700_000_000.0 + second
        drift.note("unknown_field", RECALLED, "New", value)
    drift.note("command", RECALLED, "CallbackCommand", "Room.CallbackUpdateRoomInfo")
    drift.note("command", SENT, "CallbackCommand", "secret of 13800138000")
    drift.note("missing_field", RECALLED, "To_Account")
    drift.note("unknown_field", RECALLED, "Null", None)
    report = drift.report()
    assert (report.since, report.silent) == (["2023-11-14T22:13:20.000Z"], 0)
    first, *others = report.differences
    assert first == Difference(
        "unknown_field",
        RECALLED,
        "New",
        3,
        "2023-11-14T22:13:21.000Z",
        "2023-11-14T22:13:23.000Z",
        "{Text: <text of 1>}",
    )
    assert {(one.place, one.shape) for one in others} == {
        (("command", RECALLED, "CallbackCommand"), "Room.CallbackUpdateRoomInfo"),
        (("command", SENT, "CallbackCommand"), "<hidden name>"),
        (("missing_field", RECALLED, "To_Account"), ""),
        (("unknown_field", RECALLED, "Null"), "null"),
    }


def difference(count: int, first: str, last: str, shape: str, *, field: str = "New") -> Difference:
    return Difference("unknown_field", SENT, field, count, first, last, shape)


def test_the_reports_of_several_processes_are_summed() -> None:
    one = DriftReport([difference(2, "01", "05", "old")], ["00"], "1.0")
    other = DriftReport([difference(3, "02", "06", "new"), difference(9, "03", "03", "", field="B")], ["-1"], "1.1")
    both = merged([one, other], silent=1)
    assert both.differences == [difference(9, "03", "03", "", field="B"), difference(5, "01", "06", "new")]
    assert (both.since, both.version, both.silent) == (["-1", "00"], "1.0, 1.1", 1)
    assert merged([]).differences == []


def test_a_command_that_is_any_text_is_hidden_and_breaks_no_line(caplog: pytest.LogCaptureFixture) -> None:
    drift = Drift()
    for command in ("x\r\ny" * 50, "\x1b[31m", "\ud83d", "张三", "a" * 500, "call 13800138000", "user.13800138000", ""):
        drift.note("unknown_command", command, "", {})
    (one,) = drift.report().differences
    assert (one.command, one.count) == ("<hidden name>", 8)
    (record,) = caplog.records
    assert re.fullmatch(r"[ -~]+", record.getMessage())
    assert "`bridge drift`" in record.getMessage()


def test_names_that_may_be_values_are_hidden_on_the_whole_way() -> None:
    drift = Drift()
    odd = dict.fromkeys(("alice@example.com", "13800138000", "@TGS#1A2B", "张三", "n" * 500, "a b", "\x1b[31m", ""), 1)
    records_of(SENT, sample(f"{SENT}.v3").json | odd | {"Nickname": {"alice": "SECRET", "bob": 1}}, drift=drift)
    assert {(one.field, one.count, one.shape) for one in drift.report().differences} == {
        ("<hidden name>", len(odd), "<integer>"),
        ("Nickname", 1, "{<hidden name>: <text of 6>}"),
    }


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
MAY_BE_SHOWN = re.compile(r"[A-Za-z0-9_.<>{}\[\]: ,…]{0,600}")


@given(command=st.text() | st.just(SENT), body=st.dictionaries(st.text(), ANY_JSON, max_size=6))
@settings(max_examples=200, deadline=None)
def test_whatever_is_posted_what_is_kept_is_short_and_plain(command: str, body: dict[str, Any]) -> None:
    drift = Drift()
    try:
        records_of(command, json.dumps(body).encode(), drift=drift)
    except UnreadableError:
        return
    for one in drift.report().differences:
        assert [text for text in (*one.place, one.shape) if not MAY_BE_SHOWN.fullmatch(text)] == []
