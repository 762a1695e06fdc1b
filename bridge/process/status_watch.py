"""Watches a process of the ingress, so that it can tell since when things are as they are, and where that leads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import Literal, NamedTuple

from bridge.ingress.refusals import RefusalCount
from bridge.journal.journal import Journal
from bridge.process.outage_log import TOLD_AFTER_S, OutageLog
from bridge.process.outage_mark import OutageMark
from bridge.process.status import DiskStatus, KafkaStatus, ProcessStatus, WaitingStatus
from bridge.publish.publisher import Publisher
from common.logs import fields
from common.text import byte_size, plural
from common.timestamps import rfc3339

log = logging.getLogger(__name__)

OBSERVE_INTERVAL_S = 1.0
SAMPLE_INTERVAL_S = 5.0
SAMPLES = 12
"""Growth is told of the last minute."""
LEAST_SPAN_S = 2.0
"""Of a shorter time no growth is told: callbacks come in bursts."""
ON_ITS_WAY_S = 5.0
"""What waits for no longer while Kafka confirms is no backlog, but on its way: it fills up nothing."""
LOOK_INTERVAL_S = 10.0
"""Between two looks at the disk."""
FAR_S = 30 * 86_400.0
"""What is further away is no time that anybody plans with."""


class _Sample(NamedTuple):
    at: float
    events: int
    bytes: int


class StatusWatch:
    """Watches journal and publisher of a process, so that it can be told since when things are as they are.

    Args:
        journal, publisher: what is watched.
        servers: of Kafka, as they are set.
        process: number of this process among several; empty where it is the only one.
    """

    def __init__(self, journal: Journal, publisher: Publisher, *, servers: str, process: str = "") -> None:
        self._journal = journal
        self._publisher = publisher
        self._servers = servers
        self._process = process
        self._started = self._changed = time.time()
        self._confirms = self._has_confirmed = False
        self._mark = OutageMark(journal.folder)
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)
        self._taken_over = 0
        self._disk_ok = journal.disk_ok
        self._free_bytes: int | None = None
        self._outage_log = OutageLog()

    async def run(self, see_to_socket: Callable[[], Awaitable[None]]) -> None:
        """Watch for ever, and tell of outages in the log.

        Args:
            see_to_socket: called now and then; it may take as long as the disk.
        """
        looking: asyncio.Task[None] | None = None
        looked_at = -LOOK_INTERVAL_S
        while True:
            try:
                if time.monotonic() - looked_at >= LOOK_INTERVAL_S and (looking is None or looking.done()):
                    looked_at = time.monotonic()
                    looking = asyncio.create_task(self._look_at_disk(see_to_socket))
                self.observe()
                self._outage_log.tell(self.kafka(), self.waiting(), self.disk())
            except Exception:
                log.exception("the status could not be watched; it is tried again")
            await asyncio.sleep(OBSERVE_INTERVAL_S)

    def observe(self) -> None:
        """Note how things are now; to be called every now and then."""
        now = time.monotonic()
        if (self._publisher.state == "confirming") != self._confirms:
            self._confirms = not self._confirms
            self._has_confirmed = True  # Now, or before this.
            # It is noticed late that nothing is confirmed any more: it has been so since what was sent was not.
            silent_s = 0.0 if self._confirms else self._publisher.unconfirmed_s
            self._changed = max(self._changed, time.time() - silent_s)
            self._samples.clear()  # What grew until now drains from now on, or the other way.
        taken_over = self._journal.left_by_others.waiting
        if taken_over > self._taken_over:
            self._samples.clear()  # What a dead process left came at once: nothing grows like that.
        self._taken_over = taken_over
        if self._journal.disk_ok != self._disk_ok:
            self._disk_ok = not self._disk_ok
            self._samples.clear()  # What was refused did not grow, and would have us tell of more time than there is.
        if not self._samples or now - self._samples[-1].at >= SAMPLE_INTERVAL_S:
            state = self._journal.state
            self._samples.append(_Sample(now, state.waiting_events, state.waiting_bytes))

    async def _look_at_disk(self, see_to_socket: Callable[[], Awaitable[None]]) -> None:
        await see_to_socket()
        self._free_bytes = None
        with contextlib.suppress(OSError):
            self._free_bytes = await self._journal.on_disk(self._read_free_bytes)
        with contextlib.suppress(OSError):
            await self._see_to_mark()

    async def _see_to_mark(self) -> None:
        """Take the beginning of an outage from who saw it, and leave ours to who comes after us."""
        if self._confirms:
            await self._journal.on_disk(self._mark.remove)
            return
        if not self._has_confirmed:
            noted = await self._journal.on_disk(self._mark.read)
            if noted is not None and not self._has_confirmed:
                self._changed = min(self._changed, noted)
        if time.time() - self._changed >= TOLD_AFTER_S:
            await self._journal.on_disk(partial(self._mark.note, self._changed))

    def _read_free_bytes(self) -> int:
        space = os.statvfs(self._journal.folder)
        return space.f_bavail * space.f_frsize

    def tell_what_stays(self) -> None:
        """Say in the log what is not in Kafka at the end: to be called when the journal has stopped."""
        state = self._journal.state
        folder = self._journal.folder
        if state.stored_events:
            log.warning(
                "%s (%s) that Kafka has not confirmed stay on disk in %s; the next process on this folder publishes"
                " them. Do not remove it",
                plural(state.stored_events, "event"),
                byte_size(state.stored_bytes),
                folder,
                extra=fields("left_on_disk", events=state.stored_events, bytes=state.stored_bytes, folder=str(folder)),
            )
        if lost := state.waiting_events - state.stored_events:
            log.warning(
                "%s are neither on disk nor in Kafka, and are gone: none of them was acknowledged",
                plural(lost, "event"),
                extra=fields("unacknowledged_dropped", events=lost),
            )

    # -- What is told --------------------------------------------------------------------------------------------------

    def snapshot(
        self, state: Literal["starting", "serving", "stopping"], *, ready: bool, refusals: Sequence[RefusalCount]
    ) -> ProcessStatus:
        """How this process is now.

        Args:
            state, ready: as `/readyz` has them.
            refusals: of each reason the last.
        """
        self.observe()
        return ProcessStatus(
            process=self._process,
            pid=os.getpid(),
            host=socket.gethostname(),
            version=version("im-bridge"),
            started=rfc3339(int(self._started * 1000)),
            state=state,
            ready=ready,
            kafka=self.kafka(),
            waiting=self.waiting(),
            disk=self.disk(),
            refusals=sorted(refusals, key=lambda one: one.last, reverse=True),
        )

    def kafka(self) -> KafkaStatus:
        """How Kafka is now."""
        since_s = max(0.0, time.time() - self._changed)
        state = self._publisher.state
        problems = self._publisher.problems
        problem = problems.pop(self._publisher.topic, "")
        if state == "slow":
            problem = problem or "it is connected, and does not confirm what it is sent"
        elif state == "away":
            problem = problem or "not connected yet"
        return KafkaStatus(
            state, rfc3339(int(self._changed * 1000)), since_s, "" if state == "confirming" else problem, self._servers,
            problems,
        )  # fmt: skip

    def waiting(self) -> WaitingStatus:
        """What waits for Kafka now."""
        now, state = time.time(), self._journal.state
        times = [one for one in (self._journal.oldest_ms, self._publisher.oldest_ms) if one is not None]
        oldest_ms = min(times, default=None)
        oldest_s = 0.0 if oldest_ms is None else max(0.0, now - oldest_ms / 1000)
        rates = self._rates(state.waiting_events, state.waiting_bytes)
        if self._publisher.state == "confirming" and oldest_s < ON_ITS_WAY_S:
            rates = 0.0, 0.0
        events_per_s, bytes_per_s = rates or (None, None)
        full_in_s = drained_in_s = None
        if bytes_per_s is not None and bytes_per_s > 0:
            full_in_s = self._near(self._room_bytes() / bytes_per_s)
        elif bytes_per_s is not None and bytes_per_s < 0 and state.waiting_bytes:
            drained_in_s = self._near(state.waiting_bytes / -bytes_per_s)
        return WaitingStatus(
            events=state.waiting_events,
            bytes=state.waiting_bytes,
            oldest=None if oldest_ms is None else rfc3339(oldest_ms),
            oldest_s=oldest_s,
            events_per_s=events_per_s,
            bytes_per_s=bytes_per_s,
            full_at=None if full_in_s is None else rfc3339(int((now + full_in_s) * 1000)),
            full_in_s=full_in_s,
            drained_at=None if drained_in_s is None else rfc3339(int((now + drained_in_s) * 1000)),
            drained_in_s=drained_in_s,
        )

    def disk(self) -> DiskStatus:
        """How the journal's disk is now."""
        journal = self._journal
        quarantined = self._publisher.quarantine.usage
        return DiskStatus(
            folder=str(journal.folder),
            ok=journal.disk_ok,
            problem=journal.disk_problem,
            journal_bytes=journal.budget.stored_bytes,
            max_bytes=journal.budget.max_bytes,
            room_bytes=self._room_bytes(),
            free_bytes=self._free_bytes,
            journals=journal.file_names,
            quarantine_files=quarantined.files,
            quarantine_bytes=quarantined.bytes,
        )

    def _room_bytes(self) -> int:
        budget = self._journal.budget
        room = max(0, budget.max_bytes - budget.stored_bytes - budget.elsewhere_bytes)
        return room if self._free_bytes is None else min(room, self._free_bytes)

    def _rates(self, events: int, size: int) -> tuple[float, float] | None:
        """Growth of events and bytes in a second, of the last minute or since Kafka's state has changed."""
        if not self._samples:
            return None
        first = self._samples[0]
        span_s = time.monotonic() - first.at
        if span_s < LEAST_SPAN_S:
            return None
        return (events - first.events) / span_s, (size - first.bytes) / span_s

    @staticmethod
    def _near(seconds: float) -> float | None:
        return seconds if seconds < FAR_S else None
