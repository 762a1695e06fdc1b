"""A documented callback that is sent twice is two callbacks."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.contract.fresh import fresh
from bridge.contract.samples import samples
from bridge.events.registry import find
from tests.support.events import NOON_NS, normalizer, received

EXACT = sorted(
    name for name, sample in samples().items() if (entry := find(sample.command)) is not None and entry.callback.exact
)


def ids(command: str, body: bytes) -> set[str]:
    """Those of its events, but where it carries no time and is told apart by that of its receipt."""
    of_receipts = [
        {orjson.loads(record.value)["id"] for record in normalizer().event(received(command, body, time_ns=time_ns))}
        for time_ns in (NOON_NS, NOON_NS + 1)
    ]
    return set.intersection(*of_receipts)


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value)


@pytest.mark.parametrize("name", EXACT)
def test_each_time_it_has_other_ids_and_the_same_shape(name: str) -> None:
    sample = samples()[name]
    first, second = fresh(sample.body, 1_790_000_000_000), fresh(sample.body, 1_790_000_001_000)
    assert not ids(sample.command, first) & ids(sample.command, second)
    assert not ids(sample.command, first) & ids(sample.command, sample.body)
    assert shape(orjson.loads(first)) == shape(orjson.loads(sample.body))


def test_what_is_equal_in_a_body_stays_equal_and_what_differs_differs() -> None:
    body = {"MsgSeq": 7, "List": [{"MsgSeq": 7, "MsgKey": "1_2_1600000000"}, {"MsgSeq": 8, "MsgKey": "1_3_1600000000"}]}
    made = orjson.loads(fresh(orjson.dumps(body)))
    first, second = made["List"]
    assert made["MsgSeq"] == first["MsgSeq"] != second["MsgSeq"]
    assert first["MsgKey"] != second["MsgKey"]


def test_accounts_groups_texts_and_counts_stay() -> None:
    body = {"To_Account": "1600000000", "GroupId": "@TGS#1", "Text": "1600000000", "UnreadMsgNum": 7, "AcceptTime": 0}
    assert orjson.loads(fresh(orjson.dumps(body))) == body
