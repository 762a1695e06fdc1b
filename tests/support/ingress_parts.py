"""The ingress without a server and without a disk: requests and a journal that do as the test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson

from bridge.ingress.ingress import Ingress
from bridge.ingress.replies import PlatformReply
from bridge.ingress.request import Fields
from bridge.journal.journal import JournalFullError
from bridge.journal.record import Record
from bridge.query import query_of
from bridge.settings import BridgeSettings
from tests.support.callbacks import APP_ID, TOKEN, PostedCallback


class FakeJournal:
    """Keeps records in a list.

    Args:
        outcome: what it tells of each record as soon as the event loop comes to it; None: nothing until `resolve`.
        room: how many records it takes.
    """

    def __init__(self, outcome: bool | None = None, *, room: int = 1_000_000) -> None:
        self.records: list[Record] = []
        self.fraction_used = 0.0
        self._outcome = outcome
        self._room = room
        self._pending: list[Callable[[bool], None]] = []

    def append(self, record: Record, resolve: Callable[[bool], None], /) -> None:
        """Keep the record, and tell `resolve` the outcome: see `Journal.append`.

        Raises:
            JournalFullError: there is no room.
        """
        if len(self.records) >= self._room:
            raise JournalFullError("no room is left")
        self.records.append(record)
        if self._outcome is None:
            self._pending.append(resolve)
        else:
            asyncio.get_running_loop().call_soon(resolve, self._outcome)

    def resolve(self, durable: bool) -> None:
        """Tell this of all records of which nothing was told yet."""
        pending, self._pending = self._pending, []
        for resolve in pending:
            resolve(durable)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The records that are events."""
        return [orjson.loads(record.value) for record in self.records if record.topic == "im.events"]


class FakeRequest:
    """A request that has arrived whole, and every reply to it."""

    def __init__(
        self, callback: PostedCallback, query: str | None = None, *, method: str = "POST", **facts: str
    ) -> None:
        self.fields = Fields(
            method=method,
            forwarded_for=facts.get("forwarded_for", ""),
            traceparent=facts.get("traceparent", ""),
            tracestate=facts.get("tracestate", ""),
        )
        self.query = query_of(f"POST /{callback.signed() if query is None else query}")
        self.peer: str | None = facts.get("peer", "203.0.113.9")
        self.body = callback.body
        self.size = len(callback.body)
        self.arrived = time.perf_counter()
        self.replies: list[PlatformReply] = []

    def take_body(self) -> bytes:
        """The whole body."""
        return self.body

    def respond(self, reply: PlatformReply) -> None:
        """Remember a reply."""
        self.replies.append(reply)

    @property
    def status(self) -> int:
        """HTTP status of the one reply."""
        (reply,) = self.replies
        return int(reply.status)

    @property
    def json(self) -> dict[str, Any]:
        """What the one reply says."""
        (reply,) = self.replies
        parsed = orjson.loads(reply.content)
        assert isinstance(parsed, dict)
        return parsed


def settings(**given: Any) -> BridgeSettings:
    """Settings of an ingress with one app. `given` replaces some by field name."""
    return BridgeSettings.model_validate({"apps": {APP_ID: [TOKEN]}, **given})


def ingress_with(journal: FakeJournal, **given: Any) -> Ingress:
    """An ingress on this journal. `given` replaces some of its settings, by field name."""
    return Ingress(settings(**given), journal)
