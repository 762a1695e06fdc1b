"""`consumers desk`, which the page starts: nobody else is told of it, and it answers whatever it is asked."""

from __future__ import annotations

import subprocess
from typing import Any

import orjson

from bridge.devstack.service import environment
from tests.support.commands import BRIDGE

CONSUMERS = BRIDGE.with_name("consumers")
NOBODY = {"CONSUMERS_REDIS_URL": "redis://127.0.0.1:9/0", "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}


def test_it_is_hidden_from_the_help_and_works_nevertheless() -> None:
    told = said("--help")
    assert "dlq" in told
    assert "desk" not in told
    assert "bridge console" in said("desk", "--help")
    assert answers({"id": 7, "do": "workers", "workers": {}, "letters": False}) == [{"id": 7, "result": []}]


def test_an_error_says_whether_it_may_quote_an_event() -> None:
    unknown = {"id": 1, "do": "replay", "worker": "no-such-worker", "chosen": {}}
    away = {"id": 2, "do": "badge", "account": "ann"}
    wrong = {"id": 3, "do": "nothing of the kind"}
    found = {one["id"]: one for one in answers(unknown, away, wrong)}
    assert {number: one["may_quote"] for number, one in found.items()} == {1: False, 2: True, 3: True}
    assert "no-such-worker" in found[1]["error"]


def said(*arguments: str) -> str:
    """What `consumers` prints for these arguments."""
    return subprocess.run([CONSUMERS, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


def answers(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    """What it answers to these, each a line."""
    child = subprocess.Popen(
        [CONSUMERS, "desk"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(NOBODY)
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        child.stdin.write(b"".join(orjson.dumps(one) + b"\n" for one in requests))
        child.stdin.flush()
        found = [orjson.loads(child.stdout.readline()) for _ in requests]
        child.stdin.close()  # It ends when its standard input does.
    assert child.returncode == 0
    return found
