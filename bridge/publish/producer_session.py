"""The life of one producer: what dies with it is here, what survives it are the `Survivors`."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from aiokafka.errors import KafkaError

from bridge.journal.groups import Group, PendingRecord
from bridge.publish.hearing import Hearing
from bridge.publish.pacing import Pace, RoundSize
from bridge.publish.produce.batch import MAX_BATCH_BYTES, Batch, BatchForm
from bridge.publish.produce.fate import CorruptBatchError, Fate, error_of, fate_of
from bridge.publish.produce.lane import Lane, made
from bridge.publish.produce.request import ProduceAnswer
from bridge.publish.produce.requests import Requests
from bridge.publish.rejection_search import RejectionSearch
from bridge.publish.window import Window
from common.kafka.diagnosis import explain
from common.kafka.idempotent_client import IdempotentClient
from common.kafka.partition import partitions_of
from common.kafka.producer import Compression

MIN_BATCH_BYTES = 16 * 1024
SLOW_AFTER_S = 1.0
WATCH_INTERVAL_S = 0.25
GREETING_INTERVAL_S = 30.0
"""Firewalls forget an idle connection after a minute or more, brokers close it after ten."""
RETRY_INTERVAL_S = 0.1
REQUEST_TIMEOUT_S = 10.0
LEADERLESS_AFTER_S = REQUEST_TIMEOUT_S
"""A partition without a leader for so long is no business of this producer any more."""


class ProducerLostError(Exception):
    """The producer is of no use any more. The message says why."""


class ConnectedProducer(NamedTuple):
    """A client with a producer's id, and what it was told of its topic."""

    client: IdempotentClient
    topic: str
    partitions: int
    max_message_bytes: int | None
    """The largest batch that the topic takes; None where the broker does not tell."""
    compression: Compression = "none"


class Survivors(NamedTuple):
    """What a session works on and leaves to the next one."""

    window: Window
    pace: Pace
    round_size: RoundSize
    rejection_search: RejectionSearch


class ProducerSession:
    """Publishes what is in the window, and more, until the producer is lost.

    Its fields are many because all that dies with a producer is here.

    Records are spread over the partitions, whose batches keep their order (`produce.lane`). Batches of all partitions
    that have the same leader leave together in one request, when that has answered the one before: fewer and larger
    requests cost half the CPU.

    What may pass is tried again, under the same sequence numbers: each batch is in the log once. What cannot, such as a
    producer's id that the broker does not know any more, is the end of the producer.

    Args:
        connected: the producer.
        survivors: what it works on.
        keep_too_large: called with a record whose batch is larger than the topic takes, as it was told, and with the
            size of that batch; keeps it elsewhere and confirms it, or gives False where the topic takes it by now.
        disk_ok: whether the disk takes callbacks at present; else only our confirmations let replies go.
        stall_s: a producer that confirms nothing for so long is lost.
        on_published: called with the number of records that were confirmed.
    """

    def __init__(
        self,
        connected: ConnectedProducer,
        survivors: Survivors,
        *,
        keep_too_large: Callable[[PendingRecord, int], Awaitable[bool]],
        disk_ok: Callable[[], bool],
        stall_s: float,
        on_published: Callable[[int], None],
    ) -> None:
        client = connected.client
        self._connected = connected
        self._survivors = survivors
        self._keep_too_large = keep_too_large
        self._disk_ok = disk_ok
        self._hearing = Hearing(
            client,
            disk_ok=disk_ok,
            awaits_confirmation=lambda: any(lane.unconfirmed for lane in self._active.values()),
        )
        self._stall_s = stall_s
        self._on_published = on_published
        self._form = BatchForm(client.producer_id, client.producer_epoch, connected.compression)
        self._lanes = [Lane(number) for number in range(connected.partitions)]
        self._add_to = [lane.waiting.append for lane in self._lanes]
        self._active: dict[int, Lane] = {}
        """Partition → its lane, where something waits or is not confirmed."""
        self._rests: dict[int, asyncio.TimerHandle] = {}
        """Partition → when its lane has rested."""
        self._wake = asyncio.Event()
        self._requests = Requests(
            client,
            connected.topic,
            loop=asyncio.get_running_loop(),
            timeout_s=REQUEST_TIMEOUT_S,
            on_answered=self._answered,
            on_free=self._wake.set,
        )
        self._lost: ProducerLostError | None = None
        self._blocked_since: float | None = None
        """Since when nothing is sent, because a backlog cannot be read, or a record not be put into quarantine."""

    async def run(self) -> NoReturn:
        """Publish until the producer is lost.

        Raises:
            ExceptionGroup: of ProducerLostError, or of whatever else broke it off.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch())
                tasks.create_task(self._hearing.listen())
                tasks.create_task(self._greet_leaders())
                tasks.create_task(self._publish())
        finally:
            if self._is_slow and (since := self.unconfirmed_since) is not None:
                self._survivors.window.stay_owed(since)
            self._lose("its session has ended")
            self._requests.close()
            for timer in self._rests.values():
                timer.cancel()  # It would hold the session, and all that is in its lanes, when garbage is collected.
        raise AssertionError("a session ends with an error only")

    def wake(self) -> None:
        """Something can be leased."""
        self._wake.set()

    def limit_changed(self, max_message_bytes: int | None) -> None:
        """The topic takes batches of so many bytes now; None: the broker does not tell any more."""
        self._connected = self._connected._replace(max_message_bytes=max_message_bytes)

    @property
    def confirms(self) -> bool:
        """Whether Kafka is confirming records at present, as far as can be known."""
        return self._lost is None and not self._is_slow

    @property
    def _is_slow(self) -> bool:
        since = self.unconfirmed_since
        return since is not None and time.monotonic() - since >= SLOW_AFTER_S

    @property
    def unconfirmed_since(self) -> float | None:
        """Since when Kafka owes an answer, also to producers before this one, of the monotonic clock; None: it owes
        none."""
        window, hearing = self._survivors.window, self._hearing
        times = (self._oldest_made_at, self._blocked_since, hearing.silent_since, window.owed_since)
        return min((time_ for time_ in times if time_ is not None), default=None)

    @property
    def problem(self) -> str:
        """Why it does not confirm, for people; empty while it does, or nothing is known."""
        return "" if self.confirms else self._hearing.problem

    @property
    def _oldest_made_at(self) -> float | None:
        """When the oldest batch was made that is not confirmed."""
        return min((batch.made_at for lane in self._active.values() for batch in lane.unconfirmed), default=None)

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or ProducerLostError(reason)
        self._wake.set()

    # -- Publishing ----------------------------------------------------------------------------------------------------

    async def _publish(self) -> NoReturn:
        window, pace, _, _ = self._survivors
        self._spread(window.groups)
        while True:
            self._wake.clear()
            with self._maybe_blocked():
                while group := await window.lease():
                    self._spread((group,))
                    self._requests.more_has_come()
            if due := self._due_lanes():
                if pace.gives_way(window.oldest_s, disk_ok=self._disk_ok()):
                    await pace.rest()
                    due = self._due_lanes()
                pace.start()
                await self._make_batches(due)
            if self._lost:  # What was made is left to the next producer: it must not overtake a batch that has failed.
                raise self._lost
            self._send_batches()
            await self._wake.wait()

    @contextmanager
    def _maybe_blocked(self) -> Iterator[None]:
        """Surrounds what may take long without anything being in flight."""
        self._blocked_since = time.monotonic()
        try:
            yield
        finally:
            self._blocked_since = None

    def _spread(self, groups: Iterable[Group]) -> None:
        lanes, active, add_to = self._lanes, self._active, self._add_to
        with self._survivors.pace:
            for group in groups:
                waiting = group.records
                if group.unconfirmed < len(waiting) or not group.is_whole:
                    waiting = [one for one in waiting if not (one.confirmed or one.is_passed_over)]
                numbers = partitions_of([pending.record.key for pending in waiting], len(lanes))
                for pending, number in zip(waiting, numbers, strict=True):
                    add_to[number](pending)
                for number in dict.fromkeys(numbers):
                    active[number] = lanes[number]

    def _due_lanes(self) -> list[Lane]:
        """The partitions of which a batch should be made now.

        Its leader would take it; or it is not known, or wants to hear nothing: then the batch shows that Kafka is slow.
        """
        now = time.monotonic()
        leaders, requests = self._connected.client.leaders, self._requests
        is_due: dict[int, bool] = {}
        due = []
        for lane in self._active.values():
            if not lane.waiting:
                continue
            leader = leaders[lane.partition] if lane.partition < len(leaders) else None
            if leader is not None and leader not in is_due:
                is_due[leader] = requests.may_send(leader) or requests.is_resting(leader)
            if (leader is None or is_due[leader]) and lane.may_make(now):
                due.append(lane)
        return due

    async def _make_batches(self, due: list[Lane]) -> None:
        """Make a batch for each of these partitions, of the records that came first to it."""
        window, pace, round_size, rejection_search = self._survivors
        limit = self._connected.max_message_bytes
        fair_bytes = max(MIN_BATCH_BYTES, round_size.bytes // max(1, len(due)))
        max_bytes = min(fair_bytes, MAX_BATCH_BYTES, limit or MAX_BATCH_BYTES)
        form = self._form if rejection_search.sends_times else self._form._replace(with_times=False)
        is_behind = pace.is_behind(window.oldest_s)
        for lanes in ([lane] for lane in due) if is_behind else [due]:
            with pace:
                batches = [made(lane, form, max_bytes, rejection_search.batch_records) for lane in lanes]
            for lane, batch in zip(lanes, batches, strict=True):
                if limit is None or len(batch.records) > 1 or batch.size <= limit or not await self._is_kept(batch):
                    lane.add(batch)
                    self._active[lane.partition] = lane  # It may have been empty meanwhile.
            if is_behind:
                await asyncio.sleep(0)

    async def _is_kept(self, batch: Batch) -> bool:
        """Whether the only record of a batch, which is larger than the topic takes, is kept elsewhere."""
        with self._maybe_blocked():
            is_kept = await self._keep_too_large(batch.records[0], batch.size)
        if is_kept:
            self._forget_if_empty(self._lanes[batch.partition])
            self._wake.set()
        return is_kept

    def _forget_if_empty(self, lane: Lane) -> None:
        if not (lane.waiting or lane.unconfirmed):
            self._active.pop(lane.partition, None)

    def _send_batches(self) -> None:
        """Send to each leader, in one request, what it may be sent now."""
        now = time.monotonic()
        leaders = self._connected.client.leaders
        if 0 < len(leaders) < len(self._lanes):
            self._lose(f"the topic has {len(leaders)} partitions, of the {len(self._lanes)} that it had")
            return
        requests: dict[int, list[Batch]] = defaultdict(list)
        for lane in self._active.values():
            if (batch := lane.next_batch(now)) is None:
                continue
            leader = leaders[lane.partition] if leaders else None
            if leader is None:
                self._look_for_leader(lane, now)
            else:
                requests[leader].append(batch)
        for leader, batches in requests.items():
            if self._requests.may_send(leader):
                self._requests.send(leader, batches)

    def _look_for_leader(self, lane: Lane, now: float) -> None:
        if now - lane.unconfirmed[0].made_at > LEADERLESS_AFTER_S:
            self._lose(f"partition {lane.partition} has no leader")
        else:
            self._connected.client.look_for_leaders()
            self._rest(lane)

    def _rest(self, lane: Lane) -> None:
        """Send nothing to a partition for a moment."""
        lane.is_resting = True
        if lane.partition not in self._rests:
            self._rests[lane.partition] = asyncio.get_running_loop().call_later(RETRY_INTERVAL_S, self._rested, lane)

    def _rested(self, lane: Lane) -> None:
        del self._rests[lane.partition]
        lane.is_resting = False
        self._wake.set()

    # -- Answers -------------------------------------------------------------------------------------------------------

    def _answered(self, batches: list[Batch], answer: ProduceAnswer | KafkaError) -> None:
        """A leader has answered, perhaps after the producer was given up, or never will."""
        self._wake.set()
        codes = answer.error_codes if isinstance(answer, ProduceAnswer) else {}
        confirmed = [one for one in batches if codes.get(one.partition) == 0 or self._is_confirmed(one, answer)]
        if confirmed:
            self._confirm(confirmed)

    def _is_confirmed(self, batch: Batch, answer: ProduceAnswer | KafkaError) -> bool:
        """Whether Kafka has a batch of which it gave an error, or none was heard; else the batch is taken care of."""
        if isinstance(answer, ProduceAnswer):
            code = answer.error_codes.get(batch.partition)
            error = KafkaError("the answer does not name its partition") if code is None else error_of(code)
        else:
            error = answer
        if self._lost:
            return False  # The next producer is given its records.
        lane = self._lanes[batch.partition]
        batch.damaged += isinstance(error, CorruptBatchError)
        fate = fate_of(error, damaged=batch.damaged, is_first=lane.is_first(batch))
        match fate:
            case Fate.CONFIRMED:
                return True
            case Fate.AGAIN | Fate.AGAIN_ELSEWHERE:
                self._hearing.failed(error)
                if fate is Fate.AGAIN_ELSEWHERE:
                    self._connected.client.look_for_leaders()
                lane.failed(batch)
                self._rest(lane)
            case Fate.REFUSED_TIME if batch.has_times:
                self._survivors.rejection_search.times_rejected()
                self._lose(f"{explain(error)} For a minute records are sent without their times")
            case Fate.REFUSED | Fate.REFUSED_TIME:
                self._survivors.rejection_search.rejected(batch.records, explain(error))
                self._lose(f"a batch of {len(batch.records)} records was refused: {explain(error)}")
            case Fate.LOST:
                self._lose(f"a batch failed: {explain(error)}")
        return False

    def _confirm(self, batches: list[Batch]) -> None:
        now = time.monotonic()
        window, pace, round_size, rejection_search = self._survivors
        self._hearing.heard(now)
        if self._lost is None:  # Else it would undo what a rejection in the same answer has narrowed.
            rejection_search.accepted()
        round_size.confirmed_after(now - batches[0].made_at)
        with pace:
            records = []
            for batch in batches:
                lane = self._lanes[batch.partition]
                lane.confirmed(batch, now)
                self._forget_if_empty(lane)
                records += batch.records
            window.confirm(records)
        self._on_published(len(records))

    # -- Watching ------------------------------------------------------------------------------------------------------

    async def _watch(self) -> NoReturn:
        """Notice a producer that has stalled, and end with one that is lost."""
        while True:
            silent = [one for one in (self._oldest_made_at, self._hearing.silent_since) if one is not None]
            if silent and (age_s := time.monotonic() - min(silent)) > self._stall_s:
                why = f": {self._hearing.problem}" if self._hearing.problem else ""
                self._lose(f"no confirmation for {age_s:.0f} s{why}")
            if self._lost:  # Publishing may be waiting for something that never comes.
                raise self._lost
            await asyncio.sleep(WATCH_INTERVAL_S)

    async def _greet_leaders(self) -> NoReturn:
        """Keep the connections to all leaders, so that what comes after a quiet hour waits for none."""
        while True:
            await asyncio.sleep(GREETING_INTERVAL_S)
            await self._connected.client.greet_leaders(within_s=GREETING_INTERVAL_S)
