"""Whether a server does its work, before it is measured: what it refuses, and what it publishes.

Its records must be those that the bridge makes of the same callbacks: equal in key, headers and all of the event but
`receivedtime`. Only the bridge's have a number (`common.audit.header`).
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from bench.kafkas import Kafka
from bench.load.requests import MIXES, callback
from bench.rows import Running
from bridge.normalize.received import Received
from bridge.query import parse_query
from common.audit.header import HEADER as NUMBER
from tests.support.callbacks import APP_ID, PostedCallback
from tests.support.events import normalizer
from tests.support.http import request
from tests.support.topic import TopicMessage, read_all
from tests.support.waiting import wait_until

ACCOUNTS = 5
WAIT_S = 30.0


class CheckError(Exception):
    """A server does not do what it is measured for; the message says what."""


def check(name: str, server: Running, kafka: Kafka) -> None:
    """Post callbacks of each command, and some that must be refused. Raises CheckError."""
    for why, query in _bad_queries().items():
        status = _post(server, callback("C2C.CallbackAfterMsgWithDraw", "nobody", 1, _now_ms()), **query)
        if status == 200:
            raise CheckError(f"{name} acknowledges a callback {why}")
    posted = {}
    for number in range(ACCOUNTS):
        for command in dict.fromkeys(MIXES["mixed"]):
            one = callback(command, f"check-{number}-{command}", number, _now_ms())
            if (status := _post(server, one)) != 200:
                raise CheckError(f"{name} answers {status} to {command}")
            posted[one.body] = one
    wanted = sorted((_expected(one) for one in posted.values()), key=_key)
    found = wait_records(kafka, server.topic, len(wanted))
    if found != wanted:
        differing = next((pair for pair in zip(found, wanted, strict=False) if pair[0] != pair[1]), (found, wanted))
        raise CheckError(f"{name} has published\n{differing[0]}\nwhere the bridge's is\n{differing[1]}")


def wait_records(kafka: Kafka, topic: str, count: int) -> list[dict[str, Any]]:
    """What is on the topic, as soon as it is that much."""
    records: list[TopicMessage] = []

    def are_there() -> bool:
        records[:] = read_all(kafka.bootstrap, topic)
        return len(records) >= count

    wait_until(are_there, timeout=WAIT_S, what=f"{count} records on {topic}")
    return sorted((_comparable(one.key, one.headers, one.event) for one in records), key=_key)


def _expected(one: PostedCallback) -> dict[str, Any]:
    query = parse_query(one.signed().removeprefix("?"))
    (record,) = normalizer().event(Received(query, one.body, time.time_ns()))
    return _comparable(record.key, record.headers, orjson.loads(record.value))


def _comparable(key: bytes | None, headers: Any, event: dict[str, Any]) -> dict[str, Any]:
    compared = [(name, value) for name, value in headers if name != NUMBER]
    return {"key": key, "headers": compared, "event": {**event, "receivedtime": len(event["receivedtime"])}}


def _key(one: dict[str, Any]) -> str:
    return str(one["event"]["id"])


def _bad_queries() -> dict[str, dict[str, str | int | None]]:
    stale = int(time.time()) - 3600
    return {
        "with a wrong signature": {"Sign": "0" * 64},
        "without a signature": {"Sign": None},
        "of another app": {"SdkAppid": "1400000001"},
        "that was signed an hour ago": {"request_time": stale},
    }


def _post(server: Running, one: PostedCallback, **query: Any) -> int:
    url = f"http://127.0.0.1:{server.port}/callback{one.signed(app_id=APP_ID, **query)}"
    return request("POST", url, one.body).status


def _now_ms() -> int:
    return int(time.time() * 1000)
