"""What the reference says of the identity of every command's events, compared with what happens."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from bridge.contract.examples import documented_bodies, made_body
from bridge.events import registry
from bridge.events.exactness import IdentityField
from bridge.normalize.normalizer import Normalizer
from tests.support.events import NOON_NS, normalizer, received
from tests.support.identity_variants import TIME_MS, said_identity, variants

HALF_A_MINUTE_NS = 30_000_000_000


@pytest.fixture(scope="module")
def bridge() -> Normalizer:
    return normalizer()


def ids(bridge: Normalizer, command: str, body: Any, time_ns: int, **query: Any) -> list[str]:
    query["request_time"] = time_ns // 10**9
    records = bridge.event(received(command, orjson.dumps(body), time_ns=time_ns, **query))
    return [orjson.loads(record.value)["id"] for record in records]


def bodies(entry: registry.Entry) -> Iterator[dict[str, Any]]:
    """The documented ones and one with every documented field; of a batch, its items."""
    for body in (*documented_bodies().get(entry.callback.command, ()), made_body(entry)):
        parsed = orjson.loads(body)
        yield from parsed[entry.callback.batch] if entry.callback.batch else [parsed]


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.callback.command)
def test_two_deliveries_half_a_minute_apart_have_one_id_exactly_where_the_reference_says_so(
    entry: registry.Entry, bridge: Normalizer
) -> None:
    differing: list[str] = []
    said_of_id: dict[str, str | None] = {}
    for body in bodies(entry):
        for variant in variants(body):
            first, second = (
                ids(bridge, entry.callback.command, _as_sent(entry, variant.body), time_ns)
                for time_ns in (NOON_NS, NOON_NS + HALF_A_MINUTE_NS)
            )
            said = said_identity(entry, variant.body)
            if (first == second) != (said is not None):
                differing.append(f"{variant.name}: said to be {said or 'weak'}: {variant.body}")
            assert said_of_id.setdefault(first[0], said) == said, f"{variant.name}: taken for another event"
    assert not differing
    assert None in said_of_id.values()
    assert (len(set(said_of_id.values())) > 1) == entry.callback.exact, "both happen, or nothing was compared"


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.callback.command)
def test_bodies_that_differ_in_any_part_of_the_identity_have_different_ids(
    entry: registry.Entry, bridge: Normalizer
) -> None:
    compared = set()
    for documented in bodies(entry):
        for identity in entry.exactness.identities:
            body = _known_by(documented, identity, entry)
            others = {field.path: other for field in identity if (other := _differing(body, field)) is not None}
            sent = [(body, {}), *others.values()]
            found = [ids(bridge, entry.callback.command, _as_sent(entry, one), NOON_NS, **query) for one, query in sent]
            assert len({tuple(one) for one in found}) == len(found), (list(others), body)
            compared |= set(others)
    assert compared >= {field.path for identity in entry.exactness.identities for field in identity}


def _known_by(body: dict[str, Any], identity: tuple[IdentityField, ...], entry: registry.Entry) -> dict[str, Any]:
    """The body with EventTime where this identity takes it, and without what only those before it require."""
    others = entry.exactness.identities[: entry.exactness.identities.index(identity)]
    without = {field.declared[0].tencent for other in others for field in other if field not in identity}
    time = {"EventTime": TIME_MS} if any(field.needs_ms for field in identity) else {}
    return {name: value for name, value in body.items() if name not in without} | time


def _as_sent(entry: registry.Entry, body: dict[str, Any]) -> dict[str, Any]:
    return {entry.callback.batch: [body]} if entry.callback.batch else body


def _differing(body: dict[str, Any], field: IdentityField) -> tuple[dict[str, Any], dict[str, str]] | None:
    """The same with another value of this field, and what is else in the URL; None where the field is not there."""
    if field.path == "platform":
        return body, {"OptPlatform": "Web"}
    other = copy.deepcopy(body)
    names = [part.tencent for part in field.declared] or ["EventTime"]
    return (other, {}) if _change(other, names) else None


def _change(value: Any, names: list[str]) -> bool:
    """Put another value of the same type at the end of the path; whether there is one."""
    while isinstance(value, list) and value:
        value = value[0]
    name, *rest = names
    if not isinstance(value, dict) or value.get(name) in (None, "", []):
        return False
    if rest:
        return _change(value[name], rest)
    value[name] = _other(value[name])
    return True


def _other(value: Any) -> Any:
    if isinstance(value, list):
        return [*value, value[0]] if not isinstance(value[0], dict) else [_other(value[0]), *value[1:]]
    if isinstance(value, dict):
        name = next(name for name, item in value.items() if not isinstance(item, bool | list) and name != "RoomId")
        return value | {name: _other(value[name])}
    if isinstance(value, str):
        return str(int(value) + 1) if value.isdigit() else f"{value} and more"
    return value + 1
