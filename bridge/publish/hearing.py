"""Whether Kafka answers a producer, where nothing that was sent would tell, and what is known of why it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn, Protocol

from aiokafka.errors import KafkaError

from common.kafka.diagnosis import UNKNOWN_CAUSE, explain

PROBE_INTERVAL_S = 1.0
IDLE_INTERVAL_S = 2.0
"""Between two questions where the disk takes callbacks: an outage in which none comes is an outage, too."""


class AskedClient(Protocol):
    """What is asked: an `IdempotentClient`."""

    async def hear_a_leader(self, *, within_s: float) -> None:
        """Have one of the brokers answer. Raises KafkaError, TimeoutError."""


class Hearing:
    """Asks where nothing is sent, and remembers the last failure.

    Args:
        client: who asks.
        disk_ok: whether the journal's disk takes records. Where it does not, it is asked more often.
        awaits_confirmation: whether something was sent that is not confirmed: then that will tell.
    """

    def __init__(
        self, client: AskedClient, *, disk_ok: Callable[[], bool], awaits_confirmation: Callable[[], bool]
    ) -> None:
        self.silent_since: float | None = None
        """When it was asked first of all that it did not answer, of the monotonic clock; None: it answers."""
        self.problem = ""
        """The last failure since it confirmed or answered, for people; empty where none is known."""
        self._client = client
        self._disk_ok = disk_ok
        self._awaits_confirmation = awaits_confirmation
        self._heard_at = time.monotonic()

    def heard(self, now: float) -> None:
        """It has confirmed something, or answered."""
        self._heard_at, self.silent_since, self.problem = now, None, ""

    def failed(self, error: BaseException) -> None:
        """Something that was sent was not confirmed, or a question not answered."""
        told = explain(error)
        if told != UNKNOWN_CAUSE:  # Of a connection that was there: that it broke does not say why.
            self.problem = told

    async def listen(self) -> NoReturn:
        """Ask for ever."""
        while True:
            await asyncio.sleep(PROBE_INTERVAL_S)
            is_urgent = self.silent_since is not None or not self._disk_ok()
            is_due = is_urgent or time.monotonic() - self._heard_at >= IDLE_INTERVAL_S
            if is_due and not self._awaits_confirmation():
                await self._ask()

    async def _ask(self) -> None:
        asked_at = time.monotonic()
        try:
            await self._client.hear_a_leader(within_s=PROBE_INTERVAL_S)
        except (KafkaError, OSError, TimeoutError) as error:
            self.failed(error)
            if self.silent_since is None:
                self.silent_since = asked_at
        else:
            self.heard(time.monotonic())
