"""The world of the journal, as plainly as can be: a disk that can fail, a Kafka that confirms, and what must be true.

The journal under test is the real one, on real SQLite files. Replaced are only what makes it unpredictable: its clock
(`VirtualTimeLoop`), its threads and the moments in which the disk fails (`stepping`). A crash of the process loses what
its memory held; a crash of the machine also what was not synced.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.journal import files as files_module
from bridge.journal.group_commit import PROBE_INTERVAL_S
from bridge.journal.groups import GROUP_OVERHEAD_BYTES, Group, GroupState, PendingRecord
from bridge.journal.journal import Journal, JournalFullError
from bridge.journal.journal_file import JournalFile
from bridge.journal.limits import JournalLimits
from bridge.journal.numbering import LEAST_RING, TAIL_BYTES, Ring, TopicNumbers, number_of
from bridge.journal.record import Record
from bridge.journal.store import Row
from common.audit.header import Life
from tests.journal.stepping import ORPHAN_ROW_BYTES, FaultyDisk, StepThread, StepWriter, name_of, names_of
from tests.support.outlet import ToldOutlet
from tests.support.virtual_time import VirtualTimeLoop

TOPICS = ("events", "dlq")
PARTITIONS = 2
LIMITS = JournalLimits(
    max_bytes=16_000,
    memory_max_bytes=5_000,
    read_ahead_bytes=2_500,
    gather_s=0.002,
    sync_after_s=0.010,
    reply_deadline_s=0.5,
    adopt_interval_s=6.0,
)
REPLACE_ABOVE_BYTES = 3_000
MAX_RECORD_BYTES = 1_000
RECORD_SLACK_BYTES = 2 * MAX_RECORD_BYTES
GROUP_SLACK_BYTES = LIMITS.memory_max_bytes + RECORD_SLACK_BYTES
"""By how much one record or one group may go beyond a limit that was not reached before it."""
UNDURABLE = (GroupState.UNWRITTEN, GroupState.UNSYNCED)


@dataclass
class Sent:
    """A record that the journal was given."""

    name: str
    """Unique; the order of names is that in which they were given."""
    origin: int
    """0: this process, however often it began anew; else a process that left an orphan."""
    life: int
    given_at: float
    resolved: bool | None = None
    record: Record | None = None
    """Of this process."""
    _number: int = 0

    @property
    def topic(self) -> str:
        """Of its record."""
        return self.record.topic if self.record else ""

    @property
    def number(self) -> int:
        """That it was given when it was offered to Kafka; 0: it was not yet."""
        if not self._number and self.record is not None and (found := number_of(self.record)) is not None:
            self._number = found.number
        return self._number


class World:
    """A journal, and everything that it must be true to. `check` raises AssertionError where a promise was broken."""

    def __init__(self) -> None:
        shm = Path("/dev/shm")  # Thousands of syncs.
        self.folder = Path(tempfile.mkdtemp(prefix="im-bridge-model-", dir=shm if shm.is_dir() else None))
        self.disk = FaultyDisk(self._removed)
        self.sent: dict[str, Sent] = {}
        self.acknowledged: set[str] = set()
        self.kafka: dict[tuple[str, int], list[str]] = defaultdict(list)
        """Topic and partition → names, in the order in which Kafka got them."""
        self.confirmed: set[str] = set()
        self.at_risk: set[str] = set()
        """Acknowledged, and since then somebody removed the file: only what is open of it has them."""
        self._vanished: set[str] = set()
        """Were on the disk, and somebody removed the file."""
        self.lives = 0
        self._orphans = 0
        self._broken: list[str] = []
        """Promises that were broken where an error would have been taken for trouble of somebody else's."""
        self._patches = pytest.MonkeyPatch()
        self._patches.setattr(files_module, "REPLACE_ABOVE_BYTES", REPLACE_ABOVE_BYTES)
        self.disk.install(self._patches)
        self._begin_life()

    # -- A life of the process -----------------------------------------------------------------------------------------

    def _begin_life(self) -> None:
        self.lives += 1
        self.loop = VirtualTimeLoop()
        self.loop.set_exception_handler(lambda _loop, context: self._broken.append(f"an error in the loop: {context}"))
        self.outlet = ToldOutlet()
        self._in_flight: dict[tuple[str, int], deque[PendingRecord]] = defaultdict(deque)
        self._leased: set[tuple[JournalFile | None, int]] = set()
        """File and sequence number of groups; no file: of this life."""
        self._leased_sizes: dict[str, list[int]] = defaultdict(list)
        self._leasing: dict[str, asyncio.Task[Group | None]] = {}
        self.journal = self.loop.run_until_complete(self._made())
        self._finish(self.loop.start_task(self.journal.start()))

    async def _made(self) -> Journal:
        journal = Journal(self.folder, LIMITS, self.outlet)
        life = Life("model", self.lives)
        self.rings = {topic: Ring(bytearray(LEAST_RING + TAIL_BYTES), LEAST_RING) for topic in TOPICS}
        journal.number_by({topic: TopicNumbers(life, ring) for topic, ring in self.rings.items()})
        return journal

    def _finish(self, work: asyncio.Task[None]) -> None:
        while not work.done():
            assert self.step(), "it waits for something that never comes"
        work.result()

    def crash(self, *, machine: bool, disk_heals: bool = True) -> None:
        """The process ends, or the machine; and begins again."""
        self.disk.crash(machine=machine)
        self.loop.end()
        self.acknowledged -= self.at_risk - self.disk.synced_names - self.confirmed
        self.at_risk.clear()
        if disk_heals:
            self.disk.heal()
        self._begin_life()

    def stop(self, *, machine: bool = True) -> None:
        """Graceful: what the disk takes is kept, also if the `machine` ends behind us. Then a new life begins."""
        self.writer.hangs = False
        disk_is_well = self.journal.state.disk_ok and not self.disk.fails
        here = {name for name, sent in self.sent.items() if sent.life == self.lives}
        self._finish(self.loop.start_task(self.journal.stop(60.0)))
        lost = here - self.confirmed - self.disk.synced_names
        full = self.journal.state.stored_bytes >= LIMITS.max_bytes
        assert not lost or not disk_is_well or full, f"not kept at a graceful stop: {sorted(lost)}"
        while self.step():  # What the threads do after the stop is of no consequence.
            pass
        self.check()
        self.crash(machine=machine)

    def end(self) -> None:
        """Put everything away."""
        self.disk.crash(machine=False)
        self.loop.end()
        self._patches.undo()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- What may happen -----------------------------------------------------------------------------------------------

    def append(self, topic: str, partition: int, size: int) -> None:
        """Give the journal a record; it may refuse it only when it must."""
        name = self._next_name(origin=0, given_at=self.loop.time())
        record = self.sent[name].record = Record(topic, b"%d" % partition, name.encode() + b" " * size, [], 0)
        state = self.journal.state
        will_be_written = state.disk_ok or self.journal._files.is_in_a_moment
        must_refuse = state.memory_bytes >= LIMITS.memory_max_bytes or not (self.outlet.confirms or will_be_written)
        try:
            self.journal.append(record, lambda durable: self._resolved(self.sent[name], durable))
        except JournalFullError:
            del self.sent[name]
            assert must_refuse, "a record was refused though there is room"
        else:
            assert not must_refuse, "a record was taken though there is no room"

    def leave_orphan(self, places: Sequence[tuple[str, int]]) -> None:
        """Another process acknowledged records for these topics and partitions, and is gone: its journal lies here."""
        self._orphans += 1
        records = []
        for topic, partition in places:
            name = self._next_name(origin=self._orphans, given_at=0.0)
            self.acknowledged.add(name)
            records.append(Record(topic, b"%d" % partition, name.encode(), [], 0))
        self.disk.leave_orphan(self.folder, records)

    def vanish(self, *, with_folder: bool) -> None:
        """Somebody removes all files, or the folder with them. What nobody has open is gone."""
        open_names, lost_names = self.disk.vanish(self.folder, with_folder=with_folder)
        self._vanished |= open_names | lost_names
        self.at_risk |= open_names & self.acknowledged
        self.acknowledged -= lost_names - self.disk.synced_names - self.confirmed - open_names

    def step(self) -> bool:
        """Let a thread begin or do one piece of work. Whether there was any."""
        worked = (not self.writer.hangs and self.writer.step()) or self.adopter.step()
        self.loop.run_due()
        self._collect_leases()
        return worked

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.advance(seconds)
        self._collect_leases()

    def lease(self, topic: str) -> None:
        """Ask for the next group of a topic, unless that was asked already."""
        if topic not in self._leasing:
            self._leasing[topic] = self.loop.start_task(self.journal.queue(topic).lease())
            self._collect_leases()

    def confirm(self, topic: str, partition: int, records: int) -> None:
        """Kafka confirms the first records of a partition that are in flight."""
        in_flight = self._in_flight[topic, partition]
        batch = [in_flight.popleft() for _ in range(min(records, len(in_flight)))]
        for pending in batch:
            name = name_of(pending.record)
            self.kafka[topic, partition].append(name)
            self.confirmed.add(name)
        self.loop.call_soon(self.journal.confirm, batch)
        self.loop.run_due()

    def reach_kafka_unconfirmed(self, topic: str, partition: int) -> None:
        """Kafka gets a record, and its confirmation is lost: it is in flight still."""
        if in_flight := self._in_flight[topic, partition]:
            self.kafka[topic, partition].append(name_of(in_flight[0].record))

    def be_well(self, topic: str, partitions: Sequence[int]) -> None:
        """The disk works, whatever Kafka does: what comes now is acknowledged, and soon."""
        self.disk.heal()
        self.writer.hangs = False
        self._run_well(
            PROBE_INTERVAL_S + 1.0
        )  # Until there is a file that can be written, and nobody waits from before.
        state = self.journal.state
        assert state.disk_ok == (state.stored_bytes < LIMITS.max_bytes), "the disk works, and is not used"
        if not state.disk_ok:
            return
        before = set(self.sent)
        for partition in partitions:
            self.append(topic, partition, 10)
        self._run_well(LIMITS.reply_deadline_s / 4)
        slow = [name for name in self.sent.keys() - before if not self.sent[name].resolved]
        assert not slow, f"not acknowledged though the disk works: {sorted(slow)}"

    def _run_well(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.01)):
            self.advance(0.01)
            while self.step():
                pass

    def drain(self) -> None:
        """All is well again: everything that was acknowledged must reach Kafka, and nothing be left."""
        self.disk.heal()
        self.writer.hangs = False
        self.outlet.confirms = True
        for _ in range(2000):
            self.advance(0.05)
            while self.step():
                pass
            for topic in list(self.journal.queues):
                self.lease(topic)
            flying = [place for place, records in self._in_flight.items() if records]
            for place in flying:
                self.confirm(*place, records=100)
            if not flying and self.journal.is_drained:
                if self._has_one_file:
                    break
                self.advance(LIMITS.adopt_interval_s)
        self.check()
        lost = self.acknowledged - self.confirmed
        assert not lost, f"acknowledged and lost: {sorted(lost)}"
        assert self.journal.is_drained
        assert self.journal.state.stored_bytes == 0
        assert self.journal.state.memory_bytes == 0
        assert (self.journal.state.waiting_events, self.journal.state.waiting_bytes) == (0, 0)
        assert self.journal.oldest_ms is None
        for topic, ring in self.rings.items():
            assert self.journal.confirmed_through(topic) == ring.counters.given, "a number seems to wait"
        assert self._has_one_file, "files are left that hold nothing"

    @property
    def _has_one_file(self) -> bool:
        current = self.journal._files.current
        return current is not None and list(self.folder.glob("*.journal")) == [current.path]

    # -- What must be true ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What holds at all times."""
        for sent in self.sent.values():
            if sent.life == self.lives and sent.resolved is None:
                self._check_deadline(sent)
        assert not self._broken, "; ".join(self._broken)
        self._check_bounds()
        self._check_order()
        self._check_numbers()

    def _check_numbers(self) -> None:
        """What is marked is durable, whoever was told so is marked, and what Kafka is said to have it has."""
        for topic, ring in self.rings.items():
            ours = [one for one in self.sent.values() if one.life == self.lives and one.number and one.topic == topic]
            assert [one.number for one in ours] == list(range(1, len(ours) + 1)), "numbers do not follow each other"
            assert ring.counters.given == len(ours)
            confirmed_through = self.journal.confirmed_through(topic)
            for one in ours:
                is_marked = bool(ring.marks[one.number])
                assert is_marked or not one.resolved, f"{one.name} was acknowledged and is not marked"
                assert not is_marked or self._is_durable(one.name), f"{one.name} is marked and is not durable"
                assert one.number > confirmed_through or one.name in self.confirmed, f"Kafka does not have {one.name}"

    def _is_durable(self, name: str) -> bool:
        told = (self.confirmed, self.acknowledged, self._vanished)
        return any(name in names for names in told) or name in self.disk.synced_names

    def _check_bounds(self) -> None:
        state = self.journal.state
        assert state.memory_bytes <= LIMITS.memory_max_bytes + RECORD_SLACK_BYTES, "memory is not bounded"
        inherited = ORPHAN_ROW_BYTES * sum(1 for sent in self.sent.values() if sent.origin)
        assert state.stored_bytes <= LIMITS.max_bytes + GROUP_SLACK_BYTES + inherited, "the disk budget is not kept"
        for queue in self.journal.queues.values():
            backlog = [group.memory_bytes for group in queue._backlog if isinstance(group, Group)]
            assert sum(backlog) - max(backlog, default=0) <= LIMITS.read_ahead_bytes, "a backlog is held in memory"
            leased = self._leased_sizes[queue.topic]
            assert queue._leased_bytes - max(leased, default=0) < LIMITS.read_ahead_bytes, "too much is leased"
        commit = self.journal._group_commit
        flushed = [group for group in (*commit._unsynced, *commit._unwritten) if group.state in UNDURABLE]
        gathering = sum(group.size - GROUP_OVERHEAD_BYTES for group in self.journal._gathering.values())
        assert state.memory_bytes == gathering + sum(group.size for group in flushed), "memory is counted wrong"
        seqs = [group.seq for group in flushed]
        assert seqs == sorted(seqs), "groups are written or synced out of order"

    def _check_order(self) -> None:
        for (topic, partition), got in self.kafka.items():
            for origin in range(self._orphans + 1):
                firsts = [name for name in dict.fromkeys(got) if self.sent[name].origin == origin]
                assert firsts == sorted(firsts), f"{topic}-{partition} is out of order: {got}"

    def _check_deadline(self, sent: Sent) -> None:
        waited_s = self.loop.time() - sent.given_at
        self._require(waited_s <= LIMITS.reply_deadline_s + 1e-6, f"{sent.name} has waited for {waited_s:.3f} s")

    def _resolved(self, sent: Sent, durable: bool) -> None:
        self._require(sent.resolved is None, f"{sent.name} was resolved twice")
        sent.resolved = durable
        self._check_deadline(sent)
        if durable:
            self._require(
                sent.name in self.confirmed or sent.name in self.disk.synced_names,
                f"{sent.name} was acknowledged, and is neither in Kafka nor on the disk for good",
            )
            self.acknowledged.add(sent.name)

    def _removed(self, rows: Iterable[Row]) -> None:
        gone = {name for row in rows for name in names_of(row)} & self.acknowledged - self.at_risk
        kept = self.confirmed | self.disk.synced_names
        self._require(gone <= kept, f"a file was removed that held {sorted(gone - kept)}")

    def _require(self, condition: bool, promise: str) -> None:
        if not condition:
            self._broken.append(promise)

    # -- Parts of it ---------------------------------------------------------------------------------------------------

    @property
    def writer(self) -> StepWriter:
        """The journal's writer."""
        writer = self.journal._writer
        assert isinstance(writer, StepWriter)
        return writer

    @property
    def adopter(self) -> StepThread:
        """The thread that looks for journals of others."""
        thread = self.journal._files._adopter._thread
        assert isinstance(thread, StepThread)
        return thread

    def _next_name(self, *, origin: int, given_at: float) -> str:
        name = f"{len(self.sent) + self.lives * 100_000:08d}"
        self.sent[name] = Sent(name, origin, self.lives if origin == 0 else 0, given_at)
        return name

    def _collect_leases(self) -> None:
        for topic, task in list(self._leasing.items()):
            if not task.done():
                continue
            del self._leasing[topic]
            if (group := task.result()) is None:
                continue
            key = None if group.file in self.disk.own_files else group.file, group.seq
            assert key not in self._leased, "a group was leased twice"
            self._leased.add(key)
            self._leased_sizes[topic].append(group.memory_bytes)
            for pending in group.records:
                self._in_flight[topic, int(pending.record.key)].append(pending)
