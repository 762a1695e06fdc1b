"""Clocks that are set by hours under load: nothing is lost, nothing waits for a time, and all is proven."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeIngress
from tests.support.audit_judge import complaints
from tests.support.audited_ingress import AuditedIngress, are_settled
from tests.support.badge_model import produce
from tests.support.badges import BadgeTraffic, assert_badges_converge
from tests.support.broker import Broker
from tests.support.commands import IngressProcess
from tests.support.jumping import DAY_S, HOUR_S, JumpingClock
from tests.support.load import Load
from tests.support.redis import RedisServer
from tests.support.topic import Topics, read_all
from tests.support.verdict import verdict
from tests.support.workers import StartWorker

JUMPS_S = (2 * HOUR_S, -5 * HOUR_S, 0.0, 5 * DAY_S, -6 * DAY_S, 40 * 60.0)
"""Forward by more than Kafka takes the time of a record, back beyond the start of the process, and so on."""
A_WEEK_S = "604800"


def wait_for_statements(bridge: IngressProcess) -> None:
    """Wait until Kafka has confirmed some more of them than now."""

    def confirmed() -> float:
        return bridge.metric("bridge_audit_statements_total", outcome="confirmed")

    before = confirmed()
    bridge.wait_for(lambda: confirmed() >= before + 3, timeout=20, what="statements that Kafka confirms")


@pytest.fixture
def audited(own_broker: Broker, topics: Topics, ingress: MakeIngress, start_worker: StartWorker) -> AuditedIngress:
    return AuditedIngress(own_broker, topics, ingress, start_worker)


@pytest.mark.slow
def test_clocks_that_jump_by_hours_lose_nothing_and_leave_nothing_unproven(
    audited: AuditedIngress, topics: Topics, tmp_path: Path
) -> None:
    of_ingress, of_audit = JumpingClock(tmp_path / "ingress-clock"), JumpingClock(tmp_path / "audit-clock")
    bridge = audited.start(ready=True, BRIDGE_WORKERS="2", BRIDGE_CLOCK_SKEW_S=A_WEEK_S, **of_ingress.env)
    audit = audited.start_audit(**of_audit.env)
    with Load(bridge.port, connections=16, rate=150) as load:
        load.wait_acknowledged(100)
        for number, off_s in enumerate(JUMPS_S):
            of_ingress.set_off(off_s)
            of_audit.set_off(JUMPS_S[-number])
            load.wait_acknowledged(100)
            wait_for_statements(bridge)
            if number % 3 == 0:
                os.kill(bridge.children()[0], signal.SIGKILL)
            elif number % 3 == 1:
                audited.broker.freeze()
                load.wait_acknowledged(100)
                bridge.kill()
                of_ingress.set_off(JUMPS_S[number - 1])
                bridge.start()
                load.wait_acknowledged(100)
                audited.broker.thaw()
            else:
                audit.kill()
                audit.start()
            load.wait_acknowledged(100)
        assert bridge.metric("bridge_set_aside_total") == 0
        of_ingress.set_off(0.0)
        of_audit.set_off(0.0)
        load.wait_acknowledged(100)
    taken = len(load.acknowledged)
    told = audited.wait(lambda told: told.counts.arrived >= taken and not complaints(told, "") and are_settled(told))
    on_topic = read_all(audited.broker.bootstrap, topics.events)
    assert not verdict(load.acknowledged, (one.event for one in on_topic), in_order=lambda one: one.connection).lost
    assert not list(bridge.journal_dir.glob("refused/*"))
    lives = sorted((one.process, one.epoch) for one in told.lives)
    assert all(one != another for one, another in itertools.pairwise(lives))
    assert audited.wait(lambda told: told.complete_until and told.complete_until > told.begun)


@pytest.mark.slow
def test_a_worker_whose_clock_is_hours_ahead_says_so_and_goes_on_when_it_is_right(
    broker: Broker, topics: Topics, redis_server: RedisServer, worker: Any, tmp_path: Path
) -> None:
    clock, traffic = JumpingClock(tmp_path / "clock"), BadgeTraffic(topics.events)
    badges = worker(broker, redis_server.url, **clock.env)
    produce(broker.bootstrap, topics.events, traffic.make(100))
    assert_badges_converge(traffic, broker.bootstrap, redis_server, topics, badges)
    clock.set_off(5 * HOUR_S)
    produce(broker.bootstrap, topics.events, traffic.make(100))
    badges.wait_for_log("is the clock of this machine ahead")
    clock.set_off(0.0)
    assert_badges_converge(traffic, broker.bootstrap, redis_server, topics, badges)
    assert badges.metric("consumers_dead_letters_total") == 0
    assert badges.terminate() == 0
