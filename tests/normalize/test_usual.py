"""The short way of a usual callback: what it makes, the long way makes too, byte for byte."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any
from unittest import mock

import msgspec
import pytest
from msgspec.structs import astuple

from bridge.contract.samples import samples
from bridge.events import parse_event
from bridge.journal.record import Record
from bridge.normalize.normalizer import Normalizer
from bridge.normalize.received import Received
from bridge.normalize.repair import UnreadableError
from bridge.query import parse_query
from tests.support.callbacks import APP_ID, RECALLED
from tests.support.events import NOON_NS, Noted, normalizer, received

VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 2**63, 1_557_481_126, 1_557_481_126_123, 253_402_300_800_000, 99_999_999_999, 1.5, 1e300),
    *(
        "",
        "ann",
        "Ärztin",
        "a\x7fb",
        'a"b',
        "a\\b",
        "a\ud800",
        "x" * 257,
        "1557481126123",
        "\u2028",
        [],
        ["ann"],
        [None],
        {},
        {"a": 1},
    ),
)


def anything_like(chance: random.Random, body: dict[str, Any]) -> bytes:
    """The body, or one that differs a little."""
    changed = dict(body)
    for _ in range(chance.choice((0, 1, 1, 2))):
        name = chance.choice(list(changed)) if changed else "x"
        match chance.randrange(4):
            case 0:
                changed.pop(name, None)
            case 1:
                changed["".join(chance.sample(name, len(name)))] = changed.get(name)
            case _:
                changed[name] = chance.choice(VALUES)
    written = json.dumps(
        changed, ensure_ascii=chance.random() < 0.5, separators=chance.choice(((",", ":"), (", ", ": ")))
    )
    found = written.encode(errors="surrogatepass")
    if chance.random() < 0.1:
        at = chance.randrange(len(found) + 1)
        found = found[:at] + chance.choice((b"\xff", b"\0", b" ", b'"', b"}", b"1", b",")) + found[at:]
    return found


def callbacks(chance: random.Random) -> Iterator[Received]:
    """Each documented callback, many times."""
    for sample in samples().values():
        body = json.loads(sample.body)
        for number in range(12):
            command = chance.choice((*[sample.command] * 6, sample.command.lower(), RECALLED))
            ip = chance.choice(("203.0.113.7", "2001:db8::7", "", "a%00b", "%FF", "a%22b", "a%5Cb", "x" * 300))
            content = anything_like(chance, body) if number % 3 else sample.body
            callback = received(
                command,
                content,
                time_ns=NOON_NS + number * 7_000_001,
                ClientIP=ip,
                OptPlatform=chance.choice(("iOS", "RESTAPI", "")),
            )
            yield msgspec.structs.replace(
                callback, trace=chance.choice(((), (("traceparent", b"00-1"), ("tracestate", b"a=b"))))
            )


def made(one: Normalizer, callback: Received) -> list[Record] | str:
    """What becomes of a callback."""
    try:
        return one.event(callback)
    except UnreadableError as error:
        return f"{error.reason}: {error}"


@pytest.mark.parametrize("max_record_bytes", [2**20, 1_500])
def test_the_long_way_makes_the_same_of_any_callback_and_tells_the_same_drift(max_record_bytes: int) -> None:
    noted = Noted(), Noted()
    short, long = (normalizer(drift=drift, max_record_bytes=max_record_bytes) for drift in noted)
    long._usual = None
    usual = 0
    for callback in callbacks(random.Random(1)):
        assert short._usual is not None
        usual += short._usual.record(*astuple(callback)) is not None
        assert made(short, callback) == made(long, callback), callback
    assert noted[0].items == noted[1].items
    assert usual > 200


@pytest.mark.parametrize("unreadable", ["\udcff", "203.0.113.7\udcff"], ids=["byte", "end"])
@pytest.mark.parametrize("name", ["ClientIP", "clientip", "OptPlatform"])
def test_a_query_that_is_no_utf8_loses_no_callback(name: str, unreadable: str) -> None:
    sample = samples()[f"{RECALLED}.v1"]
    query = parse_query(f"SdkAppid={APP_ID}&CallbackCommand={RECALLED}&contenttype=json&{name}={unreadable}")
    callback = Received(query, sample.body, NOON_NS)
    short, long = normalizer(), normalizer()
    long._usual = None
    (record,) = short.event(callback)
    assert [record] == long.event(callback)
    parse_event(record.value)


def test_the_documented_bodies_go_the_short_way() -> None:
    one = normalizer()
    assert one._usual is not None
    usual = [
        name
        for name, sample in samples().items()
        if one._usual.record(*astuple(received(sample.command, sample.body))) is not None
    ]
    for command in ("C2C.CallbackAfterMsgWithDraw", "C2C.CallbackAfterSendMsg", "Group.CallbackAfterSendMsg"):
        assert any(name.startswith(command) for name in usual), command


@pytest.mark.parametrize("settings", [{"drop_fields": ["MsgBody"]}, {"keep_raw": True}])
def test_where_bodies_are_changed_or_kept_all_go_the_long_way(settings: dict[str, Any]) -> None:
    with mock.patch("bridge.normalize.usual.UsualEvents.record", side_effect=AssertionError):
        sample = samples()[f"{RECALLED}.v1"]
        assert len(normalizer(**settings).event(received(sample.command, sample.body))) == 1
