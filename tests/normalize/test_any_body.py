"""Every documented body, and whatever else may come: events are valid, and no value is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.contract.examples import made_body
from bridge.events import DATA_TYPES, registry
from bridge.journal.record import Record
from bridge.normalize.attributes import event_time_ms
from bridge.normalize.numbers import whole_number
from bridge.normalize.repair import UnreadableError
from tests.support.callbacks import PostedCallback, samples
from tests.support.events import EVENTS, Noted, checked_event, records_of


def leaves(value: Any) -> Iterator[str]:
    """Every value at the end of a branch, in a form that does not tell `7` from `"7"` or `7.0`, and `1` from `true` or
    `"true"`."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif value is not None:
        value = value == "true" if value in ("true", "false") else value
        number = int(value) if isinstance(value, bool) else whole_number(value)
        yield str(value if number is None else number)


def lost(body: Any, records: list[Record]) -> Counter[str]:
    """The values of a body that none of its records has."""
    kept: Counter[str] = Counter()
    for record in records:
        value = orjson.loads(record.value)
        kept.update(leaves(value["data"] if record.topic == EVENTS else value))
        if record.topic == EVENTS:
            # What became an attribute: the command, and the time.
            kept.update(leaves([value["callbackcommand"], value.get("bodycommand")]))
    fields = body.get("Events", [body]) if isinstance(body, dict) else [body]
    wanted = Counter(leaves(body))
    for item in (*fields, body) if isinstance(fields, list) else ():
        if isinstance(item, dict):
            wanted -= Counter(_attributes(item, kept))
    return wanted - kept


def _attributes(item: dict[str, Any], kept: Counter[str]) -> Iterator[str]:
    for name, value in item.items():
        if name.lower() == "eventtime" and event_time_ms(value) is not None:
            yield from leaves(value)
        if name.lower() == "callbackcommand" and any(str(value).lower() == one.lower() for one in kept):
            yield str(value)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.integers(0, 9), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=3),
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Any]:
    """A documented body with one to three changes at any depth."""
    callback: PostedCallback = draw(st.sampled_from(list(samples().values())))
    body = callback.json
    for _ in range(draw(st.integers(1, 3))):
        _mutate(draw, body)
    return callback.command, body


def _mutate(draw: st.DrawFn, body: dict[str, Any]) -> None:
    objects = list(_objects(body))
    target = draw(st.sampled_from(objects))
    names = list(target)
    change = draw(st.sampled_from(["drop", "retype", "add", "case", "text"]))
    if change == "add" or not names:
        target[draw(st.text(max_size=8))] = draw(ODD)
        return
    name = draw(st.sampled_from(names))
    if change == "drop":
        del target[name]
    elif change == "retype":
        target[name] = draw(ODD)
    elif change == "case":
        target[draw(st.sampled_from([name.lower(), name.upper(), name.swapcase()]))] = target.pop(name)
    elif isinstance(target[name], int):
        target[name] = str(target[name])


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_whatever_differs_the_events_are_valid_and_no_value_is_lost(case: tuple[str, Any]) -> None:
    command, body = case
    try:
        records = records_of(command, orjson.dumps(body))
    except UnreadableError:
        assert not any(isinstance(item, dict) for item in body["Events"])
        return
    for record in records:
        if record.topic == EVENTS:
            checked_event(record)
    assert lost(body, records) == {}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(DATA_TYPES)), st.binary(max_size=200))
def test_any_bytes_become_an_event_or_are_unreadable(event_type: str, body: bytes) -> None:
    try:
        for record in records_of(DATA_TYPES[event_type].callback.command, body):
            if record.topic == EVENTS:
                checked_event(record)
    except UnreadableError:
        pass


def bodies() -> list[Any]:
    """Every documented body, and one with every documented field for each command."""
    documented = [pytest.param(callback.command, callback.body, id=name) for name, callback in samples().items()]
    made = [
        pytest.param(entry.callback.command, made_body(entry), id=f"{entry.callback.command}.made")
        for entry in registry.ENTRIES
    ]
    return documented + made


@pytest.mark.parametrize(("command", "body"), bodies())
def test_a_documented_body_becomes_a_valid_event_of_its_type_with_nothing_unknown(command: str, body: bytes) -> None:
    entry = registry.find(command)
    assert entry is not None
    drift = Noted()
    for record in records_of(command, body, drift=drift):
        event = checked_event(record)
        assert event["type"] == entry.callback.type
        assert "unknown" not in event["data"]
        assert "repaired" not in event
        assert event.get("bodycommand") in {None, *entry.callback.aliases}
    assert drift.items == []


@pytest.mark.parametrize(("command", "body"), bodies())
def test_no_value_of_a_documented_body_is_lost(command: str, body: bytes) -> None:
    assert lost(orjson.loads(body), records_of(command, body)) == {}
