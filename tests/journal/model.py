"""The world of the journal, as plainly as can be: a disk that can fail, a Kafka that confirms, and what both know.

The journal under test is the real one, on real SQLite files. Replaced are only what makes it unpredictable: its clock
(`VirtualTimeLoop`), its threads (which here do a piece of work when the test says so), and the moment in which the disk
fails. A crash of the process loses what its memory held; a crash of the machine also what was not synced.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.journal import adopter as adopter_module
from bridge.journal import files as files_module
from bridge.journal import journal as journal_module
from bridge.journal.groups import GROUP_OVERHEAD_BYTES, Group, GroupState, PendingRecord
from bridge.journal.journal import Journal, JournalFullError, JournalLimits
from bridge.journal.record import Record, pack, unpack
from bridge.journal.store import Row, Store
from bridge.journal.topic_queue import TopicQueue
from bridge.journal.writer import FileThread, JournalWriter
from tests.support.virtual_time import VirtualTimeLoop

TOPICS = ("events", "dlq")
PARTITIONS = 2
LIMITS = JournalLimits(
    max_bytes=12_000,
    memory_max_bytes=6_000,
    read_ahead_bytes=1_600,
    gather_s=0.002,
    sync_after_s=0.010,
    reply_deadline_s=0.5,
    adopt_interval_s=60.0,
)
REPLACE_ABOVE_BYTES = 3_000
MAX_RECORD_BYTES = 1_000
GROUP_SLACK_BYTES = 4 * MAX_RECORD_BYTES
"""By how much one group may go beyond a limit that was not reached before it."""


class StepThread(FileThread):
    """Does its work when the test says so."""

    def start(self) -> None:
        """No thread: `step` is called instead."""

    def step(self) -> bool:
        """Do the next piece of work, if there is any."""
        if self._queue.empty():
            return False
        work = self._next()
        if work is not None:
            work()
        return work is not None


class StepWriter(JournalWriter):
    """The same for the writer."""

    stuck = False

    def start(self) -> None:
        """No thread: `step` is called instead."""

    @property
    def is_stuck(self) -> bool:
        """Whether the test lets the disk hang."""
        return self.stuck

    def step(self) -> bool:
        """Do the next piece of work, if there is any."""
        if self._queue.empty() and not self._taken_too_far:
            return False
        work = self._next()
        if work is not None:
            work()
        return work is not None


@dataclass
class Disk:
    """What the disk is told to do, and what lies on it for good."""

    write_fails: bool = False
    """Nothing is written, and the write raises."""
    sync_fails: bool = False
    """What is written is there, and the sync raises."""
    takes_no_file: bool = False
    written: dict[Path, dict[int, Row]] = field(default_factory=dict)
    """File → its rows, as they survive the end of the process."""
    synced: dict[Path, dict[int, Row]] = field(default_factory=dict)
    """The same for the end of the machine."""

    def holds(self, *, for_good: bool) -> set[str]:
        """Ids of the records on it."""
        files = self.synced if for_good else self.written
        return {name for rows in files.values() for row in rows.values() for name in names_of(row)}

    def heal(self) -> None:
        """All works again."""
        self.write_fails = self.sync_fails = self.takes_no_file = False

    def lose_what_was_not_synced(self) -> None:
        """The machine lost its power."""
        for path, rows in self.synced.items():
            with sqlite3.connect(path) as connection:
                connection.execute("DELETE FROM groups")
                connection.executemany(
                    "INSERT INTO groups VALUES (?, ?, ?, ?, 0, ?)",
                    [(row.seq, row.topic, row.records, row.size, row.packed) for row in rows.values()],
                )
            connection.close()
            self.written[path] = dict(rows)


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


def names_of(row: Row) -> list[str]:
    """The names of a row's records."""
    return [record.value.split(b" ")[0].decode() for record in unpack(row.packed)]


class ModelOutlet:
    """Kafka, as the journal sees it."""

    def __init__(self) -> None:
        self.confirms = True

    def available(self, queue: TopicQueue) -> None:
        """Nobody waits: the test leases when it likes."""


class World:
    """A journal, and everything that it must be true to. `check` raises AssertionError where a promise was broken."""

    def __init__(self) -> None:
        shm = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="im-bridge-model-", dir=shm if shm.is_dir() else None))
        self.disk = Disk()
        self.outlet = ModelOutlet()
        self.sent: dict[str, Sent] = {}
        self.acknowledged: set[str] = set()
        self.kafka: dict[tuple[str, int], list[str]] = defaultdict(list)
        """Topic and partition → names, in the order in which Kafka got them."""
        self.confirmed: set[str] = set()
        self.lives = 0
        self._broken: list[str] = []
        """Promises that were broken where an error would have been taken for trouble of somebody else's."""
        self._count = 0
        self._orphans = 0
        self._patches = pytest.MonkeyPatch()
        self._patch()
        self._begin_life()

    # -- A life of the process -----------------------------------------------------------------------------------------

    def _begin_life(self) -> None:
        self.lives += 1
        self.loop = VirtualTimeLoop()
        asyncio.set_event_loop(self.loop)
        self.in_flight: dict[tuple[str, int], deque[PendingRecord]] = defaultdict(deque)
        self.leased: set[tuple[Path | None, int]] = set()
        """File and sequence number of groups; no file: of this life."""
        self.own_paths: set[Path] = set()
        self.leasing: dict[str, asyncio.Task[Group | None]] = {}
        self.journal = self.loop.run_until_complete(self._made())
        self.start = self.loop.start_task(self.journal.start())
        while not self.start.done():
            assert self.step(), "the start waits for something that never comes"
        self.start.result()

    async def _made(self) -> Journal:
        return Journal(self.folder, LIMITS, self.outlet)

    def crash(self, *, machine: bool) -> None:
        """The process ends, or the machine; and begins again."""
        self._end_life()
        if machine:
            self.disk.lose_what_was_not_synced()
        self.disk.heal()
        self._begin_life()

    def stop(self) -> None:
        """Graceful: what the disk takes is kept. Then a new life begins."""
        self.writer.stuck = False
        stopping = self.loop.start_task(self.journal.stop(60.0))
        while not stopping.done():
            assert self.step(), "the stop waits for something that never comes"
        stopping.result()
        self._end_life()
        self._begin_life()

    def _end_life(self) -> None:
        for store in list(self.stores):
            store.close()
        self.stores.clear()
        self.loop.end()

    def end(self) -> None:
        """Put everything away."""
        self._end_life()
        self._patches.undo()
        shutil.rmtree(self.folder)
        asyncio.set_event_loop(None)

    # -- What may happen -----------------------------------------------------------------------------------------------

    def append(self, topic: str, partition: int, size: int) -> None:
        """Give the journal a record; it may refuse it only when it must."""
        self._count += 1
        name = f"{self._count:06d}"
        record = Record(topic, b"%d" % partition, name.encode() + b" " * size, [], 0)
        state = self.journal.state
        must_refuse = state.memory_bytes >= LIMITS.memory_max_bytes or not (self.outlet.confirms or state.disk_ok)
        sent = Sent(name, 0, self.lives, self.loop.time())
        try:
            self.journal.append(record, lambda durable: self._resolved(sent, durable))
        except JournalFullError:
            assert must_refuse, "a record was refused though there is room"
        else:
            assert not must_refuse, "a record was taken though there is no room"
            self.sent[name] = sent

    def leave_orphan(self, records: Sequence[tuple[str, int]]) -> None:
        """Another process acknowledged some records, and is gone: its journal lies here."""
        self._orphans += 1
        store: Store = self._real["create"].__get__(None, Store)(self.folder)
        rows = []
        for seq, (topic, partition) in enumerate(records, 1):
            self._count += 1
            name = f"{self._count:06d}"
            self.sent[name] = Sent(name, self._orphans, 0, 0.0, resolved=True)
            self.acknowledged.add(name)
            packed = pack([Record(topic, b"%d" % partition, name.encode(), [], 0)])
            rows.append(Row(seq, topic, 1, 200, packed))
        self._real["write"](store, rows, [], sync=True)
        self.disk.written[store.path] = {row.seq: row for row in rows}
        self.disk.synced[store.path] = {row.seq: row for row in rows}
        self.stores.discard(store)
        store.close()

    def step(self) -> bool:
        """Let a thread do one piece of work. Whether there was any."""
        worked = (not self.writer.stuck and self.writer.step()) or self.adopter.step()
        self.loop.run_due()
        self._collect_leases()
        return worked

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.advance(seconds)
        self._collect_leases()

    def lease(self, topic: str) -> None:
        """Ask for the next group of a topic, unless that was asked already."""
        if topic not in self.leasing:
            self.leasing[topic] = self.loop.start_task(self.journal.queue(topic).lease())
            self._collect_leases()

    def confirm(self, topic: str, partition: int, records: int) -> None:
        """Kafka confirms the first records of a partition that are in flight."""
        in_flight = self.in_flight[topic, partition]
        batch = [in_flight.popleft() for _ in range(min(records, len(in_flight)))]
        for pending in batch:
            name = names([pending])[0]
            self.kafka[topic, partition].append(name)
            self.confirmed.add(name)
        self.loop.call_soon(self.journal.confirm, batch)
        self.loop.run_due()

    def reach_kafka_unconfirmed(self, topic: str, partition: int) -> None:
        """Kafka gets a batch, and its confirmation is lost: the record is in flight for as long as this life lasts."""
        if in_flight := self.in_flight[topic, partition]:
            self.kafka[topic, partition].append(names([in_flight[0]])[0])

    def drain(self) -> None:
        """All is well again: everything that was acknowledged must reach Kafka, and nothing be left."""
        self.disk.heal()
        self.writer.stuck = False
        self.outlet.confirms = True
        for _ in range(2000):
            self.advance(0.05)
            while self.step():
                pass
            for topic in list(self.journal.queues):
                self.lease(topic)
            flying = [key for key, records in self.in_flight.items() if records]
            for key in flying:
                self.confirm(*key, 100)
            if not flying and self.journal.is_drained:
                if self._is_all_adopted:
                    break
                self.advance(LIMITS.adopt_interval_s)
        self.check()
        lost = self.acknowledged - self.confirmed
        assert not lost, f"acknowledged and lost: {sorted(lost)}"
        assert self.journal.is_drained
        assert self.journal.state.stored_bytes == 0
        assert self.journal.state.memory_bytes == 0
        assert len(list(self.folder.glob("*.journal"))) == 1, "files are left that hold nothing"

    @property
    def _is_all_adopted(self) -> bool:
        return len(list(self.folder.glob("*.journal"))) == 1

    # -- What must be true ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What holds at all times."""
        assert not self._broken, "; ".join(self._broken)
        state = self.journal.state
        assert state.memory_bytes <= LIMITS.memory_max_bytes + GROUP_SLACK_BYTES, "memory is not bounded"
        assert state.stored_bytes <= LIMITS.max_bytes + GROUP_SLACK_BYTES, "the disk budget is not kept"
        for queue in self.journal.queues.values():
            backlog = sum(
                pending.size for item in queue._backlog if isinstance(item, Group) for pending in item.records
            )
            assert backlog <= LIMITS.read_ahead_bytes + GROUP_SLACK_BYTES, "a backlog is held in memory"
            assert queue._leased_bytes <= LIMITS.read_ahead_bytes + GROUP_SLACK_BYTES, "too much is leased"
        held = sum(
            group.size
            for group in {id(group): group for group in self._all_groups()}.values()
            if group.state in (GroupState.GATHERING, GroupState.UNWRITTEN, GroupState.UNSYNCED)
        )
        assert state.memory_bytes == held - self._unflushed_overhead(), "memory is counted wrong"
        self._check_order()
        for sent in self.sent.values():
            if sent.life == self.lives and sent.resolved is None:
                self._check_deadline(sent)

    def _all_groups(self) -> Iterator[Group]:
        yield from self.journal._gathering.values()
        yield from self.journal._group_commit._unwritten
        yield from self.journal._group_commit._unsynced

    def _unflushed_overhead(self) -> int:
        return len(self.journal._gathering) * GROUP_OVERHEAD_BYTES

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
                sent.name in self.confirmed or sent.name in self.disk.holds(for_good=True),
                f"{sent.name} was acknowledged, and is neither in Kafka nor on the disk for good",
            )
            self.acknowledged.add(sent.name)

    def _require(self, condition: bool, promise: str) -> None:
        if not condition:
            self._broken.append(promise)

    def _collect_leases(self) -> None:
        for topic, task in list(self.leasing.items()):
            if not task.done():
                continue
            del self.leasing[topic]
            if (group := task.result()) is None:
                continue
            path = None if group.file is None else group.file.path
            key = None if path in self.own_paths else path, group.seq
            assert key not in self.leased, "a group was leased twice"
            self.leased.add(key)
            for pending in group.records:
                self.in_flight[topic, int(pending.record.key)].append(pending)

    # -- Replaced parts ------------------------------------------------------------------------------------------------

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

    def _patch(self) -> None:
        self.stores: set[Store] = set()
        self._real: dict[str, Any] = {
            "create": Store.__dict__["create"],
            "init": Store.__init__,
            "write": Store.write,
            "remove": Store.remove_in_steps,
        }
        world = self

        def init(store: Store, path: Path, connection: sqlite3.Connection) -> None:
            world._real["init"](store, path, connection)
            world.stores.add(store)
            world.disk.written.setdefault(path, {})
            world.disk.synced.setdefault(path, {})

        def create(folder: Path) -> Store:
            if world.disk.takes_no_file:
                raise OSError(28, "no space left")
            made: Store = world._real["create"].__get__(None, Store)(folder)
            world.own_paths.add(made.path)
            return made

        def write(store: Store, rows: Iterable[Row], done: Sequence[int], *, sync: bool) -> None:
            world._write(store, list(rows), done, sync=sync)

        def remove(store: Store) -> Iterator[None]:
            world._about_to_remove(store)
            return world._real["remove"](store)  # type: ignore[no-any-return]

        self._patches.setattr(Store, "__init__", init)
        self._patches.setattr(Store, "create", staticmethod(create))
        self._patches.setattr(Store, "write", write)
        self._patches.setattr(Store, "remove_in_steps", remove)
        self._patches.setattr(journal_module, "JournalWriter", StepWriter)
        self._patches.setattr(adopter_module, "FileThread", StepThread)
        self._patches.setattr(files_module, "REPLACE_ABOVE_BYTES", REPLACE_ABOVE_BYTES)

    def _write(self, store: Store, rows: list[Row], done: Sequence[int], *, sync: bool) -> None:
        if self.disk.write_fails:
            raise sqlite3.OperationalError("disk I/O error")
        self._real["write"](store, rows, done, sync=sync)
        written = self.disk.written[store.path]
        written.update({row.seq: row for row in rows})
        for seq in done:
            written.pop(seq, None)
        if not sync:
            return
        if self.disk.sync_fails:
            raise sqlite3.OperationalError("disk I/O error: the sync failed")
        self.disk.synced[store.path] = dict(written)

    def _about_to_remove(self, store: Store) -> None:
        rows = self.disk.written.pop(store.path, {})
        self.disk.synced.pop(store.path, None)
        self.stores.discard(store)
        gone = {name for row in rows.values() for name in names_of(row)} & self.acknowledged
        kept = self.confirmed | self.disk.holds(for_good=True)
        self._require(gone <= kept, f"a file was removed that held {sorted(gone - kept)}")


def names(records: Iterable[PendingRecord]) -> list[str]:
    """The names of some records."""
    return [pending.record.value.split(b" ")[0].decode() for pending in records]
