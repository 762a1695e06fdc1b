"""Storms of kill -9 over an ingress family, the audit and the broker: all is proven, and what is planted is named."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest

from bridge.audit.folder import FOLDER, LEDGER
from common.audit.header import HEADER, RecordNumber, parse_number
from common.timestamps import rfc3339
from consumers.audit.summary import AuditReport
from tests.conftest import MakeIngress
from tests.support.audit_judge import complaints
from tests.support.audited_ingress import AuditedIngress, are_settled
from tests.support.broker import Broker
from tests.support.commands import Command, IngressProcess
from tests.support.load import Load
from tests.support.numbered import delete_records, missing
from tests.support.topic import TopicMessage, Topics, read_all, wait_for_events
from tests.support.verdict import verdict
from tests.support.workers import StartWorker

STORM_S = float(os.environ.get("IM_BRIDGE_STORM_S", "60"))
PAUSE_S = (0.0, 1.0)
AWAY_S = (0.2, 3.0)
FAMILY, PARTITIONS = 3, 4
MORE = 600


class Storm:
    """Kills at random, and starts again what does not come back by itself."""

    def __init__(self, audited: AuditedIngress, bridge: IngressProcess, audit: Command, seed: int) -> None:
        self._broker = audited.broker
        self._bridge = bridge
        self._audit = audit
        self._chance = random.Random(seed)
        self.kills: Counter[str] = Counter()

    def rage(self, seconds: float) -> None:
        """Kill for so long; all is started again at the return."""
        kills: list[Callable[[], None]] = [self._child, self._child, self._child, self._parent, self._family]
        kills += [self._audit_worker, self._broker_for_a_while]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for kill in self._chance.sample(kills, len(kills)):
                kill()
                self.kills[kill.__name__] += 1
                time.sleep(self._chance.uniform(*PAUSE_S))

    def _child(self) -> None:
        """Its parent starts another one."""
        if children := self._bridge.children():
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(children), signal.SIGKILL)

    def _parent(self) -> None:
        self._bridge.kill_parent(timeout=30)
        self._bridge.start()

    def _family(self) -> None:
        self._bridge.kill()
        self._bridge.start()

    def _audit_worker(self) -> None:
        self._audit.kill()
        self._audit.start()

    def _broker_for_a_while(self) -> None:
        self._broker.kill()
        for _ in range(self._chance.randrange(4)):
            self._chance.choice([self._child, self._parent, self._family])()
        time.sleep(self._chance.uniform(*AWAY_S))
        self._broker.start()


@pytest.fixture
def audited(own_broker: Broker, topics: Topics, ingress: MakeIngress, start_worker: StartWorker) -> AuditedIngress:
    return AuditedIngress(own_broker, topics, ingress, start_worker)


def number_of(message: TopicMessage) -> RecordNumber:
    found = parse_number(dict(message.headers)[HEADER])
    assert found is not None
    return found


def expanded(gaps: list[tuple[str, int, int, int]]) -> set[RecordNumber]:
    """Each number of some gaps."""
    return {RecordNumber(process, epoch, at) for process, epoch, first, last in gaps for at in range(first, last + 1)}


def is_all_proven(report: AuditReport, since: str) -> bool:
    """Whether nothing lacks, and no life that has ended is waited for."""
    return not complaints(report, since) and are_settled(report)


@pytest.mark.slow
def test_after_storms_of_kills_all_is_proven_and_a_loss_that_is_planted_then_is_named_exactly(
    audited: AuditedIngress, topics: Topics
) -> None:
    seed = int(os.environ.get("IM_BRIDGE_STORM_SEED") or random.randrange(1_000_000))
    bridge = audited.start(BRIDGE_WORKERS=str(FAMILY))
    audit = audited.start_audit()
    storm = Storm(audited, bridge, audit, seed)
    with Load(bridge.port, connections=24, rate=300) as load:
        load.wait_acknowledged(100)
        storm.rage(STORM_S)
        bridge.wait_ready(60)
        load.wait_acknowledged(300, timeout=60)
    since = rfc3339(time.time_ns() // 10**6)
    try:
        told = audited.wait(lambda told: is_all_proven(told, since), timeout=90)
    except TimeoutError as error:
        raise AssertionError(f"seed {seed}: {dict(storm.kills)}") from error
    story = (
        f"seed {seed}: {dict(storm.kills)}, {len(load.acknowledged)} of {len(load.sent)} acknowledged, {told.counts}"
    )
    logging.getLogger(__name__).info(story)
    on_topic = read_all(audited.broker.bootstrap, topics.events)
    delivery = verdict(load.acknowledged, (one.event for one in on_topic), in_order=lambda one: one.connection)
    assert not delivery.lost, story
    assert told.counts.arrived >= len(load.acknowledged)
    assert told.counts.arrived == len({number_of(one) for one in on_topic})

    names = list((bridge.journal_dir / FOLDER).glob(f"*{LEDGER}"))
    assert len(names) <= 2 * FAMILY, "names are taken again by those who come"

    assert audit.terminate(20) == 0
    with Load(bridge.port, connections=24, total=MORE) as more:
        more.finish()
    assert len(more.acknowledged) == MORE
    ends = {at: sum(one.partition == at for one in on_topic) for at in range(PARTITIONS)}
    everything = wait_for_events(
        audited.broker.bootstrap, topics.events, lambda seen: len(seen) >= len(on_topic) + MORE, timeout=60
    )
    unread = [one for one in everything if one.offset >= ends[one.partition]]
    cut = random.Random(seed).randrange(PARTITIONS)
    of_cut = sorted(one.offset for one in unread if one.partition == cut)
    behind = of_cut[len(of_cut) // 2]
    delete_records(audited.broker.bootstrap, topics.events, cut, behind)
    planted = {number_of(one) for one in unread if one.partition == cut and one.offset < behind}
    audit.start_ready()
    told = audited.wait(lambda told: told.counts.missing >= len(planted), timeout=60)
    assert planted
    assert expanded(missing(told)) == planted, story
    gone = [(one.partition, one.first_offset, one.last_offset, one.was_read) for one in told.gone]
    assert gone == [(cut, 0, ends[cut] - 1, True), (cut, ends[cut], behind - 1, False)]
