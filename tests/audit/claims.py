"""Lives in a folder, as processes of an ingress begin them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from bridge.audit.ledger import Claim, claim
from bridge.journal.groups import Group
from bridge.journal.numbering import LEAST_RING
from bridge.journal.record import Record
from common.audit.statement import Statement, TopicStatement

TOPIC = "im.events"
TEMPLATE = Statement(
    process="",
    epoch=0,
    folder="",
    host="here",
    pid=1,
    version="0.1.0",
    started_ms=1,
    time_ms=1,
    interval_s=10.0,
    topics={TOPIC: TopicStatement(given=0)},
)


def nothing() -> list[Record]:
    return []


def begin(folder: Path, refused: Callable[[], list[Record]] = nothing) -> Claim:
    return claim(folder, TEMPLATE, LEAST_RING, refused)


def take(claimed: Claim, count: int, *durable: int) -> list[Record]:
    """Give numbers to so many records, of which these become durable."""
    group = Group(TOPIC, 0.0)
    for _ in range(count):
        group.add(Record(TOPIC, b"", b"", [], 0), None)
    numbers = claimed.marks.numbering()[TOPIC]
    numbers.number(group.records)
    for number in durable:
        numbers.ring.marks[number] = 1
    return [pending.record for pending in group.records]


def killed(live: Callable[[], object]) -> None:
    """Have a process live so, and be killed."""
    if (child := os.fork()) == 0:
        try:
            live()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
