"""The journal against a plain model of its promises: whatever happens, in whatever order.

Acknowledged is what Kafka has or the disk holds for good, and nothing else. The order of a partition holds through
failing disks, crashes and take-overs. Nothing acknowledged is lost. Replies meet their deadline. Memory and disk stay
bounded. A file goes only when nothing in it is needed. `make model-test` tries thirty times as much.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.journal.model import LIMITS, MAX_RECORD_BYTES, PARTITIONS, TOPICS, World

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "300"))
STEPS = 80

topics = st.sampled_from(TOPICS)
partitions = st.integers(0, PARTITIONS - 1)
sizes = st.sampled_from((10, 200, MAX_RECORD_BYTES - 100))


class JournalMachine(RuleBasedStateMachine):
    """Everything that can happen to a journal."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(topic=topics, places=st.lists(partitions, min_size=1, max_size=4), size=sizes)
    def append(self, topic: str, places: list[int], size: int) -> None:
        for partition in places:
            self.world.append(topic, partition, size)

    @rule(seconds=st.sampled_from((0.001, 0.003, 0.006, 0.012, 0.05, 0.5, 3.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(times=st.integers(1, 6))
    def disk_works(self, times: int) -> None:
        for _ in range(times):
            self.world.step()

    @rule(fault=st.sampled_from(("write_fails", "sync_fails", "takes_no_file")), on=st.booleans())
    def disk_fails(self, fault: str, on: bool) -> None:
        setattr(self.world.disk, fault, on)

    @rule(on=st.booleans())
    def disk_hangs(self, on: bool) -> None:
        self.world.writer.hangs = on

    @rule(confirms=st.booleans())
    def kafka_seems(self, confirms: bool) -> None:
        self.world.outlet.confirms = confirms

    @rule(topic=topics, times=st.integers(1, 5))
    def lease(self, topic: str, times: int) -> None:
        for _ in range(times):
            self.world.lease(topic)
            self.world.step()
            self.world.step()

    @rule(topic=topics, partition=partitions, records=st.integers(1, 5))
    def kafka_confirms(self, topic: str, partition: int, records: int) -> None:
        self.world.confirm(topic, partition, records)

    @rule(topic=topics, partition=partitions)
    def a_confirmation_is_lost(self, topic: str, partition: int) -> None:
        self.world.reach_kafka_unconfirmed(topic, partition)

    @precondition(lambda self: self.world.lives < 6)
    @rule(machine=st.booleans(), disk_heals=st.booleans())
    def crash(self, machine: bool, disk_heals: bool) -> None:
        self.world.crash(machine=machine, disk_heals=disk_heals)

    @precondition(lambda self: self.world.lives < 6)
    @rule()
    def graceful_stop(self) -> None:
        self.world.stop()

    @rule(places=st.lists(st.tuples(topics, partitions), min_size=1, max_size=4))
    def another_process_dies(self, places: list[tuple[str, int]]) -> None:
        self.world.leave_orphan(places)

    @rule(with_folder=st.booleans())
    def somebody_removes_the_files(self, with_folder: bool) -> None:
        self.world.vanish(with_folder=with_folder)

    @rule()
    def orphans_are_looked_for(self) -> None:
        for _ in range(3):
            self.world.advance(LIMITS.adopt_interval_s + 0.1)
            self.world.step()

    @rule(topic=topics, places=st.lists(partitions, min_size=1, max_size=3))
    def the_disk_is_well_for_a_while(self, topic: str, places: list[int]) -> None:
        self.world.be_well(topic, places)

    @rule()
    def all_is_well_for_a_while(self) -> None:
        self.world.drain()

    @invariant()
    def promises_are_kept(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.drain()
            self.world.check()
        finally:
            self.world.end()


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize="MODEL_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
